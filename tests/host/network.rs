//! Requests of components to other servers: whom they may call, and what they get.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use host::{App, Loader};
use http::Method;
use serde_json::Value;
use support::{Served, folder, request, send, serve};
use tempfile::TempDir;

use crate::{guest, loader, path, seen};

/// The folder of an application that may call `host`, a template of the variable `server`.
pub fn caller_folder(host: &str, server: &str) -> TempDir {
    guest();
    let source = folder("target/wasm32-wasip2/release/guest.wasm");
    let manifest = format!(
        "spin_manifest_version = 2\n\
         application = {{ name = \"caller\" }}\n\
         variables = {{ server = {{ default = \"{server}\" }} }}\n\
         component.caller = {{ source = \"{}\", allowed_outbound_hosts = [\"{host}\"] }}\n\
         [[trigger.http]]\nroute = \"/guest/...\"\ncomponent = \"caller\"\n",
        source.display()
    );
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("spin.toml"), manifest).expect("written");
    folder
}

/// That application.
fn caller(host: &str, server: &str) -> Result<App, host::Error> {
    support::loader(caller_folder(host, server).path()).load()
}

/// Another application, on a port.
fn server() -> Served {
    serve(loader().load().expect("an application"))
}

/// What the caller says of its GET of `url`: the status and the body, or an error.
fn call(app: &App, url: &str) -> String {
    send(app, request(Method::GET, &path("call", url))).body
}

#[test]
fn a_component_calls_another_server_that_it_may_call() {
    let server = server();
    let app = caller("http://{{ server }}", &server.address).expect("an application");
    let body = call(&app, &format!("http://{}/guest/some/path?do=show", server.address));
    let shown: Value = serde_json::from_str(body.strip_prefix("200 ").expect(&body)).unwrap();
    assert_eq!(seen(&shown, "spin-path-info").as_deref(), Some("/some/path"));
    let full = format!("http://{}/guest/some/path?do=show", server.address);
    assert_eq!(seen(&shown, "spin-full-url"), Some(full));
    let missing = call(&app, &format!("http://{}/nope", server.address));
    assert_eq!(missing, "404 ");
}

#[test]
fn a_connection_is_kept_for_the_next_request() {
    let server = server();
    let app = caller("http://127.0.0.1:*", "").expect("an application");
    let client = || {
        let body = call(&app, &format!("http://{}/guest?do=show", server.address));
        let shown: Value = serde_json::from_str(body.strip_prefix("200 ").expect(&body)).unwrap();
        seen(&shown, "spin-client-addr").expect("the address of the client")
    };
    // A request may come before the connection of the one before it is free again.
    let clients: BTreeSet<_> = (0..10).map(|_| client()).collect();
    assert!(clients.len() < 10, "{clients:?}");
}

#[test]
fn a_connection_that_the_server_has_closed_is_replaced() {
    let mut first = server();
    let app = caller("http://127.0.0.1:*", "").expect("an application");
    let url = format!("http://{}/guest?do=count", first.address);
    assert_eq!(call(&app, &url), "200 1");
    first.stop();
    assert!(call(&app, &url).contains("ConnectionRefused"));
    let second = server();
    assert_eq!(call(&app, &format!("http://{}/guest?do=count", second.address)), "200 1");
}

#[test]
fn another_server_or_port_or_scheme_is_denied() {
    let server = server();
    let denied = |host: &str, url: &str| {
        let app = caller(host, &server.address).expect("an application");
        let body = call(&app, &url.replace("SERVER", &server.address));
        assert!(body.contains("HttpRequestDenied"), "{host}: {url}: {body}");
    };
    for (host, url) in [
        ("http://127.0.0.1:1", "http://SERVER/"),
        ("http://{{ server }}", "https://SERVER/"),
        ("http://{{ server }}", "http://127.0.0.1:1/"),
        ("http://{{ server }}", "http://self.alt/"),
        ("http://*.example.com:*", "http://SERVER/"),
        ("https://*:*", "http://SERVER/"),
    ] {
        denied(host, url);
    }
    let app = caller("{{ server }}", "http://").expect("an application");
    assert!(call(&app, &format!("http://{}/", server.address)).contains("HttpRequestDenied"));
}

#[test]
fn a_server_that_is_not_there_is_an_error_and_no_trap() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let app = caller("http://*:*", "").expect("an application");
    assert!(call(&app, &format!("http://{address}/")).contains("ConnectionRefused"));
}

/// What a call gives whose server waits as long as it says: before its response, and in the
/// middle of the body. The time-outs are for the connection, the first byte and between two.
fn call_in_time(timeouts: &str, waits: [u64; 2]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        _ = stream.read(&mut [0; 1024]).expect("a request");
        for (wait, part) in
            waits.into_iter().zip(["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na", "b"])
        {
            thread::sleep(Duration::from_millis(wait));
            // The client may have gone.
            _ = stream.write_all(part.as_bytes());
        }
    });
    let app = caller("http://127.0.0.1:*", "").expect("an application");
    let answer =
        send(&app, request(Method::GET, &path("call-in-time", &format!("{timeouts} {url}"))));
    server.join().expect("a server");
    answer.body
}

#[test]
fn each_timeout_of_a_request_counts_for_itself() {
    for (timeouts, waits, answer) in [
        ("9000 9000 9000", [300, 300], "2 bytes"),
        // A long time for the connection is none for the response.
        ("9000 200 9000", [1500, 0], "ConnectionReadTimeout"),
        ("9000 9000 200", [0, 1500], "after the response: "),
    ] {
        let start = Instant::now();
        let body = call_in_time(timeouts, waits);
        assert!(body.contains(answer), "{timeouts}: {body}");
        assert!(start.elapsed() < Duration::from_secs(8), "{timeouts}");
    }
}

#[test]
fn a_connection_that_takes_too_long_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    // With a client that never speaks TLS, there is no connection yet.
    let url = format!("https://{}/", listener.local_addr().expect("an address"));
    let app = caller("https://127.0.0.1:*", "").expect("an application");
    let call = path("call-in-time", &format!("300 9000 9000 {url}"));
    let start = Instant::now();
    let body = send(&app, request(Method::GET, &call)).body;
    assert!(body.contains("ConnectionTimeout"), "{body}");
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
}

#[test]
fn a_server_that_does_not_speak_tls_is_an_error_of_tls() {
    let server = server();
    let app = caller("https://*:*", "").expect("an application");
    let body = call(&app, &format!("https://{}/", server.address));
    assert!(body.contains("Tls"), "{body}");
}

#[test]
fn the_case_of_a_host_and_the_spelling_of_an_address_do_not_matter() {
    let app = loader().load().expect("an application");
    for url in ["http://Hidden.Spin.Internal/?do=count", "http://SELF.alt/guest?do=count"] {
        assert!(call(&app, url).starts_with("200 "), "{url}");
    }
    let listener = TcpListener::bind("[::1]:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let app = caller(&format!("http://[0:0::1]:{port}"), "").expect("an application");
    assert!(call(&app, &format!("http://[::1]:{port}/")).contains("ConnectionRefused"));
}

#[test]
fn a_template_that_gives_no_pattern_is_an_error_with_its_line() {
    let error = caller("http://{{ server }}", "a/path").err().expect("an error");
    let error = format!("{error:#}");
    assert!(error.contains("spin.toml:4: the outbound host \"http://a/path\""), "{error}");
}

/// The error of loading only the components `ids` of the test application.
fn select(ids: &[&str]) -> Result<App, String> {
    let mut loader: Loader = loader();
    for id in ids {
        loader = loader.select(id);
    }
    loader.load().map_err(|error| format!("{error:#}"))
}

#[test]
fn only_the_selected_components_are_served() {
    let app = select(&["hidden"]).expect("an application");
    assert_eq!(send(&app, request(Method::GET, "/guest")).status, 404);
    assert_eq!(app.routes().count(), 0, "the selected component has no public route");
}

#[test]
fn a_selected_component_that_names_an_unselected_sibling_is_refused() {
    let error = select(&["guest"]).err().expect("an error");
    assert!(error.contains("spin.toml:27: ") && error.contains("`hidden`"), "{error}");
    let error = select(&["guest", "nobody"]).err().expect("an error");
    assert!(error.contains("no component `nobody`") && error.contains("guest, hidden"), "{error}");
}
