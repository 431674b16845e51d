//! Tensors of ours as tract's, and back.

use tensorlet_tensor::{DatumType, InvalidTensor, Tensor};
use tract_onnx::prelude::{self as tract, TractResult};
use tract_onnx::tract_core::internal::bail;

/// Returns tract's datum type of the same elements, if it has one.
pub fn datum_type_to_tract(datum_type: DatumType) -> Option<tract::DatumType> {
    Some(match datum_type {
        DatumType::Bool => tract::DatumType::Bool,
        DatumType::U8 => tract::DatumType::U8,
        DatumType::U16 => tract::DatumType::U16,
        DatumType::U32 => tract::DatumType::U32,
        DatumType::U64 => tract::DatumType::U64,
        DatumType::I8 => tract::DatumType::I8,
        DatumType::I16 => tract::DatumType::I16,
        DatumType::I32 => tract::DatumType::I32,
        DatumType::I64 => tract::DatumType::I64,
        DatumType::F16 => tract::DatumType::F16,
        DatumType::Bf16 => return None,
        DatumType::F32 => tract::DatumType::F32,
        DatumType::F64 => tract::DatumType::F64,
    })
}

/// Returns the datum type that callers see for one of tract's, if there is one.
///
/// Dims are `i64` to callers; quantised numbers are the integers that carry them.
pub fn datum_type_from_tract(datum_type: tract::DatumType) -> Option<DatumType> {
    Some(match datum_type.unquantized() {
        tract::DatumType::Bool => DatumType::Bool,
        tract::DatumType::U8 => DatumType::U8,
        tract::DatumType::U16 => DatumType::U16,
        tract::DatumType::U32 => DatumType::U32,
        tract::DatumType::U64 => DatumType::U64,
        tract::DatumType::I8 => DatumType::I8,
        tract::DatumType::I16 => DatumType::I16,
        tract::DatumType::I32 => DatumType::I32,
        tract::DatumType::I64 | tract::DatumType::TDim => DatumType::I64,
        tract::DatumType::F16 => DatumType::F16,
        tract::DatumType::F32 => DatumType::F32,
        tract::DatumType::F64 => DatumType::F64,
        _ => return None,
    })
}

/// Copies a tensor into one of tract's.
///
/// # Errors
/// If tract has no such datum type, or memory is short.
pub fn to_tract(tensor: &Tensor) -> TractResult<tract::Tensor> {
    let dims: Vec<usize> = tensor.dims().iter().map(|&dim| dim as usize).collect();
    slice_to_tract(tensor.datum_type(), &dims, tensor.data())
}

/// Copies row-major elements into one of tract's tensors.
///
/// # Errors
/// If there are more or fewer bytes than the dims say, tract has no such datum type, or memory is short.
#[expect(
    unsafe_code,
    reason = "tract has no safe way to make a tensor of a datum type known at run time"
)]
pub(crate) fn slice_to_tract(
    datum_type: DatumType,
    dims: &[usize],
    bytes: &[u8],
) -> TractResult<tract::Tensor> {
    let Some(tract_type) = datum_type_to_tract(datum_type) else {
        bail!("tensors of {datum_type} are not computed with yet");
    };
    let expected = dims
        .iter()
        .try_fold(datum_type.width_bytes(), |product, &dim| {
            product.checked_mul(dim)
        });
    if expected != Some(bytes.len()) {
        bail!(
            "expected as many bytes as {datum_type}{dims:?} has, found {}",
            bytes.len()
        );
    }
    if datum_type == DatumType::Bool {
        let bools: Vec<bool> = bytes.iter().map(|&byte| byte != 0).collect();
        return tract::Tensor::from_shape(dims, &bools);
    }
    // SAFETY: there are as many bytes as dims and datum type say. Of the datum types that remain, numbers all, every
    // pattern of bits is a value.
    unsafe { tract::Tensor::from_raw_dt(tract_type, dims, bytes) }
}

/// Copies one of tract's tensors into memory for a tensor of known type.
///
/// # Errors
/// If it has another type.
pub(crate) fn copy_from_tract(
    tensor: &tract::Tensor,
    datum_type: DatumType,
    dims: &[usize],
    bytes: &mut [u8],
) -> TractResult<()> {
    let found_type = datum_type_from_tract(tensor.datum_type());
    if found_type != Some(datum_type) || tensor.shape() != dims {
        bail!(
            "expected {datum_type}{dims:?} from tract, found {:?}{:?}",
            tensor.datum_type(),
            tensor.shape()
        );
    }
    let integers;
    let found = match tensor.datum_type() {
        tract::DatumType::TDim => {
            integers = tensor.cast_to::<i64>()?;
            integers.as_bytes()
        }
        _ => tensor.as_bytes(),
    };
    if found.len() != bytes.len() {
        bail!("expected {} bytes, found {}", bytes.len(), found.len());
    }
    bytes.copy_from_slice(found);
    Ok(())
}

/// Copies one of tract's tensors.
///
/// # Errors
/// If callers have no such datum type, a symbolic dim has no value, or the tensor is too large.
pub fn from_tract(tensor: &tract::Tensor) -> TractResult<Tensor> {
    let Some(datum_type) = datum_type_from_tract(tensor.datum_type()) else {
        bail!(
            "expected numbers or bools, found elements of {:?}",
            tensor.datum_type()
        );
    };
    let dims = tensor
        .shape()
        .iter()
        .map(|&dim| u32::try_from(dim))
        .collect::<Result<_, _>>()?;
    let data = if tensor.datum_type() == tract::DatumType::TDim {
        tensor.cast_to::<i64>()?.as_bytes().to_vec()
    } else {
        tensor.as_bytes().to_vec()
    };
    Tensor::new(datum_type, dims, data).map_err(|error: InvalidTensor| error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_datum_type_comes_back() {
        for datum_type in DatumType::ALL
            .into_iter()
            .filter(|&datum_type| datum_type != DatumType::Bf16)
        {
            let data = (0..6 * datum_type.width_bytes())
                .map(|byte| (byte % 2) as u8)
                .collect();
            let tensor = Tensor::new(datum_type, vec![2, 3], data).unwrap();
            assert_eq!(from_tract(&to_tract(&tensor).unwrap()).unwrap(), tensor);
        }
    }

    #[test]
    fn any_byte_but_zero_is_true() {
        let tensor = Tensor::new(DatumType::Bool, vec![3], vec![0, 1, 255]).unwrap();
        assert_eq!(
            from_tract(&to_tract(&tensor).unwrap()).unwrap().data(),
            [0, 1, 1]
        );
    }

    #[test]
    fn bytes_that_do_not_fit_the_dims_are_refused() {
        assert!(slice_to_tract(DatumType::F32, &[2], &[0; 7]).is_err());
        assert!(slice_to_tract(DatumType::Bf16, &[1], &[0; 2]).is_err());
        assert!(slice_to_tract(DatumType::F32, &[usize::MAX, 2], &[]).is_err());
    }

    #[test]
    fn only_tensors_of_the_expected_type_are_copied_out() {
        let tensor = tract_onnx::prelude::tensor1(&[1.0f32, 2.0]);
        let mut bytes = [0; 8];
        copy_from_tract(&tensor, DatumType::F32, &[2], &mut bytes).unwrap();
        assert_eq!(bytes[4..], 2f32.to_le_bytes());
        let error = copy_from_tract(&tensor, DatumType::F32, &[1, 2], &mut bytes).unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected f32[1, 2] from tract, found F32[2]"
        );
        assert!(copy_from_tract(&tensor, DatumType::I32, &[2], &mut bytes).is_err());
        assert!(copy_from_tract(&tensor, DatumType::F32, &[2], &mut [0; 4]).is_err());

        let dim = tract::tensor0(tract_onnx::prelude::TDim::from(7));
        copy_from_tract(&dim, DatumType::I64, &[], &mut bytes).unwrap();
        assert_eq!(i64::from_le_bytes(bytes), 7);
    }

    #[test]
    fn dims_are_integers_to_callers() {
        let dim = tract::tensor0(tract_onnx::prelude::TDim::from(7));
        assert_eq!(from_tract(&dim).unwrap().to_values(), Some(vec![7i64]));
    }
}
