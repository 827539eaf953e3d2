//! The page with every route, made from the description of the API.

use std::fmt::{self, Display};

use serde_json::Value;

/// A page on what `api`, an OpenAPI document, describes.
pub fn page(api: &Value) -> String {
    let info = &api["info"];
    let sections = list(&api["tags"]).iter().map(|tag| Section { api, tag });
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <link rel=\"icon\" href=\"/site/icon.svg\">\n\
         <link rel=\"stylesheet\" href=\"/site/style.css\">\n\
         <title>The API of {title}</title>\n</head>\n<body>\n<main>\n\
         <h1>The API of {title}</h1>\n<p>{summary} {description}</p>\n\
         <p>The whole description: <a href=\"/openapi.json\">/openapi.json</a>, version {version}. \
         The front page: <a href=\"/\">/</a>.</p>\n\
         {sections}</main>\n</body>\n</html>\n",
        title = text(&info["title"]),
        summary = text(&info["summary"]),
        description = text(&info["description"]),
        version = text(&info["version"]),
        sections = sections.map(|section| section.to_string()).collect::<String>(),
    )
}

/// A tag, with every operation that has it.
struct Section<'a> {
    api: &'a Value,
    tag: &'a Value,
}

impl Display for Section<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = text(&self.tag["name"]);
        writeln!(f, "<h2>{name}</h2>\n<p>{}</p>", text(&self.tag["description"]))?;
        writeln!(
            f,
            "<table>\n<thead><tr><th scope=\"col\">GET</th><th scope=\"col\">answer</th></tr></thead>"
        )?;
        for (path, item) in self.api["paths"].as_object().into_iter().flatten() {
            let operation = &item["get"];
            if !list(&operation["tags"]).contains(&self.tag["name"]) {
                continue;
            }
            let (href, path) = (escape(&self.example_of(path, operation)), escape(path));
            writeln!(
                f,
                "<tr><td><a href=\"{href}\"><code>{path}</code></a></td><td>{}{}{}</td></tr>",
                text(&operation["summary"]),
                self.parameters(operation),
                writes(item)
            )?;
        }
        writeln!(f, "</table>")
    }
}

impl<'a> Section<'a> {
    /// `path` with the examples of its parameters.
    fn example_of(&self, path: &str, operation: &'a Value) -> String {
        let mut example = path.to_owned();
        for parameter in self.resolved(operation) {
            let name = parameter["name"].as_str().unwrap_or_default();
            let value = parameter["example"].as_str().unwrap_or_default();
            example = example.replace(&format!("{{{name}}}"), value);
        }
        example
    }

    /// What the query parameters of an operation mean.
    fn parameters(&self, operation: &'a Value) -> String {
        let parameters = self.resolved(operation).filter(|parameter| parameter["in"] == "query");
        parameters
            .map(|parameter| {
                let (name, description) =
                    (text(&parameter["name"]), text(&parameter["description"]));
                format!("<br><code>?{name}=</code> {description}")
            })
            .collect()
    }

    /// The parameters of an operation, each from where its `$ref` points.
    fn resolved(&self, operation: &'a Value) -> impl Iterator<Item = &'a Value> {
        list(&operation["parameters"]).iter().filter_map(|parameter| {
            let pointer = parameter["$ref"].as_str().and_then(|uri| uri.strip_prefix('#'));
            pointer.map_or(Some(parameter), |pointer| self.api.pointer(pointer))
        })
    }
}

/// What other methods than GET do at the path `item`.
fn writes(item: &Value) -> String {
    let methods = [("PUT", &item["put"]), ("DELETE", &item["delete"])].into_iter();
    let methods = methods.filter(|(_, operation)| operation.is_object());
    methods
        .map(|(method, operation)| {
            format!("<br><code>{method}</code> {}", text(&operation["summary"]))
        })
        .collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    escape(value.as_str().unwrap_or_default())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
