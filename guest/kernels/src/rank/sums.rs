//! Running sums.

use bytemuck::Pod;
use tensorlet_tensor::DatumType;

use crate::arrange::check::{self, Split};
use crate::bind::Types;
use crate::crew::{Crew, Pace};
use crate::run::{BindError, Run, RunError};

/// See [`Kernel::CumSum`](tensorlet_plan::Kernel::CumSum). Sums of integers wrap around.
struct Sums {
    datum_type: DatumType,
    exclusive: bool,
    reverse: bool,
    x: Split,
}

pub(super) fn bind(
    axis: u32,
    exclusive: bool,
    reverse: bool,
    types: Types<'_>,
) -> Result<Box<dyn Run>, BindError> {
    let (x, y) = check::one_to_one(types)?;
    check::dims(y, &x.dims)?;
    let axis = check::axis(axis, x)?;
    match x.datum_type {
        DatumType::F32 | DatumType::F64 | DatumType::I64 | DatumType::I32 => {}
        _ => return Err(check::mismatch("f32, f64, i64 or i32", x)),
    }
    Ok(Box::new(Sums {
        datum_type: x.datum_type,
        exclusive,
        reverse,
        x: Split::new(&x.dims, axis),
    }))
}

impl Run for Sums {
    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        _scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let (x, y) = (inputs[0], &mut *outputs[0]);
        if y.is_empty() {
            return Ok(());
        }
        match self.datum_type {
            DatumType::F32 => self.sum::<f32>(x, y, |a, b| a + b, crew),
            DatumType::F64 => self.sum::<f64>(x, y, |a, b| a + b, crew),
            DatumType::I32 => self.sum(x, y, i32::wrapping_add, crew),
            _ => self.sum(x, y, i64::wrapping_add, crew),
        }
    }
}

impl Sums {
    /// Each element is the one before it, in the direction of the sums, with an element of `x` added.
    fn sum<T: Pod>(
        &self,
        x: &[u8],
        y: &mut [u8],
        add: impl Fn(T, T) -> T,
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let mut pace = Pace::of(crew);
        let x: &[T] = bytemuck::cast_slice(x);
        let y: &mut [T] = bytemuck::cast_slice_mut(y);
        let Split { len, inner, .. } = self.x;
        let parts = x
            .chunks_exact(len * inner)
            .zip(y.chunks_exact_mut(len * inner));
        for (x, y) in parts {
            if inner == 1 {
                self.sum_row(x, y, &add, &mut pace)?;
            } else {
                self.sum_rows(x, y, &add, &mut pace)?;
            }
        }
        Ok(())
    }

    fn sum_row<T: Pod>(
        &self,
        x: &[T],
        y: &mut [T],
        add: impl Fn(T, T) -> T,
        pace: &mut Pace<'_>,
    ) -> Result<(), RunError> {
        let (mut to, step) = match self.reverse {
            true => (x.len() - 1, -1),
            false => (0, 1),
        };
        let (mut sum, mut from) = match self.exclusive {
            true => (T::zeroed(), to),
            false => (x[to], to.wrapping_add_signed(step)),
        };
        y[to] = sum;
        for _ in 1..x.len() {
            pace.count(1)?;
            to = to.wrapping_add_signed(step);
            sum = add(sum, x[from]);
            y[to] = sum;
            from = from.wrapping_add_signed(step);
        }
        Ok(())
    }

    /// Adds whole rows, one for each element of the axis.
    fn sum_rows<T: Pod>(
        &self,
        x: &[T],
        y: &mut [T],
        add: impl Fn(T, T) -> T,
        pace: &mut Pace<'_>,
    ) -> Result<(), RunError> {
        let Split { len, inner, .. } = self.x;
        let row = |step: usize| match self.reverse {
            true => (len - 1 - step) * inner,
            false => step * inner,
        };
        let first = &mut y[row(0)..][..inner];
        match self.exclusive {
            true => first.fill(T::zeroed()),
            false => first.copy_from_slice(&x[row(0)..][..inner]),
        }
        for step in 1..len {
            pace.count(1 + inner / 4)?;
            let (previous, current) = (row(step - 1), row(step));
            let x = &x[if self.exclusive { previous } else { current }..][..inner];
            y.copy_within(previous..previous + inner, current);
            for (y, x) in y[current..][..inner].iter_mut().zip(x) {
                *y = add(*y, *x);
            }
        }
        Ok(())
    }
}
