//! `--apart`: a process of this command for each component, behind one address.
//!
//! A process ends with its standard input, so none outlives this one. It has a process group
//! of its own: Ctrl-C must not end it before the requests in flight are answered.

use std::convert::Infallible;
use std::env;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::future::{join_all, try_join_all};
use host::Loader;
use host::manifest::{Route, Trigger};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::{Options, output};

/// How long after its end a process is started again.
const RESTART: Duration = Duration::from_secs(1);

/// The processes. They end when this is dropped.
#[derive(Default)]
pub struct Apart {
    processes: Vec<Process>,
    /// Where their temporary files are, which one that is killed can't remove.
    temporary: Option<TempDir>,
}

/// A process that serves a component.
struct Process {
    id: String,
    address: SocketAddr,
    /// Keeps its port until it is first started.
    listener: Option<TcpListener>,
    command: Command,
    running: Option<Running>,
}

struct Running {
    child: Child,
    /// The process ends when this is closed. Within `child`, waiting for it would do that.
    stdin: ChildStdin,
    /// Passes on what the process writes to standard error.
    errors: JoinHandle<()>,
}

impl Apart {
    /// A process for each component that `loader` loads, with `options`, at the ports from
    /// `first` on in the order of the manifest, or at free ones if that is 0. A variable that
    /// leads to a sibling in the same process leads to the sibling's process.
    pub fn new(options: &Options, loader: &Loader, first: u16) -> Result<Self> {
        let binary = env::current_exe().context("can't find the binary of this command")?;
        let mut processes: Vec<Process> = Vec::new();
        for Trigger { component: id, route } in loader.manifest()?.triggers {
            if let Route::Private(_) = route {
                bail!("the route of `{id}` is private, so no other process could ask it");
            }
            if processes.iter().any(|process| process.id == id) {
                continue;
            }
            let port = if first == 0 { 0 } else { usize::from(first) + processes.len() };
            let listener = u16::try_from(port).map_err(io::Error::other);
            let listener = listener.and_then(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
            let listener =
                listener.with_context(|| format!("`{id}` can't listen at port {port}"))?;
            let address = listener.local_addr()?;
            let mut command = Command::new(&binary);
            command.args(["--no-build", "--stop-with-stdin", "--component-id", &id]);
            command.args(["--listen", &address.to_string(), "--from"]).arg(&options.from);
            if let Some(path) = &options.state_dir {
                command.arg("--state-dir").arg(path);
            }
            command.args(options.quiet.then_some("--quiet"));
            command.args(options.watch.then_some("--watch"));
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.process_group(0).kill_on_drop(true);
            let listener = Some(listener);
            processes.push(Process { id, address, listener, command, running: None });
        }
        let mut variables = options.variables.clone();
        for (name, value) in loader.values()? {
            let is_at =
                |process: &&Process| value == format!("http://{}.spin.internal", process.id);
            let sibling = processes.iter().find(is_at);
            variables.extend(sibling.map(|sibling| (name, format!("http://{}", sibling.address))));
        }
        for (name, value) in variables {
            // Not as an argument, which everybody on the machine can read.
            let name = format!("SPIN_VARIABLE_{}", name.to_uppercase());
            processes.iter_mut().for_each(|process| _ = process.command.env(&name, &value));
        }
        Ok(Self { processes, temporary: None })
    }

    /// Lets `loader` forward the requests for each component to its process.
    pub fn forward_from(&self, loader: Loader) -> Loader {
        self.processes.iter().fold(loader, |loader, process| {
            loader.select(&process.id).forward(&process.id, process.address)
        })
    }

    /// Starts all of them, and returns once they serve.
    pub async fn start(&mut self) -> Result<()> {
        let temporary = tempfile::tempdir().context("can't make a temporary folder")?;
        let temporary = self.temporary.insert(temporary).path();
        let starting = self.processes.iter_mut().map(|process| {
            process.command.env("TMPDIR", temporary);
            process.start()
        });
        try_join_all(starting).await.map(drop)
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
        let Self { id, address, listener, command, .. } = self;
        drop(listener.take());
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
            // Its last lines say why.
            _ = errors.await;
            bail!("the process of `{id}` ended before it served anything: {status}");
        }
        let process = child.id().unwrap_or_default();
        output::component(id, &format!("process {process} serves http://{address}"));
        self.running = Some(Running { child, stdin, errors });
        Ok(())
    }

    async fn keep(&mut self) -> Infallible {
        loop {
            if let Some(Running { child, errors, .. }) = &mut self.running {
                let status = child.wait().await.map(|it| it.to_string()).unwrap_or_default();
                _ = errors.await;
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
        if let Some(Running { mut child, stdin, errors }) = self.running.take() {
            drop(stdin);
            _ = child.wait().await;
            _ = errors.await;
        }
    }
}
