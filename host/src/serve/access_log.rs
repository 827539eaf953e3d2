//! The access log: a line for each request, in the combined log format
//! of the Apache HTTP server, followed by the duration in seconds, the component that
//! answered, and the request's id.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::header::{REFERER, USER_AGENT};
use http::{HeaderMap, HeaderName, Request, Response};
use jiff::Timestamp;

use crate::app::dispatch::App;

/// The header with the id of a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The status of a request whose client did not wait for the answer, as nginx logs it.
const CLIENT_CLOSED: u16 = 499;

/// Takes the lines.
pub type AccessLog = Arc<dyn Fn(String) + Send + Sync>;

/// A request that is logged when this is dropped: after its response, or when its client
/// is gone.
pub struct Access {
    log: AccessLog,
    client: IpAddr,
    time: Timestamp,
    start: Instant,
    request_line: String,
    status: u16,
    /// Of the body, as it was sent.
    bytes: usize,
    referer: String,
    user_agent: String,
    component: String,
    request_id: String,
}

impl Access {
    /// Notes the request of `client` to `app`.
    pub fn new<B>(log: AccessLog, client: IpAddr, app: &App, request: &Request<B>) -> Self {
        let uri = request.uri();
        let target = uri.path_and_query().map_or("*", |target| target.as_str());
        Self {
            log,
            client,
            time: Timestamp::now(),
            start: Instant::now(),
            request_line: format!("{} {target} {:?}", request.method(), request.version()),
            status: CLIENT_CLOSED,
            bytes: 0,
            referer: value(request.headers(), REFERER),
            user_agent: value(request.headers(), USER_AGENT),
            component: app.component_for(uri.path()).unwrap_or("-").to_owned(),
            request_id: value(request.headers(), REQUEST_ID),
        }
    }

    /// Notes the head of the response.
    pub fn answered<B>(mut self, response: &Response<B>) -> Self {
        self.status = response.status().as_u16();
        if response.headers().contains_key(REQUEST_ID) {
            self.request_id = value(response.headers(), REQUEST_ID);
        }
        self
    }

    /// Notes a part of its body.
    pub fn sent(&mut self, bytes: usize) {
        self.bytes += bytes;
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        let line = format!(
            "{} - - [{}] \"{}\" {} {} \"{}\" \"{}\" {:.6} {} \"{}\"",
            self.client,
            self.time.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            self.request_line.as_bytes().escape_ascii(),
            self.status,
            self.bytes,
            self.referer,
            self.user_agent,
            self.start.elapsed().as_secs_f64(),
            self.component,
            self.request_id,
        );
        (self.log)(line);
    }
}

/// A header as the log has it: `-` if there is none, and without what could end a field
/// or a line.
fn value(headers: &HeaderMap, name: HeaderName) -> String {
    headers.get(name).map_or("-".into(), |value| value.as_bytes().escape_ascii().to_string())
}
