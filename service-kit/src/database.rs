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

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use spin_sdk::sqlite::{RowResult, Value};

use crate::wasi::Connection;

/// How many connections are kept for later statements.
const MAX_IDLE: usize = 4;

/// What libSQL says of a connection that was idle for ten seconds, and of one to a server
/// that has started again since. It has not executed the statement.
const FORGOTTEN: [&str; 2] = ["STREAM_EXPIRED", "invalid baton"];

/// The connections for the statements of an instance, each of which is a transaction of
/// its own. A `static` keeps them for as long as the instance lives.
pub(crate) struct Connections {
    /// The one that all requests share, if the database is a file.
    shared: OnceLock<Connection>,
    /// Those that no statement uses, if it is not.
    idle: Mutex<Vec<Connection>>,
}

impl Connections {
    pub(crate) const fn new() -> Self {
        Self { shared: OnceLock::new(), idle: Mutex::new(Vec::new()) }
    }

    /// Executes `statement`, and gives the rows that it returns.
    ///
    /// # Errors
    /// What the database says. Whether a write was executed is unknown then.
    pub(crate) async fn execute(
        &self,
        statement: &str,
        parameters: Vec<Value>,
    ) -> Result<Vec<RowResult>, String> {
        if let Some(shared) = self.shared.get() {
            return shared.execute(statement, parameters).await;
        }
        let idle = self.idle().pop();
        if let Some(connection) = idle {
            match self.execute_alone(connection, statement, parameters.clone()).await {
                Err(error) if FORGOTTEN.iter().any(|text| error.contains(text)) => {
                    self.idle().clear();
                }
                result => return result,
            }
        }
        let connection = Connection::open().await?.ok_or("the grant is gone")?;
        if journal_mode(&connection).await.is_none() {
            return self.execute_alone(connection, statement, parameters).await;
        }
        self.idle().clear();
        self.shared.get_or_init(|| connection).execute(statement, parameters).await
    }

    /// Keeps a connection that no statement uses: to share it, if it has a journal mode.
    pub(crate) fn keep(&self, connection: Connection, journal_mode: Option<&str>) {
        let mut idle = self.idle();
        if journal_mode.is_some() {
            _ = self.shared.set(connection);
            idle.clear();
        } else if self.shared.get().is_none() && idle.len() < MAX_IDLE {
            idle.push(connection);
        }
    }

    /// Executes `statement` on a connection that no other statement uses. It is kept if
    /// that succeeds, and else closed.
    async fn execute_alone(
        &self,
        connection: Connection,
        statement: &str,
        parameters: Vec<Value>,
    ) -> Result<Vec<RowResult>, String> {
        let rows = connection.execute(statement, parameters).await?;
        self.keep(connection, None);
        Ok(rows)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks for a write-ahead log, with which readers and a writer don't wait for each
/// other, and gives what the database has. libSQL refuses it. So does a new file if two
/// connections ask at the same moment: then only an answer means that it is a file.
pub(crate) async fn journal_mode(connection: &Connection) -> Option<String> {
    let rows = connection.execute("PRAGMA journal_mode = WAL", Vec::new()).await.ok()?;
    rows.first()?.get::<&str>(0).map(str::to_owned)
}
