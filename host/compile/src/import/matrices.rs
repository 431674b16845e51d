//! Products of matrices.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{BinaryOp, Epilogue, MatMul, MatMulRhs};
use tensorlet_tensor::DatumType;
use tract_onnx::prelude::TDim;

use super::activations::scale;
use super::builder::computed_type;
use super::context::Context;
use super::dims::broadcast;
use super::registry::{Entry, Importer};
use crate::graph::ValueId;

pub(super) const OPERATORS: &[Entry] = &[
    ("MatMul", Importer::Function(matmul)),
    ("Gemm", Importer::Function(gemm)),
    (
        "com.microsoft.FusedMatMul",
        Importer::Function(fused_matmul),
    ),
];

fn matmul(node: &mut Context<'_, '_>) -> Option<()> {
    let (a, b) = (node.input(0)?, weights(node, 1)?);
    let y = product(node, a, b, false, 1.0)?;
    node.output(0, y)
}

/// Returns an input as f32. The conversion of a constant of f16 is a node, so that a product can read it as it is stored.
pub(super) fn weights(node: &mut Context<'_, '_>, index: usize) -> Option<ValueId> {
    let weights = node.raw(index)?;
    let computed = computed_type(node.datum_type(weights));
    node.cast(weights, computed)
}

fn fused_matmul(node: &mut Context<'_, '_>) -> Option<()> {
    if node.flag("transBatchA", false) || node.flag("transBatchB", false) {
        return None;
    }
    let (mut a, b) = (node.input(0)?, weights(node, 1)?);
    if node.flag("transA", false) {
        a = swap_last(node, a)?;
    }
    let alpha = node.float_or("alpha", 1.0);
    let y = product(node, a, b, node.flag("transB", false), alpha)?;
    node.output(0, y)
}

/// Exchanges the last two axes.
pub(super) fn swap_last(node: &mut Context<'_, '_>, x: ValueId) -> Option<ValueId> {
    let rank = node.rank(x);
    let mut permutation: Vec<usize> = (0..rank).collect();
    permutation.swap(rank.checked_sub(2)?, rank - 1);
    node.transpose(x, &permutation)
}

/// Multiplies as NumPy does: a vector gets an axis for the product, and leading axes are broadcast.
pub(super) fn product(
    node: &mut Context<'_, '_>,
    a: ValueId,
    b: ValueId,
    transposed: bool,
    factor: f32,
) -> Option<ValueId> {
    let (is_row, is_column) = (node.rank(a) == 1, node.rank(b) == 1);
    let (a, b) = (matrix(node, a, 0)?, matrix(node, b, 1)?);
    let (a_dims, b_dims) = (node.dims(a), node.dims(b));
    let (a_outer, a_inner) = a_dims.split_at_checked(a_dims.len().checked_sub(2)?)?;
    let (b_outer, b_inner) = b_dims.split_at_checked(b_dims.len().checked_sub(2)?)?;
    let [depth, columns] = match (transposed, b_inner) {
        (true, [columns, depth]) | (false, [depth, columns]) => [depth, columns],
        _ => return None,
    };
    let differs = |other: &TDim| other != depth && other.as_i64().zip(depth.as_i64()).is_some();
    if differs(&a_inner[1]) {
        return None;
    }
    let outer = broadcast(a_outer, b_outer)?;
    // The right-hand side is one for all, or has an axis for each of the left-hand side's.
    let b = if b_outer.iter().all(TDim::is_one) {
        node.reshaped(b, b_inner.to_vec())?
    } else {
        let missing = vec![TDim::from(1); outer.len() - b_outer.len()];
        node.reshaped(b, [&missing, b_dims.as_slice()].concat())?
    };
    let a = {
        let missing = vec![TDim::from(1); outer.len() - a_outer.len()];
        let a = node.reshaped(a, [&missing, a_dims.as_slice()].concat())?;
        node.expand(a, [&outer, a_inner].concat())?
    };
    let kernel = Kernel::MatMul(MatMul {
        rhs: match transposed {
            true => MatMulRhs::Transposed,
            false => MatMulRhs::Plain,
        },
        scale: factor,
        epilogue: Epilogue::default(),
    });
    let rows = a_inner[0].clone();
    let dims = [outer.as_slice(), &[rows.clone(), columns.clone()]].concat();
    let y = node.kernel(kernel, &[a, b], DatumType::F32, dims)?;
    let mut dims = outer;
    dims.extend((!is_row).then_some(rows));
    dims.extend((!is_column).then(|| columns.clone()));
    node.reshaped(y, dims)
}

/// Gives a vector an axis of size 1.
fn matrix(node: &mut Context<'_, '_>, x: ValueId, axis: usize) -> Option<ValueId> {
    let mut dims = node.dims(x);
    if dims.len() != 1 {
        return Some(x);
    }
    dims.insert(axis, TDim::from(1));
    node.reshape(x, dims)
}

/// `alpha × A × B + beta × C`.
fn gemm(node: &mut Context<'_, '_>) -> Option<()> {
    let (mut a, b) = (node.input(0)?, weights(node, 1)?);
    if node.rank(a) != 2 || node.rank(b) != 2 {
        return None;
    }
    if node.flag("transA", false) {
        a = node.transpose(a, &[1, 0])?;
    }
    let (alpha, beta) = (node.float_or("alpha", 1.0), node.float_or("beta", 1.0));
    let transposed = node.flag("transB", false);
    let mut y = product(node, a, b, transposed, alpha)?;
    if node.has(2) && beta != 0.0 {
        let c = match node.floats(2).filter(|_| beta != 1.0) {
            Some(elements) => {
                let c = node.input(2)?;
                let dims = node.fixed(c)?;
                node.constant_f32(&dims, || elements.iter().map(|x| x * beta).collect())
            }
            None => {
                let c = node.input(2)?;
                scale(node, c, beta)?
            }
        };
        y = node.binary(BinaryOp::Add, y, c)?;
    }
    node.output(0, y)
}
