//! The SQLite database of an application: a file in its state directory, at the place
//! and in the format of Spin (`crates/sqlite-inproc` of Spin).

use std::ffi::c_int;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use parking_lot::{Mutex as TurnMutex, MutexGuard};
use rusqlite::ffi::SQLITE_ATTACH;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, params_from_iter};
use tokio::runtime::Handle;
use tokio::sync::Mutex as AsyncMutex;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};
use wasmtime::component::{ComponentType, Lift, Lower};

/// The name of the file in the state directory.
const FILE: &str = "sqlite_db.db";

/// How long a statement waits in all: for its turn on the connection, for its turn to
/// write, and for a lock that another process has on the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The most that the rows of one statement can hold, in bytes. Spin buffers as much.
const MAX_ROWS: usize = 128 * 1024 * 1024;

/// How long a short read takes at most, and what its rows can hold, in bytes.
const MAX_SHORT_TIME: Duration = Duration::from_millis(1);
const MAX_SHORT_ROWS: usize = 1024 * 1024;

/// After how many steps of SQLite's machine a statement looks whether it must end.
const STEPS: c_int = 1_000;

/// The pragmas that change more than their own connection.
const PROCESS_PRAGMAS: [&str; 3] = ["hard_heap_limit", "soft_heap_limit", "temp_store_directory"];

/// The database of an application.
pub struct Database {
    /// Where it is. Without a state directory, each connection has a database of its own
    /// in memory.
    state_dir: Option<PathBuf>,
    /// The turn to write, first come, first served. SQLite has no queue: a connection
    /// that finds the file locked looks again after up to 100 ms.
    turn: TurnMutex<()>,
    /// Whether it does what libSQL does.
    is_like_libsql: bool,
}

/// A connection, which is closed when this is dropped.
pub struct Connection {
    shared: Option<Shared>,
    /// Its statements end with it: with nobody left to wait for an endless one, the
    /// process would wait.
    _open: Arc<()>,
}

/// What the statements of a connection share.
#[derive(Clone)]
pub struct Shared {
    database: Arc<Database>,
    connection: Arc<AsyncMutex<rusqlite::Connection>>,
    /// When the statement that runs must end.
    end: Arc<Mutex<Option<Instant>>>,
}

/// What becomes of a statement.
#[derive(Default)]
pub struct Outcome {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows until it ended or failed.
    pub rows: Vec<Row>,
    /// Why it failed.
    pub error: Option<String>,
}

/// `record row-result` of the interface `spin:sqlite`.
#[derive(ComponentType, Lift, Lower)]
#[component(record)]
pub struct Row {
    values: Vec<Value>,
}

/// `variant value` of the interface `spin:sqlite`.
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
pub enum Value {
    #[component(name = "integer")]
    Integer(i64),
    #[component(name = "real")]
    Real(f64),
    #[component(name = "text")]
    Text(String),
    #[component(name = "blob")]
    Blob(Vec<u8>),
    #[component(name = "null")]
    Null,
}

impl Database {
    /// The database in `state_dir`, or in memory. See
    /// [`Loader::like_libsql`](crate::Loader::like_libsql).
    pub fn new(state_dir: Option<PathBuf>, is_like_libsql: bool) -> Self {
        Self { state_dir, turn: TurnMutex::new(()), is_like_libsql }
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// If the file can't be created or opened.
    pub async fn connect(self: Arc<Self>) -> Result<Connection, String> {
        let (open, end) = (Arc::new(()), Arc::default());
        let (database, is_open, ends) = (self.clone(), Arc::downgrade(&open), Arc::clone(&end));
        let connect = move || database.connect_here(is_open, ends);
        let connection = spawn_blocking(connect).await.map_err(text)??;
        let connection = Arc::new(AsyncMutex::new(connection));
        let shared = Some(Shared { database: self, connection, end });
        Ok(Connection { shared, _open: open })
    }

    /// Opens a connection, whose statements fail once `open` is gone or `end` has come.
    fn connect_here(
        &self,
        open: Weak<()>,
        end: Arc<Mutex<Option<Instant>>>,
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
        connection.authorizer(Some(authorize)).map_err(text)?;
        let must_end = move || {
            let end = *end.lock().unwrap_or_else(PoisonError::into_inner);
            open.strong_count() == 0 || end.is_some_and(|end| Instant::now() > end)
        };
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

/// A component must not reach other files. `VACUUM INTO` attaches, too. An `ATTACH` whose
/// file name is an expression comes without it, which rusqlite calls unknown.
fn authorize(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Attach { filename: "" | ":memory:" } => Authorization::Allow,
        AuthAction::Attach { .. } | AuthAction::Unknown { code: SQLITE_ATTACH, .. } => {
            Authorization::Deny
        }
        // Those of all connections in this process.
        AuthAction::Pragma { pragma_name, pragma_value: Some(_) }
            if PROCESS_PRAGMAS.iter().any(|name| pragma_name.eq_ignore_ascii_case(name)) =>
        {
            Authorization::Deny
        }
        _ => Authorization::Allow,
    }
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
        let deadline = Instant::now() + BUSY_TIMEOUT;
        let statement = Statement { shared: self, sql, parameters, deadline };
        if statement.shared.database.is_like_libsql {
            return statement.run_as_libsql().await;
        }
        let turn = timeout_at(deadline, statement.shared.connection.clone().lock_owned()).await;
        let Ok(connection) = turn else { return Outcome::failed(LOCKED) };
        if let Some(outcome) = statement.read_at_once(&connection) {
            return outcome;
        }
        let outcome = spawn_blocking(move || statement.run(&connection)).await;
        outcome.unwrap_or_else(Outcome::failed)
    }
}

/// A statement with its parameters.
struct Statement {
    shared: Shared,
    sql: String,
    parameters: Vec<Value>,
    /// When it stops to wait.
    deadline: Instant,
}

/// What SQLite says of a lock.
const LOCKED: &str = "database is locked";

impl Statement {
    /// Runs a short read on this thread, because it would take longer to wake another one.
    /// `None` if it is no read, has to wait, is long, or fails: it has changed nothing, and
    /// can run again on a thread that may block.
    fn read_at_once(&self, connection: &rusqlite::Connection) -> Option<Outcome> {
        // In a transaction, a COMMIT counts as a read.
        if self.is_pragma() || !connection.is_autocommit() {
            return None;
        }
        connection.busy_timeout(Duration::ZERO).ok()?;
        let mut statement = connection.prepare_cached(&self.sql).ok()?;
        if !statement.readonly() {
            return None;
        }
        // A single step can take long only with a long value.
        let longest = connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_SHORT_ROWS as i32);
        let longest = longest.ok()?;
        self.must_end_at(Some(Instant::now() + MAX_SHORT_TIME));
        let outcome = self.query(&mut statement, MAX_SHORT_ROWS);
        self.must_end_at(None);
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, longest).ok()?;
        outcome.error.is_none().then_some(outcome)
    }

    /// Refuses what libSQL refuses, and runs anything else.
    async fn run_as_libsql(self) -> Outcome {
        let Ok(connection) = self.shared.connection.clone().try_lock_owned() else {
            return Outcome::failed("SQLITE_INTERRUPT: interrupted");
        };
        if self.is_pragma() && self.sql.contains("journal_mode") {
            return Outcome::failed("SQL not allowed statement");
        }
        let outcome = spawn_blocking(move || self.run(&connection)).await;
        outcome.unwrap_or_else(Outcome::failed)
    }

    /// Runs the statement, and waits for its turn to write if it must.
    fn run(&self, connection: &rusqlite::Connection) -> Outcome {
        self.try_run(connection).unwrap_or_else(Outcome::failed)
    }

    fn try_run(&self, connection: &rusqlite::Connection) -> Result<Outcome, String> {
        connection.busy_timeout(self.remaining()).map_err(text)?;
        let mut statement = connection.prepare_cached(&self.sql).map_err(text)?;
        // A transaction has had its turn when it began. A pragma only counts as a write.
        let turn = if statement.readonly() || self.is_pragma() || !connection.is_autocommit() {
            None
        } else {
            let turn = self.shared.database.turn.try_lock_until(self.deadline.into_std());
            let turn = turn.ok_or(LOCKED)?;
            connection.busy_timeout(self.remaining()).map_err(text)?;
            Some(turn)
        };
        let outcome = self.query(&mut statement, MAX_ROWS);
        // Hands it to the statement that has waited longest.
        if let Some(turn) = turn {
            MutexGuard::unlock_fair(turn);
        }
        Ok(outcome)
    }

    /// Runs `statement`, whose rows can hold `most` bytes.
    fn query(&self, statement: &mut CachedStatement<'_>, most: usize) -> Outcome {
        let mut outcome = Outcome::default();
        outcome.error = self.read_rows(statement, &mut outcome.rows, most).err();
        // After its first step, which compiles it anew if a table has changed since.
        outcome.columns = statement.column_names().map(str::to_owned).collect();
        outcome
    }

    fn read_rows(
        &self,
        statement: &mut CachedStatement<'_>,
        rows: &mut Vec<Row>,
        most: usize,
    ) -> Result<(), String> {
        let mut found = statement.query(params_from_iter(&self.parameters)).map_err(text)?;
        let mut size = 0;
        while let Some(row) = found.next().map_err(text)? {
            let columns = row.as_ref().column_count();
            let values = (0..columns).map(|column| row.get_ref(column).map(Value::from));
            let row = Row { values: values.collect::<Result<_, _>>().map_err(text)? };
            size += row.values.iter().map(Value::size).sum::<usize>();
            if size > most {
                return Err(format!("the rows hold more than {most} bytes"));
            }
            rows.push(row);
        }
        Ok(())
    }

    fn is_pragma(&self) -> bool {
        let word = self.sql.trim_start().get(..6);
        word.is_some_and(|word| word.eq_ignore_ascii_case("pragma"))
    }

    fn must_end_at(&self, end: Option<Instant>) {
        *self.shared.end.lock().unwrap_or_else(PoisonError::into_inner) = end;
    }

    fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

impl Outcome {
    fn failed(error: impl ToString) -> Self {
        Self { error: Some(text(error)), ..Self::default() }
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

impl Value {
    fn size(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Text(text) => text.len(),
                Self::Blob(bytes) => bytes.len(),
                Self::Integer(_) | Self::Real(_) | Self::Null => 0,
            }
    }
}

impl From<ValueRef<'_>> for Value {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Integer(integer) => Self::Integer(integer),
            ValueRef::Real(real) => Self::Real(real),
            ValueRef::Text(text) => Self::Text(String::from_utf8_lossy(text).into_owned()),
            ValueRef::Blob(bytes) => Self::Blob(bytes.to_vec()),
            ValueRef::Null => Self::Null,
        }
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Integer(integer) => ValueRef::Integer(*integer),
            Self::Real(real) => ValueRef::Real(*real),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
            Self::Null => ValueRef::Null,
        }))
    }
}
