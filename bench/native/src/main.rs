//! Cinema 3 without WebAssembly: the source of the components, compiled for this
//! machine, one process for each service. They speak HTTP/1.1 to each other over
//! loopback connections that are kept.
//!
//! ```sh
//! export WRITE_TOKEN= SQLITE_DB=cinema.db
//! export USERS_URL=http://127.0.0.1:5000 MOVIES_URL=http://127.0.0.1:5001
//! export SHOWTIMES_URL=http://127.0.0.1:5002 BOOKINGS_URL=http://127.0.0.1:5003
//! native users 127.0.0.1:5000 &
//! native movies 127.0.0.1:5001 &
//! native showtimes 127.0.0.1:5002 &
//! native bookings 127.0.0.1:5003 &
//! curl http://127.0.0.1:5000/users/dwight_schrute/suggested
//! ```
//!
//! With the feature `composed`, `users` calls `movies` and `bookings` as functions, and all
//! services are one process: `native all 127.0.0.1:5000`, which each URL names.
//!
//! Variables come from the environment. `SQLITE_DB` is the path of the database; without
//! it, there is none. The working directory is the one of the application, with `data`
//! in it.

#[cfg_attr(not(feature = "composed"), allow(dead_code, reason = "`users` asks by HTTP"))]
#[path = "../../../components/bookings/src/lib.rs"]
mod bookings;
#[cfg_attr(not(feature = "composed"), allow(dead_code, reason = "`users` asks by HTTP"))]
#[path = "../../../components/movies/src/lib.rs"]
mod movies;
#[path = "../../../components/showtimes/src/lib.rs"]
mod showtimes;
#[path = "../../../components/users/src/lib.rs"]
mod users;

// What the components export their handlers and their functions with.
extern crate service_kit as contract;
extern crate service_kit as wasip3;

use std::env;

use futures::future::LocalBoxFuture;
use mimalloc::MiMalloc;
use service_kit::wasi::{self, RawRequest, RawResult};

/// As in the host.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() {
    let mut arguments = env::args().skip(1);
    let service = arguments.next().expect("the name of a service");
    let address = arguments.next().expect("an address, as in `127.0.0.1:5000`");
    let handle = match &service[..] {
        "all" => handle_all,
        "bookings" => bookings::http::handle,
        "movies" => movies::http::handle,
        "showtimes" => showtimes::handle,
        "users" => users::handle,
        _ => panic!("no such service: `{service}`"),
    };
    wasi::serve(&address, handle);
}

/// Sends a request to the service that its path names.
fn handle_all(request: RawRequest) -> LocalBoxFuture<'static, RawResult> {
    match request.uri().path().split('/').nth(1) {
        Some("bookings" | "seats") => bookings::http::handle(request),
        Some("movies") => movies::http::handle(request),
        Some("showtimes") => showtimes::handle(request),
        _ => users::handle(request),
    }
}
