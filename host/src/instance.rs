//! Instances of components: what each one contains, how long it lives, and what
//! it may use.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use wasmtime::component::{GuestTaskId, ResourceTable};
use wasmtime::{Engine, Store, StoreContextMut, StoreLimits, StoreLimitsBuilder, UpdateDeadline};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, ProxyPre, ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus,
};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::allowed_hosts::AllowedHost;
use crate::database::Database;
use crate::engine::TICK;
use crate::limits::Limits;
use crate::log::{Log, Stdio};
use crate::network::Network;
use crate::outbound::{Application, Outbound};
use crate::sqlite::Databases;
use crate::traces::Traces;
use crate::variables::Values;

/// How many requests an instance answers before it is dropped. This and the
/// next two are the defaults of Spin (`crates/trigger-http/src/lib.rs`).
const MAX_REQUESTS: usize = 128;

/// How many of them at the same time.
const MAX_CONCURRENT: usize = 16;

/// How long an instance waits for another request.
const MAX_IDLE: Duration = Duration::from_secs(1);

/// The permit of a request from outside to be answered. A chained request has
/// none.
pub type Permit = Option<OwnedSemaphorePermit>;

/// Makes the instances of one component.
pub struct InstanceBuilder {
    /// The component's id.
    pub id: Arc<str>,
    /// The compiled component.
    pub pre: ProxyPre<State>,
    /// The engine that compiled it.
    pub engine: Engine,
    /// The application, which answers the requests of the component.
    pub application: Weak<dyn Application>,
    /// Its files, if it has any.
    pub files: Option<tempfile::TempDir>,
    /// Its environment variables.
    pub environment: Vec<(String, String)>,
    /// Its variables.
    pub variables: Values,
    /// The database, if it may use it.
    pub database: Option<Arc<Database>>,
    /// The connections to other servers.
    pub network: Arc<Network>,
    /// Whom it may call.
    pub allowed: Arc<[AllowedHost]>,
    /// Where its output goes.
    pub log: Log,
    /// What is traced.
    pub traces: Traces,
    /// How much an instance may use.
    pub limits: Limits,
}

/// What the host keeps for an instance.
pub struct State {
    /// The component's variables.
    pub variables: Values,
    /// The component's databases.
    pub databases: Databases,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    outbound: Outbound,
    memory: StoreLimits,
    /// How many ticks have found the guest computing since it last took a
    /// request.
    ticks: u32,
    /// Whether it has paused since the last tick.
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

impl InstanceBuilder {
    fn store(&self) -> Result<Store<State>> {
        let stdio = Stdio::new(self.log.clone(), self.id.clone());
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(stdio.clone())
            .stderr(stdio)
            .envs(&self.environment)
            // Files are small and local: another thread would need longer to
            // wake up than to read them.
            .allow_blocking_current_thread(true);
        if let Some(files) = &self.files {
            wasi.preopened_dir(files.path(), "/", FsPerms::ReadOnly)?;
        }
        let state = State {
            variables: self.variables.clone(),
            databases: Databases::new(self.database.clone()),
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            table: ResourceTable::new(),
            outbound: Outbound::new(
                self.application.clone(),
                self.network.clone(),
                self.allowed.clone(),
                self.traces.clone(),
            ),
            memory: StoreLimitsBuilder::new().memory_size(self.limits.memory).build(),
            ticks: 0,
            paused: Arc::default(),
        };
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.memory);
        // A guest that yields at a tick has paused when the next one comes, so
        // only every second tick counts.
        let limit = (self.limits.cpu.as_millis() / TICK.as_millis() / 2) as u32;
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |mut store| {
            let state = store.data_mut();
            if state.paused.swap(false, Relaxed) {
                return Ok(UpdateDeadline::Continue(1));
            }
            state.ticks += 1;
            Ok(if state.ticks > limit {
                UpdateDeadline::Interrupt
            } else {
                // tokio's, after which its runtime looks for new connections and data;
                // wasmtime's own runs the guest again at once.
                UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))
            })
        });
        Ok(store)
    }
}

/// The instances of a component on one shard: wasmtime's `ProxyHandler` makes
/// one when all others are busy, and reuses those that are not.
pub struct InstancePool(pub Arc<InstanceBuilder>);

impl HandlerState for InstancePool {
    type StoreData = State;
    type WorkerExpiration = IdleTimeout;
    type WorkerState = Worker;

    async fn instantiate(&self) -> wasmtime::Result<Instance<State, IdleTimeout, Worker>> {
        let builder = &self.0;
        let mut store = builder.store().map_err(wasmtime::Error::from_anyhow)?;
        let proxy = builder.pre.instantiate_async(&mut store).await?;
        let paused = store.data().paused.clone();
        Ok(Instance {
            store,
            proxy,
            view: State::http,
            expiration: IdleTimeout { end: Box::pin(tokio::time::sleep(MAX_IDLE)), paused },
            state: Worker(builder.clone()),
        })
    }
}

/// Ends an instance that has been idle for [`MAX_IDLE`]. wasmtime polls it
/// whenever the instance pauses, so it also notes that.
pub struct IdleTimeout {
    end: Pin<Box<Sleep>>,
    paused: Arc<AtomicBool>,
}

impl WorkerExpiration for IdleTimeout {
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
            // wasmtime does not always poll when an instance becomes idle, so
            // look again later.
            self.end.as_mut().reset((Instant::now() + MAX_IDLE).into());
        }
        Poll::Pending
    }
}

/// Decides how many requests an instance takes, and logs why it ended.
pub struct Worker(Arc<InstanceBuilder>);

impl WorkerState for Worker {
    type StoreData = State;
    type RequestData = Permit;

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
        permit: Permit,
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        store.data_mut().ticks = 0;
        // wasmtime drops this future when the guest has produced a response. It does
        // not end the guest when the client goes away, so the permit stays until then.
        Box::pin(async move {
            let _permit = permit;
            std::future::pending().await
        })
    }

    fn drop(&self, _: Store<State>, result: wasmtime::Result<()>) {
        // Instances end with their application, too. That is no error.
        if let Err(error) = result
            && self.0.application.strong_count() > 0
        {
            self.0.log.write(&self.0.id, &format!("the instance ended: {error:?}"));
        }
    }
}
