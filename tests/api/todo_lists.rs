//! `/todo/lists`

use std::collections::BTreeSet;

use serde_json::json;

use crate::{data, get_json, get_problem};

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
