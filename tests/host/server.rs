//! The server: slow clients, too many clients, early answers, and the end.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use host::Limits;
use http::{Method, StatusCode};
use support::{RUNTIME, Reply, Served, request, send, send_to, serve};
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::{expect_call, loader, meeting, path};

/// Longer than anything here takes, on a busy machine too.
pub const LONG: Duration = Duration::from_secs(60);

pub fn served(limits: Limits) -> Served {
    serve(loader().limits(limits).load().expect("an application"))
}

pub fn get(served: &Served, action: &str, argument: &str) -> Reply {
    send_to(&served.address, request(Method::GET, &path(action, argument)))
}

/// The text of a request.
fn text(method: &str, action: &str, argument: &str, headers: &str) -> String {
    format!("{method} {} HTTP/1.1\r\nhost: a\r\n{headers}\r\n", path(action, argument))
}

/// Reads one response, which is empty or comes in chunks.
pub fn read_response(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut read_to = |end: &str| {
        while !text.ends_with(end) {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a response");
            text.push(byte[0].into());
        }
        text.clone()
    };
    let head = read_to("\r\n\r\n");
    if head.contains("content-length: 0") { head } else { read_to("0\r\n\r\n") }
}

/// A server whose clients may keep it waiting for a second.
pub fn impatient() -> Served {
    served(Limits { client_wait: Duration::from_secs(1), ..Limits::default() })
}

/// What the server sends until it closes the connection, or resets it because the
/// client has sent more.
fn read_to_end(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "the connection stays open");
    }
    bytes
}

#[test]
fn a_connection_without_a_request_is_closed() {
    let served = impatient();
    let half_a_body = text("POST", "count", "", "content-length: 9\r\n") + "half";
    for (sent, received) in [
        ("", ""),
        ("GET /gue", ""),
        ("GET / HTTP/1.1\r\nhost: a\r\nx-slow: ", ""),
        (&text("GET", "count", "", ""), "HTTP/1.1 200 OK"),
        (&half_a_body, "HTTP/1.1 200 OK"),
        // Its preface and empty settings, which the server answers with its own.
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "\0"),
    ] {
        let mut stream = served.connect();
        stream.write_all(sent.as_bytes()).expect("a server that reads");
        let text = String::from_utf8_lossy(&read_to_end(stream)).into_owned();
        assert!(text.starts_with(received) && text.is_empty() == received.is_empty(), "{text}");
    }
}

#[test]
fn a_client_that_does_not_read_its_responses_is_disconnected() {
    let served = impatient();
    let (mut writing, reading) = {
        let stream = served.connect();
        (stream.try_clone().expect("a connection"), stream)
    };
    // More responses than all buffers on the way take.
    let request = text("GET", "show", "", &format!("x: {}\r\n", "x".repeat(60_000)));
    writing.set_write_timeout(Some(LONG)).expect("a time-out");
    let error = std::iter::repeat_with(|| writing.write_all(request.as_bytes()))
        .find_map(Result::err)
        .expect("a closed connection");
    assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    drop(reading);
}

#[test]
fn a_response_may_take_longer_than_a_client() {
    assert_eq!(get(&impatient(), "sleep", "3000").status, StatusCode::OK);
}

#[test]
fn a_body_that_stops_arriving_is_an_error_for_its_component() {
    let served = impatient();
    let mut stream = served.connect();
    write!(stream, "{}half", text("POST", "body", "", "content-length: 9\r\n")).unwrap();
    assert!(read_to_end(stream).starts_with(b"HTTP/1.1 500"));
}

#[test]
fn connections_beyond_the_limit_wait_until_another_one_closes() {
    let served = served(Limits { connections: 1, ..Limits::default() });
    let mut first = served.connect();
    let waiting = std::thread::spawn({
        let address = served.address.clone();
        move || (send_to(&address, request(Method::GET, &path("count", ""))), Instant::now())
    });
    // The first connection is served alone, as often as it likes.
    for _ in 0..20 {
        first.write_all(text("GET", "count", "", "").as_bytes()).unwrap();
        let response = read_response(&mut first);
        assert!(response.starts_with("HTTP/1.1 200 OK"), "{response}");
    }
    let closed = Instant::now();
    drop(first);
    let (reply, answered) = waiting.join().expect("a reply");
    assert_eq!(reply.status, StatusCode::OK);
    assert!(answered > closed, "the second connection did not wait");
}

#[test]
fn requests_beyond_the_limit_get_a_503_with_retry_after() {
    let limits =
        Limits { requests: 2, request_wait: Duration::from_millis(50), ..Limits::default() };
    let (app, mut hears, release) = meeting(loader().limits(limits));
    let served = serve(app);
    let ask = |action: &'static str| {
        let address = served.address.clone();
        std::thread::spawn(move || send_to(&address, request(Method::GET, &path(action, ""))))
    };
    let meetings = [ask("meet"), ask("meet")];
    for _ in &meetings {
        RUNTIME.block_on(expect_call(&mut hears));
    }
    for _ in 0..5 {
        let reply = ask("count").join().expect("a reply");
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!((reply.header("retry-after"), reply.body.as_str()), ("1", ""));
    }
    let health = send_to(&served.address, request(Method::GET, "/.well-known/spin/health"));
    assert_eq!(health.status, StatusCode::OK);
    release.send(true).expect("meetings");
    for meeting in meetings {
        assert_eq!(meeting.join().expect("a reply").status, StatusCode::OK);
    }
    assert_eq!(ask("count").join().expect("a reply").status, StatusCode::OK);
}

#[test]
fn a_request_beyond_the_limit_waits_for_another_to_end() {
    let (app, mut hears, release) =
        meeting(loader().limits(Limits { requests: 1, request_wait: LONG, ..Limits::default() }));
    RUNTIME.block_on(async {
        let send = |action| {
            let (app, request) = (app.clone(), request(Method::GET, &path(action, "")));
            tokio::spawn(async move { Reply::of(app.handle(request).await).await.status })
        };
        let meeting = send("meet");
        expect_call(&mut hears).await;
        let mut waiting = send("count");
        timeout(Duration::from_millis(200), &mut waiting).await.expect_err("no permit yet");
        release.send(true).expect("a meeting");
        assert_eq!(meeting.await.expect("a reply"), StatusCode::OK);
        assert_eq!(waiting.await.expect("a reply"), StatusCode::OK);
    });
}

#[test]
fn chained_requests_do_not_wait_for_other_requests() {
    let limits = Limits { requests: 1, request_wait: LONG, ..Limits::default() };
    let served = served(limits);
    let inner = path("call", "http://hidden.spin.internal/?do=count");
    for url in ["http://hidden.spin.internal/?do=count", &format!("http://self.alt{inner}")] {
        let reply = get(&served, "call", url);
        assert_eq!((reply.status, &reply.body[..4]), (StatusCode::OK, "200 "), "{url}");
    }
}

#[test]
fn a_request_for_which_no_instance_is_left_gets_a_503() {
    let load = |limits| loader().limits(limits).load().expect("an application");
    let wait = Duration::from_millis(100);
    let one = Limits { instances: 1, request_wait: wait, ..Limits::default() };
    let (app, busy) = (load(one), load(Limits { cpu: Duration::from_secs(2), ..one }));
    let call = path("call", "http://hidden.spin.internal/?do=count");
    assert_eq!(send(&app, request(Method::GET, &call)).body, "503 ");
    // One thread, as a shard has: its only instance computes when it is asked.
    let shard = Builder::new_current_thread().enable_all().build().expect("a runtime");
    shard.block_on(async {
        let send = |action| {
            let (app, request) = (busy.clone(), request(Method::GET, &path(action, "")));
            tokio::spawn(async move { Reply::of(app.handle(request).await).await })
        };
        let looping = send("loop");
        let reply = send("count").await.expect("a reply");
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(reply.header("retry-after"), "1");
        let reply = looping.await.expect("a reply");
        assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
    });
}

#[test]
fn a_request_waits_for_an_idle_instance_to_end() {
    let app = loader().limits(Limits { instances: 2, ..Limits::default() });
    let app = app.load().expect("an application");
    // On a shard of its own, the instance that is idle now can't be used.
    assert_eq!(send(&app, request(Method::GET, &path("count", ""))).body, "1");
    let served = serve(app);
    let call = "http://hidden.spin.internal/?do=count";
    for _ in 0..4 {
        assert_eq!(get(&served, "call", call).body[..4], *"200 ");
    }
}

#[test]
fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let served = served(Limits::default());
    for action in ["count", "fail"] {
        let mut stream = served.connect();
        let length = 1024 * 1024;
        let head = text("POST", action, "", &format!("content-length: {length}\r\n"));
        write!(stream, "{head}half").unwrap();
        let answer = read_response(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
        // The rest is read, and the connection stays usable.
        stream.write_all(&vec![b'x'; length - 4]).expect("a server that reads on");
        stream.write_all(text("GET", "count", "", "").as_bytes()).unwrap();
        let answer = read_response(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
}

#[test]
fn a_server_does_not_read_an_unwanted_body_for_ever() {
    let served = served(Limits::default());
    let mut stream = served.connect();
    let head = text("POST", "count", "", "content-length: 1000000000\r\n");
    write!(stream, "{head}").unwrap();
    let answer = read_response(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    let part = vec![b'x'; 64 * 1024];
    let parts = std::iter::repeat_with(|| stream.write_all(&part));
    let taken = parts.take(1000).take_while(Result::is_ok).count();
    assert!((16..1000).contains(&taken), "{taken} parts of 64 KiB");
}

#[test]
fn requests_that_outlast_the_grace_are_given_up() {
    let (app, mut hears, _release) =
        meeting(loader().limits(Limits { grace: Duration::from_millis(200), ..Limits::default() }));
    let mut served = serve(app);
    let mut stream = served.connect();
    stream.write_all(text("GET", "meet", "", "").as_bytes()).unwrap();
    RUNTIME.block_on(expect_call(&mut hears));
    let start = Instant::now();
    served.stop();
    assert!(start.elapsed() >= Duration::from_millis(200), "{:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(read_to_end(stream), b"", "no response, and the connection is closed");
}

#[test]
fn a_long_step_of_sqlite_does_not_delay_the_end_of_the_server() {
    let mut served = served(Limits { grace: Duration::ZERO, ..Limits::default() });
    let mut stream = served.connect();
    let statement = crate::sqlite_limits::long_step(60);
    stream.write_all(text("GET", "rows", &statement, "").as_bytes()).expect("sent");
    // It is answered after the statement has begun.
    assert_eq!(get(&served, "count", "").status, StatusCode::OK);
    let start = Instant::now();
    served.stop();
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn half_a_request_does_not_delay_the_end_of_the_server() {
    let mut served = served(Limits { grace: LONG, ..Limits::default() });
    let mut stream = served.connect();
    write!(stream, "GET / HTTP/1.1\r\nhost: a\r\nx-slow: ").unwrap();
    // It is answered after the connection above was accepted.
    assert_eq!(get(&served, "count", "").status, StatusCode::OK);
    let start = Instant::now();
    served.stop();
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn several_host_headers_are_refused() {
    let served = served(Limits::default());
    let mut stream = served.connect();
    stream.write_all(text("GET", "count", "", "host: b\r\n").as_bytes()).expect("sent");
    assert!(read_response(&mut stream).starts_with("HTTP/1.1 400 "));
}

#[test]
fn a_coding_other_than_chunked_is_refused() {
    let served = served(Limits::default());
    for (coding, status) in [
        ("chunked", "200"),
        ("Chunked ", "200"),
        ("gzip, chunked", "501"),
        ("chunked, chunked", "501"),
    ] {
        let mut stream = served.connect();
        let request = text("POST", "body", "", &format!("transfer-encoding: {coding}\r\n"));
        write!(stream, "{request}0\r\n\r\n").expect("sent");
        let response = read_response(&mut stream);
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{coding}: {response}");
    }
}

#[test]
fn the_authority_of_a_sibling_is_none_for_a_client() {
    let served = served(Limits::default());
    let ask = |target: &str, host: &str| {
        let mut stream = served.connect();
        write!(stream, "GET {target} HTTP/1.1\r\nhost: {host}\r\n\r\n").expect("sent");
        read_response(&mut stream)
    };
    for host in ["hidden.spin.internal", "hidden.spin.internal:3000", "Hidden.SPIN.internal"] {
        let response = ask("/guest?do=show", host);
        assert!(response.starts_with("HTTP/1.1 400 "), "{host}: {response}");
        let response = ask(&format!("http://{host}/guest?do=show"), "a.example");
        assert!(response.contains("\"uri\":\"http://a.example/guest?do=show\""), "{response}");
    }
}
