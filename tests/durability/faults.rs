//! A database that can't be used, or not written to: what is said to clients and in the
//! log, and that everything else goes on.

use std::path::Path;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::server::{Reply, Server, command, limited};
use support::{application, data};

use crate::{DATE, LOCK_WAIT, MOVIE, Random, check_integrity, database};

/// Paths of services that need no database.
const OTHERS: [&str; 6] = ["/", "/movies", "/showtimes", "/users", "/todo", "/todo/users"];

fn list(name: impl std::fmt::Display) -> String {
    format!("/todo/lists/luckas/{name}")
}

fn booking() -> String {
    format!("/bookings/michael_scott/{DATE}/{MOVIE}")
}

/// Checks the answer of a service whose database can't be used.
#[track_caller]
fn expect_unavailable(reply: &Reply) {
    assert_eq!(reply.status, 503, "{reply:?}");
    assert_eq!(reply.header("retry-after"), "1", "{reply:?}");
    assert_eq!(reply.header("content-type"), "application/problem+json", "{reply:?}");
    let problem = reply.json();
    assert!(problem["type"].as_str().unwrap().ends_with("/DatabaseUnavailable"), "{problem}");
}

/// Checks a server that can't use its database at all.
fn check_without_database(server: &Server) {
    let (booking, list) = (booking(), list("new"));
    for path in ["/bookings", "/bookings/pam_beesly", &booking, "/seats/20151201"] {
        expect_unavailable(&server.get(path));
    }
    for path in ["/todo/lists", "/todo/lists/meera", "/todo/lists/meera/garden", &list] {
        expect_unavailable(&server.get(path));
    }
    expect_unavailable(&server.put(&booking, None));
    expect_unavailable(&server.put(&list, Some(&json!(["a"]))));
    expect_unavailable(&server.delete(&booking));
    expect_unavailable(&server.delete(&list));
    for path in OTHERS {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    // They ask a service that does.
    for path in ["/users/pam_beesly/bookings", "/todo/users/meera/lists"] {
        let reply = server.get(path);
        assert_eq!((reply.status, reply.header("retry-after")), (503, "1"), "{reply:?}");
    }
}

#[test]
fn a_state_directory_that_is_a_file_is_503_and_harms_no_other_service() {
    let state = tempfile::NamedTempFile::new().expect("a file");
    let server = Server::start(command(&application(), state.path()));
    check_without_database(&server);
    let path = state.path().to_str().unwrap();
    server.process.wait_for_line(&[
        "bookings",
        "can't create the folder",
        path,
        "let this process make",
    ]);
    server.process.wait_for_line(&["todo-lists", "can't create the folder", path]);
}

#[test]
fn a_database_full_of_noise_is_503_and_is_left_as_it_is() {
    let mut random = Random::from_seed();
    let noise: Vec<_> = (0..8192).flat_map(|_| random.next().to_le_bytes()).collect();
    let state = tempfile::tempdir().expect("a folder");
    std::fs::write(database(state.path()), &noise).expect("written");
    let server = Server::start(command(&application(), state.path()));
    check_without_database(&server);
    server.process.wait_for_line(&["bookings", "file is not a database", "move the file away"]);
    server.process.wait_for_line(&["todo-lists", "file is not a database", "move the file away"]);
    drop(server);
    assert!(std::fs::read(database(state.path())).expect("a file") == noise, "it was changed");
}

/// Items that take about 60 KiB, and say which list it is.
fn large(number: usize) -> Value {
    json!(vec![format!("{number} {}", "x".repeat(990)); 60])
}

/// Writes lists until the server refuses one, and gives its answer.
fn fill(server: &Server, written: &mut usize) -> Reply {
    // Far more than fit; a user can have 100.
    for _ in 0..40 {
        let reply = server.put(&list(*written), Some(&large(*written)));
        if reply.status != 201 {
            return reply;
        }
        *written += 1;
    }
    panic!("the server writes more than fits");
}

/// Checks that exactly the first `count` lists are there, with what was written.
fn check_written(server: &Server, count: usize) {
    let expected = (0..count).map(|number| (number.to_string(), large(number)));
    let expected = Value::Object(expected.collect());
    assert!(server.get_json("/todo/lists/luckas") == expected, "other lists than were written");
    assert_eq!(server.get_json(&list(0)), large(0));
}

#[test]
fn a_full_disk_is_503_and_loses_nothing() {
    let state = tempfile::tempdir().expect("a folder");
    // So that both tables are there, and what the host caches of its components.
    let server = Server::start(command(&application(), state.path()));
    server.get_json("/bookings");
    server.get_json("/todo/lists");
    drop(server);
    let server = Server::start(limited(600, &application(), state.path()));
    let mut written = 0;
    loop {
        let before = written;
        expect_unavailable(&fill(&server, &mut written));
        check_written(&server, written);
        assert_eq!(server.get_json("/bookings"), data("cinema/bookings.json"));
        for path in OTHERS.into_iter().chain(["/users/pam_beesly/bookings", "/seats/20151201"]) {
            assert_eq!(server.get(path).status, 200, "{path}");
        }
        if written == before {
            break;
        }
        // Idle instances end and close their connections. The last one moves what was
        // written from the log to the database. So there is room for more, until that
        // is as large as it can be, too.
        let size = || std::fs::metadata(database(state.path())).expect("a database").len();
        let (start, full) = (Instant::now(), size());
        while size() == full && start.elapsed() < Duration::from_secs(3) {
            sleep(Duration::from_millis(50));
        }
    }
    server.process.wait_for_line(&[
        "todo-lists",
        "PUT",
        "the database: disk I/O error",
        "its disk",
    ]);
    assert!(written > 2, "only {written} lists");
    drop(server);
    let server = Server::start(command(&application(), state.path()));
    check_written(&server, written);
    assert_eq!(server.put(&list(written), Some(&large(written))).status, 201);
    assert_eq!(server.put(&booking(), None).status, 201);
    drop(server);
    check_integrity(state.path());
}

/// Sends a write, and gives its answer and how long it took.
fn timed(write: impl FnOnce() -> Reply) -> (Reply, Duration) {
    let start = Instant::now();
    (write(), start.elapsed())
}

/// Checks that the server has answered after it had waited for a lock, once.
#[track_caller]
fn expect_waited((reply, taken): (Reply, Duration)) {
    expect_unavailable(&reply);
    assert!((LOCK_WAIT..Duration::from_secs(15)).contains(&taken), "{taken:?}");
}

/// Takes the lock with which one connection at a time writes.
pub fn lock(state: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(database(state)).expect("a database");
    connection.busy_timeout(Duration::from_secs(10)).expect("a time-out");
    connection.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    connection
}

#[test]
fn while_the_database_is_locked_reads_are_answered_and_writes_are_503_after_five_seconds() {
    let state = tempfile::tempdir().expect("a folder");
    let server = Server::start(command(&application(), state.path()));
    // So that the tables are there.
    let bookings = server.get_json("/bookings");
    server.get_json("/todo/lists");
    let lock = lock(state.path());

    scope(|scope| {
        let server = &server;
        let writers: Vec<_> = (0..40)
            .map(|number| {
                scope.spawn(move || {
                    timed(|| match number % 4 {
                        0 => server.put(&booking(), None),
                        1 => server.delete(&format!("/bookings/chris_rivers/{DATE}/{MOVIE}")),
                        2 => server.delete("/todo/lists/aniket/school"),
                        _ => server.put(&list(number), Some(&json!(["a"]))),
                    })
                })
            })
            .collect();
        // While the writers wait.
        for _ in 0..8 {
            for path in ["/bookings", "/todo/lists/meera", "/seats/20151201", "/movies"] {
                let (reply, taken) = timed(|| server.get(path));
                assert_eq!(reply.status, 200, "{path}: {reply:?}");
                assert!(taken < Duration::from_secs(2), "{path} took {taken:?}");
            }
            sleep(Duration::from_millis(500));
        }
        for writer in writers {
            expect_waited(writer.join().expect("an answer"));
        }
    });
    server.process.wait_for_line(&["bookings", "database is locked", "the process that keeps"]);
    server.process.wait_for_line(&["todo-lists", "database is locked", "the process that keeps"]);
    assert_eq!(server.get_json("/bookings"), bookings);

    drop(lock);
    assert_eq!(server.put(&list("one"), Some(&json!(["a"]))).status, 201);
    assert_eq!(server.put(&booking(), None).status, 201);
}

#[test]
fn a_write_that_has_begun_is_waited_for_beyond_the_deadline() {
    let state = tempfile::tempdir().expect("a folder");
    let mut command = command(&application(), state.path());
    command.args(["--variable", "sibling_deadline_ms=1000"]);
    let server = Server::start(command);
    server.get_json("/bookings");
    let lock = lock(state.path());
    scope(|scope| {
        let writer = scope.spawn(|| timed(|| server.put(&booking(), None)));
        sleep(Duration::from_millis(2000));
        drop(lock);
        let (reply, taken) = writer.join().expect("an answer");
        assert_eq!(reply.status, 201, "{reply:?}");
        assert!(taken > Duration::from_millis(1500), "{taken:?}");
    });
}
