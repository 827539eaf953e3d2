//! Lines on the standard streams of this process, which keep nobody waiting.
//!
//! A thread for each stream writes them. If nobody reads a stream (a paused pager), the
//! lines that find no room are dropped and counted; if nobody ever will (a closed pipe),
//! so are all of them. `eprintln!` would block until somebody reads, and panic.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use host::Log;
use serde::de::IgnoredAny;

/// How many lines of a stream wait to be written.
const MAX_WAITING: usize = 1024;

/// How long the end of the process waits for them.
const MAX_FLUSH: Duration = Duration::from_secs(1);

static STDOUT: LazyLock<Lines> = LazyLock::new(|| Lines::new("standard output", io::stdout));
static STDERR: LazyLock<Lines> = LazyLock::new(|| Lines::new("standard error", io::stderr));

/// Writes a line to standard output.
pub fn stdout(line: String) {
    STDOUT.send(line);
}

/// Writes a line to standard error.
pub fn stderr(line: impl Into<String>) {
    STDERR.send(line.into());
}

/// Waits until what has been given to both streams is written, for a second at most.
pub fn flush() {
    let end = Instant::now() + MAX_FLUSH;
    let (written, is_written) = sync_channel(2);
    for lines in [&STDOUT, &STDERR] {
        _ = lines.sender.try_send(Entry::Flush(written.clone()));
    }
    drop(written);
    // Ends early once both threads have answered.
    while is_written.recv_timeout(end.saturating_duration_since(Instant::now())).is_ok() {}
}

/// A log on standard error, which leaves out the lines of components if it is `quiet`.
pub fn log(quiet: bool) -> Log {
    Log::new(move |id, line| match id {
        None => stderr(line),
        Some(_) if quiet => {}
        Some(id) => component(id, line),
    })
}

/// Writes a line of the component `id` to standard error. A JSON object, which programs read,
/// stays as it is; any other line comes after the id. Control characters are escaped in both.
pub fn component(id: &str, line: &str) {
    let is_object =
        line.starts_with('{') && serde_json::from_str::<BTreeMap<String, IgnoredAny>>(line).is_ok();
    let line = escape(line);
    stderr(if is_object { line } else { format!("{id}: {line}") });
}

/// `line` without characters that a terminal would obey, and as JSON escapes them.
fn escape(line: &str) -> String {
    let mut escaped = String::with_capacity(line.len());
    for character in line.chars() {
        if character.is_control() && character != '\t' {
            escaped += &format!("\\u{:04x}", u32::from(character));
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// The lines of a stream, on the way to its thread.
struct Lines {
    sender: SyncSender<Entry>,
    dropped: &'static AtomicUsize,
}

enum Entry {
    Line(String),
    Flush(SyncSender<()>),
}

impl Lines {
    fn new<W: Write + 'static>(name: &'static str, stream: fn() -> W) -> Self {
        let dropped: &AtomicUsize = Box::leak(Box::default());
        let (sender, entries) = sync_channel(MAX_WAITING);
        // Without a thread, all lines are dropped.
        _ = thread::Builder::new().name(name.to_owned()).spawn(move || {
            for entry in entries {
                match entry {
                    Entry::Line(line) => write(&mut stream(), line),
                    Entry::Flush(written) => _ = written.send(()),
                }
                let missing = dropped.swap(0, Relaxed);
                if missing > 0 {
                    let notice = format!("{missing} lines of {name} were dropped: nobody read it");
                    if !STDERR.takes(notice) {
                        // Says so after a later line.
                        dropped.fetch_add(missing, Relaxed);
                    }
                }
            }
        });
        Self { sender, dropped }
    }

    fn send(&self, line: String) {
        if !self.takes(line) {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Passes `line` on, if there is room for it.
    fn takes(&self, line: String) -> bool {
        self.sender.try_send(Entry::Line(line)).is_ok()
    }
}

fn write(stream: &mut impl Write, mut line: String) {
    line.push('\n');
    // A closed stream is no reason to end.
    _ = stream.write_all(line.as_bytes()).and_then(|()| stream.flush());
}
