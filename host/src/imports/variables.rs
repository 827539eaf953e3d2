//! The variables of components: `spin:variables@3.0.0`, with values from the
//! manifest, from the command line and from the environment.

use std::collections::BTreeMap;
use std::env;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use wasmtime::component::{ComponentType, Linker, Lower};

use crate::manifest::{Component, Manifest};

/// The values of one component's variables, by name.
pub type Values = Arc<BTreeMap<String, String>>;

/// `variant error` of `spin:variables/variables`. Only `undefined` happens here.
#[derive(ComponentType, Lower)]
#[component(variant)]
#[allow(dead_code, reason = "the interface has all of them")]
enum Error {
    #[component(name = "invalid-name")]
    InvalidName(String),
    #[component(name = "undefined")]
    Undefined(String),
    #[component(name = "provider")]
    Provider(String),
    #[component(name = "other")]
    Other(String),
}

/// The name of the interface.
pub const INTERFACE: &str = "spin:variables/variables@3.0.0";

/// Links the interface into `linker`, as `name`. `values` gets a component's variables from
/// its store.
pub fn add_to_linker<T: Send>(
    linker: &mut Linker<T>,
    name: &str,
    values: fn(&T) -> &Values,
) -> wasmtime::Result<()> {
    linker.instance(name)?.func_wrap_concurrent("get", move |accessor, (name,): (String,)| {
        Box::pin(async move {
            let value = accessor.with(|mut store| values(store.get()).get(&name).cloned());
            Ok((value.ok_or(Error::Undefined(name)),))
        })
    })
}

/// The values of the application's variables. Each comes from `given`, else from
/// the environment (`SPIN_VARIABLE_<NAME>`), else from the file `.env` in the folder of this
/// process, else from the manifest's default.
///
/// # Errors
/// If `given` has a name that the manifest does not declare, or a line of `.env` is
/// malformed.
pub fn of_application(
    manifest: &Manifest,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    for name in given.keys() {
        ensure!(
            manifest.variables.contains_key(name),
            "the application has no variable `{name}`; its manifest declares {:?}",
            manifest.variables.keys().collect::<Vec<_>>()
        );
    }
    let file = if manifest.variables.is_empty() { BTreeMap::new() } else { dot_env()? };
    let values = manifest.variables.iter().filter_map(|(name, variable)| {
        let key = format!("SPIN_VARIABLE_{}", name.to_uppercase());
        let value = given.get(name).cloned();
        let value = value.or_else(|| env::var(&key).ok()).or_else(|| file.get(&key).cloned());
        Some((name.clone(), value.or_else(|| variable.default.clone())?))
    });
    Ok(values.collect())
}

/// What the file `.env` has, if there is one.
fn dot_env() -> Result<BTreeMap<String, String>> {
    match dotenvy::from_path_iter(".env") {
        Ok(entries) => entries.collect::<Result<_, _>>().context("the file `.env`"),
        Err(error) if error.not_found() => Ok(BTreeMap::new()),
        Err(error) => Err(error).context("can't read the file `.env`"),
    }
}

/// The values of the variables of `component`, whose templates name variables
/// of the application.
///
/// # Errors
/// If a template is malformed or names a variable that has no value.
pub fn of_component(
    component: &Component,
    application: &BTreeMap<String, String>,
) -> Result<Values> {
    let values = component.variables.iter().map(|(name, template)| {
        let value = expand(template, application);
        Ok((name.clone(), value.with_context(|| format!("the variable `{name}`"))?))
    });
    Ok(Arc::new(values.collect::<Result<_>>()?))
}

/// `template` with each `{{ name }}` replaced by its value.
///
/// # Errors
/// If it is malformed or names a variable that has no value.
pub fn expand(template: &str, values: &BTreeMap<String, String>) -> Result<String> {
    let mut parts = template.split("{{");
    let mut expanded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let Some((name, rest)) = part.split_once("}}") else {
            bail!("`{{{{` without `}}}}` in {template:?}");
        };
        let name = name.trim();
        let value = values.get(name).with_context(|| {
            let variable = name.to_uppercase();
            format!("`{name}` has no value; give it one with --variable {name}=... or SPIN_VARIABLE_{variable}")
        })?;
        expanded.push_str(value);
        expanded.push_str(rest);
    }
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_expand_to_the_values_of_the_application() {
        let values = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        assert_eq!(expand("x{{a}}y{{ a }}", &values).unwrap(), "x1y1");
        assert_eq!(expand("plain", &values).unwrap(), "plain");
        assert!(expand("{{ b }}", &values).unwrap_err().to_string().contains("--variable b="));
        assert!(expand("{{ a", &values).is_err());
    }
}
