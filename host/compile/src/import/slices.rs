//! `Slice`, and what is made of it.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{BinaryOp, Pad, PadMode, Slice};
use tensorlet_tensor::DatumType;
use tract_onnx::prelude::TDim;

use super::context::Context;
use super::dims::axis;
use super::gathers::slices;
use super::joins::part;
use super::registry::{Entry, Importer};
use super::shapes::positions;
use crate::graph::ValueId;
use crate::rewrite::evaluate::{ENDLESS, Range, resolve_range};
use crate::rewrite::value::Number;

pub(super) const OPERATORS: &[Entry] = &[
    ("Slice", Importer::Function(slice)),
    ("Compress", Importer::Function(compress)),
    ("CenterCropPad", Importer::Function(center_crop_pad)),
];

/// What a slice takes of an axis.
struct Bound {
    axis: usize,
    start: TDim,
    end: TDim,
    step: i64,
}

/// Bounds are attributes until opset 10, then inputs. What begins at a size that only the call decides is looked up.
fn slice(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let mut dims = node.dims(x);
    let mut starts = vec![0; dims.len()];
    let mut steps = vec![1; dims.len()];
    let mut computed = vec![];
    for (index, bound) in bounds(node, dims.len())?.into_iter().enumerate() {
        let size = dims[bound.axis].clone();
        let (start, len) = resolve(&bound, &size)?;
        match start {
            Start::Number(start) => {
                starts[bound.axis] = start;
                steps[bound.axis] = bound.step;
                dims[bound.axis] = len;
            }
            Start::Operand => computed.push((index, bound.axis, len)),
        }
    }
    let mut y = x;
    let untouched = starts.iter().all(|&start| start == 0) && steps.iter().all(|&step| step == 1);
    if !untouched || dims != node.dims(x) {
        let datum_type = node.datum_type(x);
        let kernel = Kernel::Slice(Slice { starts, steps });
        y = node.kernel(kernel, &[x], datum_type, dims)?;
    }
    for (index, axis, len) in computed {
        let starts = node.input(1)?;
        let start = part(node, starts, 0, i64::try_from(index).ok()?, TDim::from(1))?;
        let start = node.reshape(start, vec![])?;
        let start = node.cast(start, DatumType::I64)?;
        let offsets = positions(node, len)?;
        let indices = node.binary(BinaryOp::Add, offsets, start)?;
        y = slices(node, y, indices, axis)?;
    }
    node.output(0, y)
}

/// Where a slice begins.
enum Start {
    /// At this element, counted from the end if negative.
    Number(i64),
    /// At what the operand says.
    Operand,
}

fn bounds(node: &Context<'_, '_>, rank: usize) -> Option<Vec<Bound>> {
    let sizes = |name: &str, index: usize| -> Option<Vec<TDim>> {
        if node.opset() < 10 {
            return Some(node.ints(name)?.iter().map(TDim::from).collect());
        }
        node.sizes(index)
    };
    let (starts, ends) = (sizes("starts", 1)?, sizes("ends", 2)?);
    let axes = match node.axes("axes", 3)? {
        Some(axes) => axes,
        None => (0..starts.len() as i64).collect(),
    };
    let steps = if node.has(4) {
        node.integers(4)?
    } else {
        vec![1; starts.len()]
    };
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return None;
    }
    let bounds = starts
        .into_iter()
        .zip(ends)
        .zip(axes.into_iter().zip(steps));
    let bounds = bounds.map(|((start, end), (index, step))| {
        Some(Bound {
            axis: axis(index, rank)?,
            start,
            end,
            step,
        })
    });
    bounds.collect()
}

/// Returns the first element, and how many there are.
fn resolve(bound: &Bound, size: &TDim) -> Option<(Start, TDim)> {
    let numbers = (bound.start.as_i64(), bound.end.as_i64(), size.as_i64());
    if let (Some(start), Some(end), Some(size)) = numbers {
        let (start, len) = resolve_numbers(start, end, bound.step, size)?;
        return Some((Start::Number(start), len));
    }
    if bound.step < 0 {
        // All of an axis, backwards.
        let from_last = bound
            .start
            .as_i64()
            .is_some_and(|start| start == -1 || start >= ENDLESS);
        let to_first = bound.end.as_i64().is_some_and(|end| end <= -ENDLESS);
        let count = size.clone().div_ceil(bound.step.unsigned_abs());
        return (from_last && to_first).then_some((Start::Number(-1), count));
    }
    let whole = Number::dim(size.clone());
    let (start, end) = (
        Number::dim(bound.start.clone()),
        Number::dim(bound.end.clone()),
    );
    let Range { start, end } = resolve_range(&start, &end, &whole)?;
    let (start, end) = (start.as_dim()?.clone(), end.as_dim()?.clone());
    let len = (end - &start).simplify();
    let len = if bound.step == 1 {
        len
    } else {
        len.div_ceil(u64::try_from(bound.step).ok().filter(|&step| step > 0)?)
    };
    let from_end = || {
        (start.clone() - size)
            .simplify()
            .as_i64()
            .filter(|&start| start < 0)
    };
    let first = match start.as_i64().or_else(from_end) {
        Some(start) => Start::Number(start),
        None => (start == bound.start && bound.step == 1).then_some(Start::Operand)?,
    };
    Some((first, len))
}

fn resolve_numbers(start: i64, end: i64, step: i64, size: i64) -> Option<(i64, TDim)> {
    let from_front = |bound: i64| {
        if bound < 0 {
            bound.saturating_add(size)
        } else {
            bound
        }
    };
    let (start, len) = if step > 0 {
        let start = from_front(start).clamp(0, size);
        (start, (from_front(end).clamp(0, size) - start).max(0))
    } else {
        let start = from_front(start).clamp(-1, size - 1);
        (start, (start - from_front(end).clamp(-1, size - 1)).max(0))
    };
    let step = i64::try_from(step.unsigned_abs())
        .ok()
        .filter(|&step| step > 0)?;
    let count = len / step + i64::from(len % step != 0);
    // Nothing is taken from anywhere.
    Some((if count == 0 { 0 } else { start }, count.into()))
}

/// Takes the slices whose condition is true, if that is known.
fn compress(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let taken: Vec<i64> = node
        .integers(1)?
        .iter()
        .zip(0..)
        .filter(|(condition, _)| **condition != 0)
        .map(|(_, index)| index)
        .collect();
    let (x, axis) = match node.int("axis") {
        Some(index) => (x, axis(index, node.rank(x))?),
        None => {
            let count = super::dims::product(&node.dims(x))?;
            (node.reshape(x, vec![count])?, 0)
        }
    };
    let indices = node.constant_i64(&[taken.len()], &taken);
    let y = slices(node, x, indices, axis)?;
    node.output(0, y)
}

/// Cuts off, or adds zeros, on both sides of axes.
fn center_crop_pad(node: &mut Context<'_, '_>) -> Option<()> {
    let mut y = node.input(0)?;
    let old = node.fixed(y)?;
    let target = node.integers(1)?;
    let axes = match node.ints("axes") {
        Some(axes) => axes.to_vec(),
        None => (0..old.len() as i64).collect(),
    };
    if axes.len() != target.len() {
        return None;
    }
    for (index, wanted) in axes.into_iter().zip(target) {
        let axis = axis(index, old.len())?;
        let difference = wanted - i64::try_from(old[axis]).ok()?;
        y = if difference < 0 {
            part(node, y, axis, -difference / 2, wanted.into())?
        } else {
            grow(node, y, axis, difference / 2, wanted)?
        };
    }
    node.output(0, y)
}

fn grow(
    node: &mut Context<'_, '_>,
    x: ValueId,
    axis: usize,
    before: i64,
    wanted: i64,
) -> Option<ValueId> {
    let mut dims = node.dims(x);
    if dims[axis].as_i64() == Some(wanted) {
        return Some(x);
    }
    dims[axis] = wanted.into();
    let mut befores = vec![0; dims.len()];
    befores[axis] = before;
    let kernel = Kernel::Pad(Pad {
        mode: PadMode::Constant(0.0),
        before: befores,
    });
    let datum_type: DatumType = node.datum_type(x);
    node.kernel(kernel, &[x], datum_type, dims)
}
