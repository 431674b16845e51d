//! One version of a model, loaded or not.
//!
//! ```text
//!          a call, or eagerly            it was not called for long, or others need the memory
//!   Unloaded ───────► Loading ───► Ready ────────────────────────────────────────► Unloaded
//!                        │                        any of them ── swapped out ──► Retired
//!                        └──► Failed ── a second later, a call ──► Loading
//! ```
//!
//! A call holds what is loaded for as long as it runs, so it ends on the version on which it began, whatever happens meanwhile.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use event_listener::{Event, EventListener};
use tensorlet_runtime::Description;

use crate::clock::now;
use crate::config::ModelConfig;
use crate::error::VersionError;
use crate::host::Host;
use crate::served::Served;
use crate::source::FoundFile;

/// How long after a version could not be loaded on demand a call tries again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// One version of a model.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) model: Arc<str>,
    pub(crate) number: u64,
    pub(crate) file: FoundFile,
    pub(crate) config: Arc<ModelConfig>,
    host: Arc<Host>,
    state: Mutex<State>,
    /// Told when `Loading` ends.
    loaded: Event,
    /// What it says of itself, once it has been loaded.
    description: OnceLock<Description>,
    /// When it was called last, in milliseconds since the start of the host.
    last_called_ms: AtomicU64,
    pub(crate) loads: AtomicU64,
    pub(crate) load_nanos: AtomicU64,
}

#[derive(Debug)]
enum State {
    Unloaded,
    Loading,
    Ready(Arc<Served>),
    Failed(Arc<VersionError>, Instant),
    Retired,
}

/// Whether a version answers calls.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum VersionState {
    /// It will be loaded when it is called.
    Unloaded,
    /// It is being loaded.
    Loading,
    /// It answers calls.
    Ready,
    /// It could not be loaded.
    Failed,
}

/// What a call finds.
pub(crate) enum Found {
    Ready(Arc<Served>),
    /// It is being loaded; look again when that ends.
    Loading(EventListener),
    Failed(Arc<VersionError>),
    /// Another version has taken its place.
    Retired,
}

impl Version {
    pub(crate) fn new(
        host: &Arc<Host>,
        model: &Arc<str>,
        number: u64,
        file: FoundFile,
        config: &Arc<ModelConfig>,
    ) -> Self {
        Self {
            model: Arc::clone(model),
            number,
            file,
            config: Arc::clone(config),
            host: Arc::clone(host),
            state: Mutex::new(State::Unloaded),
            loaded: Event::new(),
            description: OnceLock::new(),
            last_called_ms: AtomicU64::new(host.uptime_ms()),
            loads: AtomicU64::new(0),
            load_nanos: AtomicU64::new(0),
        }
    }

    /// Returns what answers a call, and begins to load it if nothing does.
    pub(crate) fn find(self: &Arc<Self>) -> Found {
        self.last_called_ms.store(self.host.uptime_ms(), Relaxed);
        let mut state = self.lock();
        match &*state {
            State::Ready(served) => return Found::Ready(Arc::clone(served)),
            State::Loading => return Found::Loading(self.loaded.listen()),
            State::Retired => return Found::Retired,
            State::Failed(error, at) if at.elapsed() < RETRY_AFTER => {
                return Found::Failed(Arc::clone(error));
            }
            State::Unloaded | State::Failed(..) => {}
        }
        *state = State::Loading;
        let listener = self.loaded.listen();
        let version = Arc::clone(self);
        let thread = thread::Builder::new().name("tensorlet-load".into());
        let spawned = thread.spawn(move || version.load());
        match spawned {
            Ok(_) => Found::Loading(listener),
            Err(error) => {
                let error = Arc::new(VersionError::Thread(error));
                *state = State::Failed(Arc::clone(&error), now());
                Found::Failed(error)
            }
        }
    }

    /// Loads it on this thread, unless it is loaded or is being loaded; then waits for that.
    pub(crate) fn ensure_loaded(self: &Arc<Self>) -> Result<(), Arc<VersionError>> {
        loop {
            let mut state = self.lock();
            match &*state {
                State::Ready(_) | State::Retired => return Ok(()),
                State::Failed(error, _) if self.loads.load(Relaxed) > 0 => {
                    return Err(Arc::clone(error));
                }
                State::Loading => {
                    let listener = self.loaded.listen();
                    drop(state);
                    event_listener::Listener::wait(listener);
                }
                State::Unloaded | State::Failed(..) => {
                    *state = State::Loading;
                    drop(state);
                    self.load();
                }
            }
        }
    }

    /// Loads it, while its state says so.
    fn load(self: &Arc<Self>) {
        let start = now();
        let loading = AssertUnwindSafe(|| {
            let _slot = self.host.slots.take();
            // Most of a component is weights, which are mapped as they are.
            let _room = self.host.budget.make_room(self.file.bytes)?;
            Served::load(&self.host, &self.file, &self.config)
        });
        let loaded = catch_unwind(loading).unwrap_or(Err(VersionError::Panicked));
        let took = start.elapsed();
        self.loads.fetch_add(1, Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.load_nanos.store(nanos, Relaxed);
        let served = loaded.and_then(|served| self.check_fit(served));
        let (model, version) = (&*self.model, self.number);
        let state = match served {
            Ok(served) => {
                tracing::info!(model, version, ?took, "loaded");
                let _ = self.description.set(served.description().clone());
                State::Ready(Arc::new(served))
            }
            Err(error) => {
                let error = Arc::new(error);
                tracing::warn!(
                    model,
                    version,
                    error = &*error as &dyn std::error::Error,
                    "cannot be loaded"
                );
                State::Failed(error, now())
            }
        };
        let is_ready = matches!(state, State::Ready(_));
        let mut current = self.lock();
        let before = match &*current {
            // It was swapped out meanwhile.
            State::Retired => state,
            _ => std::mem::replace(&mut *current, state),
        };
        drop(current);
        drop(before);
        if is_ready {
            self.host.budget.add(Arc::downgrade(self));
        }
        self.loaded.notify(usize::MAX);
    }

    /// Takes a loaded version back that is larger than was expected, and for which there is no room.
    fn check_fit(&self, served: Served) -> Result<Served, VersionError> {
        self.host
            .budget
            .make_room(served.model().memory().total_bytes())?;
        Ok(served)
    }

    /// Unloads it if no call is on it, and none was for so long; reports whether it was.
    pub(crate) fn unload_if_idle(&self, idle: Duration) -> bool {
        let rested = self.host.uptime_ms().saturating_sub(self.last_called_ms());
        let mut state = self.lock();
        let is_idle = match &*state {
            // Calls get hold of it under this lock only.
            State::Ready(served) => {
                Arc::strong_count(served) == 1 && Duration::from_millis(rested) >= idle
            }
            _ => false,
        };
        if is_idle {
            let served = std::mem::replace(&mut *state, State::Unloaded);
            drop(state);
            drop(served);
            let (model, version) = (&*self.model, self.number);
            tracing::info!(model, version, "unloaded");
        }
        is_idle
    }

    /// Takes it down when the last call on it has ended.
    pub(crate) fn retire(&self) {
        let state = std::mem::replace(&mut *self.lock(), State::Retired);
        drop(state);
        self.loaded.notify(usize::MAX);
    }

    /// Returns what is loaded.
    pub(crate) fn served(&self) -> Option<Arc<Served>> {
        match &*self.lock() {
            State::Ready(served) => Some(Arc::clone(served)),
            _ => None,
        }
    }

    pub(crate) fn state(&self) -> VersionState {
        match &*self.lock() {
            State::Unloaded | State::Retired => VersionState::Unloaded,
            State::Loading => VersionState::Loading,
            State::Ready(_) => VersionState::Ready,
            State::Failed(..) => VersionState::Failed,
        }
    }

    /// Returns why it could not be loaded.
    pub(crate) fn failure(&self) -> Option<Arc<VersionError>> {
        match &*self.lock() {
            State::Failed(error, _) => Some(Arc::clone(error)),
            _ => None,
        }
    }

    pub(crate) fn description(&self) -> Option<&Description> {
        self.description.get()
    }

    /// Returns when it was called last.
    pub(crate) fn last_called_ms(&self) -> u64 {
        self.last_called_ms.load(Relaxed)
    }

    /// Returns what it takes of memory while it is loaded.
    pub(crate) fn memory_bytes(&self) -> u64 {
        match &*self.lock() {
            State::Ready(served) => served.model().memory().total_bytes(),
            _ => 0,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each state is one assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
