//! The requests that components send: to each other and to their own application, in
//! this process, and to other servers.

use std::sync::{Arc, Weak};

use http::{HeaderName, Request, Response};
use wasmtime_wasi_http::{DEFAULT_FORBIDDEN_HEADERS, Error, RequestOptions, WasiHttpHooks};

use crate::body::Body;
use crate::imports::component::Component;
use crate::manifest::allowed_hosts::Destination;

/// What wasmtime calls for each request that an instance of the component sends.
pub struct Outbound(pub Arc<Component>);

type Sending = dyn Future<Output = Result<(), Error>> + Send;

impl WasiHttpHooks for Outbound {
    /// As wasmtime's own, which allocates a closure each time: once for each header of a
    /// request, and of a response.
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        DEFAULT_FORBIDDEN_HEADERS.contains(name)
    }

    fn send_request(
        &mut self,
        mut request: Request<Body>,
        options: Option<RequestOptions>,
        _: Box<Sending>,
    ) -> Box<dyn Future<Output = Result<(Response<Body>, Box<Sending>), Error>> + Send> {
        let component = self.0.clone();
        let Some(destination) = component.allowed_hosts.destination(request.uri()) else {
            return Box::new(async { Err(Error::HttpRequestDenied) });
        };
        let mut span = component.traces.outbound(&mut request);
        Box::new(async move {
            let response = match destination {
                Destination::Elsewhere => component.network.send(request, options).await,
                Destination::Sibling(id) => component.call(Some(id), request).await,
                Destination::Application => component.call(None, request).await,
            };
            match &response {
                Ok(response) => span.answered(response.status()),
                Err(error) => span.failed(error),
            }
            let sending: Box<Sending> = Box::new(async { Ok(()) });
            Ok((response?, sending))
        })
    }
}

impl Component {
    async fn call(
        &self,
        sibling: Option<String>,
        request: Request<Body>,
    ) -> Result<Response<Body>, Error> {
        let call = self.calls.clone().try_acquire_owned();
        let call = call.map_err(|_| Error::ConnectionLimitReached)?;
        let application = self.application.get().and_then(Weak::upgrade);
        application.ok_or(Error::ConnectionTerminated)?.call(sibling, request, call).await
    }
}
