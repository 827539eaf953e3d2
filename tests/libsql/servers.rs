//! A libSQL server, and servers of Spin that use it, as processes of their own.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::application;
use support::process::{Spin, kill};
use support::server::Reply;
use tempfile::TempDir;

/// How long a server may take to start.
const MAX_START: Duration = Duration::from_secs(60);

/// The paths in `SPIN` and `SQLD`. Without them, one line says that nothing is tested.
pub fn installed() -> Option<(PathBuf, PathBuf)> {
    let path = |name| std::env::var_os(name).map(PathBuf::from);
    let found = path("SPIN").zip(path("SQLD"));
    static SAY: Once = Once::new();
    if found.is_none() {
        // Not with `eprintln!`, whose lines a test that passes does not show.
        let line = "skipped: SPIN and SQLD must be the paths of Spin 4.1 and of a libSQL server";
        SAY.call_once(|| _ = writeln!(std::io::stderr(), "{line}"));
    }
    found
}

/// A libSQL server with a database of its own.
pub struct Database {
    sqld: PathBuf,
    process: Child,
    address: String,
    folder: TempDir,
}

impl Database {
    pub fn start(sqld: PathBuf) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // It takes no port 0, and must keep its port when it starts again.
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("an address").to_string();
        drop(free);
        let process = Self::spawn(&sqld, &folder, &address);
        let database = Self { sqld, process, address, folder };
        database.wait();
        database
    }

    fn spawn(sqld: &PathBuf, folder: &TempDir, address: &str) -> Child {
        let mut command = Command::new(sqld);
        // With its 128 by default, many clients time out while they open one.
        command.args(["--no-welcome", "--max-concurrent-connections", "1024"]);
        command.args(["--http-listen-addr", address, "--db-path"]);
        command.arg(folder.path().join("database")).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("sqld starts")
    }

    fn wait(&self) {
        let start = Instant::now();
        while Reply::to(&self.address, "GET", "/health", "", None).is_none() {
            assert!(start.elapsed() < MAX_START, "sqld has not started");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(&mut self) {
        self.process.kill().expect("killed");
        self.process.wait().expect("an end");
    }

    /// Starts it again, with the same data.
    pub fn restart(&mut self) {
        self.process = Self::spawn(&self.sqld, &self.folder, &self.address);
        self.wait();
    }

    /// Sends it a signal: `-STOP` or `-CONT`.
    pub fn signal(&self, name: &str) {
        kill(name, &self.process.id().to_string());
    }

    /// Executes the statements of `script`, and gives the rows of the last one.
    pub fn execute(&self, script: &str) -> Value {
        let (first, last) =
            script.trim().trim_end_matches(';').rsplit_once(";\n").unwrap_or(("", script));
        let requests = json!({"requests": [
            {"type": "sequence", "sql": first},
            {"type": "execute", "stmt": {"sql": last}},
            {"type": "close"},
        ]});
        let reply = Reply::expect(&self.address, "POST", "/v2/pipeline", "", Some(&requests));
        let results = reply.json()["results"].take();
        for result in results.as_array().expect("results") {
            assert_eq!(result["type"], "ok", "{result}");
        }
        let rows = results[1]["response"]["result"]["rows"].as_array().expect("rows").iter();
        let row = |row: &Value| {
            row.as_array()
                .expect("a row")
                .iter()
                .map(|cell| cell["value"].clone())
                .collect::<Value>()
        };
        rows.map(row).collect()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// Starts a process of `spin up`, which serves the application with `database`.
pub fn start(spin: &Path, database: &Database, variables: &[&str]) -> Spin {
    let path = support::folder("deploy/runtime-config.toml");
    let text = std::fs::read_to_string(path).expect("a file");
    let address = format!("http://{}", database.address);
    let text = text.replace("https://cinema-3-and-todo.libsql.example.com", &address);
    Spin::start(spin, &application(), |command, folder| {
        let file = folder.join("runtime-config.toml");
        std::fs::write(&file, text.replace("${LIBSQL_TOKEN}", "")).expect("written");
        command.arg("--runtime-config-file").arg(file);
        // Siblings may be slow while all tests share the machine.
        for variable in variables.iter().chain(&["sibling_deadline_ms=30000"]) {
            command.args(["--variable", variable]);
        }
    })
}
