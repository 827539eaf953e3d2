//! The versions of the tables: databases of other versions of the application, and the
//! counters beside the bookings.

use std::path::Path;
use std::thread::scope;
use std::time::Duration;

use host::App;
use http::Method;
use proptest::prelude::*;
use rusqlite::Connection;
use serde_json::json;
use support::server::{Reply, Server, command};
use support::{application, data, loader, request, send};

use crate::{DATE, MOVIE, Random, check_integrity, count_rows, database, kills};

/// What the application wrote before its tables had versions.
const FIRST_VERSION: &str = include_str!("first_version.sql");

/// A state directory with the database that `script` makes.
fn state_with(script: &str) -> tempfile::TempDir {
    let state = tempfile::tempdir().expect("a folder");
    let connection = Connection::open(database(state.path())).expect("a database");
    connection.execute_batch(script).expect("a script");
    state
}

fn execute(state: &Path, script: &str) -> rusqlite::Result<()> {
    Connection::open(database(state)).expect("a database").execute_batch(script)
}

/// The names and versions of the tables in `state`.
fn versions(state: &Path) -> Vec<(String, u32)> {
    let connection = Connection::open(database(state)).expect("a database");
    let query = "SELECT table_name, version FROM schema_versions ORDER BY table_name";
    let mut statement = connection.prepare(query).expect("versions");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    rows.collect::<Result<_, _>>().expect("rows")
}

fn newest() -> Vec<(String, u32)> {
    vec![("bookings".to_owned(), 2), ("todo_lists".to_owned(), 2)]
}

/// Checks what a server shows of [`FIRST_VERSION`].
fn check_first_version(server: &Server) {
    let mut bookings = data("cinema/bookings.json");
    let bookings = bookings.as_object_mut().expect("users");
    bookings.remove("chris_rivers");
    bookings.insert("michael_scott".into(), json!({DATE: [MOVIE]}));
    bookings.insert("peter_curley".into(), json!({DATE: [MOVIE]}));
    assert_eq!(server.get_json("/bookings"), json!(bookings));
    let mut lists = data("todo/lists.json");
    lists["aniket"]["school"] = json!(["Buy milk"]);
    lists["luckas"] = json!({"a/b": ["Buy milk", "naïve \"quotes\""]});
    lists["meera"].as_object_mut().expect("lists").remove("garden");
    for (username, lists) in lists.as_object().expect("users") {
        assert_eq!(server.get_json(&format!("/todo/lists/{username}")), *lists);
    }
    assert_eq!(
        server.get_json(&format!("/seats/{DATE}"))[MOVIE],
        json!({"left": 95, "seats": 100})
    );
}

#[test]
fn a_database_of_the_first_version_is_taken_over_with_all_its_data() {
    let state = state_with(FIRST_VERSION);
    let server = Server::start(command(&application(), state.path()));
    check_first_version(&server);
    // The tag that clients of the earlier version know.
    let list = "/todo/lists/saurabh_badhwar/home";
    assert_eq!(server.get(list).header("etag"), "\"e7c03b82532414e5\"");
    let condition = "if-match: \"e7c03b82532414e5\"\r\n";
    let put = |address| Reply::expect(address, "PUT", list, condition, Some(&json!(["New"])));
    assert_eq!(put(&server.address).status, 200);
    assert_eq!(put(&server.address).status, 412);
    assert_eq!(server.delete(&format!("/bookings/peter_curley/{DATE}/{MOVIE}")).status, 204);
    drop(server);
    assert_eq!(versions(state.path()), newest());
    check_integrity(state.path());
}

#[test]
fn servers_that_start_together_take_a_database_over_once() {
    for _ in 0..3 {
        let state = state_with(FIRST_VERSION);
        let servers = [(); 3].map(|()| Server::start(command(&application(), state.path())));
        scope(|scope| {
            for server in &servers {
                for _ in 0..4 {
                    scope.spawn(|| check_first_version(server));
                }
            }
        });
        assert_eq!(versions(state.path()), newest());
        check_integrity(state.path());
    }
}

#[test]
fn a_server_that_is_killed_while_it_takes_a_database_over_leaves_all_of_it_or_nothing() {
    // Enough that it takes a while.
    let many = "
        WITH RECURSIVE numbers (number) AS
            (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 50000)
        INSERT INTO bookings (username, date, movie)
        SELECT 'user_' || number, '20160101', 'movie_' || (number % 7) FROM numbers;
    ";
    let mut random = Random::from_seed();
    for _ in 0..kills() {
        let state = state_with(&format!("{FIRST_VERSION}{many}"));
        let expected = count_rows(state.path(), "bookings");
        let server = Server::start(command(&application(), state.path()));
        let delay = Duration::from_micros(random.below(120_000) as u64);
        scope(|scope| {
            let address = server.address.clone();
            for path in ["/seats/20160101", "/todo/lists"] {
                let address = address.clone();
                scope.spawn(move || Reply::to(&address, "GET", path, "", None));
            }
            std::thread::sleep(delay);
            drop(server);
        });
        assert_eq!(count_rows(state.path(), "bookings"), expected, "killed after {delay:?}");
        let server = Server::start(command(&application(), state.path()));
        assert_eq!(server.get_json("/seats/20160101").as_object().expect("movies").len(), 7);
        assert_eq!(server.get_json("/todo/lists/aniket/school"), json!(["Buy milk"]));
        drop(server);
        assert_eq!(versions(state.path()), newest());
        check_integrity(state.path());
    }
}

#[test]
fn while_a_database_is_taken_over_others_wait_for_it_and_get_503_after_five_seconds() {
    let state = state_with(FIRST_VERSION);
    let server = Server::start(command(&application(), state.path()));
    let lock = crate::faults::lock(state.path());
    let reply = server.get("/bookings");
    assert_eq!((reply.status, reply.header("retry-after")), (503, "1"), "{reply:?}");
    server.process.wait_for_line(&["bookings", "database is locked"]);
    drop(lock);
    check_first_version(&server);
}

#[test]
fn a_table_of_a_newer_application_is_503_and_the_log_names_both_versions() {
    let state = tempfile::tempdir().expect("a folder");
    let server = Server::start(command(&application(), state.path()));
    server.get_json("/bookings");
    let lists = server.get_json("/todo/lists");
    drop(server);
    execute(state.path(), "UPDATE schema_versions SET version = 3 WHERE table_name = 'bookings'")
        .expect("a version");
    let server = Server::start(command(&application(), state.path()));
    let booking = format!("/bookings/michael_scott/{DATE}/{MOVIE}");
    for reply in [server.get("/bookings"), server.put(&booking, None), server.delete(&booking)] {
        assert_eq!((reply.status, reply.header("retry-after")), (503, "1"), "{reply:?}");
    }
    server.process.wait_for_line(&["the table `bookings` has version 3", "only version 2"]);
    assert_eq!(server.get_json("/todo/lists"), lists, "the other table");
}

/// The statements of the application before its tables had versions, as far as they
/// matter. `deploy/README.md` says what this means.
#[test]
fn the_application_before_versions_still_books_but_no_longer_has_lists() {
    let state = state_with(FIRST_VERSION);
    let server = Server::start(command(&application(), state.path()));
    check_first_version(&server);
    let book = "INSERT INTO bookings (username, date, movie) SELECT 'new', '20150101', 'movie'
        WHERE 1 AND (SELECT count(*) FROM bookings WHERE date = '20150101' AND movie = 'movie') < 9
        ON CONFLICT DO NOTHING RETURNING id";
    execute(state.path(), book).expect("a booking");
    execute(state.path(), book).expect("a repeated booking");
    assert_eq!(server.get_json("/seats/20150101"), json!({"movie": {"left": 99, "seats": 100}}));
    execute(state.path(), "DELETE FROM bookings WHERE username = 'new' RETURNING id")
        .expect("a cancellation");
    assert_eq!(server.get_json("/seats/20150101"), json!({}));
    // What it shows of all lists, and of those of a user.
    execute(state.path(), "SELECT DISTINCT name FROM todo_lists").expect("names");
    execute(state.path(), "SELECT name, items FROM todo_lists WHERE username = ''").expect("lists");
    for one_list in [
        "SELECT items, tag FROM todo_lists WHERE username = 'luckas'",
        "INSERT INTO todo_lists (username, name, items, tag) VALUES ('luckas', 'b', '[]', '')",
        "DELETE FROM todo_lists WHERE username = 'luckas' AND tag = '' RETURNING 1",
    ] {
        let error = execute(state.path(), one_list).expect_err("no column `tag`").to_string();
        assert!(
            error.contains("no such column: tag") || error.contains("no column named tag"),
            "{error}"
        );
    }
    drop(server);
    check_integrity(state.path());
}

/// What clients do to a few bookings.
#[derive(Clone, Debug)]
struct Write {
    method: Method,
    user: usize,
    date: usize,
    movie: usize,
    condition: Option<(&'static str, &'static str)>,
}

impl Write {
    fn send(&self, app: &App) -> u16 {
        let users = ["michael_scott", "peter_curley", "dwight_schrute"];
        let shows = [(DATE, MOVIE), ("20151202", MOVIE), (DATE, "no movie")];
        let (date, movie) = (shows[self.date].0, shows[self.movie].1.replace(' ', "%20"));
        let path = format!("/bookings/{}/{date}/{movie}", users[self.user]);
        let mut request = request(self.method.clone(), &path);
        if let Some((name, value)) = self.condition {
            request.headers_mut().insert(name, value.parse().expect("a value"));
        }
        send(app, request).status.as_u16()
    }
}

fn any_write() -> impl Strategy<Value = Write> {
    let methods = prop::sample::select(vec![Method::PUT, Method::PUT, Method::DELETE]);
    let conditions = prop::option::weighted(
        0.2,
        prop::sample::select(vec![("if-none-match", "*"), ("if-match", "\"other\"")]),
    );
    (methods, 0..3_usize, 0..3_usize, 0..3_usize, conditions).prop_map(
        |(method, user, date, movie, condition)| Write { method, user, date, movie, condition },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24, failure_persistence: None, ..ProptestConfig::default()
    })]

    /// From a new database whose data file has a booking twice, or from an old one.
    #[test]
    fn the_seats_that_are_booked_are_as_many_as_the_bookings(
        is_old in any::<bool>(),
        writes in prop::collection::vec(any_write(), 0..60),
    ) {
        let state = if is_old { state_with(FIRST_VERSION) } else { tempfile::tempdir().unwrap() };
        let folder = support::copy(&application());
        let file = folder.path().join("data/cinema/bookings.json");
        let twice = json!({"michael_scott": {DATE: [MOVIE, MOVIE]}, "pam_beesly": {DATE: [MOVIE]}});
        std::fs::write(file, twice.to_string()).expect("written");
        let app = loader(folder.path()).state_dir(state.path()).variable("seats", "2");
        let app = app.load().expect("an application");
        prop_assert_eq!(send(&app, request(Method::GET, "/bookings")).status, 200);
        for write in writes {
            let status = write.send(&app);
            prop_assert!(status < 500, "{write:?}: {status}");
        }
        drop(app);
        check_integrity(state.path());
    }
}
