//! `/bookings`

use serde_json::json;

use crate::{data, get_json, get_problem};

#[test]
fn bookings_are_those_of_every_user() {
    let bookings = get_json("/bookings");
    assert_eq!(bookings, data("cinema/bookings.json"));
    assert_eq!(
        bookings["chris_rivers"],
        json!({"20151201": ["267eedb8-0f5d-42d5-8f43-72426b9fb3e6"]})
    );
}

#[test]
fn a_user_has_bookings_by_date() {
    let bookings = get_json("/bookings/dwight_schrute");
    assert_eq!(
        bookings["20151201"],
        json!(["7daf7208-be4d-4944-a3ae-c1c2f516f3e6", "267eedb8-0f5d-42d5-8f43-72426b9fb3e6"])
    );
    assert_eq!(bookings["20151205"].as_array().unwrap().len(), 2);
}

#[test]
fn a_user_without_bookings_is_not_found() {
    for username in ["michael_scott", "nobody"] {
        let detail = get_problem(&format!("/bookings/{username}"), 404);
        assert!(detail.contains(username), "{detail}");
    }
}
