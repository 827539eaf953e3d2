//! What a component sees of the file system and of its environment.

use std::fs;
use std::os::unix::fs::symlink;

use http::{Method, StatusCode};
use support::{folder, request, send};

use crate::{ask, guest, path};

#[test]
fn files_are_seen_where_the_manifest_puts_them() {
    for (path, content) in [
        ("/files/one.txt", "one"),
        ("/files/folder/files/folder/two.txt", "two"),
        ("/files/three.md", "three"),
        ("/all/one.txt", "one"),
        ("/all/folder/two.txt", "two"),
    ] {
        assert_eq!(ask("read", path).body, content, "{path}");
    }
}

#[test]
fn nothing_else_is_seen() {
    for path in [
        "/files/folder/two.txt",
        "/files/folder/files/folder/secret.txt",
        "/all/folder/secret.txt",
        "/all/../../../../etc/passwd",
        "/etc/passwd",
        "/spin.toml",
    ] {
        assert_eq!(ask("read", path).status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
    }
}

#[test]
fn files_can_not_be_written() {
    for path in ["/files/one.txt", "/new.txt", "/all/folder/new.txt"] {
        assert!(ask("write", path).body.starts_with("Err"), "{path}");
    }
    assert_eq!(ask("read", "/files/one.txt").body, "one");
}

#[test]
fn a_component_without_files_has_no_file_system() {
    let read = "http://hidden.spin.internal/?do=read&with=/all/one.txt";
    assert_eq!(ask("call", read).body, "500 ");
}

#[test]
fn the_environment_is_the_one_of_the_manifest() {
    assert_eq!(ask("environment", "").body, r#"[("GREETING", "hello")]"#);
}

#[test]
fn the_folder_of_the_application_may_have_any_name() {
    guest();
    let parent = tempfile::tempdir().expect("a folder");
    let application = parent.path().join("a [b] *");
    fs::create_dir_all(application.join("data/[c]")).expect("a folder");
    fs::write(application.join("data/[c]/d.txt"), "found").expect("written");
    let wasm = folder("target/wasm32-wasip2/release/guest.wasm");
    symlink(wasm, application.join("guest.wasm")).expect("a link");
    let manifest = r#"spin_manifest_version = 2
application.name = "any"
trigger.http = [{ route = "/...", component = "guest" }]
component.guest = { source = "guest.wasm", files = ["data", "data/*/d*", { source = "data/[c]", destination = "/e" }] }
"#;
    fs::write(application.join("spin.toml"), manifest).expect("written");
    let app = support::loader(&application).load().expect("an application");
    for file in ["/data/data/[c]/d.txt", "/data/[c]/d.txt", "/e/d.txt"] {
        let found = send(&app, request(Method::GET, &path("read", file)));
        assert_eq!(found.body, "found", "{file}");
    }
}
