//! A mixed journey over all routes, over 64 connections: every answer is right,
//! and the host's memory does not grow.
//!
//! Short by default; `SOAK_REQUESTS=1000000 cargo test --test soak -- --nocapture`
//! takes its time. Only on Linux, where `/proc` says how much memory a process has.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use support::application;
use support::server::{Server, command};
use tokio::net::TcpStream;

const CONNECTIONS: usize = 64;

/// At most, whatever `SOAK_REQUESTS` says.
const MAX_TIME: Duration = Duration::from_secs(1800);

/// Paths of all routes, good and bad, each with the status that is right.
const JOURNEY: [(&str, u16); 25] = [
    ("/", 200),
    ("/openapi.json", 200),
    ("/movies", 200),
    ("/movies/267eedb8-0f5d-42d5-8f43-72426b9fb3e6", 200),
    ("/movies?id=267eedb8-0f5d-42d5-8f43-72426b9fb3e6&id=none", 200),
    ("/movies/top?limit=5&offset=2", 200),
    ("/movies/top?limit=x", 400),
    ("/movies/none", 404),
    ("/showtimes", 200),
    ("/showtimes/20151201", 200),
    ("/bookings", 200),
    ("/bookings/dwight_schrute", 200),
    ("/users", 200),
    ("/users/chris_rivers", 200),
    ("/users/nobody", 404),
    ("/users/dwight_schrute/bookings", 200),
    ("/users/michael_scott/bookings", 404),
    ("/users/oscar_martinez/suggested", 200),
    ("/todo", 200),
    ("/todo/users", 200),
    ("/todo/users/meera", 200),
    ("/todo/users/saurabh_badhwar/lists", 200),
    ("/todo/lists", 200),
    ("/todo/lists/aniket", 200),
    ("/nope", 404),
];

/// How much memory the process `id` has resident, in MiB.
fn memory(id: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("a process");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
}

async fn connect(address: &str) -> SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
    tokio::spawn(connection);
    sender
}

async fn get(sender: &mut SendRequest<Empty<Bytes>>, path: &str) -> (StatusCode, Bytes) {
    sender.ready().await.expect("an open connection");
    let request = Request::builder().method(Method::GET).uri(path);
    // So that problems, which are not about it, are the same each time.
    let request = request.header("host", "localhost").header("x-request-id", "soak");
    let response =
        sender.send_request(request.body(Empty::new()).unwrap()).await.expect("a response");
    let (head, body) = response.into_parts();
    (head.status, body.collect().await.expect("a body").to_bytes())
}

/// Sends `requests` over all connections, each answer being the one in `expected`.
async fn soak(
    address: &str,
    requests: usize,
    expected: &Arc<BTreeMap<&'static str, (StatusCode, Bytes)>>,
) {
    let end = tokio::time::Instant::now() + MAX_TIME;
    let connections = (0..CONNECTIONS).map(|connection| {
        let (address, expected) = (address.to_owned(), expected.clone());
        tokio::spawn(async move {
            let mut sender = connect(&address).await;
            for number in 0..requests.div_ceil(CONNECTIONS) {
                // Each connection is at another place of the journey.
                let (path, _) = JOURNEY[(connection * 7 + number) % JOURNEY.len()];
                let answer = tokio::time::timeout_at(end, get(&mut sender, path)).await;
                assert_eq!(answer.expect("in time"), expected[path], "{path}");
            }
        })
    });
    for connection in connections.collect::<Vec<_>>() {
        connection.await.expect("no error");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mixed_journey_over_64_connections_has_no_error_and_costs_no_memory() {
    let requests = std::env::var("SOAK_REQUESTS").ok().map_or(10_000, |text| text.parse().unwrap());
    let state = tempfile::tempdir().expect("a folder");
    let server = Server::start(command(&application(), state.path()));
    let address = &server.address;

    let mut expected = BTreeMap::new();
    let mut sender = connect(address).await;
    for (path, status) in JOURNEY {
        let (found, body) = get(&mut sender, path).await;
        assert_eq!(found, status, "{path}");
        expected.insert(path, (found, body));
    }
    let expected = Arc::new(expected);
    // Until as many instances have been made as there will be at the same time.
    soak(address, 2 * requests, &expected).await;
    let (before, start) = (memory(server.process.id()), Instant::now());
    soak(address, requests, &expected).await;
    let (after, taken) = (memory(server.process.id()), start.elapsed());
    println!("{requests} requests in {taken:?}; {before} MiB before, {after} MiB after");
    assert!(after <= before + before / 5 + 10, "{before} MiB grew to {after} MiB");
}
