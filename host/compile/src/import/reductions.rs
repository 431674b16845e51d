//! Reductions over axes.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{Reduce, ReduceOp};
use tensorlet_tensor::DatumType;
use tract_onnx::prelude::TDim;

use super::context::Context;
use super::dims::{as_u32, axes};
use super::registry::{Entry, Importer};

pub(super) const OPERATORS: &[Entry] = &[
    ("ReduceSum", Importer::Reduce(ReduceOp::Sum)),
    ("ReduceMean", Importer::Reduce(ReduceOp::Mean)),
    ("ReduceMax", Importer::Reduce(ReduceOp::Max)),
    ("ReduceMin", Importer::Reduce(ReduceOp::Min)),
    ("ReduceProd", Importer::Reduce(ReduceOp::Product)),
    ("ReduceL1", Importer::Reduce(ReduceOp::L1)),
    ("ReduceL2", Importer::Reduce(ReduceOp::L2)),
    ("ReduceSumSquare", Importer::Reduce(ReduceOp::SumSquare)),
    ("ReduceLogSum", Importer::Reduce(ReduceOp::LogSum)),
    ("ReduceLogSumExp", Importer::Reduce(ReduceOp::LogSumExp)),
];

/// Imports a reduction. Axes are an attribute until opset 13 (`ReduceSum`) or 18, then an input; without any, all are meant,
/// unless `noop_with_empty_axes` says none.
pub(super) fn import(node: &mut Context<'_, '_>, op: ReduceOp) -> Option<()> {
    let x = node.input(0)?;
    let rank = node.rank(x);
    let named = node.axes("axes", 1)?.filter(|axes| !axes.is_empty());
    let reduced = match named {
        Some(named) => axes(&named, rank)?,
        None if node.flag("noop_with_empty_axes", false) => {
            return identity_of(node, op);
        }
        None => (0..rank).collect(),
    };
    let keeps = node.flag("keepdims", true);
    let dims = node.dims(x).into_iter().enumerate();
    let dims: Vec<TDim> = dims
        .filter_map(|(axis, dim)| match reduced.contains(&axis) {
            false => Some(dim),
            true => keeps.then(|| TDim::from(1)),
        })
        .collect();
    let datum_type = node.datum_type(x);
    // Small integers and bools have an order, which i32 keeps.
    let computed = match datum_type {
        DatumType::Bool | DatumType::U8 | DatumType::I8
            if matches!(op, ReduceOp::Max | ReduceOp::Min) =>
        {
            DatumType::I32
        }
        other => other,
    };
    let x = node.cast(x, computed)?;
    let axes = as_u32(&reduced);
    let y = node.kernel(Kernel::Reduce(Reduce { op, axes }), &[x], computed, dims)?;
    let y = node.cast(y, datum_type)?;
    node.output(0, y)
}

/// Reduces nothing: each element alone, which a sum leaves as it is.
fn identity_of(node: &mut Context<'_, '_>, op: ReduceOp) -> Option<()> {
    let x = node.input(0)?;
    let y = match op {
        ReduceOp::Sum | ReduceOp::Mean | ReduceOp::Max | ReduceOp::Min | ReduceOp::Product => x,
        _ => {
            let mut dims = node.dims(x);
            let kept = dims.clone();
            dims.push(TDim::from(1));
            let axis = dims.len() - 1;
            let x = node.reshape(x, dims)?;
            let y = node.reduce(op, x, &[axis])?;
            node.reshape(y, kept)?
        }
    };
    node.output(0, y)
}
