//! Small models as graphs, computed by kernels and by tract.

mod casts;
mod leftovers;
mod lookups;
mod matrices;
mod models;
mod movement;
mod normalisations;
mod numbers;
mod pointwise;
mod random;
mod recurrent;
mod reductions;
mod shapes;
mod types;
mod windows;

use std::collections::HashMap;

use expect_test::{Expect, expect};
use tensorlet_tensor::DatumType;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto};
use tract_onnx::prelude::{DatumType as TractType, Tensor};

use super::*;
use crate::graph::interpret::{Bytes, interpret};
use crate::graph::testing::{Random, assert_near, random_inputs};
use crate::rewrite::analyse;
use crate::rewrite::tests::{try_run, with_sizes};
use crate::rewrite::text::testing::{
    flag, floats, graph, model, node, ramp, scalar, vector, with_float, with_int, with_ints,
    with_text,
};

/// Sizes of symbols.
type Sizes<'a> = &'a [(&'a str, u32)];

fn import_model(model: &ModelProto) -> Graph {
    let analysed = analyse(model.clone())
        .unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)));
    import(&analysed).expect("a graph holds it")
}

/// Checks what a model becomes, and that the kernels compute what tract makes of the original with these sizes.
fn check(opset: i64, before: GraphProto, sizes: &[Sizes<'_>], expected: Expect) {
    let original = model(opset, before);
    let graph = import_model(&original);
    expected.assert_eq(&graph.to_string());
    for sizes in sizes {
        compare(&original, &graph, sizes, &mut Random(7));
    }
}

/// Checks what a model becomes that tract does not compute, or in another way.
fn check_text(opset: i64, before: GraphProto, expected: Expect) {
    expected.assert_eq(&import_model(&model(opset, before)).to_string());
}

fn compare(original: &ModelProto, graph: &Graph, sizes: Sizes<'_>, random: &mut Random) {
    let symbols = symbol_sizes(graph, sizes);
    let inputs = random_inputs(graph, &symbols, random);
    let found = interpret(graph, &symbols, &inputs).unwrap();
    let sizes: HashMap<&str, usize> = sizes.iter().map(|(n, s)| (*n, *s as usize)).collect();
    let tensors: Vec<Tensor> = graph
        .inputs
        .iter()
        .zip(&inputs)
        .map(|(&id, bytes)| {
            let dims = dims(graph, id, &symbols);
            tensor(graph.value(id).datum_type, &dims, bytes)
        })
        .collect();
    let expected = try_run(&with_sizes(original, &sizes), &tensors).unwrap();
    for ((&id, found), expected) in graph.outputs.iter().zip(&found).zip(&expected) {
        let value = graph.value(id);
        let what = format!("{}, with {sizes:?}", value.name);
        assert_eq!(dims(graph, id, &symbols), expected.shape(), "{what}");
        assert_near(value.datum_type, &plain_bytes(expected), found, &what);
    }
}

fn symbol_sizes(graph: &Graph, sizes: Sizes<'_>) -> Vec<u32> {
    let size = |symbol: &String| {
        let found = sizes.iter().find(|(name, _)| name == symbol);
        found.unwrap_or_else(|| panic!("a size of {symbol}")).1
    };
    graph.symbols.iter().map(size).collect()
}

fn dims(graph: &Graph, id: crate::graph::ValueId, symbols: &[u32]) -> Vec<usize> {
    let dims = graph.value(id).dims.as_ref().expect("known dims");
    dims.iter()
        .map(|dim| dim.evaluate(symbols).unwrap() as usize)
        .collect()
}

fn tensor(datum_type: DatumType, dims: &[usize], bytes: &[u8]) -> Tensor {
    let words = |width: usize| bytes.chunks_exact(width);
    match datum_type {
        DatumType::F32 => {
            let words = words(4).map(|word| f32::from_le_bytes(word.try_into().unwrap()));
            Tensor::from_shape(dims, &words.collect::<Vec<_>>())
        }
        DatumType::I64 => {
            let words = words(8).map(|word| i64::from_le_bytes(word.try_into().unwrap()));
            Tensor::from_shape(dims, &words.collect::<Vec<_>>())
        }
        DatumType::I32 => {
            let words = words(4).map(|word| i32::from_le_bytes(word.try_into().unwrap()));
            Tensor::from_shape(dims, &words.collect::<Vec<_>>())
        }
        DatumType::U8 => Tensor::from_shape(dims, bytes),
        DatumType::Bool => {
            let bools: Vec<bool> = bytes.iter().map(|&byte| byte != 0).collect();
            Tensor::from_shape(dims, &bools)
        }
        other => panic!("no tensors of {other} in tests"),
    }
    .unwrap()
}

/// Returns the bytes of one of tract's tensors; its sizes are i64.
fn plain_bytes(tensor: &Tensor) -> Vec<u8> {
    let plain = match tensor.datum_type() {
        TractType::TDim => tensor.cast_to::<i64>().unwrap().into_owned(),
        _ => tensor.clone(),
    };
    plain.as_bytes().to_vec()
}

/// A model of one node with one output `y`.
fn one(inputs: &[&str], node: NodeProto, constants: Vec<TensorProto>) -> GraphProto {
    graph(inputs, vec![node], constants, &["y"])
}

/// Computes a graph of fixed dims with these inputs, and returns the floats of its first output.
fn compute(graph: &Graph, inputs: &[Vec<f32>]) -> Vec<f32> {
    let bytes = |floats: &Vec<f32>| {
        let bytes: Vec<u8> = floats.iter().flat_map(|x| x.to_le_bytes()).collect();
        Bytes::new(&bytes)
    };
    let inputs: Vec<Bytes> = inputs.iter().map(bytes).collect();
    let outputs = interpret(graph, &[], &inputs).unwrap();
    let words = outputs[0].chunks_exact(4);
    words
        .map(|word| f32::from_le_bytes(word.try_into().unwrap()))
        .collect()
}
