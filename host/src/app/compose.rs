//! Composes a component with its dependencies, as Spin does (`crates/compose` and
//! `crates/capabilities` of Spin), with the same library.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use wac_graph::types::{ItemKind, Package, WorldId};
use wac_graph::{CompositionGraph, EncodeOptions, NodeId};

use crate::error::Error;
use crate::imports::denied;
use crate::manifest::Manifest;
use crate::manifest::dependencies::{Dependency, Inherited, package_of, satisfies};

/// The binary of the component `id`, composed with its dependencies if it has any.
///
/// # Errors
/// If a binary is missing or is no component, or a dependency does not fit its import.
pub fn compose(manifest: &Manifest, id: &str) -> Result<Vec<u8>, Error> {
    let component = &manifest.components[id];
    let source = &component.source;
    let in_source = |error| {
        let message = format!("can't load the component `{id}` from its source: {error:#}");
        manifest.error(source.span(), message)
    };
    let binary = read(&manifest.dir, source.get_ref()).map_err(in_source)?;
    if component.dependencies.is_empty() {
        return Ok(binary);
    }
    let mut composition = Composition::default();
    let dependent = composition.add(id, binary).map_err(in_source)?;
    for (name, dependency) in &component.dependencies {
        let added = composition.plug(&dependent, &manifest.dir, name, dependency.get_ref());
        added.map_err(|error| {
            let message = format!("can't compose `{id}` with its dependency `{name}`: {error:#}");
            manifest.error(dependency.span(), message)
        })?;
    }
    composition.encode(&dependent).map_err(in_source)
}

fn read(folder: &Path, path: &str) -> Result<Vec<u8>> {
    let path = folder.join(path);
    fs::read(&path).with_context(|| format!("can't read {}", path.display()))
}

/// The component `binary`, which gets denials in place of what it does not inherit.
fn restricted(binary: Vec<u8>, inherited: &Inherited) -> Result<Vec<u8>> {
    let mut composition = Composition::default();
    let dependency = composition.add("dependency", binary)?;
    for (import, kind) in composition.imports(&dependency) {
        if let Some(denied) = denied::name(&import, inherited) {
            let denied = composition.0.import(denied, kind)?;
            composition.0.set_instantiation_argument(dependency.instance, &import, denied)?;
        }
    }
    composition.encode(&dependency)
}

/// Components that are instantiated together.
#[derive(Default)]
struct Composition(CompositionGraph);

/// One of them.
struct Part {
    world: WorldId,
    instance: NodeId,
}

impl Composition {
    fn add(&mut self, name: &str, binary: Vec<u8>) -> Result<Part> {
        let package = Package::from_bytes(name, None, binary, self.0.types_mut())?;
        let world = package.ty();
        let package = self.0.register_package(package)?;
        Ok(Part { world, instance: self.0.instantiate(package) })
    }

    fn imports(&self, part: &Part) -> Vec<(String, ItemKind)> {
        let imports = &self.0.types()[part.world].imports;
        imports.iter().map(|(name, kind)| (name.clone(), *kind)).collect()
    }

    /// Satisfies the imports of `dependent` that the dependency `name` is meant for.
    fn plug(
        &mut self,
        dependent: &Part,
        folder: &Path,
        name: &str,
        dependency: &Dependency,
    ) -> Result<()> {
        let imports = self.imports(dependent).into_iter();
        let imports: Vec<_> = imports.filter(|(import, _)| satisfies(name, import)).collect();
        ensure!(!imports.is_empty(), "the component has no such import");
        let binary =
            restricted(read(folder, &dependency.path)?, &dependency.inherit_configuration)?;
        // As in Spin, a package can have one dependency only.
        let other = self.add(package_of(name), binary)?;
        for (import, _) in imports {
            let export = dependency.export.as_ref().unwrap_or(&import);
            let exports = &self.0.types()[other.world].exports;
            if !exports.contains_key(export) {
                let known: Vec<_> = exports.keys().map(String::as_str).collect();
                bail!("{} has no export `{export}`; it has {}", dependency.path, known.join(", "));
            }
            let export = self.0.alias_instance_export(other.instance, export)?;
            self.0.set_instantiation_argument(dependent.instance, &import, export)?;
        }
        Ok(())
    }

    /// The binary that exports what `part` exports.
    fn encode(mut self, part: &Part) -> Result<Vec<u8>> {
        let exports: Vec<_> = self.0.types()[part.world].exports.keys().cloned().collect();
        for name in exports {
            let export = self.0.alias_instance_export(part.instance, &name)?;
            self.0.export(export, name)?;
        }
        // The engine will validate it.
        Ok(self.0.encode(EncodeOptions { validate: false, ..EncodeOptions::default() })?)
    }
}
