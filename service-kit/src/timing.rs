//! How long a service takes to answer, and its siblings to answer it: the header
//! `Server-Timing` (W3C Server Timing).

use std::cell::RefCell;
use std::time::{Duration, Instant};

/// The times of one request.
pub(crate) struct Timing {
    start: Instant,
    siblings: RefCell<Vec<Sibling>>,
}

/// A finished request to a sibling.
struct Sibling {
    id: &'static str,
    /// Since the service began to answer.
    start: Duration,
    duration: Duration,
}

/// A request to a sibling. It is finished when this is dropped, which also happens if
/// its response is no longer needed.
pub(crate) struct Span<'a> {
    timing: &'a Timing,
    sibling: &'static str,
    start: Instant,
}

impl Timing {
    pub(crate) fn start() -> Self {
        Self { start: Instant::now(), siblings: RefCell::default() }
    }

    /// Starts a request to the sibling with that component id.
    pub(crate) fn ask(&self, sibling: &'static str) -> Span<'_> {
        Span { timing: self, sibling, start: Instant::now() }
    }

    /// The value of the header, in milliseconds: `service` until now, and each sibling
    /// with its start, which the standard has no parameter for. For example
    /// `users;dur=3.10, bookings;dur=1.24;start=0.41, movies;dur=1.02;start=1.80`.
    pub(crate) fn header(&self, service: &str) -> String {
        let mut header = format!("{service};dur={:.2}", milliseconds(self.start.elapsed()));
        let mut siblings = self.siblings.borrow_mut();
        siblings.sort_by_key(|sibling| sibling.start);
        for Sibling { id, start, duration } in siblings.iter() {
            let (start, duration) = (milliseconds(*start), milliseconds(*duration));
            header += &format!(", {id};dur={duration:.2};start={start:.2}");
        }
        header
    }
}

impl Drop for Span<'_> {
    fn drop(&mut self) {
        let Self { timing, sibling: id, start } = *self;
        let (start, duration) = (start - timing.start, start.elapsed());
        timing.siblings.borrow_mut().push(Sibling { id, start, duration });
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
