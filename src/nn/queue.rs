//! A bounded queue between async callers and worker threads, in which those who left make room.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// Why something was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The queue is full.
    Full,
    /// Nobody takes from the queue any more.
    Closed,
}

/// Something that may become pointless while it waits.
pub trait Waiting {
    /// Whether nobody waits for it any more.
    fn is_gone(&self) -> bool;
}

/// First in, first out; at most `capacity` items wait.
pub struct Queue<T> {
    // A mutex of std: nothing is awaited while it is held, and it is held for moments.
    state: Mutex<State<T>>,
    changed: Condvar,
    capacity: usize,
}

struct State<T> {
    items: VecDeque<T>,
    closed: bool,
}

impl<T: Waiting> Queue<T> {
    /// An empty queue.
    pub fn new(capacity: usize) -> Self {
        let state = State { items: VecDeque::new(), closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), capacity }
    }

    // A panic elsewhere leaves the queue whole: no step of it can stop half way.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an item at the end.
    ///
    /// # Errors
    /// The queue is full of items whose callers still wait, or it is closed.
    pub fn push(&self, item: T) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.items.len() >= self.capacity {
            state.items.retain(|item| !item.is_gone());
        }
        if state.items.len() >= self.capacity {
            return Err(Refused::Full);
        }
        state.items.push_back(item);
        self.changed.notify_one();
        Ok(())
    }

    /// Takes the first item that is not gone if `fits` agrees to it; else, and when there is none, nothing.
    pub fn try_pop(&self, fits: impl Fn(&T) -> bool) -> Option<T> {
        let mut state = self.lock();
        while state.items.front().is_some_and(Waiting::is_gone) {
            state.items.pop_front();
        }
        if state.items.front().is_some_and(fits) { state.items.pop_front() } else { None }
    }

    /// Takes the first item that is not gone, and waits for one; `None` when the queue is closed.
    pub fn pop(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            match state.items.pop_front() {
                Some(item) if item.is_gone() => {}
                Some(item) => return Some(item),
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Closes the queue and drops what waits in it.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.items.clear();
        self.changed.notify_all();
    }

    /// Whether the queue was closed.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }
}
