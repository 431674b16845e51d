//! Tensors of a model as the bytes and numbers that kernels take.

use std::borrow::Cow;

use half::{bf16, f16};
use tensorlet_tensor::DatumType;
use tract_onnx::pb::TensorProto;
use tract_onnx::pb::tensor_proto::DataType;

use crate::rewrite::tensors::{data_type, element_count, stored_count};

/// Returns the datum type for one of ONNX's; `None` for those that no tensor here has.
pub(super) fn datum_type(data_type: DataType) -> Option<DatumType> {
    Some(match data_type {
        DataType::Bool => DatumType::Bool,
        DataType::Uint8 => DatumType::U8,
        DataType::Uint16 => DatumType::U16,
        DataType::Uint32 => DatumType::U32,
        DataType::Uint64 => DatumType::U64,
        DataType::Int8 => DatumType::I8,
        DataType::Int16 => DatumType::I16,
        DataType::Int32 => DatumType::I32,
        DataType::Int64 => DatumType::I64,
        DataType::Float16 => DatumType::F16,
        DataType::Bfloat16 => DatumType::Bf16,
        DataType::Float => DatumType::F32,
        DataType::Double => DatumType::F64,
        _ => return None,
    })
}

/// Returns the datum type of an ONNX enum value, such as the attribute `to` of `Cast`.
pub(super) fn datum_type_of(value: i64) -> Option<DatumType> {
    datum_type(DataType::try_from(i32::try_from(value).ok()?).ok()?)
}

/// Returns the datum type and dims of a tensor that holds as many elements as it says.
pub(super) fn type_of(tensor: &TensorProto) -> Option<(DatumType, Vec<usize>)> {
    let datum_type = datum_type(data_type(tensor)?)?;
    let dims = tensor.dims.iter().map(|&dim| usize::try_from(dim).ok());
    let count = element_count(&tensor.dims)?;
    (stored_count(tensor)? == count).then_some((datum_type, dims.collect::<Option<_>>()?))
}

/// Returns the elements' bytes, little-endian.
pub(super) fn bytes(tensor: &TensorProto) -> Option<Cow<'_, [u8]>> {
    if !tensor.raw_data.is_empty() {
        return Some(Cow::Borrowed(&tensor.raw_data));
    }
    let narrow = |width: usize| -> Vec<u8> {
        let words = tensor.int32_data.iter();
        words
            .flat_map(|word| word.to_le_bytes()[..width].to_vec())
            .collect()
    };
    Some(Cow::Owned(match datum_type(data_type(tensor)?)? {
        DatumType::Bool | DatumType::U8 | DatumType::I8 => narrow(1),
        DatumType::U16 | DatumType::I16 | DatumType::F16 | DatumType::Bf16 => narrow(2),
        DatumType::I32 => narrow(4),
        DatumType::U32 => {
            let words = tensor.uint64_data.iter();
            words
                .flat_map(|word| word.to_le_bytes()[..4].to_vec())
                .collect()
        }
        DatumType::U64 => flat(&tensor.uint64_data, |word| word.to_le_bytes()),
        DatumType::I64 => flat(&tensor.int64_data, |word| word.to_le_bytes()),
        DatumType::F32 => flat(&tensor.float_data, |word| word.to_le_bytes()),
        DatumType::F64 => flat(&tensor.double_data, |word| word.to_le_bytes()),
    }))
}

/// Returns the elements of a tensor of floats as f32.
pub(super) fn floats(tensor: &TensorProto) -> Option<Vec<f32>> {
    let bytes = bytes(tensor)?;
    Some(match datum_type(data_type(tensor)?)? {
        DatumType::F32 => words(&bytes, f32::from_le_bytes),
        DatumType::F16 => words(&bytes, |word| f16::from_le_bytes(word).to_f32()),
        DatumType::Bf16 => words(&bytes, |word| bf16::from_le_bytes(word).to_f32()),
        DatumType::F64 => words(&bytes, |word| f64::from_le_bytes(word) as f32),
        _ => return None,
    })
}

/// Returns the elements of a tensor of integers or bools.
pub(super) fn integers(tensor: &TensorProto) -> Option<Vec<i64>> {
    let bytes = bytes(tensor)?;
    Some(match datum_type(data_type(tensor)?)? {
        DatumType::Bool | DatumType::U8 => words(&bytes, |[byte]| byte.into()),
        DatumType::I8 => words(&bytes, |word| i8::from_le_bytes(word).into()),
        DatumType::U16 => words(&bytes, |word| u16::from_le_bytes(word).into()),
        DatumType::I16 => words(&bytes, |word| i16::from_le_bytes(word).into()),
        DatumType::U32 => words(&bytes, |word| u32::from_le_bytes(word).into()),
        DatumType::I32 => words(&bytes, |word| i32::from_le_bytes(word).into()),
        DatumType::I64 => words(&bytes, i64::from_le_bytes),
        _ => return None,
    })
}

/// Returns the bytes of f32 elements.
pub(super) fn f32_bytes(elements: &[f32]) -> Vec<u8> {
    flat(elements, |element| element.to_le_bytes())
}

fn flat<T: Copy, const W: usize>(elements: &[T], write: impl Fn(T) -> [u8; W]) -> Vec<u8> {
    elements
        .iter()
        .flat_map(|&element| write(element))
        .collect()
}

fn words<const W: usize, T>(bytes: &[u8], read: impl Fn([u8; W]) -> T) -> Vec<T> {
    bytes.as_chunks().0.iter().map(|&word| read(word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(data_type: DataType, count: i64) -> TensorProto {
        TensorProto {
            data_type: data_type as i32,
            dims: vec![count],
            ..TensorProto::default()
        }
    }

    #[test]
    fn elements_are_found_wherever_they_lie() {
        let mut half = tensor(DataType::Float16, 2);
        half.int32_data = vec![0x3c00, 0xc000];
        assert_eq!(type_of(&half), Some((DatumType::F16, vec![2])));
        assert_eq!(floats(&half), Some(vec![1.0, -2.0]));
        half.raw_data = vec![0, 0x3c, 0, 0x40];
        half.int32_data.clear();
        assert_eq!(floats(&half), Some(vec![1.0, 2.0]));
        let mut bytes = tensor(DataType::Int8, 2);
        bytes.int32_data = vec![-1, 7];
        assert_eq!(integers(&bytes), Some(vec![-1, 7]));
        let mut words = tensor(DataType::Uint32, 1);
        words.uint64_data = vec![0xffff_ffff];
        assert_eq!(integers(&words), Some(vec![0xffff_ffff]));
    }

    #[test]
    fn a_tensor_that_contradicts_itself_has_no_type() {
        let mut short = tensor(DataType::Float, 3);
        short.float_data = vec![1.0];
        assert_eq!(type_of(&short), None);
        assert_eq!(type_of(&tensor(DataType::String, 0)), None);
    }
}
