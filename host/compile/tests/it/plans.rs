//! Plans of the models under `models/`, computed by the native executor, against tract.

use std::collections::BTreeMap;

use tensorlet_compile::rewrite::rewrite;
use tensorlet_compile::{BuildOptions, Literal, plan};
use tensorlet_executor::tract_tensor::{from_tract, to_tract};
use tensorlet_executor::{Executor, LoadOptions};
use tensorlet_tensor::{NamedTensor, TensorSpec};
use tract_onnx::prelude::Tensor;

use crate::arrays::{difference, splitmix};
use crate::subject::{bind, load, path, read, run, set_inputs};

/// How far results of the order of 1 may be from tract's, which sums in another order.
const TOLERANCE: f32 = 2e-5;

struct Model {
    name: &'static str,
    inputs: &'static [&'static str],
    sample_rate: bool,
}

impl Model {
    fn executor(&self) -> Executor {
        let specs = self.inputs.iter().map(|input| input.parse::<TensorSpec>());
        let mut bound = BTreeMap::new();
        if self.sample_rate {
            bound.insert("sr".to_owned(), Literal::Int(16000));
        }
        let options = BuildOptions {
            name: self.name.into(),
            version: "1".into(),
            inputs: specs.collect::<Result<_, _>>().unwrap(),
            bind: bound,
            lean: true,
            ..BuildOptions::default()
        };
        let file = path(&format!("models/{}/model.onnx", self.name));
        let plan = plan(&file, &options).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        Executor::load(&plan, LoadOptions::default()).unwrap()
    }

    /// Computes inputs of given dims, in place of the symbols, by the executor and by tract.
    fn check(&self, executor: &Executor, inputs: &[Tensor]) {
        let mut model = read(&format!("models/{}/model.onnx", self.name));
        set_inputs(&mut model, self.inputs);
        if self.sample_rate {
            bind(&mut model, "sr", 16000);
        }
        let expected = run(&load(&rewrite(model).unwrap()), inputs);
        let specs = &executor.description().signature.inputs;
        let named = specs.iter().zip(inputs);
        let named: Vec<NamedTensor> = named
            .map(|(spec, input)| (spec.name.clone(), from_tract(input).unwrap()))
            .collect();
        let found = executor.predict(&named).unwrap();
        for ((output, found), expected) in found.iter().zip(&expected) {
            let difference = difference(&to_tract(found).unwrap(), expected);
            let dims = inputs[0].shape();
            assert!(
                difference <= TOLERANCE,
                "{}, {dims:?}: output `{output}` differs by {difference}",
                self.name
            );
        }
    }
}

#[test]
fn efficientnet_lite0_agrees_with_tract_at_any_batch() {
    let model = Model {
        name: "efficientnet-lite0",
        inputs: &["input:f32[N,3,224,224]"],
        sample_rate: false,
    };
    let executor = model.executor();
    for rows in [1, 3, 8] {
        model.check(&executor, &[splitmix(&[rows, 3, 224, 224], 1, -1.0, 1.0)]);
    }
}

#[test]
fn magika_agrees_with_tract_at_any_batch() {
    let model = Model {
        name: "magika",
        inputs: &["bytes:i32[N,2048]"],
        sample_rate: false,
    };
    let executor = model.executor();
    for rows in [1, 3, 8] {
        // Padding, 256, and what is no byte at all, included.
        let bytes = splitmix(&[rows, 2048], 2, -3.0, 262.0);
        let bytes = bytes.cast_to::<i32>().unwrap().into_owned();
        model.check(&executor, &[bytes]);
    }
}

#[test]
fn ppocr_cls_agrees_with_tract_at_any_batch_and_width() {
    let model = Model {
        name: "ppocr-cls",
        inputs: &["x:f32[N,3,48,W]"],
        sample_rate: false,
    };
    let executor = model.executor();
    for (rows, width) in [(1, 192), (3, 192), (8, 192), (1, 100), (2, 333)] {
        model.check(&executor, &[splitmix(&[rows, 3, 48, width], 3, -1.0, 1.0)]);
    }
}

#[test]
fn silero_vad_agrees_with_tract_at_any_batch() {
    let model = Model {
        name: "silero-vad",
        inputs: &["input:f32[N,576]", "state:f32[2,N,128]"],
        sample_rate: true,
    };
    let executor = model.executor();
    for rows in [1, 3, 8] {
        let input = splitmix(&[rows, 576], 4, -1.0, 1.0);
        let state = splitmix(&[2, rows, 128], 5, -1.0, 1.0);
        model.check(&executor, &[input, state]);
    }
}
