//! A predictor that is given its plan at run time, without a snapshot.
//!
//! For those who try many plans once, such as tests: the predictor is compiled once and each plan costs an
//! instance, while a component of its own costs compiling the predictor again.

use std::sync::Arc;

use tensorlet_plan::Description;
use wasmtime::component::ComponentExportIndex;

use crate::config::Limits;
use crate::engine::Engine;
use crate::error::{LoadError, LoadErrorKind, PredictError};
use crate::instance::Instance;
use crate::model::ComponentExports;

/// A predictor, compiled, that holds no plan.
pub struct Predictor {
    engine: Engine,
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
        let exports = ComponentExports::find(engine, &component)?;
        let Some((_, prepare)) = component.get_export(None, "prepare") else {
            let message = "expected a predictor, which exports `prepare`, found another component";
            return Err(LoadError::new(LoadErrorKind::NotAModel, message));
        };
        Ok(Self {
            engine: engine.clone(),
            exports,
            prepare,
        })
    }

    /// Makes an instance that holds the plan.
    ///
    /// # Errors
    /// If the plan is refused, or a limit is reached.
    pub fn load(
        &self,
        plan: &[u8],
        limits: &Limits,
    ) -> Result<(Instance, Description), PredictError> {
        let mut instance = Instance::new(&self.engine, &self.exports, Arc::default(), limits)?;
        instance.prepare(&self.prepare, plan)?;
        let description = instance.describe(limits.describe_timeout)?;
        instance.set_signature(Arc::new(description.signature.clone()));
        Ok((instance, description))
    }
}
