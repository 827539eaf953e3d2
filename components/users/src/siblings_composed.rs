//! Calls the siblings, which are composed with this component: the functions of
//! `siblings.rs`, by `contract/wit/services.wit`.

use std::collections::{BTreeMap, BTreeSet};

use service_kit::{ComposedSibling, Problem, Request};

use self::cinema::bookings::ledger;
use self::cinema::movies::catalog;
use super::{Bookings, MAX_BOOKED, Movie, SUGGESTIONS};

wasip3::wit_bindgen::generate!({
    path: "../../contract/wit",
    world: "users",
    generate_all,
    with: {
        "cinema:bookings/ledger@0.1.0/context": service_kit::Context,
        "cinema:bookings/ledger@0.1.0/error": service_kit::CallError,
        "cinema:movies/catalog@0.1.0/context": service_kit::Context,
        "cinema:movies/catalog@0.1.0/error": service_kit::CallError,
    },
    runtime_path: "wasip3::wit_bindgen::rt",
});

pub static BOOKINGS: ComposedSibling = ComposedSibling::new("bookings");
static MOVIES: ComposedSibling = ComposedSibling::new("movies");

pub async fn fetch_bookings(request: &Request, username: &str) -> Result<Bookings, Problem> {
    let bookings = ledger::bookings_of(request.context(), username.to_owned());
    let bookings = BOOKINGS.call(request, "bookings-of", bookings).await?;
    Ok(bookings.into_iter().map(|booked| (booked.date, booked.movies)).collect())
}

pub async fn fetch_movies(
    request: &Request,
    ids: &BTreeSet<&str>,
) -> Result<BTreeMap<String, Movie>, Problem> {
    let ids = ids.iter().map(|id| (*id).to_owned()).collect();
    let movies = catalog::get_movies(request.context(), ids);
    let movies = MOVIES.call(request, "get-movies", movies).await?;
    movies.into_iter().map(|it| Ok((it.id.clone(), movie("get-movies", it)?))).collect()
}

pub async fn fetch_ranking(request: &Request) -> Result<Vec<Movie>, Problem> {
    let top = catalog::top(request.context(), (MAX_BOOKED + SUGGESTIONS) as u32);
    let top = MOVIES.call(request, "top", top).await?;
    top.into_iter().map(|it| movie("top", it)).collect()
}

fn movie(function: &str, movie: catalog::Movie) -> Result<Movie, Problem> {
    let catalog::Movie { id, title, rating } = movie;
    let rating = rating.parse().map_err(|error| {
        MOVIES.bad_gateway(function, format!("the rating {rating:?} is no number: {error}"))
    })?;
    Ok(Movie { id, title, rating })
}
