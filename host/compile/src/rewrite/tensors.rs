//! Tensors inside a model: their size, and those that are small integers.

use tract_onnx::pb::TensorProto;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::prelude::{DatumType, Tensor};

use super::value::{MAX_ELEMENTS, Number, Value};

/// Returns ONNX's data type of a tensor, if it has one that exists.
pub(crate) fn data_type(tensor: &TensorProto) -> Option<DataType> {
    DataType::try_from(tensor.data_type).ok()
}

/// The data types that have a name here, such as `f32`.
const NAMES: [(DataType, &str); 14] = [
    (DataType::Bool, "bool"),
    (DataType::Uint8, "u8"),
    (DataType::Uint16, "u16"),
    (DataType::Uint32, "u32"),
    (DataType::Uint64, "u64"),
    (DataType::Int8, "i8"),
    (DataType::Int16, "i16"),
    (DataType::Int32, "i32"),
    (DataType::Int64, "i64"),
    (DataType::Float16, "f16"),
    (DataType::Bfloat16, "bf16"),
    (DataType::Float, "f32"),
    (DataType::Double, "f64"),
    (DataType::String, "string"),
];

/// Returns a data type's name, as in Rust where that has the type.
pub(crate) fn name(data_type: DataType) -> &'static str {
    let known = NAMES.iter().find(|(known, _)| *known == data_type);
    known.map_or(data_type.as_str_name(), |(_, name)| name)
}

/// Returns the data type of that name.
#[cfg(test)]
pub(super) fn from_name(name: &str) -> Option<DataType> {
    NAMES
        .iter()
        .find(|(_, known)| *known == name)
        .map(|(data_type, _)| *data_type)
}

/// Returns the width of an element in bytes; `None` for strings, which have none, and for unknown types.
pub(crate) fn width_bytes(data_type: DataType) -> Option<u64> {
    Some(match data_type {
        DataType::Bool | DataType::Uint8 | DataType::Int8 => 1,
        DataType::Float8e4m3fn | DataType::Float8e4m3fnuz => 1,
        DataType::Float8e5m2 | DataType::Float8e5m2fnuz => 1,
        DataType::Uint16 | DataType::Int16 | DataType::Float16 | DataType::Bfloat16 => 2,
        DataType::Uint32 | DataType::Int32 | DataType::Float => 4,
        DataType::Uint64 | DataType::Int64 | DataType::Double | DataType::Complex64 => 8,
        DataType::Complex128 => 16,
        _ => return None,
    })
}

/// Returns how many elements dims make, if that is a number.
pub(crate) fn element_count(dims: &[i64]) -> Option<u64> {
    let sizes = dims.iter().map(|&dim| u64::try_from(dim).ok());
    sizes
        .into_iter()
        .try_fold(1u64, |count, size| count.checked_mul(size?))
}

/// Returns the size of a tensor in bytes by its dims; for strings, their number.
pub(crate) fn size_bytes(tensor: &TensorProto) -> Option<u64> {
    let width = data_type(tensor).and_then(width_bytes).unwrap_or(1);
    element_count(&tensor.dims)?.checked_mul(width)
}

/// Returns how many elements the data of a tensor holds, in whichever field it lies; `None` if that cannot
/// be told by counting.
pub(crate) fn stored_count(tensor: &TensorProto) -> Option<u64> {
    let data_type = data_type(tensor)?;
    if data_type == DataType::String {
        return Some(tensor.string_data.len() as u64);
    }
    let width = width_bytes(data_type)?;
    if !tensor.raw_data.is_empty() {
        let len = tensor.raw_data.len() as u64;
        return len.is_multiple_of(width).then_some(len / width);
    }
    let count = match data_type {
        DataType::Float => tensor.float_data.len(),
        DataType::Complex64 => tensor.float_data.len() / 2,
        DataType::Double => tensor.double_data.len(),
        DataType::Complex128 => tensor.double_data.len() / 2,
        DataType::Int64 => tensor.int64_data.len(),
        DataType::Uint32 | DataType::Uint64 => tensor.uint64_data.len(),
        _ => tensor.int32_data.len(),
    };
    Some(count as u64)
}

/// Makes a tensor of i64.
pub(crate) fn new_i64(name: &str, dims: &[usize], elements: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.iter().map(|&dim| dim as i64).collect(),
        data_type: DataType::Int64 as i32,
        raw_data: elements
            .iter()
            .flat_map(|element| element.to_le_bytes())
            .collect(),
        ..TensorProto::default()
    }
}

/// Makes a tensor of one of tract's, with the datum type that `wanted` says where tract has its own.
pub(super) fn from_tract(
    name: &str,
    tensor: &Tensor,
    wanted: Option<DataType>,
) -> Option<TensorProto> {
    let tensor = match tensor.datum_type() {
        DatumType::TDim => tensor.cast_to::<i64>().ok()?.into_owned(),
        _ => tensor.clone(),
    };
    let data_type = data_type_of(tensor.datum_type())?;
    if wanted.is_some_and(|wanted| wanted != data_type) {
        return None;
    }
    Some(TensorProto {
        name: name.into(),
        dims: tensor.shape().iter().map(|&dim| dim as i64).collect(),
        data_type: data_type as i32,
        raw_data: tensor.as_bytes().to_vec(),
        ..TensorProto::default()
    })
}

/// Returns ONNX's data type for one of tract's.
pub(crate) fn data_type_of(datum_type: DatumType) -> Option<DataType> {
    Some(match datum_type {
        DatumType::Bool => DataType::Bool,
        DatumType::U8 => DataType::Uint8,
        DatumType::U16 => DataType::Uint16,
        DatumType::U32 => DataType::Uint32,
        DatumType::U64 => DataType::Uint64,
        DatumType::I8 => DataType::Int8,
        DatumType::I16 => DataType::Int16,
        DatumType::I32 => DataType::Int32,
        DatumType::I64 | DatumType::TDim => DataType::Int64,
        DatumType::F16 => DataType::Float16,
        DatumType::F32 => DataType::Float,
        DatumType::F64 => DataType::Double,
        _ => return None,
    })
}

/// Reads a small tensor of numbers as a value whose elements are all known.
pub(crate) fn to_value(tensor: &TensorProto) -> Option<Value> {
    let count = element_count(&tensor.dims)?;
    if count > MAX_ELEMENTS as u64 || stored_count(tensor)? != count {
        return None;
    }
    let data_type = data_type(tensor)?;
    let raw = &tensor.raw_data;
    let numbers: Vec<Option<Number>> = match data_type {
        DataType::Int64 if raw.is_empty() => integers(&tensor.int64_data),
        DataType::Int64 => integers(&words(raw, i64::from_le_bytes)),
        DataType::Int32 if raw.is_empty() => integers(&tensor.int32_data),
        DataType::Int32 => integers(&words(raw, i32::from_le_bytes)),
        DataType::Bool | DataType::Uint8 if raw.is_empty() => integers(&tensor.int32_data),
        DataType::Bool | DataType::Uint8 => integers(raw),
        DataType::Float if raw.is_empty() => floats(&tensor.float_data),
        DataType::Float => floats(&words(raw, f32::from_le_bytes)),
        _ => return None,
    };
    let dims = tensor.dims.iter().map(|&dim| usize::try_from(dim).ok());
    Value::new(data_type, dims.collect::<Option<_>>()?, numbers)
}

/// Writes a value whose elements are all numbers.
pub(super) fn from_value(name: &str, value: &Value) -> Option<TensorProto> {
    let numbers = value.numbers()?;
    let mut tensor = new_i64(name, value.dims(), &[]);
    tensor.data_type = value.data_type() as i32;
    tensor.raw_data = match value.data_type() {
        DataType::Int64 => bytes(&numbers, |n| n.as_i64().map(i64::to_le_bytes))?,
        DataType::Int32 => {
            let to_i32 = |n: &Number| i32::try_from(n.as_i64()?).ok();
            bytes(&numbers, |n| to_i32(n).map(i32::to_le_bytes))?
        }
        DataType::Bool => bytes(&numbers, |n| n.as_i64().map(|n| [u8::from(n != 0)]))?,
        DataType::Float => bytes(&numbers, |n| n.as_f32().map(f32::to_le_bytes))?,
        _ => return None,
    };
    Some(tensor)
}

fn integers<T: Copy + Into<i64>>(elements: &[T]) -> Vec<Option<Number>> {
    let numbers = elements
        .iter()
        .map(|&element| Number::integer(element.into()));
    numbers.map(Some).collect()
}

fn floats(elements: &[f32]) -> Vec<Option<Number>> {
    elements
        .iter()
        .map(|&element| Number::float(element))
        .collect()
}

fn words<const W: usize, T>(raw: &[u8], read: impl Fn([u8; W]) -> T) -> Vec<T> {
    raw.as_chunks().0.iter().map(|&word| read(word)).collect()
}

fn bytes<const W: usize>(
    numbers: &[&Number],
    write: impl Fn(&Number) -> Option<[u8; W]>,
) -> Option<Vec<u8>> {
    let words: Option<Vec<[u8; W]>> = numbers.iter().map(|number| write(number)).collect();
    Some(words?.into_flattened())
}
