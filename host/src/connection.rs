//! One connection: HTTP/1.1 or HTTP/2 in front of an application.
//!
//! A client may keep the server waiting for a bounded time
//! ([`Limits::client_wait`](crate::limits::Limits)). A connection is closed if for
//! that long no component owes it anything and nothing could be written to it: its
//! client is silent, has sent only a part of a request's headers, or does not read
//! its responses. A request's body that stops arriving is an error for the
//! component that reads it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::EXPECT;
use http_body::{Body as _, Frame, SizeHint};
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
use crate::body::Body;
use crate::headers;

/// How much is read of a body that nobody wants, in bytes.
const MAX_UNWANTED: usize = 1024 * 1024;

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
                    let owed = activity.owe();
                    let response = app.serve(with_body(request, client_wait), address).await;
                    drop(owed);
                    let access = access.map(|access| access.answered(&response));
                    Ok::<_, Infallible>(response.map(|body| ResponseBody {
                        body,
                        activity,
                        owed: None,
                        access,
                        _app: app,
                    }))
                }
            })
        };
        let stream = {
            let activity = activity.clone();
            InspectWriter::new(stream, move |_: &[u8]| activity.note())
        };
        let server = auto::Builder::new(TokioExecutor::new());
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

/// What happens on a connection: how many responses, or parts of them, components
/// owe it, and when something last happened.
#[derive(Clone)]
struct Activity(Arc<Mutex<(usize, Instant)>>);

impl Default for Activity {
    fn default() -> Self {
        Self(Arc::new(Mutex::new((0, Instant::now()))))
    }
}

impl Activity {
    /// Notes that a component owes something, until what this returns is dropped.
    fn owe(&self) -> Owed {
        self.change(|(owed, _)| *owed += 1);
        Owed(self.clone())
    }

    /// Notes that something happened.
    fn note(&self) {
        self.change(|(_, last)| *last = Instant::now());
    }

    /// Waits until nothing is owed and nothing has happened for that long.
    async fn none_for(&self, duration: Duration) {
        loop {
            let look_again = match self.change(|state| *state) {
                (0, last) => last + duration,
                _ => Instant::now() + duration,
            };
            if look_again <= Instant::now() {
                return;
            }
            sleep_until(look_again).await;
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut (usize, Instant)) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Owed(Activity);

impl Drop for Owed {
    fn drop(&mut self) {
        self.0.change(|(owed, last)| {
            *owed -= 1;
            *last = Instant::now();
        });
    }
}

/// The body of a response, which a component owes while it is awaited.
struct ResponseBody {
    body: Body,
    activity: Activity,
    owed: Option<Owed>,
    /// Logged at its end.
    access: Option<Access>,
    /// The application must not end before the body does.
    _app: App,
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        match (&frame, &self.owed) {
            (Poll::Pending, None) => self.owed = Some(self.activity.owe()),
            (Poll::Pending, Some(_)) => {}
            (Poll::Ready(_), _) => self.owed = None,
        }
        if let (Poll::Ready(Some(Ok(frame))), Some(access)) = (&frame, &mut self.access) {
            access.sent(frame.data_ref().map_or(0, Bytes::len));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn with_body(request: Request<Incoming>, client_wait: Duration) -> Request<Body> {
    // A client that expects `100 Continue` does not send a body that nobody wants.
    let will_send = !request.headers().contains_key(EXPECT);
    request.map(|body| {
        if body.is_end_stream() {
            return body.map_err(Into::into).boxed_unsync();
        }
        RequestBody { body: Some(body), stalled: None, client_wait, will_send }.boxed_unsync()
    })
}

/// The body of a request.
///
/// If it is dropped before its end, the rest is read. Otherwise a client that
/// is still sending might not get the response: closing a connection with
/// unread data resets it.
struct RequestBody {
    body: Option<Incoming>,
    /// Ends when the client has sent nothing for too long.
    stalled: Option<Pin<Box<Sleep>>>,
    client_wait: Duration,
    will_send: bool,
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        // From now on, a client that waits for `100 Continue` gets it.
        self.will_send = true;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        match Pin::new(body).poll_frame(context) {
            Poll::Ready(frame) => {
                self.stalled = None;
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => {
                let client_wait = self.client_wait;
                let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(client_wait)));
                stalled.as_mut().poll(context).map(|()| Some(Err(Error::ConnectionReadTimeout)))
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
            let client_wait = self.client_wait;
            runtime.spawn(async move { _ = timeout(client_wait, discard(body)).await });
        }
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
