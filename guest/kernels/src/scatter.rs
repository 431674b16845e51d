//! Replaced elements: ONNX `ScatterElements` and `ScatterND`.
//!
//! Updates happen in order, so that of several for the same place the last one counts, or each of them if they are combined.
//! Maximum and minimum are NaN if any operand is; sums and products of integers wrap around.

#[cfg(test)]
mod tests;

use bytemuck::Pod;
use tensorlet_plan::kernel::{Scatter, ScatterReduction};
use tensorlet_tensor::DatumType;

use crate::arrange::bytes::copy;
use crate::arrange::check;
use crate::bind::Types;
use crate::crew::{Crew, Pace};
use crate::gather::elements::Places;
use crate::gather::index::{IndexType, Indices};
use crate::gather::nd::Tuples;
use crate::run::{BindError, Run, RunError};
use crate::tensor_type::TensorType;

/// Replaces or changes elements by others.
type Combine = fn(&mut [u8], &[u8]);

struct Scattered {
    index_type: IndexType,
    combine: Combine,
    width_bytes: usize,
    targets: Targets,
}

/// What indices speak of.
enum Targets {
    Elements(Places),
    Rows(Tuples),
}

pub(crate) fn bind(scatter: Scatter, types: Types<'_>) -> Result<Box<dyn Run>, BindError> {
    check::counts(types, 3, 1)?;
    let [x, indices, updates] = types.inputs else {
        unreachable!("`counts` found three inputs");
    };
    let y = &types.outputs[0];
    check::plain(&[x, indices, updates, y])?;
    check::same_datum_type(x, y)?;
    check::same_datum_type(x, updates)?;
    check::dims(y, &x.dims)?;
    let targets = match scatter.axis {
        Some(axis) => {
            check::dims(updates, &indices.dims)?;
            Targets::Elements(Places::new(axis, x, indices)?)
        }
        None => {
            let Some((&len, leading)) = indices.dims.split_last() else {
                return Err(check::mismatch("indices with at least one axis", indices));
            };
            let tuples = Tuples::new(x, 0, len)?;
            check::dims(updates, &[leading, &x.dims[len..]].concat())?;
            Targets::Rows(tuples)
        }
    };
    Ok(Box::new(Scattered {
        index_type: IndexType::of(indices)?,
        combine: combination(scatter.reduction, x)?,
        width_bytes: x.datum_type.width_bytes(),
        targets,
    }))
}

impl Run for Scattered {
    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        _scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let (updates, y) = (inputs[2], &mut *outputs[0]);
        copy(inputs[0], y, crew)?;
        if updates.is_empty() {
            return Ok(());
        }
        let indices = self.index_type.read(inputs[1]);
        match &self.targets {
            Targets::Elements(places) => {
                self.change_elements(places, indices, updates, y, Pace::of(crew))
            }
            Targets::Rows(tuples) => {
                let row_bytes = tuples.row * self.width_bytes;
                let mut pace = Pace::of(crew);
                for (tuple, update) in updates.chunks_exact(row_bytes).enumerate() {
                    pace.count(8 + row_bytes / 4)?;
                    let row = tuples.resolve(indices, tuple)?;
                    (self.combine)(&mut y[row * row_bytes..][..row_bytes], update);
                }
                Ok(())
            }
        }
    }
}

impl Scattered {
    fn change_elements(
        &self,
        places: &Places,
        indices: Indices<'_>,
        updates: &[u8],
        y: &mut [u8],
        mut pace: Pace<'_>,
    ) -> Result<(), RunError> {
        let width = self.width_bytes;
        let row_bytes = places.columns * width;
        places.for_each_row(|row, first| {
            let updates = updates[row * row_bytes..][..row_bytes].chunks_exact(width);
            for (column, update) in updates.enumerate() {
                pace.count(4)?;
                let element = row * places.columns + column;
                let Some(index) = indices.resolve(element, places.axis_len) else {
                    return Err(indices.out_of_range(element, places.axis_len));
                };
                let place = first + column * places.step + index * places.axis_stride;
                (self.combine)(&mut y[place * width..][..width], update);
            }
            Ok(())
        })
    }
}

/// Returns how a reduction changes elements of a tensor's datum type.
fn combination(reduction: ScatterReduction, tensor: &TensorType) -> Result<Combine, BindError> {
    if reduction == ScatterReduction::Replace {
        return Ok(<[u8]>::copy_from_slice);
    }
    match tensor.datum_type {
        DatumType::F32 => Ok(combination_of::<f32>(reduction)),
        DatumType::F64 => Ok(combination_of::<f64>(reduction)),
        DatumType::I32 => Ok(combination_of::<i32>(reduction)),
        DatumType::I64 => Ok(combination_of::<i64>(reduction)),
        _ => Err(check::mismatch(
            "f32, f64, i32 or i64 to combine with updates",
            tensor,
        )),
    }
}

fn combination_of<T: Number>(reduction: ScatterReduction) -> Combine {
    match reduction {
        ScatterReduction::Replace => |to, from| change(to, from, |_: T, update| update),
        ScatterReduction::Add => |to, from| change(to, from, T::plus),
        ScatterReduction::Multiply => |to, from| change(to, from, T::times),
        ScatterReduction::Maximum => |to, from| change(to, from, T::larger),
        ScatterReduction::Minimum => |to, from| change(to, from, T::smaller),
    }
}

fn change<T: Pod>(to: &mut [u8], from: &[u8], combine: impl Fn(T, T) -> T) {
    let to: &mut [T] = bytemuck::cast_slice_mut(to);
    let from: &[T] = bytemuck::cast_slice(from);
    for (to, from) in to.iter_mut().zip(from) {
        *to = combine(*to, *from);
    }
}

/// A number that updates are combined with.
trait Number: Pod {
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    fn larger(self, other: Self) -> Self;
    fn smaller(self, other: Self) -> Self;
}

macro_rules! numbers {
    ($($number:ty: $plus:expr, $times:expr;)+) => {$(
        impl Number for $number {
            fn plus(self, other: Self) -> Self {
                $plus(self, other)
            }

            fn times(self, other: Self) -> Self {
                $times(self, other)
            }

            // What is not equal to itself is NaN.
            fn larger(self, other: Self) -> Self {
                if self > other || self != self { self } else { other }
            }

            fn smaller(self, other: Self) -> Self {
                if self < other || self != self { self } else { other }
            }
        }
    )+};
}

numbers! {
    f32: std::ops::Add::add, std::ops::Mul::mul;
    f64: std::ops::Add::add, std::ops::Mul::mul;
    i32: i32::wrapping_add, i32::wrapping_mul;
    i64: i64::wrapping_add, i64::wrapping_mul;
}
