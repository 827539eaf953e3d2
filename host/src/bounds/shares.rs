//! What the components of an application share: memory, instances, connections, sockets.
//! None takes more than half of a total, so that a greedy one leaves something to others.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What all components share.
pub struct Total(Counter);

impl Total {
    /// A total of `most`.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self(Counter { most, taken: AtomicUsize::new(0) }))
    }

    /// What one component may take of it.
    pub fn share(self: &Arc<Self>) -> Arc<Share> {
        let own = Counter { most: (self.0.most / 2).max(1), taken: AtomicUsize::new(0) };
        Arc::new(Share { total: self.clone(), own })
    }
}

/// What one component may take of a total.
pub struct Share {
    total: Arc<Total>,
    own: Counter,
}

impl Share {
    /// Takes `amount` slots.
    ///
    /// # Errors
    /// If fewer are left.
    pub fn take_slots(self: &Arc<Self>, amount: usize) -> Result<Slots, NoneLeft> {
        self.take(amount).then(|| Slots { share: self.clone(), amount }).ok_or(NoneLeft)
    }

    /// Takes `amount`, if as much is left.
    pub fn take(&self, amount: usize) -> bool {
        if !self.own.take(amount) {
            return false;
        }
        let taken = self.total.0.take(amount);
        if !taken {
            self.own.give_back(amount);
        }
        taken
    }

    /// Takes `amount`, even if nothing is left.
    pub fn take_beyond(&self, amount: usize) {
        self.own.taken.fetch_add(amount, Relaxed);
        self.total.0.taken.fetch_add(amount, Relaxed);
    }

    /// Gives back `amount` of what was taken.
    pub fn give_back(&self, amount: usize) {
        self.own.give_back(amount);
        self.total.0.give_back(amount);
    }
}

/// Slots of a total, which are given back when this is dropped.
pub struct Slots {
    share: Arc<Share>,
    amount: usize,
}

impl Drop for Slots {
    fn drop(&mut self) {
        self.share.give_back(self.amount);
    }
}

/// A component has all that it may have, or nothing is left for anybody.
#[derive(Debug)]
pub struct NoneLeft;

impl fmt::Display for NoneLeft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("all that the component may have are in use")
    }
}

impl Error for NoneLeft {}

struct Counter {
    most: usize,
    taken: AtomicUsize,
}

impl Counter {
    fn take(&self, amount: usize) -> bool {
        let sum = |taken: usize| taken.checked_add(amount).filter(|&sum| sum <= self.most);
        self.taken.fetch_update(Relaxed, Relaxed, sum).is_ok()
    }

    fn give_back(&self, amount: usize) {
        self.taken.fetch_sub(amount, Relaxed);
    }
}
