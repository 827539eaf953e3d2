//! Calls of components: to each other, to their own application, and nowhere
//! else.

use serde_json::Value;

use crate::{ask, seen};

#[test]
fn a_component_calls_its_sibling() {
    let body = ask("call", "http://hidden.spin.internal/some/path?do=show").body;
    let shown: Value = serde_json::from_str(body.strip_prefix("200 ").expect(&body)).unwrap();
    assert_eq!(shown["uri"], "http://hidden.spin.internal/some/path?do=show");
    assert_eq!(seen(&shown, "host"), None);
    for (name, value) in [
        ("spin-path-info", "/some/path"),
        ("spin-full-url", "http://localhost/some/path?do=show"),
        ("spin-matched-route", "/..."),
        ("spin-client-addr", "0.0.0.0:0"),
    ] {
        assert_eq!(seen(&shown, name).as_deref(), Some(value), "{name}");
    }
}

#[test]
fn a_component_calls_its_own_application() {
    assert_eq!(ask("call", "http://self.alt/guest?do=environment").body.get(..4), Some("200 "));
    assert_eq!(ask("call", "http://self.alt/nope").body, "404 ");
}

#[test]
fn a_component_gets_no_body_for_head_from_its_own_application_and_what_the_server_itself_has() {
    let body = ask("head", "http://self.alt/guest?do=environment").body;
    assert!(body.starts_with("200 ") && body.ends_with(" 0"), "{body}");
    assert_eq!(ask("call", "http://self.alt/.well-known/spin/health").body, "200 OK");
}

#[test]
fn a_sibling_that_panics_or_fails_is_a_500_to_its_caller() {
    for action in ["panic", "fail"] {
        let url = format!("http://hidden.spin.internal/?do={action}");
        assert_eq!(ask("call", &url).body, "500 ", "{action}");
    }
}

#[test]
fn a_call_that_is_not_allowed_is_denied() {
    for url in [
        "http://guest.spin.internal/?do=count",
        "https://hidden.spin.internal/?do=count",
        "http://127.0.0.1:9/",
        "http://example.com/",
        "http://hidden.spin.internal.example.com/",
    ] {
        let body = ask("call", url).body;
        assert!(body.contains("HttpRequestDenied"), "{url}: {body}");
    }
}

#[test]
fn a_component_that_names_no_hosts_may_call_nobody() {
    for url in ["http://guest.spin.internal/", "http://self.alt/", "http://hidden.spin.internal/"] {
        let url = format!("http://hidden.spin.internal/?do=call&with={url}");
        let body = ask("call", &url).body;
        assert!(body.contains("HttpRequestDenied"), "{url}: {body}");
    }
}

#[test]
fn a_call_to_a_missing_component_is_an_error_and_no_trap() {
    if std::env::var_os("APP_URL").is_some() {
        // Spin 4.1 traps the caller, as long as it is built on wasmtime 47.
        return;
    }
    let body = ask("call", "http://missing.spin.internal/").body;
    assert!(body.contains("InternalError"), "{body}");
}
