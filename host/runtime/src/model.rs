//! A component that is known to be a model.

use std::sync::{Arc, Mutex, PoisonError};

use tensorlet_plan::Description;
use tensorlet_tensor::{NamedTensor, Signature};
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker};

use crate::config::{CallOptions, Limits, LoadOptions, Reuse};
use crate::engine::Engine;
use crate::error::{LoadError, LoadErrorKind, PredictError, PredictErrorKind};
use crate::instance::{Instance, StoreState};
use crate::limits::MemoryGauge;
use crate::offload::{self, OffloadCounts, Segments};
use crate::shares::Account;
use crate::wit::{OFFLOAD_INTERFACE, PREDICT_INTERFACE};

/// The most idle instances that a model keeps.
pub const MAX_IDLE_INSTANCES: usize = 16;

/// A component that is known to be a model. Cheap to clone.
#[derive(Clone)]
pub struct Model {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Engine,
    exports: ComponentExports,
    image_bytes: u64,
    description: Description,
    signature: Arc<Signature>,
    options: LoadOptions,
    /// Instances between two calls, the last used last.
    idle: Mutex<Vec<Instance>>,
}

/// What a model takes of the host's memory.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ModelMemory {
    /// Its code and its weights as they were compiled, mapped once for all instances.
    pub image_bytes: u64,
    /// What its instances have taken beyond that.
    pub instance_bytes: u64,
    /// What the host keeps to compute for it.
    pub offload_bytes: u64,
}

impl ModelMemory {
    /// Returns all of it.
    pub fn total_bytes(&self) -> u64 {
        self.image_bytes + self.instance_bytes + self.offload_bytes
    }
}

/// How many instances a model has.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct PoolCounts {
    /// Those that wait for a call, and have answered one.
    pub warm: usize,
    /// All of them.
    pub alive: usize,
}

/// A component with the exports of a model, ready to instantiate.
#[derive(Clone)]
pub(crate) struct ComponentExports {
    /// What it leaves to the host; `None` if the host computes nothing or the component does not ask.
    pub(crate) segments: Option<Arc<Segments>>,
    /// What its instances take.
    pub(crate) gauge: MemoryGauge,
    /// What it has had of the processor; `None` if nobody counts.
    pub(crate) account: Option<Arc<Account>>,
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
        let exports = ComponentExports::find(engine, component, &options)?;
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
            image_bytes: image_bytes(component),
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

    /// Returns what the model takes of the host's memory. It is all that it has taken, whether or not it has been touched since.
    pub fn memory(&self) -> ModelMemory {
        let exports = &self.shared.exports;
        let segments = exports.segments.as_ref();
        ModelMemory {
            image_bytes: self.shared.image_bytes,
            instance_bytes: exports.gauge.grown_bytes(),
            offload_bytes: segments.map_or(0, |segments| segments.kept_bytes()),
        }
    }

    /// Returns how many instances there are.
    pub fn pool(&self) -> PoolCounts {
        PoolCounts {
            warm: self.idle(|idle| idle.len()),
            alive: self.shared.exports.gauge.instances(),
        }
    }

    /// Drops the instances that wait for a call, and what they have touched with them.
    pub fn trim(&self) {
        // Dropped when nobody waits for the lock.
        drop(self.idle(std::mem::take));
    }

    /// Makes so many instances answer a call each, and keeps them for [`Model::predict`] as far as [`Reuse`] allows.
    ///
    /// # Errors
    /// As [`Instance::predict`] and [`Model::instantiate`].
    pub fn warm_up(
        &self,
        instances: usize,
        inputs: &[NamedTensor],
        options: &CallOptions,
    ) -> Result<(), PredictError> {
        let mut warm = Vec::new();
        for _ in 0..instances.min(MAX_IDLE_INSTANCES) {
            let mut instance = self.instantiate()?;
            instance.predict(inputs, options)?;
            warm.push(instance);
        }
        for instance in warm {
            self.keep(instance);
        }
        Ok(())
    }

    /// Keeps an instance, if [`Reuse`] allows and there is room.
    fn keep(&self, instance: Instance) {
        if instance.is_broken() || !self.may_reuse(&instance) {
            return;
        }
        let surplus = self.idle(|idle| match idle.len() < MAX_IDLE_INSTANCES {
            true => {
                idle.push(instance);
                None
            }
            false => Some(instance),
        });
        drop(surplus);
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
        self.keep(instance);
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
        options: &LoadOptions,
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
            segments: segments(engine, component, &options.limits).filter(|_| asks_host),
            gauge: MemoryGauge::default(),
            account: engine.open_account(options.share),
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

/// Returns how many bytes a compiled component has in memory.
fn image_bytes(component: &Component) -> u64 {
    let range = component.image_range();
    range.end.addr().saturating_sub(range.start.addr()) as u64
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

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Description { name, version, .. } = self.description();
        write!(f, "Model({name} {version})")
    }
}
