//! The body of a request, on its way to a component.
//!
//! One that stops arriving is an error for the component that reads it, and so is one that
//! drips: each client that waits with it takes one of the requests that the host answers at
//! a time.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::EXPECT;
use http_body::{Body as _, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep, timeout};
use wasmtime_wasi_http::Error;

use crate::body::{Body, Polled};

/// How much is read of a body that nobody wants, in bytes.
const MAX_UNWANTED: usize = 1024 * 1024;

/// How many bytes a second a client must send of a body while its component waits for
/// them: on average, once that has waited for `SLOW_AFTER` in all.
const MIN_RATE: u64 = 64;
const SLOW_AFTER: Duration = Duration::from_secs(10);

/// `request`, whose client may keep a component waiting for `client_wait`. `has_begun` says
/// whether there is a response.
pub fn with_body(
    request: Request<Incoming>,
    client_wait: Duration,
    has_begun: &Arc<AtomicBool>,
) -> Request<Body> {
    // A client that expects `100 Continue` does not send a body that nobody wants.
    let will_send = !request.headers().contains_key(EXPECT);
    request.map(|body| {
        if body.is_end_stream() {
            return body.map_err(Into::into).boxed_unsync();
        }
        let pace = Pace {
            client_wait,
            has_begun: has_begun.clone(),
            received: 0,
            waited: Duration::ZERO,
            waiting: None,
        };
        RequestBody { body: Some(body), pace, will_send }.boxed_unsync()
    })
}

/// The body of a request.
///
/// If it is dropped before its end, the rest is read. Otherwise a client that
/// is still sending might not get the response: closing a connection with
/// unread data resets it.
struct RequestBody {
    body: Option<Incoming>,
    pace: Pace,
    will_send: bool,
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        // From now on, a client that waits for `100 Continue` gets it.
        self.will_send = true;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        match Pin::new(body).poll_frame(context) {
            Poll::Ready(frame) => {
                let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
                self.pace.arrived(data.map_or(0, Bytes::len));
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => {
                self.pace.poll_too_slow(context).map(|()| Some(Err(Error::ConnectionReadTimeout)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Incoming::size_hint).unwrap_or_default()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let unwanted = self.body.take().filter(|body| self.will_send && !body.is_end_stream());
        if let (Some(body), Ok(runtime)) = (unwanted, Handle::try_current()) {
            let client_wait = self.pace.client_wait;
            runtime.spawn(async move { _ = timeout(client_wait, discard(body)).await });
        }
    }
}

/// How fast a body arrives, while its component waits for it.
struct Pace {
    client_wait: Duration,
    /// Whether there is a response. Then the rate does not matter any more: a client may
    /// send a part of the body for each part of the response.
    has_begun: Arc<AtomicBool>,
    /// In bytes.
    received: u64,
    /// How long the component has waited for them.
    waited: Duration,
    /// Since when it waits for more, and the end of its patience.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Pace {
    /// Notes that `length` bytes have arrived.
    fn arrived(&mut self, length: usize) {
        self.received += length as u64;
        if let Some((since, _)) = self.waiting.take() {
            self.waited += since.elapsed();
        }
    }

    /// Is ready once the component has waited too long.
    fn poll_too_slow(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.waiting.is_none() {
            let patience = match self.has_begun.load(Relaxed) {
                true => self.client_wait,
                false => self.client_wait.min(self.spare_time()),
            };
            self.waiting = Some((Instant::now(), Box::pin(sleep(patience))));
        }
        let Some((since, end)) = &mut self.waiting else { return Poll::Pending };
        ready!(end.as_mut().poll(context));
        let latest = *since + self.client_wait;
        if !self.has_begun.load(Relaxed) || Instant::now() >= latest {
            return Poll::Ready(());
        }
        // The response has begun meanwhile.
        end.as_mut().reset(latest);
        end.as_mut().poll(context)
    }

    /// How long the component can wait until the body comes too slowly.
    fn spare_time(&self) -> Duration {
        Duration::from_secs(self.received / MIN_RATE).max(SLOW_AFTER).saturating_sub(self.waited)
    }
}

/// Reads `body` to its end, or as much of it as the server is ready to discard.
async fn discard(mut body: Incoming) {
    let mut left = MAX_UNWANTED;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = left.checked_sub(length) else { return };
        left = rest;
    }
}
