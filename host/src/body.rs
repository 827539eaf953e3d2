//! Bodies of requests and responses.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use tokio::time::{Sleep, sleep};
use wasmtime_wasi_http::Error;

/// The body of a request or a response.
pub type Body = wasmtime_wasi_http::WasiBody;

/// A body without content.
pub fn empty() -> Body {
    full(Bytes::new())
}

/// A body with `content`.
pub fn full(content: impl Into<Bytes>) -> Body {
    Full::new(content.into()).map_err(|never| match never {}).boxed_unsync()
}

/// What a poll of a body gives.
pub type Polled = Poll<Option<Result<Frame<Bytes>, Error>>>;

/// `body`, with a `look` at each poll of it.
pub fn inspect(body: Body, look: impl FnMut(&Polled) + Send + Unpin + 'static) -> Body {
    Inspected { body, look }.boxed_unsync()
}

struct Inspected<L> {
    body: Body,
    look: L,
}

impl<L: FnMut(&Polled) + Unpin> http_body::Body for Inspected<L> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        (self.look)(&polled);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body that fails if its reader has to wait too long for a part of it.
pub struct Timed<B> {
    body: B,
    most: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<B> Timed<B> {
    /// `body`, each part of which may take `most`.
    pub fn new(body: B, most: Duration) -> Self {
        Self { body, most, waiting: None }
    }
}

impl<B: http_body::Body<Data = Bytes, Error = Error> + Unpin> http_body::Body for Timed<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.waiting = None;
            return Poll::Ready(frame);
        }
        let most = self.most;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(most)));
        waiting.as_mut().poll(context).map(|()| Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
