//! How services ask each other: whom, how often, and what happens with unusual
//! answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use host::{App, full};
use http::{Method, Response};
use serde_json::json;
use support::{edit, request};

use crate::architecture::{component_of, manifest};
use crate::openapi::operations;
use crate::{application, expect_problem, get, get_from, loader, send_to};

/// An application of `movies` movies, of which the user `dwight_schrute` has
/// booked `bookings`; and what its siblings have been asked.
fn counted(bookings: usize, movies: usize) -> (App, Arc<Mutex<Vec<String>>>) {
    let copy = support::copy(&application());
    let id = |number: usize| format!("movie-{number:04}");
    let all: BTreeMap<_, _> = (0..movies)
        .map(|number| {
            let (id, title) = (id(number), format!("Movie {number:04}"));
            (id.clone(), json!({"id": id, "title": title, "director": "", "rating": 5}))
        })
        .collect();
    // Half of them twice, on two dates.
    let booked: Vec<_> = (0..bookings).map(id).collect();
    let dates = json!({"20151201": booked, "20151202": booked[bookings / 2..]});
    let data = copy.path().join("data/cinema");
    std::fs::write(data.join("movies.json"), json!(all).to_string()).unwrap();
    std::fs::write(data.join("bookings.json"), json!({"dwight_schrute": dates}).to_string())
        .unwrap();
    let siblings = support::loader(copy.path()).load().expect("an application");
    recorded(&siblings, ["bookings", "movies"])
}

/// The application with those siblings replaced by the ones of `answering`; and
/// what they have been asked, as `<component id> <path>`.
fn recorded(
    answering: &App,
    siblings: impl IntoIterator<Item = impl Into<String>>,
) -> (App, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let mut app = loader();
    for sibling in siblings {
        let sibling = sibling.into();
        let (id, answering, asked) = (sibling.clone(), answering.clone(), asked.clone());
        app = app.replace(&sibling, move |request| {
            asked.lock().unwrap().push(format!("{id} {}", request.uri().path()));
            let answering = answering.clone();
            async move { answering.handle(request).await }
        });
    }
    (app.load().expect("an application"), asked)
}

#[test]
fn every_operation_asks_exactly_the_siblings_that_the_document_names() {
    let manifest = manifest();
    let healthy = loader().load().expect("an application");
    for operation in operations() {
        let own = component_of(&manifest, operation.path);
        let others = manifest.components.keys().filter(|id| **id != own).cloned();
        let (app, asked) = recorded(&healthy, others);
        let reply = send_to(&app, operation.request(&operation.example_with_query));
        assert!(reply.status.is_success(), "{reply:?}");
        let asked = asked.lock().unwrap();
        let asked: BTreeSet<_> =
            asked.iter().map(|asked| asked.split(' ').next().unwrap()).collect();
        assert_eq!(asked, operation.asks.into_iter().collect(), "{}", operation.path);
    }
}

#[test]
fn a_request_sends_two_sibling_requests_however_many_movies_are_booked() {
    for bookings in [1, 97, 100] {
        let (app, asked) = counted(bookings, 400);
        let described = get_from(&app, "/users/dwight_schrute/bookings").json();
        assert_eq!(described["20151201"].as_array().unwrap().len(), bookings);
        let last = &described["20151201"][bookings - 1]["title"];
        assert_eq!(*last, format!("Movie {:04}", bookings - 1));
        assert_eq!(asked.lock().unwrap().drain(..).count(), 2, "{bookings} bookings");

        let suggested = get_from(&app, "/users/dwight_schrute/suggested").json();
        let titles: Vec<_> =
            suggested.as_array().unwrap().iter().map(|movie| movie["title"].clone()).collect();
        let next: Vec<_> = (bookings..bookings + 3).map(|n| format!("Movie {n:04}")).collect();
        assert_eq!(titles, next, "{bookings} bookings");
        assert_eq!(asked.lock().unwrap().drain(..).count(), 2, "{bookings} bookings");
    }
}

#[test]
fn bookings_of_more_than_a_hundred_different_movies_are_502() {
    let (app, asked) = counted(101, 101);
    for path in ["/users/dwight_schrute/bookings", "/users/dwight_schrute/suggested"] {
        let detail = expect_problem(&get_from(&app, path), 502, path);
        assert!(detail.contains("`bookings`"), "{path}: {detail}");
        let asked: Vec<_> = asked.lock().unwrap().drain(..).collect();
        let of_movies = asked.iter().filter(|asked| asked.starts_with("movies ")).count();
        // The ranking is asked for together with the bookings.
        assert_eq!(of_movies, usize::from(path.ends_with("suggested")), "{path}: {asked:?}");
    }
}

#[test]
fn fewer_movies_are_suggested_if_there_are_no_more() {
    for (bookings, movies) in [(2, 4), (4, 4), (99, 100), (100, 100)] {
        let (app, _) = counted(bookings, movies);
        let suggested = get_from(&app, "/users/dwight_schrute/suggested").json();
        assert_eq!(
            suggested.as_array().unwrap().len(),
            movies - bookings,
            "{bookings} of {movies}"
        );
    }
}

#[test]
fn a_request_for_an_unknown_user_asks_no_sibling() {
    let (app, asked) = counted(1, 1);
    assert_eq!(get_from(&app, "/users/nobody/bookings").status, 404);
    assert_eq!(get_from(&app, "/users/nobody/suggested").status, 404);
    assert_eq!(send_to(&app, request(Method::POST, "/users/nobody/bookings")).status, 405);
    assert_eq!(asked.lock().unwrap().len(), 0);
}

#[test]
fn suggestions_ask_both_siblings_at_the_same_time() {
    // Each of them waits until both have been asked.
    let both = Arc::new(tokio::sync::Barrier::new(2));
    let healthy = loader().load().expect("an application");
    let mut app = loader();
    for sibling in ["bookings", "movies"] {
        let (both, healthy) = (both.clone(), healthy.clone());
        app = app.replace(sibling, move |request| {
            let (both, healthy) = (both.clone(), healthy.clone());
            async move {
                both.wait().await;
                healthy.handle(request).await
            }
        });
    }
    let app = app.load().expect("an application");
    assert_eq!(get_from(&app, "/users/dwight_schrute/suggested").status, 200);
}

#[test]
fn a_booking_of_an_unknown_movie_keeps_its_place() {
    let copy = support::copy(&application());
    let bookings = copy.path().join("data/cinema/bookings.json");
    edit(&bookings, "7daf7208-be4d-4944-a3ae-c1c2f516f3e6", "lost & found/1");
    let app = support::loader(copy.path()).load().expect("an application");
    let booked = get_from(&app, "/users/dwight_schrute/bookings").json();
    assert_eq!(
        booked["20151201"],
        json!([
            {"title": null, "rating": null, "uri": "/movies/lost%20%26%20found%2F1"},
            {"title": "Creed", "rating": 8.8, "uri": "/movies/267eedb8-0f5d-42d5-8f43-72426b9fb3e6"}
        ])
    );
    assert_eq!(get_from(&app, "/users/dwight_schrute/suggested").status, 200);
}

#[test]
fn an_empty_answer_of_a_sibling_is_404() {
    for (sibling, path) in
        [("bookings", "/users/michael_scott/bookings"), ("todo-lists", "/todo/users/luckas/lists")]
    {
        let app = loader().replace(sibling, |_| async {
            let response = Response::builder().header("content-type", "application/json");
            response.body(full("{}")).expect("a response")
        });
        expect_problem(&get_from(&app.load().unwrap(), path), 404, path);
    }
}

#[test]
fn usernames_are_encoded_in_the_paths_of_siblings() {
    let copy = support::copy(&application());
    let data = copy.path().join("data/cinema");
    edit(&data.join("users.json"), "\"chris_rivers\"", "\"a/b?c #%41\"");
    edit(&data.join("bookings.json"), "\"chris_rivers\"", "\"a/b?c #%41\"");
    let app = support::loader(copy.path()).load().expect("an application");
    let booked = get_from(&app, "/users/a%2Fb%3Fc%20%23%2541/bookings").json();
    assert_eq!(booked["20151201"][0]["title"], "Creed");
}

#[test]
fn a_sibling_may_be_forwarded_to_another_server() {
    let elsewhere = support::serve(loader().load().expect("an application"));
    let app = loader().forward("movies", elsewhere.address.parse().expect("an address"));
    let app = app.load().expect("an application");
    let path = "/users/dwight_schrute/suggested";
    assert_eq!(get_from(&app, path).body, get(path).body);
}
