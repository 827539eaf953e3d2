//! A statement: where it runs, for how long, and what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use rusqlite::limits::Limit;
use rusqlite::{CachedStatement, Connection, TransactionState, params_from_iter};
use tokio::time::Instant;

use crate::bounds::memory::{Kept, Memory};
use crate::imports::sqlite::authorizer::Authorizer;
use crate::imports::sqlite::values::{Row, Value};

/// How long a write can take, once it has its turn. That is less than others wait for their
/// turn, so a single one can't keep them from writing.
const MAX_WRITE: Duration = Duration::from_secs(4);

/// The most that the rows of one statement can hold, in bytes. Spin buffers as much.
const MAX_ROWS: usize = 128 * 1024 * 1024;

/// How long a short read takes at most. What a value in it can hold, and what its rows can,
/// in bytes. How long its text is.
const MAX_SHORT_TIME: Duration = Duration::from_millis(1);
const MAX_SHORT_VALUE: i32 = 64 * 1024;
const MAX_SHORT_ROWS: usize = 1024 * 1024;
const MAX_SHORT_TEXT: usize = 16 * 1024;

/// What SQLite says of a lock, and of a statement that was ended.
const LOCKED: &str = "database is locked";
const INTERRUPTED: &str = "interrupted";

/// The turn to write to a file, first come, first served. SQLite has no queue: a connection
/// that finds the file locked looks again after up to 100 ms.
pub type Turn = Arc<Mutex<()>>;

/// A statement with its parameters.
pub struct Statement {
    /// Its text.
    pub sql: String,
    /// The values of its parameters.
    pub parameters: Vec<Value>,
    /// When it stops to wait.
    pub deadline: Instant,
    /// What looks at the statements of its connection.
    pub authorizer: Arc<Authorizer>,
    /// The turn to write, if the database is a file.
    pub turn: Option<Turn>,
    /// The memory of the instance that gets its rows.
    pub memory: Memory,
}

/// What becomes of a statement.
#[derive(Default)]
pub struct Outcome {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows until it ended or failed.
    pub rows: Vec<Row>,
    /// Their memory.
    pub kept: Option<Kept>,
    /// Why it failed.
    pub error: Option<String>,
}

impl Outcome {
    /// The outcome of a statement that failed before it ran.
    pub fn failed(error: impl ToString) -> Self {
        Self { error: Some(error.to_string()), ..Self::default() }
    }

    /// The outcome of a statement that waited too long.
    pub fn locked() -> Self {
        Self::failed(LOCKED)
    }
}

impl Statement {
    /// Runs a short read on this thread, because it would take longer to wake another one.
    /// `None` if it is no read, has to wait, can be long, or fails: it has changed nothing,
    /// and can run again on a thread that may block. Only a cold page of the file and a
    /// full-text search can make it long.
    pub fn read_at_once(&self, connection: &Connection) -> Option<Outcome> {
        // In a transaction, a COMMIT counts as a read.
        let can_be_short = self.sql.len() <= MAX_SHORT_TEXT && !self.is_pragma();
        if !can_be_short || !connection.is_autocommit() {
            return None;
        }
        connection.busy_timeout(Duration::ZERO).ok()?;
        // SQLite looks at the end only between two steps, which are longer with long values.
        let longest = connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_SHORT_VALUE).ok()?;
        self.authorizer.begin(Some(Instant::now() + MAX_SHORT_TIME), true);
        let outcome = self.read_shortly(connection);
        self.authorizer.begin(None, false);
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, longest).ok()?;
        outcome
    }

    fn read_shortly(&self, connection: &Connection) -> Option<Outcome> {
        let mut statement = connection.prepare_cached(&self.sql).ok()?;
        if !statement.readonly() {
            return None;
        }
        let outcome = self.query(&mut statement, MAX_SHORT_ROWS);
        outcome.error.is_none().then_some(outcome)
    }

    /// Runs the statement on a thread that may block, and waits for its turn to write if it
    /// must.
    pub fn run(&self, connection: &Connection) -> Outcome {
        self.try_run(connection).unwrap_or_else(Outcome::failed)
    }

    fn try_run(&self, connection: &Connection) -> Result<Outcome, String> {
        connection.busy_timeout(self.remaining()).map_err(text)?;
        self.authorizer.begin(None, false);
        let mut statement = connection.prepare_cached(&self.sql).map_err(text)?;
        let transaction = connection.transaction_state(Some("main")).map_err(text)?;
        // A pragma only counts as a write.
        let needs_turn =
            !statement.readonly() && !self.is_pragma() && !self.authorizer.writes_only_elsewhere();
        // A transaction has had its turn when it first wrote. If it has only read, one that
        // writes may wait for it to end.
        let turn = match (&self.turn, transaction) {
            (Some(turn), TransactionState::None) if needs_turn => {
                let turn = turn.try_lock_until(self.deadline.into_std()).ok_or(LOCKED)?;
                connection.busy_timeout(self.remaining()).map_err(text)?;
                Some(turn)
            }
            _ => None,
        };
        let can_write = !statement.readonly() || transaction == TransactionState::Write;
        self.authorizer.end_at(can_write.then(|| Instant::now() + MAX_WRITE));
        let mut outcome = self.query(&mut statement, MAX_ROWS);
        // Hands it to the statement that has waited longest.
        if let Some(turn) = turn {
            MutexGuard::unlock_fair(turn);
        }
        if outcome.error.as_deref() == Some(INTERRUPTED) && self.authorizer.is_over() {
            outcome.error = Some(format!(
                "the statement has run for {MAX_WRITE:?}, the limit of one that writes"
            ));
        }
        self.authorizer.end_at(None);
        // A statement from the cache is not prepared again, so nothing is seen of it. Only
        // those are kept for which that does not matter.
        if self.authorizer.is_long() || self.authorizer.writes_only_elsewhere() {
            statement.discard();
        }
        Ok(outcome)
    }

    /// Runs `statement`, whose rows can hold `most` bytes.
    fn query(&self, statement: &mut CachedStatement<'_>, most: usize) -> Outcome {
        let mut outcome = Outcome::default();
        let mut kept = self.memory.keep();
        outcome.error = self.read_rows(statement, &mut outcome.rows, &mut kept, most).err();
        outcome.kept = Some(kept);
        // After its first step, which compiles it anew if a table has changed since.
        outcome.columns = statement.column_names().map(str::to_owned).collect();
        outcome
    }

    fn read_rows(
        &self,
        statement: &mut CachedStatement<'_>,
        rows: &mut Vec<Row>,
        kept: &mut Kept,
        most: usize,
    ) -> Result<(), String> {
        let mut found = statement.query(params_from_iter(&self.parameters)).map_err(text)?;
        let mut size = 0;
        while let Some(row) = found.next().map_err(text)? {
            let row = Row::copy(row).map_err(text)?;
            size += row.size();
            if size > most {
                return Err(format!("the rows hold more than {most} bytes"));
            }
            if !kept.grow_to(size) {
                return Err("there is no memory left for the rows".to_owned());
            }
            rows.push(row);
        }
        Ok(())
    }

    /// Whether it is a pragma.
    pub fn is_pragma(&self) -> bool {
        let word = self.sql.trim_start().get(..6);
        word.is_some_and(|word| word.eq_ignore_ascii_case("pragma"))
    }

    fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
