//! Makes small graphs for tests.

use tensorlet_tensor::{Dim, TensorSpec};
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

use crate::rewrite::graph::new_node;
use crate::rewrite::tensors;

/// Makes a graph; inputs are specs such as `x:f32[N,3]`.
pub(crate) fn graph(
    inputs: &[&str],
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    outputs: &[&str],
) -> GraphProto {
    GraphProto {
        name: "test".into(),
        node: nodes,
        input: inputs
            .iter()
            .map(|spec| input(&spec.parse().unwrap()))
            .collect(),
        initializer: constants,
        ..branch(vec![], outputs)
    }
}

/// Makes a model of an opset.
pub(crate) fn model(opset: i64, graph: GraphProto) -> ModelProto {
    ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: opset,
        }],
        graph: Some(graph),
        ..ModelProto::default()
    }
}

/// Makes a branch of an `If`.
pub(crate) fn branch(nodes: Vec<NodeProto>, outputs: &[&str]) -> GraphProto {
    let output = |name: &&str| ValueInfoProto {
        name: (*name).into(),
        ..ValueInfoProto::default()
    };
    GraphProto {
        name: "branch".into(),
        node: nodes,
        output: outputs.iter().map(output).collect(),
        ..GraphProto::default()
    }
}

/// Makes a node.
pub(crate) fn node(op_type: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let mut node = new_node(op_type, inputs, outputs[0]);
    node.output = outputs.iter().map(|&output| output.into()).collect();
    node
}

/// Makes an `If`.
pub(crate) fn if_node(
    condition: &str,
    then: GraphProto,
    other: GraphProto,
    outputs: &[&str],
) -> NodeProto {
    let attribute = |name: &str, graph| AttributeProto {
        name: name.into(),
        r#type: AttributeType::Graph as i32,
        g: Some(graph),
        ..AttributeProto::default()
    };
    let mut node = node("If", &[condition], outputs);
    node.attribute = vec![
        attribute("then_branch", then),
        attribute("else_branch", other),
    ];
    node
}

/// Adds an attribute that is an integer.
pub(crate) fn with_int(mut node: NodeProto, name: &str, i: i64) -> NodeProto {
    let attribute = AttributeProto {
        name: name.into(),
        r#type: AttributeType::Int as i32,
        i,
        ..AttributeProto::default()
    };
    node.attribute.push(attribute);
    node
}

/// Adds an attribute that is a list of integers.
pub(crate) fn with_ints(mut node: NodeProto, name: &str, ints: &[i64]) -> NodeProto {
    let attribute = AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints as i32,
        ints: ints.to_vec(),
        ..AttributeProto::default()
    };
    node.attribute.push(attribute);
    node
}

/// Adds an attribute that is a float.
pub(crate) fn with_float(mut node: NodeProto, name: &str, f: f32) -> NodeProto {
    let attribute = AttributeProto {
        name: name.into(),
        r#type: AttributeType::Float as i32,
        f,
        ..AttributeProto::default()
    };
    node.attribute.push(attribute);
    node
}

/// Adds an attribute that is a text.
pub(crate) fn with_text(mut node: NodeProto, name: &str, text: &str) -> NodeProto {
    let attribute = AttributeProto {
        name: name.into(),
        r#type: AttributeType::String as i32,
        s: text.into(),
        ..AttributeProto::default()
    };
    node.attribute.push(attribute);
    node
}

/// Makes an i64 vector.
pub(crate) fn vector(name: &str, elements: &[i64]) -> TensorProto {
    tensors::new_i64(name, &[elements.len()], elements)
}

/// Makes an i64 scalar.
pub(crate) fn scalar(name: &str, element: i64) -> TensorProto {
    tensors::new_i64(name, &[], &[element])
}

/// Makes an i32 vector.
pub(crate) fn vector_i32(name: &str, elements: &[i32]) -> TensorProto {
    TensorProto {
        data_type: DataType::Int32 as i32,
        raw_data: elements.iter().flat_map(|e| e.to_le_bytes()).collect(),
        ..vector(name, &vec![0; elements.len()])
    }
}

/// Makes an f32 tensor of ascending eighths.
pub(crate) fn ramp(name: &str, dims: &[usize]) -> TensorProto {
    let count: usize = dims.iter().product();
    let elements = (0..count).map(|index| index as f32 / 8.0);
    TensorProto {
        data_type: DataType::Float as i32,
        raw_data: elements.flat_map(f32::to_le_bytes).collect(),
        ..tensors::new_i64(name, dims, &[])
    }
}

/// Makes an f32 tensor.
pub(crate) fn floats(name: &str, dims: &[usize], elements: &[f32]) -> TensorProto {
    TensorProto {
        data_type: DataType::Float as i32,
        raw_data: elements.iter().flat_map(|x| x.to_le_bytes()).collect(),
        ..tensors::new_i64(name, dims, &[])
    }
}

/// Makes a bool scalar.
pub(crate) fn flag(name: &str, value: bool) -> TensorProto {
    TensorProto {
        data_type: DataType::Bool as i32,
        raw_data: vec![value.into()],
        ..tensors::new_i64(name, &[], &[])
    }
}

fn input(spec: &TensorSpec) -> ValueInfoProto {
    let dim = |dim: &Dim| Dimension {
        value: Some(match dim {
            Dim::Fixed(size) => dimension::Value::DimValue((*size).into()),
            Dim::Symbol(symbol) => dimension::Value::DimParam(symbol.clone()),
        }),
        ..Dimension::default()
    };
    let elem_type = tensors::from_name(spec.datum_type.name()).unwrap() as i32;
    let shape = Some(TensorShapeProto {
        dim: spec.dims.iter().map(dim).collect(),
    });
    let tensor = type_proto::Value::TensorType(type_proto::Tensor { elem_type, shape });
    ValueInfoProto {
        name: spec.name.clone(),
        r#type: Some(TypeProto {
            value: Some(tensor),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}
