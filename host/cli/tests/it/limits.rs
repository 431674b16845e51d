//! Calls that would take too long or too much: each ends with status 5, and says which limit it met.

use std::fs;

use crate::program::{component, folder, run};
use crate::tensors::npy_f32;

#[test]
fn a_slow_call_ends_at_its_timeout() {
    let (model, dir) = (component("tests/fixtures/slow.onnx"), folder());
    let input = dir.path().join("x.npy");
    fs::write(
        &input,
        npy_f32("(2048, 2048)", &vec![1.0 / 2048.0; 2048 * 2048]),
    )
    .unwrap();
    let input = format!("--input=x={}", input.display());
    // Without the timeout the call would take minutes.
    let message = run(["predict", model.to_str().unwrap(), &input, "--timeout", "1"]).error(5);
    assert_eq!(
        message,
        "error: expected the call to take at most 1s, found it still running"
    );
}

#[test]
fn a_hungry_call_ends_at_its_memory_limit() {
    let (model, dir) = (component("tests/fixtures/hungry.onnx"), folder());
    let input = |count: usize| {
        let input = dir.path().join(format!("{count}.npy"));
        fs::write(&input, npy_f32(&format!("({count},)"), &vec![1.0; count])).unwrap();
        format!("--input=x={}", input.display())
    };
    let model = model.to_str().unwrap();
    run(["predict", model, &input(1000), "--memory-limit", "64"]).stdout();
    let message = run(["predict", model, &input(10_000), "--memory-limit", "64"]).error(5);
    assert!(message.starts_with("error: expected the model to take at most 67108864 bytes of memory, found it asking for "), "{message}");
    // 40 GB are more than any component has, whatever its limit.
    let message = run(["predict", model, &input(100_000)]).error(5);
    assert!(
        message.contains("expected a tensor that fits in memory, found f32[100000, 100000]"),
        "{message}"
    );
    let message = run(["predict", model, &input(1000), "--memory-limit", "1"]).error(3);
    assert!(
        message.contains("at most 1048576 bytes of memory"),
        "a limit below the image is an error of loading: {message}"
    );
}
