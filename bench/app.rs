//! `cargo bench`: requests in this process, without a socket, and their parts.
//! For work on the code; `run.py` compares the application with its peers.

use std::path::Path;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use host::{App, Body, Loader};
use http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt;
use tokio::runtime::{Builder, Runtime};

const MOVIE: &str = "/movies/267eedb8-0f5d-42d5-8f43-72426b9fb3e6";

const ROUTES: [(&str, &str); 7] = [
    ("one resource", MOVIE),
    ("a list", "/movies"),
    ("a ranking", "/movies/top"),
    ("404", "/movies/nope"),
    ("fan-out, bookings", "/users/dwight_schrute/bookings"),
    ("fan-out, suggested", "/users/dwight_schrute/suggested"),
    ("the index", "/"),
];

criterion_group!(benches, routes, parts);
criterion_main!(benches);

/// Every kind of request, answered by warm instances.
fn routes(criterion: &mut Criterion) {
    let (runtime, app) = (runtime(), loader().load().expect("an application"));
    let mut group = criterion.benchmark_group("app.handle");
    for (name, path) in ROUTES {
        group.bench_function(name, |bencher| {
            bencher.iter(|| runtime.block_on(answer(&app, get(path))));
        });
    }
    let etag = runtime.block_on(answer(&app, get(MOVIE))).headers()[ETAG].clone();
    group.bench_function("304", |bencher| {
        bencher.iter(|| {
            let mut request = get(MOVIE);
            request.headers_mut().insert(IF_NONE_MATCH, etag.clone());
            runtime.block_on(answer(&app, request))
        });
    });
}

/// The parts of a request, one at a time.
fn parts(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group("parts");

    group.bench_function("an application, from the cache", |bencher| {
        bencher.iter(|| loader().load().expect("an application"));
    });
    group.bench_function("an instance, and its first request", |bencher| {
        let load = || loader().load().expect("an application");
        let first = |app: &mut App| runtime.block_on(answer(app, get(MOVIE)));
        bencher.iter_batched_ref(load, first, BatchSize::PerIteration);
    });

    let app = loader().replace("movies", |_| async { json("{}") });
    let app = app.load().expect("an application");
    group.bench_function("the host without a component", |bencher| {
        bencher.iter(|| runtime.block_on(answer(&app, get(MOVIE))));
    });
    let bookings = r#"{"20151201": ["267eedb8-0f5d-42d5-8f43-72426b9fb3e6"]}"#;
    let app = loader()
        .replace("movies", |_| async { json("{}") })
        .replace("bookings", move |_| async move { json(bookings) });
    let app = app.load().expect("an application");
    group.bench_function("a fan-out without its siblings", |bencher| {
        let path = "/users/dwight_schrute/bookings";
        bencher.iter(|| runtime.block_on(answer(&app, get(path))));
    });
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A loader of the application, whose components it builds first. Its database is a
/// new one.
fn loader() -> Loader {
    static PREPARED: std::sync::Once = std::sync::Once::new();
    let state_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
    PREPARED.call_once(|| {
        support::prepare(folder());
        _ = std::fs::remove_dir_all(&state_dir);
    });
    Loader::new(folder()).state_dir(state_dir)
}

/// A runtime of one thread, as each shard of the server has.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(host::empty()).expect("a request")
}

fn json(content: &'static str) -> Response<Body> {
    let mut response = Response::new(host::full(content));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The response of `app` to `request`, with its whole body.
async fn answer(app: &App, request: Request<Body>) -> Response<bytes::Bytes> {
    let (head, body) = app.handle(request).await.into_parts();
    assert!(!head.status.is_server_error(), "{}", head.status);
    Response::from_parts(head, body.collect().await.expect("a whole body").to_bytes())
}
