//! What the component does with its database.

use anyhow::Result;
use futures::future::{join_all, try_join_all};
use serde_json::{Value as Json, json};
use spin_sdk::sqlite::{Connection, Value};

/// The number of a connection, a statement to execute on it, and its parameters.
type Statement = (usize, String, Vec<Json>);

/// How opening the database `label` went.
pub async fn open(label: &str) -> String {
    format!("{:?}", Connection::open(label).await.map(drop))
}

/// Executes `script`, and gives what became of each statement. A script consists of
/// steps, one after the other, and a step of statements at the same time. If `keep`,
/// the connections stay open for as long as the instance lives.
pub async fn execute(script: &str, keep: bool) -> Result<String> {
    let steps: Vec<Vec<Statement>> = serde_json::from_str(script)?;
    let mut connections = Vec::new();
    for _ in 0..=steps.iter().flatten().map(|statement| statement.0).max().unwrap_or(0) {
        connections.push(Connection::open_default().await?);
    }
    let mut outcomes = Vec::new();
    for step in steps {
        let step = step.into_iter().map(|(connection, statement, parameters)| {
            outcome(&connections[connection], statement, parameters)
        });
        outcomes.extend(try_join_all(step).await?);
    }
    if keep {
        std::mem::forget(connections);
    }
    Ok(Json::from(outcomes).to_string())
}

async fn outcome(
    connection: &Connection,
    statement: String,
    parameters: Vec<Json>,
) -> Result<Json> {
    let start = std::time::Instant::now();
    // Like Spin, the host gives an error of the statement as its result, not here.
    let mut found = connection.execute(statement, parameters.into_iter().map(value)).await?;
    let columns = found.columns().to_vec();
    let mut rows = Vec::new();
    while let Some(row) = found.next().await {
        rows.push(row.values.into_iter().map(json).collect::<Vec<_>>());
    }
    let error = found.result().await.err().map(|error| format!("{error:?}"));
    Ok(json!({
        "columns": columns,
        "rows": rows,
        "error": error,
        "seconds": start.elapsed().as_secs_f64(),
        "changes": connection.changes().await,
        "last_insert_rowid": connection.last_insert_rowid().await,
    }))
}

fn value(json: Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::String(text) => Value::Text(text),
        Json::Array(bytes) => {
            let bytes =
                bytes.iter().map(|byte| byte.as_u64().and_then(|byte| byte.try_into().ok()));
            Value::Blob(bytes.collect::<Option<_>>().expect("bytes"))
        }
        json => match json.as_i64() {
            Some(integer) => Value::Integer(integer),
            None => Value::Real(json.as_f64().expect("a number")),
        },
    }
}

fn json(value: Value) -> Json {
    match value {
        Value::Integer(integer) => integer.into(),
        Value::Real(real) => real.into(),
        Value::Text(text) => text.into(),
        Value::Blob(bytes) => bytes.into(),
        Value::Null => Json::Null,
    }
}

/// How many rows `statement` gives, and how it ends. It keeps none of them.
pub async fn rows(statement: &str) -> Result<String> {
    let connection = Connection::open_default().await?;
    let mut found = connection.execute(statement, []).await?;
    let mut count = 0;
    while found.next().await.is_some() {
        count += 1;
    }
    Ok(format!("{count} rows, {:?}", found.result().await))
}

/// Executes `statement` again on the same connection before it reads the rows of the
/// first time, and a third time without reading them at all. Gives how many there were.
pub async fn unread(statement: &str) -> Result<String> {
    let connection = Connection::open_default().await?;
    let first = connection.execute(statement, []).await?;
    let second = connection.execute(statement, []).await?.collect().await?;
    drop(connection.execute(statement, []).await?);
    Ok(format!("{} and {}", second.len(), first.collect().await?.len()))
}

/// Executes `statement` on a hundred connections, reads no row, and gives how often that
/// succeeded and the first error.
pub async fn pile(statement: &str) -> Result<String> {
    let mut unread = Vec::new();
    for _ in 0..100 {
        let connection = Connection::open_default().await?;
        unread.push((connection.execute(statement, []).await?, connection));
    }
    let results = join_all(unread.into_iter().map(|(found, _)| found.result())).await;
    let successes = results.iter().filter(|result| result.is_ok()).count();
    Ok(format!("{successes}, {:?}", results.into_iter().find_map(Result::err)))
}

/// Opens connections until that fails, then closes one, and opens another.
pub async fn connections() -> String {
    let mut open = Vec::new();
    let mut error = None;
    while error.is_none() && open.len() < 1000 {
        match Connection::open_default().await {
            Ok(connection) => open.push(connection),
            Err(refused) => error = Some(refused),
        }
    }
    let count = open.len();
    open.pop();
    let another = Connection::open_default().await.map(drop);
    format!("{count}, {error:?}, {another:?}")
}
