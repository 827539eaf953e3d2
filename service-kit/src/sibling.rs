//! Calls to other services of the application.
//!
//! Spin calls this service chaining: `http://<component-id>.spin.internal`
//! reaches the component within the same process, if the caller's
//! `allowed_outbound_hosts` names it.

use std::fmt::Display;
use std::pin::pin;
use std::sync::OnceLock;
use std::time::Duration;

use futures::future::{Either, LocalBoxFuture, select};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use spin_sdk::variables;

use crate::call::REQUEST_ID;
use crate::wasi::{self, Answered, End};
use crate::{Answer, Call, Problem};

/// The variable that says how long siblings may take for all of their answers to
/// one request, in milliseconds.
const DEADLINE: &str = "sibling_deadline_ms";

/// The largest answer of a sibling that is read, in bytes.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// What a path segment may hold unencoded (RFC 3986, section 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Another service of the application, by its component id.
#[derive(Clone, Copy, Debug)]
pub struct Sibling(pub &'static str);

impl Sibling {
    /// Asks for `path`, of which the caller has encoded every part, on behalf
    /// of `call`; `None` if there is no such resource (404).
    ///
    /// # Errors
    /// [`Problem::Unavailable`] if the sibling can't be reached or answers 5xx,
    /// and [`Problem::BadGateway`] if its answer is anything but a `T` in JSON.
    /// The log says more.
    pub async fn get<T: DeserializeOwned>(
        self,
        call: &Call,
        path: &str,
    ) -> Result<Option<T>, Problem> {
        call.note_asked(self.0);
        // Boxed, so that there is one copy of it and not one for each `T`.
        let answer: LocalBoxFuture<_> = Box::pin(self.ask(call, path));
        let content = answer.await;
        call.note_answered(self.0);
        let Some(content) = content? else { return Ok(None) };
        let value = serde_json::from_slice(&content);
        value.map(Some).map_err(|error| self.nonsense(call, path, &error))
    }

    /// As [`Sibling::get`], for a resource that there must be: 404 is nonsense
    /// too.
    ///
    /// # Errors
    /// Those of [`Sibling::get`].
    pub async fn get_found<T: DeserializeOwned>(
        self,
        call: &Call,
        path: &str,
    ) -> Result<T, Problem> {
        let value = self.get(call, path).await?;
        value.ok_or_else(|| self.nonsense(call, path, &"unexpected status 404"))
    }

    async fn ask(self, call: &Call, path: &str) -> Result<Option<Vec<u8>>, Problem> {
        let authority = format!("{}.spin.internal", self.0);
        let id = (REQUEST_ID.to_owned(), call.request_id.clone().into_bytes());
        let answered = wasi::get(&authority, path, &[id]).await;
        let answered = answered.map_err(|error| self.unavailable(call, path, &error))?;
        match answered.status {
            200 => {}
            404 => return Ok(None),
            status @ 500.. => {
                return Err(self.unavailable(call, path, &format_args!("status {status}")));
            }
            status => {
                return Err(self.nonsense(call, path, &format_args!("unexpected status {status}")));
            }
        }
        let read = read(answered).await;
        let (content, end) = read.map_err(|error| self.nonsense(call, path, &error))?;
        call.keep_end(end);
        Ok(Some(content))
    }

    fn unavailable(self, call: &Call, path: &str, cause: &dyn Display) -> Problem {
        self.log(call, path, &format_args!("no answer: {cause}"));
        Problem::Unavailable(self.0)
    }

    fn nonsense(self, call: &Call, path: &str, cause: &dyn Display) -> Problem {
        self.log(call, path, &format_args!("nonsense: {cause}"));
        Problem::BadGateway(self.0)
    }

    fn log(self, call: &Call, path: &str, what: &dyn Display) {
        call.log(format_args!("{} at {path}: {what}", self.0));
    }
}

async fn read(answered: Answered) -> Result<(Vec<u8>, Option<End>), String> {
    let content_type = &answered.content_type;
    if content_type.split(';').next().unwrap_or_default().trim() != "application/json" {
        return Err(format!("content-type `{content_type}` where JSON was expected"));
    }
    answered.read(MAX_BODY).await
}

/// Awaits `handler`, for as long as siblings may take, all of them together.
///
/// Spin enforces no time-out on chained calls, not even one of the request's own
/// options.
///
/// # Errors
/// [`Problem::GatewayTimeout`] of the sibling that had not answered.
pub(crate) async fn in_time(call: &Call, handler: impl Future<Output = Answer>) -> Answer {
    let deadline = deadline().await?;
    let too_late = pin!(spin_sdk::time::sleep(Duration::from_millis(deadline)));
    match select(pin!(handler), too_late).await {
        Either::Left((answer, too_late)) => {
            // On Spin, a response that is sent while a sibling is still busy goes out in
            // two pieces, and its client waits for the delayed acknowledgement of the
            // first. The sibling that answered last is the one that may be.
            if let Some(end) = call.take_end() {
                select(pin!(end.wait()), too_late).await;
            }
            answer
        }
        Either::Right(_) => {
            let sibling = call.first_open();
            call.log(format_args!("{sibling}: no answer within {deadline} ms"));
            Err(Problem::GatewayTimeout(sibling))
        }
    }
}

/// In milliseconds.
async fn deadline() -> Result<u64, Problem> {
    static KNOWN: OnceLock<u64> = OnceLock::new();
    if let Some(deadline) = KNOWN.get() {
        return Ok(*deadline);
    }
    let failed =
        |error: &dyn Display| Problem::Internal(format!("the variable {DEADLINE}: {error}"));
    let value = variables::get(DEADLINE).await.map_err(|error| failed(&error))?;
    let milliseconds =
        value.parse().map_err(|_| failed(&format_args!("{value:?} is no number")))?;
    Ok(*KNOWN.get_or_init(|| milliseconds))
}

/// `text` as one segment of a path.
pub fn segment(text: &str) -> impl Display {
    utf8_percent_encode(text, SEGMENT)
}

/// `values` as a query that gives each of them to `name`.
pub fn query<'a>(name: &str, values: impl IntoIterator<Item = &'a str>) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(values.into_iter().map(|value| (name, value)))
        .finish()
}
