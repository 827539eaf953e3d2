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
    Conditions, DataFile, Problem, Request, Response, Route, Sibling, Table, Value, get, parse,
};
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{self, ErrorCode};

/// The most lists of a user. With it, the lists of a user stay smaller than what
/// `todo-users` reads of a response.
const MAX_LISTS: u32 = 100;

/// The most items of a list.
const MAX_ITEMS: usize = 1000;

/// The longest item, in characters.
const MAX_ITEM_LENGTH: usize = 1000;

/// The lists of a new database, and all of them where there is no database.
static FILE: DataFile<Lists> = DataFile::new("data/todo/lists.json", parse);

/// `items` is an array in JSON.
static TABLE: Table = Table::new(
    "todo_lists",
    &[
        &["CREATE TABLE todo_lists (
            username TEXT NOT NULL,
            name TEXT NOT NULL,
            items TEXT NOT NULL,
            tag TEXT NOT NULL,
            version INTEGER NOT NULL DEFAULT 1,
            PRIMARY KEY (username, name)
        )"],
        // Writes compare the items.
        &["ALTER TABLE todo_lists DROP COLUMN tag", "ALTER TABLE todo_lists DROP COLUMN version"],
    ],
    "INSERT INTO todo_lists (username, name, items)
    SELECT user.key, list.key, list.value
    FROM json_each(?) AS user, json_each(user.value) AS list",
    || FILE.json(),
);

static USERS: Sibling = Sibling::new("todo-users", "todo_users_url");

struct Service;

impl Guest for Service {
    async fn handle(request: types::Request) -> Result<types::Response, ErrorCode> {
        service_kit::handle(request, env!("CARGO_PKG_NAME"), route).await
    }
}

wasip3::http::service::export!(Service);

fn route(request: &Request) -> Route<'_> {
    match request.segments()[..] {
        ["todo", "lists"] => get(list_names()),
        ["todo", "lists", username] => get(show_lists_of(username)),
        ["todo", "lists", username, name] => {
            let list = List { username, name };
            get(show_list(list)).put_and_delete(
                request,
                &TABLE,
                replace(request, list),
                delete(request, list),
            )
        }
        _ => Route::NOT_FOUND,
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
    let no_lists = || {
        Problem::not_found(format!("`{username}` has no lists. GET /todo/users lists the users."))
    };
    let query = "SELECT name, items FROM todo_lists WHERE username = ?";
    let Some(rows) = TABLE.read(query, [username.into()]).await? else {
        return Response::json(FILE.read()?.get(username).ok_or_else(no_lists)?);
    };
    let lists = rows
        .iter()
        .map(|row| Ok((row.get::<&str>(0)?, parse_items(row.get(1)?)?)))
        .collect::<Result<BTreeMap<_, _>, Problem>>()?;
    if lists.is_empty() { Err(no_lists()) } else { Response::json(&lists) }
}

async fn show_list(list: List<'_>) -> Result<Response, Problem> {
    let items = list.items().await?.ok_or_else(|| list.not_found())?;
    Response::json(&parse_items(&items)?)
}

async fn replace(request: &Request, list: List<'_>) -> Result<Response, Problem> {
    let items: Vec<String> = request.json().await?;
    check_items(&items)?;
    list.check_user(request).await?;
    let (response, items) = (Response::json(&items)?, json!(items).to_string());
    let conditions = request.conditions();
    for _ in 0..ATTEMPTS {
        let is_new = if conditions.are_absent() {
            list.put(&items).await?
        } else {
            list.put_if(&conditions, &items).await?
        };
        if let Some(is_new) = is_new {
            return Ok(response.put(list.uri(), is_new));
        }
        // Somebody else has changed, created or deleted the list meanwhile.
    }
    Err(TABLE.changed_too_often())
}

async fn delete(request: &Request, list: List<'_>) -> Result<Response, Problem> {
    let conditions = request.conditions();
    if conditions.are_absent() {
        let is_deleted = list.delete(None).await?;
        return if is_deleted { Ok(Response::no_content()) } else { Err(list.not_found()) };
    }
    for _ in 0..ATTEMPTS {
        let old = list.items().await?.ok_or_else(|| list.not_found())?;
        conditions.check_write(Some(Response::json(&parse_items(&old)?)?.etag()))?;
        if list.delete(Some(&old)).await? {
            return Ok(Response::no_content());
        }
        // Somebody else has changed or deleted the list meanwhile.
    }
    Err(TABLE.changed_too_often())
}

/// Checks the size of a list.
fn check_items(items: &[String]) -> Result<(), Problem> {
    let error = |detail| Err(Problem::unprocessable_content(detail));
    if items.len() > MAX_ITEMS {
        let count = items.len();
        return error(format!("The list has {count} items; at most {MAX_ITEMS} are allowed."));
    }
    let mut lengths = (1..).zip(items.iter().map(|item| item.chars().count()));
    match lengths.find(|(_, length)| *length > MAX_ITEM_LENGTH) {
        None => Ok(()),
        Some((number, length)) => error(format!(
            "Item {number} of the list has {length} characters; at most {MAX_ITEM_LENGTH} are allowed."
        )),
    }
}

/// The items of a list in the database.
fn parse_items(items: &str) -> Result<Vec<String>, Problem> {
    let items = serde_json::from_str(items);
    items.map_err(|error| Problem::internal(format!("the items of a list are malformed: {error}")))
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
        if USERS.exists(request, &path).await? {
            return Ok(());
        }
        Err(Problem::not_found(format!(
            "No user is called `{}`. GET /todo/users lists them all.",
            self.username
        )))
    }

    /// The items in JSON, if there is such a list.
    async fn items(self) -> Result<Option<String>, Problem> {
        let query = "SELECT items FROM todo_lists WHERE username = ? AND name = ?";
        if let Some(rows) = TABLE.read(query, self.key()).await? {
            return rows.first().map(|row| Ok(row.get::<&str>(0)?.to_owned())).transpose();
        }
        let lists = FILE.read()?.get(self.username);
        Ok(lists.and_then(|lists| lists.get(self.name)).map(|items| json!(items).to_string()))
    }

    /// Creates or replaces the list, whatever it is. Gives whether it is new, or `None` if
    /// somebody else has created it meanwhile.
    async fn put(self, items: &str) -> Result<Option<bool>, Problem> {
        if self.update(None, items).await? { Ok(Some(false)) } else { self.insert(items).await }
    }

    /// The same, if `conditions` allow it. They are checked here, and the list is written
    /// only if it is still as it was then; `None` if it is not.
    async fn put_if(self, conditions: &Conditions, items: &str) -> Result<Option<bool>, Problem> {
        let Some(old) = self.items().await? else {
            conditions.check_write(None)?;
            return self.insert(items).await;
        };
        conditions.check_write(Some(Response::json(&parse_items(&old)?)?.etag()))?;
        Ok(self.update(Some(&old), items).await?.then_some(false))
    }

    /// Replaces the list, if there is one with the items `old`; `None` stands for any items.
    async fn update(self, old: Option<&str>, items: &str) -> Result<bool, Problem> {
        let statement = "UPDATE todo_lists SET items = ?4
            WHERE username = ?1 AND name = ?2 AND (?3 IS NULL OR items = ?3) RETURNING 1";
        let [username, name] = self.key();
        let old = old.map_or(Value::Null, Value::from);
        Ok(!TABLE.write(statement, [username, name, old, items.into()]).await?.is_empty())
    }

    /// Creates the list. `None` if somebody else has done so meanwhile.
    ///
    /// # Errors
    /// [`Problem::conflict`] if the user has [`MAX_LISTS`].
    async fn insert(self, items: &str) -> Result<Option<bool>, Problem> {
        let statement = "INSERT INTO todo_lists (username, name, items) SELECT ?1, ?2, ?3
            WHERE (SELECT count(*) FROM todo_lists WHERE username = ?1) < ?4
            ON CONFLICT DO NOTHING RETURNING 1";
        let [username, name] = self.key();
        let parameters = [username, name, items.into(), MAX_LISTS.into()];
        if !TABLE.write(statement, parameters).await?.is_empty() {
            return Ok(Some(true));
        }
        let query = "SELECT count(*) FILTER (WHERE name = ?2), count(*)
            FROM todo_lists WHERE username = ?1";
        let rows = TABLE.read(query, self.key()).await?.unwrap_or_default();
        let (same, lists): (u32, u32) =
            rows.first().map_or(Ok((0, 0)), |row| Ok((row.get(0)?, row.get(1)?)))?;
        if same == 0 && lists >= MAX_LISTS {
            let detail = format!("`{}` has {MAX_LISTS} lists, the most of a user.", self.username);
            return Err(Problem::conflict("TooManyLists", detail));
        }
        Ok(None)
    }

    /// Deletes the list, if there is one with the items `old`; `None` stands for any items.
    async fn delete(self, old: Option<&str>) -> Result<bool, Problem> {
        let statement = "DELETE FROM todo_lists
            WHERE username = ?1 AND name = ?2 AND (?3 IS NULL OR items = ?3) RETURNING 1";
        let [username, name] = self.key();
        let old = old.map_or(Value::Null, Value::from);
        Ok(!TABLE.write(statement, [username, name, old]).await?.is_empty())
    }

    fn not_found(self) -> Problem {
        let Self { username, name } = self;
        Problem::not_found(format!(
            "`{username}` has no list `{name}`. GET /todo/lists/<username> shows those of a user."
        ))
    }
}
