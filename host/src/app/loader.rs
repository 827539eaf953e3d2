//! Loads an application: reads its manifest, copies its files, compiles its
//! components.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{PathBuf, absolute};
use std::sync::{Arc, OnceLock, Weak};

use anyhow::{Context, ensure};
use futures::FutureExt;
use http::{Request, Response};
use tokio::sync::Semaphore;
use wasmtime_wasi_http::p3::bindings::ServicePre;

use crate::app::compose::compose;
use crate::app::dispatch::{App, Handler, Inner, StandIn};
use crate::app::forward::Forward;
use crate::app::queue::Queue;
use crate::app::router::{Route, Router};
use crate::body::Body;
use crate::bounds::limits::Limits;
use crate::bounds::shares::Total;
use crate::error::Error;
use crate::imports::component::{Application, Component};
use crate::imports::network::Network;
use crate::imports::sqlite::database::Database;
use crate::imports::{files, variables};
use crate::manifest::allowed_hosts::AllowedHosts;
use crate::manifest::{self, Manifest};
use crate::runtime::engine::Compiler;
use crate::runtime::pool::{Instances, Pool};
use crate::runtime::store::State;
use crate::telemetry::log::Log;
use crate::telemetry::traces::Traces;
use crate::threads::PerThread;

/// How many requests of a component its application answers at the same time, so that one
/// that calls itself without end does not take all instances: each answers up to 16 of them.
const MAX_CALLS: usize = 1000;

/// Loads an application, with changes if a test needs them.
#[derive(Clone)]
pub struct Loader {
    manifest: PathBuf,
    pub(crate) log: Log,
    traces: Traces,
    limits: Limits,
    stand_ins: BTreeMap<String, StandIn>,
    forwards: BTreeMap<String, SocketAddr>,
    variables: BTreeMap<String, String>,
    state_dir: Option<PathBuf>,
    is_like_libsql: bool,
    selected: Vec<String>,
}

impl Loader {
    /// Loads the application whose manifest is at the path `manifest`.
    pub fn new(manifest: impl Into<PathBuf>) -> Self {
        Self {
            manifest: manifest.into(),
            log: Log::default(),
            traces: Traces::default(),
            limits: Limits::default(),
            stand_ins: BTreeMap::new(),
            forwards: BTreeMap::new(),
            variables: BTreeMap::new(),
            state_dir: None,
            is_like_libsql: false,
            selected: Vec::new(),
        }
    }

    /// Gives `log` what there is to say. By default, nobody reads it.
    pub fn log(mut self, log: Log) -> Self {
        self.log = log;
        self
    }

    /// Traces its requests.
    pub fn traces(mut self, traces: Traces) -> Self {
        self.traces = traces;
        self
    }

    /// Sets limits other than the default ones.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the application's variable `name`.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Keeps the database in the folder `path`, which is made when it is first needed,
    /// and not in `.spin` beside the manifest. With an empty path, each connection of a
    /// component has a database of its own in memory.
    pub fn state_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(path.into());
        self
    }

    /// Lets the database do what a libSQL server does, for tests: a connection refuses a
    /// statement while another one runs on it, and `PRAGMA journal_mode` is an error.
    pub fn like_libsql(mut self) -> Self {
        self.is_like_libsql = true;
        self
    }

    /// Loads only the component `id`, and others that are selected in the same way.
    pub fn select(mut self, id: &str) -> Self {
        self.selected.push(id.to_owned());
        self
    }

    /// Lets `stand_in` answer in place of the component `id`, whose binary need
    /// not exist then.
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

    /// Lets the server at `address` answer the requests for the component `id`, whose binary
    /// need not exist then. One that gets no response is a 503 with `Retry-After`.
    pub fn forward(mut self, id: &str, address: SocketAddr) -> Self {
        self.forwards.insert(id.to_owned(), address);
        self
    }

    /// Loads the application.
    ///
    /// # Errors
    /// What is wrong, and where in the manifest if it is there.
    pub fn load(self) -> Result<App, Error> {
        self.try_load().map_err(|error| Error::or_kind(error, Error::Load))
    }

    /// Its manifest, with nothing but the selected components.
    ///
    /// # Errors
    /// If it is wrong, or can't be read, or has no such components.
    pub fn manifest(&self) -> Result<Manifest, Error> {
        let mut manifest = Manifest::read(&self.manifest)?;
        if !self.selected.is_empty() {
            manifest.select(&self.selected)?;
        }
        Ok(manifest)
    }

    /// The values of its variables, by name.
    ///
    /// # Errors
    /// If `.env` or a name is wrong.
    pub fn values(&self) -> Result<BTreeMap<String, String>, Error> {
        variables::of_application(&self.manifest()?, &self.variables).map_err(Error::Load)
    }

    fn try_load(&self) -> anyhow::Result<App> {
        let manifest = self.manifest()?;
        for id in self.stand_ins.keys().chain(self.forwards.keys()) {
            ensure!(
                manifest.components.contains_key(id),
                "there is no component `{id}` to replace"
            );
        }
        let compiler = Compiler::of_process(&self.log)?;
        let shared = Shared::new(self, &manifest)?;
        // Nobody can call a component that no trigger names.
        let ids: BTreeSet<_> = manifest.triggers.iter().map(|trigger| &trigger.component).collect();
        let mut handlers = BTreeMap::new();
        let replaced = |id: &str| self.stand_ins.contains_key(id) || self.forwards.contains_key(id);
        for id in ids.into_iter().filter(|id| !replaced(id)) {
            let compiled = compile(&compiler, &manifest, id)?;
            let pool = Pool::new(shared.component(id)?, compiled);
            let instances = PerThread::new(|| Instances::new(pool.clone()));
            handlers.insert(id.clone(), Handler::Instances(instances));
        }
        for (id, stand_in) in &self.stand_ins {
            handlers.insert(id.clone(), Handler::StandIn(stand_in.clone()));
        }
        for (id, address) in &self.forwards {
            let server = address.to_string().parse()?;
            let network = Network::new(shared.sockets.share());
            handlers.insert(id.clone(), Handler::Forward(Forward { server, network }));
        }
        let Shared { application, .. } = shared;
        let app = Arc::new(Inner {
            router: Router::new(public_routes(&manifest))?,
            manifest,
            handlers,
            limits: self.limits,
            queue: Queue::new(self.limits, self.log.clone()),
            log: self.log.clone(),
            traces: self.traces.clone(),
            chained: Route::new("/...", ""),
            address: OnceLock::new(),
        });
        let answers: Arc<dyn Application> = app.clone();
        _ = application.set(Arc::downgrade(&answers));
        Ok(App(app))
    }
}

/// What the components of an application share.
struct Shared<'a> {
    loader: &'a Loader,
    manifest: &'a Manifest,
    /// Set once the application is there.
    application: Arc<OnceLock<Weak<dyn Application>>>,
    /// The values of its variables.
    values: BTreeMap<String, String>,
    database: Arc<Database>,
    instances: Arc<Total>,
    memory: Arc<Total>,
    sockets: Arc<Total>,
}

impl<'a> Shared<'a> {
    fn new(loader: &'a Loader, manifest: &'a Manifest) -> anyhow::Result<Self> {
        let state_dir = match &loader.state_dir {
            Some(path) if path.as_os_str().is_empty() => None,
            Some(path) => Some(absolute(path)?),
            None => Some(manifest.dir.join(".spin")),
        };
        let limits = loader.limits;
        let connections = limits.database_connections;
        Ok(Self {
            loader,
            manifest,
            application: Arc::new(OnceLock::new()),
            values: variables::of_application(manifest, &loader.variables)?,
            database: Database::new(state_dir, connections, loader.is_like_libsql),
            instances: Total::new(limits.instances),
            memory: Total::new(limits.total_memory),
            sockets: Total::new(limits.sockets),
        })
    }

    fn component(&self, id: &str) -> anyhow::Result<Component> {
        let Self { loader, manifest, .. } = self;
        let toml = &manifest.components[id];
        let variables = variables::of_component(toml, &self.values)
            .with_context(|| format!("the component `{id}`"))?;
        Ok(Component {
            id: id.to_owned(),
            application: self.application.clone(),
            files: files::copy_of(manifest, toml)?,
            environment: toml.environment.clone().into_iter().collect(),
            variables,
            database: (!toml.sqlite_databases.is_empty()).then(|| self.database.grant()),
            network: Network::new(self.sockets.share()),
            allowed_hosts: allowed_hosts(manifest, id, &self.values)?,
            calls: Arc::new(Semaphore::new(MAX_CALLS)),
            instances: self.instances.share(),
            memory: self.memory.share(),
            limits: loader.limits,
            log: loader.log.clone(),
            traces: loader.traces.clone(),
        })
    }
}

fn compile(compiler: &Compiler, manifest: &Manifest, id: &str) -> Result<ServicePre<State>, Error> {
    let component = &manifest.components[id];
    compiler.compile(&compose(manifest, id)?).map_err(|error| {
        let names: Vec<_> = component.dependencies.keys().map(String::as_str).collect();
        let from = match &names[..] {
            [] => "from its source".to_owned(),
            names => format!("composed with {}", names.join(" and ")),
        };
        let message = format!("can't load the component `{id}` {from}: {error:#}");
        manifest.error(component.source.span(), message)
    })
}

/// Whom the component `id` may call. As in Spin, an entry whose variables are empty allows
/// nothing.
fn allowed_hosts(
    manifest: &Manifest,
    id: &str,
    values: &BTreeMap<String, String>,
) -> Result<AllowedHosts, Error> {
    let mut allowed = Vec::new();
    for host in &manifest.components[id].allowed_outbound_hosts {
        let error = |error: &dyn Display| manifest.error(host.span(), error);
        let text = variables::expand(host.get_ref(), values).map_err(|cause| error(&cause))?;
        if !matches!(text.trim(), "" | "http://" | "https://") {
            allowed.push(text.parse().map_err(|cause: String| error(&cause))?);
        }
    }
    Ok(AllowedHosts(allowed))
}

/// The pattern and the component of each public route.
fn public_routes(manifest: &Manifest) -> impl Iterator<Item = (&str, &str)> {
    manifest.triggers.iter().filter_map(|trigger| match &trigger.route {
        manifest::Route::Public(pattern) => Some((pattern.as_str(), trigger.component.as_str())),
        manifest::Route::Private(_) => None,
    })
}
