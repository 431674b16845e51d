//! Look-ups, and elements that are replaced.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{
    BinaryOp, Gather, OutOfRange, Pad, PadMode, Scatter, ScatterReduction,
};
use tensorlet_tensor::DatumType;
use tract_onnx::prelude::TDim;

use super::builder::computed_type;
use super::context::Context;
use super::dims::{axis, broadcast};
use super::registry::{Entry, Importer};
use super::shapes::positions;
use crate::graph::ValueId;

pub(super) const OPERATORS: &[Entry] = &[
    ("Gather", Importer::Function(gather)),
    ("GatherElements", Importer::Function(gather_elements)),
    ("GatherND", Importer::Function(gather_nd)),
    ("Scatter", Importer::Function(scatter_elements)),
    ("ScatterElements", Importer::Function(scatter_elements)),
    ("ScatterND", Importer::Function(scatter_nd)),
    ("OneHot", Importer::Function(one_hot)),
    ("ReverseSequence", Importer::Function(reverse_sequence)),
    ("MaxUnpool", Importer::Function(max_unpool)),
    ("TensorScatter", Importer::Function(tensor_scatter)),
];

/// A table of f16 is read as such, and what is found there converted.
fn gather(node: &mut Context<'_, '_>) -> Option<()> {
    let (x, indices) = (node.raw(0)?, node.input(1)?);
    let declared = node.declared(0)?;
    let axis = axis(node.int_or("axis", 0), node.rank(x))?;
    let y = slices(node, x, indices, axis)?;
    let computed = computed_type(node.datum_type(y));
    let y = node.cast(y, computed)?;
    node.output_as(0, y, declared)
}

/// Looks up a slice for each index.
pub(super) fn slices(
    node: &mut Context<'_, '_>,
    x: ValueId,
    indices: ValueId,
    axis: usize,
) -> Option<ValueId> {
    let (x_dims, index_dims) = (node.dims(x), node.dims(indices));
    let dims = [&x_dims[..axis], &index_dims, &x_dims[axis + 1..]].concat();
    let kernel = Kernel::Gather(Gather::Slices {
        axis: axis as u32,
        out_of_range: OutOfRange::Fail,
    });
    let datum_type = node.datum_type(x);
    node.kernel(kernel, &[x, indices], datum_type, dims)
}

fn gather_elements(node: &mut Context<'_, '_>) -> Option<()> {
    let (x, indices) = (node.input(0)?, node.input(1)?);
    let axis = axis(node.int_or("axis", 0), node.rank(x))?;
    let y = elements(node, x, indices, axis)?;
    node.output(0, y)
}

/// Looks up an element for each index.
pub(super) fn elements(
    node: &mut Context<'_, '_>,
    x: ValueId,
    indices: ValueId,
    axis: usize,
) -> Option<ValueId> {
    let (datum_type, dims) = (node.datum_type(x), node.dims(indices));
    let kernel = Kernel::Gather(Gather::Elements { axis: axis as u32 });
    node.kernel(kernel, &[x, indices], datum_type, dims)
}

fn gather_nd(node: &mut Context<'_, '_>) -> Option<()> {
    let (x, indices) = (node.input(0)?, node.input(1)?);
    let batch_dims = usize::try_from(node.int_or("batch_dims", 0)).ok()?;
    let (x_dims, index_dims) = (node.dims(x), node.dims(indices));
    let (len, outer) = index_dims.split_last()?;
    let len = usize::try_from(len.as_i64()?).ok()?;
    let dims = [outer, x_dims.get(batch_dims.checked_add(len)?..)?].concat();
    let datum_type = node.datum_type(x);
    let kernel = Kernel::Gather(Gather::Nd {
        batch_dims: batch_dims as u32,
    });
    let y = node.kernel(kernel, &[x, indices], datum_type, dims)?;
    node.output(0, y)
}

fn scatter_elements(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let axis = axis(node.int_or("axis", 0), node.rank(x))?;
    scatter(node, Some(axis as u32))
}

fn scatter_nd(node: &mut Context<'_, '_>) -> Option<()> {
    scatter(node, None)
}

fn scatter(node: &mut Context<'_, '_>, axis: Option<u32>) -> Option<()> {
    let (x, indices, updates) = (node.input(0)?, node.input(1)?, node.input(2)?);
    let reduction = match node.text_or("reduction", "none")? {
        "none" => ScatterReduction::Replace,
        "add" => ScatterReduction::Add,
        "mul" => ScatterReduction::Multiply,
        "max" => ScatterReduction::Maximum,
        "min" => ScatterReduction::Minimum,
        _ => return None,
    };
    let (datum_type, dims) = (node.datum_type(x), node.dims(x));
    let kernel = Kernel::Scatter(Scatter { axis, reduction });
    let y = node.kernel(kernel, &[x, indices, updates], datum_type, dims)?;
    node.output(0, y)
}

/// Indices may be floats.
fn one_hot(node: &mut Context<'_, '_>) -> Option<()> {
    let (indices, values) = (node.input(0)?, node.input(2)?);
    let declared = node.declared(2)?;
    let depth = match node.sizes(1) {
        Some(sizes) => <[TDim; 1]>::try_from(sizes).ok()?[0].clone(),
        None => (node.number(1)?.trunc() as i64).into(),
    };
    let indices = match node.datum_type(indices) {
        DatumType::I32 | DatumType::I64 => indices,
        _ => node.cast(indices, DatumType::I64)?,
    };
    let mut dims = node.dims(indices);
    let axis = axis(node.int_or("axis", -1), dims.len() + 1)?;
    dims.insert(axis, depth);
    let datum_type = node.datum_type(values);
    let kernel = Kernel::OneHot { axis: axis as u32 };
    let y = node.kernel(kernel, &[indices, values], datum_type, dims)?;
    node.output_as(0, y, declared)
}

/// `y[t] = x[len - 1 - t]` where `t < len`, else `x[t]`, with a `len` for each row.
fn reverse_sequence(node: &mut Context<'_, '_>) -> Option<()> {
    let (x, lens) = (node.input(0)?, node.input(1)?);
    let (time, batch) = (node.int_or("time_axis", 0), node.int_or("batch_axis", 1));
    let dims = node.dims(x);
    let (time, batch) = (axis(time, dims.len())?, axis(batch, dims.len())?);
    if time == batch {
        return None;
    }
    let along = |axis: usize| -> Vec<TDim> {
        let mut along = vec![TDim::from(1); dims.len()];
        along[axis] = dims[axis].clone();
        along
    };
    let times = positions(node, dims[time].clone())?;
    let times = node.reshape(times, along(time))?;
    let lens = node.cast(lens, DatumType::I64)?;
    let lens = node.reshape(lens, along(batch))?;
    let one = node.scalar(1.0, DatumType::I64)?;
    let last = node.binary(BinaryOp::Sub, lens, one)?;
    let mirrored = node.binary(BinaryOp::Sub, last, times)?;
    let within = node.compare(BinaryOp::Less, times, lens)?;
    let indices = node.select(within, mirrored, times)?;
    let target = broadcast(&node.dims(indices), &dims)?;
    let indices = node.expand(indices, target)?;
    let y = elements(node, x, indices, time)?;
    node.output(0, y)
}

/// Puts elements where a pool found them, in a tensor of zeros.
fn max_unpool(node: &mut Context<'_, '_>) -> Option<()> {
    let (x, indices) = (node.input(0)?, node.input(1)?);
    let dims = node.dims(x);
    let kernel = super::pools::positive(node, "kernel_shape", dims.len().checked_sub(2)?)?;
    let strides = super::pools::positive(node, "strides", kernel.len())?;
    let pads = node.ints("pads").unwrap_or_default();
    let mut sizes = dims[..2].to_vec();
    for axis in 0..kernel.len() {
        let pad = |index: usize| pads.get(index).copied().unwrap_or(0);
        let cut = pad(axis).checked_add(pad(kernel.len() + axis))?;
        let whole = (dims[2 + axis].clone() - 1) * i64::from(strides[axis]);
        sizes.push(whole + i64::from(kernel[axis]) - cut);
    }
    let flat = |dims: &[TDim]| Some(vec![super::dims::product(dims)?]);
    let x = node.reshape(x, flat(&dims)?)?;
    let indices = node.reshape(indices, flat(&dims)?)?;
    let datum_type = node.datum_type(x);
    let zero = node.scalar(0.0, datum_type)?;
    let zeros = node.expand(zero, flat(&sizes)?)?;
    let kernel = Kernel::Scatter(Scatter {
        axis: Some(0),
        reduction: ScatterReduction::Replace,
    });
    let y = node.kernel(kernel, &[zeros, indices, x], datum_type, flat(&sizes)?)?;
    let mut y = node.reshape(y, sizes.clone())?;
    if node.has(2) {
        let whole = node.sizes(2)?;
        let kernel = Kernel::Pad(Pad {
            mode: PadMode::Constant(0.0),
            before: vec![0; sizes.len()],
        });
        y = node.kernel(kernel, &[y], datum_type, whole)?;
    }
    node.output(0, y)
}

/// Writes updates into a cache along an axis, from an index for each row on.
fn tensor_scatter(node: &mut Context<'_, '_>) -> Option<()> {
    let (x, updates) = (node.input(0)?, node.input(1)?);
    let (dims, update_dims) = (node.dims(x), node.dims(updates));
    let axis = axis(node.int_or("axis", -2), dims.len())?;
    let along = |axis: usize| -> Vec<TDim> {
        let mut along = vec![TDim::from(1); dims.len()];
        along[axis] = update_dims[axis].clone();
        along
    };
    let at = positions(node, update_dims[axis].clone())?;
    let mut at = node.reshape(at, along(axis))?;
    if let Some(first) = node.optional(2)? {
        let first = node.cast(first, DatumType::I64)?;
        let first = node.reshape(first, along(0))?;
        at = node.binary(BinaryOp::Add, at, first)?;
    }
    match node.text_or("mode", "linear")? {
        "linear" => {}
        "circular" => {
            let size = node.scalar(dims[axis].as_i64()? as f64, DatumType::I64)?;
            at = node.binary(BinaryOp::Mod, at, size)?;
        }
        _ => return None,
    }
    let indices = node.expand(at, update_dims)?;
    let datum_type = node.datum_type(x);
    let kernel = Kernel::Scatter(Scatter {
        axis: Some(axis as u32),
        reduction: ScatterReduction::Replace,
    });
    let y = node.kernel(kernel, &[x, indices, updates], datum_type, dims)?;
    node.output(0, y)
}
