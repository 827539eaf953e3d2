//! The requests that ask siblings, and siblings that answer as a test wants.

use std::fmt::{self, Display};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use host::{Body, full};
use http::{Method, Request, Response};
use serde_json::Value;
use support::Lines;

use crate::architecture::{component_of, manifest};
use crate::openapi::{Operation, operations};

/// The deadline for siblings that do not finish.
pub const SHORT: Duration = Duration::from_millis(400);

/// How late a response may be after its deadline. Busy machines need that much.
pub const LATE: Duration = Duration::from_millis(1500);

/// A request that asks a sibling.
#[derive(Clone)]
pub struct Call {
    pub path: String,
    pub sibling: &'static str,
    pub operation: Operation,
}

impl Call {
    /// What the client sends. A write changes something each time that it succeeds.
    pub fn request(&self) -> Request<Body> {
        self.operation.request(&self.path)
    }

    /// The status if the sibling is well.
    pub fn success(&self) -> u16 {
        if self.operation.method == Method::GET { 200 } else { 201 }
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operation.method, self.path)
    }
}

/// Every operation that asks siblings, with each of those siblings. A write is for
/// somebody who has no booking and no list yet.
pub fn calls() -> Vec<Call> {
    let calls = operations().flat_map(|operation| {
        let mut path = operation.example.clone();
        if operation.method != Method::GET {
            path = path.replace("dwight_schrute", "michael_scott");
            path = path.replace("saurabh_badhwar", "luckas");
        }
        let asks = operation.asks.clone().into_iter();
        asks.map(move |sibling| Call { path: path.clone(), sibling, operation: operation.clone() })
    });
    calls.collect()
}

/// What the component which answers at `path` has logged: `[<request id>] <message>`, or a
/// line as it is, if that is no JSON object.
pub fn lines_of(path: &str, lines: &Lines) -> Vec<String> {
    let component = format!("{}: ", component_of(&manifest(), path));
    let text = lines.text();
    let own = text.lines().filter_map(|line| line.strip_prefix(&component));
    let event = |line| {
        let event: Value = serde_json::from_str(line).ok()?;
        Some(format!("[{}] {}", event["request_id"].as_str()?, event["message"].as_str()?))
    };
    own.map(|line| event(line).unwrap_or_else(|| line.to_owned())).collect()
}

pub fn now(response: Response<Body>) -> BoxFuture<'static, Response<Body>> {
    std::future::ready(response).boxed()
}

pub fn answer(status: u16, content_type: &str, body: impl Into<Bytes>) -> Response<Body> {
    let response = Response::builder().status(status).header("content-type", content_type);
    response.body(full(body)).expect("a response")
}
