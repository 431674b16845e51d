//! All models of a process.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use event_listener::{Event, EventListener, Listener as _};
use tensorlet_answer::Answer;
use tensorlet_batch::CallOptions;
use tensorlet_runtime::{Description, Engine};
use tensorlet_tensor::NamedTensor;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use crate::clock::now;
use crate::config::RepositoryConfig;
use crate::error::{AnswerError, ControlError, ServeError, ServeErrorKind, VersionError};
use crate::host::Host;
use crate::keeper::Keeper;
use crate::policy::Labels;
use crate::served::Served;
use crate::shared::Shared;
use crate::statistics::{self, Refusals, Statistics};
use crate::version::{Found, Version, VersionState};

/// Serves the models of a source. Cheap to clone. When the last clone is dropped, what waits is refused, and what runs ends.
#[derive(Clone)]
pub struct Repository {
    shared: Arc<Shared>,
    /// Ends the keeper when the last clone is dropped.
    _keeper: Arc<Keeper>,
}

/// Which version a call is for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Selector {
    /// As the traffic is divided; without that, the highest version that is served.
    #[default]
    Default,
    /// This one.
    Version(u64),
    /// The one of this label.
    Label(String),
}

/// The outputs of a call, and whose they are.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Predicted {
    /// The outputs, in the signature's order.
    pub outputs: Vec<NamedTensor>,
    /// The version that computed them.
    pub version: u64,
}

/// What a model says of a file, and which version it was.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answered {
    /// What it says.
    pub answer: Answer,
    /// The version that says it.
    pub version: u64,
}

/// What a version says of itself, and which others there are.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ModelMetadata {
    /// The name in the repository.
    pub name: String,
    /// The version in the repository.
    pub version: u64,
    /// The versions that are served, ascending.
    pub versions: Vec<u64>,
    /// What the component says.
    pub description: Description,
}

/// One line of [`Repository::index`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct IndexEntry {
    /// The model.
    pub model: String,
    /// The version; `None` for a model of which none is served.
    pub version: Option<u64>,
    /// Whether it answers calls.
    pub state: VersionState,
    /// Its labels.
    pub labels: Vec<String>,
    /// Whether it answers calls that name no version.
    pub is_default: bool,
    /// Why it does not answer calls.
    pub reason: Option<String>,
}

/// What was left when a repository had drained.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Drained {
    /// Calls that still waited, and were refused.
    pub refused_calls: usize,
    /// Executions that were still under way.
    pub running_batches: usize,
}

impl Repository {
    /// Begins to load the models of a source. See [`Repository::wait_until_loaded`].
    ///
    /// # Errors
    /// If the source cannot be read, or threads cannot be started. A model that cannot be loaded is no error here: it is one
    /// of its calls, in [`Repository::index`], and in the log.
    pub fn open(engine: Engine, config: RepositoryConfig) -> Result<Self, ControlError> {
        let unreadable = |source| ControlError::Source {
            what: format!("the models of {:?}", config.source),
            source,
        };
        config.source.scan().map_err(unreadable)?;
        let host = Host::start(engine, config.memory_budget_bytes, config.load_threads);
        let shared = Arc::new(Shared {
            host: Arc::new(host.map_err(unreadable)?),
            config,
            models: RwLock::default(),
            refusals: Refusals::default(),
            is_draining: AtomicBool::new(false),
            is_loaded: AtomicBool::new(false),
            loaded: Event::new(),
            problems: Mutex::default(),
        });
        let keeper = Keeper::start(&shared).map_err(|source| ControlError::Source {
            what: "the source without a thread".into(),
            source,
        })?;
        Ok(Self {
            shared,
            _keeper: Arc::new(keeper),
        })
    }

    /// Waits until all that the source had when it was opened has been loaded, or could not be.
    pub fn wait_until_loaded(&self) {
        loop {
            let listener = self.shared.loaded.listen();
            if self.is_loaded() {
                return;
            }
            listener.wait();
        }
    }

    /// Reports whether all that the source had when it was opened has been loaded, or could not be.
    pub fn is_loaded(&self) -> bool {
        self.shared.is_loaded.load(Relaxed)
    }

    /// Reports whether calls are let in: everything has been loaded, and nothing drains.
    pub fn is_ready(&self) -> bool {
        self.is_loaded() && !self.shared.is_draining.load(Relaxed)
    }

    /// Executes a call, with as many others as it pays. Dropping the future cancels the call.
    ///
    /// A version that is not loaded is loaded first. The future is of any executor.
    ///
    /// # Errors
    /// If there are no outputs: see [`ServeErrorKind`].
    pub async fn predict(
        &self,
        model: &str,
        selector: &Selector,
        inputs: impl Into<Arc<[NamedTensor]>>,
        options: CallOptions,
    ) -> Result<Predicted, ServeError> {
        let span = call_span(model);
        let call = async {
            let (version, served) = self.find(model, selector).await?;
            span.record("version", version);
            let outputs = served.predict(inputs.into(), options).await?;
            Ok(Predicted { outputs, version })
        };
        let result = call.instrument(span.clone()).await;
        result.inspect_err(|error| self.shared.note(&span, error))
    }

    /// Executes a call as [`Repository::predict`] does, and waits for it: on this thread if it is alone and a worker is free.
    ///
    /// # Errors
    /// As [`Repository::predict`].
    pub fn predict_blocking(
        &self,
        model: &str,
        selector: &Selector,
        inputs: impl Into<Arc<[NamedTensor]>>,
        options: CallOptions,
    ) -> Result<Predicted, ServeError> {
        let span = call_span(model);
        let result = span.in_scope(|| {
            let (version, served) = self.find_blocking(model, selector)?;
            span.record("version", version);
            let outputs = served.predict_blocking(inputs.into(), options)?;
            Ok(Predicted { outputs, version })
        });
        result.inspect_err(|error| self.shared.note(&span, error))
    }

    /// Answers what a file is or holds, if the model was declared how, and waits for that. The file is decoded in a sandbox; the calls that it
    /// takes are executed as by [`Repository::predict_blocking`].
    ///
    /// # Errors
    /// If there is no answer: see [`AnswerError`].
    pub fn answer_blocking(
        &self,
        model: &str,
        selector: &Selector,
        file: &[u8],
        options: CallOptions,
    ) -> Result<Answered, AnswerError> {
        let span = call_span(model);
        let result = span.in_scope(|| {
            let (version, served) = self.find_blocking(model, selector)?;
            span.record("version", version);
            let answer = served.answer_blocking(file, options)?;
            Ok(Answered { answer, version })
        });
        result.inspect_err(|error| {
            if let AnswerError::Serve(error) = error {
                self.shared.note(&span, error);
            }
        })
    }

    /// Finds the version of a call, and waits until it is loaded.
    async fn find(
        &self,
        model: &str,
        selector: &Selector,
    ) -> Result<(u64, Arc<Served>), ServeError> {
        loop {
            match self.look(model, selector)? {
                Ok(found) => return Ok(found),
                Err(loading) => loading.await,
            }
        }
    }

    /// As [`Repository::find`], on this thread.
    fn find_blocking(
        &self,
        model: &str,
        selector: &Selector,
    ) -> Result<(u64, Arc<Served>), ServeError> {
        loop {
            match self.look(model, selector)? {
                Ok(found) => return Ok(found),
                Err(loading) => loading.wait(),
            }
        }
    }

    /// Returns the version of a call, with its number; or, while it is being loaded, who tells when that ends.
    fn look(
        &self,
        model: &str,
        selector: &Selector,
    ) -> Result<Result<(u64, Arc<Served>), EventListener>, ServeError> {
        loop {
            let version = self.shared.resolve(model, selector)?;
            match version.find() {
                Found::Ready(served) => return Ok(Ok((version.number, served))),
                Found::Loading(listener) => return Ok(Err(listener)),
                Found::Failed(error) => return Err(cannot_be_loaded(&version, error)),
                // Another one has taken its place.
                Found::Retired => {}
            }
        }
    }

    /// Says what a model takes and gives, loading it if it has never been loaded.
    ///
    /// # Errors
    /// If there is no such model or version, or it cannot be loaded.
    pub async fn metadata(
        &self,
        model: &str,
        selector: &Selector,
    ) -> Result<ModelMetadata, ServeError> {
        loop {
            let entry = self.shared.entry(model)?;
            let serving = entry.serving();
            let version = self.shared.look_up(model, selector)?;
            if let Some(description) = version.description() {
                return Ok(ModelMetadata {
                    name: model.into(),
                    version: version.number,
                    versions: serving.versions.keys().copied().collect(),
                    description: description.clone(),
                });
            }
            match version.find() {
                Found::Ready(_) => {}
                Found::Loading(listener) => listener.await,
                Found::Failed(error) => return Err(cannot_be_loaded(&version, error)),
                Found::Retired => {}
            }
        }
    }

    /// Reports whether calls to a version are let in.
    ///
    /// # Errors
    /// If there is no such model or version, or it could not be loaded.
    pub fn is_model_ready(&self, model: &str, selector: &Selector) -> Result<bool, ServeError> {
        let version = self.shared.look_up(model, selector)?;
        let is_able = matches!(
            version.state(),
            VersionState::Ready | VersionState::Unloaded
        );
        Ok(is_able && !self.shared.is_draining.load(Relaxed))
    }

    /// Lists all models of the source, and what is served of them.
    pub fn index(&self) -> Vec<IndexEntry> {
        let entries = self.shared.entries();
        entries
            .iter()
            .flat_map(|entry| self.shared.index_of(entry))
            .collect()
    }

    /// Returns what each version has done and does, and what the process takes.
    pub fn statistics(&self) -> Statistics {
        statistics::collect(&self.shared.entries(), &self.shared.refusals)
    }

    /// Looks at the source, and serves what has changed: loads new versions beside old ones, and swaps when they are ready.
    /// Returns what could not be, model by model. Takes until all has been loaded.
    ///
    /// # Errors
    /// If the source cannot be read; then nothing changes.
    pub fn reload(&self) -> Result<Vec<ControlError>, ControlError> {
        self.shared.reload()
    }

    /// Loads what the source has of a model now, also if it was unloaded, rolled back from, or failed before. Takes until it serves.
    ///
    /// # Errors
    /// If there is no such model, or it could not be loaded; what was served before stays.
    pub fn load(&self, model: &str) -> Result<(), ControlError> {
        let found = self.shared.look(model)?;
        if found.versions.is_empty() {
            return Err(ControlError::NotFound {
                model: model.into(),
            });
        }
        let entry = self.shared.entry_or_new(model);
        entry.load(found, &self.shared.config.defaults)
    }

    /// Unloads a model until it is [loaded](Repository::load). Calls that are in go on.
    ///
    /// # Errors
    /// If there is no such model.
    pub fn unload(&self, model: &str) -> Result<(), ControlError> {
        self.shared.known(model)?.unload()
    }

    /// Goes back to the next older version than that which answers calls, and returns which it is. The newer one is not served again
    /// before its file changes or the model is [loaded](Repository::load). Takes until the older one serves.
    ///
    /// # Errors
    /// If there is no such model, no older version that the policy allows, or it cannot be loaded; then nothing changes.
    pub fn roll_back(&self, model: &str) -> Result<u64, ControlError> {
        self.shared.known(model)?.roll_back()
    }

    /// Names versions, and divides calls between them, until the model's configuration changes or the process ends. Takes until all of them serve.
    ///
    /// # Errors
    /// If there is no such model, or a label names a version that there is not or that cannot be loaded; then nothing changes.
    pub fn set_labels(&self, model: &str, labels: Labels) -> Result<(), ControlError> {
        self.shared.known(model)?.set_labels(labels)
    }

    /// Lets no more calls in, waits at most so long until those that are in have been answered, and refuses those that still wait then.
    pub fn drain(&self, grace: Duration) -> Drained {
        let end = now() + grace;
        self.shared.is_draining.store(true, Relaxed);
        let entries = self.shared.entries();
        let versions = entries.iter().flat_map(|entry| {
            entry
                .serving()
                .versions
                .values()
                .cloned()
                .collect::<Vec<_>>()
        });
        let served: Vec<_> = versions.filter_map(|version| version.served()).collect();
        let mut all = Drained::default();
        for served in served {
            let left = end.saturating_duration_since(now());
            let drained = served.scheduler().drain(left);
            all.refused_calls += drained.refused_calls;
            all.running_batches += drained.running_batches;
        }
        all
    }
}

/// Says why a version does not answer; `Ok` if it is worth looking again.
fn cannot_be_loaded(version: &Version, error: Arc<VersionError>) -> ServeError {
    let message = format!(
        "version {} of `{}` cannot be loaded",
        version.number, version.model
    );
    ServeError::new(ServeErrorKind::NotReady, message).because(error)
}

fn call_span(model: &str) -> Span {
    tracing::debug_span!("call", model, version = Empty, error = Empty)
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository")
            .field("source", &self.shared.config.source)
            .finish_non_exhaustive()
    }
}
