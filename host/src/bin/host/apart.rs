//! `--apart`: a process of this command for each component, behind one address.
//!
//! A process ends with its standard input, so none outlives this one. It has a process group
//! of its own: Ctrl-C must not end it before the requests in flight are answered.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::env;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::future::{join_all, try_join_all};
use host::Loader;
use host::manifest::Route;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::sleep;

use crate::{Options, output};

/// When a process that has ended is started again.
const RESTART: Duration = Duration::from_secs(1);

/// The processes. They end when this is dropped.
#[derive(Default)]
pub struct Apart {
    processes: Vec<Process>,
    /// Where their temporary files are, which one that is killed can't remove.
    _temporary: Option<TempDir>,
}

/// A process that serves a component.
struct Process {
    id: String,
    address: SocketAddr,
    command: Command,
    running: Option<(Child, ChildStdin)>,
}

impl Apart {
    /// A process for each component that `loader` loads and that others can ask. Each serves
    /// with `options`, at the ports from `first` on in the order of the manifest, or at free
    /// ones if that is 0. A variable that leads to a sibling in the same process leads to the
    /// sibling's process.
    ///
    /// # Errors
    /// If the manifest or a variable is wrong, or there are not enough ports.
    pub fn new(options: &Options, loader: &Loader, first: u16) -> Result<Self> {
        let mut known = BTreeSet::new();
        let mut triggers = loader.manifest()?.triggers;
        triggers.retain(|trigger| matches!(trigger.route, Route::Public(_)));
        triggers.retain(|trigger| known.insert(trigger.component.clone()));
        let ids: Vec<_> = triggers.into_iter().map(|trigger| trigger.component).collect();
        // None is closed before the last one is found.
        let listeners = ids.iter().enumerate().map(|(index, id)| {
            let port = if first == 0 { 0 } else { usize::from(first) + index };
            let listener = u16::try_from(port).map_err(io::Error::other);
            let listener = listener.and_then(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
            listener.with_context(|| format!("`{id}` can't listen at port {port}"))
        });
        let listeners = listeners.collect::<Result<Vec<_>>>()?;
        let addresses = listeners.iter().map(TcpListener::local_addr);
        let addresses = addresses.collect::<io::Result<Vec<_>>>()?;
        let mut values = loader.values()?;
        for (id, address) in ids.iter().zip(&addresses) {
            let here = format!("http://{id}.spin.internal");
            let leads_here = values.values_mut().filter(|value| **value == here);
            leads_here.for_each(|value| *value = format!("http://{address}"));
        }
        let this = env::current_exe().context("can't find the binary of this command")?;
        let temporary = tempfile::tempdir().context("can't make a temporary folder")?;
        let processes = ids.into_iter().zip(addresses).map(|(id, address)| {
            let mut command = Command::new(&this);
            command.args(["--no-build", "--stop-with-stdin", "--component-id", &id]);
            command.args(["--listen", &address.to_string(), "--from"]).arg(&options.from);
            if let Some(path) = &options.state_dir {
                command.arg("--state-dir").arg(path);
            }
            command.args(options.quiet.then_some("--quiet"));
            command.args(options.watch.then_some("--watch"));
            // Everybody on the machine can read arguments.
            let name = |name: &String| format!("SPIN_VARIABLE_{}", name.to_uppercase());
            command.envs(values.iter().map(|(key, value)| (name(key), value)));
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.env("TMPDIR", temporary.path());
            command.process_group(0).kill_on_drop(true);
            Process { id, address, command, running: None }
        });
        Ok(Self { processes: processes.collect(), _temporary: Some(temporary) })
    }

    /// Lets `loader` forward the requests for each component to its process.
    pub fn in_front(&self, loader: Loader) -> Loader {
        self.processes.iter().fold(loader, |loader, process| {
            loader.select(&process.id).forward(&process.id, process.address)
        })
    }

    /// Starts all of them, and returns once they serve.
    ///
    /// # Errors
    /// If one of them can't be started, or ends before it serves.
    pub async fn start(&mut self) -> Result<()> {
        try_join_all(self.processes.iter_mut().map(Process::start)).await.map(drop)
    }

    /// Starts each of them again when it ends, until `serving` is ready. Then ends all of them,
    /// each after the requests that it has.
    pub async fn keep_while(&mut self, serving: impl Future<Output = ()>) {
        let are_some = !self.processes.is_empty();
        tokio::select! {
            _ = join_all(self.processes.iter_mut().map(Process::keep)), if are_some => {}
            () = serving => {}
        }
        join_all(self.processes.iter_mut().map(Process::stop)).await;
    }
}

impl Process {
    async fn start(&mut self) -> Result<()> {
        let Self { id, address, command, .. } = self;
        let child = command.spawn();
        let mut child = child.with_context(|| format!("can't start a process for `{id}`"))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else { bail!("no pipes") };
        let (name, label) = (id.clone(), format!("{id}: "));
        let errors = tokio::spawn(async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                output::component(&name, line.strip_prefix(&label).unwrap_or(&line));
            }
        });
        let first = BufReader::new(stdout).lines().next_line().await?;
        if first.is_none_or(|line| !line.starts_with("Serving")) {
            let status = child.wait().await?;
            // They say why.
            _ = errors.await;
            bail!("the process of `{id}` ended before it served anything: {status}");
        }
        let process = child.id().unwrap_or_default();
        output::component(id, &format!("process {process} serves http://{address}"));
        self.running = Some((child, stdin));
        Ok(())
    }

    async fn keep(&mut self) -> Infallible {
        loop {
            if let Some((child, _)) = &mut self.running {
                let status = child.wait().await.map(|it| it.to_string()).unwrap_or_default();
                let line = format!("the process ended ({status}), and starts again in {RESTART:?}");
                output::component(&self.id, &line);
            }
            self.running = None;
            sleep(RESTART).await;
            if let Err(error) = self.start().await {
                output::component(&self.id, &format!("{error:#}"));
            }
        }
    }

    async fn stop(&mut self) {
        if let Some((mut child, stdin)) = self.running.take() {
            drop(stdin);
            _ = child.wait().await;
        }
    }
}
