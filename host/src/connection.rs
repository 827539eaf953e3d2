//! One connection: HTTP/1.1 or HTTP/2 in front of an application.
//!
//! A client may keep the server waiting for a bounded time
//! ([`Limits::client_wait`](crate::limits::Limits)). A connection is closed if for
//! that long no component owes it anything and nothing could be written to it: its
//! client is silent, has sent only a part of a request's headers, or does not read
//! its responses. A request's body that stops arriving is an error for the
//! component that reads it, and so is one that drips: each client that waits with it
//! takes one of the requests that the host answers at a time.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::EXPECT;
use http_body::{Body as _, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::Watcher;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};
use tokio_util::io::InspectWriter;
use wasmtime_wasi_http::Error;

use crate::access_log::Access;
use crate::app::App;
use crate::body::{self, Body, Polled};
use crate::headers;

/// How much is read of a body that nobody wants, in bytes.
const MAX_UNWANTED: usize = 1024 * 1024;

/// How much a request of HTTP/2 can have of headers, its target included, in bytes: as much as
/// a target of HTTP/1.1. A longer one gets a 431.
const MAX_HTTP2_HEADERS: u32 = 64 * 1024;

/// How many bytes a second a client must send of a body while its component waits for
/// them: on average, once that has waited for `SLOW_AFTER` in all.
const MIN_RATE: u64 = 64;
const SLOW_AFTER: Duration = Duration::from_secs(10);

/// As `client_wait`, once the server stops.
const STOPPING_WAIT: Duration = Duration::from_secs(1);

/// A connection of a client.
pub struct Connection {
    /// What answers its requests. It may change between two of them.
    pub app: watch::Receiver<App>,
    /// The client's address.
    pub client: SocketAddr,
    /// Whether each request is logged.
    pub access_log: bool,
    /// Ends the connection after the requests in flight.
    pub watcher: Watcher,
    /// Says when that is.
    pub stopping: watch::Receiver<bool>,
}

impl Connection {
    /// Serves the client at the other end of `stream`, until one of them closes the
    /// connection.
    pub async fn serve(self, stream: TcpStream) {
        // A small response must not wait until an earlier one is acknowledged.
        _ = stream.set_nodelay(true);
        let Self { app, client, access_log, watcher, mut stopping } = self;
        let client_wait = app.borrow().limits().client_wait;
        let activity = Activity::default();
        let service = {
            let (activity, address) = (activity.clone(), headers::client(client));
            service_fn(move |request| {
                let (app, activity) = (app.borrow().clone(), activity.clone());
                let access = access_log.then(|| Access::new(client.ip(), &app, &request));
                let address = address.clone();
                async move {
                    let answering = activity.answer();
                    let (owed, has_begun) = (activity.owe(), Arc::default());
                    let request = with_body(request, client_wait, &has_begun);
                    let response = app.serve(request, address).await;
                    has_begun.store(true, Relaxed);
                    drop(owed);
                    let access = access.map(|access| access.answered(&response));
                    let body = |body| owed_body(body, app, answering, access);
                    Ok::<_, Infallible>(response.map(body))
                }
            })
        };
        let stream = {
            let activity = activity.clone();
            InspectWriter::new(stream, move |_: &[u8]| activity.wrote())
        };
        let mut server = auto::Builder::new(TokioExecutor::new());
        server.http2().max_header_list_size(MAX_HTTP2_HEADERS);
        let connection = server.serve_connection(TokioIo::new(stream), service);
        tokio::select! {
            // A client that goes away is no error.
            _ = watcher.watch(connection) => {}
            () = activity.none_for(client_wait) => {}
            () = async {
                _ = stopping.wait_for(|stopping| *stopping).await;
                activity.none_for(STOPPING_WAIT).await;
            } => {}
        }
    }
}

/// What happens on a connection.
#[derive(Clone)]
struct Activity(Arc<Mutex<State>>);

struct State {
    /// How many requests are being answered.
    answering: usize,
    /// How many responses, or parts of them, components owe.
    owed: usize,
    /// When something last happened.
    last: Instant,
}

impl Default for Activity {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State { answering: 0, owed: 0, last: Instant::now() })))
    }
}

impl Activity {
    /// Notes that a request is being answered, until what this returns is dropped.
    fn answer(&self) -> Answering {
        self.change(|state| state.answering += 1);
        Answering(self.clone())
    }

    /// Notes that a component owes something, until what this returns is dropped.
    fn owe(&self) -> Owed {
        self.change(|state| state.owed += 1);
        Owed(self.clone())
    }

    /// Notes that something was written. If no request is being answered, that is no part of
    /// a response: an answer to a ping of HTTP/2, for example.
    fn wrote(&self) {
        self.change(|state| {
            if state.answering > 0 {
                state.last = Instant::now();
            }
        });
    }

    /// Waits until nothing is owed and nothing has happened for that long.
    async fn none_for(&self, duration: Duration) {
        loop {
            let look_again = self.change(|state| match state.owed {
                0 => state.last + duration,
                _ => Instant::now() + duration,
            });
            if look_again <= Instant::now() {
                return;
            }
            sleep_until(look_again).await;
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Answering(Activity);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.change(|state| {
            state.answering -= 1;
            state.last = Instant::now();
        });
    }
}

struct Owed(Activity);

impl Drop for Owed {
    fn drop(&mut self) {
        self.0.change(|state| {
            state.owed -= 1;
            state.last = Instant::now();
        });
    }
}

/// The body of a response of `app`, which must not end before it. A component owes it while
/// it is awaited, and `access` is logged at its end.
fn owed_body(body: Body, app: App, answering: Answering, mut access: Option<Access>) -> Body {
    let mut owed = None;
    body::inspect(body, move |polled| {
        let _app = &app;
        let Poll::Ready(frame) = polled else {
            owed.get_or_insert_with(|| answering.0.owe());
            return;
        };
        owed = None;
        if let (Some(Ok(frame)), Some(access)) = (frame, &mut access) {
            access.sent(frame.data_ref().map_or(0, Bytes::len));
        }
    })
}

fn with_body(
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
