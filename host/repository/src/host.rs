//! What all versions of a repository share: the engine, the memory budget, the places to load at, and a thread that takes down what
//! is not used any more.

use std::num::NonZeroUsize;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use std::{fmt, io, thread};

use tensorlet_batch::Scheduler;
use tensorlet_runtime::Engine;

use crate::clock::now;
use crate::error::VersionError;
use crate::execution::Execution;
use crate::version::Version;

/// How much less often than others a thread that loads is given the processor (`nice`).
const LOAD_NICENESS: i32 = 10;

/// What all versions of a repository share.
pub(crate) struct Host {
    pub(crate) engine: Engine,
    pub(crate) budget: Budget,
    pub(crate) slots: Slots,
    /// Takes down what was served, which takes until its workers have ended, and gives back their memory.
    reaper: Sender<Scheduler<Execution>>,
    started: Instant,
}

impl Host {
    pub(crate) fn start(
        engine: Engine,
        budget_bytes: Option<u64>,
        load_threads: NonZeroUsize,
    ) -> io::Result<Self> {
        let (reaper, schedulers) = channel::<Scheduler<Execution>>();
        thread::Builder::new()
            .name("tensorlet-reaper".into())
            .spawn(move || {
                for scheduler in schedulers {
                    drop(scheduler);
                    tensorlet_runtime::give_back_freed();
                }
            })?;
        Ok(Self {
            engine,
            budget: Budget {
                limit_bytes: budget_bytes,
                state: Mutex::default(),
            },
            slots: Slots {
                free: Mutex::new(load_threads.get()),
                freed: Condvar::new(),
            },
            reaper,
            started: now(),
        })
    }

    /// Takes a scheduler down without making anybody wait.
    pub(crate) fn reap(&self, scheduler: Scheduler<Execution>) {
        // Without a reaper it is dropped here.
        let _ = self.reaper.send(scheduler);
    }

    /// Returns the time since the start in milliseconds, which an atomic can hold.
    pub(crate) fn uptime_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

/// Does what takes long on a thread that is given less of the processor than those that answer calls, and waits for it.
///
/// A thread is as nice as the one that started it, and mostly may not become less so. So what answers calls is never started in here.
///
/// # Errors
/// If there is no such thread, or it panicked.
pub(crate) fn nicely<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, VersionError> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("tensorlet-load".into());
        let thread = thread.spawn_scoped(scope, || {
            // It matters for latency only.
            let _ = rustix::process::nice(LOAD_NICENESS);
            work()
        });
        let thread = thread.map_err(VersionError::Thread)?;
        thread.join().map_err(|_| VersionError::Panicked)
    })
}

/// How many versions may be loaded at a time.
#[derive(Debug)]
pub(crate) struct Slots {
    free: Mutex<usize>,
    freed: Condvar,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot<'a>(&'a Slots);

impl Slots {
    /// Waits until one is free.
    pub(crate) fn take(&self) -> Slot<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let free = self.freed.wait_while(free, |free| *free == 0);
        *free.unwrap_or_else(PoisonError::into_inner) -= 1;
        Slot(self)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

/// The memory that loaded versions may take together.
#[derive(Debug)]
pub(crate) struct Budget {
    limit_bytes: Option<u64>,
    state: Mutex<BudgetState>,
}

#[derive(Debug, Default)]
struct BudgetState {
    loaded: Vec<Weak<Version>>,
    /// What those will take that are being loaded, as far as is known.
    expected_bytes: u64,
}

/// Room for a version that is being loaded.
#[derive(Debug)]
pub(crate) struct Room<'a> {
    budget: &'a Budget,
    bytes: u64,
}

impl Budget {
    /// Makes room for a version of about so many bytes: unloads those that were not called for longest.
    pub(crate) fn make_room(&self, bytes: u64) -> Result<Room<'_>, VersionError> {
        let mut state = self.lock();
        self.shrink(&mut state, bytes)?;
        state.expected_bytes += bytes;
        Ok(Room {
            budget: self,
            bytes,
        })
    }

    /// Counts a version from now on, for as long as it is loaded.
    pub(crate) fn add(&self, version: Weak<Version>) {
        let mut state = self.lock();
        state
            .loaded
            .retain(|one| one.strong_count() > 0 && !one.ptr_eq(&version));
        state.loaded.push(version);
    }

    /// Unloads what was not called for longest, until the rest fits: loaded models grow.
    pub(crate) fn enforce(&self) {
        if let Err(error) = self.shrink(&mut self.lock(), 0) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "models in use take more memory than they may"
            );
        }
    }

    fn shrink(&self, state: &mut BudgetState, bytes: u64) -> Result<(), VersionError> {
        let Some(limit_bytes) = self.limit_bytes else {
            return Ok(());
        };
        state.loaded.retain(|one| one.strong_count() > 0);
        let mut loaded: Vec<_> = state.loaded.iter().filter_map(Weak::upgrade).collect();
        loaded.sort_by_key(|version| version.last_called_ms());
        let used = |loaded: &[std::sync::Arc<Version>]| -> u64 {
            loaded.iter().map(|version| version.memory_bytes()).sum()
        };
        let fits = |used: u64, expected: u64| {
            used.saturating_add(expected).saturating_add(bytes) <= limit_bytes
        };
        for version in &loaded {
            if fits(used(&loaded), state.expected_bytes) {
                return Ok(());
            }
            version.unload_if_idle(Duration::ZERO);
        }
        let used_bytes = used(&loaded).saturating_add(state.expected_bytes);
        match fits(used(&loaded), state.expected_bytes) {
            true => Ok(()),
            false => Err(VersionError::Memory {
                needed_bytes: bytes,
                budget_bytes: limit_bytes,
                used_bytes,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BudgetState> {
        // Each change is one assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.budget.lock().expected_bytes -= self.bytes;
    }
}
