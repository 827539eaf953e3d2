//! Makes the binaries of an application: what `spin build` does, and before it,
//! the compiler's target.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::manifest::Manifest;
use crate::toolchain::{self, Environment};

/// Makes the binaries of the application of the manifest at the path
/// `manifest`, on a machine that has rustup, or Debian's packages.
///
/// # Errors
/// If the target can't be had, or a build command fails.
pub fn prepare(manifest: &Path) -> Result<()> {
    let manifest = Manifest::read(manifest)?;
    build(&manifest, &toolchain::environment()?)
}

fn build(manifest: &Manifest, environment: &Environment) -> Result<()> {
    for (id, component) in &manifest.components {
        let Some(build) = &component.build else {
            continue;
        };
        let workdir = build.workdir.as_deref().unwrap_or(Path::new("."));
        ensure!(workdir.is_relative(), "the workdir of the component `{id}` must be relative");
        for command in build.command.as_slice() {
            eprintln!("Building component {id} with `{command}`");
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
