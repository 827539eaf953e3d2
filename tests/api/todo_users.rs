//! `/todo`, `/todo/users`

use http::StatusCode;
use serde_json::json;

use crate::{data, get, get_json, get_problem};

#[test]
fn the_greeting_names_the_routes_to_try() {
    let reply = get("/todo");
    assert_eq!(reply.status, StatusCode::OK);
    assert!(reply.header("content-type").starts_with("text/plain"), "{reply:?}");
    assert!(reply.body.contains("is up") && reply.body.contains("/todo/users"), "{reply:?}");
}

#[test]
fn all_users_are_listed_by_username() {
    let users = get_json("/todo/users");
    assert_eq!(users, data("todo/users.json"));
    assert_eq!(users["aniket"], json!({"id": 2, "name": "Aniket Sharma", "verified": 1}));
    assert_eq!(users["luckas"], json!({"id": 4, "name": "Luckas Friendel", "verified": 0}));
}

#[test]
fn a_single_user_is_found_by_username() {
    assert_eq!(
        get_json("/todo/users/saurabh_badhwar"),
        json!({"id": 1, "name": "Saurabh Badhwar", "verified": 1})
    );
}

#[test]
fn the_lists_of_a_user_are_those_of_todo_lists() {
    assert_eq!(
        get_json("/todo/users/aniket/lists"),
        json!({"school": ["Complete homework", "Prepare for test"]})
    );
    for username in data("todo/lists.json").as_object().unwrap().keys() {
        assert_eq!(
            get_json(&format!("/todo/users/{username}/lists")),
            get_json(&format!("/todo/lists/{username}"))
        );
    }
}

#[test]
fn lists_of_a_known_user_without_any_are_404() {
    let detail = get_problem("/todo/users/luckas/lists", 404);
    assert!(detail.contains("no lists"), "{detail}");
}

#[test]
fn an_unknown_user_is_404_on_every_route() {
    for path in ["/todo/users/nobody", "/todo/users/nobody/lists"] {
        let detail = get_problem(path, 404);
        assert!(detail.contains("No user is called `nobody`"), "{path}: {detail}");
    }
}
