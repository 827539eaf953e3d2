//! A component that does what its query asks: `?do=<action>&with=<argument>`.

mod sqlite;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures::SinkExt;
use futures::future::try_join_all;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use spin_sdk::http::{EmptyBody, FullBody, Request, Response};
use spin_sdk::wasip3::http::types::RequestOptions;
use spin_sdk::wasip3::http_compat::RequestOptionsExtension;
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
        "call-at-once" => call_at_once(argument).await?,
        "call-in-time" => call_in_time(argument).await?,
        "call-oneself" => call_oneself().await?,
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
        "pile" => sqlite::pile(argument).await?,
        "resources" => resources(argument.parse()?),
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

/// What each of some calls gives, which run at the same time. `argument` is their number and
/// a URL.
async fn call_at_once(argument: &str) -> Result<String> {
    let (number, url) = argument.split_once(' ').context("a number and a URL")?;
    let calls = (0..number.parse()?).map(|_| call(url));
    Ok(try_join_all(calls).await?.join(", "))
}

/// What a call gives within the time-outs of `argument`, in milliseconds: for the
/// connection, for the first byte, between two bytes. The URL follows.
async fn call_in_time(argument: &str) -> Result<String> {
    let mut parts = argument.split(' ');
    let options = RequestOptions::new();
    for set in [
        RequestOptions::set_connect_timeout,
        RequestOptions::set_first_byte_timeout,
        RequestOptions::set_between_bytes_timeout,
    ] {
        let milliseconds: u64 = parts.next().context("a time-out")?.parse()?;
        set(&options, Some(milliseconds * 1_000_000)).expect("supported");
    }
    let mut request = Request::get(parts.next().context("a URL")?).body(EmptyBody::new())?;
    request.extensions_mut().insert(RequestOptionsExtension(options));
    let response = match spin_sdk::http::send(request).await {
        Ok(response) => response,
        Err(error) => return Ok(format!("{error:?}")),
    };
    Ok(match response.into_body().collect().await {
        Ok(body) => format!("{} bytes", body.to_bytes().len()),
        Err(error) => format!("after the response: {error:?}"),
    })
}

/// How often the component can call itself before it gets no answer.
async fn call_oneself() -> Result<String> {
    let answer = call("http://self.alt/guest?do=call-oneself").await?;
    let depth: u32 = answer.strip_prefix("200 ").map_or(Ok(0), str::parse)?;
    Ok((depth + 1).to_string())
}

/// Makes `number` resources that the host keeps.
fn resources(number: usize) -> String {
    let kept: Vec<_> = (0..number).map(|_| RequestOptions::new()).collect();
    kept.len().to_string()
}
