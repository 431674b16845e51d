//! Changes the graph of a model until the type of every value is known, with the symbols of its inputs.
//!
//! ONNX Runtime learns shapes while it computes; we and tract want them before, as expressions over the symbols. Models
//! as exporters write them compute shapes by ways that are hard to follow. The passes find out what these shapes
//! are and write them down plainly; nothing else of a model changes.
//!
//! ```text
//! check ─► sort ─► ┌ facts ─► fold_shapes ─► fold_constants ─► inline_if ─► … ┐ ─► Analysed, for import
//!                  └──────────────── again, while anything changes ───────────┘ ─► accept ─► Rewritten, for tract
//! ```
//!
//! - `check` refuses what contradicts itself, and operators that are not supported.
//! - `facts` tells types, shapes and small integers as far as they are known; `evaluate` and `value` compute the
//!   integers, `chain` writes them as a graph again.
//! - `fold_shapes`, `fold_constants`, `inline_if` and, for tract, `separate_integers` each do what their name says.
//! - `quirks` writes out what tract reads in another way than ONNX means it.
//! - `specs` tells what a model takes and gives, by the facts.
//! - `accept` tries a model with tract and reads the signature off it.
//! - `guard` turns tract's panics into errors, and `optimise` its endless loops.

mod accept;
mod chain;
mod check;
mod error;
pub(crate) mod evaluate;
pub(crate) mod facts;
mod fold_constants;
mod fold_shapes;
pub(crate) mod graph;
pub(crate) mod guard;
mod inline_if;
mod integers;
mod optimise;
mod quirks;
mod specs;
pub(crate) mod tensors;
#[cfg(test)]
pub(crate) mod text;
pub(crate) mod value;

use tensorlet_tensor::TensorSpec;
use tract_onnx::pb::ModelProto;

use check::Engine;
pub use error::{RewriteError, RewriteErrorKind};
use facts::Facts;

/// The most times that the passes are repeated. Each time, one level of `If`s and what depends on it goes.
const MAX_ROUNDS: usize = 64;

/// A model whose types are known as far as they can be.
pub(crate) struct Analysed {
    /// The model. Each node has a name of its own.
    pub(crate) model: ModelProto,
    /// What is known about its values.
    pub(crate) facts: Facts,
    /// What it takes, in the order of the graph's inputs.
    pub(crate) inputs: Vec<TensorSpec>,
    /// What it gives, in the order of the graph's outputs, if that could be told without tract. A dim is as in [`Rewritten`].
    pub(crate) outputs: Option<Vec<TensorSpec>>,
}

/// A model that tract computes, and its signature.
#[derive(Clone, Debug)]
pub struct Rewritten {
    /// The model, to be given to tract as it is.
    pub model: ModelProto,
    /// What it takes, in the order of the graph's inputs.
    pub inputs: Vec<TensorSpec>,
    /// What it gives, in the order of the graph's outputs. A dim is a number, a symbol of the inputs, an expression
    /// over these as tract writes it, or a name of its own for a size that only the data decides.
    pub outputs: Vec<TensorSpec>,
}

/// Rewrites `model` until the types of its values are known with the symbolic dims of its inputs, for [`import`](crate::import).
///
/// Inputs are as [`rewrite`] wants them.
///
/// # Errors
/// If the graph contradicts itself, an operator or opset is not supported, or a constant is too large. Whether the nodes that no
/// kernel computes can be computed by tract is not known yet: [`rewrite`] tells, given these alone.
pub(crate) fn analyse(mut model: ModelProto) -> Result<Analysed, RewriteError> {
    check::check(&model, Engine::Any)?;
    prepare(&mut model)?;
    repeat_passes(&mut model, Engine::Any)?;
    graph::name_nodes(model.graph.get_or_insert_default());
    let facts = Facts::of(&model)?;
    Ok(Analysed {
        inputs: specs::inputs(&model, &facts)?,
        outputs: specs::outputs(&model, &facts),
        model,
        facts,
    })
}

/// Rewrites `model` until tract can type and optimise it with the symbolic dims of its inputs.
///
/// Data is inside of the model, and each dim of an input is a number or a symbol, which stands for a size of at
/// least 1. An input that is also an initializer is that constant.
///
/// # Errors
/// If the graph contradicts itself, an operator or opset is not supported, or tract cannot type the result.
pub fn rewrite(mut model: ModelProto) -> Result<Rewritten, RewriteError> {
    check::check(&model, Engine::Tract)?;
    prepare(&mut model)?;
    repeat_passes(&mut model, Engine::Tract)?;
    let facts = Facts::of(&model)?;
    let opset = graph::opset(&model);
    let graph = model.graph.get_or_insert_default();
    quirks::check_resizes(graph, &facts, opset)?;
    graph::name_nodes(graph);
    let accepted = accept::accept(model)?;
    Ok(Rewritten {
        model: accepted.model,
        inputs: accepted.inputs,
        outputs: accepted.outputs,
    })
}

/// Brings a model into the form that the passes expect: sorted, and inputs that are initializers are only these.
fn prepare(model: &mut ModelProto) -> Result<(), RewriteError> {
    model.training_info.clear();
    let graph = model.graph.get_or_insert_default();
    let known = graph.initializer.iter().map(|tensor| tensor.name.clone());
    let known: std::collections::HashSet<String> = known.collect();
    graph.input.retain(|input| !known.contains(&input.name));
    graph::sort_all(graph)?;
    graph::prune(graph);
    quirks::write_fill_values(graph);
    quirks::copy_captured_outputs(graph);
    Ok(())
}

/// Runs the passes until they change nothing any more.
fn repeat_passes(model: &mut ModelProto, engine: Engine) -> Result<(), RewriteError> {
    for _ in 0..MAX_ROUNDS {
        if !rewrite_once(model, engine)? {
            break;
        }
    }
    Ok(())
}

/// Runs each pass once; returns whether any changed the model.
fn rewrite_once(model: &mut ModelProto, engine: Engine) -> Result<bool, RewriteError> {
    let for_tract = engine == Engine::Tract;
    let opset = graph::opset(model);
    let facts = Facts::of(model)?;
    let mut changed = false;
    if let Some(graph) = &mut model.graph {
        if for_tract {
            changed |= quirks::write_scales(graph, &facts, opset);
            changed |= quirks::write_initial_states(graph, &facts);
        }
        changed |= fold_shapes::fold_shapes(graph, &facts, opset);
        if for_tract {
            changed |= integers::separate_integers(graph, &facts);
        }
        graph::sort(graph)?;
    }
    changed |= fold_constants::fold_constants(model, &facts);
    if let Some(graph) = &mut model.graph {
        changed |= inline_if::inline_if(graph);
        graph::prune(graph);
    }
    Ok(changed)
}

#[cfg(test)]
pub(crate) mod tests;
