//! Softmax and its logarithm.
//!
//! A tensor is seen as `[outer][len][inner]`, with the axis in the middle. Where the axis is the last one, vectors run along it;
//! else they run along `inner`, and each lane computes a softmax of its own.

#![expect(unsafe_code, reason = "vectors are read and written at pointers")]

#[cfg(test)]
mod tests;

use tensorlet_plan::Layout;
use tensorlet_tensor::DatumType;

use crate::bind::Types;
use crate::crew::{Crew, Pace};
use crate::isa::{Isa, Vectorised};
use crate::run::{BindError, Nothing, Run, RunError, Target};
use crate::simd::{Scalar, Simd};
use crate::unary::{exp_of_negative, log};

/// Binds a softmax along an axis of a plain tensor of f32.
pub(crate) fn bind(
    axis: u32,
    log: bool,
    types: Types<'_>,
    target: &Target<'_>,
) -> Result<Box<dyn Run>, BindError> {
    let ([x], [y]) = (types.inputs, types.outputs) else {
        return Err(BindError::new(
            "expected one input and one output of softmax",
        ));
    };
    let axis = axis as usize;
    let fits = x == y && x.datum_type == DatumType::F32 && x.layout == Layout::Plain;
    if !fits || axis >= x.dims.len() {
        return Err(BindError::new(format!(
            "expected a softmax along axis {axis} of a plain f32 tensor to make its like, found {x} and {y}"
        )));
    }
    if x.is_empty() {
        // Products of the other sizes might overflow.
        return Ok(Box::new(Nothing));
    }
    Ok(Box::new(Softmax {
        outer: x.dims[..axis].iter().product(),
        len: x.dims[axis],
        inner: x.dims[axis + 1..].iter().product(),
        log,
        isa: target.isa,
    }))
}

/// A softmax over `[outer][len][inner]`.
struct Softmax {
    outer: usize,
    len: usize,
    inner: usize,
    log: bool,
    isa: Isa,
}

impl Run for Softmax {
    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        _scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let x: &[f32] = bytemuck::cast_slice(inputs[0]);
        let y: &mut [f32] = bytemuck::cast_slice_mut(outputs[0]);
        if x.is_empty() {
            return Ok(());
        }
        assert_eq!(
            x.len(),
            self.outer * self.len * self.inner,
            "bound to this size"
        );
        assert_eq!(x.len(), y.len(), "a result for each number");
        // An exponential for each, and four passes.
        let size = self.len * self.inner;
        crew.divide(y, size, size, |first, y| {
            let x = &x[first * size..][..y.len()];
            let pace = Pace::of(crew);
            let bound = self;
            self.isa.run(Rows { x, y, bound, pace })
        })
    }
}

/// Replaces each row of `len` numbers by its softmax.
pub(crate) fn rows_in_place(isa: Isa, rows: &mut [f32], len: usize) {
    isa.run(RowsInPlace { rows, len });
}

struct RowsInPlace<'a> {
    rows: &'a mut [f32],
    len: usize,
}

impl Vectorised for RowsInPlace<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for row in self.rows.chunks_exact_mut(self.len.max(1)) {
            let to = row.as_mut_ptr();
            // SAFETY: the numbers of one row, read and written in order.
            unsafe { row_softmax(simd, to, to, row.len(), false) }
        }
    }
}

struct Rows<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
    bound: &'a Softmax,
    pace: Pace<'a>,
}

impl Vectorised for Rows<'_> {
    type Output = Result<(), RunError>;

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) -> Result<(), RunError> {
        let &Softmax {
            len, inner, log, ..
        } = self.bound;
        let rows = self.x.chunks_exact(len * inner);
        for (x, y) in rows.zip(self.y.chunks_exact_mut(len * inner)) {
            if inner == 1 {
                self.pace.count(len)?;
                // SAFETY: both slices have `len` numbers.
                unsafe { row_softmax(simd, x.as_ptr(), y.as_mut_ptr(), len, log) };
                continue;
            }
            let size = (len, inner);
            let mut begin = 0;
            // The last vector begins where it ends with the row, and computes some columns again.
            while inner >= S::LANES && begin < inner {
                self.pace.count(S::LANES * len)?;
                column_softmax(simd, x, y, size, begin.min(inner - S::LANES), log);
                begin += S::LANES;
            }
            while begin < inner {
                self.pace.count(4 * len)?;
                column_softmax(Scalar, x, y, size, begin, log);
                begin += 1;
            }
        }
        Ok(())
    }
}

/// # Safety
/// `len` numbers can be read and written.
#[inline(always)]
unsafe fn row_softmax<S: Simd>(simd: S, x: *const f32, y: *mut f32, len: usize, is_log: bool) {
    let whole = len - len % S::LANES;
    let rest = len - whole;
    let lowest = simd.splat(f32::NEG_INFINITY);
    // SAFETY: `whole + rest` numbers, as the caller has them; `load_first` reads no more than there are.
    unsafe {
        // What lies behind the row must not count: its last numbers are taken one by one.
        let mut max = lowest;
        for i in (0..whole).step_by(S::LANES) {
            max = simd.max(max, simd.load(x.add(i)));
        }
        let mut max = simd.max_lane(max);
        for i in whole..len {
            max = max.max(*x.add(i));
        }
        let offset = simd.splat(max);
        let mut sum = simd.splat(0.0);
        for i in (0..whole).step_by(S::LANES) {
            let exp = exp_of_negative(simd, simd.sub(simd.load(x.add(i)), offset));
            sum = simd.add(sum, exp);
            if !is_log {
                simd.store(y.add(i), exp);
            }
        }
        let mut sum = simd.sum(sum);
        if rest > 0 {
            let exp = exp_of_negative(simd, simd.sub(simd.load_first(x.add(whole), rest), offset));
            let mut lanes = [0.0; 16];
            simd.store(lanes.as_mut_ptr(), exp);
            sum += lanes[..rest].iter().sum::<f32>();
            if !is_log {
                simd.store_first(y.add(whole), exp, rest);
            }
        }
        if is_log {
            let shift = simd.add(offset, log(simd, simd.splat(sum)));
            for i in (0..whole).step_by(S::LANES) {
                simd.store(y.add(i), simd.sub(simd.load(x.add(i)), shift));
            }
            let last = simd.sub(simd.load_first(x.add(whole), rest), shift);
            simd.store_first(y.add(whole), last, rest);
        } else {
            let scale = simd.splat(1.0 / sum);
            for i in (0..whole).step_by(S::LANES) {
                simd.store(y.add(i), simd.mul(simd.load(y.add(i)), scale));
            }
            let last = simd.mul(simd.load_first(y.add(whole), rest), scale);
            simd.store_first(y.add(whole), last, rest);
        }
    }
}

/// Computes the softmax of a vector of columns of `[len][inner]`.
#[inline(always)]
fn column_softmax<S: Simd>(
    simd: S,
    x: &[f32],
    y: &mut [f32],
    (len, inner): (usize, usize),
    begin: usize,
    is_log: bool,
) {
    let read = |numbers: &[f32], row: usize| {
        let from = &numbers[row * inner + begin..][..S::LANES];
        // SAFETY: the slice is as long as a vector.
        unsafe { simd.load(from.as_ptr()) }
    };
    let write = |numbers: &mut [f32], row: usize, vector: S::F32| {
        let to = &mut numbers[row * inner + begin..][..S::LANES];
        // SAFETY: the slice is as long as a vector.
        unsafe { simd.store(to.as_mut_ptr(), vector) };
    };
    let mut max = simd.splat(f32::NEG_INFINITY);
    for row in 0..len {
        max = simd.max(max, read(x, row));
    }
    let mut sum = simd.splat(0.0);
    for row in 0..len {
        let exp = exp_of_negative(simd, simd.sub(read(x, row), max));
        sum = simd.add(sum, exp);
        if !is_log {
            write(y, row, exp);
        }
    }
    if is_log {
        let shift = simd.add(max, log(simd, sum));
        for row in 0..len {
            write(y, row, simd.sub(read(x, row), shift));
        }
    } else {
        let scale = simd.div(simd.splat(1.0), sum);
        for row in 0..len {
            let exp = read(y, row);
            write(y, row, simd.mul(exp, scale));
        }
    }
}
