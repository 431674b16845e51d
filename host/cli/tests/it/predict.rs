//! Answers and outputs of real components.

use std::fs;
use std::io::Read;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::program::{command, component, folder, repository, run};
use crate::tensors::{bytes, npy, npy_f32, npy_in_order, read_f32, split_npy};

/// A component, and a folder for its inputs and outputs.
struct Model {
    component: std::path::PathBuf,
    dir: tempfile::TempDir,
}

impl Model {
    fn new(model: &str) -> Self {
        Self {
            component: component(model),
            dir: folder(),
        }
    }

    /// Writes a file; returns the argument that gives it to an input.
    fn input(&self, name: &str, file: &str, bytes: &[u8]) -> String {
        let path = self.dir.path().join(file);
        fs::write(&path, bytes).unwrap();
        format!("--input={name}={}", path.display())
    }

    /// Predicts; returns the outputs as JSON.
    #[track_caller]
    fn outputs(&self, inputs: &[String]) -> Value {
        let args = [
            &[
                "predict".to_owned(),
                self.component.display().to_string(),
                "--json".to_owned(),
            ],
            inputs,
        ]
        .concat();
        let mut json = run(args).json();
        assert!(
            json["latency_ms"]
                .as_f64()
                .is_some_and(|latency| latency > 0.0),
            "{json}"
        );
        json["outputs"].take()
    }
}

#[test]
fn rows_in_every_order_and_format() {
    let model = Model::new("tests/fixtures/add.onnx");
    let rows = model.input(
        "a",
        "a.npy",
        &npy_f32("(2, 4)", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]),
    );
    let columns = bytes(&[10.0, 50.0, 20.0, 60.0, 30.0, 70.0, 40.0, 80.0]);
    let columns = model.input(
        "b",
        "b.npy",
        &npy_in_order("True", "<f4", "(2, 4)", &columns),
    );
    let sum = json!({"sum": {"datum_type": "f32", "dims": [2, 4], "data": [11.0, 22.0, 33.0, 44.0, 55.0, 66.0, 77.0, 88.0]}});
    assert_eq!(model.outputs(&[rows.clone(), columns]), sum);

    let nested = model.input("b", "b.json", b"[[10, 20, 30, 40], [50, 60, 70, 80]]");
    assert_eq!(model.outputs(&[rows.clone(), nested]), sum);
    let flat = model.input(
        "b",
        "b2.json",
        br#"{"dims": [2, 4], "data": [10, 20, 30, 40, 50, 60, 70, 80]}"#,
    );
    assert_eq!(model.outputs(&[rows.clone(), flat]), sum);
    let big_endian: Vec<u8> = (1..=8)
        .flat_map(|value| (value as f32 * 10.0).to_be_bytes())
        .collect();
    let big_endian = model.input("b", "b3.npy", &npy(">f4", "(2, 4)", &big_endian));
    assert_eq!(
        model.outputs(&[big_endian, rows]),
        sum,
        "also with the inputs the other way round"
    );
}

#[test]
fn every_datum_type() {
    let model = Model::new("tests/fixtures/mixed-types.onnx");
    let f64s: Vec<u8> = [0.1f64, 1e300]
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let inputs = [
        model.input("i64", "i64.json", b"[-1, 1099511627776]"),
        model.input("bool", "bool.npy", &npy("|b1", "(2,)", &[1, 0])),
        model.input("u8", "u8.npy", &npy("|u1", "(2,)", &[0, 255])),
        model.input(
            "f16",
            "f16.npy",
            &npy("<f2", "(2,)", &[0x00, 0x38, 0x00, 0xc0]),
        ),
        model.input("f64", "f64.npy", &npy("<f8", "(2,)", &f64s)),
    ];
    let outputs = model.outputs(&inputs);
    let data = |name: &str| &outputs[name]["data"];
    assert_eq!(data("i64_same"), &json!([-1, 1_099_511_627_776i64]));
    assert_eq!(data("bool_same"), &json!([true, false]));
    assert_eq!(data("bool_as_u8"), &json!([1, 0]));
    assert_eq!(data("u8_as_f32"), &json!([0.0, 255.0]));
    assert_eq!(data("f16_same"), &json!([0.5, -2.0]));
    assert_eq!(data("f16_as_f32"), &json!([0.5, -2.0]));
    assert_eq!(data("f64_same"), &json!([0.1, 1e300]));
    assert_eq!(
        outputs["f64_as_f32"]["data"][1], "inf",
        "JSON has no other infinity"
    );
}

#[test]
fn names_of_outputs_stay_in_their_folder() {
    let model = Model::new("tests/fixtures/weird-names.onnx");
    let input = model.input("a/b:0", "in.npy", &npy_f32("(1, 2)", &[1.0, -2.0]));
    let dir = model.dir.path().join("out/deep");
    let args = [
        "predict",
        model.component.to_str().unwrap(),
        &input,
        "--output-dir",
        dir.to_str().unwrap(),
    ];
    let table = run(args).stdout().to_owned();
    assert!(
        table.contains("../out put") && table.contains("in .._out_put.npy"),
        "{table}"
    );
    let files: Vec<_> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(files, [".._out_put.npy"]);
    assert_eq!(read_f32(&dir.join(".._out_put.npy")), [-1.0, 2.0]);
    let (header, _) = split_npy(&dir.join(".._out_put.npy"));
    assert!(header.contains("'shape': (1, 2,)"), "{header}");
}

#[test]
fn scalars_symbols_and_external_data() {
    let model = Model::new("tests/fixtures/scalar.onnx");
    let output = model.outputs(&[model.input("x", "x.json", b"1.5")]);
    assert_eq!(
        output,
        json!({"y": {"datum_type": "f32", "dims": [], "data": [2.5]}})
    );

    let model = Model::new("tests/fixtures/matmul-symbols.onnx");
    for (batch, sequence) in [(1, 1), (2, 3), (5, 2)] {
        let ones = vec![1.0; batch * sequence * 8];
        let input = model.input(
            "x",
            "x.npy",
            &npy_f32(&format!("({batch}, {sequence}, 8)"), &ones),
        );
        let output = model.outputs(&[input]);
        assert_eq!(output["y"]["dims"], json!([batch, sequence, 4]));
        let row = [14.0, 15.0, 16.0, 17.0];
        assert_eq!(
            output["y"]["data"],
            json!(row.repeat(batch * sequence)),
            "{batch} × {sequence}"
        );
    }

    let model = Model::new("tests/fixtures/no-inputs.onnx");
    assert_eq!(
        model.outputs(&[])["y"]["data"],
        json!([-0.0, -0.125, -0.25, -0.375])
    );

    let model = Model::new("tests/fixtures/external-ok/model.onnx");
    let output = model.outputs(&[model.input("x", "x.json", b"[[1, 1, 1, 1]]")]);
    assert_eq!(output["y"]["data"], json!([1.25, 2.75, 4.25]));
}

#[test]
fn a_table_is_the_default() {
    let model = Model::new("tests/fixtures/scalar.onnx");
    let input = model.input("x", "x.json", b"1.5");
    let run = run(["predict", model.component.to_str().unwrap(), &input]);
    let lines: Vec<&str> = run.stdout().lines().collect();
    assert!(lines[0].starts_with(" output   type "), "{lines:?}");
    let words: Vec<&str> = lines[2].split_whitespace().collect();
    assert_eq!(words, ["y", "f32[]", "2.5", "2.5", "2.5", "2.5"]);
}

#[test]
fn state_is_carried_from_call_to_call() {
    let model = Model::new("models/silero-vad");
    let reference =
        |file: &str| read_f32(&repository("models/silero-vad/reference/stream").join(file));
    let (inputs, expected, states) = (
        reference("inputs/input.npy"),
        reference("outputs/output.npy"),
        reference("outputs/stateN.npy"),
    );
    let mut state = npy_f32("(2, 1, 128)", &[0.0; 256]);
    for step in 0..3 {
        let chunk = model.input(
            "input",
            "chunk.npy",
            &npy_f32("(1, 576)", &inputs[step * 576..][..576]),
        );
        let state_input = model.input("state", "state.npy", &state);
        let dir = model.dir.path();
        run([
            "predict",
            model.component.to_str().unwrap(),
            &chunk,
            &state_input,
            "--output-dir",
            dir.to_str().unwrap(),
        ])
        .stdout();
        let close = |found: &[f32], expected: &[f32]| {
            assert_eq!(found.len(), expected.len());
            let worst = found
                .iter()
                .zip(expected)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(
                worst <= 1e-4,
                "call {step}: found {worst} from ONNX Runtime"
            );
        };
        close(&read_f32(&dir.join("output.npy")), &expected[step..][..1]);
        close(
            &read_f32(&dir.join("stateN.npy")),
            &states[step * 256..][..256],
        );
        state = fs::read(dir.join("stateN.npy")).unwrap();
    }
}

#[test]
fn a_recording_is_answered_as_the_reference_says() {
    let model = component("models/silero-vad");
    let wav = repository("models/samples/speech.wav");
    let json = run([&"predict".into(), &model, &wav, &"--json".into()]).json();
    let expected =
        fs::read_to_string(repository("models/silero-vad/reference/stream/answer.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let found: Vec<[f64; 2]> = json[0]["speech"]["segments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|segment| ["start_s", "end_s"].map(|key| segment[key].as_f64().unwrap()))
        .collect();
    let expected: Vec<[f64; 2]> = serde_json::from_value(expected["segments"].clone()).unwrap();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        assert!(
            (found - expected).abs() < 1e-6,
            "expected {expected}, found {found}"
        );
    }
    assert_eq!(json[0]["file"], wav.to_str().unwrap());

    let run = run([&"predict".into(), &model, &wav, &wav]);
    let rows = run
        .stdout()
        .lines()
        .filter(|line| line.contains(" s to "))
        .count();
    assert_eq!(rows, 2 * found.len(), "{}", run.stdout());
}

#[test]
fn bytes_of_files_are_named() {
    let model = component("models/magika");
    let files = [
        "models/samples/primes.py",
        "models/samples/rocket.jpg",
        "models/samples/settings.toml",
    ]
    .map(repository);
    let args = [&["predict".into(), model, "--json".into()], &files[..]].concat();
    let json = run(args).json();
    let labels: Vec<&Value> = json
        .as_array()
        .unwrap()
        .iter()
        .map(|answer| &answer["labels"][0]["label"])
        .collect();
    assert_eq!(labels, ["python", "jpeg", "toml"]);
    assert_eq!(json[0]["labels"].as_array().unwrap().len(), 5);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let model = component("models/silero-vad");
    let mut child = command()
        .arg("inspect")
        .arg(model)
        .arg("--json")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The output is longer than one read, and the pipe is closed before the program has written it.
    drop(child.stdout.take());
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!(
        (child.wait().unwrap().code(), stderr.as_str()),
        (Some(0), "")
    );
}
