//! The data files: those of the repository agree with each other, and a bad
//! one fails its own service alone.

use std::fs;
use std::path::Path;

use host::App;
use serde_json::json;

use crate::support::{self, Lines, edit};
use crate::{application, data, expect_problem, get_from};

/// Every data file, with a path that its service answers from it and one that
/// another service answers.
const FILES: [(&str, &str, &str); 7] = [
    ("../components/home/openapi.json", "/", "/movies"),
    ("cinema/movies.json", "/movies/top", "/showtimes"),
    ("cinema/showtimes.json", "/showtimes", "/movies"),
    ("cinema/bookings.json", "/bookings", "/movies"),
    ("cinema/users.json", "/users", "/bookings"),
    ("todo/users.json", "/todo/users", "/todo/lists"),
    ("todo/lists.json", "/todo/lists", "/todo/users"),
];

/// The application with its data changed by `change`.
fn changed(change: impl FnOnce(&Path)) -> (App, Lines) {
    let copy = support::copy(&application());
    change(&copy.path().join("data"));
    let lines = Lines::default();
    let app = support::loader(copy.path()).log(lines.log()).load().expect("an application");
    (app, lines)
}

#[test]
fn every_booking_is_of_a_known_user_and_of_a_movie_that_is_shown() {
    let (users, showtimes) = (data("cinema/users.json"), data("cinema/showtimes.json"));
    for (username, dates) in data("cinema/bookings.json").as_object().unwrap() {
        assert!(users.get(username).is_some(), "{username}");
        for (date, booked) in dates.as_object().unwrap() {
            let shown = showtimes[date].as_array().unwrap_or_else(|| panic!("no shows on {date}"));
            for movie in booked.as_array().unwrap() {
                assert!(shown.contains(movie), "{username} on {date}: {movie}");
            }
        }
    }
}

#[test]
fn every_show_is_of_a_known_movie() {
    let movies = data("cinema/movies.json");
    for (date, shown) in data("cinema/showtimes.json").as_object().unwrap() {
        for movie in shown.as_array().unwrap() {
            assert!(movies.get(movie.as_str().unwrap()).is_some(), "{date}: {movie}");
        }
    }
}

#[test]
fn every_record_has_the_id_of_its_key() {
    for file in ["cinema/movies.json", "cinema/users.json"] {
        for (key, record) in data(file).as_object().unwrap() {
            assert_eq!(record["id"], *key, "{file}");
        }
    }
}

#[test]
fn every_list_is_of_a_known_user() {
    let users = data("todo/users.json");
    for username in data("todo/lists.json").as_object().unwrap().keys() {
        assert!(users.get(username).is_some(), "{username}");
    }
}

#[test]
fn a_missing_file_fails_its_own_service_alone() {
    for (file, path, other) in FILES {
        let (app, lines) = changed(|data| fs::remove_file(data.join(file)).unwrap());
        let detail = expect_problem(&get_from(&app, path), 500, path);
        assert!(!detail.contains(".json"), "{file}: {detail}");
        assert!(lines.text().contains(file.trim_start_matches("..")), "{file}: {}", lines.text());
        assert_eq!(get_from(&app, other).status, 200, "{file}: {other}");
    }
}

#[test]
fn a_file_that_is_not_json_is_named_with_line_and_column() {
    for (file, path, other) in FILES {
        let (app, lines) =
            changed(|data| fs::write(data.join(file), "{\n  \"a\": oops\n}").unwrap());
        expect_problem(&get_from(&app, path), 500, path);
        let log = lines.text();
        assert!(
            log.contains(file.trim_start_matches("..")) && log.contains("line 2 column"),
            "{file}: {log}"
        );
        assert_eq!(get_from(&app, other).status, 200, "{file}: {other}");
    }
}

#[test]
fn a_file_of_the_wrong_shape_is_named_with_line_and_column() {
    // Of its document, which comes first, home needs nothing but that it is JSON.
    for (file, path, other) in FILES.into_iter().skip(1) {
        for content in ["[\n]", "{\n\"a\": 7\n}", "{\n\"a\": {\"20151201\": 7}\n}"] {
            let (app, lines) = changed(|data| fs::write(data.join(file), content).unwrap());
            expect_problem(&get_from(&app, path), 500, path);
            let log = lines.text();
            assert!(log.contains(file.trim_start_matches("..")), "{file}: {log}");
            assert!(log.contains("line ") && log.contains("column "), "{file}: {log}");
            assert_eq!(get_from(&app, other).status, 200, "{file}: {other}");
        }
    }
}

#[test]
fn a_rating_off_the_scale_is_the_wrong_shape() {
    let (app, lines) =
        changed(|data| edit(&data.join("cinema/movies.json"), "\"rating\": 8.8", "\"rating\": 11"));
    expect_problem(&get_from(&app, "/movies"), 500, "/movies");
    // The end of the record, where all of it has been read.
    assert!(lines.text().contains("rating 11 is not on the scale"), "{}", lines.text());
    assert!(lines.text().contains("line 7 column 5"), "{}", lines.text());
}

#[test]
fn fields_that_nobody_names_pass_through() {
    let (app, _) = changed(|data| {
        let extra =
            "\"title\": \"Creed\",\n\"gross\": 173600000.50, \"big\": 123456789012345678901,";
        edit(&data.join("cinema/movies.json"), "\"title\": \"Creed\",", extra);
        edit(
            &data.join("cinema/users.json"),
            "\"name\": \"Chris Rivers\",",
            "\"name\": \"Chris Rivers\", \"seat\": null,",
        );
        edit(
            &data.join("todo/users.json"),
            "\"name\": \"Aniket Sharma\",",
            "\"name\": \"Aniket Sharma\", \"tags\": [1, {}],",
        );
    });
    for path in ["/movies/267eedb8-0f5d-42d5-8f43-72426b9fb3e6", "/movies", "/movies/top"] {
        let body = get_from(&app, path).body;
        assert!(body.contains("\"gross\": 173600000.50"), "{path}: {body}");
        assert!(body.contains("\"big\": 123456789012345678901"), "{path}: {body}");
    }
    assert!(get_from(&app, "/users/chris_rivers").json().as_object().unwrap().contains_key("seat"));
    assert_eq!(get_from(&app, "/todo/users/aniket").json()["tags"], json!([1, {}]));
}

#[test]
fn a_field_that_nobody_names_and_nobody_can_read_fails_its_own_record() {
    let (app, lines) = changed(|data| {
        let broken = "\"title\": \"Creed\", \"note\": \"\\ud800\",";
        edit(&data.join("cinema/movies.json"), "\"title\": \"Creed\",", broken);
    });
    let creed = "/movies/267eedb8-0f5d-42d5-8f43-72426b9fb3e6";
    for path in [creed, "/movies", "/movies/top"] {
        expect_problem(&get_from(&app, path), 500, path);
    }
    assert!(lines.text().contains("267eedb8-0f5d-42d5-8f43-72426b9fb3e6`: "), "{}", lines.text());
    assert_eq!(get_from(&app, "/movies/7daf7208-be4d-4944-a3ae-c1c2f516f3e6").status, 200);
}

#[test]
fn another_file_needs_no_other_binary() {
    let (app, _) = changed(|data| {
        fs::write(data.join("cinema/showtimes.json"), r#"{"20160101": []}"#).unwrap()
    });
    assert_eq!(get_from(&app, "/showtimes").json(), json!({"20160101": []}));
    assert_eq!(get_from(&app, "/showtimes/20151201").status, 404);
    let tag = |app: &App| get_from(app, "/showtimes").header("etag").to_owned();
    assert_ne!(tag(&app), tag(&changed(|_| {}).0), "another content has another tag");
}
