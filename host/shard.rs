//! A thread for each core, with a runtime and instances of its own.
//!
//! Answering a request takes less time than waking another thread for a part of
//! it. So a connection stays on the thread that it was given to, and with it
//! whatever answers its requests: instances, and those of their siblings.

use std::cell::Cell;
use std::sync::LazyLock;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

thread_local! {
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

/// How many shards there are: as many as cores.
pub fn count() -> usize {
    static CORES: LazyLock<usize> =
        LazyLock::new(|| thread::available_parallelism().map_or(1, usize::from));
    *CORES
}

/// The shard that this thread is; for a thread of somebody else's, the first.
pub fn current() -> usize {
    CURRENT.get()
}

/// All shards; they end when this is dropped.
pub struct Shards {
    shards: Vec<Shard>,
    next: usize,
}

struct Shard {
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Shards {
    /// Starts the threads.
    ///
    /// # Errors
    /// If the machine has no thread or no file descriptor left.
    pub fn start() -> Result<Self> {
        let shards = (0..count()).map(Shard::start).collect::<Result<_>>();
        Ok(Self { shards: shards.context("can't start a thread for each core")?, next: 0 })
    }

    /// The runtimes, in turns.
    pub fn next(&mut self) -> &Handle {
        self.next = (self.next + 1) % self.shards.len();
        &self.shards[self.next].runtime
    }
}

impl Shard {
    fn start(index: usize) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name(format!("shard-{index}")).spawn(move || {
            CURRENT.set(index);
            _ = runtime.block_on(stopped);
        })?;
        Ok(Self { runtime: handle, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // What panicked there was said by the panic itself.
            _ = thread.join();
        }
    }
}
