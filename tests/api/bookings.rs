//! `/bookings`

use serde_json::json;

use crate::{data, get_json, get_problem};

#[test]
fn bookings_are_listed_by_user_and_date() {
    let bookings = get_json("/bookings");
    assert_eq!(bookings, data("cinema/bookings.json"));
    assert_eq!(
        bookings["chris_rivers"],
        json!({"20151201": ["267eedb8-0f5d-42d5-8f43-72426b9fb3e6"]})
    );
}

#[test]
fn the_bookings_of_a_user_are_listed_by_date() {
    let bookings = get_json("/bookings/dwight_schrute");
    assert_eq!(
        bookings["20151201"],
        json!(["7daf7208-be4d-4944-a3ae-c1c2f516f3e6", "267eedb8-0f5d-42d5-8f43-72426b9fb3e6"])
    );
    assert_eq!(bookings["20151205"].as_array().unwrap().len(), 2);
}

#[test]
fn bookings_of_a_user_without_any_are_404() {
    for username in ["michael_scott", "nobody"] {
        let detail = get_problem(&format!("/bookings/{username}"), 404);
        assert!(detail.contains(username), "{detail}");
    }
}
