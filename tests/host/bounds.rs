//! What a component can take of the host. One that wants more gets an error, and its
//! neighbours are served.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use host::{App, Limits};
use http::{Method, StatusCode};
use support::{Lines, RUNTIME, Reply, request, send, send_to, serve};

use crate::{guest, loader, network, path};

const MIB: usize = 1 << 20;

/// The test application, with limits.
fn app(limits: Limits) -> App {
    loader().limits(limits).load().expect("an application")
}

fn ask(app: &App, action: &str, argument: &str) -> Reply {
    send(app, request(Method::GET, &path(action, argument)))
}

/// What the neighbour of the component `guest` does if that asks it.
fn ask_neighbour(app: &App, action: &str, argument: &str) -> String {
    let url = format!("http://hidden.spin.internal{}", path(action, argument));
    ask(app, "call", &url).body
}

#[test]
fn a_component_gets_half_of_the_memory_and_each_instance_its_first_16_mib() {
    let app = app(Limits { total_memory: 100 * MIB, ..Limits::default() });
    assert_eq!(ask(&app, "grow", "40").status, StatusCode::OK);
    assert_eq!(ask(&app, "grow", "60").status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(ask(&app, "grow", "40").status, StatusCode::OK);
    assert!(ask_neighbour(&app, "grow", "40").starts_with("200 "));
    let app = self::app(Limits { total_memory: 0, ..Limits::default() });
    assert_eq!(ask(&app, "grow", "20").status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(ask(&app, "grow", "8").status, StatusCode::OK);
    assert!(ask_neighbour(&app, "grow", "8").starts_with("200 "));
}

#[test]
fn rows_that_nobody_reads_count_as_memory() {
    let app = app(Limits { memory: 64 * MIB, ..Limits::default() });
    // Each time, five rows of a mebibyte.
    let rows = "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5)
        SELECT zeroblob(1048576) FROM n";
    let piled = ask(&app, "pile", rows).body;
    let (successes, error) = piled.split_once(", ").expect("both");
    assert!((8..13).contains(&successes.parse::<u32>().expect("a number")), "{piled}");
    assert!(error.contains("no memory left for the rows"), "{piled}");
    // They are gone with the request.
    assert_eq!(ask(&app, "rows", rows).body, "5 rows, Ok(())");
}

#[test]
fn a_value_holds_at_most_64_mib() {
    let app = app(Limits::default());
    let too_big = ask(&app, "rows", "SELECT hex(zeroblob(499999999))").body;
    assert!(too_big.contains("string or blob too big"), "{too_big}");
    assert_eq!(ask(&app, "rows", "SELECT zeroblob(67108864)").body, "1 rows, Ok(())");
}

#[test]
fn the_host_keeps_at_most_10_000_resources_of_an_instance() {
    let app = app(Limits::default());
    assert_eq!(ask(&app, "resources", "9000").body, "9000");
    assert_eq!(ask(&app, "resources", "11000").status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(ask_neighbour(&app, "resources", "9000").starts_with("200 "));
}

#[test]
fn a_component_has_half_of_the_instances() {
    guest();
    let folder = tempfile::tempdir().expect("a folder");
    let source = support::folder("target/wasm32-wasip2/release/guest.wasm");
    let manifest = format!(
        r#"spin_manifest_version = 2
application.name = "two"
trigger.http = [
    {{ route = "/guest", component = "guest" }},
    {{ route = "/neighbour", component = "neighbour" }},
]
component.guest = {{ source = {source:?} }}
component.neighbour = {{ source = {source:?} }}
"#
    );
    fs::write(folder.path().join("spin.toml"), manifest).expect("written");
    let lines = Lines::default();
    let request_wait = Duration::from_millis(100);
    let limits = Limits { instances: 4, requests: 100, request_wait, ..Limits::default() };
    let app = support::loader(folder.path()).limits(limits).log(lines.log()).load();
    let app = app.expect("an application");
    // Each instance has 16 at the same time.
    let sleeping: Vec<_> = (0..32)
        .map(|_| {
            let (app, request) = (app.clone(), request(Method::GET, &path("sleep", "3000")));
            RUNTIME.spawn(async move { app.handle(request).await.status() })
        })
        .collect();
    let start = Instant::now();
    while lines.text().matches("sleeping").count() < 32 {
        assert!(start.elapsed() < Duration::from_secs(60), "{}", lines.text());
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(ask(&app, "count", "").status, StatusCode::SERVICE_UNAVAILABLE);
    let neighbour = path("count", "").replace("/guest", "/neighbour");
    assert_eq!(send(&app, request(Method::GET, &neighbour)).status, StatusCode::OK);
    for status in sleeping {
        assert_eq!(RUNTIME.block_on(status).expect("a status"), StatusCode::OK);
    }
}

#[test]
fn a_component_has_half_of_the_connections_to_the_database() {
    let app = app(Limits { database_connections: 20, ..Limits::default() });
    let most = r#"10, Some(Error::Io("too many connections opened")), Ok(())"#;
    assert_eq!(ask(&app, "connections", "").body, most);
    assert_eq!(ask(&app, "rows", "SELECT 1").body, "1 rows, Ok(())");
}

#[test]
fn a_component_has_half_of_the_sockets() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let caller = network::caller_folder("http://127.0.0.1:*", "");
    let limits = Limits { sockets: 4, ..Limits::default() };
    let app = support::loader(caller.path()).limits(limits).load().expect("an application");
    let server = thread::spawn(move || {
        // Two connections at the same time.
        let streams =
            [listener.accept(), listener.accept()].map(|accepted| accepted.expect("one").0);
        for mut stream in streams {
            _ = stream.read(&mut [0; 1024]).expect("a request");
            // Closed, so that no other request waits for this connection to be free.
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\n";
            write!(stream, "{head}.").expect("sent");
        }
    });
    let url = format!("3 http://{address}/");
    let answers = ask(&app, "call-at-once", &url).body;
    server.join().expect("a server");
    let mut answers: Vec<_> = answers.split(", ").collect();
    answers.sort_unstable();
    assert_eq!(answers[..2], ["200 .", "200 ."], "{answers:?}");
    assert!(answers[2].contains("ConnectionLimitReached"), "{answers:?}");
}

#[test]
fn a_component_that_calls_itself_without_end_gets_an_error_and_others_are_served() {
    let app = app(Limits::default());
    let shards = thread::available_parallelism().map_or(1, usize::from);
    let served = serve(app);
    let recursions: Vec<_> = (0..shards)
        .map(|_| {
            let address = served.address.clone();
            thread::spawn(move || {
                send_to(&address, request(Method::GET, &path("call-oneself", "")))
            })
        })
        .collect();
    let count = path("count", "");
    let start = Instant::now();
    while !recursions.iter().all(|recursion| recursion.is_finished()) {
        assert!(start.elapsed() < Duration::from_secs(60), "it does not end");
        let reply = send_to(&served.address, request(Method::GET, &count));
        assert_eq!(reply.status, StatusCode::OK);
    }
    let depths = recursions.into_iter().map(|recursion| {
        let reply = recursion.join().expect("a reply");
        reply.body.parse::<usize>().unwrap_or_else(|_| panic!("{reply:?}"))
    });
    // They share what the component has.
    assert!(depths.sum::<usize>() > 900);
}
