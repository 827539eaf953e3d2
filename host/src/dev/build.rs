//! Builds the components of an application, as `spin build` does.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::error::Error;
use crate::manifest::{Build, Manifest};

/// Environment variables and their values; without one, they must not be set.
pub type Environment = Vec<(&'static str, Option<OsString>)>;

/// Builds components.
#[derive(Clone, Copy)]
pub struct Builder {
    cargo: fn() -> Result<Environment>,
}

impl Default for Builder {
    /// Builds with what is installed.
    fn default() -> Self {
        Self::with_cargo(|| Ok(Environment::new()))
    }
}

impl Builder {
    /// Asks `environment` for the environment of each command that runs Cargo.
    pub fn with_cargo(environment: fn() -> Result<Environment>) -> Self {
        Self { cargo: environment }
    }

    /// Builds all components of the application whose manifest is at the path `manifest`.
    ///
    /// # Errors
    /// If the manifest is wrong, or a build command fails.
    pub fn build_all(&self, manifest: impl AsRef<Path>) -> Result<(), Error> {
        let manifest = Manifest::read(manifest.as_ref())?;
        manifest.components.keys().try_for_each(|id| self.build(&manifest, id))
    }

    /// Runs the build commands of the component `id` of `manifest`, if it has any.
    ///
    /// # Errors
    /// If one of them fails.
    pub fn build(&self, manifest: &Manifest, id: &str) -> Result<(), Error> {
        self.try_build(manifest, id).map_err(Error::Build)
    }

    fn try_build(&self, manifest: &Manifest, id: &str) -> Result<()> {
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
            let runs_cargo = command.split_whitespace().any(|word| word == "cargo");
            let environment = if runs_cargo { (self.cargo)()? } else { Environment::new() };
            for (name, value) in environment {
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
