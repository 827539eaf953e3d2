//! What there is to say of an application.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a [`Notice`] is written at most.
const NOTICE_INTERVAL: Duration = Duration::from_secs(60);

/// Takes the lines of components and of the host. By default, nobody reads them.
#[derive(Clone)]
pub struct Log(Arc<Sink>);

type Sink = dyn Fn(Option<&str>, &str) + Send + Sync;

impl Log {
    /// A log that gives each line to `sink`, after the id of its component; a line of the host
    /// has none.
    pub fn new(sink: impl Fn(Option<&str>, &str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    /// Takes each line of `text`, of the component `id`.
    pub(crate) fn component(&self, id: &str, text: &str) {
        for line in text.lines() {
            (self.0)(Some(id), line);
        }
    }

    /// Takes a line of the host.
    pub(crate) fn host(&self, line: impl AsRef<str>) {
        (self.0)(None, line.as_ref());
    }
}

impl Default for Log {
    fn default() -> Self {
        Self::new(|_, _| {})
    }
}

/// A line that is written at most once a minute.
#[derive(Debug, Default)]
pub struct Notice(Mutex<Option<Instant>>);

impl Notice {
    /// Writes `line` to `log`, unless there was one in the last minute.
    pub fn write(&self, log: &Log, line: impl FnOnce() -> String) {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if written.is_none_or(|written| written.elapsed() > NOTICE_INTERVAL) {
            *written = Some(Instant::now());
            log.host(line());
        }
    }
}
