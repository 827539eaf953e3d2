//! `--apart` as its user meets it: its output, its ports, and how its processes end.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use host::manifest::Manifest;
use support::process::{Running, wait_until_closed};
use support::server::{self, Reply};

use crate::listen;
use crate::services::Services;

/// A request that waits for `movies`.
const SUGGESTED: &str = "/users/dwight_schrute/suggested";

/// The components, in the order of the manifest.
fn components() -> Vec<String> {
    let mut ids = Vec::new();
    for trigger in Manifest::read(&support::folder("")).expect("a manifest").triggers {
        if !ids.contains(&trigger.component) {
            ids.push(trigger.component);
        }
    }
    ids
}

fn command() -> Command {
    let mut command = server::command(&support::application(), "".as_ref());
    command.arg("--apart");
    command
}

#[test]
fn others_go_on_while_a_process_is_killed_again_and_again() {
    let services = Services::start(30_000);
    for _ in 0..3 {
        let (killed, _) = services.process("movies");
        services.signal("movies", "-KILL");
        let mut seen = BTreeSet::new();
        while services.process("movies").0 == killed {
            for path in ["/", "/site/app.js", "/showtimes", "/bookings", "/todo/lists"] {
                assert_eq!(services.get(path).status, 200, "{path}");
            }
            let reply = services.get("/movies");
            assert!(reply.status == 200 || reply.header("retry-after") == "1", "{reply:?}");
            seen.insert(reply.status);
        }
        assert!(seen.contains(&503), "{seen:?}");
        assert_eq!(services.get("/movies").status, 200);
    }
}

#[test]
fn what_a_service_writes_is_labelled_and_requests_are_logged_once() {
    let services = Services::start_with(30_000, |command| _ = command.arg("--access-log"));
    services.front.process.wait_for_line(&["movies: Loading the components"]);
    for id in components() {
        let (process, address) = services.process(&id);
        assert!(process.parse::<u32>().is_ok() && address.starts_with("127.0.0.1:"), "{id}");
    }
    assert_eq!(services.get(SUGGESTED).status, 200);
    let mut lines = std::iter::repeat_with(|| services.front.process.line());
    let line = lines.find(|line| line.contains("HTTP/1.1")).expect("a line");
    assert!(line.contains(&format!("\"GET {SUGGESTED} HTTP/1.1\" 200")), "{line}");
    assert!(line.contains(" users "), "{line}");
    services.front.process.signal("-INT");
    assert_eq!(services.front.process.line(), "");
}

#[test]
fn processes_listen_at_the_given_port_and_the_following_in_the_order_of_the_manifest() {
    let (ids, temporary) = (components(), tempfile::tempdir().expect("a folder"));
    let temporary = temporary.path();
    // Another process may take one of them before they are needed.
    let (running, first) = (0..10)
        .find_map(|_| {
            let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let first = free.local_addr().expect("an address").port();
            let others = (1..ids.len()).map(|next| {
                TcpListener::bind(("127.0.0.1", first.checked_add(u16::try_from(next).ok()?)?)).ok()
            });
            others.collect::<Option<Vec<_>>>()?;
            drop(free);
            let mut command = command();
            let running = Running::start(command.arg(first.to_string()).env("TMPDIR", temporary));
            running.line().starts_with("Serving").then_some((running, first))
        })
        .expect("a row of free ports");
    for (id, port) in ids.iter().zip(first..) {
        running.wait_for_line(&[&format!("{id}: process "), &format!("http://127.0.0.1:{port}")]);
    }
}

#[test]
fn a_port_that_cannot_be_had_is_an_error_that_names_its_service() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let [one, two, ..] = &components()[..] else { panic!("two components") };
    for (first, message) in [
        (port, format!("`{one}` can't listen at port {port}: Address already in use")),
        (65535, format!("`{two}` can't listen at port 65536")),
    ] {
        let (code, errors) = Running::start(command().arg(first.to_string())).end();
        assert_eq!(code, Some(1));
        assert!(errors.contains(&message), "{errors}");
    }
}

/// Services with a request in flight: its client, and what ends it when it is dropped.
fn in_flight() -> (Services, TcpStream, mpsc::Sender<()>) {
    let (finish, finished) = mpsc::channel::<()>();
    let (ask, asked) = mpsc::channel();
    let finished = std::sync::Mutex::new(finished);
    let address = listen(move |mut client| {
        _ = client.read(&mut [0; 4096])?;
        _ = ask.send(());
        _ = finished.lock().unwrap().recv();
        Ok(())
    });
    let variable = format!("movies_url=http://{address}");
    let services = Services::start_with(60_000, |command| {
        command.args(["--variable", &variable]);
    });
    let mut stream = TcpStream::connect(&services.address).expect("a connection");
    write!(stream, "GET {SUGGESTED} HTTP/1.1\r\nhost: a\r\n\r\n").expect("sent");
    asked.recv_timeout(Duration::from_secs(60)).expect("a request to the sibling");
    (services, stream, finish)
}

/// The addresses of the services.
fn addresses(services: &Services) -> Vec<String> {
    components().iter().map(|id| services.process(id).1).collect()
}

#[test]
fn an_interrupt_ends_all_processes_after_the_requests_in_flight() {
    let (mut services, mut stream, finish) = in_flight();
    let addresses = addresses(&services);
    services.front.process.signal("-INT");
    wait_until_closed(&services.address);
    // Still there, to answer it.
    for address in &addresses {
        assert_eq!(Reply::expect(address, "GET", "/.well-known/spin/health", "", None).status, 200);
    }
    drop(finish);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("`movies`"), "{answer}");
    assert_eq!(services.front.process.wait(), Some(0));
    for address in &addresses {
        assert!(TcpStream::connect(address).is_err(), "{address} is open");
    }
    let left = services.front.temporary.path().read_dir().expect("a folder");
    assert_eq!(left.count(), 0, "files are left");
}

#[test]
fn a_second_interrupt_ends_all_processes_at_once() {
    let (mut services, _stream, _finish) = in_flight();
    let addresses = addresses(&services);
    services.front.process.signal("-INT");
    wait_until_closed(&services.address);
    services.front.process.signal("-INT");
    let start = Instant::now();
    assert_eq!(services.front.process.wait(), Some(1));
    addresses.iter().for_each(wait_until_closed);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let left = services.front.temporary.path().read_dir().expect("a folder");
    assert_eq!(left.count(), 0, "files are left");
}

#[test]
fn no_process_outlives_the_one_that_started_it() {
    let services = Services::start(30_000);
    let addresses = addresses(&services);
    services.front.process.signal("-KILL");
    addresses.iter().for_each(wait_until_closed);
}

#[test]
fn a_change_reaches_the_process_of_the_service_that_it_concerns() {
    let copy = support::copy(&support::application());
    let services = Services::start_in(copy.path(), 30_000, |command| _ = command.arg("--watch"));
    support::edit(&copy.path().join("data/cinema/movies.json"), "\"Creed\"", "\"Changed\"");
    services.front.process.wait_for_line(&["movies: Serving the new version"]);
    assert!(services.get("/movies").body.contains("\"Changed\""));
    assert!(!services.front.process.log().contains("users: Changed"));
}

#[test]
fn an_interrupt_before_all_of_them_serve_ends_those_that_do() {
    let copy = support::copy(&support::application());
    let temporary = tempfile::tempdir().expect("a folder");
    let mut command = server::command(copy.path(), "".as_ref());
    // `movies` can't be loaded, and waits for a change.
    support::edit(&copy.path().join("spin.toml"), "data/cinema/movies.json", "data/missing.json");
    command.args(["--apart", "--watch"]).env("TMPDIR", temporary.path());
    let mut running = Running::start(&mut command);
    running.wait_for_line(&["movies: Waiting for a change"]);
    running.wait_for_line(&["showtimes: process "]);
    let log = running.log();
    let served = log.lines().find(|line| line.starts_with("showtimes: process ")).expect("a line");
    let (_, address) = served.split_once("http://").expect("an address");
    running.signal("-INT");
    assert_eq!(running.wait(), Some(1));
    wait_until_closed(address);
    assert_eq!(temporary.path().read_dir().expect("a folder").count(), 0, "files are left");
}

#[test]
fn a_component_that_no_other_process_could_ask_is_refused() {
    let mut command = server::command(&support::folder("tests/guest"), "".as_ref());
    let (code, errors) = Running::start(command.arg("--apart")).end();
    assert_eq!(code, Some(1));
    assert!(errors.contains("the route of `hidden` is private"), "{errors}");
}
