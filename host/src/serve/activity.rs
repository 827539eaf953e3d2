//! What happens on a connection, and whether its client keeps the server waiting.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// What happens on a connection.
#[derive(Clone)]
pub struct Activity(Arc<Mutex<State>>);

struct State {
    /// How many requests are being answered.
    answering: usize,
    /// How many responses, or parts of them, components owe.
    owed: usize,
    /// When something last happened.
    last: Instant,
}

impl Default for Activity {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State { answering: 0, owed: 0, last: Instant::now() })))
    }
}

impl Activity {
    /// Notes that a request is being answered, until what this returns is dropped.
    pub fn answer(&self) -> Answering {
        self.change(|state| state.answering += 1);
        Answering(self.clone())
    }

    /// Notes that a component owes something, until what this returns is dropped.
    pub fn owe(&self) -> Owed {
        self.change(|state| state.owed += 1);
        Owed(self.clone())
    }

    /// Notes that something was written. If no request is being answered, that is no part of
    /// a response: an answer to a ping of HTTP/2, for example.
    pub fn wrote(&self) {
        self.change(|state| {
            if state.answering > 0 {
                state.last = Instant::now();
            }
        });
    }

    /// Waits until nothing is owed and nothing has happened for that long.
    pub async fn none_for(&self, duration: Duration) {
        loop {
            let look_again = self.change(|state| match state.owed {
                0 => state.last + duration,
                _ => Instant::now() + duration,
            });
            if look_again <= Instant::now() {
                return;
            }
            sleep_until(look_again).await;
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A request that is being answered.
pub struct Answering(pub Activity);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.change(|state| {
            state.answering -= 1;
            state.last = Instant::now();
        });
    }
}

/// Something that a component owes.
pub struct Owed(Activity);

impl Drop for Owed {
    fn drop(&mut self) {
        self.0.change(|state| {
            state.owed -= 1;
            state.last = Instant::now();
        });
    }
}
