//! One connection: HTTP/1.1 or HTTP/2 in front of an application.
//!
//! A client may keep the server waiting for a bounded time
//! ([`Limits::client_wait`](crate::bounds::limits::Limits)). A connection is closed if for
//! that long no component owes it anything and nothing could be written to it: its
//! client is silent, has sent only a part of a request's headers, or does not read
//! its responses. A request's body that stops arriving is an error for the
//! component that reads it, and so is one that drips: each client that waits with it
//! takes one of the requests that the host answers at a time.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::Watcher;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::io::InspectWriter;

use crate::app::dispatch::App;
use crate::app::headers;
use crate::body::{self, Body};
use crate::serve::access_log::{Access, AccessLog};
use crate::serve::activity::{Activity, Answering};
use crate::serve::request_body::with_body;

/// How much a request of HTTP/2 can have of headers, its target included, in bytes: as much as
/// a target of HTTP/1.1. A longer one gets a 431.
const MAX_HTTP2_HEADERS: u32 = 64 * 1024;

/// As `client_wait`, once the server stops.
const STOPPING_WAIT: Duration = Duration::from_secs(1);

/// A connection of a client.
pub struct Connection {
    /// What answers its requests. It may change between two of them.
    pub app: watch::Receiver<App>,
    /// The client's address.
    pub client: SocketAddr,
    /// Where each request is logged.
    pub access_log: Option<AccessLog>,
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
                let log = access_log.clone();
                let access = log.map(|log| Access::new(log, client.ip(), &app, &request));
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
