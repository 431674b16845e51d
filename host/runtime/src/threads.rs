//! Threads that help calls.
//!
//! A pool has a size, which counts callers as well as helpers. A call always runs on the thread that makes it, and takes at once as
//! many helpers as it wants, as are idle, and as the size allows; it never waits for one. So the threads that compute are never more
//! than the size, but for callers that find it reached: those compute alone.
//!
//! ```text
//! size 4    caller A wants 4: A + 3 helpers                    4 threads
//!           caller B wants 4, while A runs: B alone            5: as many as without a pool
//!           A is done, C wants 2: C + 1 helper                 3
//! ```
//!
//! From recruiting to dismissal a helper is ready: it looks for the next function for some 20 to 50 µs before it sleeps, so that most
//! are handed over in less than a microsecond. A function is handed over at a desk, one for each helper:
//!
//! ```text
//!            caller: lend                helper: take
//!   Free ──────────────────► a job ──────────────────► Busy
//!    ▲  ◄──────────────────┘                            │
//!    │   caller: take back                              │
//!    └──────────────────────────────────────────────────┘ helper: done
//! ```
//!
//! A caller that has returned from the function takes back what no helper has taken, and waits for those that have.

mod desk;

#[cfg(test)]
mod tests;

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use tensorlet_kernels::Team;

use desk::{Desk, Job};

/// A pool of helpers. Dropping it ends their threads.
#[derive(Debug)]
pub struct Threads {
    size: usize,
    helpers: Vec<JoinHandle<()>>,
    /// One for each helper.
    desks: Arc<[Desk]>,
    hall: Mutex<Hall>,
}

/// Who is where.
#[derive(Debug)]
struct Hall {
    /// The helpers that are not recruited; the one that was dismissed last, and whose caches are warm, at the end.
    idle: Vec<usize>,
    /// How many threads compute: callers and those that they have recruited.
    running: usize,
}

/// A caller and the helpers that it has recruited. Dropping it dismisses them.
#[derive(Debug)]
pub struct Recruits<'a> {
    threads: &'a Threads,
    helpers: Vec<usize>,
    /// Locked while there is a function at the desks.
    in_use: Mutex<()>,
}

impl Threads {
    /// Starts a pool for so many threads, callers counted: one helper less, and none for sizes of 0 and 1. If the system refuses a
    /// thread, there are fewer helpers.
    pub fn new(threads: usize) -> Self {
        let size = threads.max(1);
        let desks: Arc<[Desk]> = (1..size).map(|_| Desk::default()).collect();
        let start = |index: usize| {
            let desks = Arc::clone(&desks);
            thread::Builder::new()
                .name(format!("tensorlet-{index}"))
                .spawn(move || desks[index].serve())
        };
        let helpers: Vec<JoinHandle<()>> = (0..desks.len()).map_while(|i| start(i).ok()).collect();
        let idle = (0..helpers.len()).rev().collect();
        Self {
            size,
            helpers,
            desks,
            hall: Mutex::new(Hall { idle, running: 0 }),
        }
    }

    /// Returns how many threads compute at most, but for callers without helpers.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Makes a team of the calling thread and, at most, `wanted - 1` helpers: as many as are idle, and as the size allows. Waits for none.
    pub fn recruit(&self, wanted: usize) -> Recruits<'_> {
        let mut hall = self.hall();
        hall.running += 1;
        let count = wanted
            .saturating_sub(1)
            .min(self.size.saturating_sub(hall.running))
            .min(hall.idle.len());
        hall.running += count;
        let rest = hall.idle.len() - count;
        let helpers = hall.idle.split_off(rest);
        drop(hall);
        for &helper in &helpers {
            self.desks[helper].recruit();
        }
        Recruits {
            threads: self,
            helpers,
            in_use: Mutex::new(()),
        }
    }

    fn hall(&self) -> MutexGuard<'_, Hall> {
        // Nothing panics while it holds the lock.
        self.hall.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        for (desk, helper) in self.desks.iter().zip(&self.helpers) {
            desk.close(helper.thread());
        }
        for helper in self.helpers.drain(..) {
            // A helper catches what functions panic with.
            let _ = helper.join();
        }
    }
}

impl Team for Recruits<'_> {
    fn size(&self) -> usize {
        1 + self.helpers.len()
    }

    fn run(&self, work: &(dyn Fn() + Sync)) {
        // Two threads with one team would lend at the same desks: the second one computes alone. A panic has left them in order.
        let in_use = match self.in_use.try_lock() {
            Ok(in_use) => Some(in_use),
            Err(std::sync::TryLockError::Poisoned(in_use)) => Some(in_use.into_inner()),
            Err(std::sync::TryLockError::WouldBlock) => None,
        };
        if in_use.is_none() || self.helpers.is_empty() {
            return work();
        }
        let desks = self.helpers.iter().map(|&helper| {
            (
                &self.threads.desks[helper],
                self.threads.helpers[helper].thread(),
            )
        });
        let job = Job::new(work);
        job.run_at(desks);
        if let Some(panic) = job.into_panic() {
            resume_unwind(panic);
        }
    }
}

impl Drop for Recruits<'_> {
    fn drop(&mut self) {
        for &helper in &self.helpers {
            self.threads.desks[helper].dismiss();
        }
        let mut hall = self.threads.hall();
        hall.running -= 1 + self.helpers.len();
        hall.idle.append(&mut self.helpers);
    }
}
