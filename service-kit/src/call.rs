//! The request as handlers see it.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::str::FromStr;

use http::Uri;
use percent_encoding::percent_decode_str;

use crate::Problem;

/// The longest path segment that is looked at, in bytes after decoding. No
/// name in the data comes near it.
const MAX_SEGMENT: usize = 256;

/// A request's path and query.
///
/// Nothing else of a request changes what these services answer.
#[derive(Debug)]
pub struct Call {
    segments: Vec<String>,
    query: String,
}

impl Call {
    /// Reads `uri`, of which only path and query count.
    ///
    /// Slashes at both ends of the path are ignored, as Spin's router does.
    ///
    /// # Errors
    /// [`Problem::BadRequest`] for a segment that is not UTF-8 once decoded
    /// (RFC 3986, section 2.1), or is longer than 256 bytes.
    pub fn new(uri: &Uri) -> Result<Self, Problem> {
        let segments = match uri.path().trim_matches('/') {
            "" => Vec::new(),
            path => path.split('/').map(decode).collect::<Result<_, _>>()?,
        };
        Ok(Self { segments, query: uri.query().unwrap_or_default().to_owned() })
    }

    /// The path's segments, percent-decoded: `/users/a%2Fb` is `["users", "a/b"]`.
    pub fn segments(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    /// Every value that the query gives to `name`, decoded, in their order.
    pub fn parameters<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
        form_urlencoded::parse(self.query.as_bytes())
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// The number that the query gives to `name`, or `default`.
    ///
    /// # Errors
    /// [`Problem::BadRequest`] where it is no number, lies outside of `range`,
    /// or is given more than once.
    pub fn number(
        &self,
        name: &str,
        range: RangeInclusive<usize>,
        default: usize,
    ) -> Result<usize, Problem> {
        let mut values = self.parameters(name);
        let Some(value) = values.next() else {
            return Ok(default);
        };
        if values.next().is_some() {
            return Err(Problem::BadRequest(format!(
                "The query parameter `{name}` is given more than once; give it once."
            )));
        }
        usize::from_str(&value).ok().filter(|number| range.contains(number)).ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            Problem::BadRequest(if *most == usize::MAX {
                format!("The query parameter `{name}` must be a whole number of at least {least}.")
            } else {
                format!(
                    "The query parameter `{name}` must be a whole number from {least} to {most}."
                )
            })
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn call(uri: &str) -> Result<Call, Problem> {
        Call::new(&uri.parse().expect("a URI"))
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
        let call = call("/movies?id=b&x=1&id=a%26+c").unwrap();
        assert_eq!(call.parameters("id").collect::<Vec<_>>(), ["b", "a& c"]);
    }

    #[test]
    fn a_number_has_a_default_a_range_and_one_value() {
        let number = |query: &str| {
            call(&format!("/movies/top?{query}")).unwrap().number("limit", 1..=100, 3).ok()
        };
        assert_eq!(number(""), Some(3));
        assert_eq!(number("limit=100"), Some(100));
        for bad in ["limit=0", "limit=101", "limit=x", "limit=", "limit=-1", "limit=1&limit=1"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }
}
