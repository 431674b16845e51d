//! Losses.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{BinaryOp, ReduceOp, UnaryOp};
use tensorlet_tensor::DatumType;
use tract_onnx::prelude::TDim;

use super::context::Context;
use super::registry::{Entry, Importer};
use crate::graph::ValueId;

pub(super) const OPERATORS: &[Entry] = &[
    (
        "NegativeLogLikelihoodLoss",
        Importer::Function(negative_log_likelihood),
    ),
    (
        "SoftmaxCrossEntropyLoss",
        Importer::Function(softmax_cross_entropy),
    ),
];

fn negative_log_likelihood(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let y = loss(node, x)?;
    node.output(0, y)
}

fn softmax_cross_entropy(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let (datum_type, dims) = (node.datum_type(x), node.dims(x));
    let kernel = Kernel::Softmax { axis: 1, log: true };
    let logarithms = node.kernel(kernel, &[x], datum_type, dims)?;
    let y = loss(node, logarithms)?;
    node.output(0, y)?;
    if node.outputs() > 1 {
        node.output(1, logarithms)?;
    }
    Some(())
}

/// Minus the logarithm at each target, weighted by its class. Targets to be ignored weigh nothing.
fn loss(node: &mut Context<'_, '_>, logarithms: ValueId) -> Option<ValueId> {
    let mut target = node.input(1)?;
    let ignored = match node.int("ignore_index") {
        Some(index) => {
            let datum_type = node.datum_type(target);
            let index = node.scalar(index as f64, datum_type)?;
            let ignored = node.compare(BinaryOp::Equal, target, index)?;
            let zero = node.scalar(0.0, datum_type)?;
            target = node.select(ignored, zero, target)?;
            Some(ignored)
        }
        None => None,
    };
    let dims = node.dims(target);
    let mut index_dims = dims.clone();
    index_dims.insert(1, TDim::from(1));
    let indices = node.reshape(target, index_dims)?;
    let found = super::gathers::elements(node, logarithms, indices, 1)?;
    let found = node.reshape(found, dims.clone())?;
    let mut losses = node.unary(UnaryOp::Neg, found)?;
    let mut weights = match node.optional(2)? {
        Some(table) => Some(super::gathers::slices(node, table, target, 0)?),
        None => None,
    };
    if let Some(ignored) = ignored {
        let zero = node.scalar(0.0, DatumType::F32)?;
        let others = match weights {
            Some(weights) => weights,
            None => node.scalar(1.0, DatumType::F32)?,
        };
        weights = Some(node.select(ignored, zero, others)?);
    }
    if let Some(weights) = weights {
        losses = node.binary(BinaryOp::Mul, losses, weights)?;
    }
    match (node.text_or("reduction", "mean")?, weights) {
        ("none", _) => Some(losses),
        ("sum", _) => total(node, ReduceOp::Sum, losses),
        ("mean", None) => total(node, ReduceOp::Mean, losses),
        ("mean", Some(weights)) => {
            let sum = total(node, ReduceOp::Sum, losses)?;
            let weight = total(node, ReduceOp::Sum, weights)?;
            node.binary(BinaryOp::Div, sum, weight)
        }
        _ => None,
    }
}

fn total(node: &mut Context<'_, '_>, op: ReduceOp, x: ValueId) -> Option<ValueId> {
    let axes: Vec<usize> = (0..node.rank(x)).collect();
    let sum = node.reduce(op, x, &axes)?;
    node.reshape(sum, vec![])
}
