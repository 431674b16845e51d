//! The models of `models/`, against what ONNX Runtime makes of them.

use std::sync::Arc;

use expect_test::{Expect, expect};
use tensorlet_compile::rewrite::{Rewritten, rewrite};
use tract_onnx::prelude::{Tensor, TypedRunnableModel};

use crate::arrays::{difference, generate, read_npy, splitmix};
use crate::subject::{bind, load, load_model, path, read, run, set_inputs, signature};

const TOLERANCE: f32 = 1e-4;

fn rewritten(name: &str, inputs: &[&str]) -> Rewritten {
    let mut model = read(&format!("models/{name}/model.onnx"));
    set_inputs(&mut model, inputs);
    if name == "silero-vad" {
        bind(&mut model, "sr", 16000);
    }
    rewrite(model)
        .unwrap_or_else(|error| panic!("{name}: {error}: {:?}", std::error::Error::source(&error)))
}

/// Runs the cases of a model with one input and one output.
fn check_cases(name: &str, rewritten: &Rewritten, cases: &[&str]) {
    let model = load(rewritten);
    for case in cases {
        let folder = path(&format!("models/{name}/reference/{case}"));
        let file = |name: &str| {
            name.replace(
                |c: char| !c.is_ascii_alphanumeric() && !"._-".contains(c),
                "_",
            )
        };
        let (input, output) = (&rewritten.inputs[0].name, file(&rewritten.outputs[0].name));
        let input = match std::fs::read(folder.join("case.json")) {
            Ok(json) => generate(
                &serde_json::from_slice::<serde_json::Value>(&json).unwrap()["inputs"][input],
            ),
            Err(_) => read_npy(&folder.join(format!("inputs/{}.npy", file(input)))),
        };
        let expected = read_npy(&folder.join(format!("outputs/{output}.npy")));
        let found = run(&model, &[input]);
        let difference = difference(&found[0], &expected);
        assert!(
            difference <= TOLERANCE,
            "{name}, {case}: differs by {difference}"
        );
    }
}

fn check_signature(rewritten: &Rewritten, expected: Expect) {
    expected.assert_eq(&signature(rewritten));
}

#[test]
fn efficientnet_lite0() {
    let model = rewritten("efficientnet-lite0", &["input:f32[N,3,224,224]"]);
    check_signature(
        &model,
        expect!["input: f32[N, 3, 224, 224] -> probabilities: f32[N, 1000]"],
    );
    check_cases(
        "efficientnet-lite0",
        &model,
        &["batch-1", "batch-3", "batch-8", "coffee", "rocket"],
    );
}

#[test]
fn magika() {
    let model = rewritten("magika", &["bytes:i32[N,2048]"]);
    check_signature(
        &model,
        expect!["bytes: i32[N, 2048] -> target_label: f32[N, 214]"],
    );
    check_cases("magika", &model, &["batch-1", "batch-3", "batch-8"]);
}

#[test]
fn ppocr_cls() {
    let model = rewritten("ppocr-cls", &["x:f32[N,3,48,W]"]);
    check_signature(
        &model,
        expect!["x: f32[N, 3, 48, W] -> save_infer_model/scale_0.tmp_1: f32[N, 2]"],
    );
    check_cases(
        "ppocr-cls",
        &model,
        &["width-192", "width-320", "line-0", "line-180"],
    );
}

#[test]
fn silero_vad() {
    let model = rewritten("silero-vad", &["input:f32[1,576]", "state:f32[2,1,128]"]);
    check_signature(
        &model,
        expect![
            "input: f32[1, 576]; state: f32[2, 1, 128] -> output: f32[1, 1]; stateN: f32[2, 1, 128]"
        ],
    );
    check_stream(&load(&model));
}

/// Its `If`s depend on the batch only in a way that is known whatever the batch is.
#[test]
fn silero_vad_with_a_symbolic_batch() {
    let model = rewritten("silero-vad", &["input:f32[N,576]", "state:f32[2,N,128]"]);
    check_signature(
        &model,
        expect![
            "input: f32[N, 576]; state: f32[2, N, 128] -> output: f32[N, 1]; stateN: f32[2, N, 128]"
        ],
    );
    let (symbolic, fixed) = (
        load(&model),
        load(&rewritten(
            "silero-vad",
            &["input:f32[3,576]", "state:f32[2,3,128]"],
        )),
    );
    let inputs = [
        splitmix(&[3, 576], 1, -1.0, 1.0),
        splitmix(&[2, 3, 128], 2, -1.0, 1.0),
    ];
    for (found, expected) in run(&symbolic, &inputs).iter().zip(&run(&fixed, &inputs)) {
        let difference = difference(found, expected);
        assert!(difference <= 1e-5, "differs by {difference}");
    }
}

fn check_stream(model: &Arc<TypedRunnableModel>) {
    let folder = path("models/silero-vad/reference/stream");
    let array = |name: &str| read_npy(&folder.join(name));
    let (inputs, outputs, states) = (
        array("inputs/input.npy"),
        array("outputs/output.npy"),
        array("outputs/stateN.npy"),
    );
    let mut state = Tensor::zero::<f32>(&[2, 1, 128]).unwrap();
    for step in 0..inputs.shape()[0] {
        let at = |array: &Tensor| {
            let mut row = array.slice(0, step, step + 1).unwrap();
            row.remove_axis(0).unwrap();
            row
        };
        let found = run(model, &[at(&inputs), state]);
        let worst = difference(&found[0], &at(&outputs)).max(difference(&found[1], &at(&states)));
        assert!(worst <= TOLERANCE, "step {step}: differs by {worst}");
        state = found[1].clone();
    }
}

/// A rewritten model gives what tract makes of the original with the same sizes, where it takes that.
#[test]
fn rewritten_models_compute_the_same() {
    let cases = [
        (
            "efficientnet-lite0",
            "input:f32[N,3,224,224]",
            "input:f32[2,3,224,224]",
            vec![2, 3, 224, 224],
        ),
        (
            "ppocr-cls",
            "x:f32[N,3,48,W]",
            "x:f32[3,3,48,100]",
            vec![3, 3, 48, 100],
        ),
    ];
    for (name, symbolic, fixed, dims) in cases {
        let input = splitmix(&dims, 7, -1.0, 1.0);
        let mut original = read(&format!("models/{name}/model.onnx"));
        set_inputs(&mut original, &[fixed]);
        let expected = run(&load_model(&original), std::slice::from_ref(&input));
        let found = run(&load(&rewritten(name, &[symbolic])), &[input]);
        let difference = difference(&found[0], &expected[0]);
        assert!(difference <= 1e-5, "{name}: differs by {difference}");
    }
}
