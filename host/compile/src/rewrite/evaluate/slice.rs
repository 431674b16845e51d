//! `Slice`, and what its bounds mean.

use std::cmp::Ordering;

use tract_onnx::pb::NodeProto;

use super::{Inputs, axis};
use crate::rewrite::graph::ints;
use crate::rewrite::value::{Number, Value};

/// Ends from here on mean "to the end": no tensor has so many rows.
///
/// Exporters write 2^63 - 1, 2^31 - 1 or 10^9.
pub(crate) const ENDLESS: i64 = 1_000_000_000;

/// The part that a slice of step 1 takes of an axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Range {
    pub(crate) start: Number,
    pub(crate) end: Number,
}

/// Resolves bounds as ONNX defines them: negative ones count from the end, and both are cut to the axis.
///
/// A bound that depends on symbols is taken to lie within the axis: when it does not, the slice fails in that
/// call. An end that is a number is cut to an axis of unknown size, because models cut long inputs by it.
pub(crate) fn resolve_range(start: &Number, end: &Number, size: &Number) -> Option<Range> {
    let zero = Number::integer(0);
    let from_front = |bound: &Number| match bound.compare(&zero) {
        Some(Ordering::Less) => {
            let counted = bound.add(size)?;
            if counted.is_number() {
                counted.max(&zero)
            } else {
                Some(counted)
            }
        }
        Some(_) => Some(bound.clone()),
        None => bound.at_least(&zero)?.then(|| bound.clone()),
    };
    let cut = |bound: Number| {
        if bound.at_least(size) == Some(true) {
            Some(size.clone())
        } else if bound.is_number() {
            bound.min(size)
        } else {
            Some(bound)
        }
    };
    let start = match start.as_i64() {
        Some(start) if start >= ENDLESS => size.clone(),
        Some(start) if start <= -ENDLESS => zero.clone(),
        _ => match from_front(start)? {
            start if size.is_number() => cut(start)?,
            start => start,
        },
    };
    let end = match end.as_i64() {
        Some(end) if end >= ENDLESS => size.clone(),
        _ => cut(from_front(end)?)?,
    };
    // tract takes nothing only as a range that ends where it starts.
    let end = if end.compare(&start) == Some(Ordering::Less) {
        start.clone()
    } else {
        end
    };
    Some(Range { start, end })
}

/// `Slice` of a tensor with one axis.
pub(super) fn slice(node: &NodeProto, opset: i64, inputs: &Inputs) -> Option<Value> {
    let value = inputs.value(0)?;
    let &[len] = value.dims() else { return None };
    let bound = |index: usize, attribute: &str| -> Option<i64> {
        if opset < 10 {
            return ints(node, attribute)?.first().copied();
        }
        inputs.value(index)?.single()?.as_i64()
    };
    let (start, end) = (bound(1, "starts")?, bound(2, "ends")?);
    if opset >= 10 && inputs.present(3) && axis(bound(3, "axes")?, 1)? != 0 {
        return None;
    }
    let step = if opset >= 10 && inputs.present(4) {
        bound(4, "steps")?
    } else {
        1
    };
    let elements = positions(start, end, step, i64::try_from(len).ok()?)?;
    let elements: Vec<_> = elements
        .into_iter()
        .map(|index| value.elements()[index].clone())
        .collect();
    Value::new(value.data_type(), vec![elements.len()], elements)
}

fn positions(start: i64, end: i64, step: i64, len: i64) -> Option<Vec<usize>> {
    if len == 0 {
        return Some(vec![]);
    }
    let from_front = |bound: i64| {
        if bound < 0 {
            bound.saturating_add(len)
        } else {
            bound
        }
    };
    let (mut at, end) = match step.cmp(&0) {
        Ordering::Equal => return None,
        Ordering::Greater => (
            from_front(start).clamp(0, len),
            from_front(end).clamp(0, len),
        ),
        Ordering::Less => (
            from_front(start).clamp(0, len - 1),
            from_front(end).clamp(-1, len - 1),
        ),
    };
    let mut positions = vec![];
    while (step > 0 && at < end) || (step < 0 && at > end) {
        positions.push(usize::try_from(at).ok()?);
        at = at.saturating_add(step);
    }
    Some(positions)
}
