//! Operators about dims: what they are, and the same elements with others.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{BinaryOp, Reduce, ReduceOp};
use tensorlet_tensor::DatumType;
use tract_onnx::prelude::TDim;
use tract_onnx::tract_core::internal::DimLike;

use super::constants;
use super::context::Context;
use super::dims::{axes, broadcast, fixed, mul, product, quotient};
use super::registry::{Entry, Importer};
use crate::graph::ValueId;

pub(super) const OPERATORS: &[Entry] = &[
    ("Reshape", Importer::Function(reshape)),
    ("Flatten", Importer::Function(flatten)),
    ("Squeeze", Importer::Function(squeeze)),
    ("Unsqueeze", Importer::Function(unsqueeze)),
    ("Transpose", Importer::Function(transpose)),
    ("DepthToSpace", Importer::Function(depth_to_space)),
    ("SpaceToDepth", Importer::Function(space_to_depth)),
    ("Shape", Importer::Function(shape)),
    ("Size", Importer::Function(size)),
    ("Expand", Importer::Function(expand)),
    ("Tile", Importer::Function(tile)),
    ("ConstantOfShape", Importer::Function(constant_of_shape)),
    ("EyeLike", Importer::Function(eye_like)),
    ("Range", Importer::Function(range)),
];

/// The most elements of a constant that is written out.
const MAX_WRITTEN: usize = 16 << 10;

fn reshape(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let old = node.dims(x);
    let target = node.sizes(1)?;
    let copies = !node.flag("allowzero", false);
    let mut new = vec![];
    let mut open = None;
    for (axis, dim) in target.into_iter().enumerate() {
        new.push(match dim.as_i64() {
            Some(0) if copies => old.get(axis)?.clone(),
            Some(-1) if open.is_none() => {
                open = Some(axis);
                TDim::from(1)
            }
            Some(size) if size < 0 => return None,
            _ => dim,
        });
    }
    if let Some(axis) = open {
        new[axis] = quotient(&old, &new)?;
    } else if let (Some(old), Some(new)) = (fixed(&old), fixed(&new)) {
        let count = |dims: &[usize]| dims.iter().product::<usize>();
        if count(&old) != count(&new) {
            return None;
        }
    }
    reshape_to(node, x, new)
}

fn reshape_to(node: &mut Context<'_, '_>, x: ValueId, dims: Vec<TDim>) -> Option<()> {
    let y = node.reshape(x, dims)?;
    node.output(0, y)
}

fn flatten(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let dims = node.dims(x);
    let axis = node.int_or("axis", 1);
    let rank = i64::try_from(dims.len()).ok()?;
    let axis = if axis < 0 { axis + rank } else { axis };
    let (rows, columns) = dims.split_at_checked(usize::try_from(axis).ok()?)?;
    let dims = vec![product(rows)?, product(columns)?];
    reshape_to(node, x, dims)
}

/// Without axes, all of size 1 are meant; which these are must not depend on the call.
fn squeeze(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let dims = node.dims(x);
    let removed = match node.axes("axes", 1)? {
        Some(named) => axes(&named, dims.len())?,
        None => {
            let fixed = fixed(&dims)?;
            (0..fixed.len()).filter(|&axis| fixed[axis] == 1).collect()
        }
    };
    if removed
        .iter()
        .any(|&axis| dims[axis].as_i64().is_some_and(|dim| dim != 1))
    {
        return None;
    }
    let kept = dims.into_iter().enumerate();
    let kept = kept.filter(|(axis, _)| !removed.contains(axis));
    let kept = kept.map(|(_, dim)| dim).collect();
    reshape_to(node, x, kept)
}

fn unsqueeze(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let mut dims = node.dims(x);
    let named = node.axes("axes", 1)??;
    for axis in axes(&named, dims.len().checked_add(named.len())?)? {
        if axis > dims.len() {
            return None;
        }
        dims.insert(axis, TDim::from(1));
    }
    reshape_to(node, x, dims)
}

fn transpose(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let rank = node.rank(x);
    let permutation: Vec<usize> = match node.ints("perm") {
        Some(axes) => axes
            .iter()
            .map(|&axis| usize::try_from(axis).ok())
            .collect::<Option<_>>()?,
        None => (0..rank).rev().collect(),
    };
    let mut sorted = permutation.clone();
    sorted.sort_unstable();
    if sorted.into_iter().ne(0..rank) {
        return None;
    }
    let y = node.transpose(x, &permutation)?;
    node.output(0, y)
}

/// Channels become pixels: `[N, C, H, W]` is `[N, b, b, C', H, W]` or `[N, C', b, b, H, W]`, by the mode.
fn depth_to_space(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let [n, c, h, w] = <[TDim; 4]>::try_from(node.dims(x)).ok()?;
    let block = node.int("blocksize").filter(|&block| block > 0)?;
    let b = TDim::from(block);
    let inner = quotient(&[c], &[b.clone(), b.clone()])?;
    let (split, permutation) = match node.text_or("mode", "DCR")? {
        "DCR" => (
            vec![
                n.clone(),
                b.clone(),
                b.clone(),
                inner.clone(),
                h.clone(),
                w.clone(),
            ],
            [0, 3, 4, 1, 5, 2],
        ),
        "CRD" => (
            vec![
                n.clone(),
                inner.clone(),
                b.clone(),
                b.clone(),
                h.clone(),
                w.clone(),
            ],
            [0, 1, 4, 2, 5, 3],
        ),
        _ => return None,
    };
    let x = node.reshape(x, split)?;
    let x = node.transpose(x, &permutation)?;
    let dims = vec![n, inner, mul(&h, &b)?, mul(&w, &b)?];
    reshape_to(node, x, dims)
}

fn space_to_depth(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let [n, c, h, w] = <[TDim; 4]>::try_from(node.dims(x)).ok()?;
    let block = node.int("blocksize").filter(|&block| block > 0)?;
    let b = TDim::from(block);
    let (rows, columns) = (
        quotient(&[h], std::slice::from_ref(&b))?,
        quotient(&[w], std::slice::from_ref(&b))?,
    );
    let split = vec![
        n.clone(),
        c.clone(),
        rows.clone(),
        b.clone(),
        columns.clone(),
        b.clone(),
    ];
    let x = node.reshape(x, split)?;
    let x = node.transpose(x, &[0, 3, 5, 1, 2, 4])?;
    let dims = vec![n, product(&[c, b.clone(), b])?, rows, columns];
    reshape_to(node, x, dims)
}

/// From opset 15 on, of a range of axes.
fn shape(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let rank = i64::try_from(node.rank(x)).ok()?;
    let clamp = |axis: i64| {
        (if axis < 0 {
            axis.saturating_add(rank)
        } else {
            axis
        })
        .clamp(0, rank)
    };
    let begin = clamp(node.int_or("start", 0));
    let end = clamp(node.int_or("end", rank)).max(begin);
    let y = dims_of(node, x, begin as u32, end - begin)?;
    node.output_as(0, y, DatumType::I64)
}

fn dims_of(node: &mut Context<'_, '_>, x: ValueId, begin: u32, count: i64) -> Option<ValueId> {
    let kernel = Kernel::Dims { begin };
    node.kernel(kernel, &[x], DatumType::I64, vec![count.into()])
}

fn size(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let rank = i64::try_from(node.rank(x)).ok()?;
    let dims = dims_of(node, x, 0, rank)?;
    let kernel = Kernel::Reduce(Reduce {
        op: ReduceOp::Product,
        axes: vec![0],
    });
    let y = node.kernel(kernel, &[dims], DatumType::I64, vec![])?;
    node.output_as(0, y, DatumType::I64)
}

fn expand(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let target = node.sizes(1)?;
    let dims = broadcast(&node.dims(x), &target)?;
    let y = node.expand(x, dims)?;
    node.output(0, y)
}

fn tile(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let repeats = node.sizes(1)?;
    let old = node.dims(x);
    if repeats.len() != old.len() {
        return None;
    }
    let dims = old.iter().zip(&repeats);
    let dims = dims
        .map(|(dim, repeat)| mul(dim, repeat))
        .collect::<Option<_>>()?;
    let datum_type = node.datum_type(x);
    let y = node.kernel(Kernel::Tile, &[x], datum_type, dims)?;
    node.output(0, y)
}

fn constant_of_shape(node: &mut Context<'_, '_>) -> Option<()> {
    let dims = node.sizes(0)?;
    let (datum_type, bytes) = match node.tensor("value") {
        Some(tensor) => (
            constants::type_of(tensor)?.0,
            constants::bytes(tensor)?.into_owned(),
        ),
        None => (DatumType::F32, vec![0; 4]),
    };
    if bytes.len() != datum_type.width_bytes() {
        return None;
    }
    let wide = super::builder::computed_type(datum_type);
    let fill = if wide == datum_type {
        node.constant_bytes(datum_type, &[], || bytes)
    } else {
        let element = constants::floats(node.tensor("value")?)?;
        node.constant_f32(&[], || element)
    };
    let y = node.expand(fill, dims)?;
    node.output_as(0, y, datum_type)
}

fn eye_like(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let [rows, columns] = <[usize; 2]>::try_from(node.fixed(x)?).ok()?;
    let datum_type = match node.int("dtype") {
        Some(data_type) => constants::datum_type_of(data_type)?,
        None => node.declared(0)?,
    };
    let computed = super::builder::computed_type(datum_type);
    let one = super::builder::number_bytes(1.0, computed)?;
    let first = node.int_or("k", 0);
    if rows.checked_mul(columns)? > MAX_WRITTEN {
        return None;
    }
    let y = node.constant_bytes(computed, &[rows, columns], || {
        let mut bytes = vec![0; rows * columns * one.len()];
        for row in 0..rows {
            let column = usize::try_from((row as i64).saturating_add(first));
            if let Some(column) = column.ok().filter(|&column| column < columns) {
                let at = (row * columns + column) * one.len();
                bytes[at..at + one.len()].copy_from_slice(&one);
            }
        }
        bytes
    });
    node.output_as(0, y, datum_type)
}

/// `start + step × (0, 1, 2, …)`.
fn range(node: &mut Context<'_, '_>) -> Option<()> {
    let (start, step) = (node.input(0)?, node.input(2)?);
    let len = range_len(node)?;
    let datum_type = node.datum_type(start);
    let numbers = positions(node, len.clone())?;
    let numbers = node.cast(numbers, datum_type)?;
    let (start, step) = (node.reshaped(start, vec![])?, node.reshaped(step, vec![])?);
    let steps = node.binary(BinaryOp::Mul, numbers, step)?;
    let y = node.binary(BinaryOp::Add, steps, start)?;
    node.output(0, y)
}

fn range_len(node: &Context<'_, '_>) -> Option<TDim> {
    let bounds = [0, 1, 2].map(|index| node.sizes(index));
    let [Some(start), Some(end), Some(step)] = &bounds else {
        let [start, end, step] = [0, 1, 2].map(|index| node.number(index));
        let len = ((end? - start?) / step?).ceil().max(0.0);
        return (len < f64::from(u32::MAX)).then(|| TDim::from(len as i64));
    };
    let ([start], [end], [step]) = (start.as_slice(), end.as_slice(), step.as_slice()) else {
        return None;
    };
    let step = step.as_i64().filter(|&step| step != 0)?;
    let span = if step > 0 {
        end.clone() - start
    } else {
        start.clone() - end
    };
    let span = if span.prove_positive_or_zero() {
        span
    } else {
        span.maxi(TDim::from(0))
    };
    Some(span.div_ceil(step.unsigned_abs()))
}

/// Returns `0, 1, 2, …` as i64.
pub(super) fn positions(node: &mut Context<'_, '_>, len: TDim) -> Option<ValueId> {
    if let Some(len) = len
        .as_i64()
        .filter(|&len| (0..MAX_WRITTEN as i64).contains(&len))
    {
        let numbers: Vec<i64> = (0..len).collect();
        return Some(node.constant_i64(&[numbers.len()], &numbers));
    }
    let one = node.scalar(1.0, DatumType::I64)?;
    let ones = node.expand(one, vec![len.clone()])?;
    let kernel = Kernel::CumSum {
        axis: 0,
        exclusive: true,
        reverse: false,
    };
    node.kernel(kernel, &[ones], DatumType::I64, vec![len])
}
