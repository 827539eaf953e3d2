//! `/todo/lists`

use std::collections::BTreeSet;

use http::Method;
use serde_json::json;
use support::{Reply, request, with_json};

use crate::{
    data, expect_problem, get, get_from, get_json, get_problem, loader, send, send_to, write_alone,
};

#[test]
fn the_names_of_all_lists_are_sorted_and_unique() {
    let data = data("todo/lists.json");
    let names: BTreeSet<_> = data
        .as_object()
        .unwrap()
        .values()
        .flat_map(|lists| lists.as_object().unwrap().keys())
        .collect();
    assert_eq!(get_json("/todo/lists"), json!({"lists": names}));
    assert!(names.contains(&"home".to_owned()) && names.contains(&"school".to_owned()));
}

#[test]
fn the_lists_of_a_user_have_their_items() {
    assert_eq!(
        get_json("/todo/lists/saurabh_badhwar"),
        json!({
            "home": ["Buy milk", "Look for pest control service", "Get a new carpet"],
            "work": ["Complete the blogpost", "Create presentation for meeting"]
        })
    );
}

#[test]
fn lists_of_a_user_without_any_are_404() {
    for username in ["luckas", "nobody"] {
        let detail = get_problem(&format!("/todo/lists/{username}"), 404);
        assert!(detail.contains(username), "{detail}");
    }
}

/// A list of somebody who has none.
const LIST: &str = "/todo/lists/luckas/errands";

fn put(path: &str, body: &str) -> Reply {
    send(with_json(request(Method::PUT, path), body))
}

fn put_with(body: &str, name: &'static str, tags: &str) -> Reply {
    let mut request = with_json(request(Method::PUT, LIST), body);
    request.headers_mut().insert(name, tags.parse().unwrap());
    send(request)
}

fn delete_with(name: &'static str, tags: &str) -> Reply {
    let mut request = request(Method::DELETE, LIST);
    request.headers_mut().insert(name, tags.parse().unwrap());
    send(request)
}

#[test]
fn a_list_is_created_replaced_shown_and_deleted() {
    write_alone();
    get_problem(LIST, 404);
    let created = put(LIST, "[\"Buy milk\",\"Call \\\"Mum\\\" é\\u0000\"]");
    assert_eq!(created.status, 201, "{created:?}");
    assert_eq!(created.json(), json!(["Buy milk", "Call \"Mum\" é\u{0}"]));
    let replaced = put(LIST, "[\"Buy milk\"]");
    assert_eq!(replaced.status, 200);
    assert_ne!(replaced.header("etag"), created.header("etag"));
    let shown = get(LIST);
    assert_eq!(shown.json(), json!(["Buy milk"]));
    let again = put(LIST, " [ \"Buy milk\" ] ");
    for reply in [&replaced, &again] {
        assert_eq!(reply.header("content-location"), LIST);
        assert_eq!(reply.header("etag"), shown.header("etag"));
        assert_eq!(reply.body, shown.body);
    }
    assert_eq!(send(request(Method::DELETE, LIST)).status, 204);
    get_problem(LIST, 404);
    expect_problem(&send(request(Method::DELETE, LIST)), 404, LIST);
}

#[test]
fn every_route_shows_a_list_at_once_and_its_end() {
    write_alone();
    get_problem("/todo/users/luckas/lists", 404);
    assert_eq!(put(LIST, "[]").status, 201);
    assert_eq!(get_json(LIST), json!([]), "an empty list is a list");
    assert_eq!(get_json("/todo/lists/luckas"), json!({"errands": []}));
    assert_eq!(get_json("/todo/users/luckas/lists"), json!({"errands": []}));
    let names = get_json("/todo/lists");
    assert!(names["lists"].as_array().unwrap().contains(&json!("errands")), "{names}");
    assert_eq!(send(request(Method::DELETE, LIST)).status, 204);
    get_problem("/todo/lists/luckas", 404);
    get_problem("/todo/users/luckas/lists", 404);
    assert_ne!(get_json("/todo/lists"), names);
}

#[test]
fn the_name_of_a_list_may_have_any_characters() {
    write_alone();
    for name in ["a%2Fb", "%C3%A9", "%00x", "'%22--", "%25"] {
        let path = format!("/todo/lists/luckas/{name}");
        assert_eq!(put(&path, "[\"x\"]").status, 201, "{name}");
        let location = put(&path, "[\"x\"]").header("content-location").to_owned();
        assert_eq!(get_json(&location), json!(["x"]), "{name}");
        assert_eq!(get_json("/todo/lists/luckas").as_object().unwrap().len(), 1, "{name}");
        assert_eq!(send(request(Method::DELETE, &path)).status, 204, "{name}");
    }
}

#[test]
fn only_a_known_user_gets_a_list() {
    let path = "/todo/lists/nobody/errands";
    let detail = expect_problem(&put(path, "[]"), 404, path);
    assert!(detail.contains("`nobody`"), "{detail}");
}

#[test]
fn a_write_succeeds_only_if_its_conditions_are_met() {
    write_alone();
    for tags in ["*", "\"x\"", ""] {
        expect_problem(&put_with("[]", "if-match", tags), 412, LIST);
        expect_problem(&delete_with("if-match", tags), 404, LIST);
    }
    let etag = put_with("[\"a\"]", "if-none-match", "*").header("etag").to_owned();
    assert_eq!(etag, get(LIST).header("etag"));
    let weak = format!("W/{etag}");
    for (name, tags) in [
        ("if-none-match", "*"),
        ("if-none-match", "*, *"),
        ("if-none-match", "\"x\", *"),
        ("if-none-match", &etag),
        ("if-none-match", &weak),
        ("if-match", &weak),
        ("if-match", "\"x\""),
        ("if-match", ""),
        ("if-match", "\"x,*,y\""),
    ] {
        expect_problem(&put_with("[\"b\"]", name, tags), 412, LIST);
        expect_problem(&delete_with(name, tags), 412, LIST);
    }
    assert_eq!(get_json(LIST), json!(["a"]), "nothing has changed");
    for (name, tags) in [
        ("if-match", etag.as_str()),
        ("if-match", "*"),
        ("if-none-match", "\"x\""),
        ("if-none-match", "W/*"),
        ("if-none-match", "\"a,*,W/*,b\""),
        ("if-none-match", ""),
    ] {
        assert_eq!(put_with("[\"b\"]", name, tags).status, 200, "{name}: {tags}");
    }
    expect_problem(&put_with("[\"c\"]", "if-match", &etag), 412, LIST);
    let etag = get(LIST).header("etag").to_owned();
    assert_eq!(delete_with("if-match", &format!("\"x\", {etag}")).status, 204);
}

#[test]
fn a_user_has_at_most_a_hundred_lists() {
    let app = loader().load().unwrap();
    let put = |number: usize| {
        let path = format!("/todo/lists/luckas/{number}");
        send_to(&app, with_json(request(Method::PUT, &path), "[]"))
    };
    for number in 0..100 {
        assert_eq!(put(number).status, 201, "{number}");
    }
    let refused = put(100);
    let detail = expect_problem(&refused, 409, "/todo/lists/luckas/100");
    assert!(detail.contains("100 lists"), "{detail}");
    assert_eq!(refused.json()["type"], "/openapi.json#/components/responses/TooManyLists");
    assert_eq!(put(99).status, 200, "a list that exists can be replaced");
    let mut create = with_json(request(Method::PUT, "/todo/lists/luckas/99"), "[]");
    create.headers_mut().insert("if-none-match", "*".parse().unwrap());
    expect_problem(&send_to(&app, create), 412, "/todo/lists/luckas/99");
    assert_eq!(get_from(&app, "/todo/users/luckas/lists").json().as_object().unwrap().len(), 100);
}
