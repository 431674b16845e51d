//! Values as tensors of tract's, and back.

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::prelude::{DatumType, TDim, Tensor, tensor1};

use crate::rewrite::tensors;
use crate::rewrite::value::{MAX_ELEMENTS, Number, Value};

/// Returns tract's datum type for one of ours, if it has that.
pub(super) fn to_tract(datum_type: tensorlet_tensor::DatumType) -> Option<DatumType> {
    use tensorlet_tensor::DatumType as Own;
    Some(match datum_type {
        Own::Bool => DatumType::Bool,
        Own::U8 => DatumType::U8,
        Own::U16 => DatumType::U16,
        Own::U32 => DatumType::U32,
        Own::U64 => DatumType::U64,
        Own::I8 => DatumType::I8,
        Own::I16 => DatumType::I16,
        Own::I32 => DatumType::I32,
        Own::I64 => DatumType::I64,
        Own::F16 => DatumType::F16,
        Own::Bf16 => return None,
        Own::F32 => DatumType::F32,
        Own::F64 => DatumType::F64,
    })
}

/// Returns a tensor of tract's as a value, if it is small and of a type that shapes are computed in.
pub(super) fn imported(tensor: &Tensor) -> Option<Value> {
    if tensor.len() > MAX_ELEMENTS {
        return None;
    }
    let data_type = tensors::data_type_of(tensor.datum_type())?;
    if !matches!(
        data_type,
        DataType::Int64 | DataType::Int32 | DataType::Bool
    ) {
        return None;
    }
    let dims = tensor.cast_to::<TDim>().ok()?;
    let dims = dims.try_as_plain_ram().ok()?.as_slice::<TDim>().ok()?;
    let elements = dims
        .iter()
        .map(|dim| Some(Number::dim(dim.clone())))
        .collect();
    Value::new(data_type, tensor.shape().to_vec(), elements)
}

/// Returns a value as a tensor of tract's, of integers where the rules say so, else of dims.
pub(super) fn exported(value: &Value, datum_type: Option<DatumType>) -> Option<Tensor> {
    let dims = value.expressions()?;
    match value.data_type() {
        DataType::Int64 if datum_type == Some(DatumType::I64) && value.integers().is_some() => {
            Tensor::from_shape(value.dims(), &value.integers()?).ok()
        }
        DataType::Int64 => tensor1(&dims).into_shape(value.dims()).ok(),
        DataType::Int32 => {
            let numbers: Option<Vec<i32>> = dims
                .iter()
                .map(|dim| i32::try_from(dim.as_i64()?).ok())
                .collect();
            Tensor::from_shape(value.dims(), &numbers?).ok()
        }
        DataType::Bool => {
            let bools: Option<Vec<bool>> =
                dims.iter().map(|dim| Some(dim.as_i64()? != 0)).collect();
            Tensor::from_shape(value.dims(), &bools?).ok()
        }
        _ => None,
    }
}
