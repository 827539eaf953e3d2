//! How long a service takes to answer, and its siblings to answer it: the header
//! `Server-Timing` (W3C Server Timing).

use std::cell::RefCell;
use std::time::{Duration, Instant};

/// The times of one request.
pub(crate) struct Timing {
    start: Instant,
    /// In the order in which they were asked.
    siblings: RefCell<Vec<Sibling>>,
}

/// A request to a sibling.
struct Sibling {
    id: &'static str,
    /// Since the service began to answer.
    start: Duration,
    /// Once it is finished.
    duration: Option<Duration>,
}

/// A request to a sibling. It is finished when this is dropped, which also happens if
/// its response is no longer needed.
pub(crate) struct Span<'a> {
    timing: &'a Timing,
    index: usize,
}

impl Timing {
    pub(crate) fn start() -> Self {
        Self { start: Instant::now(), siblings: RefCell::default() }
    }

    /// Starts a request to the sibling with that component id.
    pub(crate) fn ask(&self, id: &'static str) -> Span<'_> {
        let mut siblings = self.siblings.borrow_mut();
        siblings.push(Sibling { id, start: self.start.elapsed(), duration: None });
        Span { timing: self, index: siblings.len() - 1 }
    }

    /// The value of the header, in milliseconds: `service` until now, and each sibling
    /// with its start, which the standard has no parameter for. For example
    /// `users;dur=3.10, bookings;dur=1.24;start=0.41, movies;dur=1.02;start=1.80`.
    pub(crate) fn header(&self, service: &str) -> String {
        let mut header = format!("{service};dur={}", milliseconds(self.start.elapsed()));
        for Sibling { id, start, duration } in self.siblings.borrow().iter() {
            if let Some(duration) = duration {
                let (start, duration) = (milliseconds(*start), milliseconds(*duration));
                header += &format!(", {id};dur={duration};start={start}");
            }
        }
        header
    }
}

impl Drop for Span<'_> {
    fn drop(&mut self) {
        let elapsed = self.timing.start.elapsed();
        let sibling = &mut self.timing.siblings.borrow_mut()[self.index];
        sibling.duration = Some(elapsed.saturating_sub(sibling.start));
    }
}

/// With two digits. A component without the formatting of floats is smaller.
fn milliseconds(duration: Duration) -> String {
    let hundredths = duration.as_micros() / 10;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}
