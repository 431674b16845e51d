//! One instance of a model, with a store of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tensorlet_plan::Description;
use tensorlet_tensor::{Bindings, Dim, NamedTensor, Signature, TensorSpec};
use wasmtime::component::{ComponentExportIndex, Func, Instance as ComponentInstance};
use wasmtime::{Store, UpdateDeadline};

use crate::config::{CallOptions, Limits};
use crate::engine::Engine;
use crate::error::{PredictError, PredictErrorKind};
use crate::limits::MemoryLimiter;
use crate::model::ComponentExports;
use crate::offload::{OffloadCounts, Segments};
use crate::shares::{self, Account};
use crate::watchdog::now;
use crate::wit::{DescriptionOut, NamedTensorIn, PredictResult};

/// One instance of a model: its own memory, one call at a time.
pub struct Instance {
    engine: Engine,
    store: Store<StoreState>,
    component: ComponentInstance,
    predict: Func,
    describe: Func,
    /// Empty until the model has been described.
    signature: Arc<Signature>,
    account: Option<Arc<Account>>,
    is_broken: bool,
    calls: u32,
}

/// What a store holds beside the component.
pub(crate) struct StoreState {
    limiter: MemoryLimiter,
    /// When the call that runs must end.
    pub(crate) deadline: Option<Instant>,
    /// What the component has left to the host. `None` if the host computes nothing.
    pub(crate) segments: Option<Arc<Segments>>,
}

/// The error with which a call ends that is past its deadline.
#[derive(Debug, thiserror::Error)]
#[error("the deadline has passed")]
pub(crate) struct DeadlinePassed;

impl Instance {
    pub(crate) fn new(
        engine: &Engine,
        exports: &ComponentExports,
        signature: Arc<Signature>,
        limits: &Limits,
    ) -> Result<Self, PredictError> {
        let state = StoreState {
            limiter: MemoryLimiter::new(limits.memory_bytes),
            deadline: None,
            segments: exports.segments.clone(),
        };
        let mut store = Store::new(engine.raw(), state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(limits.output_bytes);
        store.epoch_deadline_callback(|store| {
            let deadline = store.data().deadline;
            shares::checkpoint(deadline);
            match deadline {
                Some(deadline) if deadline <= now() => Err(DeadlinePassed.into()),
                _ => Ok(UpdateDeadline::Continue(1)),
            }
        });
        store.set_epoch_deadline(1);

        let component = match exports.pre.instantiate(&mut store) {
            Ok(component) => component,
            Err(error) => return Err(instantiate_error(&store.data().limiter, error)),
        };
        store.data_mut().limiter.begin(exports.gauge.clone());
        let func = |store: &mut Store<StoreState>, index| {
            component
                .get_func(store, index)
                .expect("the export was found in the component's type")
        };
        let predict = func(&mut store, &exports.predict);
        let describe = func(&mut store, &exports.describe);
        Ok(Self {
            engine: engine.clone(),
            store,
            component,
            predict,
            describe,
            signature,
            account: exports.account.clone(),
            is_broken: false,
            calls: 0,
        })
    }

    /// Computes the outputs, in the signature's order.
    ///
    /// # Errors
    /// If the inputs do not fit the signature, the model cannot be computed for them, a limit or the deadline
    /// is reached, or the guest traps. After a trap, a limit or a deadline the instance
    /// [is broken](Instance::is_broken).
    pub fn predict(
        &mut self,
        inputs: &[NamedTensor],
        options: &CallOptions,
    ) -> Result<Vec<NamedTensor>, PredictError> {
        if options.timeout.is_some() && !self.engine.is_interruptible() {
            let message =
                "expected an engine whose calls can be interrupted, as the call has a timeout";
            return Err(PredictError::new(PredictErrorKind::Host, message));
        }
        let bindings = self.signature.bind(inputs).map_err(|error| {
            PredictError::new(PredictErrorKind::InvalidInput, error.to_string())
        })?;
        let inputs: Vec<NamedTensorIn<'_>> = inputs.iter().map(NamedTensorIn::new).collect();

        let limit = TimeLimit::from_now(options.timeout);
        let account = self.account.clone();
        let turn = account.map(|account| account.enter(limit.deadline).ok_or(limit));
        let mut turn = turn.transpose().map_err(TimeLimit::exceeded)?;
        let predict = self.predict;
        let called = self.call(limit, |store| {
            predict
                .typed::<(&[NamedTensorIn<'_>],), _>(&*store)?
                .call(store, (&inputs,))
        });
        if let Some(turn) = &mut turn
            && self.store.data().limiter.refused_bytes().is_some()
        {
            turn.distrust();
        }
        drop(turn);
        let (result,): (PredictResult,) = called?;
        let outputs = result.map_err(|error| {
            let (is_input, message) = error.into_message();
            // A model that is refused memory may say so itself rather than trap.
            let limiter = &self.store.data().limiter;
            if let Some(refused_bytes) = limiter.refused_bytes().filter(|_| !is_input) {
                return memory_error(limiter.limit_bytes(), refused_bytes);
            }
            let kind = if is_input {
                PredictErrorKind::InvalidInput
            } else {
                PredictErrorKind::Failed
            };
            PredictError::new(kind, message)
        })?;
        let outputs: Result<Vec<NamedTensor>, String> =
            outputs.into_iter().map(|output| output.check()).collect();
        outputs
            .map_err(|reason| format!("output {reason}"))
            .and_then(|outputs| check_outputs(&self.signature, &bindings, outputs))
            .map_err(|reason| PredictError::new(PredictErrorKind::InvalidOutput, reason))
    }

    /// Reports whether a call ended in the middle, so that no other can follow.
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Returns how many calls the instance has answered.
    pub fn calls(&self) -> u32 {
        self.calls
    }

    /// Returns what instances of the component left to the host so far, as [`Model::offloaded`](crate::Model::offloaded) does.
    pub fn offloaded(&self) -> Option<OffloadCounts> {
        let segments = self.store.data().segments.as_ref();
        segments.map(|segments| segments.counts())
    }

    /// Asks the component what it is.
    pub(crate) fn describe(&mut self, timeout: Duration) -> Result<Description, PredictError> {
        let describe = self.describe;
        let (description,): (DescriptionOut,) = self
            .call(TimeLimit::from_now(Some(timeout)), |store| {
                describe.typed::<(), _>(&*store)?.call(store, ())
            })?;
        description
            .check()
            .map_err(|reason| PredictError::new(PredictErrorKind::InvalidOutput, reason))
    }

    /// Gives the instance of an empty predictor its plan.
    pub(crate) fn prepare(
        &mut self,
        prepare: &ComponentExportIndex,
        plan: &[u8],
        segments: &[Vec<u8>],
    ) -> Result<(), PredictError> {
        type Params<'a> = (&'a [u8], &'a [Vec<u8>], Option<&'a [u8]>, u32);
        let component = self.component;
        let result: (Result<Vec<u8>, String>,) = self.call(TimeLimit::from_now(None), |store| {
            let prepare = component.get_typed_func::<Params<'_>, _>(&mut *store, prepare)?;
            // The plan has no functions of the compiler's: they would have to be in the predictor's table.
            prepare.call(store, (plan, segments, None, 0))
        })?;
        result
            .0
            .map(drop)
            .map_err(|reason| PredictError::new(PredictErrorKind::Failed, reason))
    }

    pub(crate) fn set_signature(&mut self, signature: Arc<Signature>) {
        self.signature = signature;
    }

    fn call<R>(
        &mut self,
        limit: TimeLimit,
        work: impl FnOnce(&mut Store<StoreState>) -> wasmtime::Result<R>,
    ) -> Result<R, PredictError> {
        if self.is_broken {
            return Err(PredictError::new(
                PredictErrorKind::Trapped,
                "an earlier call broke this instance",
            ));
        }
        let deadline = limit.deadline;
        let data = self.store.data_mut();
        data.deadline = deadline;
        data.limiter.begin_call();
        // Before the watchdog knows the deadline, so that the epoch it raises is later than this one.
        self.store.set_epoch_deadline(1);
        let watch = deadline.and_then(|deadline| self.engine.watch(deadline));
        let result = work(&mut self.store);
        drop(watch);

        self.calls = self.calls.saturating_add(1);
        result.map_err(|error| {
            self.is_broken = true;
            call_error(&self.store.data().limiter, limit, error)
        })
    }
}

/// Says why a call ended in the middle.
pub(crate) fn call_error(
    limiter: &MemoryLimiter,
    limit: TimeLimit,
    error: wasmtime::Error,
) -> PredictError {
    if error.is::<DeadlinePassed>() {
        return limit.exceeded();
    }
    if let Some(refused_bytes) = limiter.refused_bytes() {
        return memory_error(limiter.limit_bytes(), refused_bytes);
    }
    PredictError::because(
        PredictErrorKind::Trapped,
        "the model trapped",
        error.into_boxed_dyn_error(),
    )
}

/// How long a call may take.
#[derive(Clone, Copy)]
pub(crate) struct TimeLimit {
    timeout: Option<Duration>,
    pub(crate) deadline: Option<Instant>,
}

impl TimeLimit {
    pub(crate) fn from_now(timeout: Option<Duration>) -> Self {
        Self {
            timeout,
            // A time that the clock cannot tell does not come.
            deadline: timeout.and_then(|timeout| now().checked_add(timeout)),
        }
    }

    fn exceeded(self) -> PredictError {
        let timeout = self.timeout.unwrap_or_default();
        let message =
            format!("expected the call to take at most {timeout:?}, found it still running");
        PredictError::new(PredictErrorKind::DeadlineExceeded, message)
    }
}

/// Says why a component was not instantiated.
pub(crate) fn instantiate_error(limiter: &MemoryLimiter, error: wasmtime::Error) -> PredictError {
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        let message = "as many instances are alive as the engine may have";
        return PredictError::because(
            PredictErrorKind::TooManyInstances,
            message,
            error.into_boxed_dyn_error(),
        );
    }
    if let Some(refused_bytes) = limiter.refused_bytes() {
        return memory_error(limiter.limit_bytes(), refused_bytes);
    }
    let message = "the component could not be instantiated";
    PredictError::because(
        PredictErrorKind::Host,
        message,
        error.into_boxed_dyn_error(),
    )
}

fn memory_error(limit_bytes: u64, refused_bytes: u64) -> PredictError {
    let message = format!(
        "expected the model to take at most {limit_bytes} bytes of memory, found it asking for {refused_bytes}"
    );
    PredictError::new(PredictErrorKind::MemoryLimit, message)
}

/// Checks the outputs that a guest claims to have computed against what it promised.
fn check_outputs(
    signature: &Signature,
    bindings: &Bindings,
    outputs: Vec<NamedTensor>,
) -> Result<Vec<NamedTensor>, String> {
    let fits = |spec: &TensorSpec, (name, tensor): &NamedTensor| {
        let dim_fits = |(dim, &size): (&Dim, &u32)| match dim {
            Dim::Fixed(fixed) => *fixed == size,
            // A symbol that no input has is an expression, or known to the model alone.
            Dim::Symbol(symbol) => bindings.get(symbol).is_none_or(|&bound| bound == size),
        };
        *name == spec.name
            && tensor.datum_type() == spec.datum_type
            && tensor.dims().len() == spec.dims.len()
            && spec.dims.iter().zip(tensor.dims()).all(dim_fits)
    };
    if outputs.len() != signature.outputs.len() {
        return Err(format!(
            "expected {} outputs, found {}",
            signature.outputs.len(),
            outputs.len()
        ));
    }
    match signature
        .outputs
        .iter()
        .zip(&outputs)
        .find(|(spec, output)| !fits(spec, output))
    {
        Some((spec, (name, tensor))) => Err(format!(
            "expected output {spec}, found {name}: {}",
            tensor.type_text()
        )),
        None => Ok(outputs),
    }
}

#[cfg(test)]
mod tests {
    use tensorlet_tensor::{DatumType, Tensor};

    use super::*;

    #[test]
    fn outputs_are_held_to_the_signature() {
        let specs = vec!["y:f32[N,2]".parse().unwrap(), "z:i64[k]".parse().unwrap()];
        let signature = Signature::new(vec!["x:f32[N]".parse().unwrap()], specs);
        let bindings = Bindings::from([("N".into(), 3)]);
        let zeros = |name: &str, datum_type, dims: &[u32]| {
            (
                name.to_owned(),
                Tensor::zeros(datum_type, dims.to_vec()).unwrap(),
            )
        };
        let check = |outputs| check_outputs(&signature, &bindings, outputs).map(drop);
        let (y, z) = (
            zeros("y", DatumType::F32, &[3, 2]),
            zeros("z", DatumType::I64, &[9]),
        );

        assert_eq!(
            check(vec![y.clone(), z.clone()]),
            Ok(()),
            "`k` may be any size"
        );
        assert_eq!(
            check(vec![y.clone()]),
            Err("expected 2 outputs, found 1".into())
        );
        for wrong in [
            zeros("y", DatumType::F32, &[4, 2]),
            zeros("y", DatumType::F64, &[3, 2]),
            zeros("y", DatumType::F32, &[3, 2, 1]),
            zeros("x", DatumType::F32, &[3, 2]),
        ] {
            let error = check(vec![wrong, z.clone()]).unwrap_err();
            assert!(
                error.starts_with("expected output y: f32[N, 2], found "),
                "{error}"
            );
        }
    }
}
