//! The SQLite database of an application: a file in its state directory, at the place
//! and in the format of Spin (`crates/sqlite-inproc` of Spin).

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::spawn_blocking;

use crate::bounds::memory::Memory;
use crate::bounds::shares::{Share, Total};
use crate::imports::sqlite::connection::Connection;
use crate::imports::sqlite::statement::Turn;

/// The name of the file in the state directory.
const FILE: &str = "sqlite_db.db";

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

    /// Opens the file, if it is one.
    fn open(&self) -> Result<rusqlite::Connection, String> {
        let connection = match &self.state_dir {
            Some(dir) => {
                create(dir).map_err(|error| {
                    format!("can't create the folder {}: {error}", dir.display())
                })?;
                rusqlite::Connection::open(dir.join(FILE))
            }
            None => rusqlite::Connection::open_in_memory(),
        };
        connection.map_err(|error| error.to_string())
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
        let counted = self.connections.take_slots(1).map_err(|_| "too many connections opened")?;
        let database = self.database;
        let connect = move || {
            let Database { state_dir, turn, is_like_libsql, .. } = &*database;
            let turn = state_dir.is_some().then(|| turn.clone());
            Connection::new(database.open()?, turn, *is_like_libsql, memory, counted)
        };
        spawn_blocking(connect).await.map_err(|error| error.to_string())?
    }
}
