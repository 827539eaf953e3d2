//! A server: an application on a port.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::app::App;
use crate::connection;
use crate::shard::Shards;

/// How often the log says at most that all connections are taken.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// A server that is bound to its port.
pub struct Server {
    app: App,
    listener: TcpListener,
    address: SocketAddr,
    shards: Shards,
    /// A permit for each connection that may be open at the same time.
    permits: Arc<Semaphore>,
    logged: Option<Instant>,
}

impl Server {
    /// Listens at `address`, a host and a port. Port 0 is any free one.
    ///
    /// # Errors
    /// If that is not possible. For a port in use, the error proposes another.
    pub async fn bind(app: App, address: &str) -> Result<Self> {
        let listener = TcpListener::bind(address).await.map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => anyhow!(
                "{address} is in use; choose another port with --listen, for example \
                 --listen 127.0.0.1:3001, or any free one with --listen 127.0.0.1:0"
            ),
            _ => anyhow!("can't listen at {address}: {error}"),
        })?;
        let address = listener.local_addr()?;
        app.set_address(address);
        let connections = app.limits().connections.min(Semaphore::MAX_PERMITS);
        Ok(Self {
            app,
            listener,
            address,
            shards: Shards::start()?,
            permits: Arc::new(Semaphore::new(connections)),
            logged: None,
        })
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The application.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Serves until `stop` is ready, and then finishes the requests in flight.
    pub async fn serve(mut self, stop: impl Future<Output = ()>) {
        let connections = GracefulShutdown::new();
        let (stopping, _) = watch::channel(false);
        let mut stop = std::pin::pin!(stop);
        loop {
            let (permit, stream, client) = tokio::select! {
                accepted = self.accept() => accepted,
                () = &mut stop => break,
            };
            let (app, watcher) = (self.app.clone(), connections.watcher());
            let stopping = stopping.subscribe();
            self.shards.spawn(async move {
                // Registered here, with the runtime of its shard.
                if let Ok(stream) = TcpStream::from_std(stream) {
                    connection::serve(app, stream, client, watcher, stopping).await;
                }
                drop(permit);
            });
        }
        drop(self.listener);
        stopping.send_replace(true);
        let grace = self.app.limits().grace;
        if tokio::time::timeout(grace, connections.shutdown()).await.is_err() {
            eprintln!("gave up on requests that were still in flight after {grace:?}");
        }
    }

    /// The next connection, once there may be another one.
    async fn accept(&mut self) -> (OwnedSemaphorePermit, std::net::TcpStream, SocketAddr) {
        let permit = self.permit().await;
        loop {
            let accepted = self.listener.accept().await;
            match accepted.and_then(|(stream, client)| Ok((stream.into_std()?, client))) {
                Ok((stream, client)) => return (permit, stream, client),
                Err(error) => {
                    eprintln!("can't accept a connection: {error}");
                    // Out of memory, for example: others may finish and free some.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn permit(&mut self) -> OwnedSemaphorePermit {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return permit;
        }
        if self.logged.is_none_or(|logged| logged.elapsed() > LOG_INTERVAL) {
            self.logged = Some(Instant::now());
            eprintln!(
                "{} connections are open, the limit; others wait until one closes \
                 (it depends on RLIMIT_NOFILE: raise that with `ulimit -n`)",
                self.app.limits().connections
            );
        }
        self.permits.clone().acquire_owned().await.expect("nobody closes the semaphore")
    }
}
