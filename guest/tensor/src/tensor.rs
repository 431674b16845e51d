//! Dense tensors, row-major, little-endian.

use std::fmt;

use crate::{DatumType, Element};

/// The highest rank a tensor may have.
pub const MAX_RANK: usize = 16;

/// A dense tensor with a name, as models take and give them.
pub type NamedTensor = (String, Tensor);

/// A dense tensor: elements row-major, little-endian.
///
/// Invariant: `data.len()` is the product of `dims` times the width of `datum_type`, and the rank is at
/// most [`MAX_RANK`].
#[derive(Clone, PartialEq)]
pub struct Tensor {
    datum_type: DatumType,
    dims: Vec<u32>,
    data: Vec<u8>,
}

impl Tensor {
    /// Makes a tensor of `data`, checking that it fits `dims`.
    ///
    /// # Errors
    /// If the rank is above [`MAX_RANK`], the product of the dims overflows, or `data` has another length.
    pub fn new(
        datum_type: DatumType,
        dims: Vec<u32>,
        data: Vec<u8>,
    ) -> Result<Self, InvalidTensor> {
        check_len(datum_type, &dims, data.len())?;
        Ok(Self {
            datum_type,
            dims,
            data,
        })
    }

    /// Makes a tensor of the elements of `values`.
    ///
    /// # Errors
    /// As [`Tensor::new`].
    pub fn from_values<T: Element>(dims: Vec<u32>, values: &[T]) -> Result<Self, InvalidTensor> {
        const {
            assert!(
                cfg!(target_endian = "little"),
                "a tensor's bytes are little-endian"
            )
        }
        Self::new(T::DATUM_TYPE, dims, bytemuck::cast_slice(values).to_vec())
    }

    /// Makes a tensor of zeros.
    ///
    /// # Errors
    /// If the rank is above [`MAX_RANK`] or the size in bytes overflows.
    pub fn zeros(datum_type: DatumType, dims: Vec<u32>) -> Result<Self, InvalidTensor> {
        let data = vec![0; data_len(datum_type, &dims)?];
        Ok(Self {
            datum_type,
            dims,
            data,
        })
    }

    /// Returns the type of the elements.
    pub fn datum_type(&self) -> DatumType {
        self.datum_type
    }

    /// Returns the sizes, outermost first; empty for a scalar.
    pub fn dims(&self) -> &[u32] {
        &self.dims
    }

    /// Returns the elements' bytes.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        self.data.len() / self.datum_type.width_bytes()
    }

    /// Reports whether a dim is zero, so that there are no elements.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Returns the elements, or `None` if the datum type is not that of `T`. Copies.
    pub fn to_values<T: Element>(&self) -> Option<Vec<T>> {
        (self.datum_type == T::DATUM_TYPE).then(|| bytemuck::pod_collect_to_vec(&self.data))
    }

    /// Takes the tensor apart.
    pub fn into_parts(self) -> (DatumType, Vec<u32>, Vec<u8>) {
        (self.datum_type, self.dims, self.data)
    }

    /// Returns the text of datum type and dims, such as `f32[1, 3, 224, 224]`.
    pub fn type_text(&self) -> String {
        type_text(self.datum_type, &self.dims)
    }
}

/// Shows the type and the number of bytes, not the elements.
impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({}, {} bytes)", self.type_text(), self.data.len())
    }
}

/// Why bytes and dims make no tensor.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTensor {
    /// The bytes are more or fewer than the dims say.
    #[error("expected {expected} bytes for {type_text}, found {found}")]
    Length {
        /// Datum type and dims, such as `f32[1, 3]`.
        type_text: String,
        /// What the dims ask for.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// The size in bytes does not fit the address space.
    #[error("expected dims whose product fits in memory, found {type_text}")]
    TooLarge {
        /// Datum type and dims.
        type_text: String,
    },
    /// There are more dims than [`MAX_RANK`].
    #[error("expected at most {MAX_RANK} dims, found {found}")]
    Rank {
        /// How many there are.
        found: usize,
    },
}

/// Checks that `data_len` bytes are a tensor of this type.
///
/// # Errors
/// As [`Tensor::new`].
pub fn check_len(datum_type: DatumType, dims: &[u32], found: usize) -> Result<(), InvalidTensor> {
    let expected = data_len(datum_type, dims)?;
    if expected == found {
        return Ok(());
    }
    Err(InvalidTensor::Length {
        type_text: type_text(datum_type, dims),
        expected,
        found,
    })
}

fn data_len(datum_type: DatumType, dims: &[u32]) -> Result<usize, InvalidTensor> {
    if dims.len() > MAX_RANK {
        return Err(InvalidTensor::Rank { found: dims.len() });
    }
    if dims.contains(&0) {
        return Ok(0);
    }
    dims.iter()
        .try_fold(datum_type.width_bytes(), |len, &dim| {
            len.checked_mul(usize::try_from(dim).ok()?)
        })
        .filter(|&len| isize::try_from(len).is_ok())
        .ok_or_else(|| InvalidTensor::TooLarge {
            type_text: type_text(datum_type, dims),
        })
}

fn type_text(datum_type: DatumType, dims: &[u32]) -> String {
    let dims: Vec<String> = dims.iter().map(u32::to_string).collect();
    format!("{datum_type}[{}]", dims.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back() {
        let tensor =
            Tensor::from_values(vec![2, 2], &[1.0f32, -2.0, f32::MIN_POSITIVE, 4.0]).unwrap();
        assert_eq!(
            tensor.to_values(),
            Some(vec![1.0f32, -2.0, f32::MIN_POSITIVE, 4.0])
        );
        assert_eq!(
            tensor.to_values::<i32>(),
            None,
            "another datum type is not reinterpreted"
        );
        assert_eq!(tensor.type_text(), "f32[2, 2]");
    }

    #[test]
    fn bytes_that_do_not_match_dims_are_refused() {
        let error = Tensor::new(DatumType::I64, vec![3], vec![0; 23]).unwrap_err();
        assert_eq!(error.to_string(), "expected 24 bytes for i64[3], found 23");
    }

    #[test]
    fn a_scalar_has_one_element_and_a_zero_dim_none() {
        assert_eq!(Tensor::from_values(vec![], &[7i64]).unwrap().len(), 1);
        assert!(
            Tensor::zeros(DatumType::F32, vec![3, 0, u32::MAX, u32::MAX])
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn huge_dims_are_refused_without_allocating() {
        let error = Tensor::zeros(DatumType::F32, vec![u32::MAX; 3]).unwrap_err();
        assert!(matches!(error, InvalidTensor::TooLarge { .. }), "{error}");
        let error = Tensor::new(DatumType::F32, vec![u32::MAX; 3], vec![]).unwrap_err();
        assert!(matches!(error, InvalidTensor::TooLarge { .. }), "{error}");
    }

    #[test]
    fn rank_is_limited() {
        assert!(Tensor::zeros(DatumType::U8, vec![1; MAX_RANK]).is_ok());
        let error = Tensor::zeros(DatumType::U8, vec![1; MAX_RANK + 1]).unwrap_err();
        assert_eq!(error.to_string(), "expected at most 16 dims, found 17");
    }
}
