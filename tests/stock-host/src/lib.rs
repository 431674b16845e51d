//! A host of components that is Wasmtime and nothing else.
//!
//! It knows the WIT package `tensorlet:model`, and depends on no crate of Tensorlet: what runs here runs on any host of components. The tests make
//! components, and compare what they answer here with what ONNX Runtime answers.

#![forbid(unsafe_code)]

use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Result, Store};

mod bindings {
    #![allow(
        missing_docs,
        reason = "generated: the WIT package says what everything is"
    )]

    wasmtime::component::bindgen!({ path: "../../wit", world: "model" });
}

pub use bindings::exports::tensorlet::model::predict::{Description, PredictError};
pub use bindings::exports::tensorlet::model::tensor::{DatumType, NamedTensor, Tensor};

mod answering {
    #![allow(
        missing_docs,
        reason = "generated: the WIT package says what everything is"
    )]

    wasmtime::component::bindgen!({
        inline: "
            package tests:stock-host;
            world answering { export tensorlet:model/answer@0.1.0; }
        ",
        path: "../../wit",
    });
}

pub use answering::exports::tensorlet::model::answer::{AnswerError, Verdict};

/// Compiles a component that answers for files, instantiates it with nothing to import, and has it answer for one; the inner error is its own.
///
/// # Errors
/// If Wasmtime refuses it, or it traps.
pub fn answer(
    config: &Config,
    component: &[u8],
    file: &[u8],
) -> Result<Result<Verdict, AnswerError>> {
    let engine = Engine::new(config)?;
    let component = Component::new(&engine, component)?;
    let mut store = Store::new(&engine, ());
    let linker = Linker::new(&engine);
    let answering = answering::Answering::instantiate(&mut store, &component, &linker)?;
    let answer = answering.tensorlet_model_answer();
    answer.call_answer(&mut store, file)
}

/// An instance of a component.
pub struct Instance {
    store: Store<()>,
    model: bindings::Model,
}

impl Instance {
    /// Compiles a component and instantiates it with nothing to import.
    ///
    /// # Errors
    /// If Wasmtime refuses it.
    pub fn new(config: &Config, component: &[u8]) -> Result<Self> {
        let engine = Engine::new(config)?;
        let component = Component::new(&engine, component)?;
        let mut store = Store::new(&engine, ());
        let model = bindings::Model::instantiate(&mut store, &component, &Linker::new(&engine))?;
        Ok(Self { store, model })
    }

    /// Asks the component what it is.
    ///
    /// # Errors
    /// If it traps.
    pub fn describe(&mut self) -> Result<Description> {
        let predict = self.model.tensorlet_model_predict();
        predict.call_describe(&mut self.store)
    }

    /// Computes the outputs; the inner error is the component's own.
    ///
    /// # Errors
    /// If it traps.
    pub fn predict(
        &mut self,
        inputs: &[NamedTensor],
    ) -> Result<Result<Vec<NamedTensor>, PredictError>> {
        let predict = self.model.tensorlet_model_predict();
        predict.call_predict(&mut self.store, inputs)
    }
}

/// Returns the names of what a component imports.
///
/// # Errors
/// If it is none.
pub fn imports(component: &[u8]) -> Result<Vec<String>> {
    let engine = Engine::default();
    let component = Component::new(&engine, component)?;
    let component_type = component.component_type();
    let imports = component_type.imports(&engine);
    Ok(imports.map(|(name, _)| name.to_owned()).collect())
}
