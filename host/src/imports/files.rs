//! The files that a component sees, as Spin mounts them
//! (`crates/loader/src/local.rs` of Spin): copied once, then read-only.

use std::fs;
use std::path::{Component as Part, Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use glob::Pattern;
use tempfile::TempDir;

use crate::manifest::{Component, Files, Manifest};

/// A folder with a copy of what `component` of `manifest` sees, if that is anything.
///
/// # Errors
/// As [`mount`].
pub(crate) fn copy_of(manifest: &Manifest, component: &Component) -> Result<Option<TempDir>> {
    if component.files.is_empty() {
        return Ok(None);
    }
    let folder = tempfile::tempdir().context("can't make a folder for files")?;
    mount(manifest, component, folder.path())?;
    Ok(Some(folder))
}

/// Copies what `component` of `manifest` sees to the folder `root`.
///
/// # Errors
/// If a file does not exist, lies outside of the application's folder or can't
/// be copied. A pattern may stand for no file at all.
pub fn mount(manifest: &Manifest, component: &Component, root: &Path) -> Result<()> {
    let excluded = component.exclude_files.iter().map(|pattern| {
        let parsed = Pattern::new(pattern.get_ref());
        parsed.map_err(|error| manifest.error(pattern.span(), error))
    });
    let mount = Mount { app: &manifest.dir, excluded: excluded.collect::<Result<_, _>>()? };
    for files in &component.files {
        let mounted = match files.get_ref() {
            Files::Pattern(pattern) => mount.pattern(pattern, root),
            Files::Placement(placement) => {
                let target = root.join(placement.destination.trim_start_matches('/'));
                mount.placement(&placement.source, &target)
            }
        };
        mounted.map_err(|error| manifest.error(files.span(), format!("{error:#}")))?;
    }
    Ok(())
}

struct Mount<'a> {
    app: &'a Path,
    excluded: Vec<Pattern>,
}

impl Mount<'_> {
    fn pattern(&self, pattern: &str, root: &Path) -> Result<()> {
        let path = self.inside(pattern)?;
        if path.is_dir() {
            // Spin puts a folder below its own path and keeps that path below it.
            self.copy_all(&path, "**/*", self.app, &root.join(pattern))
        } else if path.is_file() {
            copy(&path, &root.join(pattern))
        } else if Pattern::escape(pattern) != pattern {
            self.copy_all(self.app, pattern, self.app, root)
        } else {
            bail!("the file {pattern:?} does not exist")
        }
    }

    fn placement(&self, source: &str, target: &Path) -> Result<()> {
        ensure!(is_inside(target), "the destination of {source:?} must not have a `..`");
        let path = self.inside(source)?;
        if path.is_dir() {
            self.copy_all(&path, "**/*", &path, target)
        } else if path.is_file() {
            copy(&path, target)
        } else {
            bail!("the file {source:?} does not exist")
        }
    }

    /// Copies every file that `pattern` stands for in `folder`, with its path below
    /// `base`, to below `root`.
    fn copy_all(&self, folder: &Path, pattern: &str, base: &Path, root: &Path) -> Result<()> {
        let folder = folder.to_str().ok_or_else(|| anyhow!("{folder:?} is not UTF-8"))?;
        let found = glob::glob(&format!("{}/{pattern}", Pattern::escape(folder)));
        for path in found.with_context(|| format!("malformed pattern {pattern:?}"))? {
            let path = path?;
            let in_app = path.strip_prefix(self.app)?;
            let is_excluded = self.excluded.iter().any(|pattern| pattern.matches_path(in_app));
            if path.is_file() && !is_excluded {
                copy(&path, &root.join(path.strip_prefix(base)?))?;
            }
        }
        Ok(())
    }

    fn inside(&self, path: &str) -> Result<PathBuf> {
        let relative = Path::new(path);
        ensure!(
            relative.is_relative() && is_inside(relative),
            "the file {path:?} must lie in the application's folder"
        );
        Ok(self.app.join(relative))
    }
}

fn is_inside(path: &Path) -> bool {
    !path.components().any(|part| part == Part::ParentDir)
}

fn copy(source: &Path, target: &Path) -> Result<()> {
    let copied = || {
        fs::create_dir_all(target.parent().unwrap_or(target))?;
        fs::copy(source, target)
    };
    copied().with_context(|| format!("can't copy the file {}", source.display()))?;
    Ok(())
}
