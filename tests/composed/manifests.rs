//! The two manifests, and what they are built to.

use std::fs;
use std::time::{Duration, Instant};

use host::manifest::Manifest;
use host::{Server, Watch};
use http::Method;
use support::{Lines, RUNTIME, Reply, edit, folder, loader, prepare, request, send};
use toml::Table;

use crate::{USER, composed, copy};

const MANIFESTS: [&str; 2] = ["spin.toml", "spin.composed.toml"];

#[test]
fn building_in_either_order_leaves_both_manifests_working() {
    let [chained, composed] = MANIFESTS.map(folder);
    for order in [[&chained, &composed], [&composed, &chained]] {
        order.into_iter().for_each(|manifest| prepare(manifest));
        let path = format!("/users/{USER}/suggested");
        let [chained, composed] = [&chained, &composed].map(|manifest| {
            let app = loader(manifest).load().expect("an application");
            send(&app, request(Method::GET, &path))
        });
        assert_eq!(chained.status, 200, "{chained:?}");
        assert_eq!(chained.body, composed.body);
    }
}

#[test]
fn the_manifests_differ_only_in_the_users() {
    let [mut chained, mut composed] = MANIFESTS.map(|name| {
        let text = fs::read_to_string(folder(name)).expect("a manifest");
        text.parse::<Table>().expect("TOML")
    });
    for manifest in [&mut chained, &mut composed] {
        let components = manifest["component"].as_table_mut().expect("components");
        components.remove("users").expect("the users");
    }
    assert_eq!(chained, composed);
}

#[test]
fn composed_users_neither_send_requests_nor_may() {
    let manifest = Manifest::read(&support::composed()).expect("a manifest");
    let users = &manifest.components["users"];
    assert!(users.allowed_outbound_hosts.is_empty());
    let binary = fs::read(manifest.dir.join(users.source.get_ref())).expect("a binary");
    let text = String::from_utf8_lossy(&binary);
    assert!(!text.contains("wasi:http/client"));
    assert!(text.contains("cinema:movies/catalog") && text.contains("cinema:bookings/ledger"));
}

/// The line of spin.composed.toml that has `text`.
fn line_of(text: &str) -> usize {
    let manifest = fs::read_to_string(folder("spin.composed.toml")).unwrap();
    1 + manifest.lines().position(|line| line.contains(text)).expect("such a line")
}

#[test]
fn a_dependency_that_does_not_fit_is_an_error_with_its_line() {
    const MOVIES: &str = r#"[component.users.dependencies."cinema:movies/catalog@0.1.0"]"#;
    const PATH: &str = r#"path = "target/wasm32-wasip2/release/movies.wasm""#;
    let in_source = line_of("target/composed");
    let another = MOVIES.replace("/catalog@0.1.0", "") + "\n" + PATH;
    for (from, to, line, words) in [
        (MOVIES, MOVIES.replace("catalog", "ranking"), line_of(MOVIES), "has no such import"),
        (MOVIES, MOVIES.replace("0.1.0", "0.2.0"), line_of(MOVIES), "has no such import"),
        (MOVIES, "[component.users.tool]".into(), in_source, "cinema:movies/catalog@0.1.0"),
        (PATH, PATH.replace("movies", "gone"), line_of(MOVIES), "gone.wasm"),
        (PATH, PATH.replace("movies", "showtimes"), line_of(MOVIES), "it has wasi:http/handler"),
        (
            PATH,
            format!("export = \"wasi:http/handler@0.3.0\"\n{PATH}"),
            line_of(MOVIES),
            "mismatch",
        ),
        (
            PATH,
            PATH.replace("release/movies.wasm", "release/movies.d"),
            line_of(MOVIES),
            "is not a",
        ),
        (MOVIES, format!("{another}\n{MOVIES}"), line_of(MOVIES) + 2, "already been registered"),
    ] {
        let copy = copy();
        edit(&composed(&copy), from, &to);
        let error = loader(&composed(&copy)).load().err().expect("an error").to_string();
        let place = format!("spin.composed.toml:{line}: ");
        assert!(error.contains(&place), "{to}: expected line {line}: {error}");
        assert!(error.contains(words), "{to}: {error}");
    }
}

#[test]
fn an_import_of_a_dependency_that_no_host_knows_is_an_error_inherited_or_not() {
    let copy = copy();
    let mut bookings = fs::read(folder("target/wasm32-wasip2/release/bookings.wasm")).unwrap();
    let (known, unknown) = (b"spin:variables/variables@", b"spin:unknown-y/variables@");
    for start in 0..bookings.len() - known.len() {
        let part = &mut bookings[start..start + known.len()];
        if part == known {
            part.copy_from_slice(unknown);
        }
    }
    fs::write(copy.path().join("bookings.wasm"), bookings).unwrap();
    let dependency = "\"target/wasm32-wasip2/release/bookings.wasm\"\ninherit_configuration";
    for inherited in ["true", "false"] {
        let copied = format!("\"bookings.wasm\"\ninherit_configuration = {inherited} #");
        let manifest = copy.path().join(format!("{inherited}.toml"));
        fs::copy(composed(&copy), &manifest).unwrap();
        edit(&manifest, dependency, &copied);
        let error = loader(&manifest).load().err().expect("an error").to_string();
        assert!(error.contains("`spin:unknown-y/variables@3.0.0`"), "{inherited}: {error}");
    }
}

#[test]
fn a_dependency_that_changes_is_composed_again() {
    prepare(&folder("tests/faulty"));
    let copy = copy();
    let built = folder("target/wasm32-wasip2/release");
    let dependency = copy.path().join("movies.wasm");
    fs::copy(built.join("movies.wasm"), &dependency).unwrap();
    let path = "\"target/wasm32-wasip2/release/movies.wasm\"\ninherit";
    edit(&composed(&copy), path, "\"movies.wasm\"\ninherit");
    let lines = Lines::default();
    let loader = loader(&composed(&copy)).log(lines.log());
    RUNTIME.block_on(async {
        let mut watch = Watch::new(loader, None).unwrap();
        let app = watch.first_version().await.unwrap();
        let server = Server::bind(app, "127.0.0.1:0").await.unwrap();
        let served = server.served().clone();
        let watching = tokio::spawn(watch.run(served.clone()));
        fs::copy(built.join("faulty_movies.wasm"), &dependency).unwrap();
        let start = Instant::now();
        while !lines.text().contains("Serving the new version") {
            assert!(start.elapsed() < Duration::from_secs(60), "{}", lines.text());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        watching.abort();
        let path = format!("/users/{USER}/suggested");
        let reply = Reply::of(served.app().handle(request(Method::GET, &path)).await).await;
        assert!(reply.body.contains("\"title\": \"A\""), "{reply:?}");
    });
}

#[test]
fn a_dependency_may_be_named_by_its_package_name_its_export_and_inherit_all() {
    let copy = copy();
    edit(&composed(&copy), "cinema:movies/catalog@0.1.0", "cinema:movies");
    let inherited = "inherit_configuration = [\"files\"]";
    let more = "inherit_configuration = true\nexport = \"cinema:movies/catalog@0.1.0\"";
    edit(&composed(&copy), inherited, more);
    let app = loader(&composed(&copy)).load().expect("an application");
    let reply = send(&app, request(Method::GET, &format!("/users/{USER}/suggested")));
    assert_eq!(reply.status, 200, "{reply:?}");
}
