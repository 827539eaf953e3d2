//! The description of the API, executed: every example against the components,
//! every answer of the components against the description.

use std::collections::BTreeSet;
use std::fs;

use std::sync::LazyLock;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Reply, folder, request};
use crate::{get, get_json, send};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let text = fs::read_to_string(folder("components/home/openapi.json")).expect("a document");
    serde_json::from_str(&text).expect("JSON")
});

/// What a `$ref` points at, or the value itself.
fn resolve(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str().and_then(|uri| uri.strip_prefix('#')) {
        Some(pointer) => DOCUMENT.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}")),
        None => value,
    }
}

/// The path of the document that stands for `path`, the more literal the
/// better, and its item.
fn find(path: &str) -> Option<(&'static str, &'static Value)> {
    let segments: Vec<_> = path.split('?').next()?.trim_matches('/').split('/').collect();
    let matches = |template: &str| {
        let template: Vec<_> = template.trim_matches('/').split('/').collect();
        template.len() == segments.len()
            && template.iter().zip(&segments).all(|(part, segment)| {
                part == segment || (part.starts_with('{') && !segment.is_empty())
            })
    };
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    let found = paths.iter().filter(|(template, _)| matches(template));
    found
        .min_by_key(|(template, _)| template.matches('{').count())
        .map(|(path, item)| (path.as_str(), item))
}

/// Fails unless the document has `reply` as an answer to `method` at `path`.
pub fn check(method: &Method, path: &str, reply: &Reply) {
    let what = format!("{method} {path}: {reply:?}");
    let status = reply.status.as_str();
    let responses = &DOCUMENT["components"]["responses"];
    let response = match (find(path), method) {
        (None, _) if reply.status == StatusCode::BAD_REQUEST => &responses["BadRequest"],
        (None, _) => {
            assert_eq!(reply.status, StatusCode::NOT_FOUND, "an unknown route: {what}");
            &responses["NotFound"]
        }
        (Some(_), _) if reply.status == StatusCode::BAD_REQUEST && method != Method::GET => {
            &responses["BadRequest"]
        }
        (Some((_, item)), &Method::GET | &Method::HEAD) => {
            resolve(&item["get"]["responses"][status])
        }
        (Some(_), &Method::OPTIONS) => return,
        (Some(_), _) => &responses["MethodNotAllowed"],
    };
    assert!(response.is_object(), "an undocumented status: {what}");
    check_headers(&response["headers"], reply, &what);
    let Some(content) = response["content"].as_object() else {
        assert_eq!(reply.body, "", "{what}");
        return;
    };
    let content_type = reply.header("content-type").split(';').next().unwrap();
    let media = content.get(content_type).unwrap_or_else(|| panic!("undocumented content: {what}"));
    if method != Method::HEAD {
        let body = match content_type.ends_with("json") {
            true => reply.json(),
            false => reply.body.clone().into(),
        };
        validate(&media["schema"], &body, &what);
    }
}

fn check_headers(headers: &'static Value, reply: &Reply, what: &str) {
    let documented = headers.as_object().expect("headers");
    for (name, header) in documented {
        let text = reply.header(name);
        if text.is_empty() && name == "Vary" {
            continue; // of the index alone
        }
        let schema = &resolve(header)["schema"];
        let value: Value = match schema["type"] == "integer" {
            true => {
                serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}: {what}"))
            }
            false => text.into(),
        };
        validate(schema, &value, &format!("{name} of {what}"));
    }
    let documented: BTreeSet<_> = documented.keys().map(|name| name.to_lowercase()).collect();
    for name in reply.headers.keys().map(|name| name.as_str()) {
        let known =
            documented.contains(name) || ["content-type", "connection", "date"].contains(&name);
        assert!(known, "an undocumented header {name}: {what}");
    }
}

/// Fails unless `value` is what `schema`, a schema of the document, says.
fn validate(schema: &Value, value: &Value, what: &str) {
    // The definitions that the schema points at stand beside it.
    let schema = json!({"allOf": [schema], "components": DOCUMENT["components"]});
    let validator = jsonschema::draft202012::new(&schema).expect("a schema");
    if let Err(error) = validator.validate(value) {
        panic!("{error} at {}: {what}", error.instance_path());
    }
}

/// Every example in the document.
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

#[test]
fn the_document_is_served_as_it_stands() {
    assert_eq!(get_json("/openapi.json"), *DOCUMENT);
}

#[test]
fn every_example_is_what_the_components_answer() {
    let mut seen = 0;
    for example in examples().into_iter().filter(|example| example["x-failing-sibling"].is_null()) {
        let path = example["x-request"].as_str().unwrap();
        let method = example["x-method"].as_str().unwrap_or("GET").parse().unwrap();
        let reply = send(request(method, path));
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
fn every_operation_answers_with_the_examples_of_its_parameters() {
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        let mut uri = path.clone();
        let mut query = form_urlencoded::Serializer::new(String::new());
        for parameter in item["get"]["parameters"].as_array().unwrap() {
            let parameter = resolve(parameter);
            let (name, example) = (parameter["name"].as_str().unwrap(), &parameter["example"]);
            match parameter["in"].as_str().unwrap() {
                "path" => uri = uri.replace(&format!("{{{name}}}"), example.as_str().unwrap()),
                "query" => {
                    let values = example.as_array().cloned().unwrap_or(vec![example.clone()]);
                    for value in values {
                        query.append_pair(name, value.as_str().unwrap_or(&value.to_string()));
                    }
                }
                _ => {}
            }
        }
        assert_eq!(get(&format!("{uri}?{}", query.finish())).status, StatusCode::OK, "{uri}");
    }
}

#[test]
fn every_route_of_a_component_is_in_the_document_and_the_other_way_round() {
    // A route is an arm of a service's `match`: `["movies", id] => ...`.
    let mut routes = BTreeSet::new();
    for component in folder("components").read_dir().unwrap() {
        let source = fs::read_to_string(component.unwrap().path().join("src/lib.rs")).unwrap();
        let arms = source.lines().map(str::trim).filter(|line| line.starts_with('['));
        let arms = arms.filter_map(|line| line.strip_prefix('[')?.split_once("] => "));
        for (pattern, _) in arms {
            let segments = pattern.split(", ").filter(|segment| !segment.is_empty());
            let segments = segments.map(|segment| match segment.strip_prefix('"') {
                Some(literal) => literal.trim_end_matches('"').to_owned(),
                None => "{}".to_owned(),
            });
            routes.insert(format!("/{}", segments.collect::<Vec<_>>().join("/")));
        }
    }
    let documented = DOCUMENT["paths"].as_object().unwrap().keys().map(|path| {
        let segments =
            path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
        segments.collect::<Vec<_>>().join("/")
    });
    assert_eq!(routes, documented.collect());
}

#[test]
fn the_index_names_exactly_the_routes_of_the_document() {
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        let uris = item["x-uris"].as_object().unwrap();
        assert!(path == "/" || !uris.is_empty(), "{path} is missing from the index");
        for uri in uris.values().map(|uri| uri.as_str().unwrap()) {
            let uri = uri.split('?').next().unwrap().replace('<', "{").replace('>', "}");
            assert_eq!(uri, *path);
        }
    }
}

#[test]
fn the_readme_has_exactly_the_routes_of_the_document() {
    let readme = fs::read_to_string(folder("README.md")).unwrap();
    let section = readme.split("## Routes").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let routes: BTreeSet<_> = rows.map(|(route, _)| route).collect();
    let uris = DOCUMENT["paths"].as_object().unwrap().values();
    let uris = uris.flat_map(|item| item["x-uris"].as_object().unwrap().values());
    let uris = uris.map(|uri| uri.as_str().unwrap()).chain(["/"]);
    assert_eq!(routes, uris.collect());
}
