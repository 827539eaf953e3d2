//! The application as a whole: its manifest, its document, its README, its
//! crates, its data and its tests agree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use host::manifest::{Manifest, Route};
use serde_json::{Value, json};

use crate::application;
use crate::openapi::{DOCUMENT, Operation, operations, routes};

pub fn manifest() -> Manifest {
    Manifest::read(&support::folder("")).expect("a manifest")
}

/// The component that answers at `path`: that of the longest route that is a
/// prefix of it.
pub fn component_of(manifest: &Manifest, path: &str) -> String {
    let prefixes = manifest.triggers.iter().filter_map(|trigger| match &trigger.route {
        Route::Public(route) => Some((route.strip_suffix("/...")?, &trigger.component)),
        Route::Private(_) => None,
    });
    let matching = prefixes.filter(|(prefix, _)| {
        path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    let longest = matching.max_by_key(|(prefix, _)| prefix.len());
    longest.unwrap_or_else(|| panic!("no component answers at {path}")).1.clone()
}

/// The operations that the component `id` answers.
pub fn operations_of(manifest: &Manifest, id: &str) -> impl Iterator<Item = Operation> {
    operations().filter(move |operation| component_of(manifest, operation.path) == id)
}

/// The data files that each component sees, which are those in JSON, by component id.
pub fn data_files(manifest: &Manifest) -> BTreeMap<&str, Vec<PathBuf>> {
    let seen = manifest.components.iter().map(|(id, component)| {
        let root = tempfile::tempdir().unwrap();
        host::files::mount(manifest, component, root.path()).expect("mounted");
        let mut files = files_below(root.path());
        files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
        (id.as_str(), files)
    });
    seen.collect()
}

/// The files below `folder`, relative to it.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let paths = glob::glob(&format!("{}/**/*", folder.display())).unwrap();
    let files = paths.map(Result::unwrap).filter(|path| path.is_file());
    files.map(|path| path.strip_prefix(folder).unwrap().to_owned()).collect()
}

#[test]
fn every_data_file_is_seen_by_exactly_one_component_and_no_component_sees_another() {
    let manifest = manifest();
    let mut seen = BTreeSet::new();
    for (id, files) in data_files(&manifest) {
        assert!(files.len() <= 1, "{id} sees {files:?}");
        for file in files {
            assert!(seen.insert(file.clone()), "several components see {}", file.display());
        }
    }
    let data = files_below(&support::folder("data"));
    let mut missing = Missing::default();
    for path in data.into_iter().map(|path| Path::new("data").join(path)) {
        let text = "under `files` of its component";
        missing.unless(seen.remove(&path), &path.display().to_string(), "spin.toml", text);
    }
    assert_eq!(seen, [PathBuf::from("components/home/openapi.json")].into());
}

/// The variable that says where the component `id` is.
pub fn url_variable(id: &str) -> String {
    format!("{}_url", id.replace('-', "_"))
}

#[test]
fn every_component_may_call_exactly_the_siblings_that_its_operations_ask() {
    let manifest = manifest();
    for (id, component) in &manifest.components {
        let allowed = component.allowed_outbound_hosts.iter().map(|host| host.get_ref().clone());
        let asked = operations_of(&manifest, id).flat_map(|operation| operation.asks);
        let urls: BTreeSet<_> = asked.map(url_variable).collect();
        let template = |name: &String| format!("{{{{ {name} }}}}");
        let why = format!("{id}: from `x-asks` of its operations in components/home/openapi.json");
        let hosts = urls.iter().map(template).collect::<BTreeSet<_>>();
        assert_eq!(allowed.collect::<BTreeSet<_>>(), hosts, "allowed_outbound_hosts of {why}");
        let given = component.variables.keys().filter(|name| name.ends_with("_url"));
        assert_eq!(given.collect::<Vec<_>>(), Vec::from_iter(&urls), "variables of {why}");
    }
}

#[test]
fn every_component_imports_what_the_manifest_gives_it_and_nothing_else() {
    let manifest = manifest();
    for (id, component) in &manifest.components {
        let binary = fs::read(application().join(component.source.get_ref())).unwrap();
        let text = String::from_utf8_lossy(&binary);
        let packages = text.split("spin:").skip(1).filter_map(|rest| rest.split_once('/'));
        let packages: BTreeSet<_> = packages.map(|(name, _)| name).collect();
        let given = [
            ("sqlite", !component.sqlite_databases.is_empty()),
            ("variables", !component.variables.is_empty()),
        ];
        let given = given.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name);
        assert_eq!(packages, given.collect(), "what {id} imports of Spin, and is given");
        let sends = text.contains("wasi:http/client");
        assert_eq!(sends, !component.allowed_outbound_hosts.is_empty(), "whether {id} sends");
        let writes = operations_of(&manifest, id).any(|operation| operation.method != "GET");
        assert_eq!(packages.contains("sqlite"), writes, "whether {id} writes");
    }
}

/// The words of a cell that are quoted as code.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// What a file lacks, and what to write there.
#[derive(Default)]
struct Missing(Vec<String>);

impl Missing {
    fn unless(&mut self, is_there: bool, what: &str, place: &str, text: impl AsRef<str>) {
        if !is_there {
            self.0.push(format!("`{what}` is missing in {place}: {}", text.as_ref()));
        }
    }
}

impl Drop for Missing {
    fn drop(&mut self) {
        assert!(self.0.is_empty() || std::thread::panicking(), "\n{}\n", self.0.join("\n"));
    }
}

#[test]
fn every_service_is_in_every_file_that_must_have_it() {
    let manifest = manifest();
    let read = |path: &str| fs::read_to_string(support::folder(path)).expect("a file");
    let composed = Manifest::read(&support::folder("spin.composed.toml")).expect("a manifest");
    let split: Vec<Value> =
        serde_saphyr::from_multiple(&read("deploy/spinkube/split.yaml")).expect("YAML");
    let has = |list: &Value, id: &str| list.as_array().is_some_and(|all| all.contains(&id.into()));
    let data = data_files(&manifest);
    let mut missing = Missing::default();
    for (id, component) in &manifest.components {
        let name = id.replace('-', "_");
        let is_crate = support::folder(&format!("components/{id}/Cargo.toml")).is_file();
        missing.unless(is_crate, id, "components/", "a crate in a folder of that name");
        let place = format!("spin.toml, under [component.{id}]");
        let binary = format!("target/wasm32-wasip2/release/{name}.wasm");
        let source = format!("source = {binary:?}");
        missing.unless(*component.source.get_ref() == binary, id, &place, source);
        let build = component.build.as_ref();
        let command = format!("cargo build --target wasm32-wasip2 --release -p {id}");
        let is_built = build.is_some_and(|build| build.command.as_slice() == [command.as_str()]);
        missing.unless(is_built, id, &place, format!("build.command = {command:?}"));
        for watched in [format!("components/{id}/**/*"), "service-kit/**/*".to_owned()] {
            let is_watched = build.is_some_and(|build| build.watch.contains(&watched));
            missing.unless(is_watched, id, &place, format!("{watched:?} in build.watch"));
        }
        let is_composed = composed.components.contains_key(id);
        missing.unless(is_composed, id, "spin.composed.toml", "the same as in spin.toml");
        let place = "deploy/spinkube/split.yaml";
        let app = split.iter().map(|app| &app["spec"]).find(|app| has(&app["components"], id));
        missing.unless(app.is_some(), id, place, format!("{id} under `components` of a SpinApp"));
        let asked = operations_of(&manifest, id).flat_map(|operation| operation.asks);
        for sibling in asked.collect::<BTreeSet<_>>() {
            let url = url_variable(sibling);
            let mut variables =
                app.and_then(|app| app["variables"].as_array()).into_iter().flatten();
            let is_set = variables.any(|variable| variable["name"] == url);
            let is_near = app.is_none_or(|app| has(&app["components"], sibling));
            let text = format!("under the `variables` of the SpinApp of `{id}`");
            missing.unless(is_near || is_set, &url, place, text);
        }
        let triggers = manifest.triggers.iter().filter(|trigger| trigger.component == *id);
        let routes = triggers.filter_map(|trigger| match &trigger.route {
            Route::Public(route) => route.strip_suffix("/..."),
            Route::Private(_) => None,
        });
        let mut service = json!({
            "routes": routes.collect::<Vec<_>>(),
            "data": data[id.as_str()].first(),
            "source": format!("components/{id}/src/lib.rs"),
        });
        if !component.sqlite_databases.is_empty() {
            service["database"] = true.into();
        }
        let place = "components/home/openapi.json, under `x-services`";
        let text = format!("{id:?}: {service}");
        missing.unless(DOCUMENT["x-services"][id] == service, id, place, text);
        let is_tested = include_str!("main.rs").lines().any(|line| line == format!("mod {name};"));
        let text = format!("`mod {name};`, and tests in {name}.rs");
        missing.unless(is_tested, id, "tests/api/main.rs", text);
        let is_drawn = diagram().iter().any(|(from, to)| from == id || to == id);
        let text = format!("`{id} --> …` for each sibling that it asks, or a line `{id}`");
        missing.unless(is_drawn, id, "the diagram of README.md", text);
        let line = format!("{id} --- database");
        let is_right = read("README.md").contains(&line) != component.sqlite_databases.is_empty();
        missing.unless(is_right, id, "the diagram of README.md", format!("`{line}`, if it writes"));
        let has_paths = operations_of(&manifest, id).next().is_some();
        let place = "components/home/openapi.json, under `paths`";
        missing.unless(has_paths, id, place, "every path of it");
    }
    let crates = support::folder("components").read_dir().expect("a folder");
    let crates = crates.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let services = DOCUMENT["x-services"].as_object().unwrap().keys().cloned();
    for id in crates.filter(|name| !name.contains('.')).chain(services) {
        let is_there = manifest.components.contains_key(&id);
        missing.unless(is_there, &id, "spin.toml", format!("[component.{id}], and its trigger"));
    }
}

#[test]
fn every_operation_documents_what_all_of_them_have() {
    let mut missing = Missing::default();
    for operation in operations() {
        let Operation { method, path, description, .. } = &operation;
        let place = format!("components/home/openapi.json, under {method} {path}");
        let mut refer = |list: &str, name: &str, key: &str| {
            let reference = json!({ "$ref": format!("#/components/{list}/{name}") });
            let found = match key {
                "" => description[list].as_array().is_some_and(|all| all.contains(&reference)),
                key => !description[list][key].is_null(),
            };
            let key = if key.is_empty() { String::new() } else { format!("{key:?}: ") };
            missing.unless(found, name, &place, format!("{key}{reference} in `{list}`"));
        };
        for name in ["if_match", "if_none_match", "request_id"] {
            refer("parameters", name, "");
        }
        refer("responses", "PreconditionFailed", "412");
        if operation.method == "GET" {
            refer("responses", "NotModified", "304");
        }
        if path.contains('{') {
            refer("responses", "BadRequest", "400");
            refer("responses", "NotFound", "404");
        }
        if operation.asks.is_empty() {
            let some = operation.documents(502) || operation.documents(504);
            assert!(!some, "{place}: failures of siblings, but `x-asks` names none");
        } else {
            refer("responses", "SiblingBadResponse", "502");
            refer("responses", "SiblingUnavailable", "503");
            refer("responses", "SiblingTimeout", "504");
        }
        let content = &description["responses"]["200"]["content"]["application/json"];
        let has_example = content["examples"].as_object().is_some_and(|all| !all.is_empty());
        let is_of_home = component_of(&manifest(), path) == "home";
        let needs_none = operation.method != "GET" || is_of_home || content.is_null();
        let text = "the `examples` of the response 200, each with `x-request` and `value`";
        missing.unless(has_example || needs_none, "examples", &place, text);
    }
}

#[test]
fn the_readme_has_a_row_for_every_route_with_its_service_and_its_siblings() {
    let manifest = manifest();
    let readme = fs::read_to_string(support::folder("README.md")).unwrap();
    let section = readme.split("## Routes").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut rows: BTreeMap<_, _> = section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<_> = line.split('|').map(quoted).collect();
            let [_, route, _, service, asks, _] = &cells[..] else { panic!("{line}") };
            (route[0], (service.clone(), BTreeSet::from_iter(asks.iter().copied())))
        })
        .collect();
    let mut missing = Missing::default();
    for (route, Operation { path, .. }) in routes() {
        let (id, asks) =
            (component_of(&manifest, path), operations().filter(|one| one.path == path));
        let asked: BTreeSet<_> = asks.flat_map(|operation| operation.asks).collect();
        let row =
            format!("| `{route}` | … | `{id}` | {} |", Vec::from_iter(asked.clone()).join(" "));
        let is_there = rows.remove(route) == Some((vec![id.as_str()], asked));
        missing.unless(is_there, route, "README.md, under Routes", row);
    }
    for route in rows.keys() {
        missing.unless(false, route, "components/home/openapi.json", "`x-uris` of a path");
    }
}

/// The arrows of the README's diagram, and the services without one as an arrow to nowhere.
fn diagram() -> BTreeSet<(String, String)> {
    let readme = fs::read_to_string(support::folder("README.md")).unwrap();
    let diagram = readme.split("```").find_map(|block| block.strip_prefix("mermaid\n"));
    let lines = diagram.expect("a diagram").lines().map(str::trim);
    let lines = lines.filter(|line| !line.contains("---") && !line.contains("graph"));
    let arrows = lines.map(|line| match line.split_once("-->") {
        Some((from, to)) => (from.split_whitespace().next().unwrap_or_default(), to.trim()),
        None => (line, ""),
    });
    arrows.map(|(from, to)| (from.to_owned(), to.to_owned())).collect()
}

#[test]
fn the_readme_draws_whom_each_service_asks() {
    let manifest = manifest();
    let asked = operations().flat_map(|one| {
        let id = component_of(&manifest, one.path);
        one.asks.into_iter().map(move |sibling| (id.clone(), sibling.to_owned()))
    });
    let asked: BTreeSet<_> = asked.collect();
    let drawn = diagram();
    let mut missing = Missing::default();
    for (from, to) in &asked {
        let arrow = format!("{from} --> {to}");
        missing.unless(drawn.contains(&(from.clone(), to.clone())), from, "the diagram", arrow);
    }
    let mut wrong = drawn;
    wrong.retain(|arrow| !arrow.1.is_empty() && !asked.contains(arrow));
    assert!(wrong.is_empty(), "nobody asks so: {wrong:?}");
}

#[test]
fn the_readme_has_the_ports_that_the_order_of_the_manifest_gives() {
    let readme = fs::read_to_string(support::folder("README.md")).unwrap();
    let text = readme.split_whitespace().collect::<Vec<_>>().join(" ").replace("at port ", "at ");
    let mut ids: Vec<_> = manifest().triggers.into_iter().map(|one| one.component).collect();
    ids.dedup();
    for (id, port) in ids.iter().zip(5000..).take(4) {
        let part = format!("`{id}` at {port}");
        assert!(text.contains(&part), "README.md lacks {part}, which follows from spin.toml");
    }
}

/// Whether a document has a heading with this anchor, as GitHub makes it, or none is asked for.
fn has_heading(document: &Path, anchor: &str) -> bool {
    let text = fs::read_to_string(document).unwrap_or_default();
    let mut anchors = text.lines().filter(|line| line.starts_with('#')).map(|heading| {
        let kept = heading.chars().filter(|one| one.is_alphanumeric() || " -_".contains(*one));
        kept.collect::<String>().trim().to_lowercase().replace(' ', "-")
    });
    anchor.is_empty() || anchors.any(|one| one == anchor)
}

#[test]
fn every_link_of_a_document_leads_to_a_file_and_to_a_heading_of_it() {
    let patterns = ["*.md", "*/README.md", "components/*/README.md"].map(support::folder);
    let documents = patterns.iter().flat_map(|pattern| glob::glob(pattern.to_str().unwrap()));
    let mut missing = Missing::default();
    for document in documents.flatten().map(Result::unwrap) {
        let text = fs::read_to_string(&document).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let folder = document.parent().unwrap();
            let target = if path.is_empty() { document.clone() } else { folder.join(path) };
            let leads = target.exists() && has_heading(&target, anchor);
            missing.unless(leads, link, &document.display().to_string(), "a link leads there");
        }
    }
}
