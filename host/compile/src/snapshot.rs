//! Pre-initialises a predictor or an answerer: runs its `prepare` on a plan or a `model.toml`, and keeps the memory that it leaves.
//!
//! ```text
//! predictor ── instrument ──► component whose memory can be read
//!   first instance:   prepare(plan, segments, none)      ─► which allocations survive
//!   second instance:  prepare(plan, segments, survivors) ─► memory: survivors side by side, then scratch
//!   snapshot ─► predictor with that memory ── cut the scratch part off ──► component
//! ```
//!
//! An answerer, whose memory is small, is prepared once. What is instrumented is the same for every model, so its compiled form comes from
//! the engine's cache after the first time.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use tensorlet_runtime::Engine;
use wasmtime::component::{
    Component, ComponentNamedList, ComponentType, Instance, Lift, Linker, Lower, TypedFunc,
    WasmList,
};
use wasmtime::{ResourceLimiter, Store};
use wasmtime_wizer::{ComponentContext, ComponentInstanceState, Wizer};

use crate::build::Stage;
use crate::error::{CompileError, CompileErrorKind};
use crate::trim;

/// The export that is run, and that the resulting component does not have.
const PREPARE: &str = "prepare";

/// What the core module calls it.
const CORE_PREPARE: &str = "Prepare";

/// The core module's functions that nothing calls after a snapshot.
pub(crate) const DEAD_CORE_EXPORTS: [&str; 2] = [CORE_PREPARE, "cabi_post_prepare"];

/// Returns the predictor with the memory that `prepare` leaves, given a plan and those of its segments. The functions that the compiler writes for the plan will be at
/// `first_tile` of the predictor's table, and are appended later.
///
/// # Errors
/// If the predictor is not one, refuses the plan, or runs out of memory.
pub(crate) fn predictor(
    engine: &Engine,
    predictor: &[u8],
    (plan, segments): (&[u8], &[Vec<u8>]),
    first_tile: u32,
    progress: &mut dyn FnMut(Stage),
) -> Result<Vec<u8>, CompileError> {
    progress(Stage::CompilePredictor);
    let predictor = PREDICTOR.rename_prepare(predictor)?;
    let instrumented = Instrumented::new(engine, &predictor, PREDICTOR)?;

    progress(Stage::Prepare);
    let params: PlanParams<'_> = (plan, segments, None, first_tile);
    let (_, lifetimes) = instrumented.prepare::<_, Vec<u8>>(engine, params)?;
    progress(Stage::Place);
    let params: PlanParams<'_> = (plan, segments, Some(&lifetimes), first_tile);
    let (prepared, keep_bytes) = instrumented.prepare::<_, Vec<u8>>(engine, params)?;

    progress(Stage::Snapshot);
    let keep_bytes = keep_bytes
        .as_slice()
        .try_into()
        .map(u32::from_le_bytes)
        .map_err(|_| {
            CompileError::new(
                CompileErrorKind::Predictor,
                "expected the predictor to say how much memory to keep",
            )
        })?;
    let component = instrumented.snapshot(prepared)?;
    trim::trim_memory(component, u64::from(keep_bytes))
        .map_err(|reason| CompileError::new(CompileErrorKind::Predictor, reason))
}

/// Returns the answerer with the memory that `prepare` leaves, given a `model.toml` and the labels that it names.
///
/// # Errors
/// If the answerer is not one, or refuses them.
pub(crate) fn answerer(
    engine: &Engine,
    answerer: &[u8],
    model_toml: &str,
    labels: Option<&str>,
) -> Result<Vec<u8>, CompileError> {
    let answerer = ANSWERER.rename_prepare(answerer)?;
    let instrumented = Instrumented::new(engine, &answerer, ANSWERER)?;
    let params: AnswererParams<'_> = (model_toml, labels);
    let (prepared, ()) = instrumented.prepare(engine, params)?;
    instrumented.snapshot(prepared)
}

/// What `prepare` of a predictor takes: the plan, those of its segments, which allocations survive, and where the compiler's functions will be.
type PlanParams<'a> = (&'a [u8], &'a [Vec<u8>], Option<&'a [u8]>, u32);

/// What `prepare` of an answerer takes: the `model.toml` and the labels.
type AnswererParams<'a> = (&'a str, Option<&'a str>);

/// What is prepared, and what errors say of it.
#[derive(Clone, Copy)]
struct Subject {
    /// What it is.
    name: &'static str,
    /// What it may refuse.
    takes: &'static str,
    refused: CompileErrorKind,
}

const PREDICTOR: Subject = Subject {
    name: "predictor",
    takes: "model",
    refused: CompileErrorKind::Unsupported,
};

const ANSWERER: Subject = Subject {
    name: "answerer",
    takes: "model.toml",
    refused: CompileErrorKind::Answerer,
};

impl Subject {
    /// Has the core module call `prepare` otherwise, so that it survives what removes the export.
    fn rename_prepare(self, component: &[u8]) -> Result<Vec<u8>, CompileError> {
        trim::rename_core_export(component.to_vec(), PREPARE, CORE_PREPARE).map_err(|reason| {
            let message = format!("the {}: {reason}", self.name);
            CompileError::new(CompileErrorKind::Predictor, message)
        })
    }

    fn refused(self, reason: &str) -> CompileError {
        let message = format!("the {} refused the {}: {reason}", self.name, self.takes);
        CompileError::new(self.refused, message)
    }

    fn failed(self, error: wasmtime::Error) -> CompileError {
        let message = format!("the {} failed while it was prepared", self.name);
        let source = error.into_boxed_dyn_error();
        CompileError::because(CompileErrorKind::Predictor, message, source)
    }
}

/// A component whose memory can be read.
struct Instrumented<'a> {
    subject: Subject,
    wizer: Wizer,
    context: ComponentContext<'a>,
    component: Component,
}

impl<'a> Instrumented<'a> {
    fn new(engine: &Engine, bytes: &'a [u8], subject: Subject) -> Result<Self, CompileError> {
        let mut wizer = Wizer::new();
        wizer.init_func(PREPARE);
        let (context, instrumented) = wizer
            .instrument_component(bytes)
            .map_err(|error| subject.failed(error))?;
        let component = engine.component(&instrumented).map_err(|error| {
            let message = format!("the {} does not compile", subject.name);
            CompileError::because(CompileErrorKind::Predictor, message, error)
        })?;
        Ok(Self {
            subject,
            wizer,
            context,
            component,
        })
    }

    /// Runs `prepare` in a fresh instance; returns that, and the answer.
    fn prepare<P, R>(&self, engine: &Engine, params: P) -> Result<(Prepared, R), CompileError>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: ComponentType + Lift + Send + Sync + 'static,
    {
        let failed = |error| self.subject.failed(error);
        let mut store = Store::new(engine.raw(), Limiter::default());
        store.limiter(|limiter| limiter);
        store.set_hostcall_fuel(usize::MAX);
        store.set_epoch_deadline(u64::MAX / 2);
        let mut linker = Linker::new(engine.raw());
        // Who is prepared asks for nothing.
        linker
            .define_unknown_imports_as_traps(&self.component)
            .map_err(failed)?;
        let instance = linker
            .instantiate(&mut store, &self.component)
            .map_err(failed)?;
        let prepare: TypedFunc<P, (Result<R, String>,)> = instance
            .get_typed_func(&mut store, PREPARE)
            .map_err(failed)?;

        match prepare.call(&mut store, params) {
            Ok((Ok(answer),)) => Ok((Prepared { store, instance }, answer)),
            Ok((Err(reason),)) => Err(self.subject.refused(&reason)),
            Err(error) if store.data().refused => {
                let message = "expected a model that fits in a component's 4 GiB while it is prepared, found a larger one";
                Err(CompileError::because(
                    CompileErrorKind::TooLarge,
                    message,
                    error.into_boxed_dyn_error(),
                ))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Returns the component with the memory of an instance.
    fn snapshot(&self, mut prepared: Prepared) -> Result<Vec<u8>, CompileError> {
        now_or_never(self.wizer.snapshot_component(&self.context, &mut prepared))
            .map_err(|error| self.subject.failed(error))
    }
}

/// An instance in which `prepare` has run.
struct Prepared {
    store: Store<Limiter>,
    instance: Instance,
}

impl Prepared {
    fn call<R: 'static>(&mut self, instance: &str, function: &str) -> R
    where
        (R,): ComponentNamedList + Lift,
    {
        let (_, instance) = self
            .instance
            .get_export(&mut self.store, None, instance)
            .expect("instrumenting added the interface");
        let (_, function) = self
            .instance
            .get_export(&mut self.store, Some(&instance), function)
            .expect("instrumenting added the function");
        let function = self
            .instance
            .get_typed_func::<(), (R,)>(&mut self.store, function)
            .expect("instrumenting gave the function this type");
        let (result,) = function
            .call(&mut self.store, ())
            .expect("reading a global or a memory does not trap");
        result
    }
}

/// Reads the state of an instance through the functions that instrumenting added.
impl ComponentInstanceState for Prepared {
    async fn call_func_ret_list_u8(
        &mut self,
        instance: &str,
        func: &str,
        contents: impl FnOnce(&[u8]) + Send,
    ) {
        let list: WasmList<u8> = self.call(instance, func);
        contents(list.as_le_slice(&self.store));
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.call(instance, func)
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.call(instance, func)
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        self.call::<f32>(instance, func).to_bits()
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        self.call::<f64>(instance, func).to_bits()
    }
}

/// Remembers whether memory was refused. Two pages are spared for reading the memory.
#[derive(Default)]
struct Limiter {
    refused: bool,
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        _: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let maximum = maximum.unwrap_or(usize::MAX).min((4 << 30) - (4 << 16));
        self.refused |= desired > maximum;
        Ok(desired <= maximum)
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

/// Runs a future that never waits.
fn now_or_never<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("reading an instance's state does not wait"),
    }
}
