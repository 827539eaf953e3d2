//! A server: an application on a port.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::app::dispatch::App;
use crate::error::Error;
use crate::serve::access_log::AccessLog;
use crate::serve::connection::Connection;
use crate::telemetry::log::Notice;
use crate::threads::Shards;

/// How many ports [`Server::bind_near`] tries. Spin tries as many.
const PORTS: u16 = 10;

/// A server that is bound to its port.
pub struct Server {
    served: Served,
    access_log: Option<AccessLog>,
    listener: TcpListener,
    shards: Shards,
    /// A permit for each connection that may be open at the same time.
    permits: Arc<Semaphore>,
    accept_notice: Notice,
    limit_notice: Notice,
}

impl Server {
    /// Listens at `address`, a host and a port. Port 0 is any free one.
    ///
    /// # Errors
    /// If that is not possible. For a port in use, the error proposes another.
    pub async fn bind(app: App, address: &str) -> Result<Self, Error> {
        let listener = TcpListener::bind(address).await.map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => Error::Serve(anyhow!(
                "{address} is in use; choose another port with --listen, for example \
                 --listen 127.0.0.1:3001, or search for a free one with --find-free-port"
            )),
            ErrorKind::InvalidInput => no_address(address),
            _ => Error::Serve(anyhow!("can't listen at {address}: {error}")),
        })?;
        Self::new(app, listener)
    }

    /// As [`bind`](Self::bind), but if the port is in use, listens on the first of the
    /// next nine that is not.
    ///
    /// # Errors
    /// If none of them is free.
    pub async fn bind_near(app: App, address: &str) -> Result<Self, Error> {
        let (host, first) = address
            .rsplit_once(':')
            .and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)))
            .ok_or_else(|| no_address(address))?;
        let ports = first..=first.saturating_add(PORTS - 1);
        for port in ports.clone() {
            match TcpListener::bind(format!("{host}:{port}")).await {
                Ok(listener) => return Self::new(app, listener),
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                Err(error) => {
                    return Err(Error::Serve(anyhow!("can't listen at {host}:{port}: {error}")));
                }
            }
        }
        let last = ports.end();
        let message =
            anyhow!("all ports from {first} to {last} are in use; choose others with --listen");
        Err(Error::Serve(message))
    }

    fn new(app: App, listener: TcpListener) -> Result<Self, Error> {
        let address = listener.local_addr().map_err(|error| Error::Serve(error.into()))?;
        app.set_address(address);
        let connections = app.limits().connections.min(Semaphore::MAX_PERMITS);
        Ok(Self {
            served: Served { app: watch::Sender::new(app), address },
            access_log: None,
            listener,
            shards: Shards::start().map_err(Error::Serve)?,
            permits: Arc::new(Semaphore::new(connections)),
            accept_notice: Notice::default(),
            limit_notice: Notice::default(),
        })
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.served.address
    }

    /// What is served.
    pub fn served(&self) -> &Served {
        &self.served
    }

    /// Gives `log` a line for each request: the combined log format, then the duration in
    /// seconds, the component, and the request's id.
    pub fn log_access(mut self, log: impl Fn(String) + Send + Sync + 'static) -> Self {
        self.access_log = Some(Arc::new(log));
        self
    }

    /// Serves until `stop` is ready, and then finishes the requests in flight.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let connections = GracefulShutdown::new();
        let (stopping, _) = watch::channel(false);
        let mut stop = std::pin::pin!(stop);
        loop {
            let (permit, stream, client) = tokio::select! {
                accepted = self.accept() => accepted,
                () = &mut stop => break,
            };
            let connection = Connection {
                app: self.served.app.subscribe(),
                client,
                access_log: self.access_log.clone(),
                watcher: connections.watcher(),
                stopping: stopping.subscribe(),
            };
            self.shards.spawn(async move {
                // Registered here, with the runtime of its shard.
                if let Ok(stream) = TcpStream::from_std(stream) {
                    connection.serve(stream).await;
                }
                drop(permit);
            });
        }
        drop(self.listener);
        stopping.send_replace(true);
        let app = self.served.app();
        let grace = app.limits().grace;
        if tokio::time::timeout(grace, connections.shutdown()).await.is_err() {
            let message = "gave up on requests that were still in flight after";
            app.log().host(format!("{message} {grace:?}"));
        }
    }

    /// The next connection, once there may be another one.
    async fn accept(&self) -> (OwnedSemaphorePermit, std::net::TcpStream, SocketAddr) {
        let permit = self.permit().await;
        loop {
            let accepted = self.listener.accept().await;
            match accepted.and_then(|(stream, client)| Ok((stream.into_std()?, client))) {
                Ok((stream, client)) => return (permit, stream, client),
                Err(error) => {
                    let log = self.served.app().log().clone();
                    self.accept_notice
                        .write(&log, || format!("can't accept a connection: {error}"));
                    // Out of memory, for example: others may finish and free some.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn permit(&self) -> OwnedSemaphorePermit {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return permit;
        }
        let app = self.served.app();
        let connections = app.limits().connections;
        self.limit_notice.write(app.log(), || {
            format!(
                "{connections} connections are open, the limit; others wait until one closes \
                 (it depends on RLIMIT_NOFILE: raise that with `ulimit -n`)"
            )
        });
        self.permits.clone().acquire_owned().await.expect("nobody closes the semaphore")
    }
}

fn no_address(text: &str) -> Error {
    Error::Serve(anyhow!("{text} is no host with a port; give one such as 127.0.0.1:3000"))
}

/// The application that a server serves.
#[derive(Clone)]
pub struct Served {
    app: watch::Sender<App>,
    address: SocketAddr,
}

impl Served {
    /// The application.
    pub fn app(&self) -> App {
        self.app.borrow().clone()
    }

    /// Lets `app` answer all requests from now on. Those in flight are finished by the one
    /// before.
    pub fn replace(&self, app: App) {
        app.set_address(self.address);
        self.app.send_replace(app);
    }
}
