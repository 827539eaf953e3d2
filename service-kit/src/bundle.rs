//! The data file that is mounted beside a component.

use std::collections::BTreeMap;
use std::fs;
use std::sync::OnceLock;

use serde::ser::Error;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
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
pub fn parse<T: Deserialize<'static>>(text: &'static str) -> Parsed<T> {
    serde_json::from_str(text)
}

/// A data file, read and parsed when it is first asked for and then kept for
/// as long as the instance lives.
pub struct Bundle<T> {
    path: &'static str,
    parse: fn(&'static str) -> Parsed<T>,
    content: OnceLock<Result<T, String>>,
}

impl<T> Bundle<T> {
    /// The file at `path`, as the component sees it, in the shape that `parse`
    /// takes.
    pub const fn new(path: &'static str, parse: fn(&'static str) -> Parsed<T>) -> Self {
        Self { path, parse, content: OnceLock::new() }
    }

    /// What the file says.
    ///
    /// # Errors
    /// [`Problem::Internal`] where the file is missing, is not JSON or has
    /// another shape; its cause names file, line and column.
    pub fn get(&self) -> Result<&T, Problem> {
        let content = self.content.get_or_init(|| self.read());
        content.as_ref().map_err(|error| Problem::Internal(error.clone()))
    }

    fn read(&self) -> Result<T, String> {
        let text = fs::read_to_string(self.path)
            .map_err(|error| format!("can't read the data file {}: {error}", self.path))?;
        // For ever, as is what is made of it: a static holds the bundle.
        (self.parse)(text.leak())
            .map_err(|error| format!("malformed data file {}: {error}", self.path))
    }
}

/// Records, in the order of their keys.
///
/// Of each there is the `T` that its service understands, and the text, so that
/// fields which nobody names pass through unharmed.
#[derive(Debug)]
pub struct Records<T>(Vec<Record<T>>);

/// One of [`Records`].
#[derive(Debug)]
pub struct Record<T> {
    /// Its key in the file.
    pub key: String,
    /// What its service understands of it.
    pub known: T,
    text: &'static RawValue,
    fields: OnceLock<Result<Fields, String>>,
}

impl<T: Deserialize<'static>> Records<T> {
    /// Reads a JSON object of records.
    ///
    /// # Errors
    /// What is wrong, with its line and column.
    pub fn parse(text: &'static str) -> Parsed<Self> {
        let texts: BTreeMap<String, &RawValue> = parse(text)?;
        let mut records = Vec::with_capacity(texts.len());
        for (key, record) in texts {
            match parse(record.get()) {
                // An array would do for a `T` too, field by field.
                Ok(known) if record.get().starts_with('{') => {
                    records.push(Record { key, known, text: record, fields: OnceLock::new() });
                }
                _ => return Err(Self::error(text)),
            }
        }
        Ok(Self(records))
    }

    /// What is wrong with `text`, read as a whole: only so does an error know its
    /// place in the file.
    fn error(text: &'static str) -> serde_json::Error {
        let of_shape = parse::<BTreeMap<String, Fields>>(text).err();
        let error = of_shape.or_else(|| parse::<BTreeMap<String, T>>(text).err());
        error.unwrap_or_else(|| serde::de::Error::custom("a record that can't be read"))
    }
}

impl<T> Records<T> {
    /// All records.
    pub fn all(&self) -> &[Record<T>] {
        &self.0
    }

    /// The record of `key`.
    pub fn get(&self, key: &str) -> Option<&Record<T>> {
        let place = self.0.binary_search_by(|record| record.key.as_str().cmp(key));
        place.ok().map(|place| &self.0[place])
    }
}

impl<T> Record<T> {
    /// The record as it stands in the file, read when it is first asked for:
    /// most of many are not, before the instance ends.
    ///
    /// # Errors
    /// What is wrong with a field that nobody names: those were only skipped.
    pub fn fields(&self) -> Result<&Fields, &String> {
        let read = || serde_json::from_str(self.text.get());
        let read = || read().map_err(|error| format!("the record `{}`: {error}", self.key));
        self.fields.get_or_init(read).as_ref()
    }
}

impl<T> Serialize for Records<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|record| (&record.key, record)))
    }
}

impl<T> Serialize for Record<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.fields().map_err(S::Error::custom)?.serialize(serializer)
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
        assert_eq!(records.get("a").unwrap().fields().unwrap()["year"], 2015);
    }

    #[test]
    fn a_wrong_shape_is_named_with_its_line_and_column() {
        let error = Records::<Film>::parse("{\n  \"a\": {\"title\": 7}\n}").unwrap_err();
        assert_eq!((error.line(), error.column()), (2, 18));
    }

    #[test]
    fn a_record_that_is_an_array_is_the_wrong_shape() {
        let error = Records::<Film>::parse("{\n  \"a\": [\"A\"]\n}").unwrap_err();
        assert_eq!(error.line(), 2, "{error}");
    }

    #[test]
    fn a_missing_file_is_named_in_the_cause_and_not_in_the_answer() {
        let bundle = Bundle::new("/no/such.json", Records::<Film>::parse);
        let Err(Problem::Internal(cause)) = bundle.get() else {
            panic!("a missing file must be an internal problem");
        };
        assert!(cause.contains("/no/such.json"), "{cause}");
    }
}
