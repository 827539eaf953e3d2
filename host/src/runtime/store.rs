//! The store of an instance: what the host keeps for it, and what it may use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store, UpdateDeadline};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::bounds::memory::Memory;
use crate::bounds::shares::Slots;
use crate::imports::component::Component;
use crate::imports::outbound::Outbound;
use crate::imports::sqlite::interface::Databases;
use crate::imports::stdio::Stdio;
use crate::runtime::requests::Requests;

/// How often a running guest pauses, so that others can run.
pub const TICK: Duration = Duration::from_millis(10);

/// How many entries each table of an instance has: of resources that the host keeps for
/// it, of handles to those, and of what it waits for.
const MAX_ENTRIES: usize = 10_000;

/// How many files an instance has open, with what else WASI keeps for it beside HTTP.
const MAX_FILES: usize = 256;

/// How many bytes an instance passes to the host in one call.
const MAX_PASSED: usize = 64 * 1024 * 1024;

/// What the host keeps for an instance.
pub struct State {
    /// Its component.
    pub component: Arc<Component>,
    /// Its connections to the database.
    pub databases: Databases,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    files: ResourceTable,
    outbound: Outbound,
    memory: Memory,
    /// How many ticks have found the guest computing since it last took a
    /// request.
    pub ticks: u32,
    /// Whether it has paused since the last tick.
    pub paused: Arc<AtomicBool>,
    /// Those that it answers.
    pub requests: Requests,
    _counted: Slots,
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

/// The store of a new instance of `component`. It counts once for each of its `memories`,
/// because wasmtime's pool has as many of them as there may be instances.
///
/// # Errors
/// If the component may have no other instance.
pub fn store(
    engine: &Engine,
    component: Arc<Component>,
    memories: usize,
) -> wasmtime::Result<Store<State>> {
    let counted = component.instances.take_slots(memories)?;
    let stdio = Stdio::new(component.clone());
    let mut wasi = WasiCtxBuilder::new();
    wasi.stdout(stdio.clone())
        .stderr(stdio)
        .envs(&component.environment)
        // Files are small and local: another thread would need longer to
        // wake up than to read them.
        .allow_blocking_current_thread(true);
    if let Some(files) = &component.files {
        wasi.preopened_dir(files.path(), "/", FsPerms::ReadOnly)?;
    }
    let memory = Memory::new(component.memory.clone(), component.limits.memory);
    let mut table = ResourceTable::new();
    table.set_max_capacity(MAX_ENTRIES);
    let mut files = ResourceTable::new();
    files.set_max_capacity(MAX_FILES);
    let state = State {
        databases: Databases::new(component.clone(), memory.clone()),
        wasi: wasi.build(),
        http: WasiHttpCtx::new(),
        table,
        files,
        outbound: Outbound(component.clone()),
        memory,
        ticks: 0,
        paused: Arc::default(),
        requests: Requests::default(),
        _counted: counted,
        component: component.clone(),
    };
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.memory);
    store.set_max_component_handles(MAX_ENTRIES);
    store.set_hostcall_fuel(MAX_PASSED);
    if let Some(tasks) = store.concurrent_resource_table() {
        tasks.set_max_capacity(MAX_ENTRIES);
    }
    // A guest that yields at a tick has paused when the next one comes, so
    // only every second tick counts.
    let limit = (component.limits.cpu.as_millis() / TICK.as_millis() / 2) as u32;
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
