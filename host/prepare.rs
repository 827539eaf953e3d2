//! Builds the components of an application, as `spin build` does, once the
//! compiler's target is installed.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::manifest::Manifest;
use crate::toolchain::{self, Environment};

/// Builds the components of the application whose manifest is at the path
/// `manifest`, on a machine with rustup or with Debian's packages.
///
/// # Errors
/// If the compiler's target can't be installed, or a build command fails.
pub fn build_components(manifest: &Path) -> Result<()> {
    let manifest = Manifest::read(manifest)?;
    run_build_commands(&manifest, &toolchain::environment()?)
}

fn run_build_commands(manifest: &Manifest, environment: &Environment) -> Result<()> {
    eprintln!("Building the components, which takes about a minute the first time");
    for (id, component) in &manifest.components {
        let Some(build) = &component.build else {
            continue;
        };
        let workdir = build.workdir.as_deref().unwrap_or(Path::new("."));
        ensure!(workdir.is_relative(), "the workdir of the component `{id}` must be relative");
        for command in build.command.as_slice() {
            let mut shell = Command::new("sh");
            for (name, value) in environment {
                match value {
                    Some(value) => shell.env(name, value),
                    None => shell.env_remove(name),
                };
            }
            let status = shell
                .args(["-c", command])
                .current_dir(manifest.dir.join(workdir))
                .status()
                .with_context(|| format!("can't run `{command}`"))?;
            if !status.success() {
                bail!("building the component `{id}` failed: `{command}` ended with {status}");
            }
        }
    }
    Ok(())
}
