//! The to-do lists of each user.
//!
//! | route | answer | asks |
//! |---|---|---|
//! | `/todo/lists` | the name of every list | |
//! | `/todo/lists/<username>` | the items of each list of a user | |
//! | `/todo/lists/<username>/<list>` | the items of a list: PUT creates or replaces it, DELETE deletes it | PUT: `todo-users` |
//!
//! ```sh
//! curl http://127.0.0.1:3000/todo/lists/saurabh_badhwar/home
//! curl -X PUT --json '["Buy milk"]' http://127.0.0.1:3000/todo/lists/saurabh_badhwar/home
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use service_kit::sibling::encode_segment;
use service_kit::table::ATTEMPTS;
use service_kit::{
    Conditions, DataFile, Problem, Request, Response, Route, Row, Sibling, Table, Value, get,
    service,
};

/// The most lists of a user. With it, the lists of a user stay smaller than what
/// `todo-users` reads of a response.
const MAX_LISTS: u32 = 100;

/// The most items of a list.
const MAX_ITEMS: usize = 1000;

/// The longest item, in characters.
const MAX_ITEM: usize = 1000;

/// The lists of a new database, and all of them where there is no database.
static FILE: DataFile<Lists> = DataFile::new("data/todo/lists.json", serde_json::from_str);

/// `items` is an array in JSON, and `tag` the validator of the response that shows it.
static TABLE: Table = Table::new(
    "todo_lists",
    "CREATE TABLE todo_lists (
        username TEXT NOT NULL,
        name TEXT NOT NULL,
        items TEXT NOT NULL,
        tag TEXT NOT NULL,
        version INTEGER NOT NULL DEFAULT 1,
        PRIMARY KEY (username, name)
    )",
    "INSERT INTO todo_lists (username, name, items, tag)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?)",
    first_rows,
);

static USERS: Sibling = Sibling::new("todo-users", "todo_users_url");

service!(route);

fn route(request: &Request) -> Route<'_> {
    match request.segments()[..] {
        ["todo", "lists"] => get(list_names()),
        ["todo", "lists", username] => get(show_lists_of(username)),
        ["todo", "lists", username, name] => {
            let list = List { username, name };
            get(show(list)).writes(request, &TABLE, replace(request, list), delete(request, list))
        }
        _ => Route::UNKNOWN,
    }
}

async fn list_names() -> Result<Response, Problem> {
    let rows = TABLE.read("SELECT DISTINCT name FROM todo_lists", []).await?;
    let names: BTreeSet<&str> = match &rows {
        Some(rows) => rows.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?,
        None => FILE.read()?.values().flat_map(|lists| lists.keys().map(String::as_str)).collect(),
    };
    Response::json(&BTreeMap::from([("lists", names)]))
}

async fn show_lists_of(username: &str) -> Result<Response, Problem> {
    let none = || {
        Problem::NotFound(format!("`{username}` has no lists. GET /todo/users lists the users."))
    };
    let query = "SELECT name, items FROM todo_lists WHERE username = ?";
    let Some(rows) = TABLE.read(query, [username.into()]).await? else {
        return Response::json(FILE.read()?.get(username).ok_or_else(none)?);
    };
    let lists = rows.iter().map(|row| Ok((row.get::<&str>(0)?, items(row, 1)?)));
    let lists = lists.collect::<Result<BTreeMap<_, _>, Problem>>()?;
    if lists.is_empty() { Err(none()) } else { Response::json(&lists) }
}

async fn show(list: List<'_>) -> Result<Response, Problem> {
    let query = "SELECT items, tag FROM todo_lists WHERE username = ? AND name = ?";
    let Some(rows) = TABLE.read(query, list.key()).await? else {
        let lists = FILE.read()?.get(list.username);
        let items = lists.and_then(|lists| lists.get(list.name));
        return Response::json(items.ok_or_else(|| list.not_found())?);
    };
    let row = rows.first().ok_or_else(|| list.not_found())?;
    Ok(Response::json(&items(row, 0)?)?.with_etag(row.get(1)?))
}

async fn replace(request: &Request, list: List<'_>) -> Result<Response, Problem> {
    let body = request.json().await?;
    let items = check_items(&body)?;
    list.check_user(request).await?;
    let response = Response::json(&items)?;
    let conditions = request.conditions();
    for _ in 0..ATTEMPTS {
        if let Some(is_new) = list.upsert(&items, response.etag(), &conditions).await? {
            return Ok(response.put(list.uri(), is_new));
        }
        let (tag, lists) = list.state().await?;
        conditions.check_write(tag.as_deref())?;
        if tag.is_none() && lists >= MAX_LISTS {
            return Err(Problem::Conflict {
                response: "TooManyLists",
                detail: format!("`{}` has {MAX_LISTS} lists, the most of a user.", list.username),
            });
        }
        // The list has changed since the statement refused it.
    }
    Err(TABLE.contended())
}

async fn delete(request: &Request, list: List<'_>) -> Result<Response, Problem> {
    let conditions = request.conditions();
    for _ in 0..ATTEMPTS {
        if list.delete(&conditions).await? {
            return Ok(Response::no_content());
        }
        let (tag, _) = list.state().await?;
        let tag = tag.ok_or_else(|| list.not_found())?;
        conditions.check_write(Some(&tag))?;
        // The list has changed since the statement refused to delete it.
    }
    Err(TABLE.contended())
}

/// The items in the body of a request.
///
/// # Errors
/// [`Problem::UnprocessableContent`] if it is no array of strings, or too large.
fn check_items(body: &serde_json::Value) -> Result<Vec<&str>, Problem> {
    let error = |detail| Err(Problem::UnprocessableContent(detail));
    let Some(items) = body.as_array() else {
        return error("A list is an array of strings.".into());
    };
    if items.len() > MAX_ITEMS {
        return error(format!(
            "The list has {} items; at most {MAX_ITEMS} are allowed.",
            items.len()
        ));
    }
    let mut texts = Vec::with_capacity(items.len());
    for (number, item) in (1..).zip(items) {
        let Some(text) = item.as_str() else {
            return error(format!("Item {number} of the list is not a string."));
        };
        let length = text.chars().count();
        if length > MAX_ITEM {
            return error(format!(
                "Item {number} of the list has {length} characters; at most {MAX_ITEM} are allowed."
            ));
        }
        texts.push(text);
    }
    Ok(texts)
}

/// The items in the column `column` of `row`.
fn items(row: &Row, column: usize) -> Result<Vec<String>, Problem> {
    let items = serde_json::from_str(row.get(column)?);
    items.map_err(|error| Problem::Internal(format!("the items of a list are malformed: {error}")))
}

/// The rows of a new table: username, name, items and tag of each list.
fn first_rows() -> Result<String, Problem> {
    let mut rows = Vec::new();
    for (username, lists) in FILE.read()? {
        for (name, items) in lists {
            let response = Response::json(items)?;
            rows.push(json!([username, name, json!(items).to_string(), response.etag()]));
        }
    }
    Ok(json!(rows).to_string())
}

/// The items of each list of each user.
type Lists = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// The list `name` of a user.
#[derive(Clone, Copy)]
struct List<'a> {
    username: &'a str,
    name: &'a str,
}

impl List<'_> {
    fn uri(self) -> String {
        format!("/todo/lists/{}/{}", encode_segment(self.username), encode_segment(self.name))
    }

    /// The parameters that identify it in a statement.
    fn key(self) -> [Value; 2] {
        [self.username.into(), self.name.into()]
    }

    /// Asks `todo-users` whether the user exists.
    async fn check_user(self, request: &Request) -> Result<(), Problem> {
        let path = format!("/todo/users/{}", encode_segment(self.username));
        if USERS.has(request, &path).await? {
            return Ok(());
        }
        Err(Problem::NotFound(format!(
            "No user is called `{}`. GET /todo/users lists them all.",
            self.username
        )))
    }

    /// Creates or replaces the list, if `conditions` and the number of lists allow it.
    /// Gives whether it is new, or `None` if it was refused. One statement compares and
    /// writes, so that nobody else changes the list in between.
    async fn upsert(
        self,
        items: &[&str],
        tag: &str,
        conditions: &Conditions,
    ) -> Result<Option<bool>, Problem> {
        // A list that does not exist never meets `If-Match` (?5), and always meets
        // `If-None-Match` (?6).
        let statement = "INSERT INTO todo_lists (username, name, items, tag) SELECT ?1, ?2, ?3, ?4
            WHERE EXISTS (SELECT 1 FROM todo_lists WHERE username = ?1 AND name = ?2)
                OR ?5 IS NULL AND (SELECT count(*) FROM todo_lists WHERE username = ?1) < ?7
            ON CONFLICT (username, name) DO UPDATE
            SET items = excluded.items, tag = excluded.tag, version = version + 1
            WHERE (?5 IS NULL OR EXISTS (SELECT 1 FROM json_each(?5) WHERE type = 'true' OR value = todo_lists.tag))
                AND NOT EXISTS (SELECT 1 FROM json_each(?6) WHERE type = 'true' OR value = todo_lists.tag)
            RETURNING version = 1";
        let [username, name] = self.key();
        let [if_match, if_none_match] = conditions.to_sql();
        let items = json!(items).to_string().into();
        let parameters =
            [username, name, items, tag.into(), if_match, if_none_match, MAX_LISTS.into()];
        let rows = TABLE.write(statement, parameters).await?;
        rows.first().map(|row| row.get(0)).transpose()
    }

    /// Deletes the list, if it exists and `conditions` allow it.
    async fn delete(self, conditions: &Conditions) -> Result<bool, Problem> {
        let statement = "DELETE FROM todo_lists WHERE username = ?1 AND name = ?2
            AND (?3 IS NULL OR EXISTS (SELECT 1 FROM json_each(?3) WHERE type = 'true' OR value = tag))
            AND NOT EXISTS (SELECT 1 FROM json_each(?4) WHERE type = 'true' OR value = tag)
            RETURNING 1";
        let [username, name] = self.key();
        let [if_match, if_none_match] = conditions.to_sql();
        let rows = TABLE.write(statement, [username, name, if_match, if_none_match]).await?;
        Ok(!rows.is_empty())
    }

    /// The tag of the list, if it exists, and how many lists the user has.
    async fn state(self) -> Result<(Option<String>, u32), Problem> {
        let query = "SELECT max(tag) FILTER (WHERE name = ?2), count(*)
            FROM todo_lists WHERE username = ?1";
        let rows = TABLE.read(query, self.key()).await?.unwrap_or_default();
        let Some(row) = rows.first() else { return Ok((None, 0)) };
        // NULL if there is no such list.
        let tag = row.get::<&str>(0).ok();
        Ok((tag.map(str::to_owned), row.get(1)?))
    }

    fn not_found(self) -> Problem {
        let Self { username, name } = self;
        Problem::NotFound(format!(
            "`{username}` has no list `{name}`. GET /todo/lists/<username> shows those of a user."
        ))
    }
}
