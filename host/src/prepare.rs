//! Builds the components of an application, as `spin build` does, once the
//! compiler's target is installed.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::manifest::{Build, Manifest};
use crate::output;
use crate::toolchain::{self, Environment};

/// Builds the components of the application whose manifest is at the path
/// `manifest`, on a machine with rustup or with Debian's packages.
///
/// # Errors
/// If the compiler's target can't be installed, or a build command fails.
pub fn build_components(manifest: &Path) -> Result<()> {
    Builder::new()?.build_all(manifest)
}

/// Builds components with a compiler that has their target.
pub struct Builder(Environment);

impl Builder {
    /// Finds the compiler, and installs the target if it is missing.
    ///
    /// # Errors
    /// If that is not possible.
    pub fn new() -> Result<Self> {
        Ok(Self(toolchain::environment()?))
    }

    /// Builds all components of the application whose manifest is at the path `manifest`.
    ///
    /// # Errors
    /// If a build command fails.
    pub fn build_all(&self, manifest: &Path) -> Result<()> {
        let manifest = Manifest::read(manifest)?;
        output::stderr("Building the components, which takes about a minute the first time");
        manifest.components.keys().try_for_each(|id| self.build(&manifest, id))
    }

    /// Runs the build commands of the component `id` of `manifest`, if it has any.
    ///
    /// # Errors
    /// If one of them fails.
    pub fn build(&self, manifest: &Manifest, id: &str) -> Result<()> {
        let component = manifest.components.get(id);
        let component =
            component.with_context(|| format!("there is no component `{id}` to build"))?;
        let Some(build) = &component.build else { return Ok(()) };
        ensure!(
            workdir(build).is_relative(),
            "the workdir of the component `{id}` must be relative"
        );
        for command in build.command.as_slice() {
            let mut shell = Command::new("sh");
            for (name, value) in &self.0 {
                match value {
                    Some(value) => shell.env(name, value),
                    None => shell.env_remove(name),
                };
            }
            let status = shell
                .args(["-c", command])
                .current_dir(manifest.dir.join(workdir(build)))
                .status()
                .with_context(|| format!("can't run `{command}`"))?;
            if !status.success() {
                bail!("building the component `{id}` failed: `{command}` ended with {status}");
            }
        }
        Ok(())
    }
}

/// Where the commands of `build` run, relative to the manifest.
pub fn workdir(build: &Build) -> &Path {
    build.workdir.as_deref().unwrap_or(Path::new("."))
}
