//! A component that is known to be a model.

use std::sync::{Arc, Mutex, PoisonError};

use tensorlet_plan::Description;
use tensorlet_tensor::{NamedTensor, Signature};
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker};

use crate::config::{CallOptions, Limits, LoadOptions, Reuse};
use crate::engine::Engine;
use crate::error::{LoadError, LoadErrorKind, PredictError, PredictErrorKind};
use crate::instance::{Instance, StoreState};
use crate::offload::{self, OffloadCounts, Segments};
use crate::wit::{OFFLOAD_INTERFACE, PREDICT_INTERFACE};

/// The most idle instances that a model keeps.
const MAX_IDLE_INSTANCES: usize = 16;

/// A component that is known to be a model. Cheap to clone.
#[derive(Clone)]
pub struct Model {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Engine,
    exports: ComponentExports,
    description: Description,
    signature: Arc<Signature>,
    options: LoadOptions,
    /// Instances between two calls, the last used last.
    idle: Mutex<Vec<Instance>>,
}

/// A component with the exports of a model, ready to instantiate.
#[derive(Clone)]
pub(crate) struct ComponentExports {
    /// What it leaves to the host; `None` if the host computes nothing or the component does not ask.
    pub(crate) segments: Option<Arc<Segments>>,
    pub(crate) pre: InstancePre<StoreState>,
    pub(crate) predict: ComponentExportIndex,
    pub(crate) describe: ComponentExportIndex,
}

impl Model {
    /// Checks that a component is a model, and asks it what it is.
    pub(crate) fn new(
        engine: &Engine,
        component: &Component,
        options: LoadOptions,
    ) -> Result<Self, LoadError> {
        let exports = ComponentExports::find(engine, component, &options.limits)?;
        let mut instance = Instance::new(engine, &exports, Arc::default(), &options.limits)
            .map_err(|error| describe_error("the component cannot be instantiated", error))?;
        let description = instance
            .describe(options.limits.describe_timeout)
            .map_err(|error| describe_error("the component cannot say what it is", error))?;
        drop(instance);

        let signature = Arc::new(description.signature.clone());
        let shared = Shared {
            engine: engine.clone(),
            exports,
            description,
            signature,
            options,
            idle: Mutex::default(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Returns what the model says about itself.
    pub fn description(&self) -> &Description {
        &self.shared.description
    }

    /// Returns what its instances left to the host so far; `None` if the host computes nothing, or the component does not ask it to.
    pub fn offloaded(&self) -> Option<OffloadCounts> {
        let segments = self.shared.exports.segments.as_ref();
        segments.map(|segments| segments.counts())
    }

    /// Makes a fresh instance.
    ///
    /// # Errors
    /// If the engine's limit of instances is reached, or the model's memory limit is less than its image.
    pub fn instantiate(&self) -> Result<Instance, PredictError> {
        let Shared {
            engine,
            exports,
            signature,
            options,
            ..
        } = &*self.shared;
        Instance::new(engine, exports, Arc::clone(signature), &options.limits)
    }

    /// Computes the outputs on an idle instance or a fresh one, as [`Reuse`] says.
    ///
    /// # Errors
    /// As [`Instance::predict`] and [`Model::instantiate`].
    pub fn predict(
        &self,
        inputs: &[NamedTensor],
        options: &CallOptions,
    ) -> Result<Vec<NamedTensor>, PredictError> {
        let idle = self.idle(|idle| idle.pop());
        let mut instance = match idle {
            Some(instance) => instance,
            None => self.instantiate()?,
        };
        let result = instance.predict(inputs, options);
        if !instance.is_broken() && self.may_reuse(&instance) {
            let surplus = self.idle(|idle| match idle.len() < MAX_IDLE_INSTANCES {
                true => {
                    idle.push(instance);
                    None
                }
                false => Some(instance),
            });
            drop(surplus);
        }
        result
    }

    fn may_reuse(&self, instance: &Instance) -> bool {
        match self.shared.options.reuse {
            Reuse::Fresh => false,
            Reuse::Times(times) => instance.calls() < times,
            Reuse::Unlimited => true,
        }
    }

    fn idle<R>(&self, work: impl FnOnce(&mut Vec<Instance>) -> R) -> R {
        // A vector of whole instances is valid at any time, also after a panic elsewhere.
        work(
            &mut self
                .shared
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

impl ComponentExports {
    pub(crate) fn find(
        engine: &Engine,
        component: &Component,
        limits: &Limits,
    ) -> Result<Self, LoadError> {
        let not_a_model = |found: String| {
            let message = format!(
                "expected a component that exports {PREDICT_INTERFACE} and imports nothing or {OFFLOAD_INTERFACE}, found {found}"
            );
            LoadError::new(LoadErrorKind::NotAModel, message)
        };
        let component_type = component.component_type();
        let mut asks_host = false;
        for (import, _) in component_type.imports(engine.raw()) {
            if import != OFFLOAD_INTERFACE {
                return Err(not_a_model(format!("an import of `{import}`")));
            }
            asks_host = true;
        }
        let Some((_, interface)) = component.get_export(None, PREDICT_INTERFACE) else {
            let exports: Vec<String> = component_type
                .exports(engine.raw())
                .map(|(name, _)| format!("`{name}`"))
                .collect();
            let exports = if exports.is_empty() {
                "none".into()
            } else {
                exports.join(", ")
            };
            return Err(not_a_model(format!("exports: {exports}")));
        };
        let function = |name: &str| {
            let export = component
                .get_export(Some(&interface), name)
                .map(|(_, index)| index);
            export.ok_or_else(|| not_a_model(format!("no function `{name}` in it")))
        };
        let (predict, describe) = (function("predict")?, function("describe")?);
        let unlinked =
            |error: wasmtime::Error| not_a_model(format!("one that does not link: {error:#}"));
        let mut linker = Linker::new(engine.raw());
        if asks_host {
            offload::add_to_linker(&mut linker).map_err(unlinked)?;
        }
        let pre = linker.instantiate_pre(component).map_err(unlinked)?;
        Ok(Self {
            segments: segments(engine, component, limits).filter(|_| asks_host),
            pre,
            predict,
            describe,
        })
    }
}

/// Makes room for what a component leaves to the host, if the host computes anything.
pub(crate) fn segments(
    engine: &Engine,
    component: &Component,
    limits: &Limits,
) -> Option<Arc<Segments>> {
    let accelerator = Arc::clone(engine.accelerator()?);
    let segments = Segments::new(accelerator, component.clone(), limits.memory_bytes);
    Some(Arc::new(segments))
}

fn describe_error(message: &str, error: PredictError) -> LoadError {
    let kind = match error.kind() {
        PredictErrorKind::MemoryLimit
        | PredictErrorKind::DeadlineExceeded
        | PredictErrorKind::TooManyInstances => LoadErrorKind::Limit,
        PredictErrorKind::Host => LoadErrorKind::Engine,
        _ => LoadErrorKind::NotAModel,
    };
    LoadError::because(kind, message, error)
}
