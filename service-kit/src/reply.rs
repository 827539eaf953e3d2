//! The successful answer.

use serde::Serialize;
use serde_json::ser::PrettyFormatter;

use crate::Problem;

/// What a handler gives back.
pub type Answer = Result<Reply, Problem>;

/// A body, and what it is.
#[derive(Debug)]
pub struct Reply {
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
    pub(crate) varies: bool,
}

impl Reply {
    /// `value` as JSON that people can read. Keys are to be sorted: a struct
    /// names its fields in that order.
    ///
    /// # Errors
    /// [`Problem::Internal`] for a value that has no form in JSON.
    pub fn json(value: &impl Serialize) -> Answer {
        Ok(Self::new("application/json", pretty(value)?))
    }

    /// Plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new("text/plain; charset=utf-8", text.into().into_bytes())
    }

    /// A page.
    pub fn html(page: impl Into<String>) -> Self {
        Self::new("text/html; charset=utf-8", page.into().into_bytes())
    }

    /// The same reply, which would have been another one had the client
    /// accepted something else.
    pub fn as_accepted(self) -> Self {
        Self { varies: true, ..self }
    }

    fn new(content_type: &'static str, body: Vec<u8>) -> Self {
        Self { content_type, body, varies: false }
    }
}

/// JSON as people read it: indented by four spaces, ending in a newline. Its
/// keys are sorted where maps are, and where structs name their fields in order.
///
/// # Errors
/// [`Problem::Internal`] for a value that has no form in JSON.
pub(crate) fn pretty(value: &impl Serialize) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::with_capacity(512);
    let formatter = PrettyFormatter::with_indent(b"    ");
    let mut writer = serde_json::Serializer::with_formatter(&mut body, formatter);
    value.serialize(&mut writer).map_err(|error| Problem::Internal(error.to_string()))?;
    body.push(b'\n');
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_by_four_and_ends_in_a_newline() {
        #[derive(Serialize)]
        struct Movie {
            rating: serde_json::Number,
            title: &'static str,
        }
        let movie = Movie { rating: "8.80".parse().unwrap(), title: "Creed" };
        let body = Reply::json(&[movie]).unwrap().body;
        let expected =
            "[\n    {\n        \"rating\": 8.80,\n        \"title\": \"Creed\"\n    }\n]\n";
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }
}
