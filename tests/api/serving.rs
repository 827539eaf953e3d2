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
        std::fs::remove_file(copy.path().join("data/cinema/movies.json")).unwrap();
        let folder = copy.path().to_str().unwrap();
        let arguments: &[&str] = if quiet { &["-q", "-f", folder] } else { &["-f", folder] };
        let (running, address) = Running::serving(arguments);
        assert_eq!(send_to(&address, request(Method::GET, "/movies")).status, 500);
        running.signal("-TERM");
        let (_, errors) = running.end();
        assert_eq!(errors.contains("movies.json"), shows, "{errors}");
    }
}
