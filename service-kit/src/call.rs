//! The request as handlers see it.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::RangeInclusive;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use http::header::{ACCEPT, HeaderName, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Method, Uri};
use percent_encoding::percent_decode_str;

use crate::Problem;

/// The longest path segment that is looked at, in bytes after decoding. No
/// name in the data comes near it.
const MAX_SEGMENT: usize = 256;

/// The longest request id that is taken over from a caller, in bytes.
const MAX_REQUEST_ID: usize = 128;

/// Names a request in the logs of all services that it goes through.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What of a request can change the answer to it.
///
/// Its body and its other headers are not looked at.
#[derive(Debug)]
pub struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) request_id: HeaderValue,
    segments: Vec<String>,
    query: String,
}

impl Call {
    /// A call with everything but its segments, which [`Call::decode`] fills in.
    pub fn new(method: Method, uri: &Uri, headers: HeaderMap) -> Self {
        let given = headers.get(REQUEST_ID).filter(|id| is_request_id(id)).cloned();
        Self {
            method,
            path: uri.path().to_owned(),
            request_id: given.unwrap_or_else(new_request_id),
            headers,
            segments: Vec::new(),
            query: uri.query().unwrap_or_default().to_owned(),
        }
    }

    /// Decodes the path. Slashes at both ends are ignored, as Spin's router
    /// does.
    ///
    /// # Errors
    /// [`Problem::BadRequest`] for a segment that is not UTF-8 once decoded
    /// (RFC 3986, section 2.1), or is longer than 256 bytes.
    pub fn decode(&mut self) -> Result<(), Problem> {
        self.segments = match self.path.trim_matches('/') {
            "" => Vec::new(),
            path => path.split('/').map(decode).collect::<Result<_, _>>()?,
        };
        Ok(())
    }

    /// The path's segments, percent-decoded: `/users/a%2Fb` is `["users", "a/b"]`.
    pub fn segments(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    /// Every value that the query gives to `name`, decoded, in their order.
    ///
    /// # Errors
    /// [`Problem::BadRequest`] where one is not UTF-8 once decoded, or has the
    /// character that stands for what is not (U+FFFD).
    pub fn parameters(&self, name: &str) -> Result<Vec<Cow<'_, str>>, Problem> {
        let pairs = form_urlencoded::parse(self.query.as_bytes());
        let values: Vec<_> = pairs.filter(|(key, _)| key == name).map(|(_, value)| value).collect();
        if values.iter().any(|value| value.contains(char::REPLACEMENT_CHARACTER)) {
            return Err(Problem::BadRequest(format!(
                "The query parameter `{name}` is not UTF-8 once it is percent-decoded."
            )));
        }
        Ok(values)
    }

    /// The number that the query gives to `name`, or `default`.
    ///
    /// # Errors
    /// [`Problem::BadRequest`] where it is no number, lies outside of `range`,
    /// or is given more than once.
    pub fn number(
        &self,
        name: &str,
        range: RangeInclusive<u64>,
        default: u64,
    ) -> Result<u64, Problem> {
        let values = self.parameters(name)?;
        let number = match &values[..] {
            [] => return Ok(default),
            // Digits alone: `parse` would take a sign too. What is too large for
            // any number is larger than all that there is to count.
            [value] if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(value.parse().unwrap_or(u64::MAX))
            }
            _ => None,
        };
        number.filter(|number| range.contains(number)).ok_or_else(|| {
            let (least, most) = range.into_inner();
            let range = match most {
                u64::MAX => format!("of at least {least}"),
                most => format!("from {least} to {most}"),
            };
            Problem::BadRequest(format!(
                "The query parameter `{name}` must be one whole number {range}."
            ))
        })
    }

    /// Whether the client would rather have HTML than JSON: it says so, and
    /// gives JSON no higher weight (RFC 9110, section 12.5.1).
    pub fn prefers_html(&self) -> bool {
        let accepted = self.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let accepted: Vec<_> =
            accepted.flat_map(|value| value.split(',')).map(media_range).collect();
        // Of the ranges that stand for a type, the most specific one counts.
        let weight = |ranges: &[&str]| {
            let mut found = ranges.iter().filter_map(|range| {
                accepted.iter().find(|(accepted, _)| accepted == range).map(|(_, weight)| *weight)
            });
            found.next().unwrap_or(0.0)
        };
        let html = weight(&["text/html", "text/*"]);
        let json = weight(&["application/json", "application/*", "*/*"]);
        html > 0.0 && html >= json
    }

    /// Whether the client has the content of `etag` already (RFC 9110, section
    /// 13.1.2).
    pub fn has(&self, etag: &str) -> bool {
        let fields = self.headers.get_all(IF_NONE_MATCH).iter();
        let mut fields = fields.filter_map(|field| field.to_str().ok()).map(str::trim);
        fields.any(|field| {
            let mut tags = field.split(',').map(str::trim);
            field == "*" || tags.any(|tag| tag.strip_prefix("W/").unwrap_or(tag) == etag)
        })
    }

    /// Writes a line to the log that says which request it is about.
    pub(crate) fn log(&self, line: std::fmt::Arguments<'_>) {
        let id = self.request_id.to_str().unwrap_or_default();
        eprintln!("[{id}] {} {}: {line}", self.method, self.path);
    }
}

fn decode(segment: &str) -> Result<String, Problem> {
    let decoded = percent_decode_str(segment).decode_utf8().map_err(|_| {
        Problem::BadRequest("A segment of the path is not UTF-8 once it is percent-decoded.".into())
    })?;
    if decoded.len() > MAX_SEGMENT {
        return Err(Problem::BadRequest(format!(
            "A segment of the path is longer than {MAX_SEGMENT} bytes."
        )));
    }
    Ok(decoded.into_owned())
}

/// A media range of an `Accept` header, and its weight.
fn media_range(range: &str) -> (String, f32) {
    let mut parts = range.split(';').map(str::trim);
    let range = parts.next().unwrap_or_default().to_ascii_lowercase();
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    (range, weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0)))
}

fn is_request_id(id: &HeaderValue) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_graphic();
    (1..=MAX_REQUEST_ID).contains(&id.len()) && id.as_bytes().iter().all(is_plain)
}

/// The instance, by a random number, and which of its requests this is.
fn new_request_id() -> HeaderValue {
    static INSTANCE: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());
    static REQUESTS: AtomicU64 = AtomicU64::new(0);
    let request = REQUESTS.fetch_add(1, Ordering::Relaxed) + 1;
    let id = format!("{:016x}-{request}", *INSTANCE);
    HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(uri: &str) -> Result<Call, Problem> {
        with_header(uri, ACCEPT, "*/*")
    }

    fn with_header(uri: &str, name: HeaderName, value: &str) -> Result<Call, Problem> {
        let headers = HeaderMap::from_iter([(name, value.parse().expect("a header value"))]);
        let mut call = Call::new(Method::GET, &uri.parse().expect("a URI"), headers);
        call.decode().map(|()| call)
    }

    #[test]
    fn slashes_at_the_ends_of_a_path_change_nothing() {
        for path in ["/movies", "/movies/", "//movies//"] {
            assert_eq!(call(path).unwrap().segments(), ["movies"], "{path}");
        }
        assert!(call("/").unwrap().segments().is_empty());
    }

    #[test]
    fn an_encoded_slash_stays_inside_its_segment() {
        assert_eq!(call("/users/a%2Fb%20c").unwrap().segments(), ["users", "a/b c"]);
    }

    #[test]
    fn a_segment_that_is_not_utf8_or_too_long_is_a_bad_request() {
        assert!(matches!(call("/movies/%FF"), Err(Problem::BadRequest(_))));
        let longest = "x".repeat(256);
        assert!(call(&format!("/movies/{longest}")).is_ok());
        assert!(matches!(call(&format!("/movies/{longest}x")), Err(Problem::BadRequest(_))));
    }

    #[test]
    fn parameters_are_decoded_and_keep_their_order() {
        let call = call("/movies?id=b&x=%FF&id=a%26+c").unwrap();
        assert_eq!(call.parameters("id").unwrap(), ["b", "a& c"]);
        assert!(matches!(call.parameters("x"), Err(Problem::BadRequest(_))));
    }

    #[test]
    fn a_number_has_a_default_a_range_and_one_value() {
        let number = |query: &str| {
            call(&format!("/movies/top?{query}")).unwrap().number("limit", 1..=100, 3).ok()
        };
        assert_eq!(number(""), Some(3));
        assert_eq!(number("limit=100"), Some(100));
        let bad = ["0", "101", "x", "", "-1", "%2B1", "1&limit=1", "99999999999999999999"];
        for bad in bad.map(|value| format!("limit={value}")) {
            assert_eq!(number(&bad), None, "{bad}");
        }
    }

    #[test]
    fn html_is_for_those_who_ask_for_it() {
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
            let call = with_header("/", ACCEPT, accept).unwrap();
            assert_eq!(call.prefers_html(), expected, "{accept}");
        }
    }

    #[test]
    fn a_content_is_had_by_its_tag_weak_or_in_a_list_or_by_a_star() {
        for (tags, expected) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("*", true),
            ("\"x,*,y\"", false),
            ("\"b\"", false),
            ("a", false),
            ("", false),
        ] {
            let call = with_header("/", IF_NONE_MATCH, tags).unwrap();
            assert_eq!(call.has("\"a\""), expected, "{tags}");
        }
    }

    #[test]
    fn a_request_id_is_taken_over_if_it_is_one() {
        let id = |id: &str| with_header("/", REQUEST_ID, id).unwrap().request_id;
        assert_eq!(id("abc-1"), "abc-1");
        for bad in ["", "a b", &"x".repeat(129)] {
            assert_ne!(id(bad), bad);
        }
        assert_ne!(id(""), id(""), "made ids differ");
    }
}
