//! What the services share: the request as handlers see it, and the way from
//! an answer to the response.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt::Display;
use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};
use std::ops::RangeInclusive;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Path};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ALLOW,
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;
use futures::stream;
use serde::Serialize;
use serde_json::ser::PrettyFormatter;
use serde_json::{Map, Serializer, Value};

/// Names a request in the logs of all services that it goes through.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest request id that is taken over from a caller, in bytes.
const MAX_REQUEST_ID: usize = 128;

/// The longest path segment that is looked at, in bytes after decoding.
const MAX_SEGMENT: usize = 256;

/// The methods of every route.
const METHODS: &str = "GET, HEAD, OPTIONS";

/// The fields of a record, in the order of their names.
pub type Fields = Map<String, Value>;

/// What a handler finds: a body in JSON, or why there is none.
pub type Answer = Result<Vec<u8>, Problem>;

/// Why a request gets no success: one variant a status.
pub enum Problem {
    BadRequest(String),
    NotFound(String),
    MethodNotAllowed,
    /// The cause goes to the log.
    Internal(anyhow::Error),
    /// The named sibling answered something that makes no sense.
    BadGateway(&'static str),
    /// The named sibling can't be reached, or says that it failed.
    Unavailable(&'static str),
    /// The named sibling did not answer in time.
    GatewayTimeout(&'static str),
}

/// The members of RFC 9457, section 3.1, sorted.
#[derive(Serialize)]
struct Document<'a> {
    detail: &'a str,
    instance: &'a str,
    status: u16,
    title: &'a str,
    r#type: &'a str,
}

/// What of a request can change the answer to it, but for the names in its path.
pub struct Call {
    pub request_id: HeaderValue,
    uri: Uri,
    if_none_match: Vec<HeaderValue>,
    is_preflight: bool,
}

impl<S: Sync> FromRequestParts<S> for Call {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}

impl Call {
    fn of(parts: &Parts) -> Self {
        let given = parts.headers.get(REQUEST_ID).filter(|id| is_request_id(id)).cloned();
        Self {
            request_id: given.unwrap_or_else(new_request_id),
            uri: parts.uri.clone(),
            if_none_match: parts.headers.get_all(IF_NONE_MATCH).iter().cloned().collect(),
            is_preflight: parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD),
        }
    }

    /// Every value that the query gives to `name`, decoded, in their order.
    pub fn parameters(&self, name: &str) -> Result<Vec<Cow<'_, str>>, Problem> {
        let pairs = form_urlencoded::parse(self.uri.query().unwrap_or_default().as_bytes());
        let values: Vec<_> = pairs.filter(|(key, _)| key == name).map(|(_, value)| value).collect();
        if values.iter().any(|value| value.contains(char::REPLACEMENT_CHARACTER)) {
            return Err(Problem::BadRequest(format!(
                "The query parameter `{name}` is not UTF-8 once it is percent-decoded."
            )));
        }
        Ok(values)
    }

    /// The number that the query gives to `name`, or `default`.
    pub fn number(
        &self,
        name: &str,
        range: RangeInclusive<usize>,
        default: usize,
    ) -> Result<usize, Problem> {
        let number = match &self.parameters(name)?[..] {
            [] => return Ok(default),
            // Digits alone: `parse` would take a sign too. What is too large for
            // any number is larger than all that there is to count.
            [value] if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(value.parse().unwrap_or(usize::MAX))
            }
            _ => None,
        };
        number.filter(|number| range.contains(number)).ok_or_else(|| {
            let (least, most) = range.into_inner();
            let range = match most {
                usize::MAX => format!("of at least {least}"),
                most => format!("from {least} to {most}"),
            };
            Problem::BadRequest(format!(
                "The query parameter `{name}` must be one whole number {range}."
            ))
        })
    }

    /// The response of which `answer` is the content.
    pub fn respond(&self, answer: Answer) -> Response {
        let mut response = match answer {
            Ok(content) => self.success(content),
            Err(problem) => self.failure(&problem),
        };
        self.add_common(response.headers_mut());
        response
    }

    fn success(&self, content: Vec<u8>) -> Response {
        let etag = etag(&content);
        let mut response = if self.has(&etag) {
            // Of no known length: axum would add it, and it would have to be
            // that of the content (RFC 9110, section 8.6).
            let nothing = Body::from_stream(stream::empty::<Result<Bytes, Infallible>>());
            let mut response = Response::new(nothing);
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        } else {
            with_content(StatusCode::OK, "application/json", content)
        };
        let headers = response.headers_mut();
        if let Ok(etag) = HeaderValue::try_from(etag) {
            headers.insert(ETAG, etag);
        }
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }

    fn failure(&self, problem: &Problem) -> Response {
        if let Problem::Internal(cause) = problem {
            self.log(format_args!("{cause:#}"));
        }
        let status = problem.status();
        let document = Document {
            detail: &problem.detail(),
            instance: self.uri.path(),
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or_default(),
            r#type: problem.r#type(),
        };
        let content = json(&document).unwrap_or_default();
        let mut response = with_content(status, "application/problem+json", content);
        if let Problem::MethodNotAllowed = problem {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(METHODS));
        }
        response
    }

    fn options(&self) -> Response {
        let mut response = Response::default();
        let headers = response.headers_mut();
        self.add_common(headers);
        headers.insert(ALLOW, HeaderValue::from_static(METHODS));
        if self.is_preflight {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD"));
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*"));
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
        }
        response
    }

    /// Adds the headers that every response has.
    fn add_common(&self, headers: &mut HeaderMap) {
        headers.insert(REQUEST_ID, self.request_id.clone());
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers
            .insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("etag, x-request-id"));
    }

    /// Whether the client has the content of `etag` already.
    fn has(&self, etag: &str) -> bool {
        let mut fields = self.if_none_match.iter().filter_map(|field| field.to_str().ok());
        fields.any(|field| {
            let mut tags = field.split(',').map(str::trim);
            field.trim() == "*" || tags.any(|tag| tag.strip_prefix("W/").unwrap_or(tag) == etag)
        })
    }

    /// Writes a line to the log that says which request it is about.
    pub fn log(&self, line: impl Display) {
        let id = self.request_id.to_str().unwrap_or_default();
        eprintln!("[{id}] {}: {line}", self.uri.path());
    }
}

/// What the path has in place of the one name in its route, decoded.
pub struct Name(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let detail = match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(name)) if name.len() <= MAX_SEGMENT => return Ok(Self(name)),
            Ok(_) => format!("A segment of the path is longer than {MAX_SEGMENT} bytes."),
            Err(_) => "A segment of the path is not UTF-8 once it is percent-decoded.".into(),
        };
        Err(Call::of(parts).respond(Err(Problem::BadRequest(detail))))
    }
}

impl Problem {
    fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::BadGateway(_) => StatusCode::BAD_GATEWAY,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::GatewayTimeout(_) => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    fn r#type(&self) -> &'static str {
        match self {
            Self::BadGateway(_) => "/openapi.json#/components/responses/SiblingNonsense",
            Self::Unavailable(_) => "/openapi.json#/components/responses/SiblingUnavailable",
            Self::GatewayTimeout(_) => "/openapi.json#/components/responses/SiblingTimeout",
            _ => "about:blank",
        }
    }

    fn detail(&self) -> Cow<'_, str> {
        match self {
            Self::BadRequest(detail) | Self::NotFound(detail) => detail.into(),
            Self::MethodNotAllowed => format!("This path answers to {METHODS}.").into(),
            Self::Internal(_) => "The service can't answer; its log says why.".into(),
            Self::BadGateway(sibling) => {
                format!("The service `{sibling}` gave an answer that makes no sense.").into()
            }
            Self::Unavailable(sibling) => {
                format!("The service `{sibling}` is not available; try again later.").into()
            }
            Self::GatewayTimeout(sibling) => {
                format!("The service `{sibling}` did not answer in time; try again later.").into()
            }
        }
    }
}

/// `routes`, with an answer to all other paths and methods.
pub fn complete(routes: Router) -> Router {
    routes.fallback(other_path).method_not_allowed_fallback(other_method)
}

async fn other_path(call: Call) -> Response {
    call.respond(Err(Problem::NotFound(
        "No service answers at this path. GET / lists every route.".into(),
    )))
}

async fn other_method(method: Method, call: Call) -> Response {
    match method {
        Method::OPTIONS => call.options(),
        _ => call.respond(Err(Problem::MethodNotAllowed)),
    }
}

/// `value`, whose keys are sorted, as JSON that is indented by four spaces and
/// ends in a newline.
pub fn json(value: &impl Serialize) -> Answer {
    let mut content = Vec::with_capacity(1024);
    let formatter = PrettyFormatter::with_indent(b"    ");
    let written = value.serialize(&mut Serializer::with_formatter(&mut content, formatter));
    written.map_err(|error| Problem::Internal(error.into()))?;
    content.push(b'\n');
    Ok(content)
}

fn with_content(status: StatusCode, content_type: &'static str, content: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(content));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A strong validator, computed as the components do.
fn etag(content: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(b"application/json");
    hasher.write(content);
    format!("\"{:016x}\"", hasher.finish())
}

fn is_request_id(id: &HeaderValue) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_graphic();
    (1..=MAX_REQUEST_ID).contains(&id.len()) && id.as_bytes().iter().all(is_plain)
}

/// The process, by a random number, and which of its requests this is.
fn new_request_id() -> HeaderValue {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());
    static REQUESTS: AtomicU64 = AtomicU64::new(0);
    let request = REQUESTS.fetch_add(1, Ordering::Relaxed) + 1;
    let id = format!("{:016x}-{request}", *PROCESS);
    HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("unknown"))
}
