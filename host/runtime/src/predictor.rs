//! A predictor that is given its plan at run time, without a snapshot.
//!
//! For those who try many plans once, such as tests: the predictor is compiled once and each plan costs an
//! instance, while a component of its own costs compiling the predictor again.

use std::sync::Arc;

use tensorlet_plan::wire::InvalidPlanOrSize;
use tensorlet_plan::{Description, Plan};
use wasmtime::component::{Component, ComponentExportIndex};

use crate::config::{Limits, LoadOptions};
use crate::engine::Engine;
use crate::error::{LoadError, LoadErrorKind, PredictError, PredictErrorKind};
use crate::instance::Instance;
use crate::model::{ComponentExports, segments};

/// A predictor, compiled, that holds no plan.
pub struct Predictor {
    engine: Engine,
    component: Component,
    exports: ComponentExports,
    prepare: ComponentExportIndex,
}

impl Predictor {
    /// Compiles a predictor or takes it from the cache.
    ///
    /// # Errors
    /// If the bytes are no component, or not one of a predictor.
    pub fn new(engine: &Engine, bytes: &[u8]) -> Result<Self, LoadError> {
        let component = engine.component(bytes)?;
        let exports = ComponentExports::find(engine, &component, &LoadOptions::default())?;
        let Some((_, prepare)) = component.get_export(None, "prepare") else {
            let message = "expected a predictor, which exports `prepare`, found another component";
            return Err(LoadError::new(LoadErrorKind::NotAModel, message));
        };
        Ok(Self {
            engine: engine.clone(),
            component,
            exports,
            prepare,
        })
    }

    /// Makes an instance that holds the plan. If the engine has an accelerator, the plan's segments are offloaded.
    ///
    /// # Errors
    /// If the plan is refused, or a limit is reached.
    pub fn load(
        &self,
        plan: &Plan<'_>,
        limits: &Limits,
    ) -> Result<(Instance, Description), PredictError> {
        // Segments belong to a component, and here each instance holds another plan.
        let exports = ComponentExports {
            segments: segments(&self.engine, &self.component, limits),
            ..self.exports.clone()
        };
        let invalid = |error: InvalidPlanOrSize| {
            PredictError::new(PredictErrorKind::Failed, error.to_string())
        };
        let bytes = plan.write().map_err(invalid)?;
        let mut plans = vec![];
        if exports.segments.is_some() {
            let layout = plan.constant_layout();
            for segment in plan.segments() {
                let segment = plan.segment_plan(&segment, &layout);
                plans.push(segment.write_header().map_err(invalid)?);
            }
        }
        let mut instance = Instance::new(&self.engine, &exports, Arc::default(), limits)?;
        instance.prepare(&self.prepare, &bytes, &plans)?;
        let description = instance.describe(limits.describe_timeout)?;
        instance.set_signature(Arc::new(description.signature.clone()));
        Ok((instance, description))
    }
}
