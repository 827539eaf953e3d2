//! The command `cargo run` as a process of its own, as its user meets it.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// The command, running; ended when this is dropped.
pub struct Running {
    process: Child,
    output: BufReader<ChildStdout>,
    /// The lines of its standard error.
    errors: mpsc::Receiver<String>,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the host starts");
        let output = BufReader::new(process.stdout.take().unwrap());
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let (sender, errors) = mpsc::channel();
        std::thread::spawn(move || {
            // Until the process ends, or the test.
            for line in stderr.lines().map_while(Result::ok) {
                _ = sender.send(line);
            }
        });
        Self { process, output, errors }
    }

    /// Starts it, and gives the address at which it serves.
    pub fn serving(command: &mut Command) -> (Self, String) {
        let mut running = Self::start(command);
        let line = running.line();
        let address = line.strip_prefix("Serving http://").unwrap_or_else(|| panic!("{line:?}"));
        let address = address.to_owned();
        (running, address)
    }

    /// The next line of its standard output; empty at its end.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    /// Reads standard error up to a line that contains `text`.
    pub fn wait_for(&self, text: &str) {
        let line = || self.errors.recv_timeout(Duration::from_secs(60));
        while !line().unwrap_or_else(|error| panic!("no {text:?}: {error}")).contains(text) {}
    }

    pub fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        let status = Command::new("kill").args([name, &id]).status().expect("kill");
        assert!(status.success());
    }

    /// Waits until it ends, and gives the exit code.
    pub fn wait(mut self) -> Option<i32> {
        self.process.wait().expect("an end").code()
    }

    /// The exit code and what was written to standard error.
    pub fn end(mut self) -> (Option<i32>, String) {
        let errors = self.errors.iter().map(|line| line + "\n").collect();
        (self.process.wait().expect("an end").code(), errors)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}
