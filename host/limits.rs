//! How much components and clients may use.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The most instances at the same time, as in Spin (`crates/core/src/lib.rs`).
const MAX_INSTANCES: usize = 1000;

/// How much components and clients may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long an instance may compute without a pause, since it last took a
    /// request. It is measured in steps of 10 ms, and a step with a pause in it
    /// does not count. An instance over the limit is ended.
    pub cpu: Duration,
    /// How large each memory of an instance may grow, in bytes.
    pub memory: usize,
    /// How many instances there may be at the same time. A request that needs
    /// another one gets a 503.
    pub instances: usize,
    /// How many requests from outside are answered at the same time. The
    /// requests of components to each other do not count. So the instances
    /// beyond this number are theirs, and components that call each other can't
    /// block each other.
    pub requests: usize,
    /// How long another request from outside waits until it gets a 503.
    pub request_wait: Duration,
    /// How many connections may be open at the same time. Others wait to be
    /// accepted.
    pub connections: usize,
    /// How long a client may keep the server waiting: for the next request, from
    /// its first byte to the end of its headers, or for more of a body.
    pub client_wait: Duration,
    /// How long requests may take to finish once the server stops.
    pub grace: Duration,
}

impl Default for Limits {
    /// The limits of `cargo run`. An open connection takes a file descriptor, and
    /// so does an instance with files: each kind gets its share of
    /// `RLIMIT_NOFILE`, which is raised as far as the system allows.
    fn default() -> Self {
        let descriptors = raise_open_files();
        let instances = MAX_INSTANCES.min(descriptors / 4);
        Self {
            cpu: Duration::from_secs(3),
            memory: 512 * 1024 * 1024,
            instances,
            requests: (instances / 4).max(1),
            request_wait: Duration::from_secs(5),
            connections: (descriptors / 2).max(1),
            client_wait: Duration::from_secs(30),
            grace: Duration::from_secs(10),
        }
    }
}

/// Raises the soft limit of open files to the hard one, and returns it.
fn raise_open_files() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = if raised.is_ok() { maximum } else { current };
    // None stands for no limit.
    limit.and_then(|limit| limit.try_into().ok()).unwrap_or(usize::MAX)
}
