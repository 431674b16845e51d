//! Answers for files, in a sandbox of their own.
//!
//! A component that was declared how files become answers holds an *answerer*, which knows the model's pre- and post-processing and imports
//! `predict`. Files come from strangers, and decoders are where they do harm. So each is decoded in an instance that is made for it, which
//! can reach nothing but the function that predicts, and that is the caller's:
//!
//! ```text
//! file ─► Answerer::answer ─► a fresh instance ─► predict, as often as it needs ─► Answer
//!                                                    └─► the caller's function: a batcher, an instance of the model, …
//! ```

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tensorlet_answer::Answer;
use tensorlet_tensor::NamedTensor;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker};
use wasmtime::{Store, StoreContextMut, UpdateDeadline};

use crate::composed::Part;
use crate::config::Limits;
use crate::engine::Engine;
use crate::error::{LoadError, LoadErrorKind, PredictError, PredictErrorKind};
use crate::instance::{DeadlinePassed, TimeLimit, call_error, instantiate_error};
use crate::limits::MemoryLimiter;
use crate::watchdog::now;
use crate::wit::{self, ANSWER_INTERFACE, AnswerResult, NamedTensorOut, PREDICT_INTERFACE};

/// What answers for the files of one model. Cheap to clone.
#[derive(Clone)]
pub struct Answerer {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Engine,
    pre: InstancePre<State>,
    answer: ComponentExportIndex,
    limits: Limits,
}

/// What a store holds beside the component.
struct State {
    limiter: MemoryLimiter,
    deadline: Option<Instant>,
    predict: Box<Predict>,
}

/// Computes outputs, or says why not.
type Predict = dyn FnMut(Vec<NamedTensor>) -> Result<Vec<NamedTensor>, String> + Send;

/// Why a file has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The file is not what the model takes. Fault: caller.
    #[error("file: expected {expected}, found {found}")]
    InvalidFile {
        /// What the model takes.
        expected: String,
        /// What the file is.
        found: String,
    },
    /// The model cannot be computed for this file, for this reason. Fault: model.
    #[error("{0}")]
    Failed(String),
    /// A limit, the deadline, or a trap ended it.
    #[error("the file was not answered for")]
    Call(#[from] PredictError),
}

impl Engine {
    /// Loads what answers for files in the component of a file. `None` if the component takes tensors alone.
    ///
    /// Of `limits`, those of memory and outputs count, for each file.
    ///
    /// # Errors
    /// If the file cannot be read, or what answers in it is invalid or imports more than `predict`.
    pub fn load_answerer(
        &self,
        path: &Path,
        limits: &Limits,
    ) -> Result<Option<Answerer>, LoadError> {
        let component = self.part_of_file(path, Part::Answerer)?;
        component
            .map(|component| Answerer::new(self, &component, limits))
            .transpose()
    }
}

impl Answerer {
    fn new(engine: &Engine, component: &Component, limits: &Limits) -> Result<Self, LoadError> {
        let not_an_answerer = |error: wasmtime::Error| {
            let message = format!(
                "expected a part that exports {ANSWER_INTERFACE} and imports {PREDICT_INTERFACE} alone, found another"
            );
            let source = error.into_boxed_dyn_error();
            LoadError::because(LoadErrorKind::NotAModel, message, source)
        };
        let mut linker = Linker::new(engine.raw());
        linker
            .instance(PREDICT_INTERFACE)
            .and_then(|mut interface| interface.func_wrap("predict", predict))
            .map_err(not_an_answerer)?;
        let pre = linker.instantiate_pre(component).map_err(not_an_answerer)?;
        let answer = component
            .get_export_index(None, ANSWER_INTERFACE)
            .and_then(|interface| component.get_export_index(Some(&interface), "answer"))
            .ok_or_else(|| not_an_answerer(wasmtime::Error::msg("it has no such function")))?;
        Ok(Self {
            shared: Arc::new(Shared {
                engine: engine.clone(),
                pre,
                answer,
                limits: limits.clone(),
            }),
        })
    }

    /// Answers what a file is or holds. `predict` is called as often as it takes; an error of it is one of the model's.
    ///
    /// All of it takes at most `timeout`, if the engine can interrupt; `predict` has to keep to that by itself.
    ///
    /// # Errors
    /// If the file is not what the model takes, `predict` fails, or a limit, the timeout or a trap ends it.
    pub fn answer(
        &self,
        file: &[u8],
        timeout: Option<Duration>,
        predict: impl FnMut(Vec<NamedTensor>) -> Result<Vec<NamedTensor>, String> + Send + 'static,
    ) -> Result<Answer, AnswerError> {
        let Shared {
            engine,
            pre,
            answer,
            limits,
        } = &*self.shared;
        let limit = TimeLimit::from_now(timeout);
        let state = State {
            limiter: MemoryLimiter::new(limits.memory_bytes),
            deadline: limit.deadline,
            predict: Box::new(predict),
        };
        let mut store = Store::new(engine.raw(), state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(limits.output_bytes);
        store.epoch_deadline_callback(|store| match store.data().deadline {
            Some(deadline) if deadline <= now() => Err(DeadlinePassed.into()),
            _ => Ok(UpdateDeadline::Continue(1)),
        });
        store.set_epoch_deadline(1);
        let watch = limit.deadline.and_then(|deadline| engine.watch(deadline));
        let instance = pre
            .instantiate(&mut store)
            .map_err(|error| instantiate_error(&store.data().limiter, error))?;
        let called = instance
            .get_typed_func::<(&[u8],), (AnswerResult,)>(&mut store, answer)
            .and_then(|answer| answer.call(&mut store, (file,)));
        drop(watch);
        let (result,) = called.map_err(|error| call_error(&store.data().limiter, limit, error))?;
        match result {
            Ok(verdict) => Ok(verdict.into()),
            Err(wit::AnswerError::InvalidFile(wit::InvalidFile { expected, found })) => {
                Err(AnswerError::InvalidFile { expected, found })
            }
            Err(wit::AnswerError::Failed(reason)) => Err(AnswerError::Failed(reason)),
            Err(wit::AnswerError::Undeclared) => {
                let message = "expected what answers for files to know how, found that it does not";
                Err(PredictError::new(PredictErrorKind::InvalidOutput, message).into())
            }
        }
    }
}

/// The import `predict`: what the answerer gives are claims like those of any guest.
fn predict(
    mut store: StoreContextMut<'_, State>,
    (inputs,): (Vec<NamedTensorOut>,),
) -> wasmtime::Result<(wit::PredictResult,)> {
    let inputs: Result<Vec<NamedTensor>, String> =
        inputs.into_iter().map(NamedTensorOut::check).collect();
    let inputs = inputs.map_err(|reason| format!("input {reason}"));
    let outputs = inputs.and_then(|inputs| (store.data_mut().predict)(inputs));
    let result = outputs
        .map(|outputs| outputs.into_iter().map(NamedTensorOut::of).collect())
        .map_err(wit::PredictError::Failed);
    Ok((result,))
}

impl std::fmt::Debug for Answerer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answerer").finish_non_exhaustive()
    }
}
