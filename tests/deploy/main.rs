//! What `deploy/` has for hosts in the cloud, as far as it can be tried without them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use host::manifest::{Manifest, Route};
use http::{Method, StatusCode};
use serde_json::Value;
use support::request;

fn read(path: &str) -> String {
    fs::read_to_string(support::folder("deploy").join(path)).expect("a file")
}

/// The objects in a file for Kubernetes.
fn objects(path: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Those of a kind, by name.
fn of_kind(path: &str, kind: &str) -> BTreeMap<String, Value> {
    let objects = objects(path).into_iter().filter(|object| object["kind"] == kind);
    objects.map(|object| (text(&object["metadata"]["name"]), object["spec"].clone())).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn manifest() -> Manifest {
    Manifest::read(&support::folder("")).expect("a manifest")
}

/// The schema of SpinApp, which refuses fields that it does not have. Kubernetes drops
/// them, so a misspelt one would be lost there.
fn schema() -> Value {
    let definition = objects("spinkube/spinapp-crd.yaml").remove(0);
    let version = &definition["spec"]["versions"][0];
    assert_eq!(version["name"], "v1alpha1");
    let mut schema = version["schema"]["openAPIV3Schema"].clone();
    // It only says that this is an object.
    schema["properties"]["metadata"]["additionalProperties"] = true.into();
    close(&mut schema);
    schema
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            // Of two types, where OpenAPI 3.0 has a name for one only.
            if members.contains_key("x-kubernetes-int-or-string") {
                members.remove("type");
            }
            if members.contains_key("properties") && !members.contains_key("additionalProperties") {
                members.insert("additionalProperties".into(), false.into());
            }
            members.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

#[test]
fn every_spinapp_conforms_to_the_schema_of_its_kind() {
    let schema = schema();
    for (path, count) in [("spinkube/whole.yaml", 1), ("spinkube/split.yaml", 4)] {
        let apps = objects(path).into_iter().filter(|object| object["kind"] == "SpinApp");
        let apps: Vec<_> = apps.collect();
        assert_eq!(apps.len(), count, "{path}");
        for mut app in apps {
            assert_eq!(app["apiVersion"], "core.spinkube.dev/v1alpha1", "{path}");
            support::validate(&schema, &app).unwrap_or_else(|error| panic!("{path}: {error}"));
            app["spec"]["imagge"] = "misspelt".into();
            support::validate(&schema, &app).expect_err("a misspelt field");
        }
    }
}

/// What the SpinApps of a file must say follows from `spin.toml`: which variables they
/// need, and who writes.
#[test]
fn the_spinapps_have_the_variables_and_the_database_that_their_components_need() {
    let manifest = manifest();
    for path in ["spinkube/whole.yaml", "spinkube/split.yaml"] {
        let apps = of_kind(path, "SpinApp");
        let all = || manifest.components.keys().cloned().collect::<BTreeSet<_>>();
        let components = |spec: &Value| match &spec["components"] {
            Value::Null => all(),
            some => array(some).map(text).collect(),
        };
        let homes: Vec<_> = apps
            .iter()
            .flat_map(|(name, spec)| components(spec).into_iter().map(move |id| (id, name)))
            .collect();
        assert_eq!(homes.len(), manifest.components.len(), "{path}: each component once");
        let homes: BTreeMap<_, _> = homes.into_iter().collect();
        assert!(homes.keys().eq(manifest.components.keys()), "{path}");
        for (name, spec) in &apps {
            let own = components(spec);
            let own_components = || own.iter().map(|id| &manifest.components[id]);
            let urls = own_components().flat_map(|component| component.variables.keys());
            let urls = urls.filter_map(|name| name.strip_suffix("_url"));
            let siblings = urls.map(|sibling| sibling.replace('_', "-"));
            let others = siblings.filter(|sibling| !own.contains(sibling));
            let needed = others.map(|id| {
                (format!("{}_url", id.replace('-', "_")), format!("http://{}", homes[&id]))
            });
            let given = array(&spec["variables"])
                .filter(|variable| text(&variable["name"]).ends_with("_url"));
            let given = given.map(|variable| (text(&variable["name"]), text(&variable["value"])));
            assert_eq!(given.collect::<BTreeMap<_, _>>(), needed.collect(), "{path}: {name}");
            for variable in array(&spec["variables"]) {
                let variable = text(&variable["name"]);
                assert!(manifest.variables.contains_key(&variable), "{path}: {name}: {variable}");
            }
            let writes = own_components().any(|component| !component.sqlite_databases.is_empty());
            let has_token =
                array(&spec["variables"]).any(|variable| variable["name"] == "write_token");
            assert_eq!(has_token, writes, "{path}: {name}");
            let databases = array(&spec["runtimeConfig"]["sqliteDatabases"]);
            let databases: Vec<_> =
                databases.map(|one| (text(&one["name"]), text(&one["type"]))).collect();
            let expected = ("default".to_owned(), "libsql".to_owned());
            assert_eq!(databases, Vec::from_iter(writes.then_some(expected)), "{path}: {name}");
            assert_ne!(
                spec["enableAutoscaling"] == true,
                spec["replicas"].is_number(),
                "{path}: {name}"
            );
        }
        let scaled = of_kind(path, "HorizontalPodAutoscaler");
        for (name, spec) in &scaled {
            let target =
                ["apiVersion", "kind", "name"].map(|key| text(&spec["scaleTargetRef"][key]));
            assert_eq!(target, ["apps/v1", "Deployment", name], "{path}");
            let metric = &spec["metrics"][0]["resource"];
            let is_complete = metric["target"]["averageUtilization"].is_number();
            assert!(is_complete && spec["maxReplicas"].is_number(), "{path}: {name}");
        }
        let autoscaled = apps.iter().filter(|(_, spec)| spec["enableAutoscaling"] == true);
        assert!(scaled.keys().eq(autoscaled.map(|(name, _)| name)), "{path}");
    }
}

#[test]
fn the_tokens_come_from_a_secret() {
    for path in ["spinkube/whole.yaml", "spinkube/split.yaml"] {
        for (name, spec) in of_kind(path, "SpinApp") {
            let databases = array(&spec["runtimeConfig"]["sqliteDatabases"]);
            let options = databases.flat_map(|database| array(&database["options"]));
            let secret = array(&spec["variables"]).chain(options);
            for secret in secret.filter(|one| text(&one["name"]).contains("token")) {
                let key = &secret["valueFrom"]["secretKeyRef"];
                assert!(key["key"].is_string() && secret.get("value").is_none(), "{path}: {name}");
            }
        }
    }
}

#[test]
fn the_ingress_leads_every_route_to_the_spinapp_of_its_component() {
    let apps = of_kind("spinkube/split.yaml", "SpinApp");
    let rules =
        of_kind("spinkube/split.yaml", "Ingress").remove("cinema-3-and-todo").expect("an Ingress");
    let paths: Vec<_> = array(&rules["rules"][0]["http"]["paths"])
        .map(|rule| (text(&rule["path"]), text(&rule["backend"]["service"]["name"])))
        .collect();
    for trigger in manifest().triggers {
        let Route::Public(route) = trigger.route else { continue };
        let route = route.trim_end_matches("...").trim_end_matches('/').to_owned() + "/";
        // The longest path wins.
        let leads = paths
            .iter()
            .filter(|(path, _)| route.starts_with(&(path.trim_end_matches('/').to_owned() + "/")));
        let (_, app) = leads.max_by_key(|(path, _)| path.len()).expect("a path for every route");
        let components: Vec<_> = array(&apps[app]["components"]).map(text).collect();
        assert!(components.contains(&trigger.component), "{route} leads to {app}");
    }
}

#[test]
fn the_runtime_configuration_has_what_spin_needs_for_libsql() {
    let configuration: toml::Table = read("runtime-config.toml").parse().expect("TOML");
    let database = configuration["sqlite_database"]["default"].as_table().expect("a database");
    assert!(database.keys().eq(["token", "type", "url"]), "{database:?}");
    assert_eq!(database["type"].as_str(), Some("libsql"));
    assert!(database["url"].as_str().is_some_and(|url| url.starts_with("https://")));
}

/// The manifest that the command in `deploy/README.md` makes.
#[test]
fn the_read_only_components_import_no_database_and_serve_the_data_files() {
    let readme = read("README.md");
    let command = readme.split("```sh\n").find(|block| block.starts_with("sed ")).expect("sed");
    let command = command.split(" > spin.read-only.toml").next().expect("a command");
    let output = Command::new("sh").args(["-c", command]).current_dir(support::folder("")).output();
    let text = String::from_utf8(output.expect("sed runs").stdout).expect("UTF-8");
    assert!(text.contains("\ntargets = [\"akamai-functions\"]\n"), "{text}");
    // Beside `spin.toml`, as its paths demand; a user's own is another one.
    let path = support::folder("spin.read-only.test.toml");
    fs::write(&path, text).expect("written");
    let _removed = Removed(&path);
    let manifest = Manifest::read(&path).expect("a manifest");
    let builder = support::builder();
    for (id, component) in &manifest.components {
        assert_eq!(component.sqlite_databases.len(), 0, "{id}");
        builder.build(&manifest, id).expect("built");
        let binary = fs::read(manifest.dir.join(component.source.get_ref())).expect("a binary");
        let imports = |name: &[u8]| binary.windows(name.len()).any(|bytes| bytes == name);
        assert!(!imports(b"spin:sqlite"), "{id}");
    }
    let app = support::loader(&path).load().expect("an application");
    let booking = "/bookings/peter_curley/20151201/267eedb8-0f5d-42d5-8f43-72426b9fb3e6";
    let reply = support::send(&app, request(Method::PUT, booking));
    assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(reply.header("allow"), "GET, HEAD, OPTIONS");
    assert_eq!(support::send(&app, request(Method::GET, "/bookings")).status, StatusCode::OK);
}

/// A file that is removed when this is dropped.
struct Removed<'a>(&'a Path);

impl Drop for Removed<'_> {
    fn drop(&mut self) {
        _ = fs::remove_file(self.0);
    }
}
