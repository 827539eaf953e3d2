//! `--watch`: what changes is built and loaded again.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use http::Method;
use support::process::{Running, wait_until_closed};
use support::{request, send_to};
use tempfile::TempDir;

use crate::guest;

const MANIFEST: &str = r#"
spin_manifest_version = 2

[application]
name = "watched"

[[trigger.http]]
route = "/one/..."
component = "one"

[component.one]
source = "one.wasm"
files = ["one.txt"]
environment = { DO = "read", WITH = "/one.txt" }

[component.one.build]
command = "sh ../build.sh one"
workdir = "one"
watch = ["**/*.source"]

[[trigger.http]]
route = "/two/..."
component = "two"

[component.two]
source = "two.wasm"
files = [{ source = "two", destination = "/" }]
environment = { DO = "read", WITH = "/main.source" }

[component.two.build]
command = "sh build.sh two"
watch = ["two/main.source"]
"#;

/// What a component serves is its source, unless that is broken.
const BUILD: &str = "
cd $(dirname $0)
echo $1 >> built
! grep -q broken $1/main.source || exit 1
cp guest.wasm $1.wasm
cp $1/main.source $1.txt
";

/// An application of two components, served from a folder that changes.
struct Watched {
    running: Running,
    address: String,
    folder: TempDir,
}

fn application() -> TempDir {
    guest();
    let folder = tempfile::tempdir().expect("a folder");
    let wasm = support::folder("target/wasm32-wasip2/release/guest.wasm");
    for name in ["guest.wasm", "one.wasm", "two.wasm"] {
        fs::copy(&wasm, folder.path().join(name)).expect("a copy");
    }
    for (path, text) in [("spin.toml", MANIFEST), ("build.sh", BUILD), ("one.txt", "1")] {
        fs::write(folder.path().join(path), text).expect("written");
    }
    for name in ["one", "two"] {
        fs::create_dir(folder.path().join(name)).expect("a folder");
        fs::write(folder.path().join(name).join("main.source"), "1").expect("written");
    }
    folder
}

fn command(folder: &TempDir) -> Command {
    let mut command = crate::command(folder.path());
    command.args(["--watch", "--listen", "127.0.0.1:0"]);
    command
}

impl Watched {
    fn start(arguments: &[&str]) -> Self {
        let folder = application();
        let (running, address) = Running::serving(command(&folder).args(arguments));
        Self { running, address, folder }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).expect("written");
    }

    /// Waits until a new version is served.
    fn wait(&self) {
        self.running.wait_for("Serving the new version");
    }

    fn get(&self, path: &str) -> String {
        send_to(&self.address, request(Method::GET, path)).body
    }

    /// Which components were built since the last time.
    fn built(&self) -> String {
        let built = fs::read_to_string(self.path("built")).unwrap_or_default();
        _ = fs::remove_file(self.path("built"));
        built
    }
}

#[test]
fn a_component_whose_source_changes_is_built_and_served_and_no_other() {
    let watched = Watched::start(&[]);
    assert_eq!((watched.get("/one"), watched.built()), ("1".to_owned(), "one\ntwo\n".to_owned()));
    watched.write("one/main.source", "2");
    // Not the version that the files of the first build make.
    watched.running.wait_for("one/main.source");
    watched.wait();
    assert_eq!((watched.get("/one"), watched.built()), ("2".to_owned(), "one\n".to_owned()));
    // As editors save: a new file takes the place of the old one.
    watched.write("two/saved", "3");
    fs::rename(watched.path("two/saved"), watched.path("two/main.source")).expect("renamed");
    watched.running.wait_for("Building the component `two`");
    watched.wait();
    assert_eq!((watched.get("/two"), watched.built()), ("3".to_owned(), "two\n".to_owned()));
}

#[test]
fn a_build_that_fails_is_shown_and_the_old_version_stays_until_it_succeeds() {
    let watched = Watched::start(&[]);
    watched.write("one/main.source", "broken");
    watched.running.wait_for("Error: building the component `one` failed");
    watched.running.wait_for("Still serving the old version");
    assert_eq!(watched.get("/one"), "1");
    watched.built();
    // What is still broken is not left out of the next version.
    watched.write("two/main.source", "2");
    watched.running.wait_for("Error: building the component `one` failed");
    assert_eq!((watched.get("/two"), watched.built()), ("1".to_owned(), "one\n".to_owned()));
    watched.write("one/main.source", "2");
    watched.wait();
    assert_eq!((watched.get("/one"), watched.get("/two")), ("2".to_owned(), "2".to_owned()));
    assert_eq!(watched.built(), "one\ntwo\n");
}

#[test]
fn what_an_editor_has_not_saved_is_not_built() {
    let watched = Watched::start(&[]);
    watched.built();
    watched.write("one/.main.source.swp", "not saved");
    watched.write("two/main.source", "2");
    watched.running.wait_for("two/main.source");
    watched.wait();
    assert_eq!((watched.get("/two"), watched.built()), ("2".to_owned(), "two\n".to_owned()));
}

#[test]
fn a_server_that_is_stopped_does_not_wait_for_a_build() {
    let mut watched = Watched::start(&[]);
    let fifo = watched.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    watched.write("build.sh", "echo waiting >&2; cat < $(dirname $0)/fifo");
    watched.write("two/main.source", "2");
    watched.running.wait_for("waiting");
    watched.running.signal("-TERM");
    wait_until_closed(&watched.address);
    assert_eq!(watched.running.wait(), Some(0));
    // Ends the command.
    fs::write(fifo, "").expect("written");
}

#[test]
fn a_pattern_with_braces_is_several() {
    let folder = application();
    let manifest = folder.path().join("spin.toml");
    support::edit(&manifest, "two/main.source\"]", "two/*.{source,other}\"]");
    let (running, address) = Running::serving(&mut command(&folder));
    let watched = Watched { running, address, folder };
    watched.built();
    for name in ["two/a.other", "two/b.source"] {
        watched.write(name, "2");
        watched.running.wait_for(name);
        watched.wait();
        assert_eq!(watched.built(), "two\n", "{name}");
    }
}

#[test]
fn files_that_nothing_is_made_of_delay_no_build() {
    let watched = Watched::start(&[]);
    let is_served = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_served.load(Relaxed) {
                watched.write("unrelated", "2");
                thread::yield_now();
            }
        });
        watched.write("two/main.source", "2");
        let changed = catch_unwind(AssertUnwindSafe(|| watched.wait()));
        is_served.store(true, Relaxed);
        changed.expect("a new version");
    });
}

#[test]
fn a_first_build_that_fails_waits_for_a_change() {
    let folder = application();
    fs::write(folder.path().join("one/main.source"), "broken").expect("written");
    let running = Running::start(&mut command(&folder));
    running.wait_for("Error: building the component `one` failed");
    running.wait_for("Waiting for a change");
    fs::write(folder.path().join("one/main.source"), "2").expect("written");
    let line = running.line();
    let address = line.strip_prefix("Serving http://").expect("an address");
    assert_eq!(send_to(address, request(Method::GET, "/one")).body, "2");
}

#[test]
fn a_manifest_that_changes_is_read_again_unless_it_is_malformed() {
    let watched = Watched::start(&[]);
    support::edit(&watched.path("spin.toml"), "name = \"watched\"", "nam = \"watched\"");
    watched.running.wait_for("spin.toml:5: ");
    watched.running.wait_for("Still serving the old version");
    assert_eq!(watched.get("/one"), "1");
    // Another file, which is watched from now on.
    watched.write("other.txt", "other");
    let manifest = MANIFEST.replace("one.txt", "other.txt").replace("/two/...", "/three");
    watched.write("spin.toml", &manifest);
    watched.wait();
    assert_eq!((watched.get("/one"), watched.get("/three")), ("other".to_owned(), "1".to_owned()));
    assert_eq!(send_to(&watched.address, request(Method::GET, "/two")).status, 404);
    watched.write("other.txt", "another");
    watched.running.wait_for("Changed: other.txt");
    watched.wait();
    assert_eq!(watched.get("/one"), "another");
}

#[test]
fn without_building_a_changed_binary_or_file_is_loaded() {
    let watched = Watched::start(&["--no-build"]);
    watched.write("one.txt", "2");
    watched.wait();
    assert_eq!(watched.get("/one"), "2");
    watched.write("one.wasm", "no component");
    watched.running.wait_for("can't load the component `one`");
    assert_eq!(watched.get("/one"), "2");
    fs::copy(watched.path("two.wasm"), watched.path("one.wasm")).expect("a copy");
    watched.wait();
    assert_eq!((watched.get("/one"), watched.built()), ("2".to_owned(), String::new()));
}

#[test]
fn a_request_in_flight_is_finished_by_the_old_version() {
    let watched = Watched::start(&["--no-build"]);
    let environment = |action: &str| MANIFEST.replace("DO = \"read\"", &format!("DO = {action:?}"));
    watched.write("spin.toml", &environment("body"));
    watched.wait();
    let mut stream = TcpStream::connect(&watched.address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out");
    let head = "host: a\r\ncontent-length: 6\r\nexpect: 100-continue";
    write!(stream, "POST /one HTTP/1.1\r\n{head}\r\n\r\n").expect("sent");
    // The component reads the body, so the request has begun.
    assert!(read_up_to(&mut stream, "\r\n\r\n").starts_with("HTTP/1.1 100"));
    watched.write("spin.toml", &environment("count"));
    watched.wait();
    assert_eq!(watched.get("/one"), "1");
    write!(stream, "123456").expect("sent");
    let answer = read_up_to(&mut stream, LAST_CHUNK);
    assert!(answer.contains("\r\n1\r\n6\r\n"), "{answer}");
    // The same connection, and the new version.
    write!(stream, "GET /one HTTP/1.1\r\nhost: a\r\n\r\n").expect("sent");
    let answer = read_up_to(&mut stream, LAST_CHUNK);
    assert!(answer.contains("\r\n1\r\n1\r\n"), "{answer}");
}

const LAST_CHUNK: &str = "\r\n0\r\n\r\n";

fn read_up_to(stream: &mut TcpStream, end: &str) -> String {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(end.as_bytes()) {
        stream.read_exact(&mut byte).expect("a byte");
        text.push(byte[0]);
    }
    String::from_utf8(text).expect("text")
}
