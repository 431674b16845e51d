//! ONNX `GatherElements`: one index an element.

use tensorlet_tensor::MAX_RANK;

use super::Tensors;
use super::index::IndexType;
use crate::arrange::check;
use crate::arrange::number::copy_element;
use crate::crew::{Crew, Pace};
use crate::run::{BindError, Run, RunError};
use crate::tensor_type::TensorType;

/// Where the elements lie that a tensor of indices along an axis speaks of: in the same place but for that axis.
#[derive(Debug)]
pub(crate) struct Places {
    /// The dims of the indices, without the last.
    outer: Vec<usize>,
    /// The distances in the tensor along these; 0 along the axis, which the indices go along.
    strides: Vec<usize>,
    /// How many indices there are in a row.
    pub(crate) columns: usize,
    /// The distance of elements in a row; 0 if the axis is the last.
    pub(crate) step: usize,
    /// The size of the axis.
    pub(crate) axis_len: usize,
    /// The distance of elements along the axis.
    pub(crate) axis_stride: usize,
}

impl Places {
    /// # Errors
    /// If there is no such axis, or the indices do not have the tensor's rank, or exceed it beside the axis.
    pub(crate) fn new(
        axis: u32,
        tensor: &TensorType,
        indices: &TensorType,
    ) -> Result<Self, BindError> {
        let axis = check::axis(axis, tensor)?;
        let mut pairs = indices.dims.iter().zip(&tensor.dims).enumerate();
        if indices.dims.len() != tensor.dims.len()
            || !pairs.all(|(i, (index, dim))| i == axis || index <= dim)
        {
            return Err(BindError::new(format!(
                "expected indices that do not exceed {tensor} but along axis {axis}, found {indices}"
            )));
        }
        let mut strides = check::strides(&tensor.dims);
        let axis_stride = std::mem::replace(&mut strides[axis], 0);
        let mut outer = indices.dims.clone();
        Ok(Self {
            columns: outer.pop().unwrap_or(1),
            step: strides.pop().unwrap_or(0),
            outer,
            strides,
            axis_len: tensor.dims[axis],
            axis_stride,
        })
    }

    /// Calls a function with each row's number and its first place in the tensor, that of index 0. Neither is empty.
    pub(crate) fn for_each_row(
        &self,
        mut row: impl FnMut(usize, usize) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        let mut index = [0; MAX_RANK];
        for number in 0..self.outer.iter().product() {
            let places = index.iter().zip(&self.strides);
            row(number, places.map(|(index, stride)| index * stride).sum())?;
            for (index, dim) in index.iter_mut().zip(&self.outer).rev() {
                *index += 1;
                if *index < *dim {
                    break;
                }
                *index = 0;
            }
        }
        Ok(())
    }
}

struct Elements {
    index_type: IndexType,
    places: Places,
    width_bytes: usize,
}

pub(super) fn bind(axis: u32, tensors: Tensors<'_>) -> Result<Box<dyn Run>, BindError> {
    let Tensors { x, indices, y, .. } = tensors;
    check::dims(y, &indices.dims)?;
    Ok(Box::new(Elements {
        index_type: tensors.index_type,
        places: Places::new(axis, x, indices)?,
        width_bytes: x.datum_type.width_bytes(),
    }))
}

impl Run for Elements {
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
        let places = &self.places;
        let mut pace = Pace::of(crew);
        places.for_each_row(|row, first| {
            for y_at in row * places.columns..(row + 1) * places.columns {
                pace.count(2)?;
                let Some(index) = indices.resolve(y_at, places.axis_len) else {
                    return Err(indices.out_of_range(y_at, places.axis_len));
                };
                let column = y_at - row * places.columns;
                let x_at = first + column * places.step + index * places.axis_stride;
                copy_element(self.width_bytes, x, x_at, y, y_at);
            }
            Ok(())
        })
    }
}
