//! The page with every route, made from the description of the API.

use maud::{DOCTYPE, Markup, html};
use serde_json::Value;

/// A page on what `api`, an OpenAPI document, describes.
pub fn page(api: &Value) -> String {
    let info = |name: &str| text(&api["info"][name]);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                link rel="icon" href="/site/icon.svg";
                link rel="stylesheet" href="/site/style.css";
                title { "The API of " (info("title")) }
            }
            body {
                main {
                    h1 { "The API of " (info("title")) }
                    p { (info("summary")) }
                    p {
                        "The whole description: " a href="/openapi.json" { "/openapi.json" }
                        ", version " (info("version")) ". The front page: " a href="/" { "/" } "."
                    }
                    @for tag in list(&api["tags"]) { (section(api, tag)) }
                    h2 { "What they share" }
                    p { (info("description")) }
                }
            }
        }
    };
    page.into_string()
}

/// A tag, with every path whose GET has it.
fn section(api: &Value, tag: &Value) -> Markup {
    let all = api["paths"].as_object().into_iter().flatten();
    let paths = all.filter(|(_, item)| list(&item["get"]["tags"]).contains(&tag["name"]));
    html! {
        h2 { (text(&tag["name"])) }
        p { (text(&tag["description"])) }
        table {
            thead { tr { th scope="col" { "GET" } th scope="col" { "answer" } } }
            @for (path, item) in paths {
                @let parameters = parameters(api, &item["get"]);
                tr {
                    td { a href=(example(path, &parameters)) { code { (path) } } }
                    td {
                        (text(&item["get"]["summary"]))
                        @for parameter in parameters.iter().filter(|one| one["in"] == "query") {
                            br; code { "?" (text(&parameter["name"])) "=" }
                            " " (text(&parameter["description"]))
                        }
                        @for (method, operation) in [("PUT", &item["put"]), ("DELETE", &item["delete"])] {
                            @if operation.is_object() {
                                br; code { (method) } " " (text(&operation["summary"]))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The parameters of an operation, each from where its `$ref` points.
fn parameters<'a>(api: &'a Value, operation: &'a Value) -> Vec<&'a Value> {
    let parameters = list(&operation["parameters"]).iter().filter_map(|parameter| {
        let pointer = parameter["$ref"].as_str().and_then(|uri| uri.strip_prefix('#'));
        pointer.map_or(Some(parameter), |pointer| api.pointer(pointer))
    });
    parameters.collect()
}

/// `path` with the examples of its parameters.
fn example(path: &str, parameters: &[&Value]) -> String {
    parameters.iter().fold(path.to_owned(), |path, parameter| {
        let name = format!("{{{}}}", text(&parameter["name"]));
        path.replace(&name, text(&parameter["example"]))
    })
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
