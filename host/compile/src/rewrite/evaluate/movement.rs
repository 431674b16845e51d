//! Operators that move elements without changing them.

use tract_onnx::pb::NodeProto;
use tract_onnx::pb::tensor_proto::DataType;

use super::arithmetic::{broadcast, spread};
use super::{Inputs, axes, axis};
use crate::rewrite::graph::{attribute, int, ints};
use crate::rewrite::tensors::to_value;
use crate::rewrite::value::{Number, Value};

/// `Gather`.
pub(super) fn gather(node: &NodeProto, inputs: &Inputs) -> Option<Value> {
    let (data, indices) = (inputs.value(0)?, inputs.value(1)?);
    let axis = axis(int(node, "axis").unwrap_or(0), data.dims().len())?;
    let size = *data.dims().get(axis)?;
    let inner: usize = data.dims()[axis + 1..].iter().product();
    let outer: usize = data.dims()[..axis].iter().product();
    let mut elements = vec![];
    for block in 0..outer {
        for index in indices.elements() {
            let index = index.as_ref().and_then(Number::as_i64);
            let index = index.map(|index| super::axis(index, size).filter(|&index| index < size));
            for offset in 0..inner {
                elements.push(match index {
                    Some(index) => {
                        data.elements()[(block * size + index?) * inner + offset].clone()
                    }
                    None => None,
                });
            }
        }
    }
    let dims = [
        &data.dims()[..axis],
        indices.dims(),
        &data.dims()[axis + 1..],
    ]
    .concat();
    Value::new(data.data_type(), dims, elements)
}

/// `Concat`.
pub(super) fn concat(node: &NodeProto, inputs: &Inputs) -> Option<Value> {
    let parts: Vec<&Value> = (0..node.input.len())
        .map(|index| inputs.value(index))
        .collect::<Option<_>>()?;
    let first = parts.first()?;
    let axis = axis(int(node, "axis")?, first.dims().len())?;
    let outer: usize = first.dims().get(..axis)?.iter().product();
    let mut dims = first.dims().to_vec();
    *dims.get_mut(axis)? = parts
        .iter()
        .map(|part| part.dims().get(axis))
        .sum::<Option<usize>>()?;
    let mut elements = vec![];
    for block in 0..outer {
        for part in &parts {
            let len: usize = part.dims()[axis..].iter().product();
            elements.extend_from_slice(part.elements().get(block * len..(block + 1) * len)?);
        }
    }
    Value::new(first.data_type(), dims, elements)
}

/// `Split`, along the only axis.
pub(super) fn split(node: &NodeProto, inputs: &Inputs) -> Option<Vec<Option<Value>>> {
    let value = inputs.value(0)?;
    let &[len] = value.dims() else { return None };
    let parts = node.output.len();
    let sizes: Vec<usize> = match ints(node, "split") {
        Some(sizes) => whole(sizes)?,
        None if inputs.present(1) => whole(&inputs.value(1)?.integers()?)?,
        None => {
            let size = len.div_ceil(parts);
            (0..parts)
                .map(|part| size.min(len.saturating_sub(part * size)))
                .collect()
        }
    };
    let mut start = 0;
    let pieces = sizes.iter().map(|&size| {
        let elements = value.elements().get(start..start + size)?;
        start += size;
        Value::new(value.data_type(), vec![size], elements.to_vec())
    });
    Some(pieces.collect())
}

/// `Squeeze`, `Unsqueeze`, `Reshape` and `Flatten`: the same elements with other dims.
pub(super) fn reshape(node: &NodeProto, inputs: &Inputs) -> Option<Value> {
    let value = inputs.value(0)?;
    let rank = value.dims().len();
    let dims = match node.op_type.as_str() {
        "Squeeze" => {
            let axes = axes(node, inputs, 1)?;
            let axes = match axes {
                Some(axes) => Some(absolute(&axes, rank)?),
                None => None,
            };
            let kept = |&(index, &dim): &(usize, &usize)| match &axes {
                Some(axes) => !axes.contains(&index),
                None => dim != 1,
            };
            value
                .dims()
                .iter()
                .enumerate()
                .filter(kept)
                .map(|(_, &dim)| dim)
                .collect()
        }
        "Unsqueeze" => {
            let axes = axes(node, inputs, 1)??;
            let rank = rank + axes.len();
            let axes = absolute(&axes, rank)?;
            let mut old = value.dims().iter().copied();
            (0..rank)
                .map(|index| {
                    if axes.contains(&index) {
                        Some(1)
                    } else {
                        old.next()
                    }
                })
                .collect::<Option<_>>()?
        }
        "Reshape" => reshaped(node, value.dims(), &inputs.value(1)?.integers()?)?,
        _ => {
            let axis = axis(int(node, "axis").unwrap_or(1), rank)?;
            let (rows, columns) = value.dims().split_at_checked(axis)?;
            vec![rows.iter().product(), columns.iter().product()]
        }
    };
    value.reshaped(dims)
}

fn reshaped(node: &NodeProto, old: &[usize], target: &[i64]) -> Option<Vec<usize>> {
    let keep_zeros = int(node, "allowzero").unwrap_or(0) != 0;
    let mut open = None;
    let mut dims = vec![];
    for (index, &size) in target.iter().enumerate() {
        dims.push(match size {
            -1 => {
                open = Some(index);
                1
            }
            0 if !keep_zeros => *old.get(index)?,
            size => usize::try_from(size).ok()?,
        });
    }
    if let Some(open) = open {
        let count: usize = old.iter().product();
        dims[open] = count.checked_div(dims.iter().product())?;
    }
    Some(dims)
}

/// `Transpose`.
pub(super) fn transpose(node: &NodeProto, inputs: &Inputs) -> Option<Value> {
    let value = inputs.value(0)?;
    let rank = value.dims().len();
    let perm: Vec<usize> = match ints(node, "perm") {
        Some(perm) => whole(perm)?,
        None => (0..rank).rev().collect(),
    };
    let dims: Vec<usize> = perm
        .iter()
        .map(|&axis| value.dims().get(axis).copied())
        .collect::<Option<_>>()?;
    let elements = (0..value.elements().len()).map(|index| {
        let mut rest = index;
        let mut source = 0;
        for (&axis, &dim) in perm.iter().zip(&dims).rev() {
            let stride: usize = value.dims()[axis + 1..].iter().product();
            source += rest % dim * stride;
            rest /= dim;
        }
        value.elements()[source].clone()
    });
    Value::new(value.data_type(), dims.clone(), elements.collect())
}

/// `Expand`.
pub(super) fn expand(inputs: &Inputs) -> Option<Value> {
    let value = inputs.value(0)?;
    let dims = broadcast(value.dims(), &whole(&inputs.value(1)?.integers()?)?)?;
    Value::new(value.data_type(), dims.clone(), spread(value, &dims)?)
}

/// `Tile`, of at most one axis.
pub(super) fn tile(inputs: &Inputs) -> Option<Value> {
    let value = inputs.value(0)?;
    let repeats = whole(&inputs.value(1)?.integers()?)?;
    match (value.dims(), repeats.as_slice()) {
        ([], []) => Some(value.clone()),
        (&[len], &[times]) => {
            let dims = vec![len.checked_mul(times)?];
            Value::unknown(value.data_type(), dims.clone())?;
            let elements = vec![value.elements(); times].concat();
            Value::new(value.data_type(), dims, elements)
        }
        _ => None,
    }
}

/// `ConstantOfShape`.
pub(super) fn constant_of_shape(node: &NodeProto, inputs: &Inputs) -> Option<Value> {
    let dims = whole(&inputs.value(0)?.integers()?)?;
    let fill = match attribute(node, "value") {
        Some(attribute) => to_value(attribute.t.as_ref()?)?,
        None => Value::new(DataType::Float, vec![1], vec![Number::float(0.0)])?,
    };
    let len = Value::unknown(fill.data_type(), dims.clone())?
        .elements()
        .len();
    Value::new(fill.data_type(), dims, vec![fill.single().cloned(); len])
}

fn whole(numbers: &[i64]) -> Option<Vec<usize>> {
    numbers
        .iter()
        .map(|&number| usize::try_from(number).ok())
        .collect()
}

fn absolute(axes: &[i64], rank: usize) -> Option<Vec<usize>> {
    axes.iter().map(|&index| axis(index, rank)).collect()
}
