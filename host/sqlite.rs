//! The databases of components: `spin:sqlite@3.1.0`, as far as spin-sdk 7 imports
//! it.
//!
//! There is one database, with the label `default`: a file in the application's
//! state directory, at the place and in the format of Spin
//! (`crates/sqlite-inproc` of Spin).

use std::ffi::c_int;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use rusqlite::ffi::SQLITE_ATTACH;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Accessor, ComponentType, FutureReader, Lift, Linker, Lower, Resource, ResourceTable,
    ResourceType, StreamReader,
};

use crate::manifest::DATABASE;

/// The name of the file in the state directory.
const FILE: &str = "sqlite_db.db";

/// How long a statement waits in all: for its turn on the connection, for its turn to
/// write, and for a lock that another process has on the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The most connections that an instance can have open at the same time.
const MAX_CONNECTIONS: usize = 256;

/// The most that the rows of one statement can hold, in bytes. Spin buffers as much.
const MAX_ROWS: usize = 128 * 1024 * 1024;

/// The pragmas that change more than their own connection.
const PROCESS_PRAGMAS: [&str; 3] = ["hard_heap_limit", "soft_heap_limit", "temp_store_directory"];

/// After how many steps of SQLite's machine a statement looks whether its connection
/// is still open: in less than a millisecond.
const STEPS: c_int = 10_000;

/// The database of an application.
pub struct Database {
    /// Where it is. Without a state directory, each connection has a database of its own
    /// in memory.
    state_dir: Option<PathBuf>,
    /// The turn to write, first come, first served. SQLite has no queue: a connection
    /// that finds the file locked looks again after up to 100 ms.
    turn: Mutex<()>,
}

impl Database {
    /// The database in `state_dir`, or in memory.
    pub fn new(state_dir: Option<PathBuf>) -> Self {
        Self { state_dir, turn: Mutex::new(()) }
    }
}

/// What an instance has of its component's databases.
pub struct Databases {
    granted: Option<Arc<Database>>,
    connections: ResourceTable,
}

impl Databases {
    /// Access to the database that the component is granted, if any.
    pub fn new(granted: Option<Arc<Database>>) -> Self {
        let mut connections = ResourceTable::new();
        connections.set_max_capacity(MAX_CONNECTIONS);
        Self { granted, connections }
    }
}

/// `resource connection`. It is closed on a thread where that may take long: the
/// last one to the database brings the file up to date.
struct Connection {
    database: Arc<Database>,
    shared: Option<Shared>,
    /// Its statements end with it: with nobody left to wait for an endless one, the
    /// process would wait.
    _alive: Arc<()>,
}

type Shared = Arc<Mutex<rusqlite::Connection>>;

impl Drop for Connection {
    fn drop(&mut self) {
        let connection = self.shared.take();
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn_blocking(|| drop(connection));
        }
    }
}

/// `variant error`
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum Error {
    #[component(name = "no-such-database")]
    NoSuchDatabase,
    #[component(name = "access-denied")]
    AccessDenied,
    #[component(name = "invalid-connection")]
    InvalidConnection,
    #[component(name = "database-full")]
    DatabaseFull,
    #[component(name = "io")]
    Io(String),
}

/// `variant value`
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum Value {
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

/// `record row-result`
#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct Row {
    values: Vec<Value>,
}

/// What `execute-async` gives: the names of the columns, the rows, and whether all
/// of it succeeded.
type Executed = (Vec<String>, StreamReader<Row>, FutureReader<Result<(), Error>>);

/// Links the interface into `linker`. `databases` gets those of an instance from its
/// store.
pub fn add_to_linker<T: Send>(
    linker: &mut Linker<T>,
    databases: fn(&mut T) -> &mut Databases,
) -> wasmtime::Result<()> {
    let mut sqlite = linker.instance("spin:sqlite/sqlite@3.1.0")?;
    sqlite.resource(
        "connection",
        ResourceType::host::<Connection>(),
        move |mut store: StoreContextMut<'_, T>, index| {
            let connection = Resource::<Connection>::new_own(index);
            databases(store.data_mut()).connections.delete(connection)?;
            Ok(())
        },
    )?;
    sqlite.func_wrap_concurrent(
        "[static]connection.open-async",
        move |accessor, (label,): (String,)| {
            Box::pin(async move { Ok((open(accessor, databases, &label).await,)) })
        },
    )?;
    sqlite.func_wrap_concurrent(
        "[method]connection.execute-async",
        move |accessor, (connection, sql, parameters)| {
            let connection = get(accessor, databases, &connection);
            Box::pin(async move {
                let (database, connection) = connection?;
                let statement =
                    Statement { sql, parameters, deadline: Instant::now() + BUSY_TIMEOUT };
                Ok((execute(accessor, database, connection, statement).await?,))
            })
        },
    )?;
    sqlite.func_wrap_concurrent(
        "[method]connection.last-insert-rowid-async",
        move |accessor, (connection,)| {
            let connection = get(accessor, databases, &connection);
            Box::pin(async move { Ok((connection?.1.lock().await.last_insert_rowid(),)) })
        },
    )?;
    sqlite.func_wrap_concurrent(
        "[method]connection.changes-async",
        move |accessor, (connection,)| {
            let connection = get(accessor, databases, &connection);
            Box::pin(async move { Ok((connection?.1.lock().await.changes(),)) })
        },
    )
}

async fn open<T>(
    accessor: &Accessor<T>,
    databases: fn(&mut T) -> &mut Databases,
    label: &str,
) -> Result<Resource<Connection>, Error> {
    let granted = accessor.with(|mut store| databases(store.get()).granted.clone());
    // The manifest grants no other database, so no label is unknown here.
    let granted = granted.filter(|_| label == DATABASE);
    let database = granted.ok_or(Error::AccessDenied)?;
    let alive = Arc::new(());
    let (is_open, location) = (Arc::downgrade(&alive), database.clone());
    let opened = spawn_blocking(move || connect(location.state_dir.as_deref(), is_open)).await;
    let connection = opened.map_err(|error| Error::Io(error.to_string()))??;
    let shared = Some(Arc::new(Mutex::new(connection)));
    let connection = Connection { database, shared, _alive: alive };
    let pushed = accessor.with(|mut store| databases(store.get()).connections.push(connection));
    pushed.map_err(|_| Error::Io("too many connections opened".into()))
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

/// Opens a connection, whose statements fail once `open` is gone.
fn connect(state_dir: Option<&Path>, open: Weak<()>) -> Result<rusqlite::Connection, Error> {
    let connection = match state_dir {
        Some(dir) => {
            create(dir).map_err(|error| {
                Error::Io(format!("can't create the folder {}: {error}", dir.display()))
            })?;
            rusqlite::Connection::open(dir.join(FILE))
        }
        None => rusqlite::Connection::open_in_memory(),
    };
    let mut connection = connection.map_err(failed)?;
    // A component must not reach other files. `VACUUM INTO` attaches, too. An `ATTACH`
    // whose file name is an expression comes without it, which rusqlite calls unknown.
    let authorize = |context: AuthContext<'_>| match context.action {
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
    };
    connection.authorizer(Some(authorize)).map_err(failed)?;
    let is_closed = move || open.strong_count() == 0;
    connection.progress_handler(STEPS, Some(is_closed)).map_err(failed)?;
    Ok(connection)
}

fn get<T>(
    accessor: &Accessor<T>,
    databases: fn(&mut T) -> &mut Databases,
    connection: &Resource<Connection>,
) -> wasmtime::Result<(Arc<Database>, Shared)> {
    accessor.with(|mut store| {
        let connection = databases(store.get()).connections.get(connection)?;
        let shared = connection.shared.clone();
        let shared = shared.ok_or_else(|| wasmtime::Error::msg("the connection is closed"))?;
        Ok((connection.database.clone(), shared))
    })
}

/// A statement with its parameters.
struct Statement {
    sql: String,
    parameters: Vec<Value>,
    /// When it stops to wait.
    deadline: Instant,
}

/// Runs `statement` to its end, and only then passes its rows on: whoever reads them
/// slowly does not keep the database busy.
async fn execute<T>(
    accessor: &Accessor<T>,
    database: Arc<Database>,
    connection: Shared,
    statement: Statement,
) -> wasmtime::Result<Result<Executed, Error>> {
    let turn = timeout_at(statement.deadline, connection.lock_owned()).await;
    let (columns, rows, result) = match turn {
        Ok(connection) => {
            spawn_blocking(move || {
                let (mut columns, mut rows) = (Vec::new(), Vec::new());
                let result = statement.run(&database, &connection, &mut columns, &mut rows);
                (columns, rows, result)
            })
            .await?
        }
        Err(_) => (Vec::new(), Vec::new(), Err(locked())),
    };
    accessor.with(|mut store| {
        let rows = StreamReader::new(&mut store, rows)?;
        let result = FutureReader::new(&mut store, async { wasmtime::error::Ok(result) })?;
        Ok(Ok((columns, rows, result)))
    })
}

impl Statement {
    fn run(
        &self,
        database: &Database,
        connection: &rusqlite::Connection,
        columns: &mut Vec<String>,
        rows: &mut Vec<Row>,
    ) -> Result<(), Error> {
        connection.busy_timeout(self.remaining()).map_err(failed)?;
        let mut statement = connection.prepare_cached(&self.sql).map_err(failed)?;
        columns.extend(statement.column_names().map(str::to_owned));
        // A transaction has had its turn when it began. A pragma only counts as a write.
        let is_pragma =
            self.sql.trim_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case("pragma"));
        let _turn = if statement.readonly() || is_pragma || !connection.is_autocommit() {
            None
        } else {
            let turn = timeout_at(self.deadline, database.turn.lock());
            let turn = Handle::current().block_on(turn).map_err(|_| locked())?;
            connection.busy_timeout(self.remaining()).map_err(failed)?;
            Some(turn)
        };
        let mut found =
            statement.query(rusqlite::params_from_iter(&self.parameters)).map_err(failed)?;
        let mut size = 0;
        while let Some(row) = found.next().map_err(failed)? {
            let values = (0..columns.len()).map(|column| row.get_ref(column).map(Value::from));
            let row = Row { values: values.collect::<Result<_, _>>().map_err(failed)? };
            size += row.values.iter().map(Value::size).sum::<usize>();
            if size > MAX_ROWS {
                return Err(Error::Io(format!("the rows hold more than {MAX_ROWS} bytes")));
            }
            rows.push(row);
        }
        Ok(())
    }

    fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

fn locked() -> Error {
    Error::Io("database is locked".into())
}

fn failed(error: rusqlite::Error) -> Error {
    Error::Io(error.to_string())
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
