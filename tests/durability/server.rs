//! The command `cargo run` as a process of its own, and a client that survives its
//! death.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long a client waits for an answer, and a test for a line in the log.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// A server, which is killed when this is dropped.
pub struct Server {
    pub process: Child,
    pub address: String,
    /// What it has written to standard error.
    log: Arc<Mutex<String>>,
    /// Its temporary files, which it can't remove when it is killed.
    _temporary: TempDir,
}

/// The command that serves the application in `folder`, with its database in `state`.
pub fn command(folder: &Path, state: &Path) -> Command {
    serve(Command::new(env!("CARGO_BIN_EXE_host")), folder, state)
}

/// The same, for a server whose files can't grow beyond `size` KiB. The system refuses
/// to write more, and does not end the process for it, since the signal is ignored.
pub fn limited(size: u32, folder: &Path, state: &Path) -> Command {
    let script = format!(r#"trap "" XFSZ; ulimit -f {size}; exec "$0" "$@""#);
    let mut shell = Command::new("bash");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_host")]);
    serve(shell, folder, state)
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
        command.env("TMPDIR", temporary.path());
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("the host starts");
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        // Killed with it, whatever its first line is.
        let mut server =
            Self { process, address: String::new(), log: log.clone(), _temporary: temporary };
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                *log.lock().unwrap() += &(line + "\n");
            }
        });
        let line = stdout.lines().next().and_then(Result::ok).unwrap_or_default();
        let address = line.strip_prefix("Serving http://");
        server.address = address.unwrap_or_else(|| panic!("{line:?}: {}", server.log())).to_owned();
        server
    }

    /// Ends the process at once (SIGKILL).
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a line of the log that contains all of `parts`.
    pub fn wait_for_line(&self, parts: &[&str]) {
        let start = Instant::now();
        while !self.log().lines().any(|line| parts.iter().all(|part| line.contains(part))) {
            assert!(start.elapsed() < MAX_WAIT, "no line with {parts:?}:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn get(&self, path: &str) -> Reply {
        Reply::expect(&self.address, "GET", path, "", None)
    }

    /// The JSON of a successful GET.
    pub fn get_json(&self, path: &str) -> Value {
        let reply = self.get(path);
        assert_eq!(reply.status, 200, "{path}: {reply:?}\n{}", self.log());
        reply.json()
    }

    pub fn put(&self, path: &str, body: Option<&Value>) -> Reply {
        Reply::expect(&self.address, "PUT", path, "", body)
    }

    pub fn delete(&self, path: &str) -> Reply {
        Reply::expect(&self.address, "DELETE", path, "", None)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
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
