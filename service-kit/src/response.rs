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
    /// 200 with `value` as JSON, indented; see [`pretty`] for the order of keys.
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
    /// WASI does not add the length. Without it the body goes out chunked and in
    /// a second packet, for which a client of Spin waits 40 ms: its delayed
    /// acknowledgement of the first one.
    pub(crate) fn content(self, content_type: &'static str, body: Vec<u8>) -> Self {
        let response = self
            .header("content-type", content_type)
            .header("content-length", body.len().to_string());
        Self { body, ..response }
    }
}
