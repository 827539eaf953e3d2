//! The requests of an instance, from their start to the end of their responses.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use crate::body::{self, Body};

/// A request, whose permit is given back once its response has ended, or once the instance
/// that answers it is idle.
pub struct Ticket {
    permit: Mutex<Option<OwnedSemaphorePermit>>,
    /// Those of the instance that answers it.
    requests: OnceLock<Requests>,
}

impl Ticket {
    /// The ticket of a request that no instance has taken yet. Its `permit` is of the server,
    /// or, if it is chained, of the component that sent it.
    pub fn new(permit: OwnedSemaphorePermit) -> Arc<Self> {
        Arc::new(Self { permit: Mutex::new(Some(permit)), requests: OnceLock::new() })
    }

    /// `body`, which keeps the ticket until it has ended.
    pub fn keep_until_end(self: Arc<Self>, body: Body) -> Body {
        let mut ticket = Some(self);
        body::inspect(body, move |polled| {
            if let Poll::Ready(None | Some(Err(_))) = polled {
                drop(ticket.take());
            }
        })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(requests) = self.requests.get() {
            requests.ended();
        }
    }
}

/// The requests of an instance.
#[derive(Clone, Default)]
pub struct Requests(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// How many responses have not ended.
    open: usize,
    /// The tickets since the instance was idle.
    tickets: Vec<Weak<Ticket>>,
    /// When the first and the last response since then ended.
    ends: Option<(Instant, Instant)>,
}

impl Requests {
    /// Notes that the instance has taken the request of `ticket`.
    pub fn begun(&self, ticket: &Arc<Ticket>) {
        _ = ticket.requests.set(self.clone());
        let mut state = self.state();
        state.open += 1;
        state.tickets.push(Arc::downgrade(ticket));
    }

    fn ended(&self) {
        let mut state = self.state();
        state.open -= 1;
        let now = Instant::now();
        state.ends = Some(state.ends.map_or((now, now), |(first, _)| (first, now)));
    }

    /// Notes that the instance is idle: of its responses, it has given all to the host, so
    /// a client that does not read one takes nothing from others.
    pub fn idle(&self) {
        let mut state = self.state();
        state.ends = None;
        let tickets = mem::take(&mut state.tickets);
        drop(state);
        for ticket in tickets.iter().filter_map(Weak::upgrade) {
            drop(lock(&ticket.permit).take());
        }
    }

    /// Whether the instance still works `most` after the end of a response. It may do so
    /// for other requests: they are answered, but it should take no new ones.
    pub fn is_late(&self, most: Duration) -> bool {
        self.state().ends.is_some_and(|(first, _)| first.elapsed() > most)
    }

    /// Whether the instance still works `most` after the end of the last response.
    pub fn is_abandoned(&self, most: Duration) -> bool {
        let state = self.state();
        state.open == 0 && state.ends.is_some_and(|(_, last)| last.elapsed() > most)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
