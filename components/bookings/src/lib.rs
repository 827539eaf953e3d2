//! Who has booked which movies, and for which date.
//!
//! | route | answer | asks |
//! |---|---|---|
//! | `/bookings` | the bookings of every user | |
//! | `/bookings/<username>` | the ids of the movies that a user has booked, by date | |
//! | `/bookings/<username>/<date>/<movie>` | one booking: PUT books, DELETE cancels | PUT: `users` and `showtimes` |
//! | `/seats/<date>` | the seats that are left, for the movies with bookings on a date | |
//!
//! ```sh
//! curl -X PUT http://127.0.0.1:3000/bookings/dwight_schrute/20151201/267eedb8-0f5d-42d5-8f43-72426b9fb3e6
//! ```

use std::collections::BTreeMap;

use service_kit::{DataFile, Problem, Table, parse};

pub mod http;
pub mod wit;

/// The bookings of a new database, and all of them where there is no database.
static FILE: DataFile<Bookings> = DataFile::new("data/cinema/bookings.json", parse);

/// The order of `id` is that of booking. Each of the two constraints has an index: for
/// the bookings of a user, and for the seats of a show.
static TABLE: Table = Table::new(
    "bookings",
    &[
        &["CREATE TABLE bookings (
            id INTEGER PRIMARY KEY,
            username TEXT NOT NULL,
            date TEXT NOT NULL,
            movie TEXT NOT NULL,
            UNIQUE (username, date, movie),
            UNIQUE (date, movie, username)
        )"],
        // How many bookings each show has, so that nothing counts them.
        &[
            "CREATE TABLE booked_seats (
                date TEXT NOT NULL,
                movie TEXT NOT NULL,
                booked INTEGER NOT NULL,
                PRIMARY KEY (date, movie)
            ) WITHOUT ROWID",
            "INSERT INTO booked_seats (date, movie, booked)
            SELECT date, movie, count(*) FROM bookings GROUP BY date, movie",
            "CREATE TRIGGER bookings_insert AFTER INSERT ON bookings BEGIN
                INSERT INTO booked_seats (date, movie, booked) VALUES (new.date, new.movie, 1)
                ON CONFLICT (date, movie) DO UPDATE SET booked = booked + 1;
            END",
            "CREATE TRIGGER bookings_delete AFTER DELETE ON bookings BEGIN
                UPDATE booked_seats SET booked = booked - 1
                WHERE date = old.date AND movie = old.movie;
            END",
        ],
    ],
    "INSERT INTO bookings (username, date, movie)
    SELECT user.key, date.key, movie.value
    FROM json_each(?) AS user, json_each(user.value) AS date, json_each(date.value) AS movie
    WHERE true ON CONFLICT DO NOTHING",
    || FILE.json(),
);

/// What each user has booked.
type Bookings = BTreeMap<String, Dates>;

/// The ids of the movies that a user has booked, by date.
type Dates = BTreeMap<String, Vec<String>>;

/// What a user has booked, if that is anything.
async fn bookings_of(username: &str) -> Result<Option<Dates>, Problem> {
    let query = "SELECT date, movie FROM bookings WHERE username = ? ORDER BY id";
    let Some(rows) = TABLE.read(query, [username.into()]).await? else {
        return Ok(FILE.read()?.get(username).cloned());
    };
    let mut dates = Dates::new();
    for row in &rows {
        let (date, movie) = (row.get::<&str>(0)?, row.get::<&str>(1)?);
        dates.entry(date.into()).or_default().push(movie.into());
    }
    Ok((!dates.is_empty()).then_some(dates))
}
