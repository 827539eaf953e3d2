//! Who keeps to-do lists.
//!
//! | route | answer | asks |
//! |---|---|---|
//! | `/todo` | a greeting | |
//! | `/todo/users` | every user, by name | |
//! | `/todo/users/<username>` | one user | |
//! | `/todo/users/<username>/lists` | the lists of a user | `todo-lists` |
//!
//! ```sh
//! curl http://127.0.0.1:3000/todo/users/saurabh_badhwar/lists
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;
use service_kit::sibling::segment;
use service_kit::{
    Answer, Bundle, Call, Problem, Record, Records, Reply, Route, Sibling, get, get_async, service,
};

const LISTS: Sibling = Sibling("todo-lists");

const GREETING: &str = "The To-Do Manager is up.
GET /todo/users lists its users, GET /todo/users/<username>/lists what one of them has to do.
";

static USERS: Bundle<Records<User>> = Bundle::new("/data/todo/users.json", Records::parse);

service!(route);

fn route(call: &Call) -> Route<'_> {
    match call.segments()[..] {
        ["todo"] => get(|| Ok(Reply::text(GREETING))),
        ["todo", "users"] => get(|| Reply::json(USERS.get()?)),
        ["todo", "users", username] => get(move || Reply::json(user(USERS.get()?, username)?)),
        ["todo", "users", username, "lists"] => get_async(call, async move {
            user(USERS.get()?, username)?;
            lists_of(call, username).await
        }),
        _ => Route::Unknown,
    }
}

fn user<'a>(users: &'a Records<User>, username: &str) -> Result<&'a Record<User>, Problem> {
    users.get(username).ok_or_else(|| {
        Problem::NotFound(format!(
            "No user is called `{username}`. GET /todo/users lists them all."
        ))
    })
}

async fn lists_of(call: &Call, username: &str) -> Answer {
    let path = format!("/todo/lists/{}", segment(username));
    let lists: Lists = LISTS.get(call, &path).await?.unwrap_or_default();
    if lists.is_empty() {
        return Err(Problem::NotFound(format!("The user `{username}` has no lists.")));
    }
    Reply::json(&lists)
}

/// What this service understands of a user.
#[derive(Deserialize)]
#[expect(dead_code, reason = "read only to check the shape of the file")]
struct User {
    id: u64,
    name: String,
    /// 1 if the user's address is verified, else 0.
    verified: u8,
}

/// The items of each list of a user, as `todo-lists` says.
type Lists = BTreeMap<String, Vec<String>>;
