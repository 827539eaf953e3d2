//! The application as a whole: its manifest, its document, its README, its
//! crates, its data and its tests agree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use host::manifest::{Manifest, Route};
use serde_json::json;

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
    let data = data.into_iter().map(|path| Path::new("data").join(path));
    let document = PathBuf::from("components/home/openapi.json");
    assert_eq!(seen, data.chain([document]).collect());
}

#[test]
fn the_services_of_the_document_are_those_of_the_manifest() {
    let manifest = manifest();
    let files = data_files(&manifest);
    for (id, component) in &manifest.components {
        let triggers = manifest.triggers.iter().filter(|trigger| trigger.component == *id);
        let routes = triggers.filter_map(|trigger| match &trigger.route {
            Route::Public(route) => route.strip_suffix("/..."),
            Route::Private(_) => None,
        });
        let mut service = json!({
            "routes": routes.collect::<Vec<_>>(),
            "data": files[id.as_str()][0],
            "source": format!("components/{id}/src/lib.rs"),
        });
        if !component.sqlite_databases.is_empty() {
            service["database"] = true.into();
        }
        assert_eq!(DOCUMENT["x-services"][id], service, "{id} in `x-services` of openapi.json");
        assert!(support::folder(service["source"].as_str().unwrap()).is_file(), "{id}");
    }
    let services = DOCUMENT["x-services"].as_object().unwrap();
    assert_eq!(services.len(), manifest.components.len(), "{:?}", services.keys());
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
        let own = operations().filter(|operation| component_of(&manifest, operation.path) == *id);
        let asked = own.flat_map(|operation| operation.asks);
        let urls: BTreeSet<_> = asked.map(url_variable).collect();
        let templates = urls.iter().map(|name| format!("{{{{ {name} }}}}"));
        assert_eq!(allowed.collect::<BTreeSet<_>>(), templates.collect(), "{id}");
        let given = component.variables.keys().filter(|name| name.ends_with("_url"));
        assert_eq!(given.collect::<Vec<_>>(), urls.iter().collect::<Vec<_>>(), "{id}");
    }
}

/// The packages that each component imports of Spin, and whether it sends requests.
const IMPORTS: [(&str, &[&str], bool); 7] = [
    ("bookings", &["spin:sqlite", "spin:variables"], true),
    ("home", &[], false),
    ("movies", &[], false),
    ("showtimes", &[], false),
    ("todo-lists", &["spin:sqlite", "spin:variables"], true),
    ("todo-users", &["spin:variables"], true),
    ("users", &["spin:variables"], true),
];

#[test]
fn every_component_imports_what_it_needs_and_what_the_manifest_gives_it() {
    let manifest = manifest();
    assert!(manifest.components.keys().eq(IMPORTS.iter().map(|(id, ..)| id)));
    for ((id, component), (_, of_spin, sends)) in manifest.components.iter().zip(IMPORTS) {
        let binary = fs::read(application().join(component.source.get_ref())).unwrap();
        let text = String::from_utf8_lossy(&binary);
        let packages = text.split("spin:").skip(1).filter_map(|rest| rest.split_once('/'));
        let packages = packages.map(|(name, _)| format!("spin:{name}"));
        assert_eq!(
            packages.collect::<BTreeSet<_>>(),
            of_spin.iter().map(|name| name.to_string()).collect(),
            "{id}"
        );
        assert_eq!(text.contains("wasi:http/client"), sends, "{id}");
        let imports = |name| of_spin.contains(&name);
        assert_eq!(imports("spin:sqlite"), !component.sqlite_databases.is_empty(), "{id}");
        assert_eq!(imports("spin:variables"), !component.variables.is_empty(), "{id}");
        let writes =
            operations().any(|one| one.method != "GET" && component_of(&manifest, one.path) == *id);
        assert_eq!(imports("spin:sqlite"), writes, "{id}");
    }
}

#[test]
fn every_operation_that_asks_siblings_documents_their_failures() {
    for operation in operations() {
        let asks = !operation.asks.is_empty();
        for status in [502, 504] {
            assert_eq!(operation.documents(status), asks, "{}: {status}", operation.path);
        }
        assert!(operation.documents(503) || !asks, "{}", operation.path);
    }
}

#[test]
fn the_readme_has_a_row_for_every_route_with_its_service_and_its_siblings() {
    let manifest = manifest();
    let readme = fs::read_to_string(support::folder("README.md")).unwrap();
    let section = readme.split("## Routes").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: BTreeMap<_, _> = section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<_> = line.split('|').map(quoted).collect();
            let [_, route, _, service, asks, _] = &cells[..] else { panic!("{line}") };
            (route[0], (service.clone(), BTreeSet::from_iter(asks.iter().copied())))
        })
        .collect();
    let routes = routes();
    assert_eq!(rows.keys().collect::<Vec<_>>(), routes.keys().collect::<Vec<_>>());
    for (route, Operation { path, .. }) in routes {
        let (service, asked) = &rows[route];
        let asks = operations().filter(|operation| operation.path == path);
        assert_eq!(*service, [component_of(&manifest, path)], "{route}");
        assert_eq!(*asked, asks.flat_map(|operation| operation.asks).collect(), "{route}");
    }
}

/// The words of a cell that are quoted as code.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_component_has_a_crate_a_build_command_a_documented_path_and_a_test_file() {
    let manifest = manifest();
    let ids: Vec<_> = manifest.components.keys().cloned().collect();
    let crates = support::folder("components").read_dir().expect("a folder");
    let mut crates: Vec<_> =
        crates.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    crates.sort();
    assert_eq!(ids, crates);
    let documented: BTreeSet<_> =
        operations().map(|operation| component_of(&manifest, operation.path)).collect();
    for (id, component) in &manifest.components {
        let name = id.replace('-', "_");
        let binary = format!("target/wasm32-wasip2/release/{name}.wasm");
        assert_eq!(*component.source.get_ref(), binary, "{id}");
        let build = component.build.as_ref().expect("a build command");
        let command = format!("cargo build --target wasm32-wasip2 --release -p {id}");
        assert_eq!(build.command.as_slice(), [command], "{id}");
        assert!(documented.contains(id), "openapi.json has no path of {id}");
        let tests = format!("mod {name};");
        assert!(include_str!("main.rs").lines().any(|line| line == tests), "{id} has no tests");
    }
}
