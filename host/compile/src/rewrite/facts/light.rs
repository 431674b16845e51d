//! A model without its weights, for tract to read the nodes from.

use tensorlet_tensor::DatumType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
    type_proto,
};

use crate::rewrite::graph::initializers;
use crate::rewrite::tensors;

/// Initializers above this many bytes are not looked into, as no shape is computed from them.
const MAX_READ_BYTES: u64 = 64 << 10;

const BFLOAT16: i32 = DataType::Bfloat16 as i32;

/// An operator that tract does not know.
const HIDDEN: &str = "tensorlet.Hidden";

/// Returns the symbols of a graph's inputs.
pub(super) fn symbols(graph: &GraphProto) -> impl Iterator<Item = &str> {
    let types = graph
        .input
        .iter()
        .filter_map(|input| input.r#type.as_ref()?.value.as_ref());
    let shapes = types.filter_map(|type_proto::Value::TensorType(tensor)| tensor.shape.as_ref());
    shapes
        .flat_map(|shape| &shape.dim)
        .filter_map(|dim| match &dim.value {
            Some(dimension::Value::DimParam(symbol)) => Some(symbol.as_str()),
            _ => None,
        })
}

/// Returns the inputs and initializers of bf16, which tract does not have: to it, they are f32.
pub(super) fn bfloat16(graph: &GraphProto) -> impl Iterator<Item = (String, DatumType)> {
    let inputs = graph.input.iter().filter(|input| {
        let value = input.r#type.as_ref().and_then(|input| input.value.as_ref());
        matches!(value, Some(type_proto::Value::TensorType(tensor)) if tensor.elem_type == BFLOAT16)
    });
    let inputs = inputs.map(|input| &input.name);
    let tensors = graph.initializer.iter();
    let tensors = tensors.filter(|tensor| tensor.data_type == BFLOAT16);
    inputs
        .chain(tensors.map(|tensor| &tensor.name))
        .map(|name| (name.clone(), DatumType::Bf16))
}

fn readable(elem_type: i32) -> i32 {
    if elem_type == BFLOAT16 {
        DataType::Float as i32
    } else {
        elem_type
    }
}

/// Makes a model for tract to read the nodes from, without the weights.
pub(super) fn light_model(model: &ModelProto, graph: &GraphProto) -> ModelProto {
    let small = |tensor: &&TensorProto| {
        tensors::size_bytes(tensor).is_some_and(|size| size <= MAX_READ_BYTES)
            && tensor.data_type != BFLOAT16
    };
    let known = initializers(graph);
    let inputs = graph
        .input
        .iter()
        .filter(|input| !known.contains_key(input.name.as_str()));
    let large = graph
        .initializer
        .iter()
        .filter(|tensor| !small(tensor))
        .map(declaration);
    ModelProto {
        ir_version: model.ir_version,
        opset_import: model.opset_import.clone(),
        graph: Some(GraphProto {
            node: graph.node.clone(),
            initializer: graph.initializer.iter().filter(small).cloned().collect(),
            input: inputs.cloned().map(with_type).chain(large).collect(),
            ..GraphProto::default()
        }),
        ..ModelProto::default()
    }
}

/// Hides the nodes that tract says it cannot build: it knows no operator of their name any more. Returns whether it names any.
pub(super) fn hide_nodes(graph: &mut GraphProto, cause: &str) -> bool {
    let named = |node: &NodeProto| {
        node.op_type != HIDDEN
            && cause.contains(&format!("Building node {} ({})", node.name, node.op_type))
    };
    let mut hidden = false;
    for node in graph.node.iter_mut().filter(|node| named(node)) {
        node.op_type = HIDDEN.into();
        node.domain.clear();
        node.attribute.clear();
        hidden = true;
    }
    hidden
}

/// An input of a body may lack a type, which tract does not allow.
fn with_type(mut input: ValueInfoProto) -> ValueInfoProto {
    let value = input.r#type.take().and_then(|input| input.value);
    let any = || {
        type_proto::Value::TensorType(type_proto::Tensor {
            elem_type: DataType::Float as i32,
            shape: None,
        })
    };
    let mut value = value.unwrap_or_else(any);
    let type_proto::Value::TensorType(tensor) = &mut value;
    tensor.elem_type = readable(tensor.elem_type);
    input.r#type = Some(TypeProto {
        value: Some(value),
        ..TypeProto::default()
    });
    input
}

fn declaration(tensor: &TensorProto) -> ValueInfoProto {
    let dim = |&size: &i64| Dimension {
        value: Some(dimension::Value::DimValue(size)),
        ..Dimension::default()
    };
    let shape = TensorShapeProto {
        dim: tensor.dims.iter().map(dim).collect(),
    };
    let tensor_type = type_proto::Tensor {
        elem_type: readable(tensor.data_type),
        shape: Some(shape),
    };
    ValueInfoProto {
        name: tensor.name.clone(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor_type)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}
