//! The data file that is mounted beside a component.

use std::collections::BTreeMap;
use std::fs;
use std::sync::OnceLock;

use anyhow::Context;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Problem;

/// What a data file's text says; an error of it has a line and a column.
pub type Parsed<T> = serde_json::Result<T>;

/// The fields of a record, in the order of their names.
pub type Fields = Map<String, Value>;

/// Reads a data file whose type names everything in it.
///
/// # Errors
/// What is wrong, with its line and column.
pub fn parse<T: for<'de> Deserialize<'de>>(text: &str) -> Parsed<T> {
    serde_json::from_str(text)
}

/// A data file, read and parsed when it is first asked for and then kept for
/// as long as the instance lives.
pub struct Bundle<T> {
    path: &'static str,
    parse: fn(&str) -> Parsed<T>,
    content: OnceLock<Result<T, String>>,
}

impl<T> Bundle<T> {
    /// The file at `path`, as the component sees it, in the shape that `parse`
    /// takes.
    pub const fn new(path: &'static str, parse: fn(&str) -> Parsed<T>) -> Self {
        Self { path, parse, content: OnceLock::new() }
    }

    /// What the file says.
    ///
    /// # Errors
    /// [`Problem::Internal`] where the file is missing, is not JSON or has
    /// another shape; its cause names file, line and column.
    pub fn get(&self) -> Result<&T, Problem> {
        self.content
            .get_or_init(|| self.read().map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|error| Problem::Internal(anyhow::Error::msg(error.clone())))
    }

    fn read(&self) -> anyhow::Result<T> {
        let text = fs::read_to_string(self.path)
            .with_context(|| format!("can't read the data file {}", self.path))?;
        (self.parse)(&text).with_context(|| format!("malformed data file {}", self.path))
    }
}

/// Records by their key.
///
/// Each is kept twice: as the `T` that its service understands, and whole, so
/// that fields which nobody names pass through unharmed.
#[derive(Debug)]
pub struct Records<T> {
    known: BTreeMap<String, T>,
    whole: BTreeMap<String, Fields>,
}

impl<T: for<'de> Deserialize<'de>> Records<T> {
    /// Reads a JSON object of records.
    ///
    /// # Errors
    /// What is wrong, with its line and column. Two passes, since only a value
    /// that is read straight from the text knows where in it it stands.
    pub fn parse(text: &str) -> Parsed<Self> {
        Ok(Self { known: parse(text)?, whole: parse(text)? })
    }

    /// The records as their service understands them.
    pub fn known(&self) -> &BTreeMap<String, T> {
        &self.known
    }

    /// The records as they stand in the file.
    pub fn whole(&self) -> &BTreeMap<String, Fields> {
        &self.whole
    }

    /// The record of `key` as it stands in the file.
    pub fn get(&self, key: &str) -> Option<&Fields> {
        self.whole.get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Film {
        #[serde(rename = "title")]
        _title: String,
    }

    #[test]
    fn a_field_that_no_type_names_passes_through() {
        let records = Records::<Film>::parse(r#"{"a": {"title": "A", "year": 2015}}"#).unwrap();
        assert_eq!(records.get("a").unwrap()["year"], 2015);
    }

    #[test]
    fn a_wrong_shape_is_named_with_its_line_and_column() {
        let error = Records::<Film>::parse("{\n  \"a\": {\"title\": 7}\n}").unwrap_err();
        assert_eq!((error.line(), error.column()), (2, 18));
    }

    #[test]
    fn a_missing_file_is_named_in_the_cause_and_not_in_the_answer() {
        let bundle = Bundle::new("/no/such.json", Records::<Film>::parse);
        let Err(Problem::Internal(cause)) = bundle.get() else {
            panic!("a missing file must be an internal problem");
        };
        assert!(cause.to_string().contains("/no/such.json"), "{cause}");
    }
}
