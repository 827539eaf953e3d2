//! A service `movies` for tests, by HTTP and as a composed component. It knows one movie, and
//! does what the id of the request says.

use std::fs;
use std::hint::black_box;
use std::time::Duration;

use contract::movies::catalog::{self, Movie};
use serde_json::{Value, json};
use service_kit::call::answer;
use service_kit::{CallError, Context, Problem, Request, Response, Route, get};
use spin_sdk::{http, sqlite, time, variables};
use wasip3::exports::http::handler;
use wasip3::http::types::{self, ErrorCode};

struct Service;

impl handler::Guest for Service {
    async fn handle(request: types::Request) -> Result<types::Response, ErrorCode> {
        service_kit::handle(request, env!("CARGO_PKG_NAME"), route).await
    }
}

wasip3::http::service::export!(Service);

impl catalog::Guest for Service {
    async fn get_movies(context: Context, _: Vec<String>) -> Result<Vec<Movie>, CallError> {
        movies("get-movies", context).await
    }

    async fn top(context: Context, _: u32) -> Result<Vec<Movie>, CallError> {
        movies("top", context).await
    }
}

contract::movies::export!(Service);

async fn movies(function: &str, context: Context) -> Result<Vec<Movie>, CallError> {
    let movies = async { Ok(vec![movie(&context.request_id).await?]) };
    answer(&context, env!("CARGO_PKG_NAME"), function, movies).await
}

fn route(request: &Request) -> Route<'_> {
    get(async {
        let Movie { id, title, rating } = movie(&request.id).await?;
        let rating: Value = serde_json::from_str(&rating).unwrap_or_default();
        let movie = json!({ "id": id, "title": title, "rating": rating });
        let is_ranking = request.segments().contains(&"top");
        Response::json(&if is_ranking { json!([movie]) } else { json!({ "a": movie }) })
    })
}

/// The movie, if `todo` is nothing that prevents it.
async fn movie(todo: &str) -> Result<Movie, Problem> {
    let (mut title, mut rating) = ("A".to_owned(), "5");
    match todo {
        "trap" => panic!("as the test asks"),
        "hang" => {
            let _ended = NotesItsEnd;
            time::sleep(Duration::from_secs(3600)).await;
        }
        "compute" => loop {
            black_box(());
        },
        "fail" => return Err(Problem::internal("as the test asks")),
        "reject" => return Err(Problem::bad_request("As the test asks.")),
        "lie" => rating = "nonsense",
        "grow" => {
            let mut kept = Vec::new();
            loop {
                kept.push(black_box(vec![1_u8; 1 << 20]));
            }
        }
        "reach" => title = reach().await,
        _ => {}
    }
    Ok(Movie { id: "a".into(), title, rating: rating.into() })
}

struct NotesItsEnd;

impl Drop for NotesItsEnd {
    fn drop(&mut self) {
        eprintln!("cancelled");
    }
}

/// What the component can reach.
async fn reach() -> String {
    let data = ["bookings", "movies", "users"].map(|name| format!("data/cinema/{name}.json"));
    let files: Vec<_> = data.iter().filter(|path| fs::read(path).is_ok()).collect();
    let is_open = sqlite::Connection::open_default().await.is_ok();
    let has_variable = variables::get("sibling_deadline_ms").await.is_ok();
    let has_environment = std::env::vars().next().is_some();
    let can_call = http::get("http://showtimes.spin.internal/showtimes").await.is_ok();
    json!({
        "files": files,
        "database": is_open,
        "variables": has_variable,
        "environment": has_environment,
        "siblings": can_call,
    })
    .to_string()
}
