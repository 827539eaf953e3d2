//! An application that was loaded: from a request to a response.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::repeat_n;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use serde_json::json;
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::handler::ProxyHandler;

use crate::instance::{Instances, Limits, Runtime, Template};
use crate::log::Log;
use crate::manifest::Manifest;
use crate::router::{Match, Route, Router};
use crate::{Body, empty, files, full, headers, shard, variables};

/// Where a request of a sibling comes from, as Spin puts it.
const CHAINED_CLIENT: HeaderValue = HeaderValue::from_static("0.0.0.0:0");

/// Where a request in this process comes from.
const LOCAL_CLIENT: HeaderValue = HeaderValue::from_static("127.0.0.1:0");

/// What answers in the place of a component.
pub type StandIn = Arc<dyn Fn(Request<Body>) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

/// A Spin HTTP application, ready to answer.
///
/// Clones are the same application.
#[derive(Clone)]
pub struct App(Arc<Inner>);

pub(crate) struct Inner {
    manifest: Manifest,
    router: Router,
    /// The route of chained calls.
    everything: Route,
    components: BTreeMap<String, Component>,
    /// Where a server serves it, which requests to itself name as their host.
    address: OnceLock<SocketAddr>,
    log: Log,
}

enum Component {
    /// A handler for each shard.
    Wasm(Vec<ProxyHandler<Instances>>),
    StandIn(StandIn),
}

/// How an application is to be loaded.
pub struct Loader {
    manifest: PathBuf,
    log: Log,
    limits: Limits,
    stand_ins: BTreeMap<String, StandIn>,
    variables: BTreeMap<String, String>,
}

impl Loader {
    /// Will load the application of the manifest at the path `manifest`.
    pub fn new(manifest: impl Into<PathBuf>) -> Self {
        Self {
            manifest: manifest.into(),
            log: Log::stderr(),
            limits: Limits::default(),
            stand_ins: BTreeMap::new(),
            variables: BTreeMap::new(),
        }
    }

    /// Sends what the components write to `log`, rather than to standard error.
    pub fn log(mut self, log: Log) -> Self {
        self.log = log;
        self
    }

    /// Gives each instance `limits`, rather than the default ones.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Gives the application's variable `name` the value `value`.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Lets `stand_in` answer in the place of the component `id`, whose binary
    /// then need not exist.
    pub fn replace<F>(
        mut self,
        id: &str,
        stand_in: impl Fn(Request<Body>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let stand_in: StandIn = Arc::new(move |request| stand_in(request).boxed());
        self.stand_ins.insert(id.to_owned(), stand_in);
        self
    }

    /// Reads the manifest, copies the files and compiles the components.
    ///
    /// # Errors
    /// One that says what is wrong, and in which line of the manifest if it is
    /// there.
    pub fn load(self) -> Result<App> {
        let manifest = Manifest::read(&self.manifest)?;
        for id in self.stand_ins.keys() {
            ensure!(
                manifest.components.contains_key(id),
                "there is no component `{id}` to replace"
            );
        }
        let variables = variables::of_application(&manifest, &self.variables)?;
        let runtime = Runtime::new()?;
        let app = Arc::new(OnceLock::new());
        // A component that no trigger names can't be called by anybody.
        let ids: BTreeSet<_> = manifest.triggers.iter().map(|trigger| &trigger.component).collect();
        let components = ids.into_iter().map(|id| {
            let component = match self.stand_ins.get(id) {
                Some(stand_in) => Component::StandIn(stand_in.clone()),
                None => {
                    let template = self.template(&manifest, id, &variables, &runtime, &app)?;
                    let templates = repeat_n(Arc::new(template), shard::count());
                    Component::Wasm(
                        templates.map(|template| ProxyHandler::new(Instances(template))).collect(),
                    )
                }
            };
            Ok((id.clone(), component))
        });
        let inner = Arc::new(Inner {
            components: components.collect::<Result<_>>()?,
            router: Router::new(&manifest.triggers)?,
            everything: Route::new("/...", ""),
            manifest,
            address: OnceLock::new(),
            log: self.log,
        });
        _ = app.set(Arc::downgrade(&inner));
        Ok(App(inner))
    }

    fn template(
        &self,
        manifest: &Manifest,
        id: &str,
        variables: &BTreeMap<String, String>,
        runtime: &Runtime,
        app: &Arc<OnceLock<Weak<Inner>>>,
    ) -> Result<Template> {
        let component = &manifest.components[id];
        let source = manifest.dir.join(component.source.get_ref());
        let pre = runtime.compile(&source).map_err(|error| {
            let message = format!("can't load the component `{id}` from its source: {error:#}");
            manifest.error(component.source.span(), message)
        })?;
        let files = if component.files.is_empty() {
            None
        } else {
            let root = tempfile::tempdir().context("can't make a folder for files")?;
            files::mount(manifest, component, root.path())?;
            Some(root)
        };
        Ok(Template {
            id: id.into(),
            pre,
            engine: runtime.engine().clone(),
            files,
            environment: component.environment.clone().into_iter().collect(),
            app: app.clone(),
            variables: variables::of_component(component, variables)
                .with_context(|| format!("the component `{id}`"))?,
            allowed: component.allowed_outbound_hosts.clone().into(),
            log: self.log.clone(),
            limits: self.limits,
        })
    }
}

impl App {
    /// Loads the application of the manifest at the path `manifest`.
    ///
    /// # Errors
    /// Those of [`Loader::load`].
    pub fn load(manifest: &Path) -> Result<Self> {
        Loader::new(manifest).load()
    }

    /// Answers `request`, as if it had come over a connection.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Error>,
    {
        let mut request = request.map(|body| body.map_err(Into::into).boxed_unsync());
        if request.uri().authority().is_none() && !request.headers().contains_key(HOST) {
            request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
        }
        let is_head = request.method() == Method::HEAD;
        let response = self.0.serve(request, LOCAL_CLIENT).await;
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

    /// Answers a request that came from `client`.
    pub(crate) async fn serve(
        &self,
        request: Request<Body>,
        client: HeaderValue,
    ) -> Response<Body> {
        self.0.serve(request, client).await
    }

    /// Says where the application is served.
    pub(crate) fn set_address(&self, address: SocketAddr) {
        _ = self.0.address.set(address);
    }
}

impl Inner {
    async fn serve(&self, mut request: Request<Body>, client: HeaderValue) -> Response<Body> {
        headers::strip(&mut request);
        let path = request.uri().path();
        if let Some(name) = path.strip_prefix("/.well-known/spin/") {
            return self.well_known(name);
        }
        let Some(found) = self.router.find(path) else {
            return status(StatusCode::NOT_FOUND);
        };
        if headers::make_absolute(&mut request).is_err() {
            return status(StatusCode::BAD_REQUEST);
        }
        let id = &found.route.component;
        self.run(id, &self.components[id], request, found, client).await
    }

    /// Answers the request of a component to its sibling `id`.
    ///
    /// # Errors
    /// [`Error::InternalError`] if there is no such sibling.
    pub(crate) async fn call_component(
        &self,
        id: &str,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, Error> {
        let component = self.components.get(id).ok_or(Error::InternalError(None))?;
        request.headers_mut().remove(HOST);
        headers::make_absolute(&mut request).map_err(|_| Error::HttpRequestUriInvalid)?;
        let found = Match::of_component(&self.everything, request.uri().path());
        Ok(self.run(id, component, request, found, CHAINED_CLIENT).await)
    }

    /// Answers the request of a component to its own application.
    pub(crate) async fn call_self(&self, mut request: Request<Body>) -> Response<Body> {
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
        let address = self.address.get().map_or(LOCAL_CLIENT, |address| headers::client(*address));
        request.headers_mut().insert(HOST, address);
        self.serve(request, LOCAL_CLIENT).await
    }

    async fn run(
        &self,
        id: &str,
        component: &Component,
        mut request: Request<Body>,
        found: Match<'_>,
        client: HeaderValue,
    ) -> Response<Body> {
        let run = async {
            headers::add(&mut request, found, client)?;
            match component {
                Component::Wasm(handlers) => {
                    Ok(handlers[shard::current()].handle((), request).await?)
                }
                Component::StandIn(stand_in) => Ok(stand_in(request).await),
            }
        };
        run.await.unwrap_or_else(|error: anyhow::Error| {
            self.log.write(id, &format!("no response: {error:#}"));
            status(StatusCode::INTERNAL_SERVER_ERROR)
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

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(empty());
    *response.status_mut() = status;
    response
}
