//! `--apart`: a process of this command for each component, and one address in front of them.
//!
//! A process serves its component alone, as with `--component-id`, on a port of this machine.
//! It ends with its standard input, so none is left behind, in whatever way this one ends. It
//! has a process group of its own: Ctrl-C in a terminal must not end it before the requests
//! in flight are answered.

use std::convert::Infallible;
use std::env;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::future::{join_all, try_join_all};
use host::Loader;
use host::manifest::Route;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, Command};
use tokio::time::sleep;

use crate::{Options, output};

/// When a process that has ended is started again.
const RESTART: Duration = Duration::from_secs(1);

/// The processes. They end when this is dropped.
pub struct Apart(Vec<Process>);

/// A process that serves a component.
struct Process {
    id: String,
    address: SocketAddr,
    command: Command,
    /// Ends once its standard input is dropped.
    running: Option<(Child, ChildStdin)>,
}

impl Apart {
    /// A process for each component that `loader` loads, with `options` and with the variables
    /// of the application. They listen at the ports from `first` on, in the order of the
    /// manifest, or at free ones if that is 0. A variable that leads to a sibling in the same
    /// process leads to the sibling's process.
    ///
    /// # Errors
    /// If the manifest or a variable is wrong, or there are not enough ports.
    pub fn new(options: &Options, loader: &Loader, first: u16) -> Result<Self> {
        let mut ids = Vec::new();
        for trigger in loader.manifest()?.triggers {
            let id = trigger.component;
            ensure!(
                matches!(trigger.route, Route::Public(_)),
                "`{id}` has a private route, at which no other process can ask it: \
                 leave out --apart, or give it a path"
            );
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let addresses = addresses(first, ids.len())?;
        let mut values = loader.values()?;
        for value in values.values_mut() {
            let sibling = ids.iter().position(|id| *value == format!("http://{id}.spin.internal"));
            if let Some(sibling) = sibling {
                *value = format!("http://{}", addresses[sibling]);
            }
        }
        let this = env::current_exe().context("can't find the binary of this command")?;
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
            command.process_group(0).kill_on_drop(true);
            Process { id, address, command, running: None }
        });
        Ok(Self(processes.collect()))
    }

    /// Lets `loader` forward the requests for each component to its process.
    pub fn in_front(&self, loader: Loader) -> Loader {
        self.0.iter().fold(loader, |loader, process| {
            loader.select(&process.id).forward(&process.id, process.address)
        })
    }

    /// Starts all of them, and returns once they serve.
    ///
    /// # Errors
    /// If one of them can't be started, or ends before it serves.
    pub async fn start(&mut self) -> Result<()> {
        try_join_all(self.0.iter_mut().map(Process::start)).await.map(drop)
    }

    /// Starts each of them again when it ends, as long as `serving` is not ready. Then ends all
    /// of them, each after the requests that it has.
    pub async fn keep_while(&mut self, serving: impl Future<Output = ()>) {
        tokio::select! {
            _ = join_all(self.0.iter_mut().map(Process::keep)) => {}
            () = serving => {}
        }
        join_all(self.0.iter_mut().map(Process::stop)).await;
    }
}

impl Process {
    /// Starts it, and returns once it serves.
    async fn start(&mut self) -> Result<()> {
        let Self { id, address, command, .. } = self;
        let mut child =
            command.spawn().with_context(|| format!("can't start a process for `{id}`"))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else { bail!("no pipes") };
        let errors = tokio::spawn(pass_on(id.clone(), stderr));
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

    /// Starts it again whenever it ends.
    async fn keep(&mut self) -> Infallible {
        loop {
            if let Some((child, _)) = &mut self.running {
                let status = child.wait().await;
                let status = status.map_or_else(|error| error.to_string(), |it| it.to_string());
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

/// Passes on what the process of the component `id` writes to standard error.
async fn pass_on(id: String, stderr: ChildStderr) {
    let label = format!("{id}: ");
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        output::component(&id, line.strip_prefix(&label).unwrap_or(&line));
    }
}

/// `count` addresses of this machine: with the ports from `first` on, or with free ones.
fn addresses(first: u16, count: usize) -> Result<Vec<SocketAddr>> {
    if first > 0 {
        let ports: Vec<_> = (first..=u16::MAX).take(count).collect();
        ensure!(
            ports.len() == count,
            "there are no {count} ports from {first} on; choose a lower one"
        );
        return Ok(ports.into_iter().map(|port| (Ipv4Addr::LOCALHOST, port).into()).collect());
    }
    // All at the same time, or one port would be found twice.
    let listeners = (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let listeners = listeners.collect::<std::io::Result<Vec<_>>>().context("no free port")?;
    Ok(listeners.iter().map(TcpListener::local_addr).collect::<std::io::Result<_>>()?)
}
