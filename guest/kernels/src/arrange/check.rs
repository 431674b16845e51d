//! What the families that move elements check alike when they bind.

use tensorlet_plan::Layout;
use tensorlet_tensor::MAX_RANK;

use crate::bind::Types;
use crate::run::BindError;
use crate::tensor_type::{BLOCK, TensorType};

/// An error that says what was expected and which tensor was found.
pub(crate) fn mismatch(expected: &str, found: &TensorType) -> BindError {
    BindError::new(format!("expected {expected}, found {found}"))
}

/// Checks the numbers of tensors, and that their ranks are in range.
pub(crate) fn counts(types: Types<'_>, inputs: usize, outputs: usize) -> Result<(), BindError> {
    let found = (types.inputs.len(), types.outputs.len());
    if found != (inputs, outputs) {
        return Err(BindError::new(format!(
            "expected {inputs} inputs and {outputs} outputs, found {} and {}",
            found.0, found.1
        )));
    }
    types
        .inputs
        .iter()
        .chain(types.outputs)
        .try_for_each(check_rank)
}

/// Checks that a rank is in range.
pub(crate) fn check_rank(tensor: &TensorType) -> Result<(), BindError> {
    if tensor.dims.len() > MAX_RANK {
        return Err(mismatch("at most 16 axes", tensor));
    }
    Ok(())
}

/// Checks that tensors are row-major.
pub(crate) fn plain(tensors: &[&TensorType]) -> Result<(), BindError> {
    match tensors.iter().find(|tensor| tensor.layout != Layout::Plain) {
        Some(tensor) => Err(mismatch("a row-major tensor", tensor)),
        None => Ok(()),
    }
}

/// Returns the input and the output of a kernel that has one of each, after checking that they have the same datum type and are
/// row-major.
pub(crate) fn one_to_one<'a>(
    types: Types<'a>,
) -> Result<(&'a TensorType, &'a TensorType), BindError> {
    counts(types, 1, 1)?;
    let (x, y) = (&types.inputs[0], &types.outputs[0]);
    plain(&[x, y])?;
    same_datum_type(x, y)?;
    Ok((x, y))
}

/// Checks that two tensors have the same datum type.
pub(crate) fn same_datum_type(x: &TensorType, y: &TensorType) -> Result<(), BindError> {
    if x.datum_type != y.datum_type {
        return Err(BindError::new(format!(
            "expected tensors of the same datum type, found {x} and {y}"
        )));
    }
    Ok(())
}

/// Checks the dims of a tensor.
pub(crate) fn dims(tensor: &TensorType, expected: &[usize]) -> Result<(), BindError> {
    if tensor.dims != expected {
        return Err(BindError::new(format!(
            "expected dims {expected:?}, found {tensor}"
        )));
    }
    Ok(())
}

/// Checks that an axis is one of a tensor's.
pub(crate) fn axis(axis: u32, tensor: &TensorType) -> Result<usize, BindError> {
    let found = axis as usize;
    if found >= tensor.dims.len() {
        return Err(BindError::new(format!(
            "expected an axis of {tensor}, found axis {axis}"
        )));
    }
    Ok(found)
}

/// Returns the product of dims. It is exact for the dims of a tensor that has elements, and for any part of them.
pub(crate) fn product(dims: &[usize]) -> usize {
    dims.iter()
        .fold(1, |product: usize, &dim| product.saturating_mul(dim))
}

/// The dims of a tensor as an axis divides them: how many parts there are, how many elements along the axis each has, and how
/// many elements lie between two of these.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Split {
    pub(crate) outer: usize,
    pub(crate) len: usize,
    pub(crate) inner: usize,
}

impl Split {
    pub(crate) fn new(dims: &[usize], axis: usize) -> Self {
        Self {
            outer: product(&dims[..axis]),
            len: dims[axis],
            inner: product(&dims[axis + 1..]),
        }
    }
}

/// Returns the sizes of a tensor as it lies in memory, row-major whatever the layout.
pub(crate) fn stored_dims(tensor: &TensorType) -> Vec<usize> {
    let mut dims = tensor.dims.clone();
    if tensor.layout == Layout::Blocked {
        dims[1] = tensor.blocks();
        dims.push(BLOCK);
    }
    dims
}

/// Returns the distances of elements along the axes of a row-major tensor that has elements.
pub(crate) fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; dims.len()];
    for axis in (1..dims.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(dims[axis]);
    }
    strides
}
