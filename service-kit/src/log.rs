//! What a service logs, on standard error: a JSON object in each line.

use std::sync::OnceLock;
use std::time::SystemTime;

use serde::Serialize;

use crate::context::Context;

static COMPONENT: OnceLock<&'static str> = OnceLock::new();

/// What happened.
#[derive(Serialize)]
struct Event<'a> {
    /// RFC 3339, in UTC.
    time: String,
    level: &'static str,
    component: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    message: &'a str,
}

/// Notes the id of the component, which is the same for every request.
pub(crate) fn name(component: &'static str) {
    COMPONENT.get_or_init(|| component);
}

/// Logs that a request failed.
pub(crate) fn error(request: &Context, message: &str) {
    write("error", Some(request), message);
}

/// Logs what limits the service, and concerns no single request.
pub(crate) fn warn(message: &str) {
    write("warn", None, message);
}

fn write(level: &'static str, request: Option<&Context>, message: &str) {
    let event = Event {
        time: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
        level,
        component: COMPONENT.get().copied().unwrap_or_default(),
        request_id: request.map(|request| request.request_id.as_str()),
        trace_id: request.and_then(Context::trace_id),
        message,
    };
    // Strings: this can't fail.
    eprintln!("{}", serde_json::to_string(&event).unwrap_or_default());
}
