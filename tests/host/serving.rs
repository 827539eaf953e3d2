//! The command as its user meets it: a real port, signals, limits.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use host::manifest::{Manifest, Route};
use http::{Method, StatusCode};
use support::process::{Running, host_after, wait_until_closed};
use support::{request, send_to};

use crate::options::{command, serving};
use crate::{guest, path};

/// Serves on a free port, after the commands `before` of a shell.
fn serving_after(before: &str) -> (Running, String) {
    let mut command = host_after(before);
    command.args(["--no-build", "--state-dir", "", "--listen", "127.0.0.1:0", "--from"]);
    Running::serving(command.arg(guest()))
}

/// What the server at `address` answers to a request for an action.
fn get(address: &str, action: &str, argument: &str) -> (StatusCode, String) {
    let reply = send_to(address, request(Method::GET, &path(action, argument)));
    (reply.status, reply.body)
}

/// The compiler is asked where its libraries are, or not. This one notes that, and has them.
const RUSTC: &str = "#!/bin/sh\necho asked >> $(dirname $0)/asked\necho /\n";

const BUILT: &str = r#"
spin_manifest_version = 2
[application]
name = "built"
[trigger]
[component.built]
source = "built.wasm"
[component.built.build]
command = "COMMAND; false"
"#;

#[test]
fn only_a_component_that_cargo_builds_needs_the_compilers_target() {
    for (command, is_asked) in [("echo", false), ("no command\"", false), ("cargo version", true)] {
        let folder = tempfile::tempdir().unwrap();
        let rustc = folder.path().join("rustc");
        std::fs::write(&rustc, RUSTC).unwrap();
        std::fs::set_permissions(&rustc, Permissions::from_mode(0o755)).unwrap();
        let manifest = BUILT.replace("COMMAND", command);
        std::fs::write(folder.path().join("spin.toml"), manifest).unwrap();
        let path = [folder.path().to_str().unwrap(), &std::env::var("PATH").unwrap()].join(":");
        let mut command = crate::command(folder.path());
        let (code, _) = Running::start(command.env("PATH", path)).end();
        assert_eq!(code, Some(1));
        assert_eq!(folder.path().join("asked").exists(), is_asked, "{command:?}");
    }
}

#[test]
fn routes_are_printed_and_served_on_a_real_port() {
    let (running, address) = serving(&[]);
    assert_eq!(running.line(), "Available Routes:");
    let manifest = Manifest::read(&guest()).expect("a manifest");
    let expected = manifest.triggers.iter().filter_map(|trigger| {
        let Route::Public(route) = &trigger.route else { return None };
        let shown = match route.strip_suffix("/...") {
            Some(path) => format!("{path} (wildcard)"),
            None => route.clone(),
        };
        Some(format!("  {}: http://{address}{shown}", trigger.component))
    });
    let expected = BTreeSet::from_iter(expected);
    let routes: BTreeSet<_> = expected.iter().map(|_| running.line()).collect();
    assert_eq!(routes, expected);
    assert_eq!(get(&address, "read", "/files/one.txt"), (StatusCode::OK, "one".to_owned()));
    for (path, status) in [("/nowhere", 404), ("/.well-known/spin/health", 200)] {
        assert_eq!(send_to(&address, request(Method::GET, path)).status, status, "{path}");
    }
}

#[test]
fn a_connection_serves_many_requests_and_head_has_no_body() {
    let (_running, address) = serving(&[]);
    let path = path("read", "/files/one.txt");
    let mut stream = TcpStream::connect(&address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    for _ in 0..3 {
        write!(stream, "HEAD {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").unwrap();
    }
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("replies");
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 4, "{text}");
    assert!(text.ends_with("\r\n3\r\none\r\n0\r\n\r\n"), "one body: {text}");
}

#[test]
fn a_client_that_goes_away_harms_nobody() {
    let (running, address) = serving(&[]);
    for action in ["count", "body"] {
        let path = path(action, "");
        let mut stream = TcpStream::connect(&address).expect("a connection");
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 9999\r\n\r\npart"
        )
        .unwrap();
        drop(stream);
        assert_eq!(get(&address, action, "").0, StatusCode::OK);
    }
    running.signal("-TERM");
    assert_eq!(running.end().0, Some(0));
}

#[test]
fn slow_clients_keep_nobody_waiting() {
    let (_running, address) = serving(&[]);
    let path = path("count", "");
    // Half of them say nothing, half of them begin a request and go no further.
    let slow: Vec<_> = (0..200)
        .map(|number| {
            let mut stream = TcpStream::connect(&address).expect("a connection");
            if number % 2 == 0 {
                write!(stream, "GET {path} HTTP/1.1\r\nhost: a\r\nx-slow: ").unwrap();
            }
            stream
        })
        .collect();
    let start = Instant::now();
    for mut stream in &slow {
        assert_eq!(get(&address, "count", "").0, StatusCode::OK);
        _ = stream.write(b"x");
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    // And who was slow is served in the end.
    let mut stream = &slow[0];
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(b"\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("a reply");
    assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
}

/// The status of a request with those lines before its end.
fn status_of(address: &str, head: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // The server may refuse, and close, before it has read all of it.
    _ = stream.write_all(format!("{head}connection: close\r\n\r\n").as_bytes());
    let mut start = [0; 12];
    stream.read_exact(&mut start).expect("a status line");
    String::from_utf8_lossy(&start[9..]).into_owned()
}

#[test]
fn a_malformed_request_is_a_400() {
    let (_running, address) = serving(&[]);
    for head in ["GET /exact HTTP/1.1\r\nhost: a b\r\n", "GET /exact HTTP/1.1\r\n", "nonsense\r\n"]
    {
        assert_eq!(status_of(&address, head), "400", "{head:?}");
    }
}

#[test]
fn a_request_is_served_up_to_each_limit_and_refused_beyond_it() {
    let (_running, address) = serving(&[]);
    let start = format!("GET {}", path("count", ""));
    let end = " HTTP/1.1\r\nhost: a\r\n";
    let target = |length: usize| {
        let padding = "x".repeat(length - (start.len() - "GET ".len()));
        format!("{start}{padding}{end}")
    };
    // With `host` and `connection`.
    let headers = |count: usize| format!("{start}{end}{}", "x: y\r\n".repeat(count - 2));
    let bytes = |length: usize| {
        let last = "x: \r\nconnection: close\r\n\r\n";
        let padding = "x".repeat(length - start.len() - end.len() - last.len());
        format!("{start}{end}x: {padding}\r\n")
    };
    for (within, beyond, refusal) in [
        (target(65_534), target(65_535), "414"),
        (headers(100), headers(101), "431"),
        (bytes(400 * 1024), bytes(900_000), "431"),
    ] {
        assert_eq!(status_of(&address, &within), "200", "{:.40}", within);
        assert_eq!(status_of(&address, &beyond), refusal, "{:.40}", beyond);
    }
}

/// Sends a request that takes that many milliseconds to a server of its own. Returns once
/// the component has begun to answer.
fn in_flight(milliseconds: &str) -> (Running, TcpStream) {
    let (running, address) = serving(&[]);
    let mut stream = TcpStream::connect(&address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let path = path("sleep", milliseconds);
    write!(stream, "GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    running.wait_for("sleeping");
    (running, stream)
}

#[test]
fn requests_in_flight_are_finished_after_a_signal() {
    let (running, mut stream) = in_flight("1000");
    running.signal("-TERM");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("a reply");
    assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
    assert_eq!(running.end().0, Some(0));
}

#[test]
fn a_second_signal_ends_the_server_at_once() {
    for (first, second) in [("-INT", "-INT"), ("-TERM", "-INT")] {
        let (running, mut stream) = in_flight("60000");
        let address = stream.peer_addr().expect("an address");
        running.signal(first);
        // It has seen the signal when it no longer listens.
        wait_until_closed(address);
        running.signal(second);
        let start = Instant::now();
        let (code, errors) = running.end();
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        assert_eq!(code, Some(1));
        assert!(errors.contains("stopped before all requests were answered"), "{errors}");
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "a response");
    }
}

#[test]
fn connections_beyond_the_share_of_open_files_wait_and_are_logged() {
    let (running, address) = serving_after("ulimit -n 128");
    let mut connections: Vec<_> =
        (0..100).map(|_| TcpStream::connect(&address).expect("a connection")).collect();
    running.wait_for("connections are open, the limit");
    let mut last = connections.pop().expect("a connection");
    drop(connections);
    last.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let path = path("count", "");
    write!(last, "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    last.read_to_string(&mut text).expect("a reply");
    assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
    running.signal("-TERM");
    let (code, errors) = running.end();
    assert_eq!((code, errors.as_str()), (Some(0), ""), "one line, and no accept that failed");
}

// Elsewhere the cache has another place, and address space has no limit.
#[cfg(target_os = "linux")]
#[test]
fn a_start_without_a_cache_or_a_pool_is_logged_and_serves() {
    for (before, line) in [
        ("export XDG_CACHE_HOME=/dev/null", "without a cache"),
        // Enough for some instances, but not for the pool's address space.
        ("ulimit -v 64000000", "allocated on demand"),
    ] {
        let (running, address) = serving_after(before);
        running.wait_for(line);
        assert_eq!(get(&address, "count", "").0, StatusCode::OK);
    }
}

#[test]
fn interrupt_and_terminate_end_it_well() {
    for name in ["-INT", "-TERM"] {
        let (running, address) = serving(&[]);
        assert_eq!(get(&address, "count", "").0, StatusCode::OK);
        running.signal(name);
        assert_eq!(running.end(), (Some(0), "Loading the components\n".to_owned()), "{name}");
    }
}

#[test]
fn a_port_in_use_is_an_error_that_proposes_another() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().unwrap().to_string();
    let (code, errors) = Running::start(&mut command(&["--listen", &address])).end();
    assert_eq!(code, Some(1));
    assert!(errors.contains(&address) && errors.contains("--find-free-port"), "{errors}");
}

#[test]
fn the_second_start_takes_what_the_first_one_compiled_from_the_cache() {
    let cache = tempfile::tempdir().expect("a folder");
    let start = || {
        let begin = Instant::now();
        let mut command = command(&["--listen", "127.0.0.1:0"]);
        let (_running, address) = Running::serving(command.env("XDG_CACHE_HOME", cache.path()));
        assert_eq!(get(&address, "count", "").0, StatusCode::OK);
        begin.elapsed()
    };
    let first = start();
    // It is five times as fast, or more. Other tests compete for the machine, so one good
    // start is enough.
    let second = (0..10).map(|_| start()).find(|second| *second < first / 2);
    assert!(second.is_some(), "no start took half of the first one's {first:?}");
}

#[test]
fn the_output_of_components_is_shown_unless_quiet() {
    for (arguments, shown) in [(&[] as &[&str], true), (&["-q"], false)] {
        let (running, address) = serving(arguments);
        assert_eq!(get(&address, "print", "some text").0, StatusCode::OK);
        running.signal("-TERM");
        let (_, errors) = running.end();
        assert_eq!(errors.contains("some text"), shown, "{errors}");
    }
}
