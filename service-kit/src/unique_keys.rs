//! Duplicate keys in JSON.
//!
//! `serde_json` keeps the last of several values with the same key. In a data
//! file that silently loses a record, so it is an error here.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Checks that no object in `text` has the same key twice.
///
/// # Errors
/// The first duplicate key, or what is not JSON, with line and column.
pub fn check(text: &str) -> serde_json::Result<()> {
    serde_json::from_str::<UniqueKeys>(text).map(drop)
}

/// Any JSON value whose objects have unique keys.
struct UniqueKeys;

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for UniqueKeys {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self, A::Error> {
        let mut keys = BTreeSet::new();
        while let Some(key) = object.next_key::<String>()? {
            if let Some(key) = keys.replace(key) {
                return Err(A::Error::custom(format!("duplicate key `{key}`")));
            }
            object.next_value::<Self>()?;
        }
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self, A::Error> {
        while array.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    // A number with a fraction or an exponent is passed to `visit_map`, with serde_json's
    // feature `arbitrary_precision`.
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duplicate_key_at_any_depth_is_named_with_its_line_and_column() {
        for (text, line, column) in [
            ("{\"a\": 1,\n \"a\": 2}", 2, 4),
            ("{\"a\": {\"b\": [{\"c\": 1,\n\"c\": 1}]}}", 2, 3),
            ("{\"a\": 1,\n \"\\u0061\": 2}", 2, 9),
        ] {
            let error = check(text).unwrap_err();
            assert_eq!((error.line(), error.column()), (line, column), "{error}");
            assert!(error.to_string().contains("duplicate key `"), "{error}");
        }
    }

    #[test]
    fn the_same_key_in_different_objects_is_no_duplicate() {
        check(r#"{"a": {"a": [1, -1, -0, 2.5, 2.5e400, 99999999999999999999, true, null, "a"]}, "b": {"a": 1}}"#).unwrap();
    }
}
