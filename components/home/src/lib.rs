//! The index of the application, its front page, its description, and the 404 for
//! every path that no other service claims.
//!
//! | route | answer |
//! |---|---|
//! | `/` | the uri of every resource; for browsers, the front page |
//! | `/site/<file>` | a file of the front page |
//! | `/api` | a page with every route |
//! | `/openapi.json` | the description of the API |
//!
//! The index and the page with every route come from the description,
//! `components/home/openapi.json`. The files of the front page are in
//! `components/home/site`.
//!
//! ```sh
//! curl http://127.0.0.1:3000/
//! curl http://127.0.0.1:3000/ -H 'accept: text/html'
//! ```

mod routes;
mod site;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use service_kit::{DataFile, Problem, Request, Response, Route, get, parse};
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{self, ErrorCode};

static API: DataFile<Value> = DataFile::new("components/home/openapi.json", parse);

struct Service;

impl Guest for Service {
    async fn handle(request: types::Request) -> Result<types::Response, ErrorCode> {
        service_kit::handle(request, env!("CARGO_PKG_NAME"), route).await
    }
}

wasip3::http::service::export!(Service);

fn route(request: &Request) -> Route<'_> {
    match request.segments()[..] {
        [] if request.prefers_html() => {
            get(async { Ok(site::show("index.html")?.varies_by_accept()) })
        }
        [] => get(async { Ok(show_index(API.read()?)?.varies_by_accept()) }),
        ["site", file] => get(async move { site::show(file) }),
        ["api"] => get(async { Ok(Response::html(routes::page(API.read()?))) }),
        ["openapi.json"] => get(async { Response::json(API.read()?) }),
        _ => Route::NOT_FOUND,
    }
}

fn show_index(api: &Value) -> Result<Response, Problem> {
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
