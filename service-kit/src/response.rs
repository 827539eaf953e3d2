//! Successful responses.

use std::borrow::Cow;

use http::StatusCode;
use serde::Serialize;

use crate::json::pretty;
use crate::problem::Problem;

/// A response: what a handler returns, and what `service` completes with the
/// headers that all responses share.
#[derive(Debug)]
pub struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(&'static str, Cow<'static, str>)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// 200 with `value` as JSON, indented. Maps are sorted by key; declare the fields
    /// of a struct sorted.
    ///
    /// # Errors
    /// [`Problem::Internal`] if a part of `value` has no form in JSON.
    pub fn json(value: &impl Serialize) -> Result<Self, Problem> {
        let body = pretty(value).map_err(|error| Problem::Internal(error.to_string()))?;
        Ok(Self::new(StatusCode::OK).content("application/json", body))
    }

    /// 200 with plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(StatusCode::OK).content("text/plain; charset=utf-8", text.into().into_bytes())
    }

    /// 200 with an HTML page.
    pub fn html(page: impl Into<String>) -> Self {
        Self::new(StatusCode::OK).content("text/html; charset=utf-8", page.into().into_bytes())
    }

    /// A response without a body.
    pub(crate) fn new(status: StatusCode) -> Self {
        Self { status, headers: Vec::with_capacity(10), body: Vec::new() }
    }

    /// Adds a header. The name must be in lower case.
    pub(crate) fn header(
        mut self,
        name: &'static str,
        value: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Adds a body with its `content-type` and `content-length`.
    ///
    /// WASI does not add the length. Without it, the body is sent chunked and in a
    /// second packet. A client of Spin then gets it 40 ms late, because it delays
    /// its acknowledgement of the first packet.
    pub(crate) fn content(self, content_type: &'static str, body: Vec<u8>) -> Self {
        let response = self
            .header("content-type", content_type)
            .header("content-length", body.len().to_string());
        Self { body, ..response }
    }
}
