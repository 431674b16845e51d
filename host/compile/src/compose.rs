//! Joins a predictor with what it imports and with what answers for it, to one component that imports nothing.
//!
//! ```text
//! (component
//!   (component $no-offload …)                                   declines everything
//!   (component $predictor …)                                    holds the model
//!   (component $answerer …)                                     holds what model.toml says, if it says something
//!   (instance $offload (instantiate $no-offload))
//!   (instance $model (instantiate $predictor (with offload $offload)))
//!   (export tensor $model) (export predict $model)
//!   (instance $answers (instantiate $answerer (with tensor $model) (with predict $model)))
//!   (export answer $answers))
//! ```
//!
//! All stand in it as they are, side by side, so that a host can cut them out and link an accelerator in place of `$no-offload`. [`http`] makes a
//! component that speaks HTTP of the same parts.

pub(crate) mod http;

use wasmparser::{Parser, Payload};

use crate::composer::{Composer, Instance};

/// What a predictor imports.
const OFFLOAD: &str = "tensorlet:model/offload@0.1.0";

/// The tensors that a model takes and gives.
const TENSOR: &str = "tensorlet:model/tensor@0.1.0";

/// What a predictor exports.
const PREDICT: &str = "tensorlet:model/predict@0.1.0";

/// What an answerer exports.
const ANSWER: &str = "tensorlet:model/answer@0.1.0";

/// The components that a model is made of.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub(crate) predictor: &'a [u8],
    pub(crate) no_offload: &'a [u8],
    /// What answers for the model, if it is declared how.
    pub(crate) answerer: Option<&'a [u8]>,
}

/// Returns the component that exports what its parts do and imports nothing.
///
/// # Errors
/// If a part is no component, or imports what the others do not export.
pub(crate) fn compose(parts: &Parts<'_>) -> Result<Vec<u8>, String> {
    let mut composed = Composer::default();
    let model = Model::instantiate(&mut composed, parts)?;
    composed.export(TENSOR, model.tensor);
    composed.export(PREDICT, model.predict);
    if let Some(answer) = model.answer {
        composed.export(ANSWER, answer);
    }
    Ok(composed.finish())
}

/// The interfaces of a model, within a component.
struct Model {
    tensor: Instance,
    predict: Instance,
    answer: Option<Instance>,
}

impl Model {
    /// Puts the parts into a component and instantiates them.
    fn instantiate(composed: &mut Composer, parts: &Parts<'_>) -> Result<Self, String> {
        let no_offload = composed.nest(parts.no_offload);
        let predictor = composed.nest(parts.predictor);
        let stub = composed.instantiate(no_offload, []);
        let offload = composed.alias(stub, OFFLOAD);
        let predictor = composed.instantiate(predictor, [(OFFLOAD, offload)]);
        let mut model = Self {
            tensor: composed.alias(predictor, TENSOR),
            predict: composed.alias(predictor, PREDICT),
            answer: None,
        };
        if let Some(bytes) = parts.answerer {
            let imports = model.plugs("answerer", bytes)?;
            let answerer = composed.nest(bytes);
            let answerer = composed.instantiate(answerer, imports);
            model.answer = Some(composed.alias(answerer, ANSWER));
        }
        Ok(model)
    }

    /// Returns the interface of this name.
    fn interface(&self, name: &str) -> Option<Instance> {
        match name {
            TENSOR => Some(self.tensor),
            PREDICT => Some(self.predict),
            ANSWER => self.answer,
            _ => None,
        }
    }

    /// Returns what a part imports, all of it from the model.
    fn plugs<'a>(
        &self,
        part: &str,
        component: &'a [u8],
    ) -> Result<Vec<(&'a str, Instance)>, String> {
        let plug = |name: &'a str| match self.interface(name) {
            Some(instance) => Ok((name, instance)),
            None => Err(format!(
                "the {part}: expected imports of {TENSOR} and {PREDICT} at most, found one of `{name}`"
            )),
        };
        imports(component)?.into_iter().map(plug).collect()
    }
}

/// Names what a component imports.
fn imports(component: &[u8]) -> Result<Vec<&str>, String> {
    let mut imports = vec![];
    let mut depth = 0usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(|error| error.to_string())? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    imports.push(import.map_err(|error| error.to_string())?.name.name);
                }
            }
            _ => {}
        }
    }
    Ok(imports)
}

#[cfg(test)]
mod tests;
