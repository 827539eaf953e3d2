//! The requests that components send: to each other and to their own application, in
//! this process, and to other servers.

use std::sync::{Arc, Weak};

use futures::future::BoxFuture;
use http::{Request, Response};
use tokio::sync::Semaphore;
use wasmtime_wasi_http::{Error, RequestOptions, WasiHttpHooks};

use crate::allowed_hosts::{AllowedHost, sibling_id};
use crate::body::Body;
use crate::network::Network;
use crate::ticket::Permit;
use crate::traces::Traces;

/// How many requests of a component its application answers at the same time,
/// so that one that calls itself without end does not take all instances: each answers up
/// to 16 of them.
pub const MAX_CALLS: usize = 1000;

/// A destination in this process.
#[derive(Debug)]
pub enum Target {
    /// The component with this id.
    Sibling(String),
    /// The application, through its routes.
    Application,
}

/// Answers the requests of components that stay in this process.
pub trait Application: Send + Sync {
    /// Sends `request` to `target`. It keeps `call` until the response has ended.
    ///
    /// # Errors
    /// [`Error::InternalError`] if there is no such component.
    fn call(
        self: Arc<Self>,
        target: Target,
        request: Request<Body>,
        call: Permit,
    ) -> BoxFuture<'static, Result<Response<Body>, Error>>;
}

/// What wasmtime calls for each request that an instance sends.
pub struct Outbound {
    application: Weak<dyn Application>,
    network: Arc<Network>,
    allowed: Arc<[AllowedHost]>,
    calls: Arc<Semaphore>,
    traces: Traces,
}

impl Outbound {
    /// The requests of a component of `application` that may call `allowed`, and `calls`
    /// components of the application at the same time.
    pub fn new(
        application: Weak<dyn Application>,
        network: Arc<Network>,
        allowed: Arc<[AllowedHost]>,
        calls: Arc<Semaphore>,
        traces: Traces,
    ) -> Self {
        Self { application, network, allowed, calls, traces }
    }
}

type Sending = dyn Future<Output = Result<(), Error>> + Send;

impl WasiHttpHooks for Outbound {
    fn send_request(
        &mut self,
        mut request: Request<Body>,
        options: Option<RequestOptions>,
        _: Box<Sending>,
    ) -> Box<dyn Future<Output = Result<(Response<Body>, Box<Sending>), Error>> + Send> {
        let uri = request.uri();
        let mut allowed = self.allowed.iter();
        let host = uri.host().unwrap_or_default();
        // A relative URI arrives with an empty host.
        let is_self = host.is_empty() || host.eq_ignore_ascii_case("self.alt");
        let (target, is_allowed) = if is_self {
            (Some(Target::Application), allowed.any(AllowedHost::allows_application))
        } else {
            (sibling_id(host).map(Target::Sibling), allowed.any(|allowed| allowed.allows(uri)))
        };
        if !is_allowed {
            return Box::new(async { Err(Error::HttpRequestDenied) });
        }
        let target = target.map(|target| (target, self.calls.clone().try_acquire_owned()));
        let mut span = self.traces.outbound(&mut request);
        let (application, network) = (self.application.clone(), self.network.clone());
        Box::new(async move {
            let response = match (target, application.upgrade()) {
                (Some((target, Ok(call))), Some(application)) => {
                    application.call(target, request, call).await
                }
                (Some((_, Err(_))), _) => Err(Error::ConnectionLimitReached),
                (Some(_), None) => Err(Error::ConnectionTerminated),
                (None, _) => network.send(request, options).await,
            };
            match &response {
                Ok(response) => span.answered(response.status()),
                Err(error) => span.failed(error),
            }
            let response = response?;
            let sending: Box<Sending> = Box::new(async { Ok(()) });
            Ok((response, sending))
        })
    }
}
