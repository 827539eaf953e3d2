//! What comes of it when a sibling fails: one table, a row a way of failing.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use host::{App, Body, full};
use http::{HeaderName, HeaderValue, Method, Response};
use http_body_util::BodyExt;
use hyper::body::Frame;

use crate::openapi::examples;
use crate::support::{self, Lines, Reply, edit, request};
use crate::{application, check_conventions, expect_problem, get_from, loader};

/// Every route that asks a sibling, with the sibling.
const CALLS: [(&str, &str); 5] = [
    ("/users/dwight_schrute/bookings", "bookings"),
    ("/users/dwight_schrute/bookings", "movies"),
    ("/users/dwight_schrute/suggested", "bookings"),
    ("/users/dwight_schrute/suggested", "movies"),
    ("/todo/users/saurabh_badhwar/lists", "todo-lists"),
];

/// The deadline for siblings that make their caller wait for it.
const SHORT: Duration = Duration::from_millis(400);

/// The deadline for all others, which must not be waited for.
const LONG: Duration = Duration::from_secs(20);

/// By how much a deadline may be exceeded: generous, for machines that are busy.
const LATE: Duration = Duration::from_millis(1500);

type Failing = fn() -> BoxFuture<'static, Response<Body>>;

/// A row: how the sibling fails, the status that comes of it, and whether it
/// takes until the deadline.
struct Row(&'static str, u16, bool, Failing);

const ROWS: [Row; 16] = [
    Row("500", 503, false, || now(answer(500, "text/plain", "secret"))),
    Row("503", 503, false, || now(answer(503, "application/problem+json", "{}"))),
    Row("a redirection", 502, false, || now(answer(302, "text/plain", "secret"))),
    Row("403", 502, false, || now(answer(403, "text/plain", "secret"))),
    Row("malformed JSON", 502, false, || now(answer(200, JSON, "{\"secret\": "))),
    Row("an empty body", 502, false, || now(answer(200, JSON, ""))),
    Row("another shape", 502, false, || now(answer(200, JSON, "\"secret\""))),
    Row("another content-type", 502, false, || now(answer(200, "text/html", "{}"))),
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

/// An empty object, which takes `length` bytes.
fn padded(length: usize) -> String {
    format!("{{{}}}", " ".repeat(length - 2))
}

fn now(response: Response<Body>) -> BoxFuture<'static, Response<Body>> {
    std::future::ready(response).boxed()
}

fn answer(status: u16, content_type: &str, body: impl Into<Bytes>) -> Response<Body> {
    let response = Response::builder().status(status).header("content-type", content_type);
    response.body(full(body)).expect("a response")
}

/// A body that does not end well.
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
    type Error = wasmtime_wasi_http::Error;

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

/// The application with one sibling that fails as long as it is told to.
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

/// The instance that answered: the ids that it makes begin with its own.
fn instance(reply: &Reply) -> &str {
    reply.header("x-request-id").split('-').next().unwrap()
}

/// Checks what a failure looks like from outside: it names the sibling, leaks
/// nothing, and is in the log with the request's id.
#[track_caller]
fn expect_failure(reply: &Reply, status: u16, path: &str, sibling: &str, log: &str, row: &str) {
    let detail = expect_problem(reply, status, path);
    let expected = match status {
        502 => "gave an answer that makes no sense.",
        503 => "is not available; try again later.",
        _ => "did not answer in time; try again later.",
    };
    assert_eq!(detail, format!("The service `{sibling}` {expected}"), "{row}");
    assert!(!reply.body.contains("secret"), "{row}: {reply:?}");
    let id = reply.header("x-request-id");
    let logged = log.lines().any(|line| line.contains(id) && line.contains(sibling));
    assert!(logged, "{row}: {id} of {sibling} is not in the log: {log}");
}

#[test]
fn every_way_of_failing_has_its_answer_and_the_next_good_request_succeeds() {
    for Row(row, status, waits, failing) in ROWS {
        for (path, sibling) in CALLS {
            let deadline = if waits { SHORT } else { LONG };
            let (app, fails, lines) = with_failing(sibling, deadline, failing);
            let start = Instant::now();
            let reply = support::send(&app, request(Method::GET, path));
            let taken = start.elapsed();
            assert_ne!(reply.status, 500, "{row} of {sibling} at {path}: {}", lines.text());
            check_conventions(&Method::GET, path, &reply);
            expect_failure(&reply, status, path, sibling, &lines.text(), row);
            let bounds = if waits { SHORT..SHORT + LATE } else { Duration::ZERO..LONG / 4 };
            assert!(bounds.contains(&taken), "{row} of {sibling} at {path} took {taken:?}");
            fails.store(false, Ordering::Relaxed);
            let next = get_from(&app, path);
            assert_eq!(next.status, 200, "{row} of {sibling} at {path}, after it");
            assert_eq!(instance(&next), instance(&reply), "{row} of {sibling} at {path}");
        }
    }
}

#[test]
fn a_sibling_that_does_not_know_the_user_is_no_failure_but_of_movies_it_is() {
    let not_found: Failing = || now(answer(404, "application/problem+json", "{}"));
    for ((path, sibling), status) in CALLS.into_iter().zip([404, 502, 200, 502, 404]) {
        let (app, _, _) = with_failing(sibling, LONG, not_found);
        assert_eq!(get_from(&app, path).status, status, "{sibling} at {path}");
    }
}

#[test]
fn a_sibling_that_is_slow_but_inside_the_deadline_is_waited_for() {
    for (path, sibling) in CALLS {
        let healthy = loader().load().expect("an application");
        let app =
            loader().variable("sibling_deadline_ms", "20000").replace(sibling, move |request| {
                let healthy = healthy.clone();
                async move {
                    tokio::time::sleep(SHORT).await;
                    healthy.handle(request).await
                }
            });
        assert_eq!(get_from(&app.load().unwrap(), path).status, 200, "{sibling} at {path}");
    }
}

#[test]
fn the_deadline_is_two_seconds_by_default() {
    let app = loader().replace("movies", |_| std::future::pending()).load().unwrap();
    let start = Instant::now();
    let path = "/users/dwight_schrute/suggested";
    expect_problem(&get_from(&app, path), 504, path);
    let default = Duration::from_secs(2);
    assert!((default..default + LATE).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[test]
fn of_two_siblings_the_one_that_does_not_answer_is_named() {
    let app = loader()
        .variable("sibling_deadline_ms", &SHORT.as_millis().to_string())
        .replace("bookings", |_| now(answer(404, "application/problem+json", "{}")))
        .replace("movies", |_| std::future::pending());
    let path = "/users/dwight_schrute/suggested";
    let detail = expect_problem(&get_from(&app.load().unwrap(), path), 504, path);
    assert!(detail.contains("`movies`"), "{detail}");
}

#[test]
fn the_siblings_of_a_request_share_its_deadline() {
    let (healthy, slow) = (loader().load().unwrap(), SHORT * 2 / 3);
    let slowly = move |request| {
        let healthy = healthy.clone();
        async move {
            tokio::time::sleep(slow).await;
            healthy.handle(request).await
        }
    };
    let app = loader()
        .variable("sibling_deadline_ms", &SHORT.as_millis().to_string())
        .replace("bookings", slowly.clone())
        .replace("movies", slowly);
    let app = app.load().unwrap();
    // Both at once are in time, one after the other is not.
    assert_eq!(get_from(&app, "/users/dwight_schrute/suggested").status, 200);
    let path = "/users/dwight_schrute/bookings";
    expect_problem(&get_from(&app, path), 504, path);
}

#[test]
fn a_deadline_that_is_no_number_is_an_internal_problem() {
    let lines = Lines::default();
    let app = loader().log(lines.log()).variable("sibling_deadline_ms", "soon").load().unwrap();
    let path = "/users/dwight_schrute/suggested";
    expect_problem(&get_from(&app, path), 500, path);
    let log = lines.text();
    assert!(log.contains("sibling_deadline_ms") && log.contains("\"soon\""), "{log}");
    assert_eq!(get_from(&app, "/users").status, 200);
}

#[test]
fn a_sibling_that_can_not_be_called_is_not_available() {
    support::prepare(&support::folder("tests/guest"));
    for (path, sibling) in CALLS {
        let binary = sibling.replace('-', "_");
        let changes = [
            // Not allowed.
            (format!("\"http://{sibling}.spin.internal\""), "\"http://self\"".to_owned()),
            // No such component, since no trigger names it.
            (format!("component = \"{sibling}\""), "component = \"home\"".to_owned()),
            // Traps whatever it is asked.
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
            let reply = get_from(&app, path);
            assert!(start.elapsed() < LATE, "{to}: {:?}", start.elapsed());
            expect_failure(&reply, 503, path, sibling, &lines.text(), &to);
            let other = path.rsplit_once('/').unwrap().0;
            let next = get_from(&app, other);
            assert_eq!((next.status.as_u16(), instance(&next)), (200, instance(&reply)), "{to}");
        }
    }
}

#[test]
fn the_examples_of_failures_are_what_they_look_like() {
    let failing: [(u16, Failing); 3] = [
        (502, || now(answer(200, JSON, "nonsense"))),
        (503, || now(answer(500, JSON, ""))),
        (504, || std::future::pending().boxed()),
    ];
    let mut seen = 0;
    for example in examples() {
        let Some(sibling) = example["x-failing-sibling"].as_str() else { continue };
        let status = example["value"]["status"].as_u64().unwrap() as u16;
        let (_, failing) = failing.into_iter().find(|(known, _)| *known == status).unwrap();
        let (app, _, _) = with_failing(sibling, SHORT, failing);
        let reply = get_from(&app, example["x-request"].as_str().unwrap());
        assert_eq!(reply.json(), example["value"]);
        seen += 1;
    }
    assert_eq!(seen, 3);
}

#[test]
fn the_id_of_a_request_goes_along_to_its_siblings() {
    let name = HeaderName::from_static("x-request-id");
    for (path, sibling) in CALLS {
        let (heard, hears) = std::sync::mpsc::channel();
        let app = loader().replace(sibling, move |request| {
            let id = request.headers().get("x-request-id").cloned();
            heard.send(id).expect("a listener");
            now(answer(500, JSON, ""))
        });
        let app = app.load().unwrap();
        let mut request = request(Method::GET, path);
        request.headers_mut().insert(name.clone(), HeaderValue::from_static("abc-1"));
        let reply = support::send(&app, request);
        check_conventions(&Method::GET, path, &reply);
        assert_eq!(reply.header("x-request-id"), "abc-1");
        assert_eq!(hears.recv().unwrap().unwrap(), "abc-1", "{path} {sibling}");
    }
}
