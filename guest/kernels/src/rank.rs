//! Largest and smallest elements, and running sums.
//!
//! How NaN compares: [`Kernel::ArgReduce`] follows NumPy, where the first (or last) NaN is found, whether the largest or the
//! smallest is looked for. [`Kernel::TopK`] takes NaN for larger than any number, as NumPy's and PyTorch's sorting does. Zeros of
//! either sign are equal.

mod extreme;
mod sums;
mod top;

#[cfg(test)]
mod tests;

use tensorlet_plan::Kernel;

use crate::bind::Types;
use crate::run::{BindError, Run};

pub(crate) fn bind(kernel: &Kernel, types: Types<'_>) -> Result<Box<dyn Run>, BindError> {
    match *kernel {
        Kernel::ArgReduce {
            minimum,
            axis,
            last,
        } => extreme::bind(minimum, axis, last, types),
        Kernel::TopK(top) => top::bind(top, types),
        Kernel::CumSum {
            axis,
            exclusive,
            reverse,
        } => sums::bind(axis, exclusive, reverse, types),
        _ => Err(BindError::new(
            "expected a kernel that ranks elements, found another",
        )),
    }
}
