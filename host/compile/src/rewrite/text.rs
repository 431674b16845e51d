//! A graph as text, for tests and for people who look for a mistake.
//!
//! ```text
//! x: f32[N, 4]
//! k: i64[2] = 0 -1
//! y = Reshape(x, k) {allowzero: 0}
//! -> y
//! ```

use std::fmt::Write;

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_shape_proto::dimension;
use tract_onnx::pb::{
    AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto, type_proto,
};

use super::tensors;
use super::value::Number;

/// The most elements of an initializer that are written out.
const MAX_SHOWN: usize = 8;

/// Writes a graph, one line for each input, initializer, node and for the outputs.
pub(super) fn print(graph: &GraphProto) -> String {
    let mut text = String::new();
    write_graph(&mut text, graph, "");
    text
}

fn write_graph(text: &mut String, graph: &GraphProto, indent: &str) {
    for input in &graph.input {
        let _ = writeln!(text, "{indent}{}", declaration(input));
    }
    for tensor in &graph.initializer {
        let _ = writeln!(text, "{indent}{}: {}", tensor.name, constant(tensor));
    }
    for node in &graph.node {
        write_node(text, node, indent);
    }
    let outputs: Vec<&str> = graph
        .output
        .iter()
        .map(|output| output.name.as_str())
        .collect();
    let _ = writeln!(text, "{indent}-> {}", outputs.join(", "));
}

fn write_node(text: &mut String, node: &NodeProto, indent: &str) {
    let (outputs, inputs) = (node.output.join(", "), node.input.join(", "));
    let _ = write!(text, "{indent}{outputs} = {}({inputs})", node.op_type);
    let plain = node
        .attribute
        .iter()
        .filter(|attribute| attribute.g.is_none());
    let plain: Vec<String> = plain
        .map(|attribute| format!("{}: {}", attribute.name, value(attribute)))
        .collect();
    if !plain.is_empty() {
        let _ = write!(text, " {{{}}}", plain.join(", "));
    }
    text.push('\n');
    for attribute in &node.attribute {
        if let Some(graph) = &attribute.g {
            let _ = writeln!(text, "{indent}  {}:", attribute.name);
            write_graph(text, graph, &format!("{indent}    "));
        }
    }
}

fn value(attribute: &AttributeProto) -> String {
    match attribute.r#type() {
        AttributeType::Int => attribute.i.to_string(),
        AttributeType::Float => attribute.f.to_string(),
        AttributeType::Ints => format!("{:?}", attribute.ints),
        AttributeType::Floats => format!("{:?}", attribute.floats),
        AttributeType::String => String::from_utf8_lossy(&attribute.s).into_owned(),
        AttributeType::Tensor => attribute.t.as_ref().map_or_else(String::new, constant),
        _ => "…".into(),
    }
}

fn constant(tensor: &TensorProto) -> String {
    let dims: Vec<String> = tensor.dims.iter().map(i64::to_string).collect();
    let data_type = tensors::data_type(tensor).map_or("?", tensors::name);
    let mut text = format!("{data_type}[{}]", dims.join(", "));
    let value = tensors::to_value(tensor).filter(|value| value.elements().len() <= MAX_SHOWN);
    for element in value.iter().flat_map(|value| value.elements()) {
        let number = element.as_ref().and_then(Number::as_f32);
        text.push_str(if text.ends_with(']') { " = " } else { " " });
        text.push_str(&number.map_or("?".into(), |number| number.to_string()));
    }
    text
}

fn declaration(input: &ValueInfoProto) -> String {
    let Some(type_proto::Value::TensorType(tensor)) =
        input.r#type.as_ref().and_then(|t| t.value.as_ref())
    else {
        return format!("{}: ?", input.name);
    };
    let data_type = tract_onnx::pb::tensor_proto::DataType::try_from(tensor.elem_type)
        .map_or("?", tensors::name);
    let Some(shape) = &tensor.shape else {
        return format!("{}: {data_type}[?]", input.name);
    };
    let dims = shape.dim.iter().map(|dim| match &dim.value {
        Some(dimension::Value::DimValue(size)) => size.to_string(),
        Some(dimension::Value::DimParam(symbol)) => symbol.clone(),
        None => "?".into(),
    });
    format!(
        "{}: {data_type}[{}]",
        input.name,
        dims.collect::<Vec<_>>().join(", ")
    )
}

#[cfg(test)]
pub(crate) mod testing;
