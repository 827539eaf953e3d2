//! How services call each other: how often, and with whose leave.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use host::manifest::Manifest;
use host::{App, full};
use http::{Method, Response};
use serde_json::json;

use crate::support::{self, edit, request};
use crate::{application, expect_problem, get_from, loader};

/// An application whose user `dwight_schrute` has booked `bookings` different
/// movies of the `movies` that there are, and the requests that its siblings
/// have been sent.
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
    let asked = Arc::new(Mutex::new(Vec::new()));
    let mut users = loader();
    for sibling in ["bookings", "movies"] {
        let (siblings, asked) = (siblings.clone(), asked.clone());
        users = users.replace(sibling, move |request| {
            let (siblings, asked) = (siblings.clone(), asked.clone());
            async move {
                asked.lock().unwrap().push(request.uri().path().to_owned());
                siblings.handle(request).await
            }
        });
    }
    (users.load().expect("an application"), asked)
}

#[test]
fn a_request_costs_two_sibling_requests_and_one_more_for_each_further_hundred() {
    for (bookings, of_bookings, of_suggested) in
        [(1, 2, 2), (97, 2, 2), (98, 2, 3), (100, 2, 3), (101, 3, 3), (250, 4, 4)]
    {
        let (app, asked) = counted(bookings, 400);
        let described = get_from(&app, "/users/dwight_schrute/bookings").json();
        assert_eq!(described["20151201"].as_array().unwrap().len(), bookings);
        let last = &described["20151201"][bookings - 1]["title"];
        assert_eq!(*last, format!("Movie {:04}", bookings - 1));
        assert_eq!(asked.lock().unwrap().drain(..).count(), of_bookings, "{bookings} bookings");

        let suggested = get_from(&app, "/users/dwight_schrute/suggested").json();
        let titles: Vec<_> =
            suggested.as_array().unwrap().iter().map(|movie| movie["title"].clone()).collect();
        let next: Vec<_> = (bookings..bookings + 3).map(|n| format!("Movie {n:04}")).collect();
        assert_eq!(titles, next, "{bookings} bookings");
        assert_eq!(asked.lock().unwrap().drain(..).count(), of_suggested, "{bookings} bookings");
    }
}

#[test]
fn fewer_movies_are_suggested_where_there_are_fewer() {
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
fn an_unknown_user_costs_no_sibling_request() {
    let (app, asked) = counted(1, 1);
    assert_eq!(get_from(&app, "/users/nobody/bookings").status, 404);
    assert_eq!(get_from(&app, "/users/nobody/suggested").status, 404);
    assert_eq!(support::send(&app, request(Method::POST, "/users/nobody/bookings")).status, 405);
    assert_eq!(asked.lock().unwrap().len(), 0);
}

#[test]
fn siblings_whose_answers_do_not_depend_on_each_other_are_asked_side_by_side() {
    // Each answers only once both have been asked.
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
fn a_booking_of_a_movie_that_nobody_knows_keeps_its_place() {
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
fn a_user_whose_bookings_are_empty_has_none() {
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
fn usernames_are_encoded_on_their_way_to_a_sibling() {
    let copy = support::copy(&application());
    let data = copy.path().join("data/cinema");
    edit(&data.join("users.json"), "\"chris_rivers\"", "\"a/b?c #%41\"");
    edit(&data.join("bookings.json"), "\"chris_rivers\"", "\"a/b?c #%41\"");
    let app = support::loader(copy.path()).load().expect("an application");
    let booked = get_from(&app, "/users/a%2Fb%3Fc%20%23%2541/bookings").json();
    assert_eq!(booked["20151201"][0]["title"], "Creed");
}

#[test]
fn services_may_call_exactly_the_siblings_that_they_ask() {
    let manifest = Manifest::read(&application()).expect("a manifest");
    for (id, component) in &manifest.components {
        let allowed: Vec<_> =
            component.allowed_outbound_hosts.iter().map(ToString::to_string).collect();
        let expected: &[&str] = match id.as_str() {
            "users" => &["http://bookings.spin.internal", "http://movies.spin.internal"],
            "todo-users" => &["http://todo-lists.spin.internal"],
            _ => &[],
        };
        assert_eq!(allowed, expected, "{id}");
    }
}

#[test]
fn each_service_sees_its_own_data_file_alone() {
    let manifest = Manifest::read(&application()).expect("a manifest");
    for (id, component) in &manifest.components {
        let root = tempfile::tempdir().unwrap();
        host::files::mount(&manifest, component, root.path()).expect("mounted");
        let seen: Vec<_> = glob::glob(&format!("{}/**/*.*", root.path().display()))
            .unwrap()
            .map(|path| path.unwrap().strip_prefix(root.path()).unwrap().to_owned())
            .collect();
        let expected = match id.as_str() {
            "home" => Some("components/home/openapi.json".to_owned()),
            "todo-users" => Some("data/todo/users.json".to_owned()),
            "todo-lists" => Some("data/todo/lists.json".to_owned()),
            id => Some(format!("data/cinema/{id}.json")),
        };
        assert_eq!(
            seen,
            expected.iter().map(Into::into).collect::<Vec<std::path::PathBuf>>(),
            "{id}"
        );
    }
}

#[test]
fn every_service_has_its_component_its_crate_and_its_tests() {
    let manifest = Manifest::read(&application()).expect("a manifest");
    let ids: Vec<_> = manifest.components.keys().cloned().collect();
    let crates = support::folder("components").read_dir().expect("a folder");
    let mut crates: Vec<_> =
        crates.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    crates.sort();
    assert_eq!(ids, crates);
    for (id, component) in &manifest.components {
        let binary = format!("target/wasm32-wasip2/release/{}.wasm", id.replace('-', "_"));
        assert_eq!(*component.source.get_ref(), binary, "{id}");
        let build = component.build.as_ref().expect("a build command");
        let command = format!("cargo build --target wasm32-wasip2 --release -p {id}");
        assert_eq!(build.command.as_slice(), [command], "{id}");
        let tests = id.replace('-', "_");
        assert!(include_str!("main.rs").contains(&format!("mod {tests};")), "{tests} has no tests");
    }
}
