//! The services of the application, each in a process of its own.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{PoisonError, RwLockReadGuard};
use std::thread;
use std::time::{Duration, Instant};

use support::process::kill;
use support::server::{self, Reply, Server};
use tempfile::TempDir;

/// How long a test waits for a process to be started again.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// The application as `--apart` serves it.
pub struct Services {
    /// The address at which all of them answer, each on its routes.
    pub address: String,
    pub front: Server,
    _state: TempDir,
    _busy: RwLockReadGuard<'static, ()>,
}

impl Services {
    /// Starts all of them. They wait for siblings for `deadline` milliseconds.
    pub fn start(deadline: u32) -> Self {
        Self::start_with(deadline, |_| {})
    }

    /// The same, with what `configure` adds to the command.
    pub fn start_with(deadline: u32, configure: impl FnOnce(&mut Command)) -> Self {
        Self::start_in(&support::application(), deadline, configure)
    }

    /// The same, of the application in `folder`.
    pub fn start_in(folder: &Path, deadline: u32, configure: impl FnOnce(&mut Command)) -> Self {
        let _state = tempfile::tempdir().expect("a folder");
        let _busy = crate::BUSY.read().unwrap_or_else(PoisonError::into_inner);
        let mut command = server::command(folder, _state.path());
        command.args(["--variable", &format!("sibling_deadline_ms={deadline}"), "--apart"]);
        configure(&mut command);
        let front = Server::start(command);
        Self { address: front.address.clone(), front, _state, _busy }
    }

    /// The id of the process of the service `id`, and its address.
    pub fn process(&self, id: &str) -> (String, String) {
        let (start, prefix) = (Instant::now(), format!("{id}: process "));
        loop {
            let log = self.front.process.log();
            let last = log.lines().filter_map(|line| line.strip_prefix(&prefix)).next_back();
            if let Some((process, address)) =
                last.and_then(|line| line.split_once(" serves http://"))
            {
                return (process.to_owned(), address.to_owned());
            }
            assert!(start.elapsed() < MAX_WAIT, "{log}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Sends a signal to the process of the service `id`.
    pub fn signal(&self, id: &str, signal: &str) {
        kill(signal, &self.process(id).0);
    }

    /// Stops the process of the service `id` until it gets `-CONT`. A thread that waits for a core
    /// stops after the signal was sent; `/proc` says when, where there is one.
    pub fn stop(&self, id: &str) {
        self.signal(id, "-STOP");
        let threads = format!("/proc/{}/task/*/stat", self.process(id).0);
        let runs = |stat| fs::read_to_string(stat).is_ok_and(|stat| !stat.contains(") T "));
        let start = Instant::now();
        while glob::glob(&threads).expect("a pattern").flatten().any(runs) {
            assert!(start.elapsed() < MAX_WAIT, "{id} does not stop");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// What `ask` gives after the process of the service `id` was killed, and before it is
    /// started again. Nothing in front of the services answers meanwhile.
    pub fn killed<T>(&self, id: &str, ask: impl FnOnce() -> T) -> T {
        let (killed, _) = self.process(id);
        self.front.process.signal("-STOP");
        kill("-KILL", &killed);
        let answer = ask();
        self.front.process.signal("-CONT");
        self.wait_for_another(id, &killed);
        answer
    }

    /// Waits until the service `id` has another process than `old`.
    pub fn wait_for_another(&self, id: &str, old: &str) {
        let start = Instant::now();
        while self.process(id).0 == old {
            assert!(start.elapsed() < MAX_WAIT, "{}", self.front.process.log());
            thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn get(&self, path: &str) -> Reply {
        self.front.get(path)
    }
}
