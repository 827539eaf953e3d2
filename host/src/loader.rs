//! Loads an application: reads its manifest, copies its files, compiles its
//! components.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::{PathBuf, absolute};
use std::sync::{Arc, OnceLock, Weak};

use anyhow::{Context, Result, ensure};
use futures::FutureExt;
use http::{Request, Response};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use wasmtime_wasi_http::handler::{ProxyHandler, ProxyPre};

use crate::allowed_hosts::AllowedHost;
use crate::app::{App, Component, Inner, StandIn};
use crate::body::Body;
use crate::database::Database;
use crate::engine::Compiler;
use crate::files;
use crate::instance::{InstanceBuilder, InstancePool, State};
use crate::limits::Limits;
use crate::log::Log;
use crate::manifest::{self, Manifest};
use crate::network::Network;
use crate::outbound::MAX_CALLS;
use crate::output::Notice;
use crate::router::{Route, Router};
use crate::shard;
use crate::shares::Total;
use crate::traces::Traces;
use crate::variables::{self, Values};

/// Loads an application, with changes if a test needs them.
#[derive(Clone)]
pub struct Loader {
    manifest: PathBuf,
    log: Log,
    traces: Traces,
    limits: Limits,
    stand_ins: BTreeMap<String, StandIn>,
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
            log: Log::stderr(),
            traces: Traces::default(),
            limits: Limits::default(),
            stand_ins: BTreeMap::new(),
            variables: BTreeMap::new(),
            state_dir: None,
            is_like_libsql: false,
            selected: Vec::new(),
        }
    }

    /// Sends what the components write to `log` instead of standard error.
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

    /// Loads the application.
    ///
    /// # Errors
    /// What is wrong, and where in the manifest if it is there.
    pub fn load(mut self) -> Result<App> {
        let mut manifest = Manifest::read(&self.manifest)?;
        if !self.selected.is_empty() {
            manifest.select(&self.selected)?;
        }
        for id in self.stand_ins.keys() {
            ensure!(
                manifest.components.contains_key(id),
                "there is no component `{id}` to replace"
            );
        }
        let values = variables::of_application(&manifest, &self.variables)?;
        let state_dir = match &self.state_dir {
            Some(path) if path.as_os_str().is_empty() => None,
            Some(path) => Some(absolute(path)?),
            None => Some(manifest.dir.join(".spin")),
        };
        let Limits { database_connections, .. } = self.limits;
        let shared = Shared {
            database: Database::new(state_dir, database_connections, self.is_like_libsql),
            instances: Total::new(self.limits.instances),
            memory: Total::new(self.limits.total_memory),
            sockets: Total::new(self.limits.sockets),
        };
        let compiler = Compiler::new(
            self.limits.instances,
            |state: &State| &state.variables,
            |state| &mut state.databases,
        )?;
        // Nobody can call a component that no trigger names.
        let ids: BTreeSet<_> = manifest.triggers.iter().map(|trigger| &trigger.component).collect();
        let mut compiled = BTreeMap::new();
        for id in ids.into_iter().filter(|id| !self.stand_ins.contains_key(*id)) {
            compiled.insert(id.clone(), Compiled::new(&manifest, id, &values, &compiler)?);
        }
        let stand_ins = std::mem::take(&mut self.stand_ins).into_iter();
        let mut components: BTreeMap<_, _> =
            stand_ins.map(|(id, stand_in)| (id, Component::StandIn(stand_in))).collect();
        let router = Router::new(public_routes(&manifest))?;
        Ok(App(Arc::new_cyclic(|application| {
            for (id, compiled) in compiled {
                let builder =
                    self.builder(&manifest, &id, compiled, &compiler, &shared, application);
                components.insert(id, wasm(builder));
            }
            Inner {
                manifest,
                router,
                components,
                limits: self.limits,
                log: self.log,
                traces: self.traces,
                permits: Arc::new(Semaphore::new(self.limits.requests.min(Semaphore::MAX_PERMITS))),
                refusals: Notice::default(),
                chained: Route::new("/...", ""),
                address: OnceLock::new(),
            }
        })))
    }

    fn builder(
        &self,
        manifest: &Manifest,
        id: &str,
        compiled: Compiled,
        compiler: &Compiler<State>,
        shared: &Shared,
        application: &Weak<Inner>,
    ) -> InstanceBuilder {
        let component = &manifest.components[id];
        InstanceBuilder {
            id: id.into(),
            pre: compiled.pre,
            engine: compiler.engine().clone(),
            application: application.clone(),
            files: compiled.files,
            environment: component.environment.clone().into_iter().collect(),
            variables: compiled.variables,
            database: (!component.sqlite_databases.is_empty()).then(|| shared.database.grant()),
            network: Arc::new(Network::new(shared.sockets.share())),
            allowed: compiled.allowed,
            calls: Arc::new(Semaphore::new(MAX_CALLS)),
            log: self.log.clone(),
            traces: self.traces.clone(),
            limits: self.limits,
            instances: shared.instances.share(),
            memory: shared.memory.share(),
        }
    }
}

/// What all components share.
struct Shared {
    database: Arc<Database>,
    instances: Arc<Total>,
    memory: Arc<Total>,
    sockets: Arc<Total>,
}

/// The parts of a component whose preparation can fail.
struct Compiled {
    pre: ProxyPre<State>,
    files: Option<TempDir>,
    variables: Values,
    allowed: Arc<[AllowedHost]>,
}

impl Compiled {
    fn new(
        manifest: &Manifest,
        id: &str,
        values: &BTreeMap<String, String>,
        compiler: &Compiler<State>,
    ) -> Result<Self> {
        let component = &manifest.components[id];
        let source = manifest.dir.join(component.source.get_ref());
        let pre = compiler.compile(&source).map_err(|error| {
            let message = format!("can't load the component `{id}` from its source: {error:#}");
            manifest.error(component.source.span(), message)
        })?;
        let files = if component.files.is_empty() {
            None
        } else {
            let folder = tempfile::tempdir().context("can't make a folder for files")?;
            files::mount(manifest, component, folder.path())?;
            Some(folder)
        };
        let variables = variables::of_component(component, values)
            .with_context(|| format!("the component `{id}`"))?;
        let allowed = allowed_hosts(manifest, id, values)?;
        Ok(Self { pre, files, variables, allowed })
    }
}

/// Whom the component `id` may call. As in Spin, an entry whose variables are empty allows
/// nothing.
fn allowed_hosts(
    manifest: &Manifest,
    id: &str,
    values: &BTreeMap<String, String>,
) -> Result<Arc<[AllowedHost]>> {
    let mut allowed = Vec::new();
    for host in &manifest.components[id].allowed_outbound_hosts {
        let error = |error: &dyn Display| manifest.error(host.span(), error);
        let text = variables::expand(host.get_ref(), values).map_err(|cause| error(&cause))?;
        if !matches!(text.trim(), "" | "http://" | "https://") {
            allowed.push(text.parse().map_err(|cause: String| error(&cause))?);
        }
    }
    Ok(allowed.into())
}

/// A component with a pool of instances for each shard.
fn wasm(builder: InstanceBuilder) -> Component {
    let builder = Arc::new(builder);
    let pools = (0..shard::count()).map(|_| ProxyHandler::new(InstancePool(builder.clone())));
    Component::Wasm(pools.collect())
}

/// The pattern and the component of each public route.
fn public_routes(manifest: &Manifest) -> impl Iterator<Item = (&str, &str)> {
    manifest.triggers.iter().filter_map(|trigger| match &trigger.route {
        manifest::Route::Public(pattern) => Some((pattern.as_str(), trigger.component.as_str())),
        manifest::Route::Private(_) => None,
    })
}
