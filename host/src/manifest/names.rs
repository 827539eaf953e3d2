//! Names of components and variables, as Spin has them (`crates/serde/src/id.rs` of Spin).

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

/// A name that Spin takes for a variable.
#[derive(Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(try_from = "String")]
pub struct VariableName(pub String);

impl TryFrom<String> for VariableName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let is_name = name.split('_').all(is_word) && name == name.to_ascii_lowercase();
        is_name.then(|| Self(name.clone())).ok_or_else(|| {
            format!(
                "the variable `{name}` must be words of lower-case letters and digits, joined by `_`"
            )
        })
    }
}

/// Reads values by the names of variables.
///
/// # Errors
/// If one of them is no name.
pub fn by_name<'de, D: Deserializer<'de>>(toml: D) -> Result<BTreeMap<String, String>, D::Error> {
    let values = BTreeMap::<VariableName, String>::deserialize(toml)?;
    Ok(values.into_iter().map(|(name, value)| (name.0, value)).collect())
}

/// Whether `id` is one that Spin takes for a component.
pub fn is_component_id(id: &str) -> bool {
    id.split('-').all(is_word)
}

/// Whether `word` is a letter, followed by letters and digits, of one case.
fn is_word(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_alphabetic())
        && word.chars().all(|char| char.is_ascii_alphanumeric())
        && (word.chars().all(|char| !char.is_ascii_uppercase())
            || word.chars().all(|char| !char.is_ascii_lowercase()))
}
