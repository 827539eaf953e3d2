//! The description of the API, executed: the components answer every example as
//! the document says, and the document describes every response of any test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::LazyLock;

use host::Body;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use serde_json::{Value, json};
use support::{Reply, folder, request, with_json};

use crate::{Sent, get, get_json, send};

pub static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let text = fs::read_to_string(folder("components/home/openapi.json")).expect("a document");
    serde_json::from_str(&text).expect("JSON")
});

/// A documented operation.
#[derive(Clone)]
pub struct Operation {
    pub method: Method,
    /// The path as the document writes it, with a `{name}` for each parameter.
    pub path: &'static str,
    /// The path with the example of each parameter.
    pub example: String,
    /// The same, with the query.
    pub example_with_query: String,
    /// The siblings that it asks.
    pub asks: Vec<&'static str>,
    /// What the document says about it.
    pub description: &'static Value,
}

impl Operation {
    fn new(method: &str, path: &'static str, description: &'static Value) -> Self {
        let mut example = path.to_owned();
        let mut query = form_urlencoded::Serializer::new(String::new());
        for parameter in description["parameters"].as_array().expect("parameters") {
            let parameter = resolve(parameter);
            let (name, value) = (text(&parameter["name"]), &parameter["example"]);
            match text(&parameter["in"]) {
                "path" => example = example.replace(&format!("{{{name}}}"), text(value)),
                "query" => {
                    for value in value.as_array().cloned().unwrap_or(vec![value.clone()]) {
                        query.append_pair(name, value.as_str().unwrap_or(&value.to_string()));
                    }
                }
                _ => {}
            }
        }
        let query = query.finish();
        let separator = if query.is_empty() { "" } else { "?" };
        let asks = description["x-asks"].as_array().into_iter().flatten();
        Self {
            method: method.to_uppercase().parse().expect("a method"),
            path,
            example_with_query: format!("{example}{separator}{query}"),
            example,
            asks: asks.map(text).collect(),
            description,
        }
    }

    /// A request for `path` with the example of the body.
    pub fn request(&self, path: &str) -> Request<Body> {
        let mut request = request(self.method.clone(), path);
        let body = &self.description["requestBody"]["content"]["application/json"]["example"];
        if !body.is_null() {
            request = with_json(request, &body.to_string());
        }
        request
    }

    /// Whether the document has a response with that status.
    pub fn documents(&self, status: u16) -> bool {
        !self.description["responses"][status.to_string()].is_null()
    }

    /// The names of the query parameters.
    fn query_parameters(&self) -> BTreeSet<&'static str> {
        let parameters = self.description["parameters"].as_array().expect("parameters");
        let parameters = parameters.iter().map(resolve).filter(|one| one["in"] == "query");
        parameters.map(|parameter| text(&parameter["name"])).collect()
    }
}

/// Every documented operation.
pub fn operations() -> impl Iterator<Item = Operation> {
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    paths.iter().flat_map(|(path, item)| {
        let members = item.as_object().expect("a path").iter();
        let methods = members.filter(|(name, _)| *name != "x-uris");
        methods.map(|(method, description)| Operation::new(method, path, description))
    })
}

/// Every documented GET.
pub fn reads() -> impl Iterator<Item = Operation> {
    operations().filter(|operation| operation.method == Method::GET)
}

/// An example of every resource: each path, without a query and with the
/// documented one.
pub fn paths() -> BTreeSet<String> {
    reads().flat_map(|operation| [operation.example, operation.example_with_query]).collect()
}

/// The routes as the index and the README write them, such as `/movies/<id>`,
/// each with its operation.
pub fn routes() -> BTreeMap<&'static str, Operation> {
    let mut routes = BTreeMap::from([("/", "/")]);
    for (path, item) in DOCUMENT["paths"].as_object().expect("paths") {
        let uris = item["x-uris"].as_object().expect("x-uris").values();
        routes.extend(uris.map(|uri| (text(uri), path.as_str())));
    }
    let operation = |path| Operation::new("get", path, &DOCUMENT["paths"][path]["get"]);
    routes.into_iter().map(|(route, path)| (route, operation(path))).collect()
}

/// Every example of a response in the document.
pub fn examples() -> Vec<&'static Value> {
    fn collect(value: &'static Value, found: &mut Vec<&'static Value>) {
        if value.get("x-request").is_some() {
            found.push(value);
            return;
        }
        match value {
            Value::Object(members) => members.values().for_each(|value| collect(value, found)),
            Value::Array(items) => items.iter().for_each(|value| collect(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(&DOCUMENT, &mut found);
    found
}

fn text(value: &'static Value) -> &'static str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not text"))
}

/// The target of a `$ref`, or the value itself.
fn resolve(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str().and_then(|uri| uri.strip_prefix('#')) {
        Some(pointer) => DOCUMENT.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}")),
        None => value,
    }
}

/// The path that the document has for `path`, if any: the most literal one of those
/// that match.
fn find(path: &str) -> Option<&'static str> {
    let segments: Vec<_> = path.split('?').next()?.trim_matches('/').split('/').collect();
    let matches = |template: &str| {
        let template: Vec<_> = template.trim_matches('/').split('/').collect();
        template.len() == segments.len()
            && template.iter().zip(&segments).all(|(part, segment)| {
                part == segment || (part.starts_with('{') && !segment.is_empty())
            })
    };
    let paths = DOCUMENT["paths"].as_object().expect("paths").keys().map(String::as_str);
    paths.filter(|path| matches(path)).min_by_key(|path| path.matches('{').count())
}

/// Fails unless the document has `reply` as a response to `sent`.
pub fn check(sent: &Sent, reply: &Reply) {
    let what = format!("{sent:?}: {reply:?}");
    let response = find_response(sent, reply, &what);
    check_headers(&response["headers"], reply, &what);
    let Some(content) = response["content"].as_object() else {
        assert_eq!(reply.body, "", "{what}");
        assert_eq!(reply.header("content-type"), "", "{what}");
        return;
    };
    let content_type = reply.header("content-type").split(';').next().unwrap();
    let media = content.get(content_type).unwrap_or_else(|| panic!("undocumented content: {what}"));
    if sent.method != Method::HEAD {
        let body = match content_type.ends_with("json") {
            true => reply.json(),
            false => reply.body.clone().into(),
        };
        validate(&media["schema"], &body, &what);
    }
}

/// What the document says about the response.
fn find_response(sent: &Sent, reply: &Reply, what: &str) -> &'static Value {
    let responses = &DOCUMENT["components"]["responses"];
    let options = &DOCUMENT["x-options"];
    if sent.is_preflight {
        assert_eq!(reply.status, StatusCode::OK, "a preflight: {what}");
        return &options["cors_preflight"];
    }
    let method = if sent.method == Method::HEAD { "get" } else { sent.method.as_str() };
    let item = find(&sent.path).map(|path| &DOCUMENT["paths"][path]);
    let operation = item.map(|item| &item[method.to_lowercase()]);
    let response = match operation {
        None if reply.status == StatusCode::BAD_REQUEST => &responses["BadRequest"],
        None => {
            assert_eq!(reply.status, StatusCode::NOT_FOUND, "an undocumented path: {what}");
            &responses["NotFound"]
        }
        Some(operation) if operation.is_object() => {
            resolve(&operation["responses"][reply.status.as_str()])
        }
        Some(_) if reply.status == StatusCode::BAD_REQUEST => &responses["BadRequest"],
        Some(_) if sent.method == Method::OPTIONS => {
            assert_eq!(reply.status, StatusCode::OK, "OPTIONS: {what}");
            &options["options"]
        }
        Some(_) => {
            assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED, "{what}");
            &responses["MethodNotAllowed"]
        }
    };
    assert!(response.is_object(), "an undocumented status: {what}");
    response
}

/// Fails unless `reply` has all required headers of those that are `documented`, each with
/// a valid value, and no others.
fn check_headers(documented: &'static Value, reply: &Reply, what: &str) {
    let documented = documented.as_object().expect("headers");
    for (name, header) in documented {
        let header = resolve(header);
        // Only for HTML, which the document can't say.
        let is_policy = name == "Content-Security-Policy";
        let is_html = reply.header("content-type").starts_with("text/html");
        let is_required = if is_policy { is_html } else { header["required"] == true };
        let count = reply.headers.get_all(name).iter().count();
        assert_eq!(count, usize::from(is_required), "how often {name} is there: {what}");
        if !is_required {
            continue;
        }
        let text = reply.header(name);
        let value: Value = match header["schema"]["type"] == "integer" {
            true => {
                serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}: {what}"))
            }
            false => text.into(),
        };
        validate(&header["schema"], &value, &format!("{name} of {what}"));
    }
    let documented: BTreeSet<_> = documented.keys().map(|name| name.to_lowercase()).collect();
    for name in reply.headers.keys().map(|name| name.as_str()) {
        let known =
            documented.contains(name) || ["content-type", "connection", "date"].contains(&name);
        assert!(known, "an undocumented header {name}: {what}");
    }
}

/// Fails unless `value` conforms to `schema`, a schema of the document.
fn validate(schema: &Value, value: &Value, what: &str) {
    // The definitions that the schema refers to.
    let schema = json!({"allOf": [schema], "components": DOCUMENT["components"]});
    if let Err(error) = support::validate(&schema, value) {
        panic!("{error}: {what}");
    }
}

#[test]
fn the_document_is_served_as_written() {
    assert_eq!(get_json("/openapi.json"), *DOCUMENT);
}

#[test]
fn every_reference_has_a_target_and_every_definition_is_used() {
    fn collect(value: &'static Value, found: &mut BTreeSet<&'static str>) {
        if let Some(uri) = value["$ref"].as_str() {
            resolve(value);
            found.insert(uri);
        }
        match value {
            Value::Object(members) => members.values().for_each(|value| collect(value, found)),
            Value::Array(items) => items.iter().for_each(|value| collect(value, found)),
            _ => {}
        }
    }
    let mut used = BTreeSet::new();
    collect(&DOCUMENT, &mut used);
    // Operations refer to the security scheme by its name.
    used.insert("#/components/securitySchemes/write_token");
    for (kind, definitions) in DOCUMENT["components"].as_object().unwrap() {
        for name in definitions.as_object().unwrap().keys() {
            let uri = format!("#/components/{kind}/{name}");
            let is_used = used.iter().any(|used| {
                used.strip_prefix(&uri).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            });
            assert!(is_used, "{uri} is not used");
        }
    }
}

#[test]
fn every_example_is_what_the_components_send() {
    let mut seen = 0;
    for example in examples().into_iter().filter(|example| example["x-failing-sibling"].is_null()) {
        let path = text(&example["x-request"]);
        let method = example["x-method"].as_str().unwrap_or("GET").parse().unwrap();
        let mut request = request(method, path);
        for (name, value) in example["x-headers"].as_object().into_iter().flatten() {
            let name: HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, HeaderValue::from_static(text(value)));
        }
        if let Some(body) = example["x-body"].as_str() {
            *request.body_mut() = host::full(body);
        }
        let reply = send(request);
        let body = match reply.header("content-type").contains("json") {
            true => reply.json(),
            false => reply.body.into(),
        };
        assert_eq!(body, example["value"], "{path}");
        seen += 1;
    }
    assert!(seen >= 20, "{seen}");
}

#[test]
fn every_operation_answers_the_examples_of_its_parameters() {
    for path in paths() {
        assert_eq!(get(&path).status, StatusCode::OK, "{path}");
    }
}

#[test]
fn every_operation_documents_its_preconditions() {
    for Operation { method, path, description, .. } in operations() {
        let parameters = description["parameters"].as_array().unwrap().iter().map(resolve);
        let names: Vec<_> = parameters.map(|parameter| text(&parameter["name"])).collect();
        for name in ["If-Match", "If-None-Match"] {
            assert!(names.contains(&name), "{path} does not document {name}");
        }
        for status in if method == Method::GET { &["304", "412"][..] } else { &["412"] } {
            assert!(description["responses"][status].is_object(), "{path}: {status}");
        }
    }
}

#[test]
fn every_uri_of_the_index_is_its_path_with_all_query_parameters() {
    for (route, operation) in routes() {
        let (uri, query) = route.split_once('?').unwrap_or((route, ""));
        assert_eq!(uri.replace('<', "{").replace('>', "}"), operation.path, "{route}");
        let named: BTreeSet<_> =
            form_urlencoded::parse(query.as_bytes()).map(|pair| pair.0).collect();
        let named: BTreeSet<_> = named.iter().map(AsRef::as_ref).collect();
        let is_plain = query.is_empty();
        assert!(is_plain || named == operation.query_parameters(), "{route}");
    }
    for operation in reads() {
        let routes = routes().into_iter().filter(|(_, known)| known.path == operation.path);
        let has_query = routes.map(|(route, _)| route.contains('?')).collect::<Vec<_>>();
        assert!(!has_query.is_empty(), "the index lacks {}", operation.path);
        let takes_query = !operation.query_parameters().is_empty();
        assert_eq!(has_query.contains(&true), takes_query, "{}", operation.path);
    }
}
