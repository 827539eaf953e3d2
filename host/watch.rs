//! Builds and loads an application again when its files change, as `spin watch` does
//! (`src/commands/watch.rs` of Spin).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use glob::Pattern;
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::app::App;
use crate::loader::Loader;
use crate::manifest::{Files, Manifest};
use crate::prepare::{Builder, workdir};
use crate::server::Served;

/// How long no file must change before anything is built. `spin watch` waits as long.
const QUIET: Duration = Duration::from_millis(100);

/// An application whose files are watched.
pub struct Watch {
    manifest: PathBuf,
    builder: Option<Arc<Builder>>,
    sources: Vec<Source>,
    /// The components that must be built before anything is loaded.
    stale: BTreeSet<String>,
    changes: UnboundedReceiver<PathBuf>,
    watcher: RecommendedWatcher,
}

/// Files that an application is made of.
struct Source {
    folder: PathBuf,
    /// What their paths below `folder` look like.
    pattern: Pattern,
    /// The component that is built from them, if they are not just loaded.
    component: Option<String>,
}

impl Watch {
    /// Watches the application whose manifest is at the path `manifest`: the manifest, the
    /// files that its components see, and what `builder` builds them from, or else their
    /// binaries.
    ///
    /// # Errors
    /// If the manifest can't be read, or a folder can't be watched.
    pub fn new(manifest: &Path, builder: Option<Builder>) -> Result<Self> {
        let manifest = Manifest::read(manifest)?;
        let (sender, changes) = unbounded_channel();
        let watcher =
            notify::recommended_watcher(move |event: notify::Result<Event>| match event {
                // A compiler reads what it compiles.
                Ok(event) if event.kind.is_access() => {}
                Ok(event) => event.paths.into_iter().for_each(|path| _ = sender.send(path)),
                Err(error) => eprintln!("can't watch all files: {error}"),
            })?;
        let path = manifest.path().file_name().context("the manifest is no file")?;
        let mut watch = Self {
            manifest: manifest.dir.join(path),
            builder: builder.map(Arc::new),
            sources: Vec::new(),
            stale: BTreeSet::new(),
            changes,
            watcher,
        };
        watch.watch(&manifest)?;
        Ok(watch)
    }

    /// The first version of the application, which `loader` loads. As long as it can't be
    /// built or loaded, shows the error and waits for a change.
    ///
    /// # Errors
    /// If the files can't be watched any more.
    pub async fn first_version(&mut self, loader: &Loader) -> Result<App> {
        let mut loaded = self.load(loader, false).await;
        loop {
            match loaded {
                Ok(app) => return Ok(app),
                Err(error) => eprintln!("Error: {error:#}\nWaiting for a change"),
            }
            loaded = self.next_version(loader).await.context("nothing is watched any more")?;
        }
    }

    /// Lets `served` be each later version.
    pub async fn run(mut self, loader: Loader, served: Served) {
        while let Some(loaded) = self.next_version(&loader).await {
            match loaded {
                Ok(app) => {
                    served.replace(app);
                    eprintln!("Serving the new version");
                }
                Err(error) => eprintln!("Error: {error:#}\nStill serving the old version"),
            }
        }
    }

    /// Once files have changed, builds what is made of them, and loads the application.
    async fn next_version(&mut self, loader: &Loader) -> Option<Result<App>> {
        let changed = self.changed().await?;
        let dir = self.manifest.parent().unwrap_or(Path::new(""));
        let paths = changed.iter().map(|path| path.strip_prefix(dir).unwrap_or(path));
        let paths: Vec<_> = paths.map(|path| path.to_string_lossy()).collect();
        eprintln!("Changed: {}", paths.join(", "));
        let has_changed = |source: &&Source| changed.iter().any(|path| source.has(path));
        let sources = self.sources.iter().filter(has_changed);
        self.stale.extend(sources.filter_map(|source| source.component.clone()));
        Some(self.load(loader, changed.contains(&self.manifest)).await)
    }

    /// The files that have changed, once there are some and no more change.
    async fn changed(&mut self) -> Option<BTreeSet<PathBuf>> {
        let mut changed = BTreeSet::new();
        loop {
            let path = if changed.is_empty() {
                self.changes.recv().await
            } else {
                match timeout(QUIET, self.changes.recv()).await {
                    Ok(path) => path,
                    Err(_) => return Some(changed),
                }
            }?;
            if path == self.manifest || self.sources.iter().any(|source| source.has(&path)) {
                changed.insert(path);
            }
        }
    }

    /// Builds what must be built, and loads the application.
    async fn load(&mut self, loader: &Loader, is_other_manifest: bool) -> Result<App> {
        let manifest = Arc::new(Manifest::read(&self.manifest)?);
        if is_other_manifest {
            self.watch(&manifest)?;
        }
        if let Some(builder) = &self.builder {
            for id in self.stale.clone() {
                eprintln!("Building the component `{id}`");
                let (builder, manifest, name) = (builder.clone(), manifest.clone(), id.clone());
                spawn_blocking(move || builder.build(&manifest, &name)).await??;
                self.stale.remove(&id);
            }
        }
        let loader = loader.clone();
        spawn_blocking(|| loader.load()).await?
    }

    /// Watches the files that `manifest` names. All components must be built: their
    /// commands may be others.
    fn watch(&mut self, manifest: &Manifest) -> Result<()> {
        self.stale = manifest.components.keys().cloned().collect();
        self.sources.clear();
        for (id, component) in &manifest.components {
            let files = component.files.iter().map(|files| match files.get_ref() {
                Files::Pattern(pattern) => pattern,
                Files::Placement(placement) => &placement.source,
            });
            let mut patterns: Vec<_> = files.map(|path| (PathBuf::from(path), None)).collect();
            match component.build.as_ref().filter(|_| self.builder.is_some()) {
                Some(build) => {
                    if build.watch.is_empty() {
                        eprintln!(
                            "the component `{id}` has no `watch` that says what it is built from"
                        );
                    }
                    let built_from = build.watch.iter().map(|path| workdir(build).join(path));
                    patterns.extend(built_from.map(|path| (path, Some(id.clone()))));
                }
                None => patterns.push((component.source.get_ref().into(), None)),
            }
            for (pattern, built) in patterns {
                let source = Source::new(&manifest.dir, &pattern, built);
                self.sources.push(source.with_context(|| {
                    format!("can't watch {} of the component `{id}`", pattern.display())
                })?);
            }
        }
        // Editors replace files, so it is their folders that are watched.
        let mut folders = BTreeMap::from([(&*manifest.dir, RecursiveMode::NonRecursive)]);
        for source in &self.sources {
            let mode = folders.entry(&source.folder).or_insert(RecursiveMode::NonRecursive);
            if source.pattern.as_str().contains(['/', '*']) {
                *mode = RecursiveMode::Recursive;
            }
        }
        for (folder, mode) in folders {
            let watched = self.watcher.watch(folder, mode);
            watched.with_context(|| format!("can't watch the folder {}", folder.display()))?;
        }
        Ok(())
    }
}

impl Source {
    /// The files at `path`, which is a pattern or a folder or a file, below `dir`.
    fn new(dir: &Path, path: &Path, component: Option<String>) -> Result<Self> {
        let is_plain = |part: &&std::ffi::OsStr| !part.to_string_lossy().contains(['*', '?', '[']);
        let plain: PathBuf = path.iter().take_while(is_plain).collect();
        let pattern = path.strip_prefix(&plain)?.to_string_lossy().into_owned();
        let plain = dir.join(plain);
        let (folder, pattern) = if !pattern.is_empty() {
            (plain, pattern)
        } else if plain.is_dir() {
            (plain, "**/*".to_owned())
        } else {
            let name = plain.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (plain.parent().unwrap_or(dir).to_owned(), Pattern::escape(&name))
        };
        let folder =
            folder.canonicalize().with_context(|| format!("no folder {}", folder.display()))?;
        Ok(Self { folder, pattern: Pattern::new(&pattern)?, component })
    }

    fn has(&self, path: &Path) -> bool {
        path.strip_prefix(&self.folder).is_ok_and(|path| self.pattern.matches_path(path))
    }
}
