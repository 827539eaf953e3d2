//! A thread for each core, with a runtime and instances of its own.
//!
//! Answering a request takes less time than waking another thread for a part of
//! it. So a connection stays on one thread, and with it everything that answers
//! its requests: instances, and the instances of their siblings.
//!
//! The price: a connection never uses more than one core, and two busy
//! connections that share a thread do not move to another one. New connections
//! go to the thread that has the fewest.

use std::cell::Cell;
use std::iter;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// How long the end waits for what blocks a thread: a step of SQLite, or the search for the
/// address of a host.
const MAX_BLOCKED: Duration = Duration::from_secs(1);

thread_local! {
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

/// How many shards there are: one for each core.
fn count() -> usize {
    static CORES: LazyLock<usize> =
        LazyLock::new(|| thread::available_parallelism().map_or(1, usize::from));
    *CORES
}

/// A `T` for each shard. Other threads use that of the first one.
pub struct PerThread<T>(Vec<T>);

impl<T> PerThread<T> {
    /// Makes one for each shard.
    pub fn new(make: impl FnMut() -> T) -> Self {
        Self(iter::repeat_with(make).take(count()).collect())
    }

    /// The value of this thread.
    pub fn get(&self) -> &T {
        &self.0[CURRENT.get()]
    }
}

/// All shards. They end when this is dropped.
pub struct Shards(Vec<Shard>);

struct Shard {
    runtime: Handle,
    /// A clone for each connection.
    connections: Arc<()>,
    stop: Option<oneshot::Sender<()>>,
    /// Disconnected once its thread has ended.
    ended: Receiver<()>,
}

impl Shards {
    /// Starts the threads.
    ///
    /// # Errors
    /// If the machine has no thread or no file descriptor left.
    pub fn start() -> Result<Self> {
        let shards = (0..count()).map(Shard::start).collect::<Result<_>>();
        Ok(Self(shards.context("can't start a thread for each core")?))
    }

    /// Spawns `connection` on the shard that has the fewest.
    pub fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let shard = self.0.iter().min_by_key(|shard| Arc::strong_count(&shard.connections));
        let Some(shard) = shard else { return };
        let counted = shard.connections.clone();
        shard.runtime.spawn(async move {
            connection.await;
            drop(counted);
        });
    }
}

impl Shard {
    fn start(index: usize) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let (ends, ended) = mpsc::channel();
        thread::Builder::new().name(format!("shard-{index}")).spawn(move || {
            CURRENT.set(index);
            _ = runtime.block_on(stopped);
            drop(runtime);
            drop::<Sender<()>>(ends);
        })?;
        Ok(Self { runtime: handle, connections: Arc::new(()), stop: Some(stop), ended })
    }
}

impl Drop for Shards {
    fn drop(&mut self) {
        for shard in &mut self.0 {
            drop(shard.stop.take());
        }
        let end = Instant::now() + MAX_BLOCKED;
        for shard in &self.0 {
            _ = shard.ended.recv_timeout(end.saturating_duration_since(Instant::now()));
        }
    }
}
