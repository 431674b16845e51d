//! Elements that move: transpositions, slices, joints, padding and their like.
//!
//! Most of them are a `strided` copy, whatever the datum type: the width of elements is all that matters. What
//! belongs to all families that move elements is here as well: `check` for their types, `number` and `bytes` for few elements.

pub(crate) mod by_width;
pub(crate) mod bytes;
pub(crate) mod check;
mod concat;
mod dims;
pub(crate) mod number;
mod one_hot;
mod pad;
mod strided;
mod transposed;
mod triangle;
mod view;

#[cfg(test)]
mod hostile;
#[cfg(test)]
pub(crate) mod testing;

use tensorlet_plan::Kernel;

use crate::bind::Types;
use crate::run::{BindError, Run};

pub(crate) fn bind(kernel: &Kernel, types: Types<'_>) -> Result<Box<dyn Run>, BindError> {
    match kernel {
        Kernel::Transpose { permutation } => view::transpose(permutation, types),
        Kernel::Copy => view::copy(types),
        Kernel::Slice(slice) => view::slice(slice, types),
        Kernel::Expand => view::expand(types),
        Kernel::Tile => view::tile(types),
        Kernel::Concat { axis } => concat::bind(*axis, types),
        Kernel::Pad(pad) => pad::bind(pad, types),
        Kernel::OneHot { axis } => one_hot::bind(*axis, types),
        Kernel::Trilu { upper, diagonal } => triangle::bind(*upper, *diagonal, types),
        Kernel::Dims { begin } => dims::bind(*begin, types),
        _ => Err(BindError::new(
            "expected a kernel that moves elements, found another",
        )),
    }
}
