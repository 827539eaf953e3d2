//! How long a service takes to answer, and its siblings to answer it: the header
//! `Server-Timing` (W3C Server Timing).

use std::cell::RefCell;
use std::time::{Duration, Instant};

/// The times of one request.
pub(crate) struct Timing {
    start: Instant,
    /// The entry of each request to a sibling that is finished.
    siblings: RefCell<String>,
}

/// A request to a sibling. It is finished when this is dropped, which also happens if
/// its response is no longer needed.
pub(crate) struct Span<'a> {
    timing: &'a Timing,
    sibling: &'static str,
    /// Since the service began to answer.
    start: Duration,
    /// Whether the sibling gave no answer, or none of use.
    pub(crate) has_failed: bool,
}

impl Timing {
    pub(crate) fn start() -> Self {
        Self { start: Instant::now(), siblings: RefCell::default() }
    }

    /// Starts a request to the sibling with that component id.
    pub(crate) fn ask(&self, sibling: &'static str) -> Span<'_> {
        Span { timing: self, sibling, start: self.start.elapsed(), has_failed: false }
    }

    /// The value of the header, in milliseconds: `service` until now, and each sibling
    /// with its start, which the standard has no parameter for. One that has failed has a
    /// description. For example
    /// `users;dur=3.10, bookings;dur=1.24;start=0.41, movies;dur=1.02;start=1.80;desc=failed`.
    pub(crate) fn header(&self, service: &str) -> String {
        let duration = milliseconds(self.start.elapsed());
        format!("{service};dur={duration}{}", self.siblings.borrow())
    }
}

impl Drop for Span<'_> {
    fn drop(&mut self) {
        let Self { timing, sibling, start, has_failed } = self;
        let duration = milliseconds(timing.start.elapsed().saturating_sub(*start));
        let start = milliseconds(*start);
        let failure = if *has_failed { ";desc=failed" } else { "" };
        *timing.siblings.borrow_mut() +=
            &format!(", {sibling};dur={duration};start={start}{failure}");
    }
}

/// With two digits. A component without the formatting of floats is smaller.
fn milliseconds(duration: Duration) -> String {
    let hundredths = duration.as_micros() / 10;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}
