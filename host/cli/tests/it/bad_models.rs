//! Models that cannot be built: each fails with status 3, a message, and no file.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use expect_test::expect;

use crate::program::{command, fixture, folder, run, run_command};

/// Builds a model in vain; returns the message.
#[track_caller]
fn refused(model: &Path, exit: i32) -> String {
    let dir = folder();
    let message =
        run_command(command().current_dir(dir.path()).arg("build").arg(model)).error(exit);
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        0,
        "nothing may be written for {}",
        model.display()
    );
    message
}

#[track_caller]
fn all_refused(models: &[&str]) -> String {
    let messages: Vec<String> = models
        .iter()
        .map(|model| refused(&fixture(model), 3))
        .collect();
    messages.join("\n")
}

#[test]
fn what_is_no_model() {
    expect![[r#""#]].assert_eq(&all_refused(&[
        "empty.onnx",
        "not-onnx.onnx",
        "truncated.onnx",
    ]));
    let message = refused(&fixture("nowhere.onnx"), 1);
    assert!(
        message.contains("cannot read tests/fixtures/nowhere.onnx: No such file"),
        "{message}"
    );
}

#[test]
fn operators_and_versions() {
    let models = [
        "unknown-operator.onnx",
        "unknown-domain.onnx",
        "opset-99.onnx",
        "string-input.onnx",
    ];
    expect![[r#""#]].assert_eq(&all_refused(&models));
}

#[test]
fn external_data() {
    let models = ["missing", "escape", "absolute", "short"]
        .map(|what| format!("external-{what}/model.onnx"));
    expect![[r#""#]].assert_eq(&all_refused(&models.each_ref().map(String::as_str)));
}

#[test]
fn a_link_that_leads_out_of_the_folder() {
    let dir = folder();
    let model = dir.path().join("model.onnx");
    fs::copy(fixture("external-ok/model.onnx"), &model).unwrap();
    symlink(
        fixture("external-ok/weights.bin"),
        dir.path().join("weights.bin"),
    )
    .unwrap();
    let message = refused(&model, 3);
    assert!(
        message.contains("expected external data below the model's folder, found `weights.bin`, which leads elsewhere"),
        "{message}"
    );
}

#[test]
fn graphs_that_contradict_themselves() {
    let models = [
        "cycle.onnx",
        "undefined-input.onnx",
        "duplicate-output.onnx",
        "bad-shapes.onnx",
        "overflow-dims.onnx",
    ];
    expect![[r#""#]].assert_eq(&all_refused(&models));
}

#[test]
fn inputs_that_the_model_does_not_have() {
    let add = fixture("add.onnx");
    let build =
        |flag: &str, value: &str| run(["build", add.to_str().unwrap(), flag, value]).error(4);
    let messages = [
        build("--input", "c:f32[N,4]"),
        build("--input", "a:f32[N,5]"),
        build("--input", "a:u8[N,4]"),
        build("--input", "a:f32[4]"),
        build("--bind", "c=1"),
        build("--bind", "a=[[1,2,3]]"),
        build("--bind", "a=[[true,true,true,true]]"),
    ];
    expect![[r#""#]].assert_eq(&messages.join("\n"));
}

#[test]
fn a_folder_that_is_not_in_order() {
    let dir = folder();
    let add = fs::read(fixture("add.onnx")).unwrap();
    fs::write(dir.path().join("model.onnx"), add).unwrap();
    let shown = dir.path().to_str().unwrap();
    let refused = |toml: &str| {
        fs::write(dir.path().join("model.toml"), toml).unwrap();
        refused(dir.path(), 3).replace(shown, "DIR")
    };
    let messages = [
        refused("name = \"add\"\nversion = 1\n"),
        refused("name = \"add\"\nversion = \"1\"\nsource = \"ours\"\nlicence = \"MIT\"\n"),
        refused(&format!(
            "name = \"add\"\nversion = \"1\"\nsource = \"ours\"\nlicence = \"MIT\"\nsha256 = \"{}\"\n",
            "0".repeat(64)
        )),
    ];
    expect![[r#""#]].assert_eq(&messages.join("\n"));
}
