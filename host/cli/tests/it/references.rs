//! The models under `models/` give the answers of ONNX Runtime, which `models/references.py` wrote down.
//!
//! Components are built by the real program and run by the library, so every figure has gone through a snapshot. Each call is computed in the
//! component, by the host on one thread, and by the host on two.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use npyz::NpyFile;
use serde_json::Value;
use tensorlet_runtime::{
    Accelerator, CallOptions, Cpu, CpuOptions, Engine, EngineConfig, LoadOptions, Model,
};
use tensorlet_tensor::{NamedTensor, Tensor};

use crate::program::{component, repository};

/// The largest difference from ONNX Runtime that is allowed.
const TOLERANCE: f32 = 1e-4;

/// The largest difference between what a component computes and what its host does: both add in nearly the same order.
const OFFLOAD_TOLERANCE: f32 = 1e-5;

/// One model on hosts that compute differently.
struct Hosts {
    guest: Model,
    offloading: [Model; 2],
}

fn load(name: &str) -> Hosts {
    let component = component(&format!("models/{name}"));
    let load = |accelerator: Option<Arc<dyn Accelerator>>| {
        let cache_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
        let config = EngineConfig {
            cache_dir: Some(cache_dir),
            accelerator,
            ..EngineConfig::default()
        };
        let engine = Engine::new(&config).unwrap();
        engine.load(&component, LoadOptions::default()).unwrap()
    };
    let offloading = [1, 2].map(|threads| {
        let options = CpuOptions {
            threads,
            ..CpuOptions::default()
        };
        load(Some(Arc::new(Cpu::new(&options))))
    });
    Hosts {
        guest: load(None),
        offloading,
    }
}

#[test]
fn efficientnet_lite0_agrees_at_batches_1_3_and_8() {
    check_cases(
        "efficientnet-lite0",
        &["batch-1", "batch-3", "batch-8", "coffee", "rocket"],
    );
}

#[test]
fn magika_agrees_at_batches_1_3_and_8() {
    check_cases("magika", &["batch-1", "batch-3", "batch-8"]);
}

#[test]
fn ppocr_cls_agrees_at_two_widths_and_batches() {
    check_cases(
        "ppocr-cls",
        &["width-192", "width-320", "line-0", "line-180"],
    );
}

#[test]
fn silero_vad_agrees_over_a_stream_with_carried_state() {
    let (hosts, case) = (load("silero-vad"), case_folder("silero-vad", "stream"));
    let inputs = steps(&read_npy(&case.join("inputs/input.npy")));
    let expected = steps(&read_npy(&case.join("outputs/output.npy")));
    let expected_states = steps(&read_npy(&case.join("outputs/stateN.npy")));
    assert_eq!(
        (inputs.len(), expected.len()),
        (20, 20),
        "the stream has 20 chunks"
    );

    let mut state = Tensor::zeros(tensorlet_tensor::DatumType::F32, vec![2, 1, 128]).unwrap();
    for (step, input) in inputs.into_iter().enumerate() {
        let outputs = predict(
            &hosts,
            vec![("input".into(), input), ("state".into(), state)],
        );
        agree(
            &outputs["output"],
            &expected[step],
            &format!("probability of chunk {step}"),
        );
        agree(
            &outputs["stateN"],
            &expected_states[step],
            &format!("state after chunk {step}"),
        );
        state = outputs["stateN"].clone();
    }
}

#[test]
fn a_batch_is_computed_as_its_rows_are() {
    let hosts = load("efficientnet-lite0");
    let batch = generated(&case_folder("efficientnet-lite0", "batch-3"), "input");
    let whole = &predict(&hosts, vec![("input".into(), batch.clone())])["probabilities"];
    let rows = batch.to_values::<f32>().unwrap();
    for (row, values) in rows.chunks(3 * 224 * 224).enumerate() {
        let input = Tensor::from_values(vec![1, 3, 224, 224], values).unwrap();
        let alone = &predict(&hosts, vec![("input".into(), input)])["probabilities"];
        let in_batch = &whole.to_values::<f32>().unwrap()[row * 1000..(row + 1) * 1000];
        assert_eq!(alone.to_values::<f32>().unwrap(), in_batch, "row {row}");
    }
}

fn check_cases(name: &str, cases: &[&str]) {
    let hosts = load(name);
    for case in cases {
        let folder = case_folder(name, case);
        let inputs = hosts
            .guest
            .description()
            .signature
            .inputs
            .iter()
            .map(|spec| {
                let file = folder
                    .join("inputs")
                    .join(format!("{}.npy", file_name(&spec.name)));
                let tensor = if file.exists() {
                    read_npy(&file)
                } else {
                    generated(&folder, &spec.name)
                };
                (spec.name.clone(), tensor)
            });
        for (output, found) in predict(&hosts, inputs.collect()) {
            let file = folder
                .join("outputs")
                .join(format!("{}.npy", file_name(&output)));
            agree(
                &found,
                &read_npy(&file),
                &format!("{name}, {case}, {output}"),
            );
        }
    }
}

/// Returns what the component computes. Its hosts must have computed the same, on whatever number of threads.
fn predict(hosts: &Hosts, inputs: Vec<NamedTensor>) -> BTreeMap<String, Tensor> {
    let predict = |model: &Model| -> BTreeMap<String, Tensor> {
        let outputs = model.predict(&inputs, &CallOptions::default()).unwrap();
        outputs.into_iter().collect()
    };
    assert_eq!(hosts.guest.offloaded(), None);
    let outputs = predict(&hosts.guest);
    let [one, two] = hosts.offloading.each_ref().map(|model| {
        let before = model.offloaded().unwrap();
        let outputs = predict(model);
        let after = model.offloaded().unwrap();
        assert_eq!(after.runs, before.runs + 1, "the host must compute");
        assert_eq!(after.fallbacks.total(), 0);
        assert_eq!(after.constants_copied_bytes, 0, "weights must be shared");
        outputs
    });
    assert!(one == two, "threads must make no difference");
    for (name, found) in &one {
        let what = format!("{name}, offloaded");
        agree_within(OFFLOAD_TOLERANCE, found, &outputs[name], &what);
    }
    outputs
}

#[track_caller]
pub(crate) fn agree(found: &Tensor, expected: &Tensor, what: &str) {
    agree_within(TOLERANCE, found, expected, what);
}

#[track_caller]
fn agree_within(tolerance: f32, found: &Tensor, expected: &Tensor, what: &str) {
    assert_eq!(found.type_text(), expected.type_text(), "{what}");
    let pairs = found
        .to_values::<f32>()
        .unwrap()
        .into_iter()
        .zip(expected.to_values::<f32>().unwrap());
    let worst = pairs
        .map(|(found, expected)| (found - expected).abs())
        .fold(0.0, f32::max);
    assert!(worst <= tolerance, "{what}: differs by {worst}");
}

pub(crate) fn case_folder(model: &str, case: &str) -> PathBuf {
    repository("models")
        .join(model)
        .join("reference")
        .join(case)
}

fn file_name(name: &str) -> String {
    name.replace(
        |c: char| !c.is_ascii_alphanumeric() && !"._-".contains(c),
        "_",
    )
}

pub(crate) fn read_npy(path: &Path) -> Tensor {
    let file = BufReader::new(File::open(path).unwrap());
    let npy = NpyFile::new(file).unwrap();
    let dims = npy.shape().iter().map(|&dim| dim as u32).collect();
    if npy.dtype().descr().contains("i4") {
        Tensor::from_values(dims, &npy.into_vec::<i32>().unwrap()).unwrap()
    } else {
        Tensor::from_values(dims, &npy.into_vec::<f32>().unwrap()).unwrap()
    }
}

/// Takes a tensor apart along axis 0.
fn steps(tensor: &Tensor) -> Vec<Tensor> {
    let (dims, values) = (
        tensor.dims()[1..].to_vec(),
        tensor.to_values::<f32>().unwrap(),
    );
    let len = dims.iter().product::<u32>() as usize;
    values
        .chunks(len)
        .map(|step| Tensor::from_values(dims.clone(), step).unwrap())
        .collect()
}

/// Makes an input by the generator that `models/README.md` defines.
fn generated(case: &Path, input: &str) -> Tensor {
    let case: Value =
        serde_json::from_str(&fs::read_to_string(case.join("case.json")).unwrap()).unwrap();
    let spec = &case["inputs"][input];
    let number = |key: &str| spec[key].as_f64().unwrap() as f32;
    let (low, high, seed) = (
        number("low"),
        number("high"),
        spec["seed"].as_u64().unwrap(),
    );
    let dims: Vec<u32> = spec["dims"]
        .as_array()
        .unwrap()
        .iter()
        .map(|dim| dim.as_u64().unwrap() as u32)
        .collect();
    let value = |index: u64| {
        let mut z = seed.wrapping_add((index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 40) as f32 / 16_777_216.0 * (high - low) + low
    };
    let len = dims.iter().map(|&dim| u64::from(dim)).product();
    let values: Vec<f32> = (0..len).map(value).collect();
    Tensor::from_values(dims, &values).unwrap()
}
