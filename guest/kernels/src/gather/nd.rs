//! ONNX `GatherND`: one index for each of several axes.

use super::Tensors;
use super::index::{IndexType, Indices};
use crate::arrange::bytes::copy_bytes;
use crate::arrange::check;
use crate::crew::{Crew, Pace};
use crate::run::{BindError, Run, RunError};
use crate::tensor_type::TensorType;

/// Where the rows lie that a tensor of tuples of indices speaks of.
#[derive(Debug)]
pub(crate) struct Tuples {
    /// The sizes of the axes that a tuple's indices go along.
    dims: Vec<usize>,
    /// How many rows there are in one part of the tensor: the product of these.
    pub(crate) rows: usize,
    /// How many elements a row has.
    pub(crate) row: usize,
}

impl Tuples {
    /// Tuples of `len` indices from axis `begin` on.
    ///
    /// # Errors
    /// If there are not so many axes.
    pub(crate) fn new(tensor: &TensorType, begin: usize, len: usize) -> Result<Self, BindError> {
        let end = begin.saturating_add(len);
        let Some(dims) = tensor.dims.get(begin..end) else {
            return Err(BindError::new(format!(
                "expected an index for each of at most all axes of {tensor} from {begin} on, found {len}"
            )));
        };
        Ok(Self {
            dims: dims.to_vec(),
            rows: check::product(dims),
            row: check::product(&tensor.dims[end..]),
        })
    }

    /// Returns which row a tuple speaks of.
    ///
    /// # Errors
    /// If an index is out of range.
    pub(crate) fn resolve(&self, indices: Indices<'_>, tuple: usize) -> Result<usize, RunError> {
        let first = tuple * self.dims.len();
        self.dims.iter().enumerate().try_fold(0, |row, (i, &dim)| {
            let Some(index) = indices.resolve(first + i, dim) else {
                return Err(indices.out_of_range(first + i, dim));
            };
            Ok(row * dim + index)
        })
    }
}

struct Nd {
    index_type: IndexType,
    /// How many tuples speak of the same part of `x`.
    tuples_per_batch: usize,
    tuples: Tuples,
    width_bytes: usize,
}

pub(super) fn bind(batch_dims: u32, tensors: Tensors<'_>) -> Result<Box<dyn Run>, BindError> {
    let Tensors { x, indices, y, .. } = tensors;
    let batch = batch_dims as usize;
    let Some((&len, leading)) = indices.dims.split_last() else {
        return Err(check::mismatch("indices with at least one axis", indices));
    };
    if x.dims.get(..batch).is_none() || x.dims.get(..batch) != leading.get(..batch) {
        return Err(BindError::new(format!(
            "expected {x} and {indices} to have the same first {batch_dims} axes, found others"
        )));
    }
    let tuples = Tuples::new(x, batch, len)?;
    check::dims(y, &[leading, &x.dims[batch + len..]].concat())?;
    Ok(Box::new(Nd {
        index_type: tensors.index_type,
        tuples_per_batch: check::product(&leading[batch..]),
        tuples,
        width_bytes: x.datum_type.width_bytes(),
    }))
}

impl Run for Nd {
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
        let row_bytes = self.tuples.row * self.width_bytes;
        let mut pace = Pace::of(crew);
        for (tuple, y) in y.chunks_exact_mut(row_bytes).enumerate() {
            pace.count(8 + row_bytes / 8)?;
            let row = self.tuples.resolve(indices, tuple)?;
            let row = tuple / self.tuples_per_batch * self.tuples.rows + row;
            copy_bytes(&x[row * row_bytes..][..row_bytes], y);
        }
        Ok(())
    }
}
