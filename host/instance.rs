//! Running components: one engine for all, instances that are reused.

use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use tokio::time::Sleep;
use wasmtime::component::{Component, GuestTaskId, Linker, ResourceTable};
use wasmtime::{
    Cache, Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store,
    StoreContextMut, StoreLimits, StoreLimitsBuilder, UpdateDeadline,
};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, ProxyPre, ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus,
};
use wasmtime_wasi_http::p3::bindings::ServicePre;
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::app::Inner;
use crate::log::{Log, Stdio};
use crate::outbound::{AllowedHost, Outbound};
use crate::variables::{self, Values};

/// How many requests an instance answers before it is dropped. This and the
/// next two are the defaults of Spin (`crates/trigger-http/src/lib.rs`).
const MAX_REQUESTS: usize = 128;

/// How many of them at the same time.
const MAX_CONCURRENT: usize = 16;

/// How long an instance waits for another request.
const MAX_IDLE: Duration = Duration::from_secs(1);

/// How often a running guest gives way to others.
const TICK: Duration = Duration::from_millis(10);

/// How many instances there can be at the same time, as in Spin
/// (`crates/core/src/lib.rs`).
const MAX_INSTANCES: u32 = 1000;

/// What an instance may use before it is ended.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long it may compute without ever waiting, since it last took a request,
    /// in steps of 10 ms; a step with a wait in it does not count. Until then, an
    /// instance that waited once and loops now holds up whatever its component was
    /// given meanwhile.
    pub cpu: Duration,
    /// How large each of its memories may grow, in bytes.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { cpu: Duration::from_secs(3), memory: 512 * 1024 * 1024 }
    }
}

/// Compiles components, and keeps time for those that run.
pub struct Runtime {
    engine: Engine,
    linker: Linker<State>,
}

impl Runtime {
    /// An engine with everything linked that a component of Spin's HTTP
    /// trigger imports and that this host supports.
    ///
    /// # Errors
    /// If wasmtime does not work on this machine.
    pub fn new() -> Result<Self> {
        let engine = engine()?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi::p3::add_to_linker(&mut linker)?;
        wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
        variables::add_to_linker(&mut linker)?;
        let clock = engine.weak();
        std::thread::Builder::new().name("epochs".into()).spawn(move || {
            while let Some(engine) = clock.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        })?;
        Ok(Self { engine, linker })
    }

    /// Compiles the component at `source`, or takes it from the cache.
    ///
    /// # Errors
    /// If it is missing, is no component, or needs what this host does not have.
    pub fn compile(&self, source: &Path) -> Result<ProxyPre<State>> {
        let component = Component::from_file(&self.engine, source)?;
        let pre = self.linker.instantiate_pre(&component)?;
        let service = ServicePre::new(pre)
            .map_err(|error| anyhow!("{error:#} (components of spin-sdk 7 and later work here)"))?;
        Ok(ProxyPre::P3(service))
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}

fn engine() -> Result<Engine> {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    config.epoch_interruption(true);
    // Without a home directory there is no cache, and compiling takes longer.
    config.cache(Cache::from_file(None).ok());
    let on_demand = config.clone();
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(MAX_INSTANCES)
        .total_core_instances(4 * MAX_INSTANCES)
        .total_memories(MAX_INSTANCES)
        .total_tables(2 * MAX_INSTANCES)
        .total_stacks(MAX_INSTANCES)
        .max_memory_size(4 << 30)
        // What is kept of instances that ended, for the next ones.
        .max_unused_warm_slots(16)
        .linear_memory_keep_resident(1 << 20)
        .table_keep_resident(512 << 10);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    // The pool needs address space, of which some machines have too little.
    Ok(Engine::new(&config).or_else(|_| Engine::new(&on_demand))?)
}

/// What instances of one component are made from.
pub struct Template {
    /// The component's id.
    pub id: Arc<str>,
    /// The compiled component.
    pub pre: ProxyPre<State>,
    /// The engine that compiled it.
    pub engine: Engine,
    /// Its files, if it has any.
    pub files: Option<tempfile::TempDir>,
    /// Its environment variables.
    pub environment: Vec<(String, String)>,
    /// The application, once it is complete.
    pub app: Arc<OnceLock<Weak<Inner>>>,
    /// Its variables.
    pub variables: Values,
    /// Whom it may call.
    pub allowed: Arc<[AllowedHost]>,
    /// Where its output goes.
    pub log: Log,
    /// What each instance may use.
    pub limits: Limits,
}

/// What an instance has of the host.
pub struct State {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    outbound: Outbound,
    /// The component's variables.
    pub variables: Values,
    memory: StoreLimits,
    /// For how many ticks the guest has been found computing since it last
    /// took a request.
    ticks: u32,
    /// Whether it has waited or given way since the last tick.
    paused: Arc<AtomicBool>,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.outbound, table: &mut self.table, ctx: &mut self.http }
    }
}

impl Template {
    fn store(&self) -> Result<Store<State>> {
        let stdio = Stdio::new(self.log.clone(), self.id.clone());
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(stdio.clone())
            .stderr(stdio)
            .envs(&self.environment)
            // Files are small and local: waiting for another thread to read
            // them takes longer than reading them.
            .allow_blocking_current_thread(true);
        if let Some(files) = &self.files {
            wasi.preopened_dir(files.path(), "/", FsPerms::ReadOnly)?;
        }
        let app = self.app.get().cloned().unwrap_or_default();
        let state = State {
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            table: ResourceTable::new(),
            outbound: Outbound::new(app, self.allowed.clone()),
            variables: self.variables.clone(),
            memory: StoreLimitsBuilder::new().memory_size(self.limits.memory).build(),
            ticks: 0,
            paused: Arc::default(),
        };
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.memory);
        // Having given way after a tick, a guest is not charged for the next one.
        let limit = (self.limits.cpu.as_millis() / TICK.as_millis() / 2) as u32;
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |mut store| {
            let state = store.data_mut();
            // It has not been computing for all of the tick.
            if state.paused.swap(false, Relaxed) {
                return Ok(UpdateDeadline::Continue(1));
            }
            state.ticks += 1;
            Ok(if state.ticks > limit {
                UpdateDeadline::Interrupt
            } else {
                UpdateDeadline::Yield(1)
            })
        });
        Ok(store)
    }
}

/// The instances of a template on one shard.
pub struct Instances(pub Arc<Template>);

impl HandlerState for Instances {
    type StoreData = State;
    type WorkerExpiration = Pauses;
    type WorkerState = Worker;

    async fn instantiate(&self) -> wasmtime::Result<Instance<State, Pauses, Worker>> {
        let template = &self.0;
        let mut store = template.store().map_err(wasmtime::Error::from_anyhow)?;
        let proxy = template.pre.instantiate_async(&mut store).await?;
        let paused = store.data().paused.clone();
        Ok(Instance {
            store,
            proxy,
            view: State::http,
            expiration: Pauses { end: Box::pin(tokio::time::sleep(MAX_IDLE)), paused },
            state: Worker {
                id: template.id.clone(),
                app: template.app.get().cloned().unwrap_or_default(),
                log: template.log.clone(),
            },
        })
    }
}

/// Is asked whenever an instance pauses; ends one that has had nothing to do for
/// a while.
pub struct Pauses {
    end: Pin<Box<Sleep>>,
    paused: Arc<AtomicBool>,
}

impl WorkerExpiration for Pauses {
    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
        status: WorkerStatus,
        since: Instant,
    ) -> Poll<()> {
        self.paused.store(true, Relaxed);
        let is_idle = status == WorkerStatus::Idle;
        let end = (since + MAX_IDLE).into();
        if is_idle && self.end.deadline() != end {
            self.end.as_mut().reset(end);
        }
        while self.end.as_mut().poll(context).is_ready() {
            if is_idle {
                return Poll::Ready(());
            }
            // The handler does not always ask when an instance becomes idle, so
            // look again later.
            self.end.as_mut().reset((Instant::now() + MAX_IDLE).into());
        }
        Poll::Pending
    }
}

/// Says how many requests an instance takes, and why it ended if it trapped.
pub struct Worker {
    id: Arc<str>,
    app: Weak<Inner>,
    log: Log,
}

impl WorkerState for Worker {
    type StoreData = State;
    type RequestData = ();

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        if total >= MAX_REQUESTS {
            ShouldAccept::Never
        } else if concurrent >= MAX_CONCURRENT {
            ShouldAccept::No
        } else {
            ShouldAccept::Yes
        }
    }

    fn on_request_start(
        &self,
        mut store: StoreContextMut<'_, State>,
        (): (),
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        store.data_mut().ticks = 0;
        Box::pin(std::future::pending())
    }

    fn drop(&self, _: Store<State>, result: wasmtime::Result<()>) {
        // With the application, its instances end too; that is no error.
        if let Err(error) = result
            && self.app.strong_count() > 0
        {
            self.log.write(&self.id, &format!("the instance ended: {error:?}"));
        }
    }
}
