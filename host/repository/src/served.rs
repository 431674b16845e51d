//! A version that is loaded, with its workers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tensorlet_answer::{Answer, MODEL_TOML_KEY};
use tensorlet_batch::{CallOptions, Scheduler, SchedulerConfig, Snapshot};
use tensorlet_runtime::{
    Answerer, CallOptions as RuntimeOptions, Description, LoadOptions, Model, PredictError,
};
use tensorlet_tensor::{Dim, NamedTensor, Signature, Tensor};

use crate::breaker::Breaker;
use crate::clock::now;
use crate::config::{ModelConfig, WarmUp};
use crate::error::{AnswerError, ServeError, ServeErrorKind, VersionError};
use crate::execution::Execution;
use crate::host::{Host, nicely};
use crate::rate::Bucket;
use crate::source::FoundFile;

/// A version that is loaded. When the last call has let go of it, it is taken down.
#[derive(Debug)]
pub(crate) struct Served {
    host: Arc<Host>,
    config: Arc<ModelConfig>,
    /// There until it is dropped.
    scheduler: Option<Scheduler<Execution>>,
    /// What answers for files, if it was declared how.
    answerer: Option<Answerer>,
    bucket: Option<Mutex<Bucket>>,
}

impl Served {
    /// Loads a component, warms it up, and starts its workers.
    pub(crate) fn load(
        host: &Arc<Host>,
        file: &FoundFile,
        config: &Arc<ModelConfig>,
    ) -> Result<Self, VersionError> {
        let (model, answerer) = nicely(|| prepare(host, file, config))??;
        let execution = Execution::new(
            model,
            config.execution_timeout,
            Breaker::new(config.breaker),
        );
        let scheduler = SchedulerConfig {
            batch: config.batch.clone(),
            workers: config.instances,
        };
        Ok(Self {
            host: Arc::clone(host),
            config: Arc::clone(config),
            scheduler: Some(Scheduler::start(execution, scheduler)?),
            answerer,
            bucket: config.rate.map(|rate| Mutex::new(Bucket::new(rate))),
        })
    }

    pub(crate) fn description(&self) -> &Description {
        self.model().description()
    }

    pub(crate) fn model(&self) -> &Model {
        self.scheduler().predictor().model()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.scheduler().snapshot()
    }

    pub(crate) fn is_circuit_open(&self) -> bool {
        self.scheduler().predictor().breaker().is_open()
    }

    pub(crate) fn scheduler(&self) -> &Scheduler<Execution> {
        let scheduler = self.scheduler.as_ref();
        scheduler.expect("it is there until this is dropped")
    }

    /// Executes a call.
    pub(crate) async fn predict(
        &self,
        inputs: Arc<[NamedTensor]>,
        options: CallOptions,
    ) -> Result<Vec<NamedTensor>, ServeError> {
        let options = self.admit(options)?;
        let handle = self.scheduler().submit(inputs, options)?;
        Ok(handle.await?)
    }

    /// Executes a call, on this thread if nothing waits and a worker is free.
    pub(crate) fn predict_blocking(
        &self,
        inputs: Arc<[NamedTensor]>,
        options: CallOptions,
    ) -> Result<Vec<NamedTensor>, ServeError> {
        let options = self.admit(options)?;
        Ok(self.scheduler().predict(inputs, options)?)
    }

    /// Answers for a file, on this thread, with as many calls as it takes. All of it ends at the deadline, or when it has taken as long as an
    /// execution may.
    pub(crate) fn answer_blocking(
        self: &Arc<Self>,
        file: &[u8],
        options: CallOptions,
    ) -> Result<Answer, AnswerError> {
        let answerer = self.answerer.as_ref().ok_or(AnswerError::NoAnswerer)?;
        let default = self.config.default_timeout;
        let default = default.unwrap_or(self.config.execution_timeout);
        let deadline = options.deadline.or_else(|| now().checked_add(default));
        let timeout = deadline.map(|deadline| deadline.saturating_duration_since(now()));
        let options = CallOptions {
            deadline,
            ..options
        };
        // What answers is told that a call failed; whoever asks is told why.
        let failed = Arc::new(Mutex::new(None));
        let (served, failure) = (Arc::clone(self), Arc::clone(&failed));
        let answer = answerer.answer(file, timeout, move |inputs| {
            served
                .predict_blocking(inputs.into(), options)
                .map_err(|error| {
                    let reason = error.to_string();
                    *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    reason
                })
        });
        let failure = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        match failure {
            Some(error) => Err(error.into()),
            None => Ok(answer?),
        }
    }

    /// Lets a call in that the rate and the circuit breaker allow, with its deadline.
    fn admit(&self, options: CallOptions) -> Result<CallOptions, ServeError> {
        let now = now();
        if let Some(bucket) = &self.bucket {
            let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
            bucket.admit(now).map_err(|after| {
                ServeError::new(
                    ServeErrorKind::RateLimited,
                    "the model takes no more calls a second",
                )
                .retry_after(after)
            })?;
        }
        let admitted = self.scheduler().predictor().breaker().admit(now);
        admitted.map_err(|after| {
            ServeError::new(
                ServeErrorKind::CircuitOpen,
                "the model failed at every call lately",
            )
            .retry_after(after)
        })?;
        let default = |timeout| now.checked_add(timeout);
        let deadline: Option<Instant> = options
            .deadline
            .or(self.config.default_timeout.and_then(default));
        Ok(CallOptions {
            deadline,
            ..options
        })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(scheduler) = self.scheduler.take() {
            self.host.reap(scheduler);
        }
    }
}

/// Loads a component and what answers for files, and warms it up.
fn prepare(
    host: &Host,
    file: &FoundFile,
    config: &ModelConfig,
) -> Result<(Model, Option<Answerer>), VersionError> {
    let options = LoadOptions {
        limits: config.limits.clone(),
        reuse: config.reuse,
        share: config.share,
    };
    let model = host.engine.load(&file.path, options)?;
    if let Err(error) = warm_up(&model, config) {
        if config.warm_up.must_succeed {
            return Err(VersionError::WarmUp(error));
        }
        tracing::debug!(error = &error as &dyn std::error::Error, path = %file.path.display(), "the warm-up failed");
    }
    let answerer = match model.description().metadata.contains_key(MODEL_TOML_KEY) {
        true => host.engine.load_answerer(&file.path, &config.limits)?,
        false => None,
    };
    Ok((model, answerer))
}

/// Makes the instances answer calls with made-up inputs.
fn warm_up(model: &Model, config: &ModelConfig) -> Result<(), PredictError> {
    let options = RuntimeOptions {
        timeout: Some(config.execution_timeout),
    };
    let Some(inputs) = made_up(&model.description().signature, &config.warm_up) else {
        return Ok(());
    };
    if config.warm_up.calls == 0 {
        return Ok(());
    }
    model.warm_up(config.instances.get(), &inputs, &options)?;
    for _ in 1..config.warm_up.calls {
        for _ in 0..config.instances.get() {
            model.predict(&inputs, &options)?;
        }
    }
    Ok(())
}

/// Makes inputs of zeros; `None` if they would be larger than tensors may.
fn made_up(signature: &Signature, warm_up: &WarmUp) -> Option<Vec<NamedTensor>> {
    let size = |dim: &Dim| match dim {
        Dim::Fixed(size) => *size,
        Dim::Symbol(symbol) if signature.batch_symbol.as_ref() == Some(symbol) => {
            warm_up.rows.get()
        }
        Dim::Symbol(symbol) => warm_up.dims.get(symbol).copied().unwrap_or(1),
    };
    let inputs = signature.inputs.iter().map(|spec| {
        let dims = spec.dims.iter().map(size).collect();
        let zeros = Tensor::zeros(spec.datum_type, dims).ok()?;
        Some((spec.name.clone(), zeros))
    });
    inputs.collect()
}
