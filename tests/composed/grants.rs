//! What the components of a composition may use.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use support::{edit, request};

use crate::{Server, USER, chained, composed, copy, copy_with_faulty_movies, get_as};

const BOOKINGS: &str = r#"inherit_configuration = ["files", "sqlite_databases"]"#;

#[test]
fn bookings_without_a_database_serve_their_data_file() {
    let copy = copy();
    edit(&composed(&copy), BOOKINGS, r#"inherit_configuration = ["files"]"#);
    let server = Server::start(&composed(&copy), &[]);
    let path = format!("/users/{USER}/bookings");
    let before = server.get(&path);
    assert_eq!(before.status, StatusCode::OK, "{before:?}");
    // The component `bookings` of its own has the database, so this changes only that.
    let booking = format!("/bookings/{USER}/20151201/267eedb8-0f5d-42d5-8f43-72426b9fb3e6");
    let cancelled = server.send(request(Method::DELETE, &booking));
    assert_eq!(cancelled.status, StatusCode::NO_CONTENT, "{cancelled:?}");
    assert_eq!(server.get(&path).body, before.body);
}

#[test]
fn bookings_without_files_are_a_503() {
    let copy = copy();
    edit(&composed(&copy), BOOKINGS, r#"inherit_configuration = ["sqlite_databases"]"#);
    let server = Server::start(&composed(&copy), &[]);
    let reply = server.get(&format!("/users/{USER}/bookings"));
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{reply:?}");
    assert_eq!(reply.header("retry-after"), "1");
    assert!(reply.body.contains("SiblingUnavailable"), "{reply:?}");
    assert!(!reply.body.contains("data file"), "{reply:?}");
}

#[test]
fn a_dependency_that_inherits_nothing_sees_no_file() {
    let copy = copy();
    edit(&composed(&copy), r#"inherit_configuration = ["files"]"#, "inherit_configuration = false");
    let server = Server::start(&composed(&copy), &[]);
    let reply = server.get(&format!("/users/{USER}/suggested"));
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{reply:?}");
    assert!(reply.body.contains("`movies`"), "{reply:?}");
    // The component of its own still has its grants.
    assert_eq!(server.get("/movies").status, StatusCode::OK);
}

/// Files are inherited all or not at all. Nothing else of `users` or `bookings` is, not even
/// what `users` may use here in addition.
#[test]
fn movies_reach_their_file_when_chained_and_also_those_of_the_others_when_composed() {
    let copy = copy_with_faulty_movies();
    let own = json!(["data/cinema/movies.json"]);
    let all =
        json!(["data/cinema/bookings.json", "data/cinema/movies.json", "data/cinema/users.json"]);
    let more = r#"[component.users]
environment = { SECRET = "1" }
allowed_outbound_hosts = ["{{ showtimes_url }}", "{{ bookings_url }}", "{{ movies_url }}"]"#;
    let hosts = "\nallowed_outbound_hosts = [\"{{ bookings_url }}\", \"{{ movies_url }}\"]";
    edit(&chained(&copy), hosts, "");
    for (manifest, files) in [(chained(&copy), own), (composed(&copy), all)] {
        edit(&manifest, "[component.users]", more);
        let server = Server::start(&manifest, &[]);
        let reply = server.send(get_as("reach", "/users/michael_scott/suggested"));
        let reached = reply.json()[0]["title"].as_str().expect("a title").to_owned();
        let reached: Value = serde_json::from_str(&reached).unwrap();
        let expected = json!({
            "files": files,
            "database": false,
            "environment": false,
            "siblings": false,
            "variables": false,
        });
        assert_eq!(reached, expected, "{}", manifest.display());
    }
}
