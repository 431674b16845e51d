//! The thread that looks after a repository: its first load, changes of the source, idle models, the memory budget.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::clock::now;
use crate::shared::{Shared, lock};

/// How often idle models and the memory budget are looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// The thread, until this is dropped.
pub(crate) struct Keeper {
    shared: Arc<KeeperState>,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Default)]
struct KeeperState {
    is_closed: Mutex<bool>,
    closed: Condvar,
}

impl Keeper {
    /// Starts the thread that looks after a repository, beginning with its first load.
    pub(crate) fn start(shared: &Arc<Shared>) -> std::io::Result<Self> {
        let state = Arc::new(KeeperState::default());
        let (shared, keeper) = (Arc::clone(shared), Arc::clone(&state));
        let thread = thread::Builder::new().name("tensorlet-keeper".into());
        let thread = thread.spawn(move || keeper.run(&shared))?;
        Ok(Self {
            shared: state,
            thread: Some(thread),
        })
    }
}

impl KeeperState {
    fn run(&self, shared: &Shared) {
        let reload = || {
            if let Err(error) = shared.reload() {
                shared.tell("", Some(&error));
            }
        };
        reload();
        shared.is_loaded.store(true, Relaxed);
        shared.loaded.notify(usize::MAX);
        let mut looked_at = now();
        let step = shared
            .config
            .watch
            .map_or(HOUSEKEEPING, |watch| watch.min(HOUSEKEEPING));
        while !self.wait(step) {
            if shared
                .config
                .watch
                .is_some_and(|watch| looked_at.elapsed() >= watch)
            {
                reload();
                looked_at = now();
            }
            shared.keep_house();
        }
    }

    /// Waits, and reports whether it is over.
    fn wait(&self, time: Duration) -> bool {
        let is_closed = lock(&self.is_closed);
        let waited = self
            .closed
            .wait_timeout_while(is_closed, time, |is_closed| !*is_closed);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        *lock(&self.shared.is_closed) = true;
        self.shared.closed.notify_all();
        if let Some(thread) = self.thread.take() {
            // What it panics with has been told.
            let _ = thread.join();
        }
    }
}
