//! The database: what a component keeps in it, and what its statements give.

use std::fs;
use std::path::{Path, PathBuf};

use host::{App, Loader};
use http::{Method, StatusCode};
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::{Value, json};
use support::{Reply, folder, request, send, state_dir};

use crate::{ask, guest, loader, path};

/// What became of a statement that the guest executed.
#[derive(Debug, Deserialize)]
pub struct Outcome {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Value>>,
    pub error: Option<String>,
    pub seconds: f64,
    pub changes: u64,
    pub last_insert_rowid: i64,
}

pub fn outcomes(reply: &Reply) -> Vec<Outcome> {
    assert_eq!(reply.status, StatusCode::OK);
    serde_json::from_str(&reply.body).expect("outcomes")
}

/// A script for the guest: `statements`, one after the other, on one connection.
pub fn script(statements: &[&str]) -> String {
    let steps = statements.iter().map(|statement| json!([[0, statement, []]]));
    Value::from_iter(steps).to_string()
}

pub fn get(app: &App, action: &str, argument: &str) -> Reply {
    send(app, request(Method::GET, &path(action, argument)))
}

/// What becomes of `statements` on a new connection of `app`.
pub fn execute(app: &App, statements: &[&str]) -> Vec<Outcome> {
    outcomes(&get(app, "execute", &script(statements)))
}

/// The rows of the last of `statements`, all of which succeed.
pub fn rows(app: &App, statements: &[&str]) -> Value {
    let mut outcomes = execute(app, statements);
    for outcome in &outcomes {
        assert_eq!(outcome.error, None, "{outcomes:?}");
    }
    outcomes.pop().expect("a statement").rows.into()
}

/// An application with a new state directory, and that.
pub fn app() -> (App, PathBuf) {
    let state = state_dir();
    (loader().state_dir(&state).load().expect("an application"), state)
}

pub fn file(state: &Path) -> PathBuf {
    state.join("sqlite_db.db")
}

/// The same database, as another process sees it.
pub fn other(state: &Path) -> Connection {
    assert!(file(state).exists());
    Connection::open(file(state)).expect("a database")
}

/// The folder of an application whose only component is the binary at `source`.
pub fn application(source: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let manifest = format!(
        r#"spin_manifest_version = 2
application.name = "kept"
trigger.http = [{{ route = "/...", component = "guest" }}]
component.guest = {{ source = {source:?}, sqlite_databases = ["default"] }}
"#
    );
    fs::write(folder.path().join("spin.toml"), manifest).expect("written");
    folder
}

/// The binary of the guest, once it is built.
fn binary() -> PathBuf {
    guest();
    let target = folder("target").canonicalize().expect("a folder");
    target.join("wasm32-wasip2/release/guest.wasm")
}

#[test]
fn what_a_component_writes_is_kept_in_the_state_directory() {
    let (app, state) = app();
    assert!(!state.exists(), "the folder was made before it was needed");
    rows(&app, &["CREATE TABLE kept (value)", "INSERT INTO kept VALUES ('written')"]);
    drop(app);
    let app = loader().state_dir(&state).load().expect("an application");
    assert_eq!(rows(&app, &["SELECT value FROM kept"]), json!([["written"]]));
}

#[test]
fn without_a_given_state_directory_it_is_kept_beside_the_manifest() {
    let application = application(&binary());
    let load = || Loader::new(application.path()).load().expect("an application");
    rows(&load(), &["CREATE TABLE kept (value)", "INSERT INTO kept VALUES ('written')"]);
    assert!(file(&application.path().join(".spin")).exists());
    assert_eq!(rows(&load(), &["SELECT value FROM kept"]), json!([["written"]]));
}

#[test]
fn with_an_empty_state_directory_each_connection_has_a_database_of_its_own() {
    let application = application(&binary());
    let loader = Loader::new(application.path()).state_dir("");
    let app = loader.load().expect("an application");
    let script = json!([
        [[0, "CREATE TABLE kept (value)", []]],
        [[0, "SELECT * FROM kept", []]],
        [[1, "SELECT * FROM kept", []]],
    ]);
    let outcomes = outcomes(&get(&app, "execute", &script.to_string()));
    assert_eq!(outcomes[1].error, None);
    assert_error(&outcomes[2], "no such table: kept");
    let entries = fs::read_dir(application.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(entries.collect::<Vec<_>>(), ["spin.toml"]);
}

#[test]
fn the_command_takes_an_empty_state_directory() {
    // It gets as far as the manifest.
    let output = support::process::host()
        .args(["--no-build", "--state-dir", "", "--from", "no/such/folder"])
        .output()
        .expect("the host runs");
    let errors = String::from_utf8(output.stderr).expect("text");
    assert!(errors.contains("no/such/folder"), "{errors}");
}

#[test]
fn a_component_without_a_database_is_denied_it_and_makes_no_file() {
    let (app, state) = app();
    let url = "http://hidden.spin.internal/?do=open&with=default";
    assert_eq!(get(&app, "call", url).body, "200 Err(Error::AccessDenied)");
    assert!(!state.exists());
    assert_eq!(get(&app, "open", "default").body, "Ok(())");
    assert!(file(&state).exists());
}

#[test]
fn a_database_that_the_manifest_does_not_name_is_denied() {
    assert_eq!(ask("open", "other").body, "Err(Error::AccessDenied)");
    assert_eq!(ask("open", "").body, "Err(Error::AccessDenied)");
    assert_eq!(ask("open", "default").body, "Ok(())");
}

#[test]
fn another_process_reads_what_a_component_wrote_and_the_other_way_round() {
    let (app, state) = app();
    let written = "INSERT INTO kept VALUES (7, 'naïve', x'00ff')";
    rows(&app, &["CREATE TABLE kept (id INTEGER PRIMARY KEY, name TEXT, data BLOB)", written]);
    let other = other(&state);
    let row = other.query_one("SELECT id, name, data FROM kept", [], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    });
    assert_eq!(row, Ok((7, "naïve".to_owned(), vec![0, 255])));
    other.execute("UPDATE kept SET name = 'other'", []).expect("an update");
    assert_eq!(rows(&app, &["SELECT name FROM kept"]), json!([["other"]]));
}

#[test]
fn an_application_that_runs_twice_sees_what_the_other_one_commits() {
    let (first, state) = app();
    let second = loader().state_dir(&state).load().expect("an application");
    rows(&first, &["CREATE TABLE kept (value)", "INSERT INTO kept VALUES (1)"]);
    let read = "SELECT value FROM kept ORDER BY value";
    assert_eq!(rows(&second, &["INSERT INTO kept VALUES (2)", read]), json!([[1], [2]]));
    assert_eq!(rows(&first, &[read]), json!([[1], [2]]));
}

#[test]
fn a_value_of_each_type_comes_back_as_it_was() {
    for (value, kind) in [
        (json!(i64::MIN), "integer"),
        (json!(i64::MAX), "integer"),
        (json!(1), "integer"),
        (json!(1.0), "real"),
        (json!(-0.1), "real"),
        (json!(1e300), "real"),
        (json!(""), "text"),
        (json!("naïve 🎬"), "text"),
        (json!("before\0after"), "text"),
        (json!([]), "blob"),
        (json!([0, 127, 128, 255]), "blob"),
        (json!(null), "null"),
    ] {
        let script = json!([
            [[0, "CREATE TEMP TABLE kept (value)", []]],
            [[0, "INSERT INTO kept VALUES (?)", [value]]],
            [[0, "SELECT value, typeof(value) AS kind FROM kept", []]],
        ]);
        let outcomes = outcomes(&ask("execute", &script.to_string()));
        assert_eq!(outcomes[2].columns, ["value", "kind"], "{outcomes:?}");
        assert_eq!(outcomes[2].rows, [[value, json!(kind)]], "{outcomes:?}");
    }
}

#[test]
fn text_that_is_not_utf_8_comes_with_replacement_characters() {
    let (app, _) = app();
    assert_eq!(rows(&app, &["SELECT CAST(x'61ff62' AS TEXT)"]), json!([["a\u{fffd}b"]]));
}

#[test]
fn a_component_is_told_what_its_last_change_was() {
    let outcomes = outcomes(&ask(
        "execute",
        &script(&[
            "CREATE TEMP TABLE kept (id INTEGER PRIMARY KEY, name TEXT)",
            "INSERT INTO kept VALUES (7, 'a'), (9, 'b') RETURNING id",
            "UPDATE kept SET name = 'c' WHERE id = 7",
        ]),
    ));
    let last = |outcome: &Outcome| (outcome.changes, outcome.last_insert_rowid);
    assert_eq!(outcomes.iter().map(last).collect::<Vec<_>>(), [(0, 0), (2, 9), (1, 9)]);
    assert_eq!(outcomes[1].rows, [[7], [9]]);
}

#[test]
fn a_statement_that_fails_is_an_error_in_its_result_and_the_connection_works_on() {
    for (wrong, words) in [
        ("SELEC 1", "near \\\"SELEC\\\": syntax error"),
        ("SELECT * FROM gone", "no such table: gone"),
        ("INSERT INTO kept VALUES (1, 'b')", "UNIQUE constraint failed: kept.id"),
        ("INSERT INTO kept VALUES (2, NULL)", "NOT NULL constraint failed: kept.name"),
        ("SELECT ?", "Wrong number of parameters"),
        ("SELECT abs(-9223372036854775808)", "integer overflow"),
    ] {
        let create = "CREATE TEMP TABLE kept (id INTEGER PRIMARY KEY, name TEXT NOT NULL)";
        let insert = "INSERT INTO kept VALUES (1, 'a')";
        let read = "SELECT * FROM kept";
        // The guest fails if `execute` itself does.
        let outcomes = outcomes(&ask("execute", &script(&[create, insert, wrong, read])));
        assert_error(&outcomes[2], words);
        assert_eq!(outcomes[3].error, None);
        assert_eq!(outcomes[3].rows, [[json!(1), json!("a")]]);
    }
}

pub fn assert_error(outcome: &Outcome, words: &str) {
    let error = outcome.error.as_deref().unwrap_or_default();
    assert!(error.starts_with("Error::Io(") && error.contains(words), "{words}: {outcome:?}");
}

#[test]
fn several_statements_in_one_are_an_error_and_none_is_executed() {
    let (app, _) = app();
    let several = "INSERT INTO kept VALUES (1); INSERT INTO kept VALUES (2)";
    let ended = "INSERT INTO kept VALUES (3); -- the end";
    let statements = ["CREATE TABLE kept (value)", several, ended, "SELECT value FROM kept"];
    let outcomes = execute(&app, &statements);
    assert_error(&outcomes[1], "Multiple statements");
    assert_eq!(outcomes[2].error, None);
    assert_eq!(outcomes[3].rows, [[3]]);
}

#[test]
fn what_a_connection_has_not_committed_when_it_is_closed_is_gone() {
    let (app, _) = app();
    rows(&app, &["CREATE TABLE kept (value)"]);
    rows(&app, &["BEGIN", "INSERT INTO kept VALUES (1)"]);
    assert_eq!(rows(&app, &["SELECT value FROM kept"]), json!([]));
    rows(&app, &["BEGIN", "INSERT INTO kept VALUES (2)", "COMMIT"]);
    assert_eq!(rows(&app, &["SELECT value FROM kept"]), json!([[2]]));
}

/// A statement that gives `count` rows.
pub fn counting(count: u32) -> String {
    format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
         SELECT i, 'row ' || i FROM n"
    )
}

#[test]
fn ten_thousand_rows_arrive_in_their_order() {
    let outcomes = outcomes(&ask("execute", &script(&[&counting(10_000)])));
    let expected: Vec<_> =
        (1..=10_000).map(|i| vec![json!(i), json!(format!("row {i}"))]).collect();
    assert_eq!(outcomes[0].error, None);
    assert!(outcomes[0].rows == expected, "{} rows", outcomes[0].rows.len());
}

#[test]
fn rows_that_nobody_reads_keep_no_statement_of_their_connection_waiting() {
    let (app, _) = app();
    assert_eq!(get(&app, "unread", &counting(100)).body, "100 and 100");
}

#[test]
fn rows_of_more_than_128_mib_in_all_are_an_error_and_the_instance_lives_on() {
    let (app, _) = app();
    let blob = "SELECT zeroblob(50000000)";
    assert_eq!(get(&app, "count", "").body, "1");
    let two = [blob; 2].join(" UNION ALL ");
    assert_eq!(get(&app, "rows", &two).body, "2 rows, Ok(())");
    let three = [blob; 3].join(" UNION ALL ");
    assert_eq!(
        get(&app, "rows", &three).body,
        r#"2 rows, Err(Error::Io("the rows hold more than 134217728 bytes"))"#
    );
    assert_eq!(get(&app, "count", "").body, "2");
}

#[test]
fn a_statement_that_ran_before_the_table_got_a_column_has_it_afterwards() {
    let (app, _) = app();
    let select = "SELECT * FROM grown";
    let outcomes = execute(
        &app,
        &[
            "CREATE TABLE grown (a)",
            "INSERT INTO grown VALUES (1)",
            select,
            "ALTER TABLE grown ADD COLUMN b DEFAULT 2",
            select,
            "DELETE FROM grown",
            "ALTER TABLE grown ADD COLUMN c",
            select,
        ],
    );
    let last = outcomes.last().expect("an outcome");
    assert_eq!((&outcomes[2].columns, outcomes[2].rows.len()), (&vec!["a".to_owned()], 1));
    assert_eq!(
        (outcomes[4].columns.join(" "), &outcomes[4].rows[0]),
        ("a b".into(), &vec![json!(1), json!(2)])
    );
    assert_eq!((last.columns.join(" "), last.rows.len()), ("a b c".into(), 0));
}
