//! What there is to do.
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

use service_kit::{Answer, Bundle, Call, Problem, Reply, Route, get, parse, service};

/// The items of each list of each user.
type Lists = BTreeMap<String, BTreeMap<String, Vec<String>>>;

static LISTS: Bundle<Lists> = Bundle::new("/data/todo/lists.json", parse);

service!(route);

fn route(call: &Call) -> Route<'_> {
    match call.segments()[..] {
        ["todo", "lists"] => get(|| names(LISTS.get()?)),
        ["todo", "lists", username] => get(move || lists_of(LISTS.get()?, username)),
        _ => Route::Unknown,
    }
}

fn names(lists: &Lists) -> Answer {
    let names: BTreeSet<_> = lists.values().flat_map(BTreeMap::keys).collect();
    Reply::json(&BTreeMap::from([("lists", names)]))
}

fn lists_of(lists: &Lists, username: &str) -> Answer {
    let lists = lists.get(username).ok_or_else(|| {
        Problem::NotFound(format!("No lists of `{username}`. GET /todo/users names the users."))
    })?;
    Reply::json(lists)
}
