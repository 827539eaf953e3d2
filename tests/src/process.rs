//! The command `cargo run` as a process of its own, as its user meets it.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a test waits for a process to write a line, or to end.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// The command. Cargo has built it, if the running test is one of the package `host`.
pub fn host() -> Command {
    Command::new(path())
}

/// The command, after the commands `before` of a shell. Its arguments follow.
pub fn host_after(before: &str) -> Command {
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!(r#"{before}; exec "$0" "$@""#)]).arg(path());
    shell
}

fn path() -> OsString {
    std::env::var_os("CARGO_BIN_EXE_host").expect("a test of the package `host`, run by cargo")
}

/// A process, which is killed when this is dropped.
pub struct Running {
    process: Child,
    output: Mutex<mpsc::Receiver<String>>,
    errors: Mutex<Errors>,
}

/// A process of `spin up`.
pub struct Spin {
    process: Running,
    pub address: String,
    _state: TempDir,
}

impl Spin {
    /// Starts the Spin at the path `spin`, which serves the application at `manifest`.
    /// `configure` adds options, and may add files to the folder of its state.
    pub fn start(
        spin: &Path,
        manifest: &Path,
        configure: impl FnOnce(&mut Command, &Path),
    ) -> Self {
        let state = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(spin);
        // Its child, which serves, outlives it unless both are ended.
        command.process_group(0).args(["up", "--listen", "127.0.0.1:0", "--from"]);
        command.arg(manifest).arg("--state-dir").arg(state.path());
        configure(&mut command, state.path());
        let process = Running::start(&mut command);
        let lines = std::iter::repeat_with(|| process.line()).take(20);
        let mut addresses =
            lines.filter_map(|line| Some(line.strip_prefix("Serving http://")?.to_owned()));
        let address = addresses.next().unwrap_or_else(|| panic!("{}", process.log()));
        Self { process, address, _state: state }
    }

    pub fn log(&self) -> String {
        self.process.log()
    }
}

impl Drop for Spin {
    fn drop(&mut self) {
        kill("-KILL", &format!("-{}", self.process.id()));
    }
}

/// Sends a signal to a process or, if its `id` begins with a hyphen, to its group.
pub fn kill(signal: &str, id: &str) {
    let status = Command::new("kill").args([signal, "--", id]).status();
    assert!(status.expect("`kill` runs").success(), "kill {signal} {id}");
}

/// The lines of standard error.
struct Errors {
    next: mpsc::Receiver<String>,
    seen: String,
}

impl Running {
    /// Starts `command`.
    pub fn start(command: &mut Command) -> Self {
        Self::start_with_stderr(command, Stdio::piped())
    }

    /// Starts it, with a standard error that its caller reads, if it is no pipe of its own.
    pub fn start_with_stderr(command: &mut Command, stderr: impl Into<Stdio>) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
        let mut process = command.spawn().expect("the host starts");
        let output = Mutex::new(lines(process.stdout.take().unwrap()));
        let next = match process.stderr.take() {
            Some(stderr) => lines(stderr),
            None => mpsc::channel().1,
        };
        Self { process, output, errors: Mutex::new(Errors { next, seen: String::new() }) }
    }

    /// Starts it, and gives the address at which it serves.
    pub fn serving(command: &mut Command) -> (Self, String) {
        let running = Self::start(command);
        let address = running.address();
        (running, address)
    }

    /// The address at which it serves, which is in the next line of its standard output.
    pub fn address(&self) -> String {
        let line = self.line();
        let address = line.strip_prefix("Serving http://");
        address.unwrap_or_else(|| panic!("{line:?}: {}", self.log())).to_owned()
    }

    /// The next line of its standard output; empty at its end.
    pub fn line(&self) -> String {
        match self.output.lock().unwrap().recv_timeout(MAX_WAIT) {
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("no line within {MAX_WAIT:?}"),
            line => line.unwrap_or_default().trim_end().to_owned(),
        }
    }

    /// What it has written to standard error so far.
    pub fn log(&self) -> String {
        let mut errors = self.errors.lock().unwrap();
        while let Ok(line) = errors.next.try_recv() {
            errors.seen += &line;
        }
        errors.seen.clone()
    }

    /// Reads standard error up to the next line that contains `text`.
    pub fn wait_for(&self, text: &str) {
        while !self.errors.lock().unwrap().next_line(text).contains(text) {}
    }

    /// Waits until there is a line of standard error that contains all of `parts`, or
    /// there was one.
    pub fn wait_for_line(&self, parts: &[&str]) {
        let is_it = |line: &str| parts.iter().all(|part| line.contains(part));
        let mut errors = self.errors.lock().unwrap();
        if !errors.seen.lines().any(is_it) {
            while !is_it(&errors.next_line(&parts.join(", "))) {}
        }
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends it a signal, such as `-TERM`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.id().to_string()]).status();
        assert!(status.expect("`kill` runs").success(), "kill {name}");
    }

    /// Waits until it ends, and gives the exit code.
    pub fn wait(&mut self) -> Option<i32> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().expect("a process") {
                return status.code();
            }
            assert!(start.elapsed() < MAX_WAIT, "it still runs after {MAX_WAIT:?}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until it ends. Gives the exit code, and the lines of standard error that
    /// nobody has waited for.
    pub fn end(mut self) -> (Option<i32>, String) {
        let code = self.wait();
        let errors = self.errors.get_mut().unwrap();
        let rest = std::iter::from_fn(|| errors.next.recv_timeout(MAX_WAIT).ok());
        (code, rest.collect())
    }
}

/// Waits until nobody listens at `address`.
pub fn wait_until_closed(address: impl ToSocketAddrs) {
    let address = address.to_socket_addrs().expect("an address").next().expect("an address");
    let start = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(start.elapsed() < MAX_WAIT, "{address} is still open after {MAX_WAIT:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

impl Errors {
    /// The next line, on the way to one with `text`.
    fn next_line(&mut self, text: &str) -> String {
        let line = self.next.recv_timeout(MAX_WAIT);
        let line = line.unwrap_or_else(|error| panic!("no {text:?} ({error}):\n{}", self.seen));
        self.seen += &line;
        line
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// Reads the lines of a stream until its end.
fn lines(stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        while stream.read_line(&mut line).is_ok_and(|length| length > 0) {
            _ = sender.send(std::mem::take(&mut line));
        }
    });
    lines
}
