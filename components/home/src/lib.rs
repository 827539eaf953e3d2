//! The way in: which routes there are, what they mean, and a proper answer
//! where there is none.
//!
//! | route | answer |
//! |---|---|
//! | `/` | the uri of every resource; for browsers, a page about them |
//! | `/openapi.json` | the description of the API |
//! | whatever no other service claims | a problem, 404 |
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
use service_kit::{Answer, Bundle, Call, Reply, Route, get, parse, service};

static API: Bundle<Value> = Bundle::new("/components/home/openapi.json", parse);

service!(route);

fn route(call: &Call) -> Route<'_> {
    match call.segments()[..] {
        [] => get(|| Ok(index(API.get()?, call)?.as_accepted())),
        ["openapi.json"] => get(|| Reply::json(API.get()?)),
        _ => Route::Unknown,
    }
}

fn index(api: &Value, call: &Call) -> Answer {
    if call.prefers_html() {
        return Ok(Reply::html(page::of(api)));
    }
    let paths = api["paths"].as_object().into_iter().flat_map(|paths| paths.values());
    let uris = paths.filter_map(|path| path["x-uris"].as_object()).flatten();
    Reply::json(&Index { uri: "/", subresource_uris: uris.collect() })
}

#[derive(Serialize)]
struct Index<'a> {
    /// The uri of each resource, by its name.
    subresource_uris: BTreeMap<&'a String, &'a Value>,
    uri: &'static str,
}
