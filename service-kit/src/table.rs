//! A table in the SQLite database that Spin provides.
//!
//! A new table starts with the content of a data file. From then on, the database
//! is the truth, and the file is not read again.
//!
//! Each change is a single statement. A transaction of several statements would keep
//! everybody else waiting for as many round trips. The exception happens once: the
//! schema of a table has a version, and is created and changed in one transaction.

use std::sync::OnceLock;

use crate::database::{Connections, execute, journal_mode, unavailable};
pub use crate::database::{Row, Value};
use crate::log;
use crate::problem::Problem;
use crate::wasi::Connection;

/// How often a write is tried that somebody else was faster to make.
pub const ATTEMPTS: usize = 20;

/// The version of each table of the database, which services that are deployed apart may
/// share.
const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS schema_versions (
    table_name TEXT PRIMARY KEY,
    version INTEGER NOT NULL
)";

/// The version of a table: 0 if there is no such table. Before there were versions, all
/// tables had the first one.
const VERSION: &str = "SELECT coalesce(
    (SELECT version FROM schema_versions WHERE table_name = ?1),
    (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1),
    0
)";

/// Notes the version of a table.
const SET_VERSION: &str = "INSERT INTO schema_versions (table_name, version) VALUES (?, ?)
    ON CONFLICT (table_name) DO UPDATE SET version = excluded.version";

/// The statements that bring a table to its next version.
pub type Migration = &'static [&'static str];

/// A table of the database `default`. A `static` keeps its connections for as long as
/// the instance lives.
pub struct Table {
    name: &'static str,
    migrations: &'static [Migration],
    seed: &'static str,
    seed_rows: fn() -> Result<String, Problem>,
    /// Where it has its last version; `None` if there is no database to write to.
    database: OnceLock<Option<Database>>,
}

/// The database `default`.
struct Database {
    reads: Connections,
    /// Others, so that reads don't wait for writes.
    writes: Connections,
}

impl Table {
    /// The table `name`. `migrations[n]` brings it from version `n` to `n + 1`; 0 means that
    /// there is none. To a new table, `seed` then adds the first rows, which `seed_rows` gives
    /// as one parameter, in JSON.
    pub const fn new(
        name: &'static str,
        migrations: &'static [Migration],
        seed: &'static str,
        seed_rows: fn() -> Result<String, Problem>,
    ) -> Self {
        Self { name, migrations, seed, seed_rows, database: OnceLock::new() }
    }

    /// Whether there is a database to write to.
    ///
    /// # Errors
    /// Those of [`Table::read`].
    pub async fn is_writable(&'static self) -> Result<bool, Problem> {
        Ok(self.database().await?.is_some())
    }

    /// The rows that `query` selects, or `None` if there is no database.
    ///
    /// # Errors
    /// - [`Problem::database_unavailable`] if the database can't be used, or a newer
    ///   application has changed this table.
    /// - [`Problem::internal`] if it is new, and the data file is malformed.
    pub async fn read(
        &'static self,
        query: &str,
        parameters: impl IntoIterator<Item = Value>,
    ) -> Result<Option<Vec<Row>>, Problem> {
        let parameters = parameters.into_iter().collect();
        let Some(database) = self.database().await? else { return Ok(None) };
        database.reads.execute(query, parameters).await.map(Some)
    }

    /// Executes `statement`, and gives the rows that it returns. They are committed.
    ///
    /// # Errors
    /// Those of [`Table::read`], and [`Problem::internal`] if there is no database: a
    /// `Route` calls this only where [`Table::is_writable`].
    pub async fn write(
        &'static self,
        statement: &str,
        parameters: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<Row>, Problem> {
        let parameters = parameters.into_iter().collect();
        let opened = self.database().await?;
        let database = opened.ok_or_else(|| Problem::internal("there is no database"))?;
        database.writes.execute(statement, parameters).await
    }

    /// What to answer after [`ATTEMPTS`].
    pub fn changed_too_often(&self) -> Problem {
        Problem::database_unavailable(format!("`{}` changed too often meanwhile", self.name))
    }

    /// The database, which is opened when it is first needed. If there is none, the log
    /// says why, once for each instance.
    async fn database(&'static self) -> Result<Option<&'static Database>, Problem> {
        if let Some(database) = self.database.get() {
            return Ok(database.as_ref());
        }
        let opened = self.open().await?;
        let warn = |reason| {
            log::warn(&format!("{reason}, so this instance serves the data file, read-only"));
        };
        Ok(self.database.get_or_init(|| opened.map_err(warn).ok()).as_ref())
    }

    /// Opens the database, and brings this table to its last version. Gives the reason if
    /// there is no database.
    async fn open(&self) -> Result<Result<Database, &'static str>, Problem> {
        let Some(connection) = Connection::open().await.map_err(unavailable)? else {
            return Ok(Err("the component is not granted the database `default`"));
        };
        let journal_mode = journal_mode(&connection).await;
        if journal_mode.as_deref() == Some("memory") {
            return Ok(Err("the database is in memory, without a place to keep it"));
        }
        // An error counts as version 0: a new database has no versions yet. If there is another
        // cause, `migrate` fails with it.
        let version = self.version(&connection).await.unwrap_or_default();
        if !self.pending(version)?.is_empty() {
            self.migrate(&connection).await?;
        }
        let is_file = journal_mode.is_some();
        Ok(Ok(Database {
            reads: Connections::new(is_file, Some(connection)),
            writes: Connections::new(is_file, None),
        }))
    }

    /// Brings this table to its last version, with all its rows: once, and whole or not at
    /// all, even if others try the same. They wait for the transaction as for any other
    /// one. Nobody else uses `connection`, which rolls back what an error leaves when it is
    /// dropped.
    async fn migrate(&self, connection: &Connection) -> Result<(), Problem> {
        execute(connection, "BEGIN IMMEDIATE", Vec::new()).await?;
        execute(connection, VERSIONS, Vec::new()).await?;
        let version = self.version(connection).await?;
        for statement in self.pending(version)?.iter().copied().flatten() {
            execute(connection, statement, Vec::new()).await?;
        }
        if version == 0 {
            execute(connection, self.seed, vec![(self.seed_rows)()?.into()]).await?;
        }
        let newest = self.migrations.len() as i64;
        execute(connection, SET_VERSION, vec![self.name.into(), newest.into()]).await?;
        execute(connection, "COMMIT", Vec::new()).await?;
        Ok(())
    }

    /// What brings this table from `version` to the last one.
    ///
    /// # Errors
    /// [`Problem::database_unavailable`] if it is newer.
    fn pending(&self, version: usize) -> Result<&'static [Migration], Problem> {
        self.migrations.get(version..).ok_or_else(|| {
            Problem::database_unavailable(format!(
                "the table `{}` has version {version}, and this service knows only version {}: \
                 run the newer service, or restore a copy of the database",
                self.name,
                self.migrations.len()
            ))
        })
    }

    async fn version(&self, connection: &Connection) -> Result<usize, Problem> {
        let rows = execute(connection, VERSION, vec![self.name.into()]).await?;
        rows.first().map_or(Ok(0), |row| row.get(0))
    }
}
