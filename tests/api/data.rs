//! The data files: those of the repository agree with each other, and a
//! malformed one fails its own service and those that ask it, and no other.

use std::fs;
use std::path::{Path, PathBuf};

use host::App;
use serde_json::json;
use support::{Lines, edit};

use crate::architecture::{self, component_of, manifest};
use crate::openapi::reads;
use crate::{application, data, expect_problem, get_from};

/// Every data file, with the id of the component that sees it.
fn data_files() -> Vec<(String, PathBuf)> {
    let manifest = manifest();
    let files = architecture::data_files(&manifest).into_iter();
    files.flat_map(|(id, files)| files.into_iter().map(|file| (id.to_owned(), file))).collect()
}

/// The application after `change` has changed its folder.
fn changed(change: impl FnOnce(&Path)) -> (App, Lines) {
    let copy = support::copy(&application());
    change(copy.path());
    let lines = Lines::default();
    let app = support::loader(copy.path()).log(lines.log()).load().expect("an application");
    (app, lines)
}

/// Checks every operation of an application whose component `broken` has the
/// malformed data file `file`: those of the component that read the file are a
/// 500, those that ask it a 503, and all others a 200. Gives the log.
fn expect_only_one_to_fail(app: &App, lines: &Lines, broken: &str, file: &Path) -> String {
    let manifest = manifest();
    let mut failed = 0;
    for operation in reads() {
        let (path, own) = (&operation.example, component_of(&manifest, operation.path) == broken);
        let reply = get_from(app, path);
        // The files of the page are no data.
        let reads_data = operation.path != "/site/{file}";
        if own && reads_data && operation.documents(500) {
            let detail = expect_problem(&reply, 500, path);
            assert!(!detail.contains(".json"), "{path} leaks the file: {detail}");
            failed += 1;
        } else if operation.asks.contains(&broken) {
            expect_problem(&reply, 503, path);
        } else {
            assert_eq!(reply.status, 200, "{path} with a malformed {}", file.display());
        }
    }
    assert!(failed > 0, "no operation of {broken} reads {}", file.display());
    let log = lines.text();
    let cause = format!("malformed data file {}: ", file.display());
    assert!(log.contains(&cause), "no {cause:?} in the log: {log}");
    log
}

#[test]
fn every_booking_names_a_known_user_and_a_movie_that_is_shown_on_that_date() {
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
fn every_showtime_names_known_movies() {
    let movies = data("cinema/movies.json");
    for (date, shown) in data("cinema/showtimes.json").as_object().unwrap() {
        for movie in shown.as_array().unwrap() {
            assert!(movies.get(movie.as_str().unwrap()).is_some(), "{date}: {movie}");
        }
    }
}

#[test]
fn every_record_has_its_key_as_its_id() {
    for file in ["cinema/movies.json", "cinema/users.json"] {
        for (key, record) in data(file).as_object().unwrap() {
            assert_eq!(record["id"], *key, "{file}");
        }
    }
}

#[test]
fn every_list_belongs_to_a_known_user() {
    let users = data("todo/users.json");
    for username in data("todo/lists.json").as_object().unwrap().keys() {
        assert!(users.get(username).is_some(), "{username}");
    }
}

#[test]
fn a_missing_file_is_an_error_at_load_with_the_line_of_the_manifest() {
    for (_, file) in data_files() {
        let copy = support::copy(&application());
        fs::remove_file(copy.path().join(&file)).unwrap();
        let text = fs::read_to_string(copy.path().join("spin.toml")).unwrap();
        let file = file.to_str().unwrap();
        let line = text.lines().position(|line| line.contains(file)).expect(file) + 1;
        let error = support::loader(copy.path()).load().err().expect("no application");
        let error = format!("{error:#}");
        assert!(error.contains(&format!("spin.toml:{line}: ")), "{file}: {error}");
        assert!(error.contains(file) && error.contains("does not exist"), "{file}: {error}");
    }
}

#[test]
fn a_file_that_is_not_json_fails_its_own_service_and_is_logged_with_line_and_column() {
    for (id, file) in data_files() {
        let content = "{\n  \"a\": oops\n}";
        let (app, lines) = changed(|folder| fs::write(folder.join(&file), content).unwrap());
        let log = expect_only_one_to_fail(&app, &lines, &id, &file);
        assert!(log.contains("line 2 column"), "{}: {log}", file.display());
    }
}

#[test]
fn a_file_of_the_wrong_shape_fails_its_own_service_and_is_logged_with_line_and_column() {
    let contents = ["\n7\n", "[\n]", "{\n\"a\": 7\n}", "{\n\"a\": {\"20151201\": 7}\n}"];
    // `home` only needs its document to be JSON.
    let files = data_files().into_iter().filter(|(id, _)| id != "home");
    for ((id, file), content) in files.flat_map(|one| contents.map(|it| (one.clone(), it))) {
        let (app, lines) = changed(|folder| fs::write(folder.join(&file), content).unwrap());
        let log = expect_only_one_to_fail(&app, &lines, &id, &file);
        let has_place = log.contains("line ") && log.contains("column ");
        assert!(has_place, "{}: {log}", file.display());
    }
}

#[test]
fn a_duplicate_key_fails_its_own_service_and_is_logged_with_line_and_column() {
    for (id, file) in data_files() {
        for (content, place) in [
            ("{\n  \"a\": {},\n  \"a\": {}\n}", "duplicate key `a` at line 3 column 5"),
            ("{\"a\": [{\n\"b\": 1,\n\"b\": 1}]}", "duplicate key `b` at line 3 column 3"),
        ] {
            let (app, lines) = changed(|folder| fs::write(folder.join(&file), content).unwrap());
            let log = expect_only_one_to_fail(&app, &lines, &id, &file);
            assert!(log.contains(place), "{}: {log}", file.display());
        }
    }
}

#[test]
fn a_movie_with_the_key_of_another_one_is_a_duplicate_key() {
    let file = Path::new("data/cinema/movies.json");
    let (creed, frankenstein) =
        ("267eedb8-0f5d-42d5-8f43-72426b9fb3e6", "7daf7208-be4d-4944-a3ae-c1c2f516f3e6");
    let (app, lines) = changed(|folder| edit(&folder.join(file), frankenstein, creed));
    let log = expect_only_one_to_fail(&app, &lines, "movies", file);
    assert!(log.contains(&format!("duplicate key `{creed}` at line")), "{log}");
}

#[test]
fn a_rating_off_the_scale_is_a_malformed_file() {
    let (app, lines) = changed(|folder| {
        edit(&folder.join("data/cinema/movies.json"), "\"rating\": 8.8", "\"rating\": 11")
    });
    expect_problem(&get_from(&app, "/movies"), 500, "/movies");
    // serde notices it at the end of the record.
    assert!(lines.text().contains("rating 11 is not on the scale"), "{}", lines.text());
    assert!(lines.text().contains("line 7 column 5"), "{}", lines.text());
}

#[test]
fn fields_that_no_service_knows_pass_through() {
    let (app, _) = changed(|folder| {
        let extra =
            "\"title\": \"Creed\",\n\"gross\": 173600000.50, \"big\": 123456789012345678901,";
        edit(&folder.join("data/cinema/movies.json"), "\"title\": \"Creed\",", extra);
        edit(
            &folder.join("data/cinema/users.json"),
            "\"name\": \"Chris Rivers\",",
            "\"name\": \"Chris Rivers\", \"seat\": null,",
        );
        edit(
            &folder.join("data/todo/users.json"),
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
fn a_field_that_no_service_knows_must_still_be_unicode() {
    let file = Path::new("data/cinema/movies.json");
    let (app, lines) = changed(|folder| {
        let broken = "\"title\": \"Creed\", \"note\": \"\\ud800\",";
        edit(&folder.join(file), "\"title\": \"Creed\",", broken);
    });
    let log = expect_only_one_to_fail(&app, &lines, "movies", file);
    assert!(log.contains("escape at line 4 column "), "{log}");
}

#[test]
fn a_changed_file_needs_no_new_binary() {
    let (app, _) = changed(|folder| {
        fs::write(folder.join("data/cinema/showtimes.json"), r#"{"20160101": []}"#).unwrap()
    });
    assert_eq!(get_from(&app, "/showtimes").json(), json!({"20160101": []}));
    assert_eq!(get_from(&app, "/showtimes/20151201").status, 404);
    let tag = |app: &App| get_from(app, "/showtimes").header("etag").to_owned();
    assert_ne!(tag(&app), tag(&changed(|_| {}).0), "different content, different tag");
}
