//! What a service answers at a path.

use futures::future::LocalBoxFuture;
use subtle::ConstantTimeEq;

use crate::problem::Problem;
use crate::request::Request;
use crate::response::Response;
use crate::table::Table;
use crate::variable::Variable;

/// The token that a write needs. If it is empty, writes need none.
static WRITE_TOKEN: Variable<String> = Variable::new("write_token", None, "a text");

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
    /// Fails if the request lacks the token that a write needs.
    pub(crate) are_allowed: LocalBoxFuture<'a, Result<(), Problem>>,
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
        request: &'a Request,
        table: &'static Table,
        put: impl Future<Output = Result<Response, Problem>> + 'a,
        delete: impl Future<Output = Result<Response, Problem>> + 'a,
    ) -> Self {
        // The kit knows the table and the token only through these futures. So the
        // components that write nothing import neither SQLite nor variables.
        let writes = Writes {
            are_possible: Box::pin(table.is_writable()),
            are_allowed: Box::pin(authorize(request)),
            put: Box::pin(put),
            delete: Box::pin(delete),
        };
        Self { writes: Some(writes), ..self }
    }
}

/// Checks that `request` has the token that writes need. The comparison takes the
/// same time wherever the tokens differ.
async fn authorize(request: &Request) -> Result<(), Problem> {
    let token = WRITE_TOKEN.get().await?;
    let given = request.bearer_token().unwrap_or_default();
    // A token that comes from a file may end in a newline.
    let is_same = given.ct_eq(token.trim().as_bytes());
    let is_authorized = token.is_empty() || (!given.is_empty() && bool::from(is_same));
    if is_authorized { Ok(()) } else { Err(Problem::Unauthorized) }
}
