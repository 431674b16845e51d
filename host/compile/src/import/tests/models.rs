//! The models of `models/`: no operator is left, and the kernels compute what tract does.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::graph::Op;
use crate::literal::Literal;
use crate::{inputs, source};

fn read(name: &str, specs: &[&str], bind: &[(&str, i64)]) -> ModelProto {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../models/{name}/model.onnx"));
    let mut model = source::read(&path).unwrap().model;
    let specs: Vec<_> = specs.iter().map(|spec| spec.parse().unwrap()).collect();
    let bind: BTreeMap<String, Literal> = bind
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Literal::Int(*value)))
        .collect();
    inputs::resolve(model.graph.as_mut().unwrap(), &specs, &bind).unwrap();
    model
}

fn imported(model: &ModelProto) -> Graph {
    let graph = import_model(model);
    let left = graph
        .nodes
        .iter()
        .filter(|node| matches!(node.op, Op::Onnx(_)));
    let left: Vec<&str> = left.map(|node| node.name.as_str()).collect();
    assert!(left.is_empty(), "left to tract: {left:?}");
    graph
}

#[test]
fn efficientnet_lite0_is_kernels() {
    let model = read("efficientnet-lite0", &["input:f32[N,3,224,224]"], &[]);
    imported(&model);
    let small = read("efficientnet-lite0", &["input:f32[1,3,224,224]"], &[]);
    compare(&small, &imported(&small), &[], &mut Random(1));
}

#[test]
fn ppocr_cls_is_kernels() {
    let model = read("ppocr-cls", &["x:f32[N,3,48,W]"], &[]);
    compare(
        &model,
        &imported(&model),
        &[("N", 2), ("W", 100)],
        &mut Random(2),
    );
}

#[test]
fn magika_is_kernels() {
    let model = read("magika", &["bytes:i32[N,2048]"], &[]);
    compare(&model, &imported(&model), &[("N", 1)], &mut Random(3));
}

#[test]
fn silero_vad_is_kernels() {
    let specs = ["input:f32[N,576]", "state:f32[2,N,128]"];
    imported(&read("silero-vad", &specs, &[("sr", 16000)]));
    let specs = ["input:f32[1,576]", "state:f32[2,1,128]"];
    imported(&read("silero-vad", &specs, &[("sr", 16000)]));
}
