//! JSON for people.

use serde::Serialize;
use serde_json::ser::PrettyFormatter;

/// `value` as JSON, indented by four spaces and ending in a newline.
///
/// Maps with sorted keys come out sorted. A struct's fields keep their order, so
/// declare them sorted.
///
/// # Errors
/// If a part of `value` has no form in JSON.
pub fn pretty(value: &(impl Serialize + ?Sized)) -> serde_json::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(512);
    let formatter = PrettyFormatter::with_indent(b"    ");
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, formatter))?;
    text.push(b'\n');
    Ok(text)
}

/// Whether `content_type` is that of JSON. It may have parameters.
pub fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("application/json")
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
        let expected =
            "[\n    {\n        \"rating\": 8.80,\n        \"title\": \"Creed\"\n    }\n]\n";
        assert_eq!(String::from_utf8(pretty(&[movie]).unwrap()).unwrap(), expected);
    }
}
