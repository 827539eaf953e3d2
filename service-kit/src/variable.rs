//! The variables of the application, which `spin.toml` gives to its components.

use std::str::FromStr;
use std::sync::OnceLock;

use crate::problem::Problem;
use crate::wasi;

/// A Spin variable. A `static` keeps its value for as long as the instance lives,
/// because reading it can add 40 ms to a request on Spin.
pub struct Variable<T> {
    name: &'static str,
    default: Option<&'static str>,
    expected: &'static str,
    value: OnceLock<T>,
}

impl<T: FromStr> Variable<T> {
    /// The variable `name`, which must be what `expected` says in words. `default` is
    /// its value in a component that `spin.toml` does not give it to.
    pub const fn new(
        name: &'static str,
        default: Option<&'static str>,
        expected: &'static str,
    ) -> Self {
        Self { name, default, expected, value: OnceLock::new() }
    }

    /// Its value.
    ///
    /// # Errors
    /// [`Problem::internal`] if the component does not have it, or it is malformed.
    pub async fn get(&self) -> Result<&T, Problem> {
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let Self { name, default, expected, .. } = *self;
        let given = wasi::variable(name).await.map_err(Problem::internal)?;
        let text = given.or_else(|| default.map(str::to_owned)).ok_or_else(|| {
            Problem::internal(format!(
                "the component has no variable `{name}`; give it one in spin.toml"
            ))
        })?;
        let value = text.parse().map_err(|_| {
            Problem::internal(format!("the variable `{name}` must be {expected}; got {text:?}"))
        })?;
        Ok(self.value.get_or_init(|| value))
    }
}
