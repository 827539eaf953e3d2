//! The server: slow clients, too many clients, early answers, and the end.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use host::{App, Limits};
use http::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};

use crate::support::{RUNTIME, Reply, Served, request, send, send_to, serve};
use crate::{loader, path};

/// Longer than anything here takes, on a busy machine too.
const LONG: Duration = Duration::from_secs(60);

fn served(limits: Limits) -> Served {
    serve(loader().limits(limits).load().expect("an application"))
}

fn get(served: &Served, action: &str, argument: &str) -> Reply {
    send_to(&served.address, request(Method::GET, &path(action, argument)))
}

/// The text of a request.
fn text(method: &str, action: &str, argument: &str, headers: &str) -> String {
    format!("{method} {} HTTP/1.1\r\nhost: a\r\n{headers}\r\n", path(action, argument))
}

/// Everything that the server sends until it closes the connection.
fn read_to_close(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("a closed connection");
    text
}

/// Reads one response, which is empty or comes in chunks.
fn read_response(stream: &mut TcpStream) -> String {
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

#[test]
fn a_connection_without_a_request_is_closed() {
    let served = served(Limits { client_wait: Duration::from_millis(300), ..Limits::default() });
    let http2 = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let half_a_body = text("POST", "count", "", "content-length: 9\r\n") + "half";
    for (sent, received) in [
        ("", ""),
        ("GET /gue", ""),
        ("GET / HTTP/1.1\r\nhost: a\r\nx-slow: ", ""),
        (&text("GET", "count", "", ""), "HTTP/1.1 200 OK"),
        (&half_a_body, "HTTP/1.1 200 OK"),
        (http2, "\0"),
    ] {
        let mut stream = served.connect();
        stream.write_all(sent.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        // An unread rest may make it a reset, which is as good.
        _ = stream.read_to_end(&mut bytes);
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "{sent:?} keeps the connection open");
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.starts_with(received) && text.is_empty() == received.is_empty(), "{text}");
    }
}

#[test]
fn a_response_may_take_longer_than_a_client() {
    let served = served(Limits { client_wait: Duration::from_millis(200), ..Limits::default() });
    assert_eq!(get(&served, "sleep", "1000").status, StatusCode::OK);
}

#[test]
fn a_body_that_stops_arriving_is_an_error_for_its_component() {
    let served = served(Limits { client_wait: Duration::from_millis(300), ..Limits::default() });
    let mut stream = served.connect();
    write!(stream, "{}half", text("POST", "body", "", "content-length: 9\r\n")).unwrap();
    assert!(read_to_close(stream).starts_with("HTTP/1.1 500"));
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
    for count in 1..=20 {
        first.write_all(text("GET", "count", "", "").as_bytes()).unwrap();
        let response = read_response(&mut first);
        assert!(response.contains(&format!("\r\n{count}\r\n")), "{count}: {response}");
    }
    let closed = Instant::now();
    drop(first);
    let (reply, answered) = waiting.join().expect("a reply");
    assert_eq!(reply.status, StatusCode::OK);
    assert!(answered > closed, "the second connection did not wait");
}

/// An application whose action `meet` waits in its sibling: each such request
/// says so, and ends when it is released.
fn meeting(limits: Limits) -> (App, mpsc::UnboundedReceiver<()>, watch::Sender<bool>) {
    let (said, hears) = mpsc::unbounded_channel();
    let (release, released) = watch::channel(false);
    let app = loader().limits(limits).replace("hidden", move |_| {
        let (said, mut released) = (said.clone(), released.clone());
        async move {
            said.send(()).expect("a listener");
            released.wait_for(|released| *released).await.expect("a release");
            Response::new(host::empty())
        }
    });
    (app.load().expect("an application"), hears, release)
}

#[test]
fn requests_beyond_the_limit_get_a_503_with_retry_after() {
    let limits =
        Limits { requests: 2, request_wait: Duration::from_millis(50), ..Limits::default() };
    let (app, mut hears, release) = meeting(limits);
    let served = serve(app);
    let ask = |action: &'static str| {
        let address = served.address.clone();
        std::thread::spawn(move || send_to(&address, request(Method::GET, &path(action, ""))))
    };
    let meetings = [ask("meet"), ask("meet")];
    for _ in &meetings {
        hears.blocking_recv().expect("a meeting");
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
        meeting(Limits { requests: 1, request_wait: LONG, ..Limits::default() });
    RUNTIME.block_on(async {
        let send = |action| {
            let (app, request) = (app.clone(), request(Method::GET, &path(action, "")));
            tokio::spawn(async move { Reply::of(app.handle(request).await).await.status })
        };
        let meeting = send("meet");
        hears.recv().await.expect("a meeting");
        let waiting = send("count");
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
    let one = Limits { instances: 1, ..Limits::default() };
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
fn http2_is_served_with_prior_knowledge() {
    let served = served(Limits::default());
    RUNTIME.block_on(async {
        let stream = tokio::net::TcpStream::connect(&served.address).await.expect("a connection");
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .expect("HTTP/2");
        tokio::spawn(connection);
        // Two requests at the same time, on one connection.
        let mut ask = |action: &str, argument: &str| {
            let uri = format!("http://{}{}", served.address, path(action, argument));
            sender.send_request(Request::post(uri).body(host::full("x".repeat(100_000))).unwrap())
        };
        let (slow, fast) = (ask("sleep", "300"), ask("body", ""));
        let (slow, fast) = futures::join!(slow, fast);
        assert_eq!(Reply::of(fast.expect("a response")).await.body, "100000");
        assert_eq!(slow.expect("a response").status(), StatusCode::OK);
    });
}

#[test]
fn requests_that_outlast_the_grace_are_given_up() {
    let (app, mut hears, _release) =
        meeting(Limits { grace: Duration::from_millis(200), ..Limits::default() });
    let mut served = serve(app);
    let mut stream = served.connect();
    stream.write_all(text("GET", "meet", "", "").as_bytes()).unwrap();
    hears.blocking_recv().expect("a meeting");
    let start = Instant::now();
    served.stop();
    assert!(start.elapsed() >= Duration::from_millis(200), "{:?}", start.elapsed());
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "no response, and the connection is closed");
}
