//! Bodies of requests that arrive slowly.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use support::{Reply, request, send_to, serve};

use crate::options;
use crate::server::read_response;
use crate::{loader, path};

/// A part of a body in HTTP/1.1's chunks, and its end.
const BYTE: &[u8] = b"1\r\n.\r\n";
const END: &[u8] = b"0\r\n\r\n";

/// The start of a POST of a body in chunks to the guest.
fn post(address: &str, action: &str, argument: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out");
    let path = path(action, argument);
    write!(stream, "POST {path} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        .expect("sent");
    stream
}

/// Sends a byte a second on each of `streams`, until what this returns is dropped.
fn drip(streams: &[TcpStream]) -> mpsc::Sender<()> {
    let mut streams: Vec<_> =
        streams.iter().map(|stream| stream.try_clone().expect("a connection")).collect();
    let (end, ended) = mpsc::channel();
    thread::spawn(move || {
        while ended.recv_timeout(Duration::from_secs(1)) == Err(mpsc::RecvTimeoutError::Timeout) {
            // The server may have closed some of them.
            streams.retain_mut(|stream| stream.write_all(BYTE).is_ok());
        }
    });
    end
}

fn count(address: &str) -> Reply {
    send_to(address, request(Method::GET, &path("count", "")))
}

#[test]
fn clients_whose_bodies_drip_do_not_lock_others_out() {
    let (running, address) = options::serving(&[]);
    let dripping: Vec<_> = (0..260).map(|_| post(&address, "body", "")).collect();
    let _drip = drip(&dripping);
    let start = Instant::now();
    // Some of them get no permit, so the others have all.
    running.wait_for("requests are being answered, the limit; others have waited 5s");
    while count(&address).status != StatusCode::OK && start.elapsed() < Duration::from_secs(15) {}
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    for mut stream in dripping {
        let mut start = [0; 11];
        stream.read_exact(&mut start).expect("an answer");
        assert_eq!(&start, b"HTTP/1.1 50");
    }
}

#[test]
fn a_component_may_read_a_body_as_slowly_as_it_likes() {
    let served = serve(loader().load().expect("an application"));
    let mut stream = post(&served.address, "read-slowly", "1500");
    // The component waits for each byte, but for a tenth of a second only.
    for _ in 0..8 {
        stream.write_all(BYTE).expect("sent");
        thread::sleep(Duration::from_millis(1600));
    }
    stream.write_all(END).expect("sent");
    assert!(read_response(&mut stream).contains("\r\n8\r\n"));
}

#[test]
fn a_body_may_drip_while_the_response_runs() {
    let served = serve(loader().load().expect("an application"));
    let mut stream = post(&served.address, "echo", "");
    let end = drip(std::slice::from_ref(&stream));
    thread::sleep(Duration::from_secs(12));
    drop(end);
    // In case a byte is on its way.
    thread::sleep(Duration::from_millis(100));
    stream.write_all(END).expect("sent");
    let answer = read_response(&mut stream);
    assert!(answer.contains(" 200 OK") && answer.matches('.').count() > 8, "{answer}");
}

#[test]
fn a_body_of_64_bytes_a_second_is_read() {
    let served = serve(loader().load().expect("an application"));
    let mut stream = post(&served.address, "body", "");
    let start = Instant::now();
    let mut sent = 0;
    while start.elapsed() < Duration::from_secs(13) {
        stream.write_all(&[b"28\r\n", &[b'.'; 40][..], b"\r\n"].concat()).expect("sent");
        sent += 40;
        thread::sleep(Duration::from_millis(250));
    }
    stream.write_all(END).expect("sent");
    assert!(read_response(&mut stream).contains(&format!("\r\n{sent}\r\n")));
}
