//! A table in the SQLite database that Spin provides.
//!
//! A new database starts with the content of a data file. From then on, the database
//! is the truth, and the file is not read again.
//!
//! Each change is a single statement. The requests that an instance answers at the
//! same time share its connection, so a transaction of several statements would
//! contain statements of other requests.

use std::sync::OnceLock;

use spin_sdk::sqlite::RowResult;
pub use spin_sdk::sqlite::Value;

use crate::log;
use crate::problem::Problem;
use crate::wasi::Connection;

/// How often a refused write is tried again, because what refused it is gone: somebody
/// else was faster.
pub const ATTEMPTS: usize = 8;

/// Finds the table with a name.
const FIND: &str = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?";

/// A table of the database `default`. A `static` keeps its connections for as long as
/// the instance lives.
pub struct Table {
    name: &'static str,
    create: &'static str,
    fill: &'static str,
    first_rows: fn() -> Result<String, Problem>,
    /// `None` in it: there is no database.
    reader: OnceLock<Option<Connection>>,
    /// Another connection, so that readers don't wait for writers.
    writer: OnceLock<Connection>,
}

/// A row that a statement returns.
pub struct Row(RowResult);

impl Table {
    /// The table `name`. `create` makes it, and `fill` adds its first rows, which
    /// `first_rows` gives as one parameter, in JSON.
    pub const fn new(
        name: &'static str,
        create: &'static str,
        fill: &'static str,
        first_rows: fn() -> Result<String, Problem>,
    ) -> Self {
        Self { name, create, fill, first_rows, reader: OnceLock::new(), writer: OnceLock::new() }
    }

    /// Whether there is a database to write to. If not, the log says why, once for each
    /// instance. Opens what [`Table::write`] needs, so that it does not have to wait.
    ///
    /// # Errors
    /// Those of [`Table::read`].
    pub async fn is_writable(&'static self) -> Result<bool, Problem> {
        if self.reader().await?.is_none() {
            return Ok(false);
        }
        if self.writer.get().is_none() {
            let writer = open().await?;
            journal_mode(&writer).await;
            _ = self.writer.set(writer);
        }
        Ok(true)
    }

    /// The rows that `query` selects, or `None` if there is no database.
    ///
    /// # Errors
    /// - [`Problem::DatabaseUnavailable`] if the database can't be used.
    /// - [`Problem::Internal`] if it is new, and the data file is malformed.
    pub async fn read(
        &'static self,
        query: &str,
        parameters: impl IntoIterator<Item = Value>,
    ) -> Result<Option<Vec<Row>>, Problem> {
        let parameters = parameters.into_iter().collect();
        let Some(reader) = self.reader().await? else { return Ok(None) };
        let rows = reader.execute_alone(query, parameters).await.map_err(unavailable)?;
        Ok(Some(rows.into_iter().map(Row).collect()))
    }

    /// Executes `statement`, and gives the rows that it returns. They are committed.
    ///
    /// # Errors
    /// [`Problem::DatabaseUnavailable`] if that fails, or [`Table::is_writable`] has not
    /// opened the database.
    pub async fn write(
        &'static self,
        statement: &str,
        parameters: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<Row>, Problem> {
        let writer = self.writer.get();
        let writer = writer.ok_or_else(|| Problem::DatabaseUnavailable("it is not open".into()))?;
        let parameters = parameters.into_iter().collect();
        let rows = writer.execute_alone(statement, parameters).await.map_err(unavailable)?;
        Ok(rows.into_iter().map(Row).collect())
    }

    /// What to answer after [`ATTEMPTS`].
    pub fn contended(&self) -> Problem {
        Problem::DatabaseUnavailable(format!("`{}` changed too often meanwhile", self.name))
    }

    async fn reader(&'static self) -> Result<Option<&'static Connection>, Problem> {
        if let Some(reader) = self.reader.get() {
            return Ok(reader.as_ref());
        }
        // Requests that come before the first one has opened it open it, too: the SDK's
        // tasks, one for each request, can't wake each other.
        let opened = self.open_reader().await?;
        let is_first = self.reader.get().is_none();
        let (reader, reason) = match opened {
            Ok(reader) => (Some(reader), None),
            Err(reason) => (None, Some(reason)),
        };
        let reader = self.reader.get_or_init(|| reader);
        if let Some(reason) = reason.filter(|_| is_first) {
            log::warn(&format!("{reason}, so this instance serves the data file, read-only")).await;
        }
        Ok(reader.as_ref())
    }

    /// Opens a connection, and fills a new database. Gives the reason if there is no
    /// database.
    async fn open_reader(&self) -> Result<Result<Connection, &'static str>, Problem> {
        let Some(reader) = Connection::open().await.map_err(unavailable)? else {
            return Ok(Err("spin.toml does not grant the database `default`"));
        };
        if journal_mode(&reader).await.as_deref() == Some("memory") {
            return Ok(Err("the database is in memory, without a place to keep it"));
        }
        if execute(&reader, FIND, vec![self.name.into()]).await?.is_empty() {
            self.create().await?;
        }
        Ok(Ok(reader))
    }

    /// Creates the table with its first rows: once, and all of them or none, even if
    /// other instances try the same. A connection of its own carries the transaction;
    /// it rolls back what an error leaves when it is dropped.
    async fn create(&self) -> Result<(), Problem> {
        let first_rows = (self.first_rows)()?;
        let connection = open().await?;
        execute(&connection, "BEGIN IMMEDIATE", Vec::new()).await?;
        if execute(&connection, FIND, vec![self.name.into()]).await?.is_empty() {
            execute(&connection, self.create, Vec::new()).await?;
            execute(&connection, self.fill, vec![first_rows.into()]).await?;
        }
        execute(&connection, "COMMIT", Vec::new()).await?;
        Ok(())
    }
}

async fn open() -> Result<Connection, Problem> {
    let connection = Connection::open().await.map_err(unavailable)?;
    connection.ok_or_else(|| Problem::DatabaseUnavailable("the grant is gone".into()))
}

/// Asks for a write-ahead log, with which readers and a writer don't wait for each
/// other, and gives what the database has. It is no error if that fails: libSQL refuses
/// it, and of two connections that ask a new database at the same moment, one loses.
async fn journal_mode(connection: &Connection) -> Option<String> {
    let rows = execute(connection, "PRAGMA journal_mode = WAL", Vec::new()).await.ok()?;
    rows.first()?.get(0).map(str::to_owned).ok()
}

async fn execute(
    connection: &Connection,
    statement: &str,
    parameters: Vec<Value>,
) -> Result<Vec<Row>, Problem> {
    let rows = connection.execute(statement, parameters).await.map_err(unavailable)?;
    Ok(rows.into_iter().map(Row).collect())
}

/// An error of the database, with what to do about it. Spin gives only a text.
fn unavailable(error: String) -> Problem {
    let advice = [
        ("is locked", "try again, or end the process that keeps its lock"),
        ("is full", "make room on its disk"),
        ("readonly", "let this process write to the file and its folder"),
        ("not a database", "move the file away, and a new one starts with the data files"),
        ("malformed", "move the file away, and a new one starts with the data files"),
        ("open database", "let this process write to the file and its folder"),
        ("create the folder", "let this process make that folder"),
        ("I/O error", "look for a full disk, a limit of its files, or what is wrong with its disk"),
    ];
    let advice = advice.iter().find(|(part, _)| error.contains(part));
    Problem::DatabaseUnavailable(match advice {
        Some((_, advice)) => format!("{error}: {advice}"),
        None => error,
    })
}

impl Row {
    /// The value in `column`, counted from 0.
    ///
    /// # Errors
    /// [`Problem::Internal`] if there is none of that type.
    pub fn get<'a, T: TryFrom<&'a Value>>(&'a self, column: usize) -> Result<T, Problem> {
        let value = self.0.get(column);
        value.ok_or_else(|| Problem::Internal(format!("a row has an unexpected column {column}")))
    }
}
