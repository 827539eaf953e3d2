//! wasmtime: one engine for all components, and what they import.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, anyhow};
use wasmtime::component::{Component, Linker};
use wasmtime::{
    Cache, Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
};
use wasmtime_wasi::WasiView;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::handler::ProxyPre;
use wasmtime_wasi_http::p3::bindings::ServicePre;

use crate::output;
use crate::sqlite::{self, Databases};
use crate::variables::{self, Values};

/// How often a running guest pauses, so that others can run.
pub const TICK: Duration = Duration::from_millis(10);

/// Interfaces that Spin has and this host does not, and what to do without them.
const REFUSED: [(&str, &str); 2] = [
    ("wasi:sockets/", "send requests by HTTP"),
    ("wasi:http/incoming-handler@0.2.", "build the component with spin-sdk 7 or later"),
];

/// Compiles components whose stores contain a `T`, and makes running ones pause.
pub struct Compiler<T: 'static> {
    engine: Engine,
    linker: Linker<T>,
}

impl<T: WasiView + WasiHttpView> Compiler<T> {
    /// A compiler for at most `instances` instances at the same time. It links
    /// everything that a component of Spin's HTTP trigger imports and that this
    /// host supports.
    ///
    /// # Errors
    /// If wasmtime does not work on this machine.
    pub fn new(
        instances: usize,
        variables: fn(&T) -> &Values,
        databases: fn(&mut T) -> &mut Databases,
    ) -> Result<Self> {
        let engine = engine(instances)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi::p3::add_to_linker(&mut linker)?;
        wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
        variables::add_to_linker(&mut linker, variables)?;
        sqlite::add_to_linker(&mut linker, databases)?;
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
    /// If it is missing, is no component, or imports what this host does not
    /// support.
    pub fn compile(&self, source: &Path) -> Result<ProxyPre<T>> {
        let component = Component::from_file(&self.engine, source)?;
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
        let service = ServicePre::new(pre)
            .map_err(|error| anyhow!("{error:#} (components of spin-sdk 7 and later work here)"))?;
        Ok(ProxyPre::P3(service))
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}

fn engine(instances: usize) -> Result<Engine> {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    config.epoch_interruption(true);
    match Cache::from_file(None) {
        Ok(cache) => _ = config.cache(Some(cache)),
        Err(error) => {
            output::stderr(format!(
                "Every start compiles the components anew, without a cache: {error:#}"
            ));
        }
    }
    let on_demand = config.clone();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(instances)));
    Engine::new(&config).or_else(|error| {
        // The pool reserves address space, of which some machines have too little.
        output::stderr(format!(
            "Instances are allocated on demand, which is slower than a pool: {error:#}"
        ));
        Ok(Engine::new(&on_demand)?)
    })
}

fn pool(instances: usize) -> PoolingAllocationConfig {
    let instances = u32::try_from(instances).unwrap_or(u32::MAX);
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
