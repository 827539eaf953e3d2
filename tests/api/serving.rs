//! The command `cargo run` as its user meets it: options, a real port, signals.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use http::{Method, StatusCode};

use crate::support::{request, send_to};
use crate::{application, get};

/// The command, running; ended when the test ends.
struct Running {
    process: Child,
    output: BufReader<ChildStdout>,
    errors: BufReader<ChildStderr>,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_host"))
            .arg("--no-build")
            .args(arguments)
            .current_dir(application())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the host starts");
        let output = BufReader::new(process.stdout.take().unwrap());
        let errors = BufReader::new(process.stderr.take().unwrap());
        Self { process, output, errors }
    }

    /// Starts on a free port and gives its address.
    fn serving(arguments: &[&str]) -> (Self, String) {
        let mut running = Self::start(&[&["--listen", "127.0.0.1:0"], arguments].concat());
        let line = running.line();
        let address = line.strip_prefix("Serving http://").unwrap_or_else(|| panic!("{line:?}"));
        let address = address.to_owned();
        (running, address)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        let status = Command::new("kill").args([name, &id]).status().expect("kill");
        assert!(status.success());
    }

    /// The exit code and what was written to standard error.
    fn end(mut self) -> (Option<i32>, String) {
        let mut errors = String::new();
        self.errors.read_to_string(&mut errors).expect("text");
        (self.process.wait().expect("an end").code(), errors)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

#[test]
fn routes_are_printed_and_served_on_a_real_port() {
    let (mut running, address) = Running::serving(&[]);
    let mut routes: Vec<_> = (0..8).map(|_| running.line()).collect();
    assert_eq!(routes.remove(0), "Available Routes:");
    routes.sort();
    let expected = [
        ("bookings", "/bookings"),
        ("home", ""),
        ("movies", "/movies"),
        ("showtimes", "/showtimes"),
        ("todo-lists", "/todo/lists"),
        ("todo-users", "/todo"),
        ("users", "/users"),
    ];
    let expected = expected.map(|(id, path)| format!("  {id}: http://{address}{path} (wildcard)"));
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
    let (_running, address) = Running::serving(&[]);
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
    let (running, address) = Running::serving(&[]);
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
    let (_running, address) = Running::serving(&[]);
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

#[test]
fn what_is_too_long_is_refused() {
    let (_running, address) = Running::serving(&[]);
    let long = |length| "x".repeat(length);
    for (head, status) in [
        (format!("GET /{} HTTP/1.1\r\nhost: a\r\n", long(70_000)), 414),
        (format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n", long(900_000)), 431),
        (format!("GET / HTTP/1.1\r\nhost: a\r\n{}", "x: y\r\n".repeat(200)), 431),
        ("GET / HTTP/1.1\r\nhost: a b\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\n".to_owned(), 400),
        ("nonsense\r\n".to_owned(), 400),
    ] {
        let mut stream = TcpStream::connect(&address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        // The server may refuse, and close, before it has read all of it.
        _ = stream.write_all(format!("{head}connection: close\r\n\r\n").as_bytes());
        let mut start = [0; 12];
        stream.read_exact(&mut start).expect("a status line");
        let expected = format!("HTTP/1.1 {status}");
        assert_eq!(String::from_utf8_lossy(&start), expected, "{:.60}", head);
    }
}

#[test]
fn what_is_in_flight_is_finished() {
    crate::support::prepare(&crate::support::folder("tests/guest"));
    let copy = crate::support::copy(&application());
    // The movie service takes a second, and says when it begins.
    let (binary, slow) = ("release/movies.wasm\"", "release/guest.wasm\"");
    let slow = format!("{slow}\nenvironment = {{ DO = \"sleep\", WITH = \"1000\" }}");
    crate::support::edit(&copy.path().join("spin.toml"), binary, &slow);
    let (mut running, address) = Running::serving(&["-f", copy.path().to_str().unwrap()]);
    let mut stream = TcpStream::connect(&address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET /movies HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let mut line = String::new();
    while !line.contains("sleeping") {
        assert_ne!(running.errors.read_line(&mut line).expect("a line"), 0, "{line}");
    }
    running.signal("-TERM");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("a reply");
    assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
    assert_eq!(running.end().0, Some(0));
}

#[test]
fn interrupt_and_terminate_end_it_well() {
    for name in ["-INT", "-TERM"] {
        let (running, address) = Running::serving(&[]);
        assert_eq!(send_to(&address, request(Method::GET, "/movies")).status, StatusCode::OK);
        running.signal(name);
        assert_eq!(running.end(), (Some(0), "Loading the components\n".to_owned()), "{name}");
    }
}

#[test]
fn a_port_in_use_is_an_error_that_proposes_another() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().unwrap().to_string();
    let (code, errors) = Running::start(&["--listen", &address]).end();
    assert_eq!(code, Some(1));
    assert!(errors.contains(&address) && errors.contains("--listen"), "{errors}");
}

#[test]
fn the_second_start_answers_within_a_third_of_a_second() {
    let (first, address) = Running::serving(&[]);
    send_to(&address, request(Method::GET, "/movies"));
    drop(first);
    // Other tests compete for the machine: one good start in five is enough.
    let fastest = (0..5).map(|_| {
        let start = Instant::now();
        let (_running, address) = Running::serving(&[]);
        assert_eq!(send_to(&address, request(Method::GET, "/movies")).status, StatusCode::OK);
        start.elapsed()
    });
    let fastest = fastest.min().unwrap();
    assert!(fastest < Duration::from_millis(300), "{fastest:?}");
}

#[test]
fn what_components_write_is_shown_unless_it_is_to_be_quiet() {
    for (quiet, shows) in [(false, true), (true, false)] {
        let copy = crate::support::copy(&application());
        std::fs::write(copy.path().join("data/cinema/movies.json"), "{").unwrap();
        let folder = copy.path().to_str().unwrap();
        let arguments: &[&str] = if quiet { &["-q", "-f", folder] } else { &["-f", folder] };
        let (running, address) = Running::serving(arguments);
        assert_eq!(send_to(&address, request(Method::GET, "/movies")).status, 500);
        running.signal("-TERM");
        let (_, errors) = running.end();
        assert_eq!(errors.contains("movies.json"), shows, "{errors}");
    }
}
