//! `/showtimes`

use crate::{data, get_json, get_problem};

#[test]
fn showtimes_are_listed_by_date() {
    let showtimes = get_json("/showtimes");
    assert_eq!(showtimes, data("cinema/showtimes.json"));
    let dates: Vec<_> = showtimes.as_object().unwrap().keys().cloned().collect();
    let expected = ["20151130", "20151201", "20151202", "20151203", "20151204", "20151205"];
    assert_eq!(dates, expected);
}

#[test]
fn the_movies_of_a_single_date_are_listed() {
    let movies = get_json("/showtimes/20151201");
    let movies = movies.as_array().unwrap();
    assert_eq!(movies.len(), 4);
    assert!(movies.contains(&"267eedb8-0f5d-42d5-8f43-72426b9fb3e6".into()));
    assert!(movies.contains(&"7daf7208-be4d-4944-a3ae-c1c2f516f3e6".into()));
}

#[test]
fn an_unknown_date_is_404() {
    for date in ["20991231", "2015-12-01", "tomorrow"] {
        let detail = get_problem(&format!("/showtimes/{date}"), 404);
        assert!(detail.contains(date), "{detail}");
    }
}
