//! What a service answers at a path.

use futures::future::LocalBoxFuture;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH};
use http::{Method, StatusCode};
use subtle::ConstantTimeEq;

use crate::problem::Problem;
use crate::request::Request;
use crate::response::Response;
use crate::table::Table;
use crate::variable::Variable;

/// The methods of a path that is only read, and of one that can change.
pub(crate) const READ_METHODS: &str = "GET, HEAD, OPTIONS";
const ALL_METHODS: &str = "DELETE, GET, HEAD, OPTIONS, PUT";

/// The token that a write needs. If it is empty, writes need none.
static WRITE_TOKEN: Variable<String> = Variable::new("write_token", None, "a text");

/// The handlers of a path.
///
/// A handler is a future, which does nothing before it is awaited. So the
/// handlers of other methods never run.
pub struct Route<'a> {
    /// The handler of GET and HEAD. Without one, no service answers at this path.
    pub(crate) get: Option<Handler<'a>>,
    /// What answers all other methods, unless the path is only read.
    pub(crate) change: Option<Handler<'a>>,
}

/// The handler of a method.
pub type Handler<'a> = LocalBoxFuture<'a, Result<Response, Problem>>;

/// A path with a handler of GET and HEAD.
pub fn get<'a>(handler: impl Future<Output = Result<Response, Problem>> + 'a) -> Route<'a> {
    Route { get: Some(Box::pin(handler)), change: None }
}

impl<'a> Route<'a> {
    /// No service answers at this path.
    pub const NOT_FOUND: Self = Self { get: None, change: None };

    /// Adds handlers of PUT and DELETE, which change `table`. Where there is no database,
    /// the path is only read.
    pub fn put_and_delete(
        self,
        request: &'a Request,
        table: &'static Table,
        put: impl Future<Output = Result<Response, Problem>> + 'a,
        delete: impl Future<Output = Result<Response, Problem>> + 'a,
    ) -> Self {
        // Only this future knows the table and the token. So components that write nothing
        // import neither for it.
        let change = change(request, table, Box::pin(put), Box::pin(delete));
        Self { change: Some(Box::pin(change)), ..self }
    }
}

async fn change(
    request: &Request,
    table: &'static Table,
    put: Handler<'_>,
    delete: Handler<'_>,
) -> Result<Response, Problem> {
    let is_writable = table.is_writable().await;
    if let Ok(false) = is_writable {
        return other_method(request, READ_METHODS);
    }
    let handler = match request.method {
        Method::PUT => put,
        Method::DELETE => delete,
        _ => return other_method(request, ALL_METHODS),
    };
    authorize(request).await?;
    // A temporary failure of the database does not change what is allowed.
    is_writable?;
    handler.await
}

/// The answer to OPTIONS, and to methods that have no handler.
pub(crate) fn other_method(request: &Request, allowed: &'static str) -> Result<Response, Problem> {
    if request.method != Method::OPTIONS {
        return Err(Problem::method_not_allowed(allowed));
    }
    Ok(Response::new(StatusCode::OK)
        .header(ALLOW, allowed)
        .header(CONTENT_LENGTH, "0")
        .header(CACHE_CONTROL, "no-store"))
}

/// Checks that `request` has the token that writes need. The comparison takes the
/// same time wherever the tokens differ.
async fn authorize(request: &Request) -> Result<(), Problem> {
    let token = WRITE_TOKEN.get().await?;
    let given = request.bearer_token().unwrap_or_default();
    // A token that comes from a file may end in a newline.
    let is_same = given.ct_eq(token.trim().as_bytes());
    // A token of spaces is no empty one, and no request can have it.
    let is_authorized = token.is_empty() || (!given.is_empty() && bool::from(is_same));
    if is_authorized { Ok(()) } else { Err(Problem::unauthorized()) }
}
