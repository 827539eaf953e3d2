//! What components write to their standard streams, and what the host has to
//! say of them.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use serde::de::IgnoredAny;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

use crate::output;

/// Takes the lines of all components, each with the component's id.
#[derive(Clone)]
pub struct Log(Arc<Sink>);

type Sink = dyn Fn(&str, &str) + Send + Sync;

impl Log {
    /// A log that gives each line to `sink`, as component id and line.
    pub fn new(sink: impl Fn(&str, &str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    /// A log that goes to standard error. A JSON object, which programs read, stays as it
    /// is; any other line comes after the id of its component. Control characters are
    /// escaped in both.
    pub fn stderr() -> Self {
        Self::new(|component, line| {
            let is_object = line.starts_with('{')
                && serde_json::from_str::<BTreeMap<String, IgnoredAny>>(line).is_ok();
            let line = escape(line);
            output::stderr(if is_object { line } else { format!("{component}: {line}") });
        })
    }

    /// A log that goes nowhere.
    pub fn quiet() -> Self {
        Self::new(|_, _| {})
    }

    /// Takes each line of `text`, of the component `component`.
    pub fn write(&self, component: &str, text: &str) {
        for line in text.lines() {
            (self.0)(component, line);
        }
    }
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

/// A standard stream of a component.
#[derive(Clone)]
pub struct Stdio {
    log: Log,
    component: Arc<str>,
    /// What was written since the last end of a line.
    line: Vec<u8>,
}

/// How much of a line is kept before it is logged without its end, in bytes.
const MAX_LINE: usize = 16 * 1024;

impl Stdio {
    /// The stream of `component`, into `log`.
    pub fn new(log: Log, component: Arc<str>) -> Self {
        Self { log, component, line: Vec::new() }
    }

    fn log(&mut self, length: usize) {
        let text: Vec<_> = self.line.drain(..length).collect();
        self.log.write(&self.component, &String::from_utf8_lossy(&text));
    }
}

impl Drop for Stdio {
    fn drop(&mut self) {
        self.log(self.line.len());
    }
}

impl IsTerminal for Stdio {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stdio {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Self::new(self.log.clone(), self.component.clone()))
    }
}

impl AsyncWrite for Stdio {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.line.extend_from_slice(bytes);
        let end = self.line.iter().rposition(|&byte| byte == b'\n').map(|end| end + 1);
        let full = (self.line.len() > MAX_LINE).then_some(self.line.len());
        if let Some(length) = full.or(end) {
            self.log(length);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
