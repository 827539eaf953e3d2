//! The services of the application, each in a process of its own.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLockReadGuard};

use support::server::{self, Server};
use tempfile::TempDir;

use crate::ports::{Port, front};

/// The services: those of Cinema 3, of the To-Do Manager, and `home`.
pub const SERVICES: [&str; 7] =
    ["users", "movies", "showtimes", "bookings", "todo-users", "todo-lists", "home"];

/// Processes, and ports that lead to them. A service may get another process, and keeps
/// its port.
pub struct Services {
    /// The address at which all of them answer, each on its routes.
    pub address: String,
    ports: BTreeMap<&'static str, Port>,
    processes: BTreeMap<&'static str, Server>,
    deadline: u32,
    environment: Vec<(&'static str, String)>,
    state: TempDir,
    _busy: RwLockReadGuard<'static, ()>,
}

impl Services {
    /// Starts all of them. They wait for siblings for `deadline` milliseconds.
    pub fn start(deadline: u32) -> Self {
        Self::start_with(deadline, &[])
    }

    /// The same, with variables in their environment.
    pub fn start_with(deadline: u32, environment: &[(&'static str, String)]) -> Self {
        let ports: BTreeMap<_, _> = SERVICES.map(|id| (id, Port::open())).into();
        let state = tempfile::tempdir().expect("a folder");
        let address = front(ports.clone());
        let processes = BTreeMap::new();
        let environment = environment.to_vec();
        let _busy = crate::BUSY.read().unwrap_or_else(PoisonError::into_inner);
        let mut services = Self { address, ports, processes, deadline, environment, state, _busy };
        for id in SERVICES {
            services.restart(id);
        }
        services
    }

    /// Starts the process of the service `id`, in place of the one that it has.
    pub fn restart(&mut self, id: &'static str) {
        self.kill(id);
        let mut command = server::command(&support::application(), self.state.path());
        command.args(["--component-id", id]);
        command.args(["--variable", &format!("sibling_deadline_ms={}", self.deadline)]);
        for (sibling, port) in self.ports.iter().filter(|(sibling, _)| **sibling != "home") {
            let name = sibling.replace('-', "_");
            command.args(["--variable", &format!("{name}_url=http://{}", port.address)]);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let server = Server::start(command);
        self.ports[id].lead_to(Some(&server.address));
        self.processes.insert(id, server);
    }

    /// Ends the process of the service `id` at once.
    pub fn kill(&mut self, id: &str) {
        self.ports[id].lead_to(None);
        drop(self.processes.remove(id));
    }

    /// Lets the port of the service `id` lead to another server.
    pub fn replace(&mut self, id: &str, address: &str) {
        self.kill(id);
        self.ports[id].lead_to(Some(address));
    }

    /// Sends a signal to the process of the service `id`: `-STOP` or `-CONT`.
    pub fn signal(&self, id: &str, signal: &str) {
        self.processes[id].process.signal(signal);
    }

    /// Waits until the service `id` has logged a line that contains `part`.
    pub fn wait_for_line(&self, id: &str, part: &str) {
        self.processes[id].process.wait_for_line(&[part]);
    }
}
