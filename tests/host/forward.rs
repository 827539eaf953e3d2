//! A component whose requests are forwarded to another server.

use std::io::{Read, Write};
use std::net::SocketAddr;

use host::App;
use http::{Method, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use support::{RUNTIME, Reply, Served, request, send, send_to, serve};

use crate::server::read_response;
use crate::{loader, path, seen};

/// The test application, and another one in front of it, which forwards all to it.
fn server_and_front() -> (Served, App) {
    let server = serve(loader().load().expect("an application"));
    let address: SocketAddr = server.address.parse().expect("an address");
    let front = loader().forward("guest", address).load().expect("an application");
    (server, front)
}

#[test]
fn a_forwarded_request_is_the_one_that_was_sent_and_names_its_client() {
    let (_server, front) = server_and_front();
    let front = serve(front);
    let mut show = request(Method::GET, "/guest/some/path?do=show");
    for (name, value) in [
        ("x-forwarded-for", "192.0.2.1"),
        ("keep-alive", "timeout=5"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("x-some", "thing"),
    ] {
        show.headers_mut().insert(name, value.parse().unwrap());
    }
    let shown = send_to(&front.address, show).json();
    assert_eq!(shown["uri"], format!("http://{}/guest/some/path?do=show", front.address));
    let all = |name: &str| {
        let headers = shown["headers"].as_array().expect("headers").iter();
        let values = headers.filter(|header| header[0] == name).map(|header| &header[1]);
        values.map(|value| value.as_str().expect("text")).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(all("x-forwarded-for"), "192.0.2.1, 127.0.0.1");
    assert_eq!(all("keep-alive"), "");
    assert_eq!(all("traceparent"), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_eq!(all("x-some"), "thing");
    assert_eq!(all("spin-path-info"), "/some/path");
    assert_eq!(all("spin-full-url"), format!("http://{}/guest/some/path?do=show", front.address));
}

#[test]
fn a_request_of_http2_is_forwarded_with_the_host_that_it_names() {
    let (_server, front) = server_and_front();
    let front = serve(front);
    let shown: Value = RUNTIME.block_on(async {
        let stream = tokio::net::TcpStream::connect(&front.address).await.expect("a connection");
        let (executor, stream) = (TokioExecutor::new(), TokioIo::new(stream));
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(executor, stream).await.expect("HTTP/2");
        tokio::spawn(connection);
        let request = request(Method::GET, "http://front.example/guest?do=show");
        Reply::of(sender.send_request(request).await.expect("a response")).await.json()
    });
    assert_eq!(shown["uri"], "http://front.example/guest?do=show");
    assert_eq!(seen(&shown, "x-forwarded-for").as_deref(), Some("127.0.0.1"));
}

#[test]
fn bodies_are_forwarded_both_ways_as_they_arrive() {
    let (_server, front) = server_and_front();
    let front = serve(front);
    let mut stream = front.connect();
    write!(stream, "POST {} HTTP/1.1\r\nhost: a\r\n", path("echo", "")).expect("sent");
    write!(stream, "transfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n").expect("sent");
    let mut answer = String::new();
    while !answer.contains("first") {
        let mut bytes = [0; 1024];
        let length = stream.read(&mut bytes).expect("the first part, before the last one is sent");
        answer += std::str::from_utf8(&bytes[..length]).expect("text");
    }
    write!(stream, "4\r\nlast\r\n0\r\n\r\n").expect("sent");
    assert!(read_response(&mut stream).contains("last"));
}

#[test]
fn a_get_and_a_head_are_forwarded_with_their_bodies() {
    let (_server, front) = server_and_front();
    let front = serve(front);
    for method in ["GET", "HEAD"] {
        let mut stream = front.connect();
        write!(stream, "{method} {} HTTP/1.1\r\nhost: a\r\n", path("body", "")).expect("sent");
        write!(stream, "connection: close\r\ntransfer-encoding: chunked\r\n\r\n").expect("sent");
        write!(stream, "5\r\nfirst\r\n0\r\n\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("a response");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert_eq!(body, if method == "GET" { "1\r\n5\r\n0\r\n\r\n" } else { "" }, "{answer}");
    }
}

#[test]
fn connections_to_the_other_server_are_kept() {
    let (_server, front) = server_and_front();
    let client = || {
        let shown = send(&front, request(Method::GET, "/guest?do=show")).json();
        seen(&shown, "spin-client-addr").expect("the address of the front")
    };
    // A request may come before the connection of the one before it is free again.
    let clients: std::collections::BTreeSet<_> = (0..10).map(|_| client()).collect();
    assert!(clients.len() < 10, "{clients:?}");
}

#[test]
fn a_server_that_is_gone_is_a_503_to_try_again() {
    let (mut server, front) = server_and_front();
    let count = || send(&front, request(Method::GET, &path("count", "")));
    assert_eq!(count().status, StatusCode::OK);
    server.stop();
    let reply = count();
    assert_eq!((reply.status, reply.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    let elsewhere = send(&front, request(Method::GET, "/.well-known/spin/health"));
    assert_eq!(elsewhere.status, StatusCode::OK);
}
