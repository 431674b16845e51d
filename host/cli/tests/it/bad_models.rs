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
    expect![[r#"
        error: tests/fixtures/empty.onnx: expected an ONNX model, found an empty file
        error: tests/fixtures/not-onnx.onnx: expected an ONNX model, found other or truncated bytes (failed to decode Protobuf message: unexpected end group tag)
        error: tests/fixtures/truncated.onnx: expected an ONNX model, found other or truncated bytes (failed to decode Protobuf message: ModelProto.graph: buffer underflow)"#]].assert_eq(&all_refused(&[
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
        "opset-1.onnx",
        "string-input.onnx",
    ];
    expect![[r#"
        error: the model cannot be compiled: node `mystery`: expected an operator that is supported, found `FluxCapacitor` (opset 17)
        error: the model cannot be compiled: node `mystery`: expected an operator that is supported, found `Mystery` (domain `com.example`, version 1)
        error: the model cannot be compiled: expected opset 7 to 24, found 99
        error: the model cannot be compiled: expected opset 7 to 24, found 1
        error: input `text`: expected a tensor of numbers or bools, found elements of type String"#]].assert_eq(&all_refused(&models));
}

#[test]
fn external_data() {
    let models = ["missing", "escape", "absolute", "short"]
        .map(|what| format!("external-{what}/model.onnx"));
    expect![[r#"
        error: tensor `W`: cannot read external data `weights.bin`: No such file or directory (os error 2)
        error: tensor `W`: expected external data below the model's folder, found `../../secret.bin`
        error: tensor `W`: expected external data below the model's folder, found `/etc/passwd`
        error: tensor `W`: expected external data at 1048576, 48 bytes, found `weights.bin` of 76 bytes"#]].assert_eq(&all_refused(&models.each_ref().map(String::as_str)));
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
    expect![[r#"
        error: the model cannot be compiled: node `sum`: expected inputs that can be computed before it, found a cycle
        error: the model cannot be compiled: node `y`: expected inputs that something makes, found `nowhere`
        error: the model cannot be compiled: node `second`: expected outputs that nothing else makes, found `y`
        error: the model cannot be compiled: node `mismatch` (MatMul, opset 17): expected inputs that tract computes with, found f32[2, 3], f32[4, 5]: Failed analyse for node #2 "mismatch" MatMulInference: Infering facts: Applying rule GivenRule { (inputs[0].shape, inputs[1].shape) }: Inconsistent matmul: a: 2,3 b: 4,5, a_trans: false b_trans: false c_trans: false
        error: input `x`: expected dims up to 4294967295, found 8589934592"#]].assert_eq(&all_refused(&models));
}

#[test]
fn too_much_of_something() {
    // Neither may be tried: one has no end, the other takes 4 TiB.
    expect![[r#"
        error: the model cannot be compiled: node `forever`: expected an operator that is supported, found `Loop` (opset 17)
        error: the model cannot be compiled: node `huge` (ConstantOfShape): expected a constant of at most 2147483648 bytes, found f32[1048576, 1048576]"#]].assert_eq(&all_refused(&["endless-loop.onnx", "huge-dims.onnx"]));
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
    expect![[r#"
        error: input `c`: expected one of the model's inputs, found `a`, `b`
        error: input `a`: expected f32[N, 4], as the model has it, found f32[N, 5]
        error: input `a`: expected f32[N, 4], as the model has it, found u8[N, 4]
        error: input `a`: expected f32[N, 4], as the model has it, found f32[4]
        error: input `c`: expected one of the model's inputs, found `a`, `b`
        error: input `a`, bound to `[[1, 2, 3]]`: expected dims [N, 4], found [1, 3]
        error: input `a`, bound to `[[true, true, true, true]]`: expected a value of f32, found `true`"#]].assert_eq(&messages.join("\n"));
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
    let head = "name = \"add\"\nversion = \"1\"\nsource = \"ours\"\nlicence = \"MIT\"\n";
    let sha256 = |sha256: &str| format!("{head}sha256 = \"{sha256}\"\n");
    let right = sha256("fb668270b7a5e69732c5c897cf6cf7f64f8cfa38092a28a96eee84b565b5935c");
    let bytes = "[preprocess]\nkind = \"bytes\"\nbegin = 1\nend = 1\nblock = 1\npadding = 0\n";
    let messages = [
        refused("name = \"add\"\nversion = 1\n"),
        refused(head),
        refused(&sha256(&"0".repeat(64))),
        refused(&format!("{right}{bytes}input = \"c\"\n")),
        refused(&format!("{right}{bytes}input = \"a\"\n")),
    ];
    expect![[r#"
        error: DIR: model.toml line 2, field `version`: expected a text that is not empty, found `1`
        error: DIR: model.toml line 1, field `sha256`: expected 64 hexadecimal digits, found nothing
        error: DIR/model.onnx: expected sha256 0000000000000000000000000000000000000000000000000000000000000000, as model.toml says, found fb668270b7a5e69732c5c897cf6cf7f64f8cfa38092a28a96eee84b565b5935c
        error: model.toml, field `preprocess.input`: expected an input of the model (`a`, `b`), found `c`
        error: model.toml: input `b`: expected it to be made by [preprocess], or bound to a value, found neither"#]].assert_eq(&messages.join("\n"));
}
