//! Kernels whose output is their input seen another way: reordered, in part, or repeated.

#[cfg(test)]
mod tests;

use tensorlet_plan::kernel::Slice;

use super::check;
use super::strided::{Axis, Side, Strided};
use crate::bind::Types;
use crate::crew::Crew;
use crate::run::{BindError, Nothing, Run, RunError};
use crate::tensor_type::TensorType;

/// A copy of one tensor.
struct View(Strided);

impl Run for View {
    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        _scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        self.0.run(inputs[0], outputs[0], crew)
    }
}

/// A copy of `x`, from the element at `first` on, that fills `y` from its beginning.
fn view(x: &TensorType, first: usize, y: &TensorType, axes: &[Axis]) -> Box<dyn Run> {
    let from = Side {
        first,
        len: x.len(),
    };
    let to = Side {
        first: 0,
        len: y.len(),
    };
    Box::new(View(Strided::new(
        x.datum_type.width_bytes(),
        from,
        to,
        axes,
    )))
}

/// Equal numbers of elements; of blocked tensors the dims must be equal as well.
pub(super) fn copy(types: Types<'_>) -> Result<Box<dyn Run>, BindError> {
    check::counts(types, 1, 1)?;
    let (x, y) = (&types.inputs[0], &types.outputs[0]);
    check::same_datum_type(x, y)?;
    if x.dims != y.dims || x.layout != y.layout {
        check::plain(&[x, y])?;
    }
    let stored = x.stored_len();
    if stored != y.stored_len() {
        return Err(check::mismatch("as many elements as the input has", y));
    }
    let len = stored.unwrap_or(0);
    let whole = Axis {
        len,
        from: 1,
        to: 1,
    };
    let side = Side { first: 0, len };
    let width_bytes = x.datum_type.width_bytes();
    Ok(Box::new(View(Strided::new(
        width_bytes,
        side,
        side,
        &[whole],
    ))))
}

pub(super) fn transpose(permutation: &[u32], types: Types<'_>) -> Result<Box<dyn Run>, BindError> {
    let (x, y) = check::one_to_one(types)?;
    let rank = x.dims.len();
    let mut seen = vec![false; rank];
    for &axis in permutation {
        match seen.get_mut(axis as usize) {
            Some(seen) if !*seen => *seen = true,
            _ => break,
        }
    }
    if permutation.len() != rank || seen.contains(&false) {
        return Err(BindError::new(format!(
            "expected a permutation of {rank} axes, found {permutation:?}"
        )));
    }
    let axes = permutation.iter().map(|&axis| axis as usize);
    let dims: Vec<usize> = axes.clone().map(|axis| x.dims[axis]).collect();
    check::dims(y, &dims)?;
    let (from, to) = (check::strides(&x.dims), check::strides(&dims));
    let axes: Vec<Axis> = axes
        .zip(to)
        .map(|(axis, to)| Axis {
            len: x.dims[axis],
            from: from[axis].cast_signed(),
            to,
        })
        .collect();
    Ok(view(x, 0, y, &axes))
}

pub(super) fn slice(slice: &Slice, types: Types<'_>) -> Result<Box<dyn Run>, BindError> {
    let (x, y) = check::one_to_one(types)?;
    let rank = x.dims.len();
    if [slice.starts.len(), slice.steps.len(), y.dims.len()] != [rank; 3] {
        return Err(BindError::new(format!(
            "expected a start, a step and an output axis for each axis of {x}, found {slice:?} and {y}"
        )));
    }
    let (from, to) = (check::strides(&x.dims), check::strides(&y.dims));
    let mut first = 0;
    let mut axes = Vec::with_capacity(rank);
    for axis in 0..rank {
        let (len, step) = (y.dims[axis], slice.steps[axis]);
        let start = first_element(slice.starts[axis], step, x.dims[axis], len).ok_or_else(|| {
            BindError::new(format!(
                "expected elements of axis {axis} of {x}, found {len} from {} on in steps of {step}",
                slice.starts[axis]
            ))
        })?;
        if y.is_empty() {
            continue;
        }
        first += start * from[axis];
        // A single element has no distance to the next, however long the step. Others lie within the axis, as the step does.
        let step = if len == 1 { 0 } else { step as isize };
        axes.push(Axis {
            len,
            from: step * from[axis].cast_signed(),
            to: to[axis],
        });
    }
    if y.is_empty() {
        return Ok(Box::new(Nothing));
    }
    Ok(view(x, first, y, &axes))
}

/// Returns where a slice of an axis begins, limited to the axis as ONNX says; `None` if it leaves the axis.
fn first_element(start: i64, step: i64, dim: usize, len: usize) -> Option<usize> {
    let dim = i64::try_from(dim).ok()?;
    let start = if start < 0 { start + dim } else { start };
    let start = match step {
        0 => return None,
        1.. => start.clamp(0, dim),
        _ => start.min(dim - 1).max(0),
    };
    if let Some(steps) = len.checked_sub(1) {
        let last = i64::try_from(steps).ok()?.checked_mul(step);
        let last = last.and_then(|reach| reach.checked_add(start))?;
        if start >= dim || !(0..dim).contains(&last) {
            return None;
        }
    }
    usize::try_from(start).ok()
}

pub(super) fn expand(types: Types<'_>) -> Result<Box<dyn Run>, BindError> {
    let (x, y) = check::one_to_one(types)?;
    let added = y.dims.len().checked_sub(x.dims.len());
    let fits = |added: usize| {
        let pairs = x.dims.iter().zip(&y.dims[added..]);
        pairs.clone().all(|(&x, &y)| x == y || x == 1)
    };
    let Some(added) = added.filter(|&added| fits(added)) else {
        return Err(BindError::new(format!(
            "expected a tensor that broadcasts to {y}, found {x}"
        )));
    };
    if y.is_empty() {
        return Ok(Box::new(Nothing));
    }
    let from = check::strides(&x.dims);
    let axes: Vec<Axis> = check::strides(&y.dims)
        .into_iter()
        .enumerate()
        .map(|(axis, to)| {
            let source = axis.checked_sub(added).filter(|&axis| x.dims[axis] != 1);
            Axis {
                len: y.dims[axis],
                from: source.map_or(0, |axis| from[axis].cast_signed()),
                to,
            }
        })
        .collect();
    Ok(view(x, 0, y, &axes))
}

pub(super) fn tile(types: Types<'_>) -> Result<Box<dyn Run>, BindError> {
    let (x, y) = check::one_to_one(types)?;
    let mut pairs = x.dims.iter().zip(&y.dims);
    if x.dims.len() != y.dims.len() || !pairs.all(|(&x, &y)| y == 0 || (x != 0 && y % x == 0)) {
        return Err(BindError::new(format!(
            "expected dims that are multiples of those of {x}, found {y}"
        )));
    }
    if y.is_empty() {
        return Ok(Box::new(Nothing));
    }
    let (from, to) = (check::strides(&x.dims), check::strides(&y.dims));
    let mut axes = Vec::with_capacity(2 * x.dims.len());
    for (axis, &dim) in x.dims.iter().enumerate() {
        axes.push(Axis {
            len: y.dims[axis] / dim,
            from: 0,
            to: dim * to[axis],
        });
        axes.push(Axis {
            len: dim,
            from: from[axis].cast_signed(),
            to: to[axis],
        });
    }
    Ok(view(x, 0, y, &axes))
}
