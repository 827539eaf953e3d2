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

use futures::future::join;
use serde::Serialize;
use service_kit::sibling::encode_segment;
use service_kit::{DataFile, Problem, Request, Sibling, Table, Value, parse};

pub mod http;
pub mod typed;

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

static USERS: Sibling = Sibling::new("users", "users_url");
static SHOWTIMES: Sibling = Sibling::new("showtimes", "showtimes_url");

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

/// A seat for a user, at the show of a movie on a date.
#[derive(Clone, Serialize)]
struct Booking<'a> {
    date: &'a str,
    movie: &'a str,
    uri: String,
    username: &'a str,
}

impl<'a> Booking<'a> {
    fn new(username: &'a str, date: &'a str, movie: &'a str) -> Self {
        let segments = [username, date, movie].map(encode_segment).join("/");
        Self { date, movie, uri: format!("/bookings/{segments}"), username }
    }

    /// The parameters that identify it in a statement.
    fn key(&self) -> [Value; 3] {
        [self.username.into(), self.date.into(), self.movie.into()]
    }

    /// Asks `users` and `showtimes` whether the user and the show exist.
    async fn check_references(&self, request: &Request) -> Result<(), Problem> {
        let user = format!("/users/{}", encode_segment(self.username));
        let shows = format!("/showtimes/{}", encode_segment(self.date));
        let (has_user, movies) =
            join(USERS.exists(request, &user), SHOWTIMES.get::<Vec<String>>(request, &shows)).await;
        if !has_user? {
            return Err(Problem::not_found(format!(
                "No user is called `{}`. GET /users lists them all.",
                self.username
            )));
        }
        if !movies?.unwrap_or_default().iter().any(|movie| movie == self.movie) {
            let detail = format!(
                "The movie `{}` is not shown on `{}`. GET /showtimes lists the shows.",
                self.movie, self.date
            );
            return Err(Problem::conflict("NotShown", detail));
        }
        Ok(())
    }

    async fn exists(&self) -> Result<bool, Problem> {
        let query = "SELECT id FROM bookings WHERE username = ? AND date = ? AND movie = ?";
        if let Some(rows) = TABLE.read(query, self.key()).await? {
            return Ok(!rows.is_empty());
        }
        let dates = FILE.read()?.get(self.username);
        let movies = dates.and_then(|dates| dates.get(self.date));
        Ok(movies.is_some_and(|movies| movies.iter().any(|movie| movie == self.movie)))
    }

    /// Books, if a seat is left. One statement decides and writes, so that nobody else
    /// books the last seat in between.
    async fn insert(&self, seats: u32) -> Result<bool, Problem> {
        let statement = "INSERT INTO bookings (username, date, movie) SELECT ?1, ?2, ?3
            WHERE coalesce((SELECT booked FROM booked_seats WHERE date = ?2 AND movie = ?3), 0) < ?4
            ON CONFLICT DO NOTHING RETURNING id";
        let [username, date, movie] = self.key();
        Ok(!TABLE.write(statement, [username, date, movie, seats.into()]).await?.is_empty())
    }

    async fn delete(&self) -> Result<bool, Problem> {
        let statement =
            "DELETE FROM bookings WHERE username = ? AND date = ? AND movie = ? RETURNING id";
        Ok(!TABLE.write(statement, self.key()).await?.is_empty())
    }

    /// Whether there is this booking, and how many seats of the show are taken.
    async fn show_state(&self) -> Result<(bool, u32), Problem> {
        let query = "SELECT
            EXISTS (SELECT 1 FROM bookings WHERE username = ?1 AND date = ?2 AND movie = ?3),
            coalesce((SELECT booked FROM booked_seats WHERE date = ?2 AND movie = ?3), 0)";
        let rows = TABLE.read(query, self.key()).await?.unwrap_or_default();
        rows.first().map_or(Ok((false, 0)), |row| Ok((row.get(0)?, row.get(1)?)))
    }

    fn not_found(&self) -> Problem {
        let Self { date, movie, username, .. } = self;
        Problem::not_found(format!("`{username}` has not booked the movie `{movie}` on `{date}`."))
    }
}
