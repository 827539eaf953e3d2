//! `[component.<id>.dependencies]`: what a component is composed with.

use serde::Deserialize;

/// An entry of `dependencies`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a dependency is { path = \"...\" }")]
pub struct Dependency {
    /// The binary of a component.
    pub path: String,
    /// Which of its exports is used. Without one, that with the name of the import.
    pub export: Option<String>,
    /// What it may use of what the component may use.
    #[serde(default)]
    pub inherit_configuration: Inherited,
}

/// `inherit_configuration`
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "`inherit_configuration` is true, false or an array of \"allowed_outbound_hosts\", \
                 \"environment\", \"files\", \"sqlite_databases\" and \"variables\""
)]
pub enum Inherited {
    /// All, or nothing.
    All(bool),
    /// Only these.
    Some(Vec<Configuration>),
}

impl Default for Inherited {
    fn default() -> Self {
        Self::All(false)
    }
}

impl Inherited {
    /// Whether a dependency may use `configuration`.
    pub fn has(&self, configuration: Configuration) -> bool {
        match self {
            Self::All(all) => *all,
            Self::Some(some) => some.contains(&configuration),
        }
    }
}

/// What a dependency can inherit. The keys are those of a component.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Configuration {
    AllowedOutboundHosts,
    Environment,
    Files,
    SqliteDatabases,
    Variables,
}

/// Whether a dependency with the name `dependency` satisfies `import`: that interface, or, as
/// in Spin, all interfaces of that package, perhaps of that version only
/// (`crates/compose/src/lib.rs` of Spin).
pub fn satisfies(dependency: &str, import: &str) -> bool {
    let (name, version) = versioned(dependency);
    let (interface, import_version) = versioned(import);
    let is_meant = name == interface || (name.contains(':') && name == package_of(interface));
    is_meant && (version.is_none() || version == import_version)
}

/// The package of `cinema:movies/catalog@0.1.0`, which is `cinema:movies`. A plain name is its
/// own.
pub fn package_of(name: &str) -> &str {
    name.split(['/', '@']).next().unwrap_or_default()
}

fn versioned(name: &str) -> (&str, Option<&str>) {
    name.split_once('@').map_or((name, None), |(name, version)| (name, Some(version)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_satisfies_its_interface_or_all_of_its_package() {
        let import = "cinema:movies/catalog@0.1.0";
        for name in ["cinema:movies", "cinema:movies@0.1.0", "cinema:movies/catalog", import] {
            assert!(satisfies(name, import), "{name}");
        }
        for name in ["cinema:movie", "cinema:movies@0.1.1", "cinema:movies/top", "catalog"] {
            assert!(!satisfies(name, import), "{name}");
        }
        assert!(satisfies("catalog", "catalog"));
    }
}
