//! Manifests that are wrong: one error, with file and line.

use std::fs;

use host::manifest::Manifest;
use host::{Error, Loader};
use proptest::prelude::*;
use support::folder;

use crate::guest;
use crate::sqlite_limits::importing;

/// The error of the application's manifest once `from` was changed to `to`.
fn error(from: &str, to: &str) -> String {
    let text = fs::read_to_string(guest().join("spin.toml")).unwrap();
    assert!(text.contains(from), "{from}");
    error_of(&text.replacen(from, to, 1))
}

fn error_of(text: &str) -> String {
    let copy = tempfile::tempdir().unwrap();
    let text = text.replace("../../target", folder("target").to_str().unwrap());
    fs::write(copy.path().join("spin.toml"), text).unwrap();
    let files = copy.path().join("files");
    fs::create_dir_all(files.join("folder")).unwrap();
    fs::write(files.join("one.txt"), "one").unwrap();
    match Loader::new(copy.path()).load() {
        Ok(_) => String::new(),
        Err(error) => format!("{error:#}"),
    }
}

#[test]
fn an_error_in_the_manifest_has_its_own_type() {
    let load = |manifest: &str| Loader::new(folder("tests").join(manifest)).load().err();
    assert!(matches!(load("no.toml"), Some(Error::Manifest(_))));
    let unset = Loader::new(guest()).variable("unknown", "").load();
    assert!(matches!(unset.err(), Some(Error::Load(_))));
}

#[test]
fn the_manifest_of_the_tests_is_good() {
    assert_eq!(error("guest", "guest"), "");
    let targets = "version = \"1.2.3\"\ntargets = [\"akamai-functions\", { name = \"other\" }]";
    assert_eq!(error("version = \"1.2.3\"", targets), "");
    let tool = "version = \"1.2.3\"\ntool.lint.level = 3";
    assert_eq!(error("version = \"1.2.3\"", tool), "");
    let more = "tool.lint.level = 3\nprofile.debug.source = \"debug.wasm\"\nenvironment = {";
    assert_eq!(error("environment = {", more), "");
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    for (from, to, line, words) in [
        ("spin_manifest_version = 2", "spin_manifest_version = 1", 3, "must be 2"),
        ("spin_manifest_version = 2", "spin_manifest_version = ", 3, ""),
        ("name = \"guest\"", "nmae = \"guest\"", 6, "`nmae`"),
        ("version = \"1.2.3\"", "version = 7", 7, "string"),
        ("route = \"/exact\"", "route = \"/exact\"\nexecutor = \"wagi\"", 15, "`executor`"),
        ("route = \"/exact\"", "route = 7", 14, "a route is"),
        ("route = \"/exact\"", "route = { private = false }", 14, "only be true"),
        ("component = \"hidden\"", "component = \"hiden\"", 41, "unknown component `hiden`"),
        ("[component.hidden]", "[component.Hidden_1]", 43, "`Hidden_1`"),
        ("[component.hidden]", "[component.guest]", 43, "duplicate"),
        ("environment = {", "ai_models = []\nenvironment = {", 25, "`ai_models`"),
        ("environment = {", "key_value_stores = [\"a\"]\nenvironment = {", 25, "with `spin up`"),
        ("http://self", "http://example.com/path", 29, "without a path"),
        ("[\"default\"]", "[\"other\"]", 31, "the database `other` needs"),
        ("[\"default\"]", "[\n\"default\",\n\"other\"]", 33, "the database `other` needs"),
        ("[\"default\"]", "\"default\"", 31, "expected a sequence"),
        ("files/one.txt", "files/two.txt", 23, "\"files/two.txt\" does not exist"),
        ("files/one.txt", "../one.txt", 23, "must lie in the application's folder"),
        ("**/secret.txt", "***", 24, ""),
        ("[[trigger.http]]", "[[trigger.redis]]", 9, "`redis`"),
        ("[[trigger.http]]", "[variables]\nhue = {}\n[[trigger.http]]", 10, "`hue` must be"),
        (
            "[[trigger.http]]",
            "[variables]\nHue.default = ''\n[[trigger.http]]",
            10,
            "`Hue` must be",
        ),
        ("environment = {", "variables.a__b = ''\nenvironment = {", 25, "`a__b` must be words"),
        ("release/guest.wasm", "release/gone.wasm", 22, "gone.wasm"),
        ("command = \"cargo", "command = 7 #", 34, "`command` is"),
        (
            "environment = {",
            "dependencies.\"a:b\" = \"1.0\"\nenvironment = {",
            25,
            "a dependency is { path = \"...\" }",
        ),
        (
            "environment = {",
            "dependencies.\"a:b\" = { version = \"1.0\" }\nenvironment = {",
            25,
            "unknown field `version`",
        ),
        (
            "environment = {",
            "dependencies.\"a:b\" = { path = \"\", inherit_configuration = [\"all\"] }\nenvironment = {",
            25,
            "`inherit_configuration` is true, false or an array of",
        ),
    ] {
        let error = error(from, to);
        let place = format!("spin.toml:{line}: ");
        assert!(error.contains(&place), "{from} -> {to}: expected line {line}: {error}");
        assert!(error.contains(words), "{from} -> {to}: {error}");
        assert!(!error.contains('\n'), "{from} -> {to}: {error}");
    }
}

#[test]
fn a_source_that_is_no_component_is_named() {
    let copy = tempfile::tempdir().unwrap();
    let source = copy.path().join("no.wasm");
    fs::write(&source, "no component").unwrap();
    let text = fs::read_to_string(guest().join("spin.toml")).unwrap();
    let from = "../../target/wasm32-wasip2/release/guest.wasm";
    let error = error_of(&text.replace(from, source.to_str().unwrap()));
    assert!(error.contains("spin.toml:22: can't load the component `guest`"), "{error}");
}

#[test]
fn a_component_that_needs_what_only_spin_has_is_refused_with_what_to_do() {
    for (interface, hint) in [
        ("wasi:sockets/tcp@0.2.0", "send requests by HTTP, or use `spin up`"),
        ("wasi:http/incoming-handler@0.2.0", "build the component with spin-sdk 7 or later"),
    ] {
        let copy = tempfile::tempdir().unwrap();
        let source = copy.path().join("other.wasm");
        fs::write(&source, importing(interface)).unwrap();
        let text = fs::read_to_string(guest().join("spin.toml")).unwrap();
        let from = "../../target/wasm32-wasip2/release/guest.wasm";
        let error = error_of(&text.replace(from, source.to_str().unwrap()));
        assert!(error.contains("spin.toml:22: can't load the component `guest`"), "{error}");
        assert!(error.contains(interface) && error.contains(hint), "{error}");
    }
}

#[test]
fn a_variable_without_a_declaration_or_a_value_is_named() {
    let error = Loader::new(guest()).variable("colour", "red").load().err().expect("an error");
    assert!(format!("{error:#}").contains("no variable `colour`"), "{error:#}");
    let declared = "[component.guest.variables]\nhue = \"{{ colour }}\"\n\n[component.guest.build]";
    let error = self::error("[component.guest.build]", declared);
    assert!(error.contains("`colour` has no value") && error.contains("--variable"), "{error}");
}

#[test]
fn a_missing_manifest_is_named() {
    let error = Loader::new("no/such/folder").load().err().expect("an error");
    assert!(format!("{error:#}").contains("no/such/folder"), "{error:#}");
}

#[test]
fn an_error_ends_the_command_with_exit_code_1() {
    let output = support::process::host()
        .args(["--no-build", "--from", "no/such/folder"])
        .output()
        .expect("the host runs");
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("\nError: can't read the manifest no/such/folder"), "{errors}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Lines of a good manifest, some of them left out, repeated or replaced.
    #[test]
    fn a_manifest_of_any_text_is_read_or_is_one_error_with_a_line(
        lines in prop::collection::vec(prop_oneof![
            6 => prop::sample::select(
                include_str!("../guest/spin.toml").lines().map(str::to_owned).collect::<Vec<_>>()
            ),
            1 => "[\\[\\]a-z.]{0,20}",
            1 => "(route|component|source|files|sqlite_databases|command) = .{0,30}",
            1 => ".{0,40}",
        ], 0..60),
        whole in any::<bool>(),
    ) {
        let start = if whole { include_str!("../guest/spin.toml") } else { "" };
        let text = format!("{start}\n{}", lines.join("\n"));
        if let Err(error) = Manifest::parse("spin.toml".as_ref(), &text) {
            let error = format!("{error:#}");
            let line = error.strip_prefix("spin.toml:").and_then(|rest| rest.split(':').next());
            let line: usize = line.and_then(|line| line.parse().ok()).expect(&error);
            prop_assert!((1..=text.lines().count() + 1).contains(&line), "{}", error);
        }
    }
}
