//! Builds and loads an application again when its files change, as `spin watch` does
//! (`src/commands/watch.rs` of Spin).

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use globset::{GlobBuilder, GlobMatcher};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use crate::app::dispatch::App;
use crate::app::loader::Loader;
use crate::dev::build::{Builder, workdir};
use crate::error::Error;
use crate::manifest::{Files, Manifest};
use crate::serve::server::Served;
use crate::telemetry::log::Log;

/// How long no file must change before anything is built. `spin watch` waits as long.
const QUIET: Duration = Duration::from_millis(100);

/// An application whose files are watched.
pub struct Watch {
    loader: Loader,
    manifest: PathBuf,
    builder: Option<Builder>,
    log: Log,
    sources: Vec<Source>,
    /// Whether the manifest has changed since it was last read.
    is_other_manifest: bool,
    /// The components that must be built before anything is loaded.
    stale: BTreeSet<String>,
    changes: UnboundedReceiver<PathBuf>,
    watcher: RecommendedWatcher,
}

/// Files that an application is made of.
struct Source {
    folder: PathBuf,
    /// What their paths below `folder` look like.
    pattern: GlobMatcher,
    /// The component that is built from them, if they are not just loaded.
    component: Option<String>,
}

impl Watch {
    /// Watches what `loader` loads: the manifest, the files that the components see, and what
    /// `builder` builds them from, or else their binaries. Its log says what happens.
    ///
    /// # Errors
    /// If the manifest can't be read, or a folder can't be watched.
    pub fn new(loader: Loader, builder: Option<Builder>) -> Result<Self, Error> {
        Self::try_new(loader, builder).map_err(|error| Error::or_kind(error, Error::Watch))
    }

    fn try_new(loader: Loader, builder: Option<Builder>) -> Result<Self> {
        let manifest = loader.manifest()?;
        let log = loader.log.clone();
        let name = manifest.path().file_name().context("the manifest is no file")?;
        let path = manifest.dir.join(name);
        let (sender, changes) = unbounded_channel();
        let (everything, notices) = (path.clone(), log.clone());
        let watcher =
            notify::recommended_watcher(move |event: notify::Result<Event>| match event {
                // A compiler reads what it compiles.
                Ok(event) if event.kind.is_access() => {}
                // Too much has changed to say what. With the manifest, all is built.
                Ok(event) if event.need_rescan() => _ = sender.send(everything.clone()),
                Ok(event) => event.paths.into_iter().for_each(|path| _ = sender.send(path)),
                Err(error) => notices.host(format!("can't watch all files: {error}")),
            })?;
        let mut watch = Self {
            loader,
            manifest: path,
            builder,
            log,
            sources: Vec::new(),
            is_other_manifest: true,
            stale: BTreeSet::new(),
            changes,
            watcher,
        };
        watch.watch(&manifest)?;
        let builds = manifest.components.iter().filter(|_| watch.builder.is_some());
        for (id, component) in builds {
            if component.build.as_ref().is_some_and(|build| build.watch.is_empty()) {
                watch.log.host(format!(
                    "the component `{id}` has no `watch`, which says what it is built from"
                ));
            }
        }
        Ok(watch)
    }

    /// The first version of the application. As long as it can't be built or loaded, shows the
    /// error and waits for a change.
    ///
    /// # Errors
    /// If the files can't be watched any more.
    pub async fn first_version(&mut self) -> Result<App, Error> {
        let mut loaded = self.load().await;
        loop {
            match loaded {
                Ok(app) => return Ok(app),
                Err(error) => self.log.host(format!("Error: {error:#}\nWaiting for a change")),
            }
            let next = self.next_version().await.context("nothing is watched any more");
            loaded = next.map_err(Error::Watch)?;
        }
    }

    /// Lets `served` be each later version.
    pub async fn run(mut self, served: Served) {
        while let Some(loaded) = self.next_version().await {
            match loaded {
                Ok(app) => {
                    served.replace(app);
                    self.log.host("Serving the new version");
                }
                Err(error) => {
                    self.log.host(format!("Error: {error:#}\nStill serving the old version"))
                }
            }
        }
    }

    /// Once files have changed, builds what is made of them, and loads the application.
    async fn next_version(&mut self) -> Option<Result<App>> {
        let changed = self.changed().await?;
        let dir = self.manifest.parent().unwrap_or(Path::new(""));
        let paths = changed.iter().map(|path| path.strip_prefix(dir).unwrap_or(path));
        let paths: Vec<_> = paths.map(|path| path.to_string_lossy()).collect();
        self.log.host(format!("Changed: {}", paths.join(", ")));
        let has_changed = |source: &&Source| changed.iter().any(|path| source.has(path));
        let sources = self.sources.iter().filter(has_changed);
        self.stale.extend(sources.filter_map(|source| source.component.clone()));
        self.is_other_manifest |= changed.contains(&self.manifest);
        Some(self.load().await)
    }

    /// The files that have changed, once there are some and no more of them change.
    async fn changed(&mut self) -> Option<BTreeSet<PathBuf>> {
        let mut changed = BTreeSet::new();
        let mut quiet = None;
        loop {
            let path = match quiet {
                None => self.changes.recv().await?,
                Some(quiet) => match timeout_at(quiet, self.changes.recv()).await {
                    Ok(path) => path?,
                    Err(_) => return Some(changed),
                },
            };
            if path == self.manifest || self.sources.iter().any(|source| source.has(&path)) {
                changed.insert(path);
                quiet = Some(Instant::now() + QUIET);
            }
        }
    }

    /// Builds what must be built, and loads the application.
    async fn load(&mut self) -> Result<App> {
        let manifest = Arc::new(self.loader.manifest()?);
        // Again each time: folders may have been removed and made anew.
        self.watch(&manifest)?;
        if self.is_other_manifest {
            // Their commands may be others, too.
            self.stale = manifest.components.keys().cloned().collect();
            self.is_other_manifest = false;
        }
        self.stale.retain(|id| manifest.components.contains_key(id));
        if let Some(builder) = &self.builder {
            for id in self.stale.clone() {
                self.log.host(format!("Building the component `{id}`"));
                let (builder, manifest, name) = (*builder, manifest.clone(), id.clone());
                spawn_blocking(move || builder.build(&manifest, &name)).await??;
                self.stale.remove(&id);
            }
        }
        let loader = self.loader.clone();
        Ok(spawn_blocking(|| loader.load()).await??)
    }

    /// Watches the files that `manifest` names.
    fn watch(&mut self, manifest: &Manifest) -> Result<()> {
        let mut sources = Vec::new();
        // What a build makes is loaded after it, and not once more because it has changed.
        let products: BTreeSet<_> = match &self.builder {
            Some(_) => manifest.components.values().map(|it| it.source.get_ref()).collect(),
            None => BTreeSet::new(),
        };
        for (id, component) in &manifest.components {
            let files = component.files.iter().map(|files| match files.get_ref() {
                Files::Pattern(pattern) => pattern,
                Files::Placement(placement) => &placement.source,
            });
            let mut patterns: Vec<_> = files.map(|path| (PathBuf::from(path), None)).collect();
            match component.build.as_ref().filter(|_| self.builder.is_some()) {
                Some(build) => {
                    let built_from = build.watch.iter().map(|path| workdir(build).join(path));
                    patterns.extend(built_from.map(|path| (path, Some(id.clone()))));
                }
                None => patterns.push((component.source.get_ref().into(), None)),
            }
            let dependencies = component.dependencies.values().map(|it| &it.get_ref().path);
            let dependencies = dependencies.filter(|path| !products.contains(path));
            patterns.extend(dependencies.map(|path| (PathBuf::from(path), None)));
            for (pattern, built) in patterns {
                let source = Source::new(&manifest.dir, &pattern, built);
                sources.push(source.with_context(|| {
                    format!("can't watch {} of the component `{id}`", pattern.display())
                })?);
            }
        }
        // Editors replace files, so it is their folders that are watched.
        let (whole, flat): (Vec<_>, Vec<_>) =
            sources.iter().partition(|source| source.pattern.glob().glob().contains(['/', '*']));
        let whole: BTreeSet<_> = whole.into_iter().map(|source| &*source.folder).collect();
        let flat = flat.into_iter().map(|source| &*source.folder).chain([&*manifest.dir]);
        // A folder below another one must not be watched less than that.
        let flat: BTreeSet<_> = flat
            .filter(|folder| !folder.ancestors().any(|parent| whole.contains(parent)))
            .collect();
        let flat = flat.into_iter().map(|folder| (folder, RecursiveMode::NonRecursive));
        let whole = whole.into_iter().map(|folder| (folder, RecursiveMode::Recursive));
        for (folder, mode) in flat.chain(whole) {
            let watched = self.watcher.watch(folder, mode);
            watched.with_context(|| format!("can't watch the folder {}", folder.display()))?;
        }
        self.sources = sources;
        Ok(())
    }
}

impl Source {
    /// The files at `path`, which is a pattern or a folder or a file, below `dir`.
    fn new(dir: &Path, path: &Path, component: Option<String>) -> Result<Self> {
        let is_plain = |part: &&OsStr| !part.to_string_lossy().contains(['*', '?', '[', '{']);
        let plain: PathBuf = path.iter().take_while(is_plain).collect();
        let pattern = path.strip_prefix(&plain)?.to_string_lossy().into_owned();
        let plain = dir.join(plain);
        let (folder, pattern) = if !pattern.is_empty() {
            (plain, pattern)
        } else if plain.is_dir() {
            (plain, "**/*".to_owned())
        } else {
            let name = plain.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (plain.parent().unwrap_or(dir).to_owned(), globset::escape(&name))
        };
        let folder =
            folder.canonicalize().with_context(|| format!("no folder {}", folder.display()))?;
        let pattern = GlobBuilder::new(&pattern).literal_separator(true).build()?;
        Ok(Self { folder, pattern: pattern.compile_matcher(), component })
    }

    fn has(&self, path: &Path) -> bool {
        // Where vim keeps what is not saved yet.
        let is_swap = path.extension().is_some_and(|extension| extension == "swp");
        !is_swap && path.strip_prefix(&self.folder).is_ok_and(|path| self.pattern.is_match(path))
    }
}
