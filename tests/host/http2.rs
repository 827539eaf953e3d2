//! HTTP/2 with prior knowledge (RFC 9113).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use host::Limits;
use http::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use support::{RUNTIME, Reply, serve};
use tokio::time::timeout;

use crate::server::{LONG, get, impatient, served};
use crate::{expect_call, loader, meeting, path};

/// The start of what a client sends, with empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Types of frames.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// The frames of a GET of `path` on the stream `id`.
fn http2_get(id: u8, path: &str) -> Vec<u8> {
    // In HPACK (RFC 7541): GET, http, authority `a`, and the path after its length.
    let mut block = vec![0x82, 0x86, 0x41, 1, b'a', 4];
    if path.len() < 127 {
        block.push(path.len() as u8);
    } else {
        let mut rest = path.len() - 127;
        block.push(127);
        while rest >= 128 {
            block.push(rest as u8 | 128);
            rest /= 128;
        }
        block.push(rest as u8);
    }
    block.extend(path.as_bytes());
    let mut frames = Vec::new();
    let mut parts = block.chunks(16_384).peekable();
    let mut kind = HEADERS;
    while let Some(part) = parts.next() {
        let [_, high, middle, low] = (part.len() as u32).to_be_bytes();
        // END_STREAM, and END_HEADERS.
        let flags = u8::from(kind == HEADERS) | if parts.peek().is_none() { 4 } else { 0 };
        frames.extend([high, middle, low, kind, flags, 0, 0, 0, id]);
        frames.extend(part);
        kind = CONTINUATION;
    }
    frames
}

/// The type and the content of the next frame.
fn read_frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 9];
    stream.read_exact(&mut head).expect("a frame");
    let mut content = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
    stream.read_exact(&mut content).expect("its content");
    (head[3], content)
}

#[test]
fn http2_is_served_with_prior_knowledge() {
    let (app, mut hears, release) = meeting(loader());
    let served = serve(app);
    RUNTIME.block_on(async {
        let stream = tokio::net::TcpStream::connect(&served.address).await.expect("a connection");
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .expect("HTTP/2");
        tokio::spawn(connection);
        let mut ask = |action: &str| {
            let uri = format!("http://{}{}", served.address, path(action, ""));
            sender.send_request(Request::post(uri).body(host::full("x".repeat(100_000))).unwrap())
        };
        // One request waits while another one is answered, on the same connection.
        let waiting = tokio::spawn(ask("meet"));
        expect_call(&mut hears).await;
        let answered = timeout(LONG, ask("body")).await.expect("in time").expect("a response");
        assert_eq!(Reply::of(answered).await.body, "100000");
        assert!(!waiting.is_finished());
        release.send(true).expect("a listener");
        assert_eq!(waiting.await.unwrap().expect("a response").status(), StatusCode::OK);
    });
}

#[test]
fn pings_of_http2_keep_no_idle_connection() {
    let served = impatient();
    let mut stream = served.connect();
    stream.write_all(PREFACE).expect("sent");
    let start = Instant::now();
    // A frame of the type PING each 100 ms.
    while stream.write_all(b"\0\0\x08\x06\0\0\0\0\0pingping").is_ok() {
        assert!(start.elapsed() < Duration::from_secs(20), "the connection stays open");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn responses_that_nobody_reads_keep_no_permit() {
    let served = served(Limits { requests: 2, request_wait: LONG, ..Limits::default() });
    let mut unread: Vec<_> = (0..4)
        .map(|_| {
            let mut stream = served.connect();
            let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
            // A window of 0, so that the server may send no body.
            sent.extend([0, 0, 6, SETTINGS, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
            sent.extend(http2_get(1, "/guest?do=count"));
            stream.write_all(&sent).expect("a server that reads");
            stream
        })
        .collect();
    for stream in &mut unread {
        // The head of its response.
        while read_frame(stream).0 != HEADERS {}
    }
    assert_eq!(get(&served, "count", "").status, StatusCode::OK);
}

#[test]
fn a_target_of_http2_that_is_too_long_is_refused_and_the_connection_stays() {
    let served = served(Limits::default());
    let mut stream = served.connect();
    stream.write_all(PREFACE).expect("sent");
    for (id, length, is_ok) in [(1, 60_000, true), (3, 66_000, false), (5, 10, true)] {
        let path = format!("/guest/{}?do=count", "x".repeat(length));
        stream.write_all(&http2_get(id, &path)).expect("sent");
        let (kind, content) = std::iter::repeat_with(|| read_frame(&mut stream))
            .find(|(kind, _)| ![SETTINGS, WINDOW_UPDATE, DATA].contains(kind))
            .expect("a response");
        assert_eq!(kind, HEADERS, "{length}");
        // The index of `:status: 200`.
        assert_eq!(content[0] == 0x88, is_ok, "{length}: {content:?}");
    }
}
