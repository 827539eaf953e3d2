//! Rows of SQLite, as the interface `spin:sqlite` has them.

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use wasmtime::component::{ComponentType, Lift, Lower};

/// `record row-result`
#[derive(ComponentType, Lift, Lower)]
#[component(record)]
pub struct Row {
    values: Vec<Value>,
}

/// `variant value`
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
pub enum Value {
    #[component(name = "integer")]
    Integer(i64),
    #[component(name = "real")]
    Real(f64),
    #[component(name = "text")]
    Text(String),
    #[component(name = "blob")]
    Blob(Vec<u8>),
    #[component(name = "null")]
    Null,
}

impl Row {
    /// A copy of `row`.
    ///
    /// # Errors
    /// If a column can't be read.
    pub fn copy(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let columns = 0..row.as_ref().column_count();
        let values = columns.map(|column| row.get_ref(column).map(Value::from));
        Ok(Self { values: values.collect::<Result<_, _>>()? })
    }

    /// How many bytes it takes.
    pub fn size(&self) -> usize {
        self.values.iter().map(Value::size).sum()
    }
}

impl Value {
    /// How many bytes it takes.
    pub fn size(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Text(text) => text.len(),
                Self::Blob(bytes) => bytes.len(),
                Self::Integer(_) | Self::Real(_) | Self::Null => 0,
            }
    }
}

impl From<ValueRef<'_>> for Value {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Integer(integer) => Self::Integer(integer),
            ValueRef::Real(real) => Self::Real(real),
            ValueRef::Text(text) => Self::Text(String::from_utf8_lossy(text).into_owned()),
            ValueRef::Blob(bytes) => Self::Blob(bytes.to_vec()),
            ValueRef::Null => Self::Null,
        }
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Integer(integer) => ValueRef::Integer(*integer),
            Self::Real(real) => ValueRef::Real(*real),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
            Self::Null => ValueRef::Null,
        }))
    }
}
