//! Successful responses.

use std::borrow::Cow;
use std::hash::Hasher;

use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    VARY,
};
use http::{HeaderName, StatusCode};
use serde::Serialize;
use siphasher::sip::SipHasher13;

use crate::json::pretty;
use crate::problem::Problem;

/// A response: what a handler returns, and what `service` completes with the
/// headers that all responses share.
#[derive(Debug)]
pub struct Response {
    pub(crate) status: StatusCode,
    /// In a vector, with values as text: WASI copies them, and a `HeaderMap` would only take
    /// longer.
    pub(crate) headers: Vec<(HeaderName, Cow<'static, str>)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// 200 with `value` as JSON, indented. Maps are sorted by key; declare the fields
    /// of a struct sorted.
    ///
    /// # Errors
    /// [`Problem::internal`] if a part of `value` has no form in JSON.
    pub fn json(value: &(impl Serialize + ?Sized)) -> Result<Self, Problem> {
        Ok(Self::file("application/json", pretty(value).map_err(Problem::internal)?))
    }

    /// 200 with plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::file("text/plain; charset=utf-8", text.into())
    }

    /// 200 with an HTML page, which loads nothing from another origin, contains no script
    /// or style itself, and can't be put into a frame (Content Security Policy Level 3).
    pub fn html(page: impl Into<Vec<u8>>) -> Self {
        let policy =
            "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        Self::file("text/html; charset=utf-8", page).header(CONTENT_SECURITY_POLICY, policy)
    }

    /// 200 with the content of a file of that media type.
    pub fn file(content_type: &'static str, content: impl Into<Vec<u8>>) -> Self {
        let content = content.into();
        let etag = etag(content_type, &content);
        Self::success(StatusCode::OK).content(content_type, content).header(ETAG, etag)
    }

    /// 204: done, and there is nothing to show.
    pub fn no_content() -> Self {
        Self::success(StatusCode::NO_CONTENT)
    }

    /// Says that a request with another `Accept` may get something else.
    pub fn varies_by_accept(self) -> Self {
        self.header(VARY, "accept")
    }

    /// The answer to a PUT of the resource at `uri`, whose new state this response
    /// shows: 201 if it is new.
    ///
    /// RFC 9110, section 9.3.4, allows an `etag` in the response to a PUT only if the
    /// body was stored as it came, because the tag is about what the client sent. Here
    /// it is about what the response shows: `content-location` says that this is what
    /// a GET would get (section 8.7).
    pub fn put(mut self, uri: String, is_new: bool) -> Self {
        self.status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
        self.header(CONTENT_LOCATION, uri)
    }

    /// The strong validator of this response (RFC 9110, section 8.8.3).
    pub fn etag(&self) -> &str {
        let etag = self.headers.iter().find(|(name, _)| name == ETAG);
        etag.map(|(_, etag)| &**etag).unwrap_or_default()
    }

    /// 304: the client has the current version. Without a length: it would have to be that
    /// of the content (RFC 9110, section 8.6).
    pub(crate) fn not_modified(mut self) -> Self {
        self.headers.retain(|(name, _)| [CACHE_CONTROL, ETAG, VARY].contains(name));
        Self { status: StatusCode::NOT_MODIFIED, body: Vec::new(), ..self }
    }

    /// A response that may be cached, but must be revalidated: the data change.
    fn success(status: StatusCode) -> Self {
        Self::new(status).header(CACHE_CONTROL, "no-cache")
    }

    /// A response without a body.
    pub(crate) fn new(status: StatusCode) -> Self {
        Self { status, headers: Vec::with_capacity(12), body: Vec::new() }
    }

    /// Adds a header, whose value must be visible ASCII.
    pub(crate) fn header(mut self, name: HeaderName, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Adds a body with its `content-type` and `content-length`.
    ///
    /// WASI does not add the length. Without it, the body is sent chunked and in a
    /// second packet. A client of Spin then gets it 40 ms late, because it delays
    /// its acknowledgement of the first packet.
    pub(crate) fn content(self, content_type: &'static str, body: Vec<u8>) -> Self {
        let response =
            self.header(CONTENT_TYPE, content_type).header(CONTENT_LENGTH, body.len().to_string());
        Self { body, ..response }
    }
}

/// Different content gets a different tag. The keys of the hash are fixed, so that
/// all instances agree.
fn etag(content_type: &str, body: &[u8]) -> String {
    let mut hasher = SipHasher13::new();
    hasher.write(content_type.as_bytes());
    hasher.write(body);
    format!("\"{:016x}\"", hasher.finish())
}
