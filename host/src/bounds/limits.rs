//! How much components and clients may use.

use std::sync::LazyLock;
use std::thread::available_parallelism;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sysinfo::{
    MemoryRefreshKind, Process, ProcessRefreshKind, ProcessesToUpdate, RefreshKind, System,
    get_current_pid,
};

/// The most instances of a process at the same time, as in Spin (`crates/core/src/lib.rs`).
pub const MAX_INSTANCES: usize = 1000;

/// How much components and clients may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long an instance may compute after it last took a request, counted in
    /// steps of 10 ms without a pause. An instance over the limit is ended.
    pub cpu: Duration,
    /// How much memory an instance may have, with what the host keeps for it: the rows that
    /// it has not read. In bytes.
    pub memory: usize,
    /// How much memory all instances may have, in bytes. Those of one component get at most
    /// half of it. Each instance gets its first 16 MiB, even if nothing is left.
    pub total_memory: usize,
    /// How many instances there may be at the same time, of one component at most half as
    /// many; all applications of a process have 1,000. One that is composed counts once for
    /// each of its components. A request that needs another one waits until one ends, for as
    /// long as `request_wait`.
    pub instances: usize,
    /// How many connections to the database there may be at the same time, of one component
    /// at most half as many.
    pub database_connections: usize,
    /// How many connections to other servers there may be at the same time, of one component
    /// at most half as many.
    pub sockets: usize,
    /// How long a task of an instance may go on after the response. Then the instance takes
    /// no other request, and ends once it has answered those that it has.
    pub after_response: Duration,
    /// How many requests from outside are answered at the same time, up to the ends of their
    /// responses. The requests of components to each other do not count. So the instances
    /// beyond this number are theirs, and components that call each other can't
    /// block each other.
    pub requests: usize,
    /// How long a request waits for another to end until it gets a 503.
    pub request_wait: Duration,
    /// How many connections may be open at the same time. Others wait to be
    /// accepted.
    pub connections: usize,
    /// How long a client may keep the server waiting: from the end of a response to
    /// the end of the next request's headers, for more of a request's body, or to
    /// take more of a response.
    pub client_wait: Duration,
    /// How long requests may take to finish once the server stops.
    pub grace: Duration,
}

impl Default for Limits {
    /// Half of `RLIMIT_NOFILE` (see [`raise_open_files`]) is for instances, each with five
    /// descriptors: one for its files, and two for each of two connections to the database. A
    /// tenth is for connections to other servers, and the rest for those of clients. Half of
    /// the memory of the machine, or of the control group, is for instances.
    fn default() -> Self {
        // A runtime takes four, and there is one for each core and one more.
        let threads = available_parallelism().map_or(1, usize::from) + 1;
        let descriptors = open_files().saturating_sub(32 + 4 * threads);
        let instances = (descriptors / 10).clamp(1, MAX_INSTANCES);
        Self {
            cpu: Duration::from_secs(3),
            memory: 512 * 1024 * 1024,
            total_memory: memory_of_machine() / 2,
            instances,
            database_connections: 2 * instances,
            sockets: (descriptors / 10).max(2),
            after_response: Duration::from_secs(30),
            requests: (instances / 4).max(1),
            request_wait: Duration::from_secs(5),
            connections: (descriptors / 5 * 2).max(1),
            client_wait: Duration::from_secs(30),
            grace: Duration::from_secs(10),
        }
    }
}

/// The most open files that macOS allows, whose hard limit is none (`OPEN_MAX`).
const MACOS_OPEN_FILES: u64 = 10_240;

/// Raises the number of files that this process can open as far as the system allows, and
/// with it the default limits.
pub fn raise_open_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let current = match cfg!(target_os = "macos") {
        true => Some(maximum.map_or(MACOS_OPEN_FILES, |most| most.min(MACOS_OPEN_FILES))),
        false => maximum,
    };
    // If it can't be raised, it stays as it is.
    _ = setrlimit(Resource::Nofile, Rlimit { current, maximum });
}

/// How many files this process can open.
fn open_files() -> usize {
    // None stands for no limit.
    let limit = getrlimit(Resource::Nofile).current;
    limit.and_then(|limit| limit.try_into().ok()).unwrap_or(usize::MAX)
}

/// How much memory there is, in bytes.
fn memory_of_machine() -> usize {
    static MEMORY: LazyLock<u64> = LazyLock::new(|| {
        let memory = MemoryRefreshKind::nothing().with_ram();
        let system = System::new_with_specifics(RefreshKind::nothing().with_memory(memory));
        // Where nobody knows, there is no limit.
        let (Ok(mut system), Ok(id)) = (system, get_current_pid()) else { return u64::MAX };
        let nothing = ProcessRefreshKind::nothing();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[id]), false, nothing);
        let limits = system.process(id).and_then(Process::cgroup_limits);
        limits.map_or(system.total_memory(), |limits| limits.total_memory)
    });
    usize::try_from(*MEMORY).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_limits_follow_the_open_files_and_do_not_raise_them() {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(500), maximum }).expect("lowered");
        let lowered = Limits::default().instances;
        assert_eq!(getrlimit(Resource::Nofile).current, Some(500));
        raise_open_files();
        assert!(lowered <= 50 && lowered < Limits::default().instances, "{lowered}");
    }
}
