//! ONNX `Gather`: whole slices along an axis.

use tensorlet_plan::kernel::OutOfRange;

use super::Tensors;
use super::index::{IndexType, Indices};
use crate::arrange::bytes::copy_bytes;
use crate::arrange::check::{self, Split};
use crate::crew::{Crew, Pace};
use crate::run::{BindError, Run, RunError};

struct Slices {
    index_type: IndexType,
    out_of_range: OutOfRange,
    /// How many indices there are.
    count: usize,
    /// How the axis divides `x`.
    x: Split,
    /// The size of what an index stands for.
    row_bytes: usize,
}

pub(super) fn bind(
    axis: u32,
    out_of_range: OutOfRange,
    tensors: Tensors<'_>,
) -> Result<Box<dyn Run>, BindError> {
    let Tensors { x, indices, y, .. } = tensors;
    let axis = check::axis(axis, x)?;
    let dims = [&x.dims[..axis], &indices.dims, &x.dims[axis + 1..]].concat();
    check::dims(y, &dims)?;
    let split = Split::new(&x.dims, axis);
    if split.len == 0 && !y.is_empty() {
        return Err(check::mismatch("elements to look up", x));
    }
    Ok(Box::new(Slices {
        index_type: tensors.index_type,
        out_of_range,
        count: check::product(&indices.dims),
        x: split,
        row_bytes: split.inner.saturating_mul(x.datum_type.width_bytes()),
    }))
}

impl Run for Slices {
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
        let indices = self.index_type.read(inputs[1]);
        let parts = x
            .chunks_exact(self.x.len * self.row_bytes)
            .zip(y.chunks_exact_mut(self.count * self.row_bytes));
        let mut pace = Pace::of(crew);
        for (x, y) in parts {
            for (element, y) in y.chunks_exact_mut(self.row_bytes).enumerate() {
                pace.count(2 + self.row_bytes / 8)?;
                let Some(index) = self.resolve(indices, element) else {
                    return Err(indices.out_of_range(element, self.x.len));
                };
                copy_bytes(&x[index * self.row_bytes..][..self.row_bytes], y);
            }
        }
        Ok(())
    }
}

impl Slices {
    #[inline]
    fn resolve(&self, indices: Indices<'_>, element: usize) -> Option<usize> {
        let len = self.x.len;
        match self.out_of_range {
            OutOfRange::Fail => indices.resolve(element, len),
            OutOfRange::Last => {
                let index = usize::try_from(indices.at(element)).unwrap_or(usize::MAX);
                Some(index.min(len - 1))
            }
        }
    }
}
