//! The memory of an instance: what it has itself, and what the host keeps for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use wasmtime::ResourceLimiter;

use crate::bounds::shares::Share;

/// How much an instance gets even when all memory is taken, in bytes.
const FIRST: usize = 16 * 1024 * 1024;

/// How many elements each table of an instance has at most, as in wasmtime's pool.
const MAX_TABLE: usize = 20_000;

/// In which steps the memory of the host is counted, in bytes.
const STEP: usize = 64 * 1024;

/// The memory of an instance.
#[derive(Clone)]
pub struct Memory(Arc<Account>);

struct Account {
    component: Arc<Share>,
    /// In bytes.
    most: usize,
    taken: AtomicUsize,
}

impl Memory {
    /// The memory of an instance, which takes at most `most` bytes from its component's share.
    pub fn new(component: Arc<Share>, most: usize) -> Self {
        Self(Arc::new(Account { component, most, taken: AtomicUsize::new(0) }))
    }

    /// Nothing yet of what the host keeps for the instance.
    pub fn keep(&self) -> Kept {
        Kept { memory: self.clone(), size: 0 }
    }

    fn take(&self, size: usize) -> bool {
        let Account { component, most, taken } = &*self.0;
        let sum = |taken: usize| taken.checked_add(size).filter(|sum| sum <= most);
        let Ok(before) = taken.fetch_update(Relaxed, Relaxed, sum) else { return false };
        if before + size <= FIRST {
            component.take_beyond(size);
        } else if !component.take(size) {
            taken.fetch_sub(size, Relaxed);
            return false;
        }
        true
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.component.give_back(*self.taken.get_mut());
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        most: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // Beyond its own maximum, it would not grow.
        let can_grow = most.is_none_or(|most| desired <= most);
        Ok(can_grow && self.take(desired.saturating_sub(current)))
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE)
    }
}

/// Memory that the host keeps for an instance, which is given back when this is dropped.
pub struct Kept {
    memory: Memory,
    size: usize,
}

impl Kept {
    /// Counts `size` bytes in all, if there is so much.
    pub fn grow_to(&mut self, size: usize) -> bool {
        let size = size.next_multiple_of(STEP);
        let has_grown = size <= self.size || self.memory.take(size - self.size);
        if has_grown {
            self.size = self.size.max(size);
        }
        has_grown
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.memory.0.taken.fetch_sub(self.size, Relaxed);
        self.memory.0.component.give_back(self.size);
    }
}
