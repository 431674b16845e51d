//! Operators that compute elements.

use std::cmp::Ordering;

use tract_onnx::pb::NodeProto;
use tract_onnx::pb::tensor_proto::DataType;

use super::{Inputs, axes, axis};
use crate::rewrite::graph::int;
use crate::rewrite::value::{MAX_ELEMENTS, Number, Value};

/// `Cast`, to the types that shapes are computed in.
pub(super) fn cast(value: &Value, to: i64) -> Option<Value> {
    let to = DataType::try_from(i32::try_from(to).ok()?).ok()?;
    let cast = |number: &Number| match to {
        DataType::Int64 => number.truncate(),
        DataType::Int32 => number.truncate().filter(fits_i32),
        DataType::Bool => Some(Number::bool(!number.equals(&Number::integer(0))?)),
        DataType::Float | DataType::Double => Some(number.clone()),
        _ => None,
    };
    if !matches!(
        to,
        DataType::Int64 | DataType::Int32 | DataType::Bool | DataType::Float | DataType::Double
    ) {
        return None;
    }
    map(value, to, cast)
}

/// Reports whether a cast to i32 keeps the number. Expressions are sizes, which do fit.
fn fits_i32(number: &Number) -> bool {
    number
        .as_i64()
        .is_none_or(|number| i32::try_from(number).is_ok())
}

/// Operators of one, two or more inputs that work on each element alone.
pub(super) fn elementwise(node: &NodeProto, inputs: &Inputs) -> Option<Value> {
    let first = inputs.value(0)?;
    let float = matches!(first.data_type(), DataType::Float | DataType::Double);
    let unary: Option<fn(&Number) -> Option<Number>> = match node.op_type.as_str() {
        "Neg" => Some(Number::neg),
        "Abs" => Some(|number| number.max(&number.neg()?)),
        "Floor" => Some(Number::floor),
        "Ceil" => Some(Number::ceil),
        "Not" => Some(|number| Some(Number::integer(1 - number.as_i64()?))),
        "Relu" => Some(|number| number.max(&Number::integer(0))),
        _ => None,
    };
    if let Some(unary) = unary {
        return map(first, first.data_type(), unary);
    }
    let (compares, binary) = binary(&node.op_type, float, int(node, "fmod").unwrap_or(0) != 0)?;
    let data_type = if compares {
        DataType::Bool
    } else {
        first.data_type()
    };
    let mut result = first.clone();
    for index in 1..node.input.len() {
        result = zip(&result, inputs.value(index)?, data_type, binary)?;
    }
    (!compares || node.input.len() == 2).then_some(result)
}

type Binary = fn(&Number, &Number) -> Option<Number>;

/// Returns whether the result is of bools, and the function.
fn binary(op_type: &str, float: bool, fmod: bool) -> Option<(bool, Binary)> {
    let arithmetic: Option<Binary> = match op_type {
        "Add" | "Sum" => Some(Number::add),
        "Sub" => Some(Number::sub),
        "Mul" => Some(Number::mul),
        "Div" if float => Some(Number::div),
        "Div" => Some(Number::div_integer),
        "Mod" if !fmod && !float => Some(Number::modulo),
        "Min" => Some(Number::min),
        "Max" => Some(Number::max),
        _ => None,
    };
    if let Some(arithmetic) = arithmetic {
        return Some((false, arithmetic));
    }
    let compare: Binary = match op_type {
        "Equal" => |a, b| a.equals(b).map(Number::bool),
        "Greater" => |a, b| b.at_least(a).map(|not| Number::bool(!not)),
        "Less" => |a, b| a.at_least(b).map(|not| Number::bool(!not)),
        "GreaterOrEqual" => |a, b| a.at_least(b).map(Number::bool),
        "LessOrEqual" => |a, b| b.at_least(a).map(Number::bool),
        "And" => |a, b| a.min(b),
        "Or" => |a, b| a.max(b),
        "Xor" => |a, b| a.equals(b).map(|same| Number::bool(!same)),
        _ => return None,
    };
    Some((true, compare))
}

/// `Where`. An element that is the same either way is known even if the condition is not.
pub(super) fn select(condition: &Value, yes: &Value, no: &Value) -> Option<Value> {
    let dims = broadcast(&broadcast(condition.dims(), yes.dims())?, no.dims())?;
    let data_type = yes.data_type();
    let (condition, yes, no) = (
        spread(condition, &dims)?,
        spread(yes, &dims)?,
        spread(no, &dims)?,
    );
    let elements = condition
        .iter()
        .zip(yes.iter().zip(&no))
        .map(
            |(condition, (yes, no))| match condition.as_ref().and_then(Number::as_i64) {
                Some(0) => no.clone(),
                Some(_) => yes.clone(),
                None => yes.clone().filter(|yes| Some(yes) == no.as_ref()),
            },
        );
    Value::new(data_type, dims, elements.collect())
}

/// `Range`, if its length is a number.
pub(super) fn range(inputs: &Inputs) -> Option<Value> {
    let [start, limit, delta] = [0, 1, 2].map(|index| inputs.value(index)?.single());
    let (start, limit, delta) = (start?, limit?, delta?);
    let length = match delta.compare(&Number::integer(0))? {
        Ordering::Equal => return None,
        Ordering::Greater => limit.sub(start)?.div(delta)?,
        Ordering::Less => start.sub(limit)?.div(&delta.neg()?)?,
    };
    let length = usize::try_from(length.ceil()?.as_i64()?.max(0)).ok()?;
    if length > MAX_ELEMENTS {
        return None;
    }
    let element =
        |index: usize| start.add(&delta.mul(&Number::integer(i64::try_from(index).ok()?))?);
    Value::new(
        inputs.value(0)?.data_type(),
        vec![length],
        (0..length).map(element).collect(),
    )
}

/// `ReduceProd`, `ReduceSum`, `ReduceMin` and `ReduceMax`.
pub(super) fn reduce(node: &NodeProto, opset: i64, inputs: &Inputs) -> Option<Value> {
    let value = inputs.value(0)?;
    let (function, empty): (Binary, Option<i64>) = match node.op_type.as_str() {
        "ReduceProd" => (Number::mul, Some(1)),
        "ReduceSum" => (Number::add, Some(0)),
        "ReduceMin" => (Number::min, None),
        "ReduceMax" => (Number::max, None),
        _ => return None,
    };
    let rank = value.dims().len();
    let axes = axes(node, inputs, 1)?.filter(|axes| !axes.is_empty());
    if axes.is_none() && opset >= 13 && int(node, "noop_with_empty_axes").unwrap_or(0) != 0 {
        return Some(value.clone());
    }
    let reduced: Vec<usize> = match axes {
        Some(axes) => axes
            .iter()
            .map(|&index| axis(index, rank))
            .collect::<Option<_>>()?,
        None => (0..rank).collect(),
    };
    let kept: Vec<usize> = value
        .dims()
        .iter()
        .enumerate()
        .map(|(index, &dim)| if reduced.contains(&index) { 1 } else { dim })
        .collect();
    let count: usize = kept.iter().product();
    let mut results: Vec<Option<Option<Number>>> = vec![None; count];
    for (index, element) in value.elements().iter().enumerate() {
        let slot = &mut results[position(index, value.dims(), &kept)];
        *slot = Some(match slot.take() {
            None => element.clone(),
            Some(sum) => sum
                .zip(element.clone())
                .and_then(|(sum, element)| function(&sum, &element)),
        });
    }
    let elements = results
        .into_iter()
        .map(|result| result.unwrap_or(empty.map(Number::integer)));
    let dims = if int(node, "keepdims").unwrap_or(1) != 0 {
        kept
    } else {
        let dims = kept
            .iter()
            .enumerate()
            .filter(|(index, _)| !reduced.contains(index));
        dims.map(|(_, &dim)| dim).collect()
    };
    Value::new(value.data_type(), dims, elements.collect())
}

fn map(
    value: &Value,
    data_type: DataType,
    function: impl Fn(&Number) -> Option<Number>,
) -> Option<Value> {
    let elements = value
        .elements()
        .iter()
        .map(|element| function(element.as_ref()?));
    Value::new(data_type, value.dims().to_vec(), elements.collect())
}

fn zip(left: &Value, right: &Value, data_type: DataType, function: Binary) -> Option<Value> {
    let dims = broadcast(left.dims(), right.dims())?;
    let (left, right) = (spread(left, &dims)?, spread(right, &dims)?);
    let pairs = left.iter().zip(&right);
    let elements = pairs.map(|(left, right)| function(left.as_ref()?, right.as_ref()?));
    Value::new(data_type, dims, elements.collect())
}

/// Returns the dims that both are broadcast to, by ONNX's rules.
pub(super) fn broadcast(left: &[usize], right: &[usize]) -> Option<Vec<usize>> {
    let rank = left.len().max(right.len());
    let size = |dims: &[usize], axis: usize| {
        (axis + dims.len())
            .checked_sub(rank)
            .map_or(1, |axis| dims[axis])
    };
    let dims = (0..rank).map(|axis| match (size(left, axis), size(right, axis)) {
        (left, right) if left == right => Some(left),
        (1, other) | (other, 1) => Some(other),
        _ => None,
    });
    dims.collect()
}

/// Returns the elements of a value broadcast to larger dims.
pub(super) fn spread(value: &Value, dims: &[usize]) -> Option<Vec<Option<Number>>> {
    let count = Value::unknown(value.data_type(), dims.to_vec())?
        .elements()
        .len();
    let elements =
        (0..count).map(|index| value.elements()[position(index, dims, value.dims())].clone());
    Some(elements.collect())
}

/// Returns where the element `index` of a tensor of `dims` lies in one of dims `inner`, each of which is
/// 1 or the same, aligned at the end.
fn position(mut index: usize, dims: &[usize], inner: &[usize]) -> usize {
    let (mut position, mut stride) = (0, 1);
    for (from_end, &dim) in dims.iter().rev().enumerate() {
        let at = index % dim.max(1);
        index /= dim.max(1);
        let size = inner
            .len()
            .checked_sub(from_end + 1)
            .map_or(1, |axis| inner[axis]);
        if size != 1 {
            position += at * stride;
            stride *= size;
        }
    }
    position
}
