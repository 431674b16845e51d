//! Indices as tensors hold them.

use tensorlet_tensor::DatumType;

use crate::arrange::check;
use crate::arrange::number::from_either_end;
use crate::run::{BindError, RunError};
use crate::tensor_type::TensorType;

/// How indices are stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum IndexType {
    I32,
    I64,
}

impl IndexType {
    /// Returns how a tensor stores indices.
    ///
    /// # Errors
    /// If it is of another datum type.
    pub(crate) fn of(tensor: &TensorType) -> Result<Self, BindError> {
        match tensor.datum_type {
            DatumType::I32 => Ok(Self::I32),
            DatumType::I64 => Ok(Self::I64),
            _ => Err(check::mismatch("indices as i32 or i64", tensor)),
        }
    }

    /// Reads a tensor.
    ///
    /// # Panics
    /// If the bytes are not whole, aligned elements.
    pub(crate) fn read(self, bytes: &[u8]) -> Indices<'_> {
        match self {
            // Nothing lies at no place in particular.
            _ if bytes.is_empty() => Indices::I32(&[]),
            Self::I32 => Indices::I32(bytemuck::cast_slice(bytes)),
            Self::I64 => Indices::I64(bytemuck::cast_slice(bytes)),
        }
    }
}

/// The indices of a tensor.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Indices<'a> {
    I32(&'a [i32]),
    I64(&'a [i64]),
}

impl Indices<'_> {
    /// Returns an index as it is written.
    pub(crate) fn at(self, element: usize) -> i64 {
        match self {
            Self::I32(indices) => i64::from(indices[element]),
            Self::I64(indices) => indices[element],
        }
    }

    /// Returns an index that counts from the end if it is negative, or `None` if it is out of range.
    #[inline]
    pub(crate) fn resolve(self, element: usize, len: usize) -> Option<usize> {
        from_either_end(self.at(element), len)
    }

    /// The error of an index that is out of range.
    #[cold]
    pub(crate) fn out_of_range(self, element: usize, len: usize) -> RunError {
        RunError::new(format!(
            "expected an index of an axis of size {len}, found {}",
            self.at(element)
        ))
    }
}
