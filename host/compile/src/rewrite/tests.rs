//! Graphs as exporters write them, rewritten with symbols and run against the original with sizes.

mod data;
mod random;
mod shapes;
mod slices;

use std::collections::HashMap;

use expect_test::{Expect, expect};
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto, type_proto};
use tract_onnx::prelude::{
    DatumType, Framework, InferenceModelExt, IntoRunnable, IntoTensor, Tensor,
};

use super::text::print;
use super::text::testing::{
    graph, model, node, ramp, scalar, vector, vector_i32, with_int, with_ints, with_text,
};
use super::*;

/// Checks what becomes of a graph, and that it computes the same for these sizes of the symbols.
fn check(opset: i64, before: GraphProto, sizes: &[&[(&str, usize)]], expected: Expect) {
    let original = model(opset, before);
    let rewritten = rewrite(original.clone())
        .unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)));
    let specs = |specs: &[TensorSpec]| {
        specs
            .iter()
            .map(TensorSpec::to_string)
            .collect::<Vec<_>>()
            .join("; ")
    };
    let mut text = print(rewritten.model.graph.as_ref().unwrap());
    text.push_str(&format!("gives {}\n", specs(&rewritten.outputs)));
    expected.assert_eq(&text);
    for sizes in sizes {
        let sizes: HashMap<&str, usize> = sizes.iter().copied().collect();
        let inputs: Vec<Tensor> = rewritten
            .inputs
            .iter()
            .map(|spec| ascending(spec, &sizes))
            .collect();
        let expected = run(&with_sizes(&original, &sizes), &inputs);
        let found = run(&rewritten.model, &inputs);
        for (found, expected) in found.iter().zip(&expected) {
            let (found, expected) = (
                found.cast_to::<f32>().unwrap(),
                expected.cast_to::<f32>().unwrap(),
            );
            assert_eq!(found, expected, "with {sizes:?}");
        }
    }
}

fn run(model: &ModelProto, inputs: &[Tensor]) -> Vec<Tensor> {
    try_run(model, inputs).unwrap()
}

pub(crate) fn try_run(model: &ModelProto, inputs: &[Tensor]) -> Result<Vec<Tensor>, String> {
    guard::guarded(|| {
        let model = tract_onnx::onnx().model_for_proto_model(model)?;
        let model = model.into_optimized()?.into_runnable()?;
        let outputs = model.run(inputs.iter().map(|input| input.clone().into()).collect())?;
        Ok(outputs
            .into_iter()
            .map(|output| output.into_tensor())
            .collect())
    })
}

/// Returns a model whose inputs have sizes in place of symbols.
pub(crate) fn with_sizes(model: &ModelProto, sizes: &HashMap<&str, usize>) -> ModelProto {
    let mut model = model.clone();
    for input in &mut model.graph.as_mut().unwrap().input {
        let Some(type_proto::Value::TensorType(tensor)) =
            input.r#type.as_mut().unwrap().value.as_mut()
        else {
            continue;
        };
        for dim in &mut tensor.shape.as_mut().unwrap().dim {
            if let Some(dimension::Value::DimParam(symbol)) = &dim.value {
                let value = dimension::Value::DimValue(sizes[symbol.as_str()] as i64);
                *dim = Dimension {
                    value: Some(value),
                    ..Dimension::default()
                };
            }
        }
    }
    model
}

fn ascending(spec: &TensorSpec, sizes: &HashMap<&str, usize>) -> Tensor {
    let dims: Vec<usize> = spec
        .dims
        .iter()
        .map(|dim| match dim {
            tensorlet_tensor::Dim::Fixed(size) => *size as usize,
            tensorlet_tensor::Dim::Symbol(symbol) => sizes[symbol.as_str()],
        })
        .collect();
    let elements: Vec<f32> = (0..dims.iter().product())
        .map(|index: usize| (index % 7) as f32)
        .collect();
    let tensor = Tensor::from_shape(&dims, &elements).unwrap();
    let datum_type = match spec.datum_type.name() {
        "i64" => DatumType::I64,
        "i32" => DatumType::I32,
        _ => DatumType::F32,
    };
    tensor.cast_to_dt(datum_type).unwrap().into_owned()
}

fn with_value(
    mut node: tract_onnx::pb::NodeProto,
    tensor: TensorProto,
) -> tract_onnx::pb::NodeProto {
    node.attribute.push(tract_onnx::pb::AttributeProto {
        name: "value".into(),
        r#type: 4,
        t: Some(tensor),
        ..Default::default()
    });
    node
}

const I32: i64 = 6;
const I64: i64 = 7;
const F32: i64 = 1;

/// `Concat` takes its axis from an attribute that is never left out.
fn concat_axis(nodes: Vec<tract_onnx::pb::NodeProto>) -> Vec<tract_onnx::pb::NodeProto> {
    let add = |node: tract_onnx::pb::NodeProto| {
        if node.op_type == "Concat" {
            with_int(node, "axis", 0)
        } else {
            node
        }
    };
    nodes.into_iter().map(add).collect()
}
