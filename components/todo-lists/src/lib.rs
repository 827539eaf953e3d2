//! The to-do lists of each user.
//!
//! | route | answer |
//! |---|---|
//! | `/todo/lists` | the name of every list |
//! | `/todo/lists/<username>` | the items of each list of a user |
//!
//! ```sh
//! curl http://127.0.0.1:3000/todo/lists/saurabh_badhwar
//! ```

use std::collections::{BTreeMap, BTreeSet};

use service_kit::{DataFile, Problem, Request, Response, Route, get, service};

static LISTS: DataFile<Lists> = DataFile::new("data/todo/lists.json", serde_json::from_str);

service!(route);

fn route(request: &Request) -> Route<'_> {
    match request.segments()[..] {
        ["todo", "lists"] => get(async move { list_names(LISTS.read()?) }),
        ["todo", "lists", username] => get(async move { show_lists_of(LISTS.read()?, username) }),
        _ => Route::Unknown,
    }
}

fn list_names(lists: &Lists) -> Result<Response, Problem> {
    let names: BTreeSet<_> = lists.values().flat_map(BTreeMap::keys).collect();
    Response::json(&BTreeMap::from([("lists", names)]))
}

fn show_lists_of(lists: &Lists, username: &str) -> Result<Response, Problem> {
    let lists = lists.get(username).ok_or_else(|| {
        Problem::NotFound(format!("`{username}` has no lists. GET /todo/users lists the users."))
    })?;
    Response::json(lists)
}

/// The items of each list of each user.
type Lists = BTreeMap<String, BTreeMap<String, Vec<String>>>;
