//! A server of the application as a process of its own, and a client that survives its
//! death.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{self, Running};

/// How long a client waits for an answer.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// A server, which is killed when this is dropped.
pub struct Server {
    pub process: Running,
    pub address: String,
    /// Its temporary files, which it can't remove when it is killed.
    pub temporary: TempDir,
}

/// The command that serves the application in `folder`, with its database in `state`.
pub fn command(folder: &Path, state: &Path) -> Command {
    serve(process::host(), folder, state)
}

/// The same, for a server whose files can't grow beyond `size` KiB. The system refuses
/// to write more, and does not end the process for it, since the signal is ignored.
pub fn limited(size: u32, folder: &Path, state: &Path) -> Command {
    let script = format!(r#"trap "" XFSZ; ulimit -f {size}"#);
    serve(process::host_after(&script), folder, state)
}

fn serve(mut command: Command, folder: &Path, state: &Path) -> Command {
    command.args(["--no-build", "--listen", "127.0.0.1:0", "--from"]).arg(folder);
    // Siblings may be slow while all tests share the machine; that is tested elsewhere.
    command.args(["--variable", "sibling_deadline_ms=30000", "--state-dir"]).arg(state);
    command
}

impl Server {
    /// Starts `command`, and returns once it serves.
    pub fn start(mut command: Command) -> Self {
        let temporary = tempfile::tempdir().expect("a folder");
        let (process, address) = Running::serving(command.env("TMPDIR", temporary.path()));
        Self { process, address, temporary }
    }

    pub fn get(&self, path: &str) -> Reply {
        Reply::expect(&self.address, "GET", path, "", None)
    }

    /// The JSON of a successful GET.
    pub fn get_json(&self, path: &str) -> Value {
        let reply = self.get(path);
        assert_eq!(reply.status, 200, "{path}: {reply:?}\n{}", self.process.log());
        reply.json()
    }

    pub fn put(&self, path: &str, body: Option<&Value>) -> Reply {
        Reply::expect(&self.address, "PUT", path, "", body)
    }

    pub fn delete(&self, path: &str) -> Reply {
        Reply::expect(&self.address, "DELETE", path, "", None)
    }
}

/// A response that has arrived as a whole.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Reply {
    /// Sends a request with the header lines `headers` to the server at `address`, which
    /// must answer it.
    pub fn expect(
        address: &str,
        method: &str,
        path: &str,
        headers: &str,
        body: Option<&Value>,
    ) -> Self {
        let reply = Self::to(address, method, path, headers, body);
        reply.unwrap_or_else(|| panic!("no answer to {method} {path}"))
    }

    /// The same, where the server may be killed before it has answered.
    pub fn to(
        address: &str,
        method: &str,
        path: &str,
        headers: &str,
        body: Option<&Value>,
    ) -> Option<Self> {
        let mut stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(MAX_WAIT)).unwrap();
        let body = body.map(Value::to_string);
        let content = body.as_ref().map_or(String::new(), |body| {
            format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len())
        });
        let body = body.unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\n{headers}{content}connection: close\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut bytes = Vec::new();
        if let Err(error) = stream.read_to_end(&mut bytes) {
            let is_late = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
            assert!(!is_late, "{method} {path} was not answered within {MAX_WAIT:?}");
        }
        Self::parse(&String::from_utf8(bytes).expect("UTF-8"))
    }

    /// The response in `text`, if it is whole.
    fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().expect("a status");
        let reply = Self { status, head: head.to_owned(), body: body.to_owned() };
        let length = reply.header("content-length");
        (length.is_empty() || length == body.len().to_string()).then_some(reply)
    }

    pub fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
