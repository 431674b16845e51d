//! Which operators have an importer.

use std::collections::HashMap;
use std::sync::LazyLock;

use tensorlet_plan::kernel::{BinaryOp, ReduceOp, UnaryOp};
use tract_onnx::pb::NodeProto;

use super::context::Context;
use super::{
    activations, arithmetic, attention, casts, convolutions, einsum, gathers, joins, losses,
    matrices, normalisations, pads, pools, quantisation, ranks, recurrent, reductions, resize,
    shapes, slices,
};
use crate::rewrite::graph::is_own_domain;

/// How an operator is imported.
#[derive(Clone, Copy)]
pub(super) enum Importer {
    /// A function of one element, of the same name.
    Unary(UnaryOp),
    /// A function of two elements of one datum type.
    Binary(BinaryOp),
    /// A comparison of two elements.
    Compare(BinaryOp),
    /// A reduction.
    Reduce(ReduceOp),
    /// Anything else. `None` leaves the node to tract.
    Function(fn(&mut Context<'_, '_>) -> Option<()>),
}

/// An operator of ONNX's own, or with its domain: `com.microsoft.Gelu`.
pub(super) type Entry = (&'static str, Importer);

static OPERATORS: LazyLock<HashMap<&'static str, Importer>> = LazyLock::new(|| {
    let families: [&[Entry]; 20] = [
        activations::OPERATORS,
        arithmetic::OPERATORS,
        attention::OPERATORS,
        casts::OPERATORS,
        convolutions::OPERATORS,
        einsum::OPERATORS,
        gathers::OPERATORS,
        joins::OPERATORS,
        losses::OPERATORS,
        matrices::OPERATORS,
        normalisations::OPERATORS,
        pads::OPERATORS,
        pools::OPERATORS,
        quantisation::OPERATORS,
        ranks::OPERATORS,
        recurrent::OPERATORS,
        reductions::OPERATORS,
        resize::OPERATORS,
        shapes::OPERATORS,
        slices::OPERATORS,
    ];
    families.into_iter().flatten().copied().collect()
});

/// Returns how a node is imported, if its operator is known here.
pub(super) fn importer(node: &NodeProto) -> Option<Importer> {
    let operator = node.op_type.as_str();
    if is_own_domain(&node.domain) {
        return OPERATORS.get(operator).copied();
    }
    OPERATORS
        .get(format!("{}.{operator}", node.domain).as_str())
        .copied()
}

/// Reports whether the operator of a node is known here.
pub(crate) fn is_known(node: &NodeProto) -> bool {
    importer(node).is_some()
}

impl Importer {
    /// Adds the kernels of a node.
    pub(super) fn import(self, node: &mut Context<'_, '_>) -> Option<()> {
        match self {
            Self::Unary(op) => {
                let x = node.input(0)?;
                let y = node.unary(op, x)?;
                node.output(0, y)
            }
            Self::Binary(op) => {
                let (a, b) = (node.input(0)?, node.input(1)?);
                let y = node.binary(op, a, b)?;
                node.output(0, y)
            }
            Self::Compare(op) => {
                let (a, b) = (node.input(0)?, node.input(1)?);
                let y = node.compare(op, a, b)?;
                node.output(0, y)
            }
            Self::Reduce(op) => reductions::import(node, op),
            Self::Function(import) => import(node),
        }
    }
}
