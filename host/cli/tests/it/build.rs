//! What `tensorlet build` writes and says.

use std::fs;

use serde_json::{Value, json};

use crate::program::{
    command, component, component_with, fixture, folder, repository, run, run_command,
};

#[test]
fn the_same_input_gives_the_same_bytes() {
    let first = component("tests/fixtures/add.onnx");
    let dir = folder();
    // In another folder, under another name, so that neither can matter.
    let output = dir.path().join("again.wasm");
    let copy = dir.path().join("add.onnx");
    fs::copy(fixture("add.onnx"), &copy).unwrap();
    run([&"build".into(), &copy, &"-o".into(), &output]).stdout();
    assert!(
        fs::read(first).unwrap() == fs::read(output).unwrap(),
        "both components must be equal"
    );
}

#[test]
fn a_summary_says_what_was_built() {
    component("tests/fixtures/add.onnx");
    let dir = folder();
    let run = run_command(
        command()
            .current_dir(dir.path())
            .arg("build")
            .arg(fixture("add.onnx")),
    );
    let lines: Vec<&str> = run.stdout().lines().collect();
    assert_eq!(
        lines[..4],
        [
            "add 1: add.wasm",
            "  input   a: f32[N, 4]",
            "  input   b: f32[N, 4]",
            "  output  sum: f32[N, 4]",
        ]
    );
    assert!(
        lines[4].ends_with(", of an ONNX file of 121 B"),
        "{lines:?}"
    );
    assert!(
        lines[5].starts_with("  parts   no-offload ") && lines[5].contains(", predictor "),
        "{lines:?}"
    );
    assert_eq!(
        lines[6..8],
        ["  plan    1 steps", "  tract   none: the component is lean"]
    );
    assert!(
        lines[8].starts_with("  took    ") && lines[8].ends_with(" to compile it for this machine"),
        "{lines:?}"
    );

    let files: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(files, ["add.wasm"], "nothing else is left behind");
    let mode =
        std::os::unix::fs::MetadataExt::mode(&fs::metadata(dir.path().join("add.wasm")).unwrap());
    assert_eq!(mode & 0o444, 0o444, "others may read it, as any new file");
}

#[test]
fn the_model_is_not_overwritten() {
    let dir = folder();
    let model = dir.path().join("add.onnx");
    fs::copy(fixture("add.onnx"), &model).unwrap();
    let message = run([&"build".into(), &model, &"-o".into(), &model]).error(2);
    assert!(
        message.contains("expected another file than the model"),
        "{message}"
    );
    let message = run([
        &"build".into(),
        &model,
        &"-o".into(),
        &dir.path().to_owned(),
    ])
    .error(2);
    assert!(
        message.contains("expected a file, found the folder"),
        "{message}"
    );
    assert_eq!(
        fs::read(&model).unwrap(),
        fs::read(fixture("add.onnx")).unwrap()
    );
}

#[test]
fn a_cache_that_others_can_write_to_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = folder();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let add = repository("tests/fixtures/add.onnx");
    let message = run([
        &"build".into(),
        &add,
        &"--cache-dir".into(),
        &dir.path().to_owned(),
    ])
    .error(1);
    assert!(
        message.contains("expected a cache directory that only this user can write to, found "),
        "{message}"
    );
}

#[test]
fn what_has_no_kernel_is_named_and_refused_if_lean_is_asked_for() {
    let dir = folder();
    let output = dir.path().join("x.wasm");
    let model = fixture("no-kernel.onnx");
    let built = run([&"build".into(), &model, &"-o".into(), &output]);
    let line = built
        .stdout()
        .lines()
        .find(|line| line.starts_with("  tract"));
    let line = line.expect("the summary says what is left to tract");
    assert!(line.contains("NonZero×1"), "{line}");
    let x = dir.path().join("x.json");
    fs::write(&x, "[[0, 5, 0, 0], [0, 0, 0, -1]]").unwrap();
    let input = format!("--input=x={}", x.display());
    let output = output.to_str().unwrap();
    let y = run(["predict", output, &input, "--json"]).json();
    assert!(y.to_string().contains("[0.0,1.0,1.0,3.0]"), "{y}");

    let model = model.to_str().unwrap();
    let message = run(["build", model, "--lean", "-o", output]).error(3);
    assert!(
        message.contains(
            "expected a model whose operators all have kernels, found some that have none"
        ) && message.contains("NonZero×1"),
        "{message}"
    );
    let lean = fixture("add.onnx");
    run(["build", lean.to_str().unwrap(), "--lean", "-o", output]).stdout();
}

#[test]
fn a_component_that_handles_requests_asks_for_wasi_alone() {
    let path = component_with("models/magika", &["--http"]);
    let inspected = run([&"inspect".into(), &path, &"--json".into()]).json();
    let imports = inspected["imports"].as_array().unwrap();
    let is_wasi = |name: &Value| name.as_str().unwrap().starts_with("wasi:");
    assert!(
        !imports.is_empty() && imports.iter().all(is_wasi),
        "{imports:?}"
    );
    assert_eq!(
        inspected["exports"],
        json!(["wasi:http/incoming-handler@0.2.0"])
    );
    let parts = inspected["parts"].as_array().unwrap().iter();
    let roles: Vec<&Value> = parts.map(|part| &part["role"]).collect();
    assert_eq!(roles, ["no-offload", "predictor", "answerer", "http"]);
}

#[test]
fn a_model_that_is_declared_to_answer_exports_that() {
    let exports = |model: &str| {
        let inspected = run([&"inspect".into(), &component(model), &"--json".into()]).json();
        inspected["exports"].clone()
    };
    let interfaces =
        ["tensor", "predict", "answer"].map(|name| format!("tensorlet:model/{name}@0.1.0"));
    assert_eq!(exports("models/magika"), json!(interfaces));
    assert_eq!(exports("tests/fixtures/add.onnx"), json!(interfaces[..2]));
}
