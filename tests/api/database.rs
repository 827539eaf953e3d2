//! Applications without a database, and with one from an earlier start.

use std::path::PathBuf;

use host::{App, Body};
use http::{Method, Request};
use support::{Lines, edit, request, send_at_once, with_json};

use crate::openapi::{operations, paths};
use crate::writes::{BOOKING, LIST, app, changed, put_booking, put_list};
use crate::{data, expect_problem, get_from, loader, send_to};

/// Each way to have no database, and what the log says about it.
fn without_a_database() -> [(App, Lines, &'static str); 2] {
    let (not_granted, lines) =
        changed(|manifest| edit(manifest, "sqlite_databases = [\"default\"]\n", ""));
    let in_memory = Lines::default();
    let app = loader().log(in_memory.log()).state_dir("").load().unwrap();
    [
        (not_granted, lines, "the component is not granted the database `default`"),
        (app, in_memory, "the database is in memory"),
    ]
}

#[test]
fn without_a_database_the_data_files_are_served_and_the_log_says_why_once() {
    let healthy = app();
    for (app, lines, reason) in without_a_database() {
        for (id, path) in [("bookings", "/bookings"), ("todo-lists", "/todo/lists")] {
            for _ in 0..2 {
                assert_eq!(get_from(&app, path).status, 200);
            }
            let text = lines.text();
            let own = text.lines().filter(|line| line.starts_with(&format!("{id}: ")));
            let logged = own.filter(|line| line.contains(reason)).count();
            assert_eq!(logged, 1, "{id}: {text}");
        }
        for path in paths() {
            let (reply, expected) = (get_from(&app, &path), get_from(&healthy, &path));
            assert_eq!((reply.status, &reply.body), (expected.status, &expected.body), "{path}");
            assert_eq!(reply.header("etag"), expected.header("etag"), "{path}");
        }
        for path in [BOOKING, LIST, "/bookings/nobody", "/todo/lists/nobody"] {
            expect_problem(&get_from(&app, path), 404, path);
        }
    }
}

#[test]
fn without_a_database_a_write_is_405_and_allow_does_not_name_it() {
    for (app, _, reason) in without_a_database() {
        for operation in operations().filter(|operation| operation.method != Method::GET) {
            let path = &operation.example;
            let reply = send_to(&app, operation.request(path));
            expect_problem(&reply, 405, path);
            assert_eq!(reply.header("allow"), "GET, HEAD, OPTIONS", "{reason}");
            let options = send_to(&app, request(Method::OPTIONS, path));
            assert_eq!(options.header("allow"), "GET, HEAD, OPTIONS", "{reason}");
        }
    }
}

#[test]
fn what_was_written_is_there_after_a_restart_and_what_was_deleted_is_not() {
    let state = support::state_dir();
    let start = || loader().state_dir(&state).load().expect("an application");
    let cancelled = "/bookings/chris_rivers/20151201/267eedb8-0f5d-42d5-8f43-72426b9fb3e6";
    let app = start();
    assert_eq!(send_to(&app, put_booking()).status, 201);
    assert_eq!(send_to(&app, put_list("[\"Buy milk\"]")).status, 201);
    assert_eq!(send_to(&app, request(Method::DELETE, cancelled)).status, 204);
    let tag = get_from(&app, LIST).header("etag").to_owned();
    drop(app);
    let app = start();
    assert_eq!(get_from(&app, BOOKING).status, 200);
    assert_eq!(get_from(&app, LIST).header("etag"), tag);
    assert_eq!(get_from(&app, cancelled).status, 404);
    assert_eq!(get_from(&app, "/bookings/chris_rivers").status, 404);
}

/// The application with a database that behaves as libSQL does, where nothing is yet. On a busy
/// machine, hundreds of requests at once take longer than siblings are waited for by default.
fn like_libsql() -> (App, PathBuf) {
    let state = support::state_dir();
    let loader = loader().state_dir(&state).like_libsql();
    (loader.variable("sibling_deadline_ms", "30000").load().expect("an application"), state)
}

#[test]
fn on_libsql_no_two_statements_run_on_a_connection_at_the_same_time() {
    // In a new database, which the first requests make.
    let (app, _) = like_libsql();
    let users = data("cinema/users.json");
    let users: Vec<_> = users.as_object().expect("users").keys().collect();
    let requests = (0..320).map(|number| match number % 8 {
        0 => request(Method::GET, "/bookings"),
        1 => request(Method::GET, "/seats/20151201"),
        2 => request(Method::GET, "/todo/lists/meera"),
        3 => request(Method::GET, "/users/dwight_schrute/bookings"),
        4 => request(Method::GET, "/todo/lists/aniket/school"),
        5 => {
            let user = users[number % users.len()];
            let movie = "267eedb8-0f5d-42d5-8f43-72426b9fb3e6";
            request(Method::PUT, &format!("/bookings/{user}/20151201/{movie}"))
        }
        _ => with_json(
            request(Method::PUT, &format!("/todo/lists/luckas/{}", number / 8)),
            "[\"Buy milk\"]",
        ),
    });
    for reply in send_at_once(&app, requests) {
        assert!(reply.status.is_success(), "{reply:?}");
    }
}

#[test]
fn a_put_without_conditions_is_never_refused_because_others_write() {
    for app in [app(), like_libsql().0] {
        let requests = (0..256).map(|number| match number % 4 {
            0 => request(Method::DELETE, LIST),
            _ => put_list(&format!("[\"{number}\"]")),
        });
        for (number, reply) in send_at_once(&app, requests).into_iter().enumerate() {
            let expected = if number % 4 == 0 { [204, 404] } else { [200, 201] };
            assert!(expected.contains(&reply.status.as_u16()), "{reply:?}");
        }
    }
}

#[test]
fn of_many_who_create_a_list_one_gets_201() {
    for app in [app(), like_libsql().0] {
        let requests = (0..64).map(|number| put_list(&format!("[\"{number}\"]")));
        let replies = send_at_once(&app, requests);
        assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 1);
        let requests = (0..64).map(|_| request(Method::DELETE, LIST));
        let replies = send_at_once(&app, requests);
        assert_eq!(replies.iter().filter(|reply| reply.status == 204).count(), 1);
        assert_eq!(replies.iter().filter(|reply| reply.status == 404).count(), 63);
    }
}

#[test]
fn of_many_who_change_the_version_that_they_read_one_succeeds() {
    for app in [app(), like_libsql().0] {
        let tag = send_to(&app, put_list("[]")).header("etag").to_owned();
        let conditional = |mut request: Request<Body>| {
            request.headers_mut().insert("if-match", tag.parse().expect("a tag"));
            request
        };
        let requests = (0..64).map(|number| match number % 8 {
            0 => conditional(request(Method::DELETE, LIST)),
            _ => conditional(put_list(&format!("[\"{number}\"]"))),
        });
        let replies = send_at_once(&app, requests);
        assert_eq!(replies.iter().filter(|reply| reply.status.is_success()).count(), 1);
        let mut others = replies.iter().filter(|reply| !reply.status.is_success());
        // A list that was deleted is a 404 to a DELETE.
        assert!(others.all(|reply| matches!(reply.status.as_u16(), 412 | 404)), "{replies:?}");
    }
}

/// As libSQL does after ten seconds without a statement.
#[test]
fn a_database_that_has_forgotten_a_connection_gets_another_one() {
    let (app, state) = like_libsql();
    // Leaves a connection.
    assert_eq!(send_to(&app, request(Method::DELETE, BOOKING)).status, 404);
    let database = rusqlite::Connection::open(state.join("sqlite_db.db")).expect("a database");
    let first_one_fails = "
        CREATE TABLE tries (count INTEGER);
        INSERT INTO tries VALUES (0);
        CREATE TRIGGER expired BEFORE INSERT ON bookings BEGIN
            UPDATE tries SET count = count + 1;
            SELECT RAISE(FAIL, 'STREAM_EXPIRED') FROM tries WHERE count = 1;
        END;
    ";
    database.execute_batch(first_one_fails).expect("a trigger");
    assert_eq!(send_to(&app, put_booking()).status, 201);
    let tries: i64 = database.query_row("SELECT count FROM tries", [], |row| row.get(0)).unwrap();
    assert_eq!(tries, 2);
}
