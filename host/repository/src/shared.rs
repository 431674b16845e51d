//! What all clones of a repository share: its models, and how they follow the source.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use event_listener::Event;
use tracing::Span;

use crate::config::RepositoryConfig;
use crate::entry::Entry;
use crate::error::{ControlError, ServeError, ServeErrorKind};
use crate::host::Host;
use crate::policy::Traffic;
use crate::repository::{IndexEntry, Selector};
use crate::source::FoundModel;
use crate::statistics::Refusals;
use crate::version::{Version, VersionState};

/// What all clones of a repository share.
pub(crate) struct Shared {
    pub(crate) config: RepositoryConfig,
    pub(crate) host: Arc<Host>,
    pub(crate) models: RwLock<BTreeMap<String, Arc<Entry>>>,
    pub(crate) refusals: Refusals,
    pub(crate) is_draining: AtomicBool,
    /// Whether the source has been read and what is in it been loaded once.
    pub(crate) is_loaded: AtomicBool,
    pub(crate) loaded: Event,
    /// What is wrong with each model, so that it is told once.
    pub(crate) problems: Mutex<BTreeMap<String, String>>,
}

impl Shared {
    /// Chooses the version of a call.
    pub(crate) fn resolve(
        &self,
        model: &str,
        selector: &Selector,
    ) -> Result<Arc<Version>, ServeError> {
        self.choose(model, selector, Traffic::next)
    }

    /// Returns the version that a call would get.
    pub(crate) fn look_up(
        &self,
        model: &str,
        selector: &Selector,
    ) -> Result<Arc<Version>, ServeError> {
        self.choose(model, selector, Traffic::peek)
    }

    fn choose(
        &self,
        model: &str,
        selector: &Selector,
        of_traffic: fn(&Traffic) -> Option<u64>,
    ) -> Result<Arc<Version>, ServeError> {
        if self.is_draining.load(Relaxed) {
            return Err(ServeError::new(
                ServeErrorKind::Draining,
                "the server takes no more calls",
            ));
        }
        let entry = self.entry(model)?;
        let serving = entry.serving();
        let not_found = |what: String| {
            let message = format!("expected a version of `{model}` that is served, found {what}");
            ServeError::new(ServeErrorKind::VersionNotFound, message)
        };
        let number = match selector {
            Selector::Version(number) => *number,
            Selector::Label(label) => match serving.labels.versions.get(label) {
                Some(&number) => number,
                None => return Err(not_found(format!("label `{label}`"))),
            },
            Selector::Default => match of_traffic(&serving.traffic).or(serving.default) {
                Some(number) => number,
                None => return Err(self.nothing_served(&entry, serving.is_unloaded)),
            },
        };
        let version = serving.versions.get(&number);
        version
            .cloned()
            .ok_or_else(|| match entry.failed().remove(&number) {
                Some(failed) => {
                    let message = format!("version {number} of `{model}` cannot be loaded");
                    ServeError::new(ServeErrorKind::NotReady, message).because(failed.error)
                }
                None => not_found(number.to_string()),
            })
    }

    pub(crate) fn nothing_served(&self, entry: &Entry, is_unloaded: bool) -> ServeError {
        let name = &entry.name;
        let not_ready = |message| ServeError::new(ServeErrorKind::NotReady, message);
        if is_unloaded {
            return not_ready(format!("model `{name}` was unloaded"));
        }
        if let Some((number, failed)) = entry.failed().pop_last() {
            return not_ready(format!("version {number} of `{name}` cannot be loaded"))
                .because(failed.error);
        }
        match self.is_loaded.load(Relaxed) {
            true => not_ready(format!("no version of model `{name}` is served")),
            false => not_ready(format!("model `{name}` is being loaded"))
                .retry_after(Duration::from_secs(1)),
        }
    }

    pub(crate) fn entry(&self, model: &str) -> Result<Arc<Entry>, ServeError> {
        let entry = self.models().get(model).cloned();
        entry.ok_or_else(|| {
            let message = format!("there is no model `{model}`");
            ServeError::new(ServeErrorKind::ModelNotFound, message)
        })
    }

    pub(crate) fn known(&self, model: &str) -> Result<Arc<Entry>, ControlError> {
        let entry = self.models().get(model).cloned();
        entry.ok_or_else(|| ControlError::NotFound {
            model: model.into(),
        })
    }

    pub(crate) fn entry_or_new(&self, model: &str) -> Arc<Entry> {
        if let Some(entry) = self.models().get(model) {
            return Arc::clone(entry);
        }
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        let entry = models.entry(model.into());
        Arc::clone(entry.or_insert_with(|| Arc::new(Entry::new(&self.host, model))))
    }

    pub(crate) fn entries(&self) -> Vec<Arc<Entry>> {
        self.models().values().cloned().collect()
    }

    pub(crate) fn models(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, Arc<Entry>>> {
        self.models.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn look(&self, model: &str) -> Result<FoundModel, ControlError> {
        self.config
            .source
            .look(model)
            .map_err(|source| ControlError::Source {
                what: format!("model `{model}`"),
                source,
            })
    }

    pub(crate) fn reload(&self) -> Result<Vec<ControlError>, ControlError> {
        let found = self
            .config
            .source
            .scan()
            .map_err(|source| ControlError::Source {
                what: format!("the models of {:?}", self.config.source),
                source,
            })?;
        // What is gone has no versions, and no entry when that is done.
        let mut gone = Vec::new();
        let mut changed = Vec::new();
        for entry in self
            .entries()
            .iter()
            .filter(|entry| !found.contains_key(&*entry.name))
        {
            gone.push(entry.name.to_string());
            changed.push((Arc::clone(entry), FoundModel::default()));
        }
        for (name, found) in found {
            let entry = self.entry_or_new(&name);
            changed.push((entry, found));
        }
        changed.retain(|(entry, found)| {
            gone.contains(&entry.name.to_string()) || entry.is_outdated(found)
        });
        let errors = self.update_all(changed);
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        models.retain(|name, entry| !gone.contains(name) || !entry.serving().versions.is_empty());
        Ok(errors)
    }

    /// Updates models, some at a time.
    pub(crate) fn update_all(&self, changed: Vec<(Arc<Entry>, FoundModel)>) -> Vec<ControlError> {
        let threads = changed.len().min(self.config.load_threads.get());
        let changed = Mutex::new(changed.into_iter());
        let errors = Mutex::new(Vec::new());
        let next = || lock(&changed).next();
        let work = || {
            while let Some((entry, found)) = next() {
                // A bug in one model's change must not keep the others from theirs.
                let update = AssertUnwindSafe(|| entry.update(found, &self.config.defaults));
                match catch_unwind(update) {
                    Ok(Ok(())) => self.tell(&entry.name, None),
                    Ok(Err(error)) => {
                        self.tell(&entry.name, Some(&error));
                        lock(&errors).push(error);
                    }
                    Err(_) => tracing::error!(model = &*entry.name, "updating it panicked"),
                }
            }
        };
        thread::scope(|scope| {
            for _ in 1..threads {
                // With fewer threads it takes longer.
                let _ = thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
        errors.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs what is wrong with a model, once.
    pub(crate) fn tell(&self, model: &str, error: Option<&ControlError>) {
        let mut problems = lock(&self.problems);
        let Some(error) = error else {
            problems.remove(model);
            return;
        };
        let text = error.to_string();
        if problems.get(model) != Some(&text) {
            tracing::warn!(
                model,
                error = error as &dyn std::error::Error,
                "not as wanted"
            );
            problems.insert(model.into(), text);
        }
    }

    pub(crate) fn index_of(&self, entry: &Entry) -> Vec<IndexEntry> {
        let serving = entry.serving();
        let line = |version, state, reason| IndexEntry {
            model: entry.name.to_string(),
            version,
            state,
            labels: serving
                .labels
                .versions
                .iter()
                .filter(|(_, number)| Some(**number) == version)
                .map(|(label, _)| label.clone())
                .collect(),
            is_default: version.is_some() && version == serving.default,
            reason,
        };
        let mut lines: BTreeMap<Option<u64>, IndexEntry> = BTreeMap::new();
        for (&number, failed) in &entry.failed() {
            let reason = chain(&*failed.error);
            lines.insert(
                Some(number),
                line(Some(number), VersionState::Failed, Some(reason)),
            );
        }
        for (&number, version) in &serving.versions {
            let reason = version.failure().map(|error| chain(&*error));
            let reason = reason.or_else(|| {
                lines
                    .get(&Some(number))
                    .and_then(|line| line.reason.clone())
            });
            lines.insert(Some(number), line(Some(number), version.state(), reason));
        }
        if lines.is_empty() {
            let reason = match serving.is_unloaded {
                true => Some("unloaded".into()),
                false => lock(&self.problems).get(&*entry.name).cloned(),
            };
            lines.insert(None, line(None, VersionState::Unloaded, reason));
        }
        lines.into_values().collect()
    }

    /// Counts a refusal, and tells the call's span how it ended.
    pub(crate) fn note(&self, span: &Span, error: &ServeError) {
        span.record("error", tracing::field::debug(error.kind()));
        self.refusals.count(error.kind());
    }

    /// Unloads what has not been called for long, or does not fit any more.
    pub(crate) fn keep_house(&self) {
        for entry in self.entries() {
            for version in entry.serving().versions.values() {
                if let Some(idle) = version.config.unload_after {
                    version.unload_if_idle(idle);
                }
            }
        }
        self.host.budget.enforce();
    }
}

/// Joins an error and its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is locked here is changed as a whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
