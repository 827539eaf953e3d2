//! The options of the command that `spin up` has, too, and the access log.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use http::{HeaderValue, Method};
use support::process::Running;
use support::{request, send_to};

use crate::network::caller_folder as caller;
use crate::{guest, path};

/// The command that serves the test application, with a database in memory.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = crate::command(&guest());
    command.args(["--no-build", "--state-dir", ""]).args(arguments);
    command
}

/// Serves it on a free port, and gives its address.
pub fn serving(arguments: &[&str]) -> (Running, String) {
    Running::serving(command(arguments).args(["--listen", "127.0.0.1:0"]))
}

#[test]
fn a_variable_can_come_from_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "from a file\n").expect("written");
    let manifest = folder.path().join("spin.toml");
    let wasm = support::folder("target/wasm32-wasip2/release/guest.wasm");
    guest();
    std::os::unix::fs::symlink(wasm, folder.path().join("guest.wasm")).expect("a link");
    let text = r#"
        spin_manifest_version = 2
        [application]
        name = "variables"
        [variables]
        token = { required = true }
        [[trigger.http]]
        route = "/..."
        component = "guest"
        [component.guest]
        source = "guest.wasm"
        allowed_outbound_hosts = ["{{ token }}"]
    "#;
    std::fs::write(&manifest, text).expect("written");
    let serve = |value: &str| {
        let variable = format!("token={value}");
        let arguments = ["--no-build", "--variable", &variable];
        Running::start(crate::command(&manifest).args(arguments))
    };
    // The value is no host that may be allowed, so the error has it.
    let (code, errors) = serve(&format!("@{}", file.display())).end();
    assert_eq!(code, Some(1));
    assert!(errors.contains("from a file"), "{errors}");
    let (code, errors) = serve("@missing").end();
    assert_eq!(code, Some(2));
    assert!(errors.contains("can't read the file \"missing\""), "{errors}");
    let (code, errors) = Running::start(&mut command(&["--variable", "@variables.json"])).end();
    assert_eq!(code, Some(2));
    assert!(errors.contains("expected NAME=VALUE or NAME=@FILE"), "{errors}");
}

#[test]
fn a_variable_can_come_from_the_file_dot_env_in_the_current_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let application = caller("http://{{ server }}", "a.example");
    let serve = |entry: &str, environment: &[(&str, &str)]| {
        fs::write(folder.path().join(".env"), entry).expect("written");
        let mut command = crate::command(application.path());
        command.args(["--no-build", "--listen", "127.0.0.1:0"]).current_dir(folder.path());
        Running::start(command.envs(environment.iter().copied()))
    };
    // Values that are no host are in the error.
    let (_, errors) = serve("# a comment\nSPIN_VARIABLE_SERVER='from a file'", &[]).end();
    assert!(errors.contains("http://from a file"), "{errors}");
    let environment = [("SPIN_VARIABLE_SERVER", "from the environment")];
    let (_, errors) = serve("SPIN_VARIABLE_SERVER='from a file'", &environment).end();
    assert!(errors.contains("http://from the environment"), "{errors}");
    let (code, errors) = serve("SPIN_VARIABLE_SERVER", &[]).end();
    assert_eq!(code, Some(1));
    assert!(errors.contains("the file `.env`"), "{errors}");
}

#[test]
fn a_component_that_cannot_be_started_is_a_500_and_no_overload() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = command(&["--listen", "127.0.0.1:0"]);
    let (running, address) = Running::serving(command.env("TMPDIR", folder.path()));
    // With it, the files of the component are gone.
    folder.close().expect("removed");
    assert_eq!(send_to(&address, request(Method::GET, "/exact?do=count")).status, 500);
    running.wait_for("guest: no response: it can't be started: ");
}

#[test]
fn a_protocol_of_telemetry_that_it_does_not_have_is_refused() {
    let mut command = command(&[]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    let (code, errors) = Running::start(command.env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")).end();
    assert_eq!(code, Some(1));
    assert!(errors.contains("OTEL_EXPORTER_OTLP_PROTOCOL is \"grpc\""), "{errors}");
}

#[test]
fn a_collector_that_is_not_there_is_logged_and_harms_nobody() {
    let mut command = command(&["--listen", "127.0.0.1:0"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    let (running, address) = Running::serving(command.env("OTEL_BSP_SCHEDULE_DELAY", "10"));
    assert_eq!(send_to(&address, request(Method::GET, "/exact?do=count")).status, 200);
    running.wait_for("can't export traces: ");
    assert_eq!(send_to(&address, request(Method::GET, "/exact?do=count")).status, 200);
    running.signal("-TERM");
    assert_eq!(running.end().0, Some(0));
}

#[test]
fn the_next_free_port_is_found_if_asked_for() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("an address");
    let mut command = command(&["--find-free-port", "--listen", &taken.to_string()]);
    let (_running, address) = Running::serving(&mut command);
    let port: u16 = address.rsplit_once(':').expect("a port").1.parse().expect("a number");
    assert!((taken.port() + 1..taken.port() + 10).contains(&port), "{port} after {taken}");
    assert_eq!(send_to(&address, request(Method::GET, "/exact?do=count")).status, 200);
}

#[test]
fn each_request_is_a_line_of_the_access_log() {
    let (running, address) = serving(&["--access-log"]);
    let mut request = request(Method::GET, "/exact?do=count");
    for (name, value) in
        [("user-agent", "a \"b\"\u{e9}"), ("referer", "http://c"), ("x-request-id", "d")]
    {
        request.headers_mut().insert(name, HeaderValue::from_str(value).expect("a value"));
    }
    let reply = send_to(&address, request);
    let line = next_access(&running);
    let (client, rest) = line.split_once(" - - [").expect("a client");
    let (time, rest) = rest.split_once("] ").expect("a time");
    let fields: Vec<_> = rest.split(' ').collect();
    assert_eq!(client, "127.0.0.1");
    let is_time = time.len() == "25/Nov/2026:19:40:12 +0000".len() && time.ends_with(" +0000");
    assert!(is_time, "{time}");
    let length = reply.body.len().to_string();
    let expected = [
        "\"GET",
        "/exact?do=count",
        "HTTP/1.1\"",
        "200",
        &length,
        "\"http://c\"",
        "\"a",
        r#"\"b\"\xc3\xa9""#,
    ];
    assert_eq!(fields[..8], expected);
    assert!(fields[8].parse::<f64>().is_ok_and(|seconds| (0.0..60.0).contains(&seconds)), "{line}");
    assert_eq!(fields[9..], ["guest", "\"d\""]);
}

#[test]
fn the_access_log_has_what_no_component_answered_and_who_did_not_wait() {
    let (running, address) = serving(&["--access-log"]);
    for (path, status) in [("/nowhere", "404"), ("/.well-known/spin/health", "200")] {
        send_to(&address, request(Method::GET, path));
        let line = next_access(&running);
        let is_whole = line.contains(&format!("\"GET {path} HTTP/1.1\" {status} "));
        assert!(is_whole && line.ends_with(" - \"-\""), "{line}");
    }
    let mut stream = TcpStream::connect(&address).expect("a connection");
    let path = path("sleep", "60000");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").expect("sent");
    running.wait_for("sleeping");
    drop(stream);
    let line = next_access(&running);
    assert!(line.contains(&format!("\"GET {path} HTTP/1.1\" 499 0 ")), "{line}");
}

#[test]
fn an_address_without_a_host_is_refused_with_an_example() {
    for find_free_port in [&[][..], &["--find-free-port"]] {
        let mut command = command(&["--listen", "4011"]);
        let (code, errors) = Running::start(command.args(find_free_port)).end();
        assert_eq!(code, Some(1));
        let expected = "4011 is no host with a port; give one such as 127.0.0.1:3000";
        assert!(errors.contains(expected), "{errors}");
    }
}

#[test]
fn there_is_no_access_log_by_default() {
    let (running, address) = serving(&[]);
    send_to(&address, request(Method::GET, "/exact?do=count"));
    running.signal("-TERM");
    let lines = std::iter::from_fn(|| Some(running.line()).filter(|line| !line.is_empty()));
    assert_eq!(lines.filter(|line| line.contains("HTTP/1.1")).count(), 0);
}

/// The next line of standard output that is none of the routes.
fn next_access(running: &Running) -> String {
    let mut lines = std::iter::repeat_with(|| running.line());
    lines.find(|line| line.is_empty() || line.starts_with("127.0.0.1")).unwrap_or_default()
}
