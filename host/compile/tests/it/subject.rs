//! Models to rewrite and run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use prost::Message;
use tensorlet_compile::rewrite::Rewritten;
use tensorlet_tensor::{Dim, TensorSpec};
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto, TensorShapeProto, type_proto};
use tract_onnx::prelude::{
    Framework, InferenceModelExt, IntoRunnable, IntoTensor, TVec, Tensor, TypedRunnableModel,
};

/// Returns a path from the root of the repository.
pub(crate) fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(relative)
}

/// Reads an ONNX file.
pub(crate) fn read(relative: &str) -> ModelProto {
    let bytes = std::fs::read(path(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"));
    ModelProto::decode(bytes.as_slice()).unwrap_or_else(|error| panic!("{relative}: {error}"))
}

/// Gives inputs the dims of these specs.
pub(crate) fn set_inputs(model: &mut ModelProto, specs: &[&str]) {
    for spec in specs {
        let spec: TensorSpec = spec.parse().unwrap();
        let input = graph(model)
            .input
            .iter_mut()
            .find(|input| input.name == spec.name);
        let input = input.unwrap_or_else(|| panic!("no input {spec}"));
        let value = input.r#type.as_mut().and_then(|input| input.value.as_mut());
        let Some(type_proto::Value::TensorType(tensor)) = value else {
            panic!("{spec}")
        };
        let dim = |dim: &Dim| Dimension {
            value: Some(match dim {
                Dim::Fixed(size) => dimension::Value::DimValue((*size).into()),
                Dim::Symbol(symbol) => dimension::Value::DimParam(symbol.clone()),
            }),
            ..Dimension::default()
        };
        tensor.shape = Some(TensorShapeProto {
            dim: spec.dims.iter().map(dim).collect(),
        });
    }
}

/// Makes a scalar input of i64 a constant.
pub(crate) fn bind(model: &mut ModelProto, name: &str, value: i64) {
    let graph = graph(model);
    graph.input.retain(|input| input.name != name);
    graph.initializer.push(TensorProto {
        name: name.into(),
        data_type: 7,
        int64_data: vec![value],
        ..TensorProto::default()
    });
}

/// Loads a rewritten model as the guest does.
pub(crate) fn load(rewritten: &Rewritten) -> Arc<TypedRunnableModel> {
    load_model(&rewritten.model)
}

/// Loads a model as the guest does.
pub(crate) fn load_model(model: &ModelProto) -> Arc<TypedRunnableModel> {
    let model = tract_onnx::onnx().model_for_proto_model(model).unwrap();
    model.into_optimized().unwrap().into_runnable().unwrap()
}

/// Runs a model.
pub(crate) fn run(model: &Arc<TypedRunnableModel>, inputs: &[Tensor]) -> Vec<Tensor> {
    let inputs: TVec<_> = inputs.iter().map(|input| input.clone().into()).collect();
    model
        .run(inputs)
        .unwrap()
        .into_iter()
        .map(|output| output.into_tensor())
        .collect()
}

/// Writes the inputs and outputs of a rewritten model.
pub(crate) fn signature(rewritten: &Rewritten) -> String {
    let texts = |specs: &[TensorSpec]| {
        specs
            .iter()
            .map(TensorSpec::to_string)
            .collect::<Vec<_>>()
            .join("; ")
    };
    format!(
        "{} -> {}",
        texts(&rewritten.inputs),
        texts(&rewritten.outputs)
    )
}

fn graph(model: &mut ModelProto) -> &mut GraphProto {
    model.graph.as_mut().unwrap()
}
