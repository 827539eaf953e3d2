//! `/users`

use serde_json::{Value, json};

use crate::{data, get_json, get_problem};

#[test]
fn all_users_are_listed_by_username() {
    let users = get_json("/users");
    assert_eq!(users, data("cinema/users.json"));
    let (chris, michael) = (&users["chris_rivers"], &users["michael_scott"]);
    assert_eq!(chris["name"], "Chris Rivers");
    assert_eq!(chris["last_active"], 1360031010);
    assert_eq!(michael["name"], "Michael Scott");
    assert_eq!(michael["last_active"], 1360031625);
    assert_eq!(users["dwight_schrute"]["name"], "Dwight Schrute");
}

#[test]
fn a_single_user_is_found_by_username() {
    assert_eq!(
        get_json("/users/chris_rivers"),
        json!({"id": "chris_rivers", "name": "Chris Rivers", "last_active": 1360031010})
    );
}

#[test]
fn an_unknown_user_is_404_on_every_route() {
    for path in ["/users/nobody", "/users/nobody/bookings", "/users/nobody/suggested"] {
        let detail = get_problem(path, 404);
        assert!(detail.contains("No user is called `nobody`"), "{path}: {detail}");
    }
}

#[test]
fn bookings_include_title_rating_and_uri_of_each_movie() {
    let movies = data("cinema/movies.json");
    for (username, bookings) in data("cinema/bookings.json").as_object().unwrap() {
        let describe = |id: &Value| {
            let movie = &movies[id.as_str().unwrap()];
            let uri = format!("/movies/{}", id.as_str().unwrap());
            json!({"title": movie["title"], "rating": movie["rating"], "uri": uri})
        };
        let expected = bookings.as_object().unwrap().iter().map(|(date, ids)| {
            let ids = ids.as_array().unwrap();
            (date.clone(), ids.iter().map(describe).collect::<Value>())
        });
        let expected: Value = expected.collect::<serde_json::Map<_, _>>().into();
        assert_eq!(get_json(&format!("/users/{username}/bookings")), expected, "{username}");
    }
}

#[test]
fn bookings_of_a_known_user_without_any_are_404() {
    let detail = get_problem("/users/michael_scott/bookings", 404);
    assert!(detail.contains("no bookings"), "{detail}");
}

#[test]
fn suggestions_are_the_three_best_movies_that_the_user_has_not_booked() {
    let top = get_json("/movies/top?limit=100");
    for username in data("cinema/users.json").as_object().unwrap().keys() {
        let bookings = &data("cinema/bookings.json")[username];
        let uris: Vec<_> = bookings
            .as_object()
            .into_iter()
            .flat_map(|dates| dates.values())
            .flat_map(|ids| {
                ids.as_array().unwrap().iter().map(|id| format!("/movies/{}", id.as_str().unwrap()))
            })
            .collect();
        let unseen = top
            .as_array()
            .unwrap()
            .iter()
            .filter(|movie| !uris.iter().any(|uri| movie["uri"] == *uri));
        let expected: Value = unseen
            .take(3)
            .map(|movie| json!({"title": movie["title"], "rating": movie["rating"], "uri": movie["uri"]}))
            .collect();
        assert_eq!(get_json(&format!("/users/{username}/suggested")), expected, "{username}");
    }
}

#[test]
fn a_user_without_bookings_gets_the_three_best_movies() {
    let suggested = get_json("/users/michael_scott/suggested");
    let titles: Vec<_> =
        suggested.as_array().unwrap().iter().map(|movie| &movie["title"]).collect();
    assert_eq!(titles, ["Creed", "Room", "Spotlight"]);
}
