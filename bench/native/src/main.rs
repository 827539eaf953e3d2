//! Cinema 3 without WebAssembly: one native process per service, which speak
//! HTTP/1.1 over kept connections, with axum.
//!
//! The benchmark compares the components with it, so it does the same work: the
//! same routes, bodies and headers, the same requests to siblings with the same
//! deadline for each. Unlike an instance of a component, it does not keep answers
//! that it has sent: each is serialised when it is asked for. What only matters
//! beside the paths that are measured is left out: the service `showtimes`, the
//! To-Do Manager, and slashes too many at the ends of a path.
//!
//! ```sh
//! native movies --listen 127.0.0.1:4001 --data data/cinema &
//! native bookings --listen 127.0.0.1:4002 --data data/cinema &
//! native users --listen 127.0.0.1:4003 --data data/cinema \
//!     --movies 127.0.0.1:4001 --bookings 127.0.0.1:4002 &
//! curl http://127.0.0.1:4003/users/dwight_schrute/suggested
//! ```

mod bookings;
mod http;
mod movies;
mod sibling;
mod users;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use axum::http::uri::Authority;
use axum::serve::ListenerExt;
use clap::{Parser, ValueEnum};
use mimalloc::MiMalloc;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Serves one service of Cinema 3.
#[derive(Parser)]
struct Options {
    /// Which one
    service: Service,

    /// Where to listen
    #[arg(long, value_name = "ADDRESS")]
    listen: SocketAddr,

    /// The folder of the data files
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,

    /// Where `bookings` listens, for `users`
    #[arg(long, value_name = "ADDRESS")]
    bookings: Option<Authority>,

    /// Where `movies` listens, for `users`
    #[arg(long, value_name = "ADDRESS")]
    movies: Option<Authority>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Service {
    Movies,
    Bookings,
    Users,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Options { service, listen, data, bookings, movies } = Options::parse();
    let router = match (service, bookings, movies) {
        (Service::Movies, ..) => movies::router(&data)?,
        (Service::Bookings, ..) => bookings::router(&data)?,
        (Service::Users, Some(bookings), Some(movies)) => users::router(&data, bookings, movies)?,
        (Service::Users, ..) => bail!("`users` needs --bookings and --movies"),
    };
    let listener = TcpListener::bind(listen).await;
    let listener = listener.with_context(|| format!("can't listen at {listen}"))?;
    println!("listening");
    // Small answers must not wait for the acknowledgement of earlier ones.
    let listener = listener.tap_io(|stream| _ = stream.set_nodelay(true));
    axum::serve(listener, router).await?;
    Ok(())
}

/// What the data file `name` says; an error names file, line and column.
fn read<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<T> {
    let path = folder.join(name);
    let text = fs::read_to_string(&path)
        .with_context(|| format!("can't read the data file {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("malformed data file {}", path.display()))
}
