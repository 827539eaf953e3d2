//! What a dependency sees in place of the configuration that it does not inherit. It imports
//! each such interface under another name, and gets the answers of Spin
//! (`crates/capabilities/deny-adapter` of Spin): the error of the interface, or no files and no
//! environment. What needs a connection can't be called, because none can be opened.

use std::sync::LazyLock;

use wasmtime::component::{Linker, LinkerInstance, Resource, Val};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::p3::{Request, Response};

use crate::imports::sqlite::interface::{self as sqlite, Databases};
use crate::imports::variables::{self, Values};
use crate::manifest::dependencies::{Configuration, Inherited};

/// The interfaces by which components use each kind of configuration.
const INTERFACES: [(Configuration, &str); 5] = [
    (Configuration::AllowedOutboundHosts, "wasi:http/client@"),
    (Configuration::Environment, "wasi:cli/environment@"),
    (Configuration::Files, "wasi:filesystem/preopens@"),
    (Configuration::SqliteDatabases, "spin:sqlite/sqlite@"),
    (Configuration::Variables, "spin:variables/variables@"),
];

/// The name under which a component imports `interface` that has only `inherited`, if that
/// does not allow the interface.
pub fn name(interface: &str, inherited: &Inherited) -> Option<String> {
    let (configuration, _) = INTERFACES.iter().find(|(_, name)| interface.starts_with(name))?;
    let (_, name) = interface.split_once(':')?;
    (!inherited.has(*configuration)).then(|| format!("denied:{name}"))
}

/// Links the interfaces under their other names.
pub fn add_to_linker<T: WasiHttpView + 'static>(
    linker: &mut Linker<T>,
    databases: fn(&mut T) -> &mut Databases,
) -> wasmtime::Result<()> {
    static NONE: LazyLock<Values> = LazyLock::new(Values::default);
    variables::add_to_linker(linker, "denied:variables/variables@3.0.0", |_| &NONE)?;
    sqlite::add_to_linker(linker, "denied:sqlite/sqlite@3.1.0", databases, |_| None)?;
    for (version, get_cwd) in [("0.2.6", "initial-cwd"), ("0.3.0", "get-initial-cwd")] {
        let mut files = linker.instance(&format!("denied:filesystem/preopens@{version}"))?;
        gives(&mut files, "get-directories", Val::List(Vec::new()))?;
        let mut environment = linker.instance(&format!("denied:cli/environment@{version}"))?;
        gives(&mut environment, "get-environment", Val::List(Vec::new()))?;
        gives(&mut environment, "get-arguments", Val::List(Vec::new()))?;
        gives(&mut environment, get_cwd, Val::Option(None))?;
    }
    linker.instance("denied:http/client@0.3.0")?.func_wrap_concurrent(
        "send",
        |accessor, (request,): (Resource<Request>,)| {
            let dropped = accessor.with(|mut store| store.get().http().table.delete(request));
            Box::pin(async move {
                dropped?;
                let error = "\"wasi:http/client\" is not permitted".to_owned();
                let error = ErrorCode::InternalError(Some(error));
                Ok((Err::<Resource<Response>, _>(error),))
            })
        },
    )
}

/// Lets the function `name` give `value`.
fn gives<T: 'static>(
    interface: &mut LinkerInstance<'_, T>,
    name: &str,
    value: Val,
) -> wasmtime::Result<()> {
    interface.func_new(name, move |_, _, _, results| {
        results[0] = value.clone();
        Ok(())
    })
}
