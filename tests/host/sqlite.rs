//! The database: what a component keeps in it, and what else it reaches with it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use host::{App, Limits, Loader, Log};
use http::{Method, StatusCode};
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::{Value, json};
use support::{Reply, folder, request, send, serve, state_dir};

use crate::{ask, guest, loader, path};

/// What became of a statement that the guest executed.
#[derive(Debug, Deserialize)]
struct Outcome {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
    error: Option<String>,
    seconds: f64,
    changes: u64,
    last_insert_rowid: i64,
}

fn outcomes(reply: &Reply) -> Vec<Outcome> {
    assert_eq!(reply.status, StatusCode::OK);
    serde_json::from_str(&reply.body).expect("outcomes")
}

/// A script for the guest: `statements`, one after the other, on one connection.
fn script(statements: &[&str]) -> String {
    let steps = statements.iter().map(|statement| json!([[0, statement, []]]));
    Value::from_iter(steps).to_string()
}

fn get(app: &App, action: &str, argument: &str) -> Reply {
    send(app, request(Method::GET, &path(action, argument)))
}

/// What becomes of `statements` on a new connection of `app`.
fn execute(app: &App, statements: &[&str]) -> Vec<Outcome> {
    outcomes(&get(app, "execute", &script(statements)))
}

/// The rows of the last of `statements`, all of which succeed.
fn rows(app: &App, statements: &[&str]) -> Value {
    let mut outcomes = execute(app, statements);
    for outcome in &outcomes {
        assert_eq!(outcome.error, None, "{outcomes:?}");
    }
    outcomes.pop().expect("a statement").rows.into()
}

/// An application with a new state directory, and that.
fn app() -> (App, PathBuf) {
    let state = state_dir();
    (loader().state_dir(&state).load().expect("an application"), state)
}

fn file(state: &Path) -> PathBuf {
    state.join("sqlite_db.db")
}

/// The same database, as another process sees it.
fn other(state: &Path) -> Connection {
    assert!(file(state).exists());
    Connection::open(file(state)).expect("a database")
}

/// The folder of an application whose only component is the binary at `source`.
fn application(source: &Path) -> tempfile::TempDir {
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
    let load = || Loader::new(application.path()).log(Log::quiet()).load().expect("an application");
    rows(&load(), &["CREATE TABLE kept (value)", "INSERT INTO kept VALUES ('written')"]);
    assert!(file(&application.path().join(".spin")).exists());
    assert_eq!(rows(&load(), &["SELECT value FROM kept"]), json!([["written"]]));
}

#[test]
fn with_an_empty_state_directory_each_connection_has_a_database_of_its_own() {
    let application = application(&binary());
    let loader = Loader::new(application.path()).log(Log::quiet()).state_dir("");
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
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_host"))
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

fn assert_error(outcome: &Outcome, words: &str) {
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
fn counting(count: u32) -> String {
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

/// What becomes of `statements`, in each of which `{}` stands for a folder; and the
/// names of the files that they made in that folder.
fn execute_with_folder(
    statements: &[&str],
    ask: impl FnOnce(&str) -> Reply,
) -> (Vec<Outcome>, Vec<std::ffi::OsString>) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("text");
    let statements: Vec<_> = statements.iter().map(|text| text.replace("{}", path)).collect();
    let statements: Vec<_> = statements.iter().map(String::as_str).collect();
    let outcomes = outcomes(&ask(&script(&statements)));
    let files = fs::read_dir(folder.path()).expect("a folder");
    (outcomes, files.map(|entry| entry.expect("a file").file_name()).collect())
}

#[test]
fn a_component_reaches_no_file_but_its_database() {
    let (outcomes, files) = execute_with_folder(
        &[
            "ATTACH '{}/attached.db' AS other",
            "ATTACH 'file:{}/attached.db?mode=rwc' AS other",
            "VACUUM INTO '{}/copy.db'",
            "VACUUM INTO '{}' || '/copy.db'",
            "SELECT load_extension('{}/extension')",
        ],
        |script| ask("execute", script),
    );
    for outcome in &outcomes {
        assert_error(outcome, "authoriz");
    }
    assert!(files.is_empty(), "{files:?}");
}

#[test]
fn a_component_names_no_file_by_an_expression_and_changes_nothing_of_the_process() {
    let (app, _) = app();
    let (outcomes, files) = execute_with_folder(
        &[
            "ATTACH '{}' || '/attached.db' AS other",
            "ATTACH (SELECT '{}/attached.db') AS other",
            "ATTACH \"{}/attached.db\" AS other",
            "PRAGMA temp_store_directory = '{}'",
            "PRAGMA main.\"Temp_Store_Directory\"('{}')",
            "PRAGMA soft_heap_limit = 1",
            "PRAGMA hard_heap_limit = 1",
        ],
        |script| get(&app, "execute", script),
    );
    for outcome in &outcomes {
        assert_error(outcome, "authoriz");
    }
    assert!(files.is_empty(), "{files:?}");
    let attach = json!([[[0, "ATTACH ? AS other", ["/dev/null"]]]]);
    let outcomes = self::outcomes(&get(&app, "execute", &attach.to_string()));
    assert_error(&outcomes[0], "not authorized");
}

#[test]
fn a_database_in_memory_can_be_attached_and_the_database_be_vacuumed() {
    let outcomes = outcomes(&ask(
        "execute",
        &script(&[
            "ATTACH ':memory:' AS other",
            "CREATE TABLE other.kept (value)",
            "INSERT INTO other.kept VALUES (1)",
            "SELECT value FROM other.kept",
            "DETACH other",
            "VACUUM",
        ]),
    ));
    for outcome in &outcomes {
        assert_eq!(outcome.error, None, "{outcomes:?}");
    }
    assert_eq!(outcomes[3].rows, [[1]]);
}

#[test]
fn a_statement_waits_5_s_in_all_for_its_turn_and_a_lock_while_others_read() {
    let (app, state) = app();
    rows(&app, &["PRAGMA journal_mode = WAL", "CREATE TABLE kept (value)"]);
    rows(&app, &["INSERT INTO kept VALUES (1)"]);
    let other = other(&state);
    other.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let write = json!([0, "INSERT INTO kept VALUES (2)", []]);
    let read = json!([1, "SELECT value FROM kept", []]);
    let step = json!([[write, write, read]]);
    let outcomes = outcomes(&get(&app, "execute", &step.to_string()));
    for writer in &outcomes[..2] {
        assert_error(writer, "database is locked");
        assert!((4.9..9.0).contains(&writer.seconds), "{writer:?}");
    }
    let reader = &outcomes[2];
    assert_eq!((&reader.error, &reader.rows), (&None, &vec![vec![json!(1)]]));
    assert!(reader.seconds < 4.0, "{reader:?}");
    other.execute_batch("ROLLBACK").expect("no lock");
    let written = ["INSERT INTO kept VALUES (3)", "SELECT value FROM kept"];
    assert_eq!(rows(&app, &written), json!([[1], [3]]));
}

#[test]
fn a_statement_that_waits_for_a_lock_goes_on_when_there_is_none() {
    let (app, _) = app();
    rows(&app, &["CREATE TABLE kept (value)"]);
    // The statements of one connection wait for each other.
    let script = json!([
        [[0, "BEGIN IMMEDIATE", []]],
        [
            [0, counting(100_000), []],
            [0, "INSERT INTO kept VALUES (1)", []],
            [0, "COMMIT", []],
            [1, "INSERT INTO kept VALUES (2)", []],
        ],
        [[1, "SELECT value FROM kept", []]],
    ]);
    let outcomes = outcomes(&get(&app, "execute", &script.to_string()));
    for outcome in &outcomes {
        assert_eq!(outcome.error, None);
    }
    assert_eq!(outcomes.last().expect("the last one").rows, [[1], [2]]);
}

#[test]
fn an_instance_has_at_most_256_connections_at_the_same_time() {
    let (app, _) = app();
    let most = r#"256, Some(Error::Io("too many connections opened")), Ok(())"#;
    assert_eq!(get(&app, "connections", "").body, most);
    // Those are closed now, and those of another instance do not count.
    assert_eq!(get(&app, "connections", "").body, most);
}

#[test]
fn the_connections_of_an_instance_are_closed_when_it_ends() {
    let (app, state) = app();
    let script = script(&["PRAGMA journal_mode = WAL", "CREATE TABLE kept (value)"]);
    outcomes(&get(&app, "execute-and-keep", &script));
    // SQLite removes it when the last connection is closed.
    let log = state.join("sqlite_db.db-wal");
    assert!(log.exists(), "the connection is closed already");
    drop(app);
    let start = Instant::now();
    while log.exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "the connection is still open");
        std::thread::sleep(Duration::from_millis(10));
    }
    other(&state).execute("INSERT INTO kept VALUES (1)", []).expect("a table");
}

#[test]
fn a_statement_ends_with_its_instance() {
    let state = state_dir();
    let limits = Limits { grace: Duration::ZERO, ..Limits::default() };
    let app = loader().state_dir(&state).limits(limits).load().expect("an application");
    let mut served = serve(app);
    let endless = "WITH n(i) AS (SELECT 1 UNION ALL SELECT 2 FROM n) SELECT count(*) FROM n";
    let path = path("execute", &script(&["BEGIN IMMEDIATE", endless]));
    let mut client = served.connect();
    write!(client, "GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").expect("a server that reads");
    fs::create_dir_all(&state).expect("a folder");
    let other = Connection::open(file(&state)).expect("a database");
    other.busy_timeout(Duration::ZERO).expect("a time-out");
    let start = Instant::now();
    while other.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok() {
        assert!(start.elapsed() < Duration::from_secs(60), "the statement does not run");
        std::thread::yield_now();
    }
    let (stopped, has_stopped) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        served.stop();
        stopped.send(()).expect("a test");
    });
    has_stopped.recv_timeout(Duration::from_secs(60)).expect("a server that ends");
    other.execute_batch("BEGIN IMMEDIATE").expect("no lock");
}

#[test]
fn a_component_that_calls_a_blocking_function_or_an_older_interface_is_refused() {
    for interface in
        ["spin:sqlite/sqlite@3.1.0", "spin:sqlite/sqlite@3.0.0", "fermyon:spin/sqlite@2.0.0"]
    {
        let folder = tempfile::tempdir().expect("a folder");
        let source = folder.path().join("blocking.wasm");
        fs::write(&source, blocking(interface)).expect("written");
        let error = Loader::new(application(&source).path()).load().err().expect("an error");
        let error = format!("{error:#}");
        assert!(error.contains(&format!("`{interface}`")), "{interface}: {error}");
    }
}

/// A component that imports the blocking function `changes`, and nothing else:
///
/// ```text
/// (component
///   (import "<interface>" (instance
///     (export "connection" (type (sub resource)))
///     (export "[method]connection.changes"
///       (func (param "self" (borrow 0)) (result u64))))))
/// ```
fn blocking(interface: &str) -> Vec<u8> {
    fn prefixed(bytes: &[u8]) -> Vec<u8> {
        [&[bytes.len() as u8], bytes].concat()
    }
    let types: [&[u8]; _] = [
        b"\x01\x42\x04",
        &[b"\x04\0", &*prefixed(b"connection"), b"\x03\x01"].concat(),
        b"\x01\x68\0",
        &[b"\x01\x40\x01", &*prefixed(b"self"), b"\x01\0\x77"].concat(),
        &[b"\x04\0", &*prefixed(b"[method]connection.changes"), b"\x01\x02"].concat(),
    ];
    let imports: [&[u8]; _] = [b"\x01\0", &prefixed(interface.as_bytes()), b"\x05\0"];
    let component: [&[u8]; _] = [
        b"\0asm\x0d\0\x01\0\x07",
        &prefixed(&types.concat()),
        b"\x0a",
        &prefixed(&imports.concat()),
    ];
    component.concat()
}
