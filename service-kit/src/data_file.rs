//! The data file that is mounted beside a component.

use std::collections::BTreeMap;
use std::fs;
use std::sync::OnceLock;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::problem::Problem;
use crate::unique_keys;

/// A data file, read and parsed when it is first needed. A `static` keeps it for
/// as long as the instance lives.
pub struct DataFile<T> {
    path: &'static str,
    parse: fn(&str) -> serde_json::Result<T>,
    content: OnceLock<Result<T, String>>,
}

impl<T> DataFile<T> {
    /// The file at `path`, the path in `files` of `spin.toml`. `parse` makes a `T` of
    /// its text: [`parse`], or a function that checks more.
    pub const fn new(path: &'static str, parse: fn(&str) -> serde_json::Result<T>) -> Self {
        Self { path, parse, content: OnceLock::new() }
    }

    /// The content of the file.
    ///
    /// # Errors
    /// [`Problem::internal`] if the file is missing or malformed, or an object in
    /// it has the same key twice. The cause names the file and, for malformed JSON,
    /// line and column.
    pub fn read(&'static self) -> Result<&'static T, Problem> {
        let content = self.content.get_or_init(|| self.load());
        content.as_ref().map_err(Problem::internal)
    }

    /// The content of the file as compact JSON.
    ///
    /// # Errors
    /// Those of [`DataFile::read`].
    pub fn json(&'static self) -> Result<String, Problem>
    where
        T: Serialize,
    {
        serde_json::to_string(self.read()?).map_err(Problem::internal)
    }

    fn load(&self) -> Result<T, String> {
        let text = fs::read_to_string(self.path)
            .map_err(|error| format!("can't read the data file {}: {error}", self.path))?;
        unique_keys::check(&text)
            .and_then(|()| (self.parse)(&text))
            .map_err(|error| format!("malformed data file {}: {error}", self.path))
    }
}

/// Makes a `T` of JSON.
///
/// # Errors
/// What is wrong, with line and column.
pub fn parse<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    serde_json::from_str(text)
}

/// Records by key.
pub type Records<T> = BTreeMap<String, Record<T>>;

/// A record. It is served with all its fields, those that `T` does not name, too.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Record<T> {
    /// What its service knows of it.
    #[serde(skip)]
    pub known: T,
    /// All its fields, sorted by name.
    pub fields: Map<String, Value>,
}

/// Makes [`Records`] of JSON: parses it once for the fields, and once for what the service
/// knows, because only an error about the whole text has the right line and column.
///
/// # Errors
/// What is wrong, with line and column.
pub fn records<T: DeserializeOwned>(text: &str) -> serde_json::Result<Records<T>> {
    // First, because serde would make a `T` of an array, too.
    let fields: BTreeMap<String, Map<String, Value>> = serde_json::from_str(text)?;
    let known: BTreeMap<String, T> = serde_json::from_str(text)?;
    let mut records = Records::new();
    let pairs = known.into_iter().zip(fields.into_values());
    records.extend(pairs.map(|((key, known), fields)| (key, Record { known, fields })));
    Ok(records)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Film {
        #[serde(rename = "title")]
        _title: String,
    }

    #[test]
    fn a_field_that_no_type_names_passes_through() {
        let records = records::<Film>(r#"{"a": {"title": "A", "year": 2015}}"#).unwrap();
        assert_eq!(records["a"].fields["year"], 2015);
    }

    #[test]
    fn a_wrong_shape_is_named_with_its_line_and_column() {
        let error = records::<Film>("{\n  \"a\": {\"title\": 7}\n}").unwrap_err();
        assert_eq!((error.line(), error.column()), (2, 18));
    }

    #[test]
    fn a_record_that_is_an_array_is_the_wrong_shape() {
        let error = records::<Film>("{\n  \"a\": [\"A\"]\n}").unwrap_err();
        assert_eq!(error.line(), 2, "{error}");
    }

    #[test]
    fn a_missing_file_is_named_in_the_cause() {
        static FILE: DataFile<Records<Film>> = DataFile::new("/no/such.json", records::<Film>);
        let problem = FILE.read().unwrap_err();
        assert!(problem.cause.is_some_and(|cause| cause.contains("/no/such.json")));
    }
}
