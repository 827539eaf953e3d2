//! The patterns of routes, as Spin reads them (`crates/routes/src/lib.rs` of Spin).

use anyhow::{Error, Result};
use routefinder::RouteSpec;

/// The route `raw` of a manifest, with a leading slash and without a trailing one.
pub fn based(raw: &str) -> String {
    let path = raw.strip_suffix('/').unwrap_or(raw);
    if path.starts_with('/') || path.is_empty() { path.to_owned() } else { format!("/{path}") }
}

/// What comes before the trailing wildcard of the route `based`, if it has one.
pub fn wildcard_prefix(based: &str) -> Option<&str> {
    based.strip_suffix("/...").or_else(|| based.strip_suffix("/*"))
}

/// The route `based`, in the syntax of routefinder.
///
/// # Errors
/// What is wrong with it.
pub fn spec(based: &str) -> Result<RouteSpec> {
    let route = match wildcard_prefix(based) {
        Some(prefix) => format!("{prefix}/*"),
        None => based.to_owned(),
    };
    RouteSpec::try_from(route.as_str()).map_err(Error::msg)
}
