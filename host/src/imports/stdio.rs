//! What components write to their standard streams.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

use crate::imports::component::Component;

/// A standard stream of a component.
#[derive(Clone)]
pub struct Stdio {
    component: Arc<Component>,
    /// What was written since the last end of a line.
    line: Vec<u8>,
}

/// How much of a line is kept before it is logged without its end, in bytes.
const MAX_LINE: usize = 16 * 1024;

impl Stdio {
    /// A stream of `component`.
    pub fn new(component: Arc<Component>) -> Self {
        Self { component, line: Vec::new() }
    }

    fn log(&mut self, length: usize) {
        let text: Vec<_> = self.line.drain(..length).collect();
        self.component.log(&String::from_utf8_lossy(&text));
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
        Box::new(Self::new(self.component.clone()))
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
