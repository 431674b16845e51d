//! Models that are refused, and what is said about them.

use std::error::Error;

use expect_test::expect;
use tensorlet_compile::rewrite::{RewriteErrorKind, rewrite};

use crate::subject::{read, set_inputs, signature};

#[test]
fn says_what_is_wrong_with_a_model() {
    let names = [
        "unknown-operator",
        "unknown-domain",
        "opset-99",
        "opset-1",
        "cycle",
        "undefined-input",
        "duplicate-output",
        "bad-shapes",
        "overflow-dims",
        "huge-dims",
        "endless-loop",
        "string-input",
        "external-ok/model",
    ];
    let describe = |name: &str| {
        let error = rewrite(read(&format!("tests/fixtures/{name}.onnx"))).unwrap_err();
        format!("{name}: {:?}: {error}\n", error.kind())
    };
    let text: String = names.into_iter().map(describe).collect();
    expect![[r#"
        unknown-operator: Unsupported: node `mystery`: expected an operator that is supported, found `FluxCapacitor` (opset 17)
        unknown-domain: Unsupported: node `mystery`: expected an operator that is supported, found `Mystery` (domain `com.example`, version 1)
        opset-99: UnsupportedOpset: expected opset 7 to 24, found 99
        opset-1: UnsupportedOpset: expected opset 7 to 24, found 1
        cycle: InvalidGraph: node `sum`: expected inputs that can be computed before it, found a cycle
        undefined-input: InvalidGraph: node `y`: expected inputs that something makes, found `nowhere`
        duplicate-output: InvalidGraph: node `second`: expected outputs that nothing else makes, found `y`
        bad-shapes: Failed: node `mismatch` (MatMul, opset 17): expected inputs that tract computes with, found f32[2, 3], f32[4, 5]
        overflow-dims: InvalidGraph: initializer `W`: expected dims whose product fits in memory, found f32[8589934592, 4294967296]
        huge-dims: TooLarge: node `huge` (ConstantOfShape): expected a constant of at most 2147483648 bytes, found f32[1048576, 1048576]
        endless-loop: Unsupported: node `forever`: expected an operator that is supported, found `Loop` (opset 17)
        string-input: Unsupported: input `text`: expected numbers or bools, found elements of String
        external-ok/model: InvalidGraph: initializer `W`: expected data in the model, found a reference to another file
    "#]].assert_eq(&text);
}

#[test]
fn the_cause_of_a_failure_is_what_tract_said() {
    let error = rewrite(read("tests/fixtures/bad-shapes.onnx")).unwrap_err();
    assert_eq!(error.kind(), RewriteErrorKind::Failed);
    let cause = error.source().unwrap().to_string();
    assert!(cause.contains("mismatch"), "{cause}");
}

#[test]
fn takes_what_is_awkward_but_right() {
    let names = [
        "add",
        "matmul-symbols",
        "mixed-types",
        "no-inputs",
        "weird-names",
        "scalar",
        "hungry",
        "slow",
    ];
    let describe = |name: &str| {
        let model = read(&format!("tests/fixtures/{name}.onnx"));
        let rewritten =
            rewrite(model).unwrap_or_else(|error| panic!("{name}: {error}: {:?}", error.source()));
        format!("{name}: {}\n", signature(&rewritten))
    };
    let text: String = names.into_iter().map(describe).collect();
    expect![[r#"
        add: a: f32[N, 4]; b: f32[N, 4] -> sum: f32[N, 4]
        matmul-symbols: x: f32[batch, sequence, 8] -> y: f32[batch, sequence, 4]
        mixed-types: i64: i64[N]; bool: bool[N]; u8: u8[N]; f16: f16[N]; f64: f64[N] -> i64_same: i64[N]; i64_as_i32: i32[N]; bool_same: bool[N]; bool_as_u8: u8[N]; u8_same: u8[N]; u8_as_f32: f32[N]; f16_same: f16[N]; f16_as_f32: f32[N]; f64_same: f64[N]; f64_as_f32: f32[N]
        no-inputs:  -> y: f32[2, 2]
        weird-names: a/b:0: f32[N, 2] -> ../out put: f32[N, 2]
        scalar: x: f32[] -> y: f32[]
        hungry: x: f32[N] -> y: f32[N]
        slow: x: f32[N, N] -> y: f32[N, N]
    "#]].assert_eq(&text);
}

#[test]
fn takes_fixed_dims() {
    let mut model = read("tests/fixtures/matmul-symbols.onnx");
    set_inputs(&mut model, &["x:f32[batch,5,8]"]);
    expect!["x: f32[batch, 5, 8] -> y: f32[batch, 5, 4]"]
        .assert_eq(&signature(&rewrite(model).unwrap()));
}
