//! The SQLite database of an application: a file in its state directory, at the place
//! and in the format of Spin (`crates/sqlite-inproc` of Spin).

use std::ffi::c_int;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use rusqlite::hooks::AuthContext;
use rusqlite::limits::Limit;
use tokio::runtime::Handle;
use tokio::sync::Mutex as AsyncMutex;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use crate::authorizer::Authorizer;
use crate::memory::Memory;
use crate::shares::{Share, Slot, Total};
use crate::statement::{Outcome, Statement, Turn};
use crate::values::Value;

/// The name of the file in the state directory.
const FILE: &str = "sqlite_db.db";

/// How long a statement waits in all: for its turn on the connection, for its turn to
/// write, and for a lock that another process has on the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a value can be, in bytes.
const MAX_VALUE: c_int = 64 * 1024 * 1024;

/// After how many steps of SQLite's machine a statement looks whether it must end.
const STEPS: c_int = 100;

/// The database of an application.
pub struct Database {
    /// Where it is. Without a state directory, each connection has a database of its own
    /// in memory.
    state_dir: Option<PathBuf>,
    turn: Turn,
    connections: Arc<Total>,
    /// Whether it does what libSQL does.
    is_like_libsql: bool,
}

impl Database {
    /// The database in `state_dir`, or in memory, with at most `connections` at the same
    /// time. See [`Loader::like_libsql`](crate::Loader::like_libsql).
    pub fn new(state_dir: Option<PathBuf>, connections: usize, is_like_libsql: bool) -> Arc<Self> {
        let connections = Total::new(connections);
        Arc::new(Self { state_dir, turn: Turn::default(), connections, is_like_libsql })
    }

    /// The database as a component may use it.
    pub fn grant(self: &Arc<Self>) -> Grant {
        Grant { database: self.clone(), connections: self.connections.share() }
    }

    /// Opens a connection, whose statements fail once `open` is gone.
    fn connect(
        &self,
        open: Weak<()>,
        authorizer: Arc<Authorizer>,
    ) -> Result<rusqlite::Connection, String> {
        let connection = match &self.state_dir {
            Some(dir) => {
                create(dir).map_err(|error| {
                    format!("can't create the folder {}: {error}", dir.display())
                })?;
                rusqlite::Connection::open(dir.join(FILE))
            }
            None => rusqlite::Connection::open_in_memory(),
        };
        let mut connection = connection.map_err(text)?;
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE).map_err(text)?;
        let decides = authorizer.clone();
        let decide = move |context: AuthContext<'_>| decides.decide(&context);
        connection.authorizer(Some(decide)).map_err(text)?;
        let must_end = move || open.strong_count() == 0 || authorizer.is_over();
        connection.progress_handler(STEPS, Some(must_end)).map_err(text)?;
        Ok(connection)
    }
}

/// Creates the folder `dir`. SQLite makes sure that its files survive a power cut, but not
/// that their folder does.
fn create(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(dir)?;
    dir.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

/// A database, as one component may use it.
#[derive(Clone)]
pub struct Grant {
    database: Arc<Database>,
    connections: Arc<Share>,
}

impl Grant {
    /// Opens a connection of an instance whose memory is `memory`.
    ///
    /// # Errors
    /// If the component has too many, or the file can't be created or opened.
    pub async fn connect(self, memory: Memory) -> Result<Connection, String> {
        let counted = self.connections.take_slot().map_err(|_| "too many connections opened")?;
        let (open, authorizer) = (Arc::new(()), Arc::<Authorizer>::default());
        let connect = {
            let (database, open) = (self.database.clone(), Arc::downgrade(&open));
            let authorizer = authorizer.clone();
            move || database.connect(open, authorizer)
        };
        let connection = spawn_blocking(connect).await.map_err(text)??;
        let connection = Arc::new(AsyncMutex::new(connection));
        let shared = Shared { grant: self, connection, authorizer, memory };
        Ok(Connection { shared: Some(shared), _open: open, _counted: counted })
    }
}

/// A connection, which is closed when this is dropped.
pub struct Connection {
    shared: Option<Shared>,
    /// Its statements end with it: with nobody left to wait for an endless one, the
    /// process would wait.
    _open: Arc<()>,
    _counted: Slot,
}

impl Connection {
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
    grant: Grant,
    connection: Arc<AsyncMutex<rusqlite::Connection>>,
    authorizer: Arc<Authorizer>,
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
        let Self { grant, connection, authorizer, memory } = self;
        let Database { turn, state_dir, is_like_libsql, .. } = &*grant.database;
        let mut waiting = memory.keep();
        if !waiting.grow_to(sql.len() + parameters.iter().map(Value::size).sum::<usize>()) {
            return Outcome::failed("there is no memory left for the parameters");
        }
        let deadline = Instant::now() + BUSY_TIMEOUT;
        let turn = state_dir.is_some().then(|| turn.clone());
        let statement = Statement { sql, parameters, deadline, authorizer, turn, memory };
        let connection = if *is_like_libsql {
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
