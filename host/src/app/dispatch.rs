//! A loaded application: from a request to a response.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::handler::InstantiationError;

use crate::app::forward::Forward;
use crate::app::headers;
use crate::app::queue::Queue;
use crate::app::router::{Match, Route, Router};
use crate::body::{self, Body, empty, full};
use crate::bounds::limits::Limits;
use crate::imports::component::Application;
use crate::manifest::Manifest;
use crate::runtime::pool::Instances;
use crate::runtime::requests::Ticket;
use crate::telemetry::log::Log;
use crate::telemetry::traces::Traces;
use crate::threads::PerThread;

/// The client of a chained request, as Spin names it.
const CHAINED_CLIENT: HeaderValue = HeaderValue::from_static("0.0.0.0:0");

/// The client of a request in this process.
const LOCAL_CLIENT: HeaderValue = HeaderValue::from_static("127.0.0.1:0");

/// A Spin HTTP application that answers requests. Clones are the same
/// application.
#[derive(Clone)]
pub struct App(pub(crate) Arc<Inner>);

/// What an [`App`] consists of.
pub(crate) struct Inner {
    pub(crate) manifest: Manifest,
    pub(crate) router: Router,
    pub(crate) handlers: BTreeMap<String, Handler>,
    pub(crate) limits: Limits,
    pub(crate) log: Log,
    pub(crate) traces: Traces,
    /// Where requests wait.
    pub(crate) queue: Queue,
    /// The route of chained requests, which name their component themselves.
    pub(crate) chained: Route,
    /// Where a server serves the application, once one does.
    pub(crate) address: OnceLock<SocketAddr>,
}

/// What answers the requests for a component.
pub(crate) enum Handler {
    /// Its instances.
    Instances(PerThread<Instances>),
    /// A function of a test.
    StandIn(StandIn),
    /// Another server.
    Forward(Forward),
}

/// A function that answers in place of a component.
pub type StandIn = Arc<dyn Fn(Request<Body>) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

impl App {
    /// Answers `request`, as if it had come over a connection.
    ///
    /// Must be called in a tokio runtime that lives as long as the application is used: an
    /// instance stays on the runtime of the request that it was made for, and answers
    /// later ones there. Away from the threads of a [`Server`](crate::Server), all calls share
    /// the same instances.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Error>,
    {
        let mut request = request.map(|body| body.map_err(Into::into).boxed_unsync());
        headers::strip(&mut request);
        if request.uri().authority().is_none() && !request.headers().contains_key(HOST) {
            request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
        }
        let is_head = request.method() == Method::HEAD;
        let response = self.serve(request, LOCAL_CLIENT).await;
        if is_head { response.map(|_| empty()) } else { response }
    }

    /// The routes, as `spin up` prints them: component id, route and, if the
    /// manifest has one, description.
    pub fn routes(&self) -> impl Iterator<Item = (&str, &Route, Option<&str>)> {
        self.0.router.routes().map(|route| {
            let component = &self.0.manifest.components[&route.component];
            (route.component.as_str(), route, component.description.as_deref())
        })
    }

    /// The id of the component that answers requests for `path`, if there is one.
    pub fn component_for(&self, path: &str) -> Option<&str> {
        let found = self.0.router.find(path).filter(|_| well_known(path).is_none());
        found.map(|found| found.route.component.as_str())
    }

    /// How much clients and components may use.
    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Where the host says what it notices.
    pub(crate) fn log(&self) -> &Log {
        &self.0.log
    }

    /// Notes where the application is served.
    pub(crate) fn set_address(&self, address: SocketAddr) {
        _ = self.0.address.set(address);
    }

    /// Answers a request from outside, which came from `client`.
    pub(crate) async fn serve(
        &self,
        mut request: Request<Body>,
        client: HeaderValue,
    ) -> Response<Body> {
        if headers::has_unknown_coding(request.headers()) {
            return status(StatusCode::NOT_IMPLEMENTED);
        }
        headers::strip(&mut request);
        if let Some(name) = well_known(request.uri().path()) {
            return self.0.well_known(name);
        }
        match self.0.queue.permit().await {
            Some(permit) => self.0.route(request, client, permit).await,
            None => unavailable(),
        }
    }
}

impl Application for Inner {
    fn call(
        self: Arc<Self>,
        sibling: Option<String>,
        request: Request<Body>,
        call: OwnedSemaphorePermit,
    ) -> BoxFuture<'static, Result<Response<Body>, Error>> {
        async move {
            match sibling {
                Some(id) => self.call_component(&id, request, call).await,
                None => Ok(self.call_self(request, call).await),
            }
        }
        .boxed()
    }
}

impl Inner {
    async fn call_component(
        &self,
        id: &str,
        mut request: Request<Body>,
        call: OwnedSemaphorePermit,
    ) -> Result<Response<Body>, Error> {
        let handler = self.handlers.get(id).ok_or(Error::InternalError(None))?;
        request.headers_mut().remove(HOST);
        headers::make_absolute(&mut request).map_err(|_| Error::HttpRequestUriInvalid)?;
        let found = Match::chained(&self.chained, request.uri().path());
        Ok(self.run(id, handler, request, found, CHAINED_CLIENT, call).await)
    }

    async fn call_self(
        &self,
        mut request: Request<Body>,
        call: OwnedSemaphorePermit,
    ) -> Response<Body> {
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
        let address = self.address.get().map_or(LOCAL_CLIENT, |address| headers::client(*address));
        request.headers_mut().insert(HOST, address);
        let is_head = request.method() == Method::HEAD;
        let response = match well_known(request.uri().path()) {
            Some(name) => self.well_known(name),
            None => self.route(request, LOCAL_CLIENT, call).await,
        };
        if is_head { response.map(|_| empty()) } else { response }
    }

    async fn route(
        &self,
        mut request: Request<Body>,
        client: HeaderValue,
        permit: OwnedSemaphorePermit,
    ) -> Response<Body> {
        let found = self.router.find(request.uri().path());
        let route = found.as_ref().map(|found| found.route.based.as_str());
        let mut span = self.traces.request(&mut request, &client, route);
        let response = match found {
            Some(found) => self.run_found(request, found, client, permit).await,
            None => status(StatusCode::NOT_FOUND),
        };
        span.answered(response.status());
        response
    }

    async fn run_found(
        &self,
        mut request: Request<Body>,
        found: Match<'_>,
        client: HeaderValue,
        permit: OwnedSemaphorePermit,
    ) -> Response<Body> {
        if headers::make_absolute(&mut request).is_err() {
            return status(StatusCode::BAD_REQUEST);
        }
        let id = &found.route.component;
        self.run(id, &self.handlers[id], request, found, client, permit).await
    }

    async fn run(
        &self,
        id: &str,
        handler: &Handler,
        mut request: Request<Body>,
        found: Match<'_>,
        client: HeaderValue,
        permit: OwnedSemaphorePermit,
    ) -> Response<Body> {
        let instances = match handler {
            Handler::Instances(instances) => instances.get(),
            Handler::StandIn(stand_in) => return stand_in(request).await,
            Handler::Forward(server) => {
                let response = server.send(request, &client, &self.traces).await;
                let response = response.unwrap_or_else(|error| {
                    self.log.component(id, &format!("no response: {error:#}"));
                    unavailable()
                });
                return response.map(|body| body::inspect(body, move |_| _ = &permit));
            }
        };
        let mut span = self.traces.component(&mut request, id);
        let result = async {
            headers::append(&mut request, found, client)?;
            self.queue.instance(instances, request, permit).await
        };
        result.await.unwrap_or_else(|error| {
            span.failed(format!("{error:#}"));
            self.log.component(id, &format!("no response: {error:#}"));
            match error.is::<InstantiationError<Arc<Ticket>>>() {
                true => unavailable(),
                false => status(StatusCode::INTERNAL_SERVER_ERROR),
            }
        })
    }

    fn well_known(&self, name: &str) -> Response<Body> {
        match name {
            "health" => Response::new(full("OK")),
            "info" => {
                let application = &self.manifest.application;
                let mut info = json!({ "name": application.name });
                if let Some(version) = &application.version {
                    info["version"] = version.as_str().into();
                }
                let mut response = Response::new(full(format!("{info:#}")));
                let json = HeaderValue::from_static("application/json");
                response.headers_mut().insert(CONTENT_TYPE, json);
                response
            }
            _ => status(StatusCode::NOT_FOUND),
        }
    }
}

/// The name of the resource at `path` that the server itself has, as Spin does.
fn well_known(path: &str) -> Option<&str> {
    path.strip_prefix("/.well-known/spin/")
}

fn unavailable() -> Response<Body> {
    let mut response = status(StatusCode::SERVICE_UNAVAILABLE);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(empty());
    *response.status_mut() = status;
    response
}
