//! wasmtime: one engine for the components of all applications, and what they import.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Result, anyhow};
use wasmtime::component::{Component, Linker};
use wasmtime::{
    Cache, Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
};
use wasmtime_wasi_http::p3::bindings::ServicePre;

use crate::bounds::limits::MAX_INSTANCES;
use crate::imports::sqlite::interface as sqlite;
use crate::imports::{denied, variables};
use crate::runtime::store::{State, TICK};
use crate::telemetry::log::Log;

/// Interfaces that Spin has and this host does not, and what to do without them.
const REFUSED: [(&str, &str); 2] = [
    ("wasi:sockets/", "send requests by HTTP"),
    ("wasi:http/incoming-handler@0.2.", "build the component with spin-sdk 7 or later"),
];

/// Compiles components, and makes running ones pause.
pub struct Compiler {
    engine: Engine,
    linker: Linker<State>,
}

impl Compiler {
    /// The compiler of this process. The first call makes it, and tells `log` what is slow on
    /// this machine.
    ///
    /// # Errors
    /// If wasmtime does not work here.
    pub fn of_process(log: &Log) -> Result<Arc<Self>> {
        static COMPILER: Mutex<Option<Arc<Compiler>>> = Mutex::new(None);
        let mut known = COMPILER.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(compiler) = &*known {
            return Ok(compiler.clone());
        }
        Ok(known.insert(Arc::new(Self::new(log)?)).clone())
    }

    /// Links everything that a component of Spin's HTTP trigger imports and that this host
    /// supports.
    fn new(log: &Log) -> Result<Self> {
        let engine = engine(log)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi::p3::add_to_linker(&mut linker)?;
        wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
        variables::add_to_linker(&mut linker, variables::INTERFACE, |state: &State| {
            &state.component.variables
        })?;
        sqlite::add_to_linker(
            &mut linker,
            sqlite::INTERFACE,
            |state| &mut state.databases,
            |component| component.database.as_ref(),
        )?;
        denied::add_to_linker(&mut linker, |state| &mut state.databases)?;
        let clock = engine.clone();
        thread::Builder::new().name("epochs".into()).spawn(move || {
            loop {
                clock.increment_epoch();
                thread::sleep(TICK);
            }
        })?;
        Ok(Self { engine, linker })
    }

    /// Compiles the component `binary`, or takes it from the cache.
    ///
    /// # Errors
    /// If it is no component, or imports what this host does not support.
    pub fn compile(&self, binary: &[u8]) -> Result<ServicePre<State>> {
        let component = Component::new(&self.engine, binary)?;
        let kind = component.component_type();
        let imports = kind.imports(&self.engine).map(|(name, _)| name);
        let mut names = imports.chain(kind.exports(&self.engine).map(|(name, _)| name));
        let refused = names.find_map(|name| {
            let (_, hint) = REFUSED.iter().find(|(interface, _)| name.starts_with(interface))?;
            Some(anyhow!("`{name}` is not supported here: {hint}, or use `spin up`"))
        });
        if let Some(error) = refused {
            return Err(error);
        }
        let pre = self.linker.instantiate_pre(&component)?;
        ServicePre::new(pre)
            .map_err(|error| anyhow!("{error:#} (components of spin-sdk 7 and later work here)"))
    }
}

fn engine(log: &Log) -> Result<Engine> {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    config.epoch_interruption(true);
    match Cache::from_file(None) {
        Ok(cache) => _ = config.cache(Some(cache)),
        Err(error) => {
            log.host(format!(
                "Every start compiles the components anew, without a cache: {error:#}"
            ));
        }
    }
    let on_demand = config.clone();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    Engine::new(&config).or_else(|error| {
        // The pool reserves address space, of which some machines have too little.
        log.host(format!(
            "Instances are allocated on demand, which is slower than a pool: {error:#}"
        ));
        Ok(Engine::new(&on_demand)?)
    })
}

fn pool() -> PoolingAllocationConfig {
    let instances = MAX_INSTANCES as u32;
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(instances)
        .total_core_instances(4 * instances)
        .total_memories(instances)
        .total_tables(2 * instances)
        .total_stacks(instances)
        .max_memory_size(4 << 30)
        // An instance that ended leaves memory to the next one: the pages that it wrote,
        // up to 1 MiB. Before Linux 6.7, it leaves the whole first MiB.
        .max_unused_warm_slots(16)
        .linear_memory_keep_resident(1 << 20)
        .pagemap_scan(Enabled::Auto)
        .table_keep_resident(512 << 10);
    pool
}
