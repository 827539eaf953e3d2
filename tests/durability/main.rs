//! What the database keeps when servers are killed, share it, or can't use it. Each
//! test starts servers as processes of their own, and ends them.
//!
//! Short by default; `DURABILITY_WRITES=10000 cargo test --test durability --
//! --nocapture` takes its time. A run that failed has printed its seed; with
//! `DURABILITY_SEED` set to that, clients write and servers die after the same pattern.

mod faults;
mod kills;
mod races;
mod schema;

use std::path::{Path, PathBuf};
use std::time::Duration;

/// A movie that is shown on [`DATE`], and which `michael_scott` has not booked.
const MOVIE: &str = "267eedb8-0f5d-42d5-8f43-72426b9fb3e6";

const DATE: &str = "20151201";

/// How long a statement waits for its turn before the answer is 503: five seconds, of
/// which SQLite counts whole milliseconds.
const LOCK_WAIT: Duration = Duration::from_millis(4900);

/// The path of the database in a state directory.
fn database(state: &Path) -> PathBuf {
    state.join("sqlite_db.db")
}

/// Checks the structure of the database in `state`, which no server uses any more, and
/// that the counters of booked seats are as many as the bookings.
fn check_integrity(state: &Path) {
    let connection = rusqlite::Connection::open(database(state)).expect("a database");
    let found: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a row");
    assert_eq!(found, "ok");
    let counted = "SELECT date, movie, count(*) FROM bookings GROUP BY date, movie";
    let counters = "SELECT date, movie, booked FROM booked_seats WHERE booked <> 0";
    for (these, those) in [(counted, counters), (counters, counted)] {
        let query = format!("SELECT count(*) FROM ({these} EXCEPT {those})");
        let different: u32 = connection.query_row(&query, [], |row| row.get(0)).expect("a row");
        assert_eq!(different, 0, "{these}, but not {those}");
    }
}

/// How many rows a table in the database of `state` has.
fn count_rows(state: &Path, table: &str) -> u32 {
    let connection = rusqlite::Connection::open(database(state)).expect("a database");
    let query = format!("SELECT count(*) FROM {table}");
    connection.query_row(&query, [], |row| row.get(0)).expect("a row")
}

/// A number from the environment, if it has one of that name.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect(name))
}

/// How many writes must be acknowledged in the longest test.
fn writes() -> usize {
    number("DURABILITY_WRITES").map_or(300, |writes| writes as usize)
}

/// How often it kills its server.
fn kills() -> usize {
    4 + writes() / 500
}

/// Numbers that look random (SplitMix64), and are the same for the same seed.
struct Random(u64);

impl Random {
    /// From `DURABILITY_SEED`, or from the clock. Prints the seed, which is shown if the
    /// test fails.
    fn from_seed() -> Self {
        let clock = || std::time::UNIX_EPOCH.elapsed().expect("a clock").as_nanos() as u64;
        let seed = number("DURABILITY_SEED").unwrap_or_else(clock);
        println!("DURABILITY_SEED={seed}");
        Self(seed)
    }

    /// Another sequence, for a thread of its own.
    fn fork(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}
