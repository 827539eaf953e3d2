//! Connections to the SQLite database that Spin provides: to a file, or to a libSQL
//! server.
//!
//! On a file, the requests of an instance share one connection for reads and one for
//! writes. Spin queues the statements of a connection. With more of them, writers would
//! poll the lock of the file, and take longer.
//!
//! On libSQL, a connection takes one statement at a time, and Spin does not queue them:
//! two at once are interrupted, and more of them stop the server for everybody. So each
//! statement has a connection to itself.

use std::sync::{Arc, Mutex, PoisonError};

use spin_sdk::sqlite::RowResult;
pub use spin_sdk::sqlite::Value;

use crate::problem::Problem;
use crate::wasi::Connection;

/// How many connections to a server are kept for later statements.
const MAX_IDLE: usize = 4;

/// What libSQL answers when it no longer knows the stream of a connection: after ten idle
/// seconds, or a new start of the server. It has not executed the statement.
const STREAM_CLOSED: [&str; 2] = ["STREAM_EXPIRED", "invalid baton"];

/// The connections of this instance to the database, for its reads or for its writes.
pub(crate) struct Connections {
    /// Whether it is a file, to which all statements share one connection.
    is_file: bool,
    /// One to a server is not here while it executes a statement.
    open: Mutex<Vec<Arc<Connection>>>,
}

/// A row that a statement returns.
pub struct Row(RowResult);

impl Connections {
    pub(crate) fn new(is_file: bool, first: Option<Connection>) -> Self {
        Self { is_file, open: Mutex::new(first.map(Arc::new).into_iter().collect()) }
    }

    /// Executes `statement`, a transaction of its own, and gives the rows that it returns.
    ///
    /// # Errors
    /// [`Problem::database_unavailable`] if that fails. Whether a write was executed is
    /// unknown then.
    pub(crate) async fn execute(
        &self,
        statement: &str,
        parameters: Vec<Value>,
    ) -> Result<Vec<Row>, Problem> {
        let open = || self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let most = if self.is_file { 1 } else { MAX_IDLE };
        loop {
            let kept = if self.is_file { open().last().cloned() } else { open().pop() };
            let was_kept = kept.is_some();
            let connection = match kept {
                Some(connection) => connection,
                None => Arc::new(connect().await?),
            };
            match connection.execute(statement, parameters.clone()).await {
                Ok(rows) => {
                    if open().len() < most {
                        open().push(connection);
                    }
                    return Ok(rows.into_iter().map(Row).collect());
                }
                Err(error) if was_kept && STREAM_CLOSED.iter().any(|text| error.contains(text)) => {
                    open().clear();
                }
                Err(error) => return Err(unavailable(error)),
            }
        }
    }
}

/// Executes `statement`, and gives the rows that it returns.
pub(crate) async fn execute(
    connection: &Connection,
    statement: &str,
    parameters: Vec<Value>,
) -> Result<Vec<Row>, Problem> {
    let rows = connection.execute(statement, parameters).await.map_err(unavailable)?;
    Ok(rows.into_iter().map(Row).collect())
}

async fn connect() -> Result<Connection, Problem> {
    let connection = Connection::open().await.map_err(unavailable)?;
    connection.ok_or_else(|| Problem::database_unavailable("the grant is gone"))
}

/// Asks for a write-ahead log, with which readers and a writer don't wait for each other,
/// and gives what the database has. Only a file has one: libSQL refuses the statement.
pub(crate) async fn journal_mode(connection: &Connection) -> Option<String> {
    match connection.execute("PRAGMA journal_mode = WAL", Vec::new()).await {
        Ok(rows) => rows.first()?.get::<&str>(0).map(str::to_owned),
        // Another connection to a new file has asked at the same moment. After any other
        // error, it might be a server, which statements must not share.
        Err(error) => error.contains("is locked").then(|| "wal".to_owned()),
    }
}

/// An error of the database, with what to do about it. Spin gives only a text.
pub(crate) fn unavailable(error: String) -> Problem {
    let advice = [
        ("is locked", "try again, or end the process that keeps its lock"),
        ("is full", "make room on its disk"),
        ("readonly", "let this process write to the file and its folder"),
        (
            "not a database",
            "stop, move the file away, and start: a new one begins with the data files",
        ),
        ("malformed", "stop, move the file away, and start: a new one begins with the data files"),
        ("open database", "let this process write to the file and its folder"),
        ("create the folder", "let this process make that folder"),
        // libSQL takes the lock from a transaction that lasts for more than five seconds.
        ("Transaction timed out", "end what else writes to it until its tables have changed"),
        ("to connect", "start the database server, or correct its address"),
        ("I/O error", "look for a full disk, a limit of its files, or what is wrong with its disk"),
    ];
    let advice = advice.iter().find(|(part, _)| error.contains(part));
    Problem::database_unavailable(match advice {
        Some((_, advice)) => format!("{error}: {advice}"),
        None => error,
    })
}

impl Row {
    /// The value in `column`, counted from 0.
    ///
    /// # Errors
    /// [`Problem::internal`] if there is none of that type.
    pub fn get<'a, T: TryFrom<&'a Value>>(&'a self, column: usize) -> Result<T, Problem> {
        let value = self.0.get(column);
        value.ok_or_else(|| Problem::internal(format!("a row has an unexpected column {column}")))
    }
}
