//! Interrupts calls at their deadlines.
//!
//! Compiled code looks at the engine's epoch at every loop and function entry. The watchdog sleeps until the
//! earliest deadline and then raises the epoch; each running instance that notices compares its own deadline
//! with the clock. While no call has a deadline, nothing ticks.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

/// Raises an engine's epoch at each watched deadline.
pub(crate) struct Watchdog {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Deadlines, each with a number that tells equal ones apart.
    deadlines: BTreeSet<(Instant, u64)>,
    next_number: u64,
    closed: bool,
}

/// Watches one deadline until it is dropped.
pub(crate) struct Watch {
    shared: Arc<Shared>,
    entry: (Instant, u64),
}

impl Watchdog {
    /// Starts the thread that calls `interrupt` at each deadline.
    pub(crate) fn start(interrupt: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let watched = Arc::clone(&shared);
        thread::Builder::new()
            .name("tensorlet-watchdog".into())
            .spawn(move || watched.run(&interrupt))?;
        Ok(Self { shared })
    }

    /// Asks for an interruption at `deadline`.
    pub(crate) fn watch(&self, deadline: Instant) -> Watch {
        let mut state = self.shared.lock();
        let entry = (deadline, state.next_number);
        state.next_number += 1;
        let is_earliest = state.deadlines.first().is_none_or(|first| entry < *first);
        state.deadlines.insert(entry);
        drop(state);
        if is_earliest {
            self.shared.changed.notify_one();
        }
        Watch {
            shared: Arc::clone(&self.shared),
            entry,
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.lock().deadlines.remove(&self.entry);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, and a set of instants is valid at any time.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, interrupt: &dyn Fn()) {
        let mut state = self.lock();
        while !state.closed {
            let now = now();
            let wait = match state.deadlines.first() {
                Some(&(deadline, _)) if deadline <= now => {
                    state.deadlines.pop_first();
                    interrupt();
                    continue;
                }
                Some(&(deadline, _)) => Some(deadline - now),
                None => None,
            };
            state = match wait {
                Some(timeout) => {
                    self.changed
                        .wait_timeout(state, timeout)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

/// Reads the clock; deadlines are the one thing in this crate that needs it.
#[expect(
    clippy::disallowed_methods,
    reason = "a deadline is compared with the real clock"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    fn watchdog() -> (Watchdog, mpsc::Receiver<Instant>) {
        let (sender, interrupts) = mpsc::channel();
        let watchdog = Watchdog::start(move || sender.send(now()).unwrap_or_default()).unwrap();
        (watchdog, interrupts)
    }

    #[test]
    fn interrupts_at_each_deadline_earliest_first() {
        let (watchdog, interrupts) = watchdog();
        let start = now();
        let late = watchdog.watch(start + Duration::from_millis(40));
        let early = watchdog.watch(start + Duration::from_millis(10));
        let first = interrupts.recv().unwrap();
        let second = interrupts.recv().unwrap();
        assert!(
            first >= start + Duration::from_millis(10)
                && second >= start + Duration::from_millis(40)
        );
        drop((early, late));
    }

    #[test]
    fn a_call_that_ended_is_forgotten() {
        let (watchdog, interrupts) = watchdog();
        let start = now();
        drop(watchdog.watch(start + Duration::from_millis(5)));
        let _kept = watchdog.watch(start + Duration::from_millis(20));
        assert!(
            interrupts.recv().unwrap() >= start + Duration::from_millis(20),
            "only the second is due"
        );
    }

    #[test]
    fn equal_deadlines_are_told_apart() {
        let (watchdog, interrupts) = watchdog();
        let deadline = now() + Duration::from_millis(5);
        drop(watchdog.watch(deadline));
        let _other = watchdog.watch(deadline);
        interrupts.recv().unwrap();
    }
}
