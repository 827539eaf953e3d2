//! The request as handlers see it.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::RangeInclusive;
use std::sync::LazyLock;

use http::Method;
use percent_encoding::percent_decode_str;

use crate::Problem;
use crate::wasi::End;

/// The longest path segment that is looked at, in bytes after decoding. No
/// name in the data comes near it.
const MAX_SEGMENT: usize = 256;

/// The longest request id that is taken over from a caller, in bytes.
const MAX_REQUEST_ID: usize = 128;

/// Names a request in the logs of all services that it goes through.
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// The values of a header, by its name in lower case.
type Header = Box<dyn Fn(&str) -> Vec<Vec<u8>>>;

/// What of a request can change the answer to it.
///
/// Its body is not looked at, and of its headers only those that somebody asks
/// for: each of them is a call of the host.
pub struct Call {
    pub(crate) method: Method,
    /// The path with the query.
    pub(crate) target: String,
    pub(crate) request_id: String,
    segments: Vec<String>,
    /// Siblings that were asked and have not answered yet.
    asked: RefCell<Vec<&'static str>>,
    /// The end of the answer that came last.
    end: RefCell<Option<End>>,
    header: Header,
}

impl Call {
    /// A call with everything but its segments, which [`Call::decode`] fills in.
    ///
    /// `target` is the path with the query, and `header` gives the values of a
    /// header by its name in lower case.
    pub fn new(
        method: Method,
        target: &str,
        header: impl Fn(&str) -> Vec<Vec<u8>> + 'static,
    ) -> Self {
        let given = header(REQUEST_ID).into_iter().next();
        let given = given.and_then(|id| String::from_utf8(id).ok()).filter(|id| is_request_id(id));
        Self {
            method,
            target: target.to_owned(),
            request_id: given.unwrap_or_else(new_request_id),
            segments: Vec::new(),
            asked: RefCell::default(),
            end: RefCell::default(),
            header: Box::new(header),
        }
    }

    /// Decodes the path. Slashes at both ends are ignored, as Spin's router
    /// does.
    ///
    /// # Errors
    /// [`Problem::BadRequest`] for a segment that is not UTF-8 once decoded
    /// (RFC 3986, section 2.1), or is longer than 256 bytes.
    pub fn decode(&mut self) -> Result<(), Problem> {
        self.segments = match self.path().trim_matches('/') {
            "" => Vec::new(),
            path => path.split('/').map(decode).collect::<Result<_, _>>()?,
        };
        Ok(())
    }

    /// The path as it was sent.
    pub(crate) fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _)| path)
    }

    fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
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
        let pairs = form_urlencoded::parse(self.query().as_bytes());
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
        let fields = self.header("accept");
        let accepted: Vec<_> =
            fields.iter().flat_map(|field| field.split(',')).map(media_range).collect();
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
        self.header("if-none-match").iter().map(|field| field.trim()).any(|field| {
            let mut tags = field.split(',').map(str::trim);
            field == "*" || tags.any(|tag| tag.strip_prefix("W/").unwrap_or(tag) == etag)
        })
    }

    /// The values of the header `name` that are text.
    fn header(&self, name: &str) -> Vec<String> {
        let fields = (self.header)(name).into_iter();
        fields.filter_map(|field| String::from_utf8(field).ok()).collect()
    }

    /// Whether the request has the header `name`.
    pub(crate) fn has_header(&self, name: &str) -> bool {
        !(self.header)(name).is_empty()
    }

    /// Notes that `sibling` was asked.
    pub(crate) fn note_asked(&self, sibling: &'static str) {
        self.asked.borrow_mut().push(sibling);
    }

    /// Notes that `sibling` has answered.
    pub(crate) fn note_answered(&self, sibling: &'static str) {
        let mut asked = self.asked.borrow_mut();
        if let Some(place) = asked.iter().position(|asked| *asked == sibling) {
            asked.remove(place);
        }
    }

    /// Keeps the end of a sibling's answer, if it is still to come, instead of
    /// the one before it.
    pub(crate) fn keep_end(&self, end: Option<End>) {
        if end.is_some() {
            *self.end.borrow_mut() = end;
        }
    }

    /// The end of the answer that came last, if it is still to come.
    pub(crate) fn take_end(&self) -> Option<End> {
        self.end.borrow_mut().take()
    }

    /// The sibling that was asked first of those that have not answered; a handler
    /// that is not done waits for one.
    pub(crate) fn first_open(&self) -> &'static str {
        self.asked.borrow().first().copied().unwrap_or_default()
    }

    /// Writes a line to the log that says which request it is about.
    pub(crate) fn log(&self, line: std::fmt::Arguments<'_>) {
        eprintln!("[{}] {} {}: {line}", self.request_id, self.method, self.path());
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

fn is_request_id(id: &str) -> bool {
    (1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The instance, by a random number, and which of its requests this is.
fn new_request_id() -> String {
    static INSTANCE: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());
    thread_local! { static REQUESTS: Cell<u64> = const { Cell::new(0) } }
    let request = REQUESTS.get() + 1;
    REQUESTS.set(request);
    format!("{:016x}-{request}", *INSTANCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(target: &str) -> Result<Call, Problem> {
        with_header(target, "accept", "*/*")
    }

    fn with_header(target: &str, name: &'static str, value: &str) -> Result<Call, Problem> {
        let value = value.as_bytes().to_vec();
        let header = move |asked: &str| Vec::from_iter((asked == name).then(|| value.clone()));
        let mut call = Call::new(Method::GET, target, header);
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
            let call = with_header("/", "accept", accept).unwrap();
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
            let call = with_header("/", "if-none-match", tags).unwrap();
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
