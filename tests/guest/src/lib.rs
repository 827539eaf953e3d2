//! A component that does what its query asks: `?do=<action>&with=<argument>`.

mod sqlite;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures::SinkExt;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use spin_sdk::http::{EmptyBody, FullBody, Request, Response};
use spin_sdk::{http_service, wasip3};

type Body = UnsyncBoxBody<Bytes, anyhow::Error>;

#[http_service]
async fn handle(request: Request) -> Result<Response<Body>> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let query: BTreeMap<_, _> = form_urlencoded::parse(query.as_bytes()).collect();
    // What the query does not say, the environment may.
    let or_environment = |name: &str, variable: &str| match query.get(name) {
        Some(value) => value.to_string(),
        None => std::env::var(variable).unwrap_or_default(),
    };
    let (action, argument) = (or_environment("do", "DO"), or_environment("with", "WITH"));
    let argument = argument.as_str();
    let body = match action.as_str() {
        "show" => show(&request),
        "count" => count().to_string(),
        "environment" => format!("{:?}", std::env::vars().collect::<Vec<_>>()),
        "read" => std::fs::read_to_string(argument)?,
        "write" => format!("{:?}", std::fs::write(argument, "written")),
        "print" => {
            println!("{argument} to stdout");
            eprintln!("{argument} to stderr");
            String::new()
        }
        "log" => {
            eprintln!("{argument}");
            String::new()
        }
        "call" => call(argument).await?,
        "head" => head(argument).await?,
        "meet" => call(&format!("http://hidden.spin.internal/{}", count())).await?,
        "sleep" => {
            eprintln!("sleeping");
            spin_sdk::time::sleep(Duration::from_millis(argument.parse()?)).await;
            count().to_string()
        }
        "open" => sqlite::open(argument).await,
        "execute" => sqlite::execute(argument, false).await?,
        "execute-and-keep" => sqlite::execute(argument, true).await?,
        "rows" => sqlite::rows(argument).await?,
        "unread" => sqlite::unread(argument).await?,
        "connections" => sqlite::connections().await,
        "body" => request.into_body().collect().await?.to_bytes().len().to_string(),
        "read-slowly" => read_slowly(request, argument.parse()?).await?,
        "echo" => return Ok(Response::new(echo(request))),
        "repeat" => return Ok(Response::new(repeat(argument.parse()?))),
        "go-on" => {
            let time = Duration::from_millis(argument.parse()?);
            wasip3::spawn(spin_sdk::time::sleep(time));
            count().to_string()
        }
        "loop" => {
            eprintln!("looping");
            loop {
                std::hint::black_box(());
            }
        }
        "naps" => {
            for _ in 0..argument.parse()? {
                spin_sdk::time::sleep(Duration::from_millis(12)).await;
            }
            String::new()
        }
        "grow" => {
            let mut memory = Vec::new();
            for _ in 0..argument.parse()? {
                memory.push(vec![1_u8; 1 << 20]);
                std::hint::black_box(&memory);
            }
            String::new()
        }
        "panic" => panic!("as asked"),
        "fail" => bail!("as asked"),
        other => bail!("unknown action {other:?}"),
    };
    Ok(Response::new(FullBody::new(body.into()).map_err(|never| match never {}).boxed_unsync()))
}

/// The length of the body, read with a break of `milliseconds` before each part.
async fn read_slowly(request: Request, milliseconds: u64) -> Result<String> {
    let (mut body, mut length) = (request.into_body(), 0);
    loop {
        spin_sdk::time::sleep(Duration::from_millis(milliseconds)).await;
        match body.frame().await {
            Some(frame) => length += frame?.data_ref().map_or(0, Bytes::len),
            None => return Ok(length.to_string()),
        }
    }
}

/// The request's body, each part as soon as it has arrived.
fn echo(request: Request) -> Body {
    request.into_body().map_err(anyhow::Error::from).boxed_unsync()
}

/// A byte each `milliseconds`, for as long as somebody reads.
fn repeat(milliseconds: u64) -> Body {
    let (mut sender, body) = spin_sdk::http::body::stream::<&str>();
    wasip3::spawn(async move {
        while sender.send(".").await.is_ok() {
            spin_sdk::time::sleep(Duration::from_millis(milliseconds)).await;
        }
    });
    body.boxed_unsync()
}

/// How many requests this instance has been given, this one included.
fn count() -> usize {
    static REQUESTS: AtomicUsize = AtomicUsize::new(0);
    REQUESTS.fetch_add(1, Ordering::Relaxed) + 1
}

fn show(request: &Request) -> String {
    let headers = request.headers().iter();
    let headers: Vec<_> = headers
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
        .collect();
    serde_json::json!({ "uri": request.uri().to_string(), "headers": headers }).to_string()
}

/// The status of what `url` answers to HEAD, its `content-length`, and how long its body is.
async fn head(url: &str) -> Result<String> {
    let request = Request::head(url).body(EmptyBody::new())?;
    let response = spin_sdk::http::send(request).await?;
    let length = response.headers().get("content-length").cloned();
    let status = response.status();
    let body = response.into_body().collect().await.context("no body")?.to_bytes();
    Ok(format!("{} {length:?} {}", status.as_u16(), body.len()))
}

/// The status and the body of what `url` answers, or the error.
async fn call(url: &str) -> Result<String> {
    let response = match spin_sdk::http::get(url).await {
        Ok(response) => response,
        Err(error) => return Ok(format!("{error:?}")),
    };
    let status = response.status();
    let body = response.into_body().collect().await.context("no body")?.to_bytes();
    Ok(format!("{} {}", status.as_u16(), String::from_utf8_lossy(&body)))
}
