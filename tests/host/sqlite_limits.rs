//! What a component can't do with the database: reach other files, wait for ever, or
//! outlive itself.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use host::{Limits, Loader};
use http::Method;
use rusqlite::Connection;
use serde_json::json;
use support::{Reply, Served, request, send_to, serve, state_dir};

use crate::sqlite::{
    Outcome, app, application, assert_error, counting, file, get, other, outcomes, rows, script,
};
use crate::{ask, loader, path};

/// A statement that never ends.
const ENDLESS: &str = "WITH n(i) AS (SELECT 1 UNION ALL SELECT 2 FROM n) SELECT count(*) FROM n";

/// A read of which a single step takes about `seconds`: it compares a text of zeros at each
/// place of a longer one up to its end, where it differs.
pub fn long_step(seconds: usize) -> String {
    let length = 100_000 * seconds;
    format!("SELECT instr(hex(zeroblob({length})), hex(zeroblob(50000)) || '1')")
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
            "PRAGMA locking_mode = EXCLUSIVE",
        ],
        |script| get(&app, "execute", script),
    );
    for outcome in &outcomes {
        assert_error(outcome, "authoriz");
    }
    assert!(files.is_empty(), "{files:?}");
    let attach = json!([[[0, "ATTACH ? AS other", ["/dev/null"]]]]);
    let outcomes = crate::sqlite::outcomes(&get(&app, "execute", &attach.to_string()));
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

/// An application on a port, whose database has a table `kept`.
fn served(journal: &str) -> (Served, PathBuf) {
    let state = state_dir();
    let limits = Limits { grace: Duration::ZERO, ..Limits::default() };
    let app = loader().state_dir(&state).limits(limits).load().expect("an application");
    rows(&app, &[&format!("PRAGMA journal_mode = {journal}"), "CREATE TABLE kept (value)"]);
    (serve(app), state)
}

/// Sends `script` to the guest, and does not wait for the response.
fn send_script(served: &Served, script: &str) -> TcpStream {
    let mut client = served.connect();
    let path = path("execute", script);
    write!(client, "GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").expect("a server that reads");
    client
}

/// Fails unless all threads of the server answer other requests.
fn expect_answers(served: &Served) {
    for _ in 0..4 * thread::available_parallelism().expect("a number").get() {
        let mut client = send_script(served, &script(&["SELECT 1"]));
        let mut start = [0; 12];
        client.read_exact(&mut start).expect("an answer in time");
        assert_eq!(&start, b"HTTP/1.1 200");
    }
}

/// Waits until a script has written to the table `kept`.
fn wait_for_row(state: &Path) {
    let other = other(state);
    let count = || other.query_row("SELECT count(*) FROM kept", [], |row| row.get::<_, u32>(0));
    let start = Instant::now();
    while count().expect("a count") == 0 {
        assert!(start.elapsed() < Duration::from_secs(60), "the script does not run");
        thread::yield_now();
    }
}

#[test]
fn requests_are_answered_while_a_statement_reads_for_long() {
    let (served, state) = served("WAL");
    let script = script(&["INSERT INTO kept VALUES (1)", ENDLESS]);
    let _client = send_script(&served, &script);
    wait_for_row(&state);
    expect_answers(&served);
}

#[test]
fn requests_are_answered_while_a_step_of_a_statement_takes_long() {
    let (served, _) = served("WAL");
    let threads = thread::available_parallelism().expect("a number").get();
    let statement = script(&[&long_step(8)]);
    let clients: Vec<_> = (0..2 * threads).map(|_| send_script(&served, &statement)).collect();
    expect_answers(&served);
    for mut client in clients {
        client.set_nonblocking(true).expect("a connection");
        let waits = client.read(&mut [0]).expect_err("the statement was not long");
        assert_eq!(waits.kind(), ErrorKind::WouldBlock);
    }
}

/// What becomes of `write`, which another instance executes while this one executes
/// `statement` without end.
fn write_beside(statement: &str) -> Outcome {
    let (served, state) = served("WAL");
    let begun = script(&["INSERT INTO kept VALUES (0)", statement]);
    let _client = send_script(&served, &begun);
    wait_for_row(&state);
    // So that the endless statement comes before.
    thread::sleep(Duration::from_millis(100));
    let write = path("execute", &script(&["INSERT INTO kept VALUES (1)"]));
    outcomes(&send_to(&served.address, request(Method::GET, &write))).remove(0)
}

#[test]
fn a_statement_that_writes_elsewhere_keeps_nobody_from_writing() {
    let outcome = write_beside(&format!("CREATE TEMPORARY TABLE long AS {ENDLESS}"));
    assert_eq!(outcome.error, None);
    assert!(outcome.seconds < 3.0, "{outcome:?}");
}

#[test]
fn an_endless_write_ends_before_others_give_up() {
    let outcome = write_beside(&format!("INSERT INTO kept {ENDLESS}"));
    assert_eq!(outcome.error, None);
    let (app, _) = app();
    rows(&app, &["CREATE TABLE kept (value)"]);
    let endless = format!("INSERT INTO kept {ENDLESS}");
    let ended = outcomes(&get(&app, "execute", &script(&[&endless]))).remove(0);
    assert_error(&ended, "the statement has run for 4s, the limit of one that writes");
}

#[test]
fn requests_are_answered_while_a_statement_waits_to_read() {
    let (served, state) = served("DELETE");
    let other = other(&state);
    other.execute_batch("BEGIN EXCLUSIVE").expect("the lock");
    // If they kept the threads waiting, each for 5 s, nobody else would be answered in time.
    let threads = thread::available_parallelism().expect("a number").get();
    let waiting = script(&["SELECT count(*) FROM kept"]);
    let clients: Vec<_> = (0..3 * threads).map(|_| send_script(&served, &waiting)).collect();
    expect_answers(&served);
    other.execute_batch("INSERT INTO kept VALUES (1); COMMIT").expect("written");
    for mut client in clients {
        let mut start = [0; 12];
        client.read_exact(&mut start).expect("an answer in time");
        assert_eq!(&start, b"HTTP/1.1 200");
    }
}

#[test]
fn a_long_value_is_read_whole() {
    let (app, _) = app();
    let sql = "SELECT length(hex(zeroblob(3000000))), hex(zeroblob(1000000))";
    let found = rows(&app, &[sql]);
    assert_eq!(found, json!([[6_000_000, "0".repeat(2_000_000)]]));
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
        thread::sleep(Duration::from_millis(10));
    }
    other(&state).execute("INSERT INTO kept VALUES (1)", []).expect("a table");
}

#[test]
fn a_statement_ends_with_its_instance() {
    let state = state_dir();
    let limits = Limits { grace: Duration::ZERO, ..Limits::default() };
    let app = loader().state_dir(&state).limits(limits).load().expect("an application");
    let mut served = serve(app);
    let _client = send_script(&served, &script(&["BEGIN IMMEDIATE", ENDLESS]));
    fs::create_dir_all(&state).expect("a folder");
    let other = Connection::open(file(&state)).expect("a database");
    other.busy_timeout(Duration::ZERO).expect("a time-out");
    let start = Instant::now();
    while other.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok() {
        assert!(start.elapsed() < Duration::from_secs(60), "the statement does not run");
        thread::yield_now();
    }
    let (stopped, has_stopped) = std::sync::mpsc::channel();
    thread::spawn(move || {
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
        fs::write(&source, importing(interface)).expect("written");
        let error = Loader::new(application(&source).path()).load().err().expect("an error");
        let error = format!("{error:#}");
        assert!(error.contains(&format!("`{interface}`")), "{interface}: {error}");
    }
}

/// A component that imports the blocking function `changes` from `interface`, and nothing
/// else:
///
/// ```text
/// (component
///   (import "<interface>" (instance
///     (export "connection" (type (sub resource)))
///     (export "[method]connection.changes"
///       (func (param "self" (borrow 0)) (result u64))))))
/// ```
pub fn importing(interface: &str) -> Vec<u8> {
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
