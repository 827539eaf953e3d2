//! The requests that components send.
//!
//! A component may call its siblings and its own application, if its
//! `allowed_outbound_hosts` say so. Both stay in this process; nothing goes out
//! to the network.

use std::sync::{Arc, Weak};

use futures::future::BoxFuture;
use http::{Request, Response};
use wasmtime_wasi_http::{Error, RequestOptions, WasiHttpHooks};

use crate::allowed_hosts::{AllowedHost, Target, sibling_id};
use crate::body::Body;

/// Answers the requests of components.
pub trait Application: Send + Sync {
    /// Sends `request` to `target`.
    ///
    /// # Errors
    /// [`Error::InternalError`] if there is no such component.
    fn call(
        self: Arc<Self>,
        target: Target,
        request: Request<Body>,
    ) -> BoxFuture<'static, Result<Response<Body>, Error>>;
}

/// What wasmtime calls for each request that an instance sends.
pub struct Outbound {
    application: Weak<dyn Application>,
    allowed: Arc<[AllowedHost]>,
}

impl Outbound {
    /// The requests of a component of `application` that may call `allowed`.
    pub fn new(application: Weak<dyn Application>, allowed: Arc<[AllowedHost]>) -> Self {
        Self { application, allowed }
    }
}

type Sending = dyn Future<Output = Result<(), Error>> + Send;

impl WasiHttpHooks for Outbound {
    fn send_request(
        &mut self,
        request: Request<Body>,
        _: Option<RequestOptions>,
        _: Box<Sending>,
    ) -> Box<dyn Future<Output = Result<(Response<Body>, Box<Sending>), Error>> + Send> {
        // A relative URI arrives with an empty host.
        let host = request.uri().host().unwrap_or_default();
        let (scheme, target) = match (host, sibling_id(host)) {
            ("" | "self.alt", _) => (None, Target::Application),
            (_, Some(id)) => (request.uri().scheme(), Target::Sibling(id.to_owned())),
            _ => return Box::new(async { Err(Error::HttpRequestDenied) }),
        };
        if !self.allowed.iter().any(|allowed| allowed.allows(scheme, &target)) {
            return Box::new(async { Err(Error::HttpRequestDenied) });
        }
        let application = self.application.clone();
        Box::new(async move {
            let application = application.upgrade().ok_or(Error::ConnectionTerminated)?;
            let response = application.call(target, request).await?;
            let sending: Box<Sending> = Box::new(async { Ok(()) });
            Ok((response, sending))
        })
    }
}
