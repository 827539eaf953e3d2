//! The users of the To-Do Manager.
//!
//! | route | answer | asks |
//! |---|---|---|
//! | `/todo` | a greeting | |
//! | `/todo/users` | every user, by username | |
//! | `/todo/users/<username>` | one user | |
//! | `/todo/users/<username>/lists` | the lists of a user | `todo-lists` |
//!
//! ```sh
//! curl http://127.0.0.1:3000/todo/users/saurabh_badhwar/lists
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;
use service_kit::sibling::encode_segment;
use service_kit::{
    DataFile, Problem, Record, Records, Request, Response, Route, Sibling, get, records,
};
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{self, ErrorCode};

const GREETING: &str = "The To-Do Manager is up.
GET /todo/users lists its users, GET /todo/users/<username>/lists the lists of one of them.
";

static USERS: DataFile<Records<User>> = DataFile::new("data/todo/users.json", records);
static LISTS: Sibling = Sibling::new("todo-lists", "todo_lists_url");

struct Service;

impl Guest for Service {
    async fn handle(request: types::Request) -> Result<types::Response, ErrorCode> {
        service_kit::handle(request, env!("CARGO_PKG_NAME"), route).await
    }
}

wasip3::http::service::export!(Service);

fn route(request: &Request) -> Route<'_> {
    match request.segments()[..] {
        ["todo"] => get(async move { Ok(Response::text(GREETING)) }),
        ["todo", "users"] => get(async move { Response::json(USERS.read()?) }),
        ["todo", "users", username] => get(async move { Response::json(find_user(username)?) }),
        ["todo", "users", username, "lists"] => get(show_lists_of(request, username)),
        _ => Route::NOT_FOUND,
    }
}

fn find_user(username: &str) -> Result<&'static Record<User>, Problem> {
    USERS.read()?.get(username).ok_or_else(|| {
        Problem::not_found(format!(
            "No user is called `{username}`. GET /todo/users lists them all."
        ))
    })
}

async fn show_lists_of(request: &Request, username: &str) -> Result<Response, Problem> {
    find_user(username)?;
    let path = format!("/todo/lists/{}", encode_segment(username));
    let lists: Lists = LISTS.get(request, &path).await?.unwrap_or_default();
    if lists.is_empty() {
        return Err(Problem::not_found(format!("The user `{username}` has no lists.")));
    }
    Response::json(&lists)
}

/// The fields of a user that this service knows.
#[derive(Deserialize)]
#[expect(dead_code, reason = "read only to check the shape of the file")]
struct User {
    id: u64,
    name: String,
    /// 1 if the user's address is verified, else 0.
    verified: u8,
}

/// The items of each list of a user, as `todo-lists` sends them.
type Lists = BTreeMap<String, Vec<String>>;
