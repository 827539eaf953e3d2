//! What a service logs, on standard error: a line of text for each event, or, if the
//! variable `log_format` is `json`, an object for each.

use std::str::FromStr;
use std::sync::OnceLock;
use std::time::SystemTime;

use serde::Serialize;

use crate::request::Request;
use crate::variable::Variable;

static FORMAT: Variable<Format> = Variable::new("log_format", Some("text"), "`text` or `json`");

static COMPONENT: OnceLock<&'static str> = OnceLock::new();

enum Format {
    Text,
    Json,
}

impl FromStr for Format {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(()),
        }
    }
}

/// What happened, as a JSON object.
#[derive(Serialize)]
struct Event<'a> {
    /// RFC 3339, in UTC.
    time: String,
    level: &'static str,
    component: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    message: &'a str,
}

/// Notes the id of the component, which is the same for every request.
pub(crate) fn name(component: &'static str) {
    COMPONENT.get_or_init(|| component);
}

/// Logs that `request` failed.
pub(crate) async fn error(request: &Request, cause: &str) {
    let message = format!("{} {}: {cause}", request.method, request.path());
    write("error", Some(request), &message).await;
}

/// Logs what limits the service, and concerns no single request.
pub(crate) async fn warn(message: &str) {
    write("warn", None, message).await;
}

async fn write(level: &'static str, request: Option<&Request>, message: &str) {
    let format = FORMAT.get().await;
    if let Ok(Format::Json) = format {
        let event = Event {
            time: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            level,
            component: COMPONENT.get().copied().unwrap_or_default(),
            request_id: request.map(|request| request.id.as_str()),
            trace_id: request.and_then(Request::trace_id),
            message,
        };
        // Strings: this can't fail.
        return eprintln!("{}", serde_json::to_string(&event).unwrap_or_default());
    }
    if let Some(cause) = format.err().and_then(|problem| problem.cause()) {
        eprintln!("{cause}");
    }
    match request {
        Some(request) => eprintln!("[{}] {message}", request.id),
        None => eprintln!("{message}"),
    }
}
