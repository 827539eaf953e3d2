//! The command `cargo run` as its user meets it: options, a real port, signals.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use host::manifest::{Manifest, Route};
use http::{Method, StatusCode};
use support::running::Running;
use support::{request, send_to};
use tempfile::TempDir;

use crate::{application, get};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_host"));
    command.arg("--no-build").args(arguments).current_dir(application());
    command
}

/// Starts on a free port and gives its address.
fn serving(arguments: &[&str]) -> (Running, String) {
    Running::serving(command(arguments).args(["--listen", "127.0.0.1:0"]))
}

/// The same, after the commands `before` of a shell.
fn serving_after(before: &str) -> (Running, String) {
    let host = env!("CARGO_BIN_EXE_host");
    let command = format!("{before}; exec {host} --no-build --listen 127.0.0.1:0");
    Running::serving(Command::new("bash").args(["-c", &command]).current_dir(application()))
}

#[test]
fn routes_are_printed_and_served_on_a_real_port() {
    let (mut running, address) = serving(&[]);
    assert_eq!(running.line(), "Available Routes:");
    let manifest = Manifest::read(&application()).expect("a manifest");
    let expected = manifest.triggers.iter().map(|trigger| {
        let Route::Public(route) = &trigger.route else { panic!("a private route") };
        let path = route.strip_suffix("/...").expect("a wildcard");
        format!("  {}: http://{address}{path} (wildcard)", trigger.component)
    });
    let expected = BTreeSet::from_iter(expected);
    let routes: BTreeSet<_> = expected.iter().map(|_| running.line()).collect();
    assert_eq!(routes, expected);
    for path in ["/users/dwight_schrute/bookings", "/nope", "/.well-known/spin/health"] {
        let (over_a_port, here) =
            (send_to(&address, request(Method::GET, path)), get_anything(path));
        assert_eq!((over_a_port.status, over_a_port.body), here, "{path}");
    }
}

fn get_anything(path: &str) -> (StatusCode, String) {
    if path.starts_with("/.well-known") {
        return (StatusCode::OK, "OK".to_owned());
    }
    let reply = get(path);
    (reply.status, reply.body)
}

#[test]
fn a_connection_serves_many_requests_and_head_has_no_body() {
    let (_running, address) = serving(&[]);
    let mut stream = TcpStream::connect(&address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    for _ in 0..3 {
        write!(stream, "HEAD /movies HTTP/1.1\r\nhost: {address}\r\n\r\n").unwrap();
    }
    write!(stream, "GET /todo HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("replies");
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 4, "{text}");
    assert_eq!(text.matches("Creed").count(), 0, "{text}");
    assert!(text.contains("To-Do Manager"), "{text}");
}

#[test]
fn a_client_that_goes_away_harms_nobody() {
    let (running, address) = serving(&[]);
    for path in ["/movies", "/users/dwight_schrute/bookings"] {
        let mut stream = TcpStream::connect(&address).expect("a connection");
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 9999\r\n\r\npart"
        )
        .unwrap();
        drop(stream);
        let reply = send_to(&address, request(Method::GET, path));
        assert_eq!(reply.status, StatusCode::OK);
    }
    running.signal("-TERM");
    assert_eq!(running.end(), (Some(0), "Loading the components\n".to_owned()));
}

#[test]
fn slow_clients_keep_nobody_waiting() {
    let (_running, address) = serving(&[]);
    // Half of them say nothing, half of them begin a request and go no further.
    let slow: Vec<_> = (0..200)
        .map(|number| {
            let mut stream = TcpStream::connect(&address).expect("a connection");
            if number % 2 == 0 {
                write!(stream, "GET /movies HTTP/1.1\r\nhost: a\r\nx-slow: ").unwrap();
            }
            stream
        })
        .collect();
    let start = Instant::now();
    for mut stream in &slow {
        let reply = send_to(&address, request(Method::GET, "/users/dwight_schrute/bookings"));
        assert_eq!(reply.status, StatusCode::OK);
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
    for head in ["GET / HTTP/1.1\r\nhost: a b\r\n", "GET / HTTP/1.1\r\n", "nonsense\r\n"] {
        assert_eq!(status_of(&address, head), "400", "{head:?}");
    }
}

#[test]
fn a_request_is_served_up_to_each_limit_and_refused_beyond_it() {
    let (_running, address) = serving(&[]);
    let target = |length: usize| format!("GET /{} HTTP/1.1\r\nhost: a\r\n", "?".repeat(length - 1));
    // With `host` and `connection`.
    let headers =
        |count: usize| format!("GET / HTTP/1.1\r\nhost: a\r\n{}", "x: y\r\n".repeat(count - 2));
    let bytes = |length: usize| {
        let start = "GET / HTTP/1.1\r\nhost: a\r\nx: ";
        let end = "\r\nconnection: close\r\n\r\n";
        format!("{start}{}\r\n", "x".repeat(length - start.len() - end.len()))
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

/// An application whose movie service takes that many milliseconds, and logs
/// when it begins.
fn slow(milliseconds: &str) -> TempDir {
    support::prepare(&support::folder("tests/guest"));
    let copy = support::copy(&application());
    let environment = format!("environment = {{ DO = \"sleep\", WITH = \"{milliseconds}\" }}");
    support::edit(
        &copy.path().join("spin.toml"),
        "release/movies.wasm\"",
        &format!("release/guest.wasm\"\n{environment}"),
    );
    copy
}

/// Serves `application`, which is slow, and sends it a request. Returns once it
/// has begun to answer.
fn in_flight(application: &TempDir) -> (Running, TcpStream) {
    let (running, address) = serving(&["-f", application.path().to_str().unwrap()]);
    let mut stream = TcpStream::connect(&address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET /movies HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    running.wait_for("sleeping");
    (running, stream)
}

#[test]
fn requests_in_flight_are_finished_after_a_signal() {
    let application = slow("1000");
    let (running, mut stream) = in_flight(&application);
    running.signal("-TERM");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("a reply");
    assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
    assert_eq!(running.end().0, Some(0));
}

#[test]
fn a_second_signal_ends_the_server_at_once() {
    let application = slow("60000");
    for (first, second) in [("-INT", "-INT"), ("-TERM", "-INT")] {
        let (running, mut stream) = in_flight(&application);
        let address = stream.peer_addr().expect("an address");
        running.signal(first);
        // It has seen the signal when it no longer listens.
        while TcpStream::connect(address).is_ok() {}
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
    write!(last, "GET /movies HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
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
        assert_eq!(send_to(&address, request(Method::GET, "/movies")).status, StatusCode::OK);
    }
}

#[test]
fn interrupt_and_terminate_end_it_well() {
    for name in ["-INT", "-TERM"] {
        let (running, address) = serving(&[]);
        assert_eq!(send_to(&address, request(Method::GET, "/movies")).status, StatusCode::OK);
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
fn the_second_start_answers_within_a_third_of_a_second() {
    let (first, address) = serving(&[]);
    send_to(&address, request(Method::GET, "/movies"));
    drop(first);
    // Other tests compete for the machine: one good start in five is enough.
    let fastest = (0..5).map(|_| {
        let start = Instant::now();
        let (_running, address) = serving(&[]);
        assert_eq!(send_to(&address, request(Method::GET, "/movies")).status, StatusCode::OK);
        start.elapsed()
    });
    let fastest = fastest.min().unwrap();
    assert!(fastest < Duration::from_millis(300), "{fastest:?}");
}

#[test]
fn the_output_of_components_is_shown_unless_quiet() {
    for (quiet, shown) in [(false, true), (true, false)] {
        let copy = support::copy(&application());
        std::fs::write(copy.path().join("data/cinema/movies.json"), "{").unwrap();
        let folder = copy.path().to_str().unwrap();
        let arguments: &[&str] = if quiet { &["-q", "-f", folder] } else { &["-f", folder] };
        let (running, address) = serving(arguments);
        assert_eq!(send_to(&address, request(Method::GET, "/movies")).status, 500);
        running.signal("-TERM");
        let (_, errors) = running.end();
        assert_eq!(errors.contains("movies.json"), shown, "{errors}");
    }
}
