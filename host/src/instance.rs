//! Instances of components: what each one contains, how long it lives, and what
//! it may use.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::time::Sleep;
use wasmtime::component::{GuestTaskId, ResourceTable};
use wasmtime::{Engine, Store, StoreContextMut, Trap, UpdateDeadline};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, ProxyPre, ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus,
};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::allowed_hosts::AllowedHost;
use crate::database::Grant;
use crate::engine::TICK;
use crate::limits::Limits;
use crate::log::{Log, Stdio};
use crate::memory::Memory;
use crate::network::Network;
use crate::outbound::{Application, Outbound};
use crate::shares::{Share, Slot};
use crate::sqlite::Databases;
use crate::ticket::{Requests, Ticket};
use crate::traces::Traces;
use crate::variables::Values;

/// How many requests an instance answers before it is dropped. This and the
/// next two are the defaults of Spin (`crates/trigger-http/src/lib.rs`).
const MAX_REQUESTS: usize = 128;

/// How many of them at the same time.
const MAX_CONCURRENT: usize = 16;

/// How long an instance waits for another request.
const MAX_IDLE: Duration = Duration::from_secs(1);

/// How many entries each table of an instance has: of resources that the host keeps for
/// it, of handles to those, and of what it waits for.
const MAX_ENTRIES: usize = 10_000;

/// How many files an instance has open, with what else WASI keeps for it beside HTTP.
const MAX_FILES: usize = 256;

/// How many bytes an instance passes to the host in one call.
const MAX_PASSED: usize = 64 * 1024 * 1024;

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
    pub database: Option<Grant>,
    /// Its connections to other servers.
    pub network: Arc<Network>,
    /// Whom it may call.
    pub allowed: Arc<[AllowedHost]>,
    /// How many calls of its application may wait at the same time.
    pub calls: Arc<Semaphore>,
    /// Where its output goes.
    pub log: Log,
    /// What is traced.
    pub traces: Traces,
    /// How much an instance may use.
    pub limits: Limits,
    /// How many instances it may have.
    pub instances: Arc<Share>,
    /// How much memory they may have, in bytes.
    pub memory: Arc<Share>,
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
    files: ResourceTable,
    outbound: Outbound,
    memory: Memory,
    /// How many ticks have found the guest computing since it last took a
    /// request.
    ticks: u32,
    /// Whether it has paused since the last tick.
    paused: Arc<AtomicBool>,
    requests: Requests,
    _counted: Slot,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.files }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.outbound, table: &mut self.table, ctx: &mut self.http }
    }
}

impl InstanceBuilder {
    fn store(&self) -> wasmtime::Result<Store<State>> {
        let counted = self.instances.take_slot()?;
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
        let memory = Memory::new(self.memory.clone(), self.limits.memory);
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_ENTRIES);
        let mut files = ResourceTable::new();
        files.set_max_capacity(MAX_FILES);
        let state = State {
            variables: self.variables.clone(),
            databases: Databases::new(self.database.clone(), memory.clone()),
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            table,
            files,
            outbound: Outbound::new(
                self.application.clone(),
                self.network.clone(),
                self.allowed.clone(),
                self.calls.clone(),
                self.traces.clone(),
            ),
            memory,
            ticks: 0,
            paused: Arc::default(),
            requests: Requests::default(),
            _counted: counted,
        };
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.memory);
        store.set_max_component_handles(MAX_ENTRIES);
        store.set_hostcall_fuel(MAX_PASSED);
        if let Some(tasks) = store.concurrent_resource_table() {
            tasks.set_max_capacity(MAX_ENTRIES);
        }
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
    type WorkerExpiration = Expiration;
    type WorkerState = Worker;

    async fn instantiate(&self) -> wasmtime::Result<Instance<State, Expiration, Worker>> {
        let builder = &self.0;
        let mut store = builder.store()?;
        let proxy = builder.pre.instantiate_async(&mut store).await?;
        let State { paused, requests, .. } = store.data();
        let expiration = Expiration {
            next: Box::pin(tokio::time::sleep(MAX_IDLE)),
            after_response: builder.limits.after_response,
            paused: paused.clone(),
            requests: requests.clone(),
        };
        let state = Worker { builder: builder.clone(), requests: requests.clone() };
        Ok(Instance { store, proxy, view: State::http, expiration, state })
    }
}

/// Ends an instance that has been idle for [`MAX_IDLE`], or that goes on for too long after
/// its last response. wasmtime polls it whenever the instance pauses, so it also notes
/// that.
pub struct Expiration {
    /// When to look again.
    next: Pin<Box<Sleep>>,
    after_response: Duration,
    paused: Arc<AtomicBool>,
    requests: Requests,
}

impl WorkerExpiration for Expiration {
    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
        status: WorkerStatus,
        since: Instant,
    ) -> Poll<()> {
        self.paused.store(true, Relaxed);
        let is_idle = status == WorkerStatus::Idle;
        if is_idle {
            self.requests.idle();
            let end = (since + MAX_IDLE).into();
            if self.next.deadline() != end {
                self.next.as_mut().reset(end);
            }
        }
        while self.next.as_mut().poll(context).is_ready() {
            let is_abandoned = status == WorkerStatus::PostReturn
                && self.requests.is_abandoned(self.after_response);
            if is_idle || is_abandoned {
                return Poll::Ready(());
            }
            // wasmtime does not always poll when an instance becomes idle, so
            // look again later.
            self.next.as_mut().reset((Instant::now() + MAX_IDLE).into());
        }
        Poll::Pending
    }
}

/// Decides how many requests an instance takes, and logs why it ended.
pub struct Worker {
    builder: Arc<InstanceBuilder>,
    requests: Requests,
}

impl WorkerState for Worker {
    type StoreData = State;
    type RequestData = Arc<Ticket>;

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        if total >= MAX_REQUESTS || self.requests.is_late(self.builder.limits.after_response) {
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
        ticket: Arc<Ticket>,
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        store.data_mut().ticks = 0;
        self.requests.begun(&ticket);
        // wasmtime drops this future when the guest has produced a response. It does
        // not end the guest when the client goes away, so the ticket stays until then.
        Box::pin(async move {
            let _ticket = ticket;
            std::future::pending().await
        })
    }

    fn drop(&self, _: Store<State>, result: wasmtime::Result<()>) {
        let InstanceBuilder { id, log, limits, application, .. } = &*self.builder;
        // Instances end with their application, too. That is no error.
        if let Err(error) = result
            && application.strong_count() > 0
        {
            let most = limits.after_response;
            let reason = match self.requests.is_abandoned(most) && !error.is::<Trap>() {
                true => format!("a task went on for {most:?} after the last response"),
                false => format!("{error:?}"),
            };
            log.write(id, &format!("the instance ended: {reason}"));
        }
    }
}
