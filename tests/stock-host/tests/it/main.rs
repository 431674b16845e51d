//! Components on a host that does not know what it runs: Wasmtime, with nothing to import.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod models;

use std::fs;
use std::sync::LazyLock;

use tensorlet_compile::AnswererKind;
use tensorlet_stock_host::{
    AnswerError, DatumType, Instance, NamedTensor, PredictError, Tensor, Verdict, answer, imports,
};
use wasmtime::{Config, InstanceAllocationStrategy};

use models::{Array, EFFICIENTNET, MAGIKA, Model};

/// The largest difference from ONNX Runtime that is allowed.
const TOLERANCE: f32 = 1e-4;

static MAGIKA_COMPONENT: LazyLock<Vec<u8>> = LazyLock::new(|| models::build(&MAGIKA));

/// Calls a component with what a reference was made from, and compares.
#[track_caller]
fn check(instance: &mut Instance, model: &Model, case: &str) {
    let description = instance.describe().unwrap();
    assert_eq!(description.name, model.name);
    let inputs: Vec<NamedTensor> = description
        .inputs
        .iter()
        .map(|spec| {
            let array = model.reference(case, "inputs", &spec.name);
            named(&spec.name, array)
        })
        .collect();
    let outputs = instance.predict(&inputs).unwrap().unwrap();
    let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
    let expected: Vec<&str> = description
        .outputs
        .iter()
        .map(|spec| spec.name.as_str())
        .collect();
    assert_eq!(names, expected);
    for output in outputs {
        let Array::F32(dims, expected) = model.reference(case, "outputs", &output.name) else {
            panic!("expected a reference of f32");
        };
        assert_eq!(output.tensor.dims, dims, "{case}");
        assert!(matches!(output.tensor.datum_type, DatumType::F32));
        let found = output.tensor.data.chunks_exact(4);
        let found: Vec<f32> = found
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
            .collect();
        assert_eq!(found.len(), expected.len());
        let pairs = found.iter().zip(&expected);
        let worst = pairs.fold(0f32, |worst, (a, b)| worst.max((a - b).abs()));
        assert!(worst <= TOLERANCE, "{case}: differs by {worst}");
    }
}

fn named(name: &str, array: Array) -> NamedTensor {
    let (datum_type, dims, data) = match array {
        Array::F32(dims, values) => {
            let bytes = values.iter().flat_map(|value| value.to_le_bytes());
            (DatumType::F32, dims, bytes.collect())
        }
        Array::I32(dims, values) => {
            let bytes = values.iter().flat_map(|value| value.to_le_bytes());
            (DatumType::I32, dims, bytes.collect())
        }
    };
    let tensor = Tensor {
        datum_type,
        dims,
        data,
    };
    NamedTensor {
        name: name.into(),
        tensor,
    }
}

#[test]
fn magika_answers_as_onnx_runtime_does() {
    let mut instance = Instance::new(&Config::new(), &MAGIKA_COMPONENT).unwrap();
    for case in ["batch-1", "batch-3", "batch-8"] {
        check(&mut instance, &MAGIKA, case);
    }
}

#[test]
fn efficientnet_lite0_answers_as_onnx_runtime_does() {
    let component = models::build(&EFFICIENTNET);
    assert_eq!(imports(&component).unwrap(), [""; 0]);
    let mut instance = Instance::new(&Config::new(), &component).unwrap();
    for case in ["coffee", "rocket"] {
        check(&mut instance, &EFFICIENTNET, case);
    }
}

#[test]
fn components_import_nothing() {
    assert_eq!(imports(&MAGIKA_COMPONENT).unwrap(), [""; 0]);
}

#[test]
fn components_answer_for_files() {
    let answer = |component: &[u8], file: &str| {
        let file = fs::read(models::repository(file)).unwrap();
        answer(&Config::new(), component, &file).unwrap()
    };
    let magika = models::build_answering(&MAGIKA, AnswererKind::Bytes);
    assert_eq!(imports(&magika).unwrap(), [""; 0]);
    let verdict = answer(&magika, "models/samples/primes.py").unwrap();
    let Verdict::Labels(labels) = verdict else {
        panic!("expected labels, found {verdict:?}");
    };
    assert_eq!(labels[0].label, "python");
    assert!(labels[0].score > 0.99, "{labels:?}");

    let efficientnet = models::build_answering(&EFFICIENTNET, AnswererKind::Picture);
    let error = answer(&efficientnet, "models/samples/primes.py").unwrap_err();
    assert!(matches!(error, AnswerError::InvalidFile(_)), "{error:?}");
    // The same file is a model as well.
    let mut instance = Instance::new(&Config::new(), &efficientnet).unwrap();
    check(&mut instance, &EFFICIENTNET, "coffee");
}

#[test]
fn components_run_in_a_pool() {
    let mut config = Config::new();
    config.allocation_strategy(InstanceAllocationStrategy::pooling());
    let mut instance = Instance::new(&config, &MAGIKA_COMPONENT).unwrap();
    check(&mut instance, &MAGIKA, "batch-3");
}

#[test]
fn components_run_where_relaxed_simd_is_deterministic() {
    let mut config = Config::new();
    config.relaxed_simd_deterministic(true);
    let mut instance = Instance::new(&config, &MAGIKA_COMPONENT).unwrap();
    check(&mut instance, &MAGIKA, "batch-3");
}

#[test]
fn components_say_what_is_wrong_with_an_input() {
    let mut instance = Instance::new(&Config::new(), &MAGIKA_COMPONENT).unwrap();
    let wrong = named("bytes", Array::F32(vec![1, 2], vec![0.0; 2]));
    let error = instance.predict(&[wrong]).unwrap().unwrap_err();
    let PredictError::InvalidInput(error) = error else {
        panic!("expected an invalid input, found {error:?}");
    };
    let found = [error.input, error.expected, error.found];
    assert_eq!(found, ["bytes", "i32[N, 2048]", "f32[1, 2]"]);
    check(&mut instance, &MAGIKA, "batch-1");
}
