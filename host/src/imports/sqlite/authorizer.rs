//! What a statement may do, and what is noted of it while SQLite prepares and runs it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use rusqlite::ffi::SQLITE_ATTACH;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use tokio::time::Instant;

/// The pragmas that change more than their own connection: others of this process, or who
/// else may use the file.
const SHARED_PRAGMAS: [&str; 4] =
    ["hard_heap_limit", "locking_mode", "soft_heap_limit", "temp_store_directory"];

/// The tables that SQLite computes in a single step.
const COMPUTED_TABLES: [&str; 3] = ["dbstat", "json_each", "json_tree"];

/// The functions of which no call takes long.
const SHORT_FUNCTIONS: [&str; 4] = ["coalesce", "count", "max", "min"];

/// The database of a connection's file.
const MAIN: &str = "main";

/// Looks at the statements of a connection, one after the other.
#[derive(Default)]
pub struct Authorizer {
    /// When the statement that runs must end.
    end: Mutex<Option<Instant>>,
    /// Whether what can be long is denied.
    only_short: AtomicBool,
    seen: Seen,
}

/// What was seen of a statement when it was prepared. Empty for one from the cache.
#[derive(Default)]
struct Seen {
    /// Something of which a single step can be long.
    long: AtomicBool,
    /// A write to the file.
    write: AtomicBool,
    /// A write elsewhere: to a temporary table, or to a database in memory.
    write_elsewhere: AtomicBool,
}

impl Authorizer {
    /// Lets the next statement run until `end`, and forgets what was seen of the last one.
    pub fn begin(&self, end: Option<Instant>, only_short: bool) {
        for seen in [&self.seen.long, &self.seen.write, &self.seen.write_elsewhere] {
            seen.store(false, Relaxed);
        }
        self.only_short.store(only_short, Relaxed);
        self.end_at(end);
    }

    /// Lets the statement run until `end`.
    pub fn end_at(&self, end: Option<Instant>) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = end;
    }

    /// Whether the statement has run for long enough.
    pub fn is_over(&self) -> bool {
        let end = *self.end.lock().unwrap_or_else(PoisonError::into_inner);
        end.is_some_and(|end| Instant::now() > end)
    }

    /// Whether a single step of the statement can be long.
    pub fn is_long(&self) -> bool {
        self.seen.long.load(Relaxed)
    }

    /// Whether the statement writes, but not to the file.
    pub fn writes_only_elsewhere(&self) -> bool {
        self.seen.write_elsewhere.load(Relaxed) && !self.seen.write.load(Relaxed)
    }

    /// Decides on an action of the statement. It must not reach other files: `VACUUM INTO`
    /// attaches, too. An `ATTACH` whose file name is an expression comes without it, which
    /// rusqlite calls unknown.
    pub fn decide(&self, context: &AuthContext<'_>) -> Authorization {
        match context.action {
            AuthAction::Attach { filename: "" | ":memory:" } => {}
            AuthAction::Attach { .. } | AuthAction::Unknown { code: SQLITE_ATTACH, .. } => {
                return Authorization::Deny;
            }
            AuthAction::Pragma { pragma_name, pragma_value: Some(_) }
                if is_one_of(&SHARED_PRAGMAS, pragma_name) =>
            {
                return Authorization::Deny;
            }
            AuthAction::Insert { .. } | AuthAction::Update { .. } | AuthAction::Delete { .. } => {
                let is_main = context.database_name == Some(MAIN);
                let seen = if is_main { &self.seen.write } else { &self.seen.write_elsewhere };
                seen.store(true, Relaxed);
            }
            _ => {}
        }
        if !can_be_long(&context.action) {
            return Authorization::Allow;
        }
        self.seen.long.store(true, Relaxed);
        match self.only_short.load(Relaxed) {
            true => Authorization::Deny,
            false => Authorization::Allow,
        }
    }
}

/// Whether a single step of SQLite's machine can take long to do `action`.
fn can_be_long(action: &AuthAction<'_>) -> bool {
    match action {
        AuthAction::Function { function_name } => !is_one_of(&SHORT_FUNCTIONS, function_name),
        // Counts the rows of a whole table.
        AuthAction::Read { column_name: "", .. } => true,
        AuthAction::Read { table_name, .. } => is_one_of(&COMPUTED_TABLES, table_name),
        AuthAction::Pragma { .. } => true,
        _ => false,
    }
}

fn is_one_of(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}
