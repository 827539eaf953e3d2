//! `/todo`, `/todo/users`

use http::StatusCode;
use serde_json::json;

use crate::{data, get, get_json, get_problem};

#[test]
fn the_greeting_says_what_to_do_next() {
    let reply = get("/todo");
    assert_eq!(reply.status, StatusCode::OK);
    assert!(reply.header("content-type").starts_with("text/plain"), "{reply:?}");
    assert!(reply.body.contains("is up") && reply.body.contains("/todo/users"), "{reply:?}");
}

#[test]
fn users_are_all_users_by_name() {
    let users = get_json("/todo/users");
    assert_eq!(users, data("todo/users.json"));
    assert_eq!(users["aniket"], json!({"id": 2, "name": "Aniket Sharma", "verified": 1}));
    assert_eq!(users["luckas"], json!({"id": 4, "name": "Luckas Friendel", "verified": 0}));
}

#[test]
fn a_user_is_shown_by_name() {
    assert_eq!(
        get_json("/todo/users/saurabh_badhwar"),
        json!({"id": 1, "name": "Saurabh Badhwar", "verified": 1})
    );
}

#[test]
fn a_user_has_the_lists_that_the_lists_service_knows() {
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
fn a_known_user_without_lists_has_none() {
    let detail = get_problem("/todo/users/luckas/lists", 404);
    assert!(detail.contains("no lists"), "{detail}");
}

#[test]
fn an_unknown_user_is_not_found_anywhere() {
    for path in ["/todo/users/nobody", "/todo/users/nobody/lists"] {
        let detail = get_problem(path, 404);
        assert!(detail.contains("No user is called `nobody`"), "{path}: {detail}");
    }
}
