//! How much components and clients may use.

use std::thread::available_parallelism;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The most instances at the same time, as in Spin (`crates/core/src/lib.rs`).
const MAX_INSTANCES: usize = 1000;

/// How much components and clients may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long an instance may compute after it last took a request, counted in
    /// steps of 10 ms without a pause. An instance over the limit is ended.
    pub cpu: Duration,
    /// How large each memory of an instance may grow, in bytes.
    pub memory: usize,
    /// How many instances there may be at the same time. A request that needs
    /// another one waits until one ends, for as long as `request_wait`.
    pub instances: usize,
    /// How many requests from outside may wait for a response at the same time. The
    /// requests of components to each other do not count. So the instances
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
    /// The limits of `cargo run`. An open connection takes a file descriptor, and an
    /// instance up to five: one for its files, and two for each of two connections to
    /// the database (more while it starts). Each kind gets half of `RLIMIT_NOFILE`. This
    /// function raises that as far as the system allows.
    fn default() -> Self {
        // A runtime takes four, and there is one for each core and one more.
        let threads = available_parallelism().map_or(1, usize::from) + 1;
        let descriptors = raise_open_files().saturating_sub(32 + 4 * threads);
        let instances = (descriptors / 10).clamp(1, MAX_INSTANCES);
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
