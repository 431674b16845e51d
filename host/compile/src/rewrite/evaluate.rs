//! Evaluates operators on small tensors of integers, symbols and unknowns.
//!
//! This is what shapes are computed with. Of other tensors only the shape matters here.

mod arithmetic;
mod movement;
mod slice;

use tract_onnx::pb::NodeProto;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::prelude::TDim;

use super::graph::{attribute, int, is_own_domain};
use super::value::{Number, Value};

pub(crate) use slice::{ENDLESS, Range, resolve_range};

/// The sizes of a tensor of known rank; a size may be unknown.
pub(crate) type Shape = Vec<Option<TDim>>;

/// What is known about the inputs of a node, by index; a missing input has neither.
#[derive(Clone, Debug, Default)]
pub(super) struct Inputs {
    pub(super) values: Vec<Option<Value>>,
    pub(super) shapes: Vec<Option<Shape>>,
}

impl Inputs {
    fn value(&self, index: usize) -> Option<&Value> {
        self.values.get(index)?.as_ref()
    }

    fn shape(&self, index: usize) -> Option<&Shape> {
        self.shapes.get(index)?.as_ref()
    }

    fn present(&self, index: usize) -> bool {
        self.shape(index).is_some() || self.value(index).is_some()
    }
}

/// Returns the values of a node's outputs as far as they can be told.
pub(super) fn evaluate(node: &NodeProto, opset: i64, inputs: &Inputs) -> Vec<Option<Value>> {
    if !is_own_domain(&node.domain) {
        return vec![];
    }
    match node.op_type.as_str() {
        "Split" => movement::split(node, inputs).unwrap_or_default(),
        _ => vec![evaluate_single(node, opset, inputs)],
    }
}

fn evaluate_single(node: &NodeProto, opset: i64, inputs: &Inputs) -> Option<Value> {
    match node.op_type.as_str() {
        "Shape" => shape(node, inputs),
        "Size" => size(inputs),
        "Identity" => inputs.value(0).cloned(),
        "Constant" => constant(node),
        "Cast" => arithmetic::cast(inputs.value(0)?, int(node, "to")?),
        "Range" => arithmetic::range(inputs),
        "Where" => arithmetic::select(inputs.value(0)?, inputs.value(1)?, inputs.value(2)?),
        "Gather" => movement::gather(node, inputs),
        "Slice" => slice::slice(node, opset, inputs),
        "Concat" => movement::concat(node, inputs),
        "Squeeze" | "Unsqueeze" | "Reshape" | "Flatten" => movement::reshape(node, inputs),
        "Transpose" => movement::transpose(node, inputs),
        "Expand" => movement::expand(inputs),
        "Tile" => movement::tile(inputs),
        "ConstantOfShape" => movement::constant_of_shape(node, inputs),
        _ => arithmetic::elementwise(node, inputs)
            .or_else(|| arithmetic::reduce(node, opset, inputs)),
    }
}

fn shape(node: &NodeProto, inputs: &Inputs) -> Option<Value> {
    let shape = inputs.shape(0)?;
    let rank = i64::try_from(shape.len()).ok()?;
    let clamp = |axis: i64| (if axis < 0 { axis + rank } else { axis }).clamp(0, rank) as usize;
    let start = clamp(int(node, "start").unwrap_or(0));
    let end = clamp(int(node, "end").unwrap_or(rank)).max(start);
    let dims = &shape[start..end];
    let elements = dims
        .iter()
        .map(|dim| dim.clone().map(Number::dim))
        .collect();
    Value::new(DataType::Int64, vec![dims.len()], elements)
}

fn size(inputs: &Inputs) -> Option<Value> {
    let dims = inputs.shape(0)?.iter().cloned();
    let mut dims = dims.map(|dim| dim.map(Number::dim));
    let size = dims.try_fold(Number::integer(1), |size, dim| size.mul(&dim?));
    Value::new(DataType::Int64, vec![], vec![size])
}

fn constant(node: &NodeProto) -> Option<Value> {
    super::tensors::to_value(attribute(node, "value")?.t.as_ref()?)
}

/// Returns the axis counted from the front.
fn axis(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 {
        axis.checked_add(i64::try_from(rank).ok()?)?
    } else {
        axis
    };
    usize::try_from(axis).ok()
}

/// Returns a list of axes, which is an attribute in old opsets and an input in new ones.
fn axes(node: &NodeProto, inputs: &Inputs, index: usize) -> Option<Option<Vec<i64>>> {
    if inputs.present(index) {
        return inputs.value(index)?.integers().map(Some);
    }
    Some(super::graph::ints(node, "axes").map(<[i64]>::to_vec))
}

#[cfg(test)]
mod tests;
