//! A connection to the database: its statements, and its end.

use std::ffi::c_int;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::hooks::AuthContext;
use rusqlite::limits::Limit;
use tokio::runtime::Handle;
use tokio::sync::Mutex as AsyncMutex;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use crate::bounds::memory::Memory;
use crate::bounds::shares::Slots;
use crate::imports::sqlite::authorizer::Authorizer;
use crate::imports::sqlite::statement::{Outcome, Statement, Turn};
use crate::imports::sqlite::values::Value;

/// How long a statement waits in all: for its turn on the connection, for its turn to
/// write, and for a lock that another process has on the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a value can be, in bytes.
const MAX_VALUE: c_int = 64 * 1024 * 1024;

/// After how many steps of SQLite's machine a statement looks whether it must end.
const STEPS: c_int = 100;

/// A connection, which is closed when this is dropped.
pub struct Connection {
    shared: Option<Shared>,
    /// Its statements end with it: with nobody left to wait for an endless one, the
    /// process would wait.
    _open: Arc<()>,
    _counted: Slots,
}

impl Connection {
    /// `connection` of an instance whose memory is `memory`. Its writes wait for their `turn`, if
    /// there is one. See [`Loader::like_libsql`](crate::Loader::like_libsql).
    ///
    /// # Errors
    /// What SQLite says.
    pub fn new(
        mut connection: rusqlite::Connection,
        turn: Option<Turn>,
        is_like_libsql: bool,
        memory: Memory,
        counted: Slots,
    ) -> Result<Self, String> {
        let (open, authorizer) = (Arc::new(()), Arc::<Authorizer>::default());
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE).map_err(text)?;
        let decides = authorizer.clone();
        let decide = move |context: AuthContext<'_>| decides.decide(&context);
        connection.authorizer(Some(decide)).map_err(text)?;
        let (is_open, ends) = (Arc::downgrade(&open), authorizer.clone());
        let must_end = move || is_open.strong_count() == 0 || ends.is_over();
        connection.progress_handler(STEPS, Some(must_end)).map_err(text)?;
        let connection = Arc::new(AsyncMutex::new(connection));
        let shared = Shared { connection, authorizer, turn, is_like_libsql, memory };
        Ok(Self { shared: Some(shared), _open: open, _counted: counted })
    }

    /// What its statements share.
    pub fn shared(&self) -> Option<Shared> {
        self.shared.clone()
    }
}

/// Closes the connection on a thread that may block: the last one to the database brings
/// the file up to date.
impl Drop for Connection {
    fn drop(&mut self) {
        let shared = self.shared.take();
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn_blocking(|| drop(shared));
        }
    }
}

/// What the statements of a connection share.
#[derive(Clone)]
pub struct Shared {
    connection: Arc<AsyncMutex<rusqlite::Connection>>,
    authorizer: Arc<Authorizer>,
    turn: Option<Turn>,
    is_like_libsql: bool,
    memory: Memory,
}

impl Shared {
    /// The rowid of the last row that was inserted.
    pub async fn last_insert_rowid(&self) -> i64 {
        self.connection.lock().await.last_insert_rowid()
    }

    /// How many rows the last statement has changed.
    pub async fn changes(&self) -> u64 {
        self.connection.lock().await.changes()
    }

    /// Runs a statement to its end: whoever reads its rows slowly does not keep the
    /// database busy.
    pub async fn execute(self, sql: String, parameters: Vec<Value>) -> Outcome {
        let Self { connection, authorizer, turn, is_like_libsql, memory } = self;
        let mut waiting = memory.keep();
        if !waiting.grow_to(sql.len() + parameters.iter().map(Value::size).sum::<usize>()) {
            return Outcome::failed("there is no memory left for the parameters");
        }
        let deadline = Instant::now() + BUSY_TIMEOUT;
        let statement = Statement { sql, parameters, deadline, authorizer, turn, memory };
        let connection = if is_like_libsql {
            // It refuses both.
            let Ok(connection) = connection.try_lock_owned() else {
                return Outcome::failed("SQLITE_INTERRUPT: interrupted");
            };
            if statement.is_pragma() && statement.sql.contains("journal_mode") {
                return Outcome::failed("SQL not allowed statement");
            }
            connection
        } else {
            let Ok(connection) = timeout_at(deadline, connection.lock_owned()).await else {
                return Outcome::locked();
            };
            if let Some(outcome) = statement.read_at_once(&connection) {
                return outcome;
            }
            connection
        };
        let outcome = spawn_blocking(move || statement.run(&connection)).await;
        outcome.unwrap_or_else(Outcome::failed)
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
