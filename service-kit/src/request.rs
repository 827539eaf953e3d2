//! The request that a handler answers.

use std::borrow::Cow;
use std::cell::Cell;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, IF_MATCH, IF_NONE_MATCH,
};
use http::{HeaderName, HeaderValue, Method, Uri};
use percent_encoding::percent_decode_str;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::conditions::Conditions;
use crate::context::Context;
use crate::json::is_json;
use crate::problem::Problem;
use crate::timing::Timing;
use crate::wasi::{self, Body, Headers};

/// The name of the header with the request's id.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The headers that say which trace the request belongs to (W3C Trace Context).
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACE_STATE: HeaderName = HeaderName::from_static("tracestate");

/// The longest path segment, in characters once decoded.
const MAX_SEGMENT: usize = 256;

/// The longest body, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// How long a client may take to send a body, from the first read to the last byte.
const MAX_BODY_TIME: Duration = Duration::from_secs(30);

/// The longest request id that is accepted from a client, in bytes.
const MAX_REQUEST_ID: usize = 128;

/// A request: its method, path, query, headers and body.
///
/// Headers are read when somebody asks for one, because each read is a call of
/// the host.
pub struct Request {
    /// The method.
    pub method: Method,
    /// What the client or this service calls the request in logs: the valid
    /// `X-Request-Id` that came with it, or a random one.
    pub id: String,
    target: Uri,
    segments: Vec<String>,
    headers: Headers,
    body: Cell<Option<Body>>,
    /// When all siblings must have answered; `sibling` sets it when it sends the
    /// first request.
    pub(crate) deadline: Cell<Option<Instant>>,
    pub(crate) timing: Timing,
}

impl Request {
    /// A request for `target`, the path with the query. It has no segments before
    /// [`Request::decode_path`].
    pub fn new(method: Method, target: Uri, headers: Headers, body: Option<Body>) -> Self {
        let given = only_value(headers(&REQUEST_ID));
        Self {
            method,
            id: given.filter(|id| is_request_id(id)).unwrap_or_else(random_id),
            target,
            segments: Vec::new(),
            headers,
            body: Cell::new(body),
            deadline: Cell::new(None),
            timing: Timing::start(),
        }
    }

    /// Decodes the path into [`Request::segments`]. Slashes at both ends are
    /// ignored, as in Spin's router.
    ///
    /// # Errors
    /// [`Problem::bad_request`] if a segment is longer than 256 characters or, once it is
    /// percent-decoded (RFC 3986, section 2.1), not UTF-8, or `.` or `..`, which
    /// clients and proxies remove from a path (section 5.2.4).
    pub fn decode_path(&mut self) -> Result<(), Problem> {
        self.segments = match self.path().trim_matches('/') {
            "" => Vec::new(),
            path => path.split('/').map(decode_segment).collect::<Result<_, _>>()?,
        };
        Ok(())
    }

    /// The path as it was sent.
    pub fn path(&self) -> &str {
        self.target.path()
    }

    /// The segments of the path, decoded: `/users/a%2Fb` is `["users", "a/b"]`.
    pub fn segments(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    /// All values of the query parameter `name`, decoded, in order.
    ///
    /// # Errors
    /// [`Problem::bad_request`] if one is not UTF-8 once it is decoded. The decoder
    /// replaces invalid bytes by U+FFFD, so a value that contains U+FFFD itself is
    /// refused, too.
    pub fn parameters(&self, name: &str) -> Result<Vec<Cow<'_, str>>, Problem> {
        let query = self.target.query().unwrap_or_default();
        let pairs = form_urlencoded::parse(query.as_bytes());
        let values: Vec<_> = pairs.filter(|(key, _)| key == name).map(|(_, value)| value).collect();
        if values.iter().any(|value| value.contains(char::REPLACEMENT_CHARACTER)) {
            return Err(Problem::bad_request(format!(
                "The query parameter `{name}` is not UTF-8 once it is percent-decoded."
            )));
        }
        Ok(values)
    }

    /// The value of the query parameter `name` as a number, or `default`.
    ///
    /// # Errors
    /// [`Problem::bad_request`] if it is not a whole number in `range`, or is
    /// given more than once.
    pub fn number_parameter(
        &self,
        name: &str,
        range: RangeInclusive<usize>,
        default: usize,
    ) -> Result<usize, Problem> {
        let values = self.parameters(name)?;
        let number = match &values[..] {
            [] => return Ok(default),
            // Only digits, because `parse` would accept a sign. A number that is too
            // large counts as the largest one.
            [value] if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(value.parse().unwrap_or(usize::MAX))
            }
            _ => None,
        };
        number.filter(|number| range.contains(number)).ok_or_else(|| {
            let (least, most) = range.into_inner();
            let range = match most {
                usize::MAX => format!("of at least {least}"),
                most => format!("from {least} to {most}"),
            };
            Problem::bad_request(format!(
                "The query parameter `{name}` must be one whole number {range}."
            ))
        })
    }

    /// Whether the request has the header `name`.
    pub(crate) fn has_header(&self, name: &HeaderName) -> bool {
        !(self.headers)(name).is_empty()
    }

    /// The value of the header `name`, if there is one, and only one, in visible ASCII.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<String> {
        only_value((self.headers)(name))
    }

    /// Whether the client names HTML in `Accept`, with a weight that is not below that of
    /// JSON, if it names that. Wildcards don't count: `curl` sends one, too.
    pub fn prefers_html(&self) -> bool {
        let members = self.list_members(&ACCEPT);
        let weight = |media_type| members.iter().find_map(|member| weight(member, media_type));
        let html = weight("text/html").unwrap_or(0.0);
        html > 0.0 && html >= weight("application/json").unwrap_or(0.0)
    }

    /// What `If-Match` and `If-None-Match` demand.
    pub fn conditions(&self) -> Conditions {
        Conditions::new(self.list_members(&IF_MATCH), self.list_members(&IF_NONE_MATCH))
    }

    /// The token of `Authorization: Bearer <token>` (RFC 6750, section 2.1).
    pub fn bearer_token(&self) -> Option<Vec<u8>> {
        let values = (self.headers)(&AUTHORIZATION);
        let [value] = &values[..] else { return None };
        let (scheme, token) = value.as_bytes().split_at_checked(b"Bearer ".len())?;
        scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii().to_vec())
    }

    /// The headers of a request to a sibling: the id, and the trace that its work shall
    /// belong to, as it came.
    pub(crate) fn headers_for_siblings(&self) -> Vec<(HeaderName, Cow<'static, str>)> {
        let mut headers = vec![(REQUEST_ID, self.id.clone().into())];
        for name in [TRACE_PARENT, TRACE_STATE] {
            let values = (self.headers)(&name);
            let texts = values.iter().filter_map(|value| value.to_str().ok());
            headers.extend(texts.map(|text| (name.clone(), text.to_owned().into())));
        }
        headers
    }

    /// What logs, and siblings that are composed with this service, are told about it.
    pub fn context(&self) -> Context {
        Context { request_id: self.id.clone(), traceparent: self.header(&TRACE_PARENT) }
    }

    /// The body, which is a `T` in JSON.
    ///
    /// # Errors
    /// - [`Problem::unsupported_media_type`] if its type is not `application/json`.
    /// - [`Problem::content_too_large`] if it is longer than 64 KiB.
    /// - [`Problem::request_timeout`] if it takes too long.
    /// - [`Problem::bad_request`] with line and column if it is malformed.
    /// - [`Problem::unprocessable_content`] with line and column if it is no `T`.
    pub async fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        if !self.header(&CONTENT_TYPE).is_some_and(|content_type| is_json(&content_type)) {
            return Err(Problem::unsupported_media_type());
        }
        let body = self.read_body().await?;
        let malformed = |error| Problem::bad_request(format!("The body is not JSON: {error}."));
        // What is no JSON is malformed, whatever shape it begins with.
        serde_json::from_slice::<IgnoredAny>(&body).map_err(malformed)?;
        serde_json::from_slice(&body).map_err(|error| match error.is_data() {
            true => {
                Problem::unprocessable_content(format!("The body has the wrong shape: {error}."))
            }
            false => malformed(error),
        })
    }

    async fn read_body(&self) -> Result<Vec<u8>, Problem> {
        let Some(mut body) = self.body.take() else { return Ok(Vec::new()) };
        let length = self.header(&CONTENT_LENGTH).and_then(|length| length.parse().ok());
        let read = wasi::within(MAX_BODY_TIME, body.read(length, MAX_BODY)).await;
        // Without a body that was too slow: its last read was cancelled, so whether it has
        // ended is unknown.
        let read = read.ok_or_else(Problem::request_timeout)?;
        self.body.set(Some(body));
        let content = read.map_err(|error| match wasi::is_timeout(&error) {
            true => Problem::request_timeout(),
            false => Problem::bad_request("The body broke off."),
        })?;
        content.ok_or_else(|| Problem::content_too_large(MAX_BODY))
    }

    /// What nobody has read of the body. Nothing if the client waits for permission to
    /// send it (RFC 9110, section 10.1.1), because reading the body would give that.
    pub(crate) fn into_unread_body(self) -> Option<Body> {
        let body = self.body.take()?;
        (body.is_started || !self.has_header(&EXPECT)).then_some(body)
    }

    /// The members of the header `name`, a comma-separated list (RFC 9110,
    /// section 5.6.1). Bytes that are not UTF-8 are replaced.
    fn list_members(&self, name: &HeaderName) -> Vec<String> {
        let mut members = Vec::new();
        for value in (self.headers)(name) {
            let mut is_quoted = false;
            let text = String::from_utf8_lossy(value.as_bytes());
            let split = text.split(|character| {
                is_quoted ^= character == '"';
                character == ',' && !is_quoted
            });
            members.extend(split.map(|member| member.trim().to_owned()));
        }
        members
    }
}

/// The only one of `values`, if it is visible ASCII.
fn only_value(values: Vec<HeaderValue>) -> Option<String> {
    let [value] = &values[..] else { return None };
    value.to_str().ok().map(str::to_owned)
}

fn decode_segment(segment: &str) -> Result<String, Problem> {
    let problem = |what| Problem::bad_request(format!("A segment of the path {what}."));
    let decoded = percent_decode_str(segment)
        .decode_utf8()
        .map_err(|_| problem("is not UTF-8 once it is percent-decoded"))?;
    if matches!(&*decoded, "." | "..") {
        return Err(problem("is `.` or `..`, which is no name"));
    }
    if decoded.chars().count() > MAX_SEGMENT {
        return Err(problem("is longer than 256 characters"));
    }
    Ok(decoded.into_owned())
}

/// The weight of a member of `Accept` (RFC 9110, section 12.4.2), if it is `media_type`.
fn weight(member: &str, media_type: &str) -> Option<f32> {
    let mut parts = member.split(';').map(str::trim);
    parts.next().filter(|range| range.eq_ignore_ascii_case(media_type))?;
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    Some(weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0)))
}

fn is_request_id(id: &str) -> bool {
    (1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A random number of 64 bits. Each `RandomState` has keys of its own, so the hash
/// of nothing is a different number each time.
fn random_id() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str) -> Result<Request, Problem> {
        with_header(target, "accept", "*/*")
    }

    fn with_header(target: &str, name: &'static str, value: &str) -> Result<Request, Problem> {
        let value: HeaderValue = value.parse().unwrap();
        let header =
            move |asked: &HeaderName| Vec::from_iter((asked == name).then(|| value.clone()));
        let mut request =
            Request::new(Method::GET, target.parse().unwrap(), Box::new(header), None);
        request.decode_path().map(|()| request)
    }

    #[test]
    fn slashes_at_the_ends_of_a_path_change_nothing() {
        for path in ["/movies", "/movies/", "//movies//"] {
            assert_eq!(request(path).unwrap().segments(), ["movies"], "{path}");
        }
        assert!(request("/").unwrap().segments().is_empty());
    }

    #[test]
    fn an_encoded_slash_stays_inside_its_segment() {
        assert_eq!(request("/users/a%2Fb%20c").unwrap().segments(), ["users", "a/b c"]);
    }

    #[test]
    fn a_segment_that_is_not_utf8_too_long_or_dots_is_a_bad_request() {
        for name in ["%FF", ".", "..", "%2e", "%2E%2e", ".%2E"] {
            let path = format!("/movies/{name}");
            assert!(matches!(request(&path), Err(problem) if problem.status == 400), "{name}");
        }
        for character in ["x", "é", "%C3%A9"] {
            let longest = character.repeat(256);
            assert!(request(&format!("/movies/{longest}")).is_ok(), "{character}");
            let longer = request(&format!("/movies/{longest}{character}"));
            assert!(matches!(longer, Err(problem) if problem.status == 400), "{character}");
        }
    }

    #[test]
    fn parameters_are_decoded_and_keep_their_order() {
        let request = request("/movies?id=b&x=%FF&id=a%26+c").unwrap();
        assert_eq!(request.parameters("id").unwrap(), ["b", "a& c"]);
        assert!(matches!(request.parameters("x"), Err(problem) if problem.status == 400));
    }

    #[test]
    fn a_number_has_a_default_a_range_and_one_value() {
        let number = |query: &str| {
            request(&format!("/movies/top?{query}"))
                .unwrap()
                .number_parameter("limit", 1..=100, 3)
                .ok()
        };
        assert_eq!(number(""), Some(3));
        assert_eq!(number("limit=100"), Some(100));
        let bad = ["0", "101", "x", "", "-1", "%2B1", "1&limit=1", "99999999999999999999"];
        for bad in bad.map(|value| format!("limit={value}")) {
            assert_eq!(number(&bad), None, "{bad}");
        }
    }

    #[test]
    fn html_is_preferred_only_by_clients_that_name_it() {
        for (accept, expected) in [
            ("*/*", false),
            ("application/json", false),
            ("text/html", true),
            ("text/html, application/json;q=0.9", true),
            ("text/html;q=0.8, application/json", false),
            ("text/html;q=0", false),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("TEXT/HTML ; Q=0.5", true),
            ("text/html;q=x", false),
            ("", false),
        ] {
            let request = with_header("/", "accept", accept).unwrap();
            assert_eq!(request.prefers_html(), expected, "{accept}");
        }
    }

    #[test]
    fn a_valid_request_id_is_kept_and_any_other_replaced() {
        let id = |id: &str| with_header("/", "x-request-id", id).unwrap().id;
        assert_eq!(id("abc-1"), "abc-1");
        for bad in ["", "a b", &"x".repeat(129)] {
            assert_ne!(id(bad), bad);
        }
        assert_ne!(id(""), id(""), "generated ids differ");
    }
}
