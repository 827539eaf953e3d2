//! What a service answers when a sibling fails: a table with a row for each way
//! of failing, tried on every operation and each of the siblings that it asks.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use host::{App, Body, full};
use http::{HeaderName, HeaderValue, Response};
use http_body_util::BodyExt;
use hyper::body::Frame;
use support::{Lines, Reply, edit};

use crate::architecture::{component_of, manifest, operations_of, url_variable};
use crate::calls::{Call, LATE, SHORT, answer, calls, lines_of, now};
use crate::openapi::examples;
use crate::timing::entries;
use crate::{application, expect_problem, get_from, loader, send_to};

/// The longest body of a sibling that is read, in bytes.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// The deadline for all others, which must fail long before it.
const LONG: Duration = Duration::from_secs(20);

type Failing = fn() -> BoxFuture<'static, Response<Body>>;

/// A row: how the sibling fails, the status that the client gets, and whether it
/// gets it only at the deadline.
struct Row(&'static str, u16, bool, Failing);

const ROWS: [Row; 23] = [
    Row("500", 503, false, || now(answer(500, "text/plain", "secret"))),
    Row("503", 503, false, || now(answer(503, "application/problem+json", "{}"))),
    Row("504", 503, false, || now(answer(504, "application/problem+json", "{}"))),
    Row("201", 502, false, || now(answer(201, JSON, "{}"))),
    Row("204", 502, false, || now(answer(204, JSON, ""))),
    Row("304", 502, false, || now(answer(304, JSON, ""))),
    Row("a redirection", 502, false, || now(answer(302, "text/plain", "secret"))),
    Row("403", 502, false, || now(answer(403, "text/plain", "secret"))),
    Row("400", 502, false, || now(answer(400, "application/problem+json", "{}"))),
    Row("malformed JSON", 502, false, || now(answer(200, JSON, "{\"secret\": "))),
    Row("an empty body", 502, false, || now(answer(200, JSON, ""))),
    Row("another shape", 502, false, || now(answer(200, JSON, "\"secret\""))),
    Row("another content-type", 502, false, || now(answer(200, "text/html", "{}"))),
    Row("another content-type that begins alike", 502, false, || {
        now(answer(200, "application/jsonp", "{}"))
    }),
    Row("no content-type", 502, false, || now(Response::new(full("{}")))),
    Row("a body of 100 MB", 502, false, || now(answer(200, JSON, padded(100_000_000)))),
    Row("a body that never ends", 502, false, || now(stream(Stream::Flood))),
    Row("a body that breaks off", 502, false, || now(stream(Stream::BreakOff))),
    Row("a body that drips for ever", 504, true, || now(stream(Stream::Drip))),
    Row("a body that stalls half-way", 504, true, || now(stream(Stream::Stall))),
    Row("headers that come late", 504, true, || {
        async {
            tokio::time::sleep(10 * SHORT).await;
            answer(200, JSON, "{}")
        }
        .boxed()
    }),
    Row("no answer at all", 504, true, || std::future::pending().boxed()),
    Row("a body that stalls before its length", 504, true, || {
        let mut response = stream(Stream::Stall);
        response.headers_mut().insert("content-length", HeaderValue::from_static("99"));
        now(response)
    }),
];

const JSON: &str = "application/json";

/// An empty object of `length` bytes.
fn padded(length: usize) -> String {
    format!("{{{}}}", " ".repeat(length - 2))
}

/// A body that does not end as it should.
enum Stream {
    Flood,
    /// A byte now and then.
    Drip,
    Pause,
    Stall,
    BreakOff,
    Stalled,
}

fn stream(body: Stream) -> Response<Body> {
    let response = Response::builder().header("content-type", JSON);
    response.body(body.boxed_unsync()).expect("a response")
}

impl hyper::body::Body for Stream {
    type Data = Bytes;
    type Error = <Body as hyper::body::Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let data =
            |text: &'static [u8]| Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(text)))));
        match *self {
            Self::Flood => data(&[b' '; 65_536]),
            Self::Drip => {
                let waker = context.waker().clone();
                tokio::spawn(async {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    waker.wake();
                });
                *self = Self::Pause;
                data(b" ")
            }
            Self::Stall => {
                *self = Self::Stalled;
                data(b"{\"secret\":")
            }
            Self::Pause => {
                *self = Self::Drip;
                Poll::Pending
            }
            Self::BreakOff => Poll::Ready(Some(Err(Self::Error::ConnectionTerminated))),
            Self::Stalled => Poll::Pending,
        }
    }
}

/// The application with one sibling that fails while the flag is set, and the
/// application's log.
fn with_failing(
    sibling: &str,
    deadline: Duration,
    failing: Failing,
) -> (App, Arc<AtomicBool>, Lines) {
    let healthy = loader().load().expect("an application");
    let fails = Arc::new(AtomicBool::new(true));
    let (is_failing, lines) = (fails.clone(), Lines::default());
    let app = loader()
        .log(lines.log())
        .variable("sibling_deadline_ms", &deadline.as_millis().to_string())
        .replace(sibling, move |request| {
            let (healthy, is_failing) = (healthy.clone(), is_failing.clone());
            async move {
                match is_failing.load(Ordering::Relaxed) {
                    true => failing().await,
                    false => healthy.handle(request).await,
                }
            }
        });
    (app.load().expect("an application"), fails, lines)
}

/// All bookings and lists.
fn stored(app: &App) -> String {
    let users = ["saurabh_badhwar", "aniket", "meera", "luckas"];
    let lists = users.map(|user| get_from(app, &format!("/todo/lists/{user}")).body);
    get_from(app, "/bookings").body + lists.concat().as_str()
}

/// Checks what the client and the log are told about a sibling's failure. The
/// client is told only which sibling failed, and the service only logs one line,
/// with the request's id and the cause. So its instance lives on: the end of an
/// instance is logged too.
#[track_caller]
fn expect_failure(reply: &Reply, status: u16, call: &Call, log: &Lines, row: &str) {
    let Call { path, sibling, .. } = call;
    let detail = expect_problem(reply, status, path);
    let expected = match status {
        502 => "sent a response that can't be used.",
        503 => "is not available; try again later.",
        _ => "did not answer in time; try again later.",
    };
    assert_eq!(detail, format!("The service `{sibling}` {expected}"), "{row}");
    assert!(!reply.body.contains("secret"), "{row}: {reply:?}");
    assert_eq!(reply.header("retry-after"), if status == 502 { "" } else { "1" }, "{row}");
    assert_eq!(reply.header("cache-control"), "no-store", "{row}");
    let timed = entries(reply).into_iter().find(|entry| entry.has_failed);
    let timed = timed.unwrap_or_else(|| panic!("{row}: {reply:?}"));
    assert_eq!(timed.name, *sibling, "{row}");
    let end = timed.end();
    assert!(status != 504 || end >= SHORT.as_secs_f64() * 1000.0, "{row}: {end} ms");
    let id = reply.header("x-request-id");
    let start = format!("[{id}] {call}: {sibling}: /");
    let logged = lines_of(path, log);
    assert!(matches!(&logged[..], [line] if line.starts_with(&start)), "{row}: {logged:?}");
}

#[test]
fn every_failure_of_a_sibling_has_its_status_and_the_next_request_succeeds() {
    for Row(row, status, waits, failing) in ROWS {
        for call in &calls() {
            let deadline = if waits { SHORT } else { LONG };
            let (app, fails, lines) = with_failing(call.sibling, deadline, failing);
            let is_write = call.success() == 201;
            let before = is_write.then(|| stored(&app));
            let start = Instant::now();
            let reply = send_to(&app, call.request());
            let taken = start.elapsed();
            expect_failure(&reply, status, call, &lines, row);
            let what = format!("{row} of {} at {call}", call.sibling);
            let bounds = if waits { SHORT..SHORT + LATE } else { Duration::ZERO..LONG / 4 };
            assert!(bounds.contains(&taken), "{what} took {taken:?}");
            assert_eq!(is_write.then(|| stored(&app)), before, "{what}");
            fails.store(false, Ordering::Relaxed);
            let next = send_to(&app, call.request());
            assert_eq!(next.status, call.success(), "{what}, after it");
            assert_eq!(lines_of(&call.path, &lines).len(), 1, "{what}, after it");
        }
    }
}

#[test]
fn a_404_of_a_sibling_means_that_there_is_nothing_but_movies_must_not_send_one() {
    let not_found: Failing = || now(answer(404, "application/problem+json", "{}"));
    for (path, sibling, status) in [
        ("/users/{username}/bookings", "bookings", 404),
        ("/users/{username}/bookings", "movies", 502),
        ("/users/{username}/suggested", "bookings", 200),
        ("/users/{username}/suggested", "movies", 502),
        ("/todo/users/{username}/lists", "todo-lists", 404),
        ("/bookings/{username}/{date}/{movie}", "users", 404),
        ("/bookings/{username}/{date}/{movie}", "showtimes", 409),
        ("/todo/lists/{username}/{list}", "todo-users", 404),
    ] {
        let mut calls = calls().into_iter();
        let call = calls.find(|call| call.operation.path == path && call.sibling == sibling);
        let (app, _, _) = with_failing(sibling, LONG, not_found);
        let reply = send_to(&app, call.expect("a call").request());
        assert_eq!(reply.status, status, "{sibling} at {path}");
        let failed = entries(&reply).iter().any(|entry| entry.has_failed);
        assert_eq!(failed, status == 502, "{sibling} at {path}");
    }
}

/// The application whose `sibling` sends what `change` makes of its response.
fn with_changed(sibling: &str, change: fn(Response<Bytes>) -> Response<Body>) -> App {
    let healthy = loader().load().expect("an application");
    let app = loader().variable("sibling_deadline_ms", "20000").replace(sibling, move |request| {
        let healthy = healthy.clone();
        async move {
            let (head, body) = healthy.handle(request).await.into_parts();
            let body = body.collect().await.expect("a whole body").to_bytes();
            change(Response::from_parts(head, body))
        }
    });
    app.load().expect("an application")
}

#[test]
fn the_content_type_of_a_sibling_may_have_parameters_and_any_case() {
    for call in calls() {
        let changes: [fn(Response<Bytes>) -> Response<Body>; 2] = [
            |response| with_content_type(response, "application/json; charset=utf-8"),
            |response| with_content_type(response, "Application/JSON ;charset=utf-8"),
        ];
        for change in changes {
            let reply = send_to(&with_changed(call.sibling, change), call.request());
            assert_eq!(reply.status, call.success(), "{} at {call}: {reply:?}", call.sibling);
        }
    }
}

fn with_content_type(response: Response<Bytes>, content_type: &'static str) -> Response<Body> {
    let mut response = response.map(full);
    response.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
    response
}

#[test]
fn the_body_of_a_sibling_has_at_most_8_mib() {
    for call in calls() {
        type Change = fn(Response<Bytes>) -> Response<Body>;
        let changes: [(Change, u16); 4] = [
            (|response| with_length(response, MAX_BODY, true), call.success()),
            (|response| with_length(response, MAX_BODY, false), call.success()),
            (|response| with_length(response, MAX_BODY + 1, true), 502),
            (|response| with_length(response, MAX_BODY + 1, false), 502),
        ];
        for (number, (change, status)) in changes.into_iter().enumerate() {
            let reply = send_to(&with_changed(call.sibling, change), call.request());
            assert_eq!(reply.status, status, "{} at {call}, {number}: {reply:?}", call.sibling);
        }
    }
}

/// `response` with whitespace after its body, up to a length of `length` bytes.
fn with_length(response: Response<Bytes>, length: usize, is_told: bool) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    head.headers.remove("content-length");
    if is_told {
        head.headers.insert("content-length", length.into());
    }
    let mut body = body.to_vec();
    body.resize(length, b' ');
    Response::from_parts(head, full(body))
}

/// A path of the same component whose GET asks no sibling.
fn path_that_asks_nobody(path: &str) -> &'static str {
    let manifest = manifest();
    let id = component_of(&manifest, path);
    let found = operations_of(&manifest, &id)
        .find(|one| one.method == "GET" && one.asks.is_empty() && !one.path.contains('{'));
    found.unwrap_or_else(|| panic!("each GET of {id} asks a sibling, or has a parameter")).path
}

#[test]
fn a_sibling_that_cannot_be_called_is_not_available() {
    support::prepare(&support::folder("tests/guest"));
    for call in &calls() {
        let Call { path, sibling, .. } = call;
        let binary = sibling.replace('-', "_");
        let changes = [
            // Not allowed, because nobody is called `self`.
            (format!("\"{{{{ {} }}}}\"", url_variable(sibling)), "\"http://self\"".to_owned()),
            // Unknown, since no trigger names it.
            (format!("component = \"{sibling}\""), "component = \"home\"".to_owned()),
            // Traps at every request.
            (
                format!("source = \"target/wasm32-wasip2/release/{binary}.wasm\""),
                "source = \"target/wasm32-wasip2/release/guest.wasm\"\n\
                 environment = { DO = \"panic\" }"
                    .to_owned(),
            ),
        ];
        for (from, to) in changes {
            let copy = support::copy(&application());
            edit(&copy.path().join("spin.toml"), &from, &to);
            let lines = Lines::default();
            let app = support::loader(copy.path()).log(lines.log()).load().unwrap();
            let start = Instant::now();
            let reply = send_to(&app, call.request());
            assert!(start.elapsed() < LATE, "{to}: {:?}", start.elapsed());
            expect_failure(&reply, 503, call, &lines, &to);
            assert_eq!(get_from(&app, path_that_asks_nobody(path)).status, 200, "{to}");
            assert_eq!(lines_of(path, &lines).len(), 1, "{to}");
        }
    }
}

#[test]
fn the_documented_examples_of_failures_are_what_the_client_gets() {
    let failing: [(u16, Failing); 3] = [
        (502, || now(answer(200, JSON, "nonsense"))),
        (503, || now(answer(500, JSON, ""))),
        (504, || std::future::pending().boxed()),
    ];
    let mut seen = BTreeSet::new();
    for example in examples() {
        let Some(sibling) = example["x-failing-sibling"].as_str() else { continue };
        let status = example["value"]["status"].as_u64().unwrap() as u16;
        let (_, failing) = failing.into_iter().find(|(known, _)| *known == status).unwrap();
        let (app, _, _) = with_failing(sibling, SHORT, failing);
        let reply = get_from(&app, example["x-request"].as_str().unwrap());
        assert_eq!(reply.json(), example["value"]);
        seen.insert(status);
    }
    assert_eq!(seen, failing.map(|(status, _)| status).into());
}

#[test]
fn siblings_are_sent_the_id_of_the_request() {
    let name = HeaderName::from_static("x-request-id");
    for call in &calls() {
        let (heard, hears) = std::sync::mpsc::channel();
        let app = loader().replace(call.sibling, move |request| {
            let id = request.headers().get("x-request-id").cloned();
            heard.send(id).expect("a listener");
            now(answer(500, JSON, ""))
        });
        let app = app.load().unwrap();
        let mut request = call.request();
        request.headers_mut().insert(name.clone(), HeaderValue::from_static("abc-1"));
        let reply = send_to(&app, request);
        assert_eq!(reply.header("x-request-id"), "abc-1");
        assert_eq!(hears.recv().unwrap().unwrap(), "abc-1", "{call} {}", call.sibling);
    }
}
