//! The successful answer.

use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::ser::PrettyFormatter;
use spin_sdk::http::FullBody;

use crate::Problem;
use crate::route::Response;

/// What a handler gives back.
pub type Answer = Result<Reply, Problem>;

/// A status, a body and what the body is.
#[derive(Debug)]
pub struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) allow: Option<&'static str>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// 200 with `value` as [`pretty`] JSON.
    ///
    /// # Errors
    /// [`Problem::Internal`] for a value that has no form in JSON.
    pub fn json(value: &impl Serialize) -> Answer {
        Ok(Self::ok("application/json", pretty(value)?))
    }

    /// 200 with plain text.
    pub fn text(text: impl Into<String>) -> Reply {
        Self::ok("text/plain; charset=utf-8", text.into().into_bytes())
    }

    fn ok(content_type: &'static str, body: Vec<u8>) -> Self {
        Self { status: StatusCode::OK, content_type, allow: None, body }
    }

    /// The body, as bytes.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

impl From<Reply> for Response {
    /// Sets `content-length`, which the SDK does not: without it HTTP/1.1 is
    /// chunked and goes out in two writes, and a client that keeps the
    /// connection waits for the delayed acknowledgement of the first.
    fn from(reply: Reply) -> Response {
        let length = reply.body.len();
        let mut response = Response::new(FullBody::new(reply.body.into()));
        *response.status_mut() = reply.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
        headers.insert(CONTENT_LENGTH, length.into());
        if let Some(methods) = reply.allow {
            headers.insert(ALLOW, HeaderValue::from_static(methods));
        }
        response
    }
}

/// JSON as people read it: keys sorted, indented by four spaces, ending in a
/// newline.
///
/// # Errors
/// [`Problem::Internal`] for a value that has no form in JSON.
pub fn pretty(value: &impl Serialize) -> Result<Vec<u8>, Problem> {
    // Through `Value`, whose objects are sorted maps.
    let write = || {
        let mut body = Vec::new();
        let formatter = PrettyFormatter::with_indent(b"    ");
        let mut writer = serde_json::Serializer::with_formatter(&mut body, formatter);
        serde_json::to_value(value)?.serialize(&mut writer)?;
        body.push(b'\n');
        Ok(body)
    };
    write().map_err(|error: serde_json::Error| Problem::Internal(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_sorted_indented_by_four_and_ends_in_a_newline() {
        #[derive(Serialize)]
        struct Movie {
            title: &'static str,
            rating: serde_json::Number,
        }
        let movie = Movie { title: "Creed", rating: "8.80".parse().unwrap() };
        let body = Reply::json(&[movie]).unwrap().body;
        let expected =
            "[\n    {\n        \"rating\": 8.80,\n        \"title\": \"Creed\"\n    }\n]\n";
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }
}
