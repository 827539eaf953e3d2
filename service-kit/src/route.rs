//! What a service answers at a path.

use futures::future::LocalBoxFuture;

use crate::problem::Problem;
use crate::response::Response;
use crate::table::Table;

/// The handlers of a path.
///
/// A handler is a future, which does nothing before it is awaited. So a request
/// with another method costs nothing.
pub struct Route<'a> {
    /// The handler of GET and HEAD. Without one, no service answers at this path.
    pub(crate) get: Option<Handler<'a>>,
    pub(crate) writes: Option<Writes<'a>>,
}

/// The handlers of PUT and DELETE.
pub(crate) struct Writes<'a> {
    /// Whether there is a table to write to.
    pub(crate) are_possible: LocalBoxFuture<'a, Result<bool, Problem>>,
    pub(crate) put: Handler<'a>,
    pub(crate) delete: Handler<'a>,
}

/// The handler of one method.
pub type Handler<'a> = LocalBoxFuture<'a, Result<Response, Problem>>;

/// A path with a handler of GET and HEAD.
pub fn get<'a>(handler: impl Future<Output = Result<Response, Problem>> + 'a) -> Route<'a> {
    Route { get: Some(Box::pin(handler)), writes: None }
}

impl<'a> Route<'a> {
    /// No service answers at this path.
    pub const UNKNOWN: Self = Self { get: None, writes: None };

    /// Adds handlers of PUT and DELETE, which change `table`. Where that does not
    /// exist, the path is read-only.
    pub fn writes(
        self,
        table: &'static Table,
        put: impl Future<Output = Result<Response, Problem>> + 'a,
        delete: impl Future<Output = Result<Response, Problem>> + 'a,
    ) -> Self {
        // The kit knows the table only through this future. So the components that write
        // nothing do not import SQLite.
        let are_possible = Box::pin(table.is_writable());
        let writes = Writes { are_possible, put: Box::pin(put), delete: Box::pin(delete) };
        Self { writes: Some(writes), ..self }
    }
}
