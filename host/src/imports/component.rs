//! What the manifest and the host give a component.

use std::sync::{Arc, OnceLock, Weak};

use futures::future::BoxFuture;
use http::{Request, Response};
use tempfile::TempDir;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime_wasi_http::Error;

use crate::body::Body;
use crate::bounds::limits::Limits;
use crate::bounds::shares::Share;
use crate::imports::network::Network;
use crate::imports::sqlite::database::Grant;
use crate::imports::variables::Values;
use crate::manifest::allowed_hosts::AllowedHosts;
use crate::telemetry::log::Log;
use crate::telemetry::traces::Traces;

/// A component, as all its instances see it.
pub struct Component {
    /// Its id.
    pub id: String,
    /// The application, which answers its requests, once that is loaded.
    pub application: Arc<OnceLock<Weak<dyn Application>>>,
    /// A copy of its files, if it has any.
    pub files: Option<TempDir>,
    /// Its environment variables.
    pub environment: Vec<(String, String)>,
    /// The values of its variables.
    pub variables: Values,
    /// The database, if it may use it.
    pub database: Option<Grant>,
    /// Its connections to other servers.
    pub network: Network,
    /// Whom it may call.
    pub allowed_hosts: AllowedHosts,
    /// How many of its requests the application answers at the same time.
    pub calls: Arc<Semaphore>,
    /// How many instances it may have.
    pub instances: Arc<Share>,
    /// How much memory they may have, in bytes.
    pub memory: Arc<Share>,
    /// How much each of them may use.
    pub limits: Limits,
    /// Where its output goes.
    pub log: Log,
    /// What is traced.
    pub traces: Traces,
}

impl Component {
    /// Logs each line of `text`, which it has written or which is said of it.
    pub fn log(&self, text: &str) {
        self.log.component(&self.id, text);
    }
}

/// Answers the requests of components that stay in this process.
pub trait Application: Send + Sync {
    /// Sends `request` to the component `sibling`, or else through the routes. Keeps `call`
    /// until the response has ended.
    ///
    /// # Errors
    /// [`Error::InternalError`] if there is no such component.
    fn call(
        self: Arc<Self>,
        sibling: Option<String>,
        request: Request<Body>,
        call: OwnedSemaphorePermit,
    ) -> BoxFuture<'static, Result<Response<Body>, Error>>;
}
