//! The data file that is mounted beside a component.

use std::collections::BTreeMap;
use std::fs;
use std::sync::OnceLock;

use serde::ser::Error;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::problem::Problem;
use crate::unique_keys;

/// A data file, read and parsed when it is first needed. A `static` keeps it for
/// as long as the instance lives.
pub struct DataFile<T> {
    path: &'static str,
    parse: fn(&'static str) -> serde_json::Result<T>,
    content: OnceLock<Result<T, String>>,
}

impl<T> DataFile<T> {
    /// The file at `path`, the path in `files` of `spin.toml`. `parse` makes a `T` of
    /// its text: `serde_json::from_str`, or a function that checks more.
    pub const fn new(path: &'static str, parse: fn(&'static str) -> serde_json::Result<T>) -> Self {
        Self { path, parse, content: OnceLock::new() }
    }

    /// The content of the file.
    ///
    /// # Errors
    /// [`Problem::Internal`] if the file is missing or malformed, or an object in
    /// it has the same key twice. The cause names the file and, for malformed JSON,
    /// line and column.
    pub fn read(&'static self) -> Result<&'static T, Problem> {
        let content = self.content.get_or_init(|| self.load());
        content.as_ref().map_err(|error| Problem::Internal(error.clone()))
    }

    /// The content of the file as compact JSON.
    ///
    /// # Errors
    /// Those of [`DataFile::read`].
    pub fn json(&'static self) -> Result<String, Problem>
    where
        T: Serialize,
    {
        let content = self.read()?;
        serde_json::to_string(content).map_err(|error| Problem::Internal(error.to_string()))
    }

    fn load(&self) -> Result<T, String> {
        let text = fs::read_to_string(self.path)
            .map_err(|error| format!("can't read the data file {}: {error}", self.path))?;
        // A `static` needs it as long as the instance lives.
        let text = text.leak();
        unique_keys::check(text)
            .and_then(|()| (self.parse)(text))
            .map_err(|error| format!("malformed data file {}: {error}", self.path))
    }
}

/// The fields of a record, sorted by name.
pub type Fields = Map<String, Value>;

/// Records, sorted by key.
///
/// Each record keeps its JSON text beside the `T`, so that fields which `T` does
/// not name are served, too.
#[derive(Debug)]
pub struct Records<T>(Vec<Record<T>>);

/// One of [`Records`].
#[derive(Debug)]
pub struct Record<T> {
    /// Its key in the file.
    pub key: String,
    /// The fields that its service knows.
    pub known: T,
    text: &'static RawValue,
    fields: OnceLock<Result<Fields, String>>,
}

impl<T: Deserialize<'static>> Records<T> {
    /// Parses a JSON object of records.
    ///
    /// # Errors
    /// What is wrong, with line and column.
    pub fn parse(text: &'static str) -> serde_json::Result<Self> {
        let texts: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
        let mut records = Vec::with_capacity(texts.len());
        for (key, record) in texts {
            match serde_json::from_str(record.get()) {
                // serde would also make a struct of an array, field by field.
                Ok(known) if record.get().starts_with('{') => {
                    records.push(Record { key, known, text: record, fields: OnceLock::new() });
                }
                _ => return Err(Self::error(text)),
            }
        }
        Ok(Self(records))
    }

    /// The error of `text`, with its line and column. It parses the whole text
    /// again, because the error of a single record has no place in the file.
    fn error(text: &'static str) -> serde_json::Error {
        let shape_error = serde_json::from_str::<BTreeMap<String, Fields>>(text).err();
        let error = shape_error.or_else(|| serde_json::from_str::<BTreeMap<String, T>>(text).err());
        error.unwrap_or_else(|| serde::de::Error::custom("a record that can't be read"))
    }
}

impl<T> Records<T> {
    /// All records, sorted by key.
    pub fn all(&self) -> &[Record<T>] {
        &self.0
    }

    /// The record with that key.
    pub fn get(&self, key: &str) -> Option<&Record<T>> {
        let index = self.0.binary_search_by(|record| record.key.as_str().cmp(key));
        index.ok().map(|index| &self.0[index])
    }
}

impl<T> Record<T> {
    /// All fields of the record, parsed when they are first needed.
    ///
    /// # Errors
    /// If the text of the record is no JSON object.
    pub fn fields(&self) -> Result<&Fields, &String> {
        let parse = || serde_json::from_str(self.text.get());
        let parse = || parse().map_err(|error| format!("the record `{}`: {error}", self.key));
        self.fields.get_or_init(parse).as_ref()
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
    fn a_missing_file_is_named_in_the_cause() {
        static FILE: DataFile<Records<Film>> = DataFile::new("/no/such.json", Records::parse);
        let Err(Problem::Internal(cause)) = FILE.read() else {
            panic!("a missing file must be an internal problem");
        };
        assert!(cause.contains("/no/such.json"), "{cause}");
    }
}
