//! Fixes, names and binds the inputs of a model.

use std::collections::{BTreeMap, BTreeSet};

use tensorlet_tensor::{DatumType, Dim, TensorSpec};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    GraphProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

use crate::error::{CompileError, CompileErrorKind};
use crate::literal::Literal;

/// The name of an unnamed axis 0, which counts rows.
const BATCH_SYMBOL: &str = "N";

/// Gives every input of the graph the dims that calls will see, and makes bound ones initializers.
///
/// Dims are those of `specs`; else the model's own numbers and names; else `N` for axis 0 and
/// `<input>_dim<axis>` for others.
///
/// # Errors
/// If a spec or bound value names no input, or differs from what the model says of it.
pub(crate) fn resolve(
    graph: &mut GraphProto,
    specs: &[TensorSpec],
    bind: &BTreeMap<String, Literal>,
) -> Result<(), CompileError> {
    let initialized: BTreeSet<&str> = graph
        .initializer
        .iter()
        .map(|tensor| tensor.name.as_str())
        .collect();
    let (defaults, inputs): (Vec<_>, Vec<_>) = std::mem::take(&mut graph.input)
        .into_iter()
        .partition(|input| initialized.contains(input.name.as_str()));
    drop(defaults);
    check_names(
        &inputs,
        specs
            .iter()
            .map(|spec| spec.name.as_str())
            .chain(bind.keys().map(String::as_str)),
    )?;

    for mut input in inputs {
        if let Some(literal) = bind.get(&input.name) {
            graph.initializer.push(bound(&input, literal)?);
            continue;
        }
        let spec = specs.iter().find(|spec| spec.name == input.name);
        let (datum_type, dims) = match spec {
            Some(spec) => (spec.datum_type, overridden(&input, spec)?),
            None => (datum_type(&input)?, declared(&input)?),
        };
        input.r#type = Some(tensor_type(datum_type, &dims));
        graph.input.push(input);
    }
    Ok(())
}

fn check_names<'a>(
    inputs: &[ValueInfoProto],
    names: impl Iterator<Item = &'a str>,
) -> Result<(), CompileError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !inputs.iter().any(|input| input.name == name) {
            let inputs: Vec<String> = inputs
                .iter()
                .map(|input| format!("`{}`", input.name))
                .collect();
            let inputs = if inputs.is_empty() {
                "a model without inputs".into()
            } else {
                inputs.join(", ")
            };
            return Err(invalid(format!(
                "input `{name}`: expected one of the model's inputs, found {inputs}"
            )));
        }
        if !seen.insert(name) {
            return Err(invalid(format!(
                "input `{name}`: expected to be fixed or bound once, found more than once"
            )));
        }
    }
    Ok(())
}

fn bound(input: &ValueInfoProto, literal: &Literal) -> Result<TensorProto, CompileError> {
    let name = &input.name;
    let (dims, raw_data) = literal
        .to_bytes(datum_type(input)?)
        .map_err(|reason| invalid(format!("input `{name}`, bound to `{literal}`: {reason}")))?;
    if let Some(shape) = shape(input) {
        let fits = |(dim, size): (&Dimension, &i64)| match dim.value {
            Some(dimension::Value::DimValue(value)) if value >= 0 => value == *size,
            _ => true,
        };
        if shape.dim.len() != dims.len() || !shape.dim.iter().zip(&dims).all(fits) {
            let declared = dims_text(shape);
            return Err(invalid(format!(
                "input `{name}`, bound to `{literal}`: expected dims {declared}, found {dims:?}"
            )));
        }
    }
    let data_type = tensor_of(input).map_or(0, |tensor| tensor.elem_type);
    Ok(TensorProto {
        name: name.clone(),
        dims,
        data_type,
        raw_data,
        ..TensorProto::default()
    })
}

/// Returns the dims of `spec`, which must agree with what the model fixes.
fn overridden(input: &ValueInfoProto, spec: &TensorSpec) -> Result<Vec<Dim>, CompileError> {
    let declared_type = datum_type(input)?;
    let differs = |declared: String| {
        invalid(format!(
            "input `{}`: expected {declared}, as the model has it, found {}",
            spec.name,
            spec.type_text()
        ))
    };
    let Some(shape) = shape(input) else {
        return if declared_type == spec.datum_type {
            Ok(spec.dims.clone())
        } else {
            Err(differs(format!("{declared_type} of any dims")))
        };
    };
    let fits = |(declared, dim): (&Dimension, &Dim)| match (&declared.value, dim) {
        (Some(dimension::Value::DimValue(value)), Dim::Fixed(size)) => {
            *value < 0 || *value == i64::from(*size)
        }
        _ => true,
    };
    let agrees = declared_type == spec.datum_type
        && shape.dim.len() == spec.dims.len()
        && shape.dim.iter().zip(&spec.dims).all(fits);
    if agrees {
        Ok(spec.dims.clone())
    } else {
        Err(differs(format!("{declared_type}{}", dims_text(shape))))
    }
}

/// Returns the dims that the model declares, with a symbol for each that it leaves open.
fn declared(input: &ValueInfoProto) -> Result<Vec<Dim>, CompileError> {
    let Some(shape) = shape(input) else {
        let example = format!("--input '{}:{}[N,3]'", input.name, datum_type(input)?);
        return Err(invalid(format!(
            "input `{}`: expected dims, found none in the model; give them, such as {example}",
            input.name
        )));
    };
    let dim = |(axis, dim): (usize, &Dimension)| match &dim.value {
        Some(dimension::Value::DimValue(value)) if *value >= 0 => {
            u32::try_from(*value).map(Dim::Fixed).map_err(|_| {
                let message = format!(
                    "input `{}`: expected dims up to {}, found {value}",
                    input.name,
                    u32::MAX
                );
                CompileError::new(CompileErrorKind::TooLarge, message)
            })
        }
        Some(dimension::Value::DimParam(symbol)) if is_symbol(symbol) => {
            Ok(Dim::Symbol(symbol.clone()))
        }
        _ if axis == 0 => Ok(Dim::Symbol(BATCH_SYMBOL.into())),
        _ => Ok(Dim::Symbol(format!(
            "{}_dim{axis}",
            identifier(&input.name)
        ))),
    };
    shape.dim.iter().enumerate().map(dim).collect()
}

/// Replaces a symbol by a size in the dims of all inputs.
pub(crate) fn fix_symbol(graph: &mut GraphProto, symbol: &str, size: u32) {
    for input in &mut graph.input {
        let Some(type_proto::Value::TensorType(tensor)) =
            input.r#type.as_mut().and_then(|t| t.value.as_mut())
        else {
            continue;
        };
        for dim in tensor.shape.iter_mut().flat_map(|shape| &mut shape.dim) {
            if dim.value == Some(dimension::Value::DimParam(symbol.into())) {
                dim.value = Some(dimension::Value::DimValue(i64::from(size)));
            }
        }
    }
}

pub(crate) fn tensor_type(datum_type: DatumType, dims: &[Dim]) -> TypeProto {
    let dim = |dim: &Dim| {
        let value = match dim {
            Dim::Fixed(size) => dimension::Value::DimValue(i64::from(*size)),
            Dim::Symbol(symbol) => dimension::Value::DimParam(symbol.clone()),
        };
        Dimension {
            value: Some(value),
            ..Dimension::default()
        }
    };
    let shape = TensorShapeProto {
        dim: dims.iter().map(dim).collect(),
    };
    let tensor = type_proto::Tensor {
        elem_type: datum_type_to_onnx(datum_type) as i32,
        shape: Some(shape),
    };
    TypeProto {
        value: Some(type_proto::Value::TensorType(tensor)),
        ..TypeProto::default()
    }
}

fn tensor_of(input: &ValueInfoProto) -> Option<&type_proto::Tensor> {
    let type_proto::Value::TensorType(tensor) = input.r#type.as_ref()?.value.as_ref()?;
    Some(tensor)
}

fn shape(input: &ValueInfoProto) -> Option<&TensorShapeProto> {
    tensor_of(input)?.shape.as_ref()
}

fn datum_type(input: &ValueInfoProto) -> Result<DatumType, CompileError> {
    let found = match tensor_of(input) {
        None => "something else".to_owned(),
        Some(tensor) => match DataType::try_from(tensor.elem_type) {
            Ok(data_type) => match datum_type_from_onnx(data_type) {
                Some(datum_type) => return Ok(datum_type),
                None => format!("elements of type {data_type:?}"),
            },
            Err(_) => format!("elements of type {}", tensor.elem_type),
        },
    };
    let message = format!(
        "input `{}`: expected a tensor of numbers or bools, found {found}",
        input.name
    );
    Err(CompileError::new(CompileErrorKind::Unsupported, message))
}

fn datum_type_from_onnx(data_type: DataType) -> Option<DatumType> {
    DatumType::ALL
        .into_iter()
        .find(|&datum_type| datum_type_to_onnx(datum_type) == data_type)
}

pub(crate) fn datum_type_to_onnx(datum_type: DatumType) -> DataType {
    match datum_type {
        DatumType::Bool => DataType::Bool,
        DatumType::U8 => DataType::Uint8,
        DatumType::U16 => DataType::Uint16,
        DatumType::U32 => DataType::Uint32,
        DatumType::U64 => DataType::Uint64,
        DatumType::I8 => DataType::Int8,
        DatumType::I16 => DataType::Int16,
        DatumType::I32 => DataType::Int32,
        DatumType::I64 => DataType::Int64,
        DatumType::F16 => DataType::Float16,
        DatumType::Bf16 => DataType::Bfloat16,
        DatumType::F32 => DataType::Float,
        DatumType::F64 => DataType::Double,
    }
}

fn is_symbol(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn identifier(name: &str) -> String {
    let replaced = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    let identifier: String = replaced.collect();
    if is_symbol(&identifier) {
        identifier
    } else {
        format!("_{identifier}")
    }
}

fn dims_text(shape: &TensorShapeProto) -> String {
    let dims: Vec<String> = shape
        .dim
        .iter()
        .map(|dim| match &dim.value {
            Some(dimension::Value::DimValue(value)) if *value >= 0 => value.to_string(),
            Some(dimension::Value::DimParam(symbol)) => symbol.clone(),
            _ => "?".into(),
        })
        .collect();
    format!("[{}]", dims.join(", "))
}

fn invalid(message: String) -> CompileError {
    CompileError::new(CompileErrorKind::Input, message)
}
