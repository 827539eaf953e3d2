//! What all writes have in common: tokens, bodies, and the order of refusals.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use host::{App, Body};
use http::{Method, Request};
use proptest::prelude::*;
use support::{Lines, Reply, Served, edit, request, with_json};

use crate::calls::{answer, now};
use crate::openapi::{operations, paths};
use crate::{application, expect_problem, get, get_from, loader, send, send_to, write_alone};

/// A booking and a list that the data files do not have.
pub const BOOKING: &str = "/bookings/peter_curley/20151201/267eedb8-0f5d-42d5-8f43-72426b9fb3e6";
pub const LIST: &str = "/todo/lists/luckas/errands";

pub fn put_booking() -> Request<Body> {
    request(Method::PUT, BOOKING)
}

pub fn put_list(body: &str) -> Request<Body> {
    with_json(request(Method::PUT, LIST), body)
}

fn with(mut request: Request<Body>, name: &'static str, value: &str) -> Request<Body> {
    request.headers_mut().insert(name, value.parse().expect("a value"));
    request
}

pub fn app() -> App {
    loader().load().expect("an application")
}

/// The application after `change` has changed its manifest, and its log.
pub fn changed(change: impl FnOnce(&Path)) -> (App, Lines) {
    let copy = support::copy(&application());
    change(&copy.path().join("spin.toml"));
    let lines = Lines::default();
    (support::loader(copy.path()).log(lines.log()).load().expect("an application"), lines)
}

/// The name of the response that describes the type of a problem.
fn type_of(reply: &Reply) -> String {
    let json = reply.json();
    json["type"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

#[test]
fn without_a_token_everybody_may_write() {
    let app = app();
    assert_eq!(send_to(&app, put_booking()).status, 201);
    let with_token = with(request(Method::DELETE, BOOKING), "authorization", "Bearer x");
    assert_eq!(send_to(&app, with_token).status, 204);
}

#[test]
fn a_write_needs_the_token_if_there_is_one_and_a_read_does_not() {
    let lines = Lines::default();
    let app = loader().log(lines.log()).variable("write_token", "s3cret").load().unwrap();
    for call in [put_booking, || request(Method::DELETE, BOOKING), || put_list("[]")] {
        let path = call().uri().path().to_owned();
        let malformed =
            ["", "s3cret", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3cret2", "Basic s3cret"];
        let refused = malformed.map(|value| with(call(), "authorization", value));
        for request in refused.into_iter().chain([call()]) {
            let reply = send_to(&app, request);
            let detail = expect_problem(&reply, 401, &path);
            assert_eq!(reply.header("www-authenticate"), "Bearer");
            assert!(detail.contains("Authorization: Bearer") && !detail.contains("s3cre"));
        }
    }
    for (path, status) in [(BOOKING, 404), ("/bookings", 200), ("/seats/20151201", 200)] {
        assert_eq!(get_from(&app, path).status, status, "{path}");
    }
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let value = format!("{scheme} s3cret");
        let put = with(put_booking(), "authorization", &value);
        assert_eq!(send_to(&app, put).status, 201, "{scheme}");
        let delete = with(request(Method::DELETE, BOOKING), "authorization", &value);
        assert_eq!(send_to(&app, delete).status, 204, "{scheme}");
    }
    let mut twice = with(put_booking(), "authorization", "Bearer s3cret");
    twice.headers_mut().append("authorization", "Bearer s3cret".parse().unwrap());
    assert_eq!(send_to(&app, twice).status, 401, "two tokens");
    assert_eq!(lines.text(), "", "nothing is logged");
}

#[test]
fn a_token_may_end_in_a_newline_and_a_blank_one_refuses_every_write() {
    let app = loader().variable("write_token", "s3cret\n").load().unwrap();
    let put = with(put_booking(), "authorization", "Bearer s3cret");
    assert_eq!(send_to(&app, put).status, 201);
    let app = loader().variable("write_token", "\n").load().unwrap();
    for value in ["Bearer ", "Bearer"] {
        assert_eq!(send_to(&app, with(put_booking(), "authorization", value)).status, 401);
    }
    assert_eq!(send_to(&app, put_booking()).status, 401);
}

#[test]
fn a_component_that_is_not_given_the_token_takes_no_writes() {
    let (app, lines) = changed(|manifest| {
        edit(manifest, "write_token = \"{{ write_token }}\"\n", "");
    });
    expect_problem(&send_to(&app, put_booking()), 500, BOOKING);
    assert!(lines.text().contains("no variable `write_token`"), "{}", lines.text());
    assert_eq!(get_from(&app, BOOKING).status, 404);
}

#[test]
fn no_page_of_another_origin_may_write() {
    for path in paths() {
        let preflight = with(request(Method::OPTIONS, &path), "origin", "https://a.example");
        let preflight = with(preflight, "access-control-request-method", "PUT");
        let reply = send(preflight);
        assert_eq!(reply.header("access-control-allow-methods"), "GET, HEAD", "{path}");
    }
}

#[test]
fn a_body_must_be_declared_as_json() {
    write_alone();
    let without = || {
        let mut put = request(Method::PUT, LIST);
        *put.body_mut() = host::full("[]");
        put
    };
    let others =
        ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "", "json"];
    let others = others.map(|value| with(without(), "content-type", value));
    for request in others.into_iter().chain([without()]) {
        let detail = expect_problem(&send(request), 415, LIST);
        assert!(detail.contains("`curl --json`"), "{detail}");
    }
    for value in ["application/json", "Application/JSON; charset=utf-8", "application/json ;a=b;c"]
    {
        let reply = send(with(without(), "content-type", value));
        assert!(reply.status.is_success(), "{value}: {reply:?}");
    }
    send(request(Method::DELETE, LIST));
}

#[test]
fn a_body_has_at_most_64_kib_whether_its_length_is_announced_or_not() {
    write_alone();
    for announced in [true, false] {
        for (length, status) in [(64 * 1024, 200), (64 * 1024 + 1, 413), (900_000, 413)] {
            send(put_list("[]"));
            let mut put = put_list(&format!("[{}]", " ".repeat(length - 2)));
            if announced {
                put = with(put, "content-length", &length.to_string());
            }
            let reply = send(put);
            assert_eq!(reply.status, status, "{length}, {announced}: {reply:?}");
            if status == 413 {
                assert!(expect_problem(&reply, 413, LIST).contains("65536 bytes"));
            }
        }
    }
    send(request(Method::DELETE, LIST));
}

#[test]
fn malformed_json_is_400_with_line_and_column() {
    write_alone();
    for (body, place) in [
        ("", "line 1 column 0"),
        ("[\n\"a\",\n]", "line 3 column 1"),
        ("[\"a\"] x", "line 1 column 7"),
        ("[\"\\ud800\"]", "line 1 column"),
        (&"[".repeat(1000), "line 1 column 1000"),
    ] {
        let detail = expect_problem(&send(put_list(body)), 400, LIST);
        assert!(detail.contains(place), "{body}: {detail}");
    }
    let mut put = put_list("");
    *put.body_mut() = host::full(b"[\"\xff\"]".to_vec());
    assert!(expect_problem(&send(put), 400, LIST).contains("line 1 column"));
    assert_eq!(get(LIST).status, 404, "nothing was written");
}

#[test]
fn a_list_of_the_wrong_shape_is_422_and_the_detail_says_which() {
    write_alone();
    let (items, item) = (|n| format!("[{}]", vec!["\"\""; n].join(",")), |n| "é".repeat(n));
    for (body, expected) in [
        ("{}".to_owned(), "expected a sequence at line 1 column"),
        ("\"a\"".into(), "expected a sequence at line 1 column"),
        ("null".into(), "expected a sequence at line 1 column"),
        ("[\"a\", true]".into(), "boolean `true`, expected a string at line 1 column 10"),
        ("[[\"a\"]]".into(), "expected a string at line 1 column"),
        (items(1001), "1001 items"),
        (format!("[\"\", \"\", \"{}\"]", item(1001)), "Item 3 of the list has 1001 characters"),
    ] {
        let detail = expect_problem(&send(put_list(&body)), 422, LIST);
        assert!(detail.contains(expected), "{expected}: {detail}");
    }
    for body in [items(1000), format!("[\"{}\"]", item(1000))] {
        assert!(send(put_list(&body)).status.is_success());
    }
    send(request(Method::DELETE, LIST));
}

/// The application in which each refusal of a PUT can be provoked.
#[test]
fn the_first_reason_to_refuse_a_write_wins() {
    let app = loader().variable("write_token", "t").variable("seats", "0").load().unwrap();
    let list = |user: &str| format!("/todo/lists/{user}/errands");
    let booking = |user: &str, movie: &str| format!("/bookings/{user}/20151201/{movie}");
    let creed = "267eedb8-0f5d-42d5-8f43-72426b9fb3e6";
    let send = |method: Method, path: &str, token: &str, kind: &str, body: String, tags: &str| {
        let request = with(request(method, path), "authorization", &format!("Bearer {token}"));
        let mut request = with(with(request, "content-type", kind), "if-match", tags);
        *request.body_mut() = host::full(body);
        send_to(&app, request)
    };
    let (json, huge) = ("application/json", " ".repeat(70_000));
    let (nobody, somebody) = (list("nobody"), list("luckas"));
    let sold_out = booking("peter_curley", creed);
    let cases = [
        (405, Method::POST, &nobody, "x", "text/plain", huge.clone()),
        (401, Method::PUT, &nobody, "x", "text/plain", huge.clone()),
        (415, Method::PUT, &nobody, "t", "text/plain", huge.clone()),
        (413, Method::PUT, &nobody, "t", json, huge),
        (400, Method::PUT, &nobody, "t", json, "[1,".into()),
        (422, Method::PUT, &nobody, "t", json, "[1]".into()),
        (404, Method::PUT, &nobody, "t", json, "[]".into()),
        (412, Method::PUT, &somebody, "t", json, "[]".into()),
        (401, Method::PUT, &booking("nobody", "x"), "x", json, String::new()),
        (404, Method::PUT, &booking("nobody", "x"), "t", json, String::new()),
        (409, Method::PUT, &booking("peter_curley", "x"), "t", json, String::new()),
        (412, Method::PUT, &sold_out, "t", json, String::new()),
    ];
    for (status, method, path, token, kind, body) in cases {
        let reply = send(method, path, token, kind, body, "\"x\"");
        expect_problem(&reply, status, path);
        if status == 409 {
            assert_eq!(type_of(&reply), "NotShown");
        }
    }
    let reply = send_to(&app, with(request(Method::PUT, &sold_out), "authorization", "Bearer t"));
    expect_problem(&reply, 409, &sold_out);
    assert_eq!(type_of(&reply), "SoldOut");
}

#[test]
fn an_unknown_user_wins_over_a_movie_that_is_not_shown() {
    let slow_404 = |_| async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        answer(404, "application/problem+json", "{}")
    };
    let app = loader().replace("users", slow_404);
    let app = app.replace("showtimes", |_| now(answer(404, "application/problem+json", "{}")));
    expect_problem(&send_to(&app.load().unwrap(), put_booking()), 404, BOOKING);
}

/// A connection to `served`, or to the server at `APP_URL`.
fn connect(served: &Served) -> TcpStream {
    let address = match std::env::var("APP_URL") {
        Ok(url) => url.trim_start_matches("http://").trim_end_matches('/').to_owned(),
        Err(_) => served.address.clone(),
    };
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

#[test]
fn a_client_that_waits_for_permission_to_send_gets_it_only_if_the_body_is_wanted() {
    let served = support::serve(app());
    for (content_type, length, expected) in [
        ("text/plain", "2", "HTTP/1.1 415"),
        ("application/json", "2", "HTTP/1.1 100"),
        ("application/json", "65537", "HTTP/1.1 413"),
        // More than a component can address.
        ("application/json", "5000000000", "HTTP/1.1 413"),
    ] {
        let mut stream = connect(&served);
        let head = format!(
            "PUT /todo/lists/nobody/x HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n\
             content-type: {content_type}\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), expected, "{length}");
    }
}

#[test]
fn an_early_answer_reaches_a_client_that_still_sends() {
    let served = support::serve(app());
    for announced in [900_000, 10_000_000] {
        let mut stream = connect(&served);
        let head = format!(
            "PUT {LIST} HTTP/1.1\r\nhost: a\r\ncontent-type: text/plain\r\ncontent-length: {announced}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        // The answer comes before any of the body, and the whole answer arrives although
        // the client goes on sending.
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 415");
        stream.write_all(&vec![b' '; 900_000]).unwrap();
        while !answer.ends_with(b"}\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.extend(byte);
        }
    }
}

/// Each operation that writes, as the contract has it.
#[test]
fn every_write_without_the_token_is_401_before_its_body_is_read() {
    let app = loader().variable("write_token", "t").load().expect("an application");
    let served = support::serve(app);
    for operation in operations().filter(|operation| operation.method != Method::GET) {
        let mut stream = served.connect();
        let head = format!(
            "{} {} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
             content-length: 1000\r\n\r\n",
            operation.method, operation.example
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 401", "{}", operation.path);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// In an application of its own, because it may delete anything.
    #[test]
    fn no_write_causes_a_server_error(
        path in prop_oneof![
            prop::sample::select(operations().map(|operation| operation.example).collect::<Vec<_>>()),
            Just(BOOKING.to_owned()),
            "/todo/lists/(luckas|aniket)/[a-z%0-9]{1,9}",
            "/bookings/(peter_curley|[a-z]{1,3})/2015120[0-9]/[a-z%0-9]{0,9}",
        ],
        method in prop::sample::select(vec![Method::PUT, Method::DELETE]),
        tags in prop::sample::select(vec!["*", "\"a\"", "W/\"a\", \"b\"", "", "'\"--", "W/*", "*, *"]),
        name in prop::sample::select(vec!["if-match", "if-none-match", "x-other"]),
        body in prop_oneof![
            prop::collection::vec(any::<String>(), 0..5).prop_map(|items| serde_json::json!(items).to_string()),
            "[\\[\\]{}\",:a0-9]{0,30}",
        ],
    ) {
        static APP: std::sync::LazyLock<App> = std::sync::LazyLock::new(app);
        prop_assume!(path.parse::<http::Uri>().is_ok());
        let request = with(with_json(request(method, &path), &body), name, tags);
        let reply = send_to(&APP, request);
        prop_assert!(!reply.status.is_server_error(), "{reply:?}");
    }
}
