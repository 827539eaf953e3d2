//! What a component sees of the file system and of its environment.

use http::StatusCode;

use crate::ask;

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
