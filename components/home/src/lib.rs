//! The index of the application, its description, and the 404 for every path
//! that no other service claims.
//!
//! | route | answer |
//! |---|---|
//! | `/` | the uri of every resource; for browsers, a page with every route |
//! | `/openapi.json` | the description of the API |
//!
//! All of it comes from one document, `components/home/openapi.json`.
//!
//! ```sh
//! curl http://127.0.0.1:3000/
//! curl http://127.0.0.1:3000/ -H 'accept: text/html'
//! ```

mod page;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use service_kit::{DataFile, Problem, Request, Response, Route, get, service};

static API: DataFile<Value> = DataFile::new("components/home/openapi.json", serde_json::from_str);

service!(route);

fn route(request: &Request) -> Route<'_> {
    match request.segments()[..] {
        [] => get(async move { show_index(API.read()?, request) }),
        ["openapi.json"] => get(async move { Response::json(API.read()?) }),
        _ => Route::UNKNOWN,
    }
}

fn show_index(api: &Value, request: &Request) -> Result<Response, Problem> {
    if request.prefers_html() {
        return Ok(Response::html(page::of(api)));
    }
    let paths = api["paths"].as_object().into_iter().flat_map(|paths| paths.values());
    let uris = paths.filter_map(|path| path["x-uris"].as_object()).flatten();
    Response::json(&Index { subresource_uris: uris.collect(), uri: "/" })
}

#[derive(Serialize)]
struct Index<'a> {
    /// The uri of each resource, by its name.
    subresource_uris: BTreeMap<&'a String, &'a Value>,
    uri: &'static str,
}
