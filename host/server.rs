//! Serves an application on a port.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, anyhow};
use http_body_util::BodyExt;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};

use crate::shard::Shards;
use crate::{App, headers};

/// How long requests in flight may take to finish once the server is to stop.
const GRACE: Duration = Duration::from_secs(10);

/// A server that listens already and does not serve yet.
pub struct Server {
    app: App,
    listener: TcpListener,
    address: SocketAddr,
    shards: Shards,
}

impl Server {
    /// Listens at `address`, host and port; port 0 stands for any free one.
    ///
    /// # Errors
    /// If that is not possible; for a port in use, with the way out.
    pub async fn bind(app: App, address: &str) -> Result<Self> {
        let listener = TcpListener::bind(address).await.map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => anyhow!(
                "{address} is in use already; choose another port with --listen, for example \
                 --listen 127.0.0.1:3001, or any free one with --listen 127.0.0.1:0"
            ),
            _ => anyhow!("can't listen at {address}: {error}"),
        })?;
        let address = listener.local_addr()?;
        app.set_address(address);
        Ok(Self { app, listener, address, shards: Shards::start()? })
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it serves.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Serves until `stop` is ready, and then what is in flight.
    pub async fn serve(mut self, stop: impl Future<Output = ()>) {
        let connections = GracefulShutdown::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, client)) => self.connect(stream, client, &connections),
                    // Out of file descriptors, say: others may finish and free some.
                    Err(error) => {
                        eprintln!("can't accept a connection: {error}");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
                () = &mut stop => break,
            }
        }
        drop(self.listener);
        drop(self.app);
        if tokio::time::timeout(GRACE, connections.shutdown()).await.is_err() {
            eprintln!("gave up on requests that were still in flight after {GRACE:?}");
        }
    }

    fn connect(&mut self, stream: TcpStream, client: SocketAddr, connections: &GracefulShutdown) {
        // Small answers must not wait for the acknowledgement of earlier ones.
        _ = stream.set_nodelay(true);
        let Ok(stream) = stream.into_std() else { return };
        let (app, client) = (self.app.clone(), headers::client(client));
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let (app, client) = (app.clone(), client.clone());
            async move {
                let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
                Ok::<_, std::convert::Infallible>(app.serve(request, client).await)
            }
        });
        let watcher = connections.watcher();
        self.shards.next().spawn(async move {
            // On the shard, since that is whose events it waits for.
            let Ok(stream) = TcpStream::from_std(stream) else { return };
            let server = auto::Builder::new(TokioExecutor::new());
            let connection = server.serve_connection(TokioIo::new(stream), service);
            // A client that goes away is no concern of anybody else.
            _ = watcher.watch(connection).await;
        });
    }
}
