//! Models that loop or allocate without end: the call ends with status 5, and says which limit it met.

use std::fs;
use std::time::{Duration, Instant};

use crate::program::{component, fixture, folder, run};
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
    let start = now();
    let message = run(["predict", model.to_str().unwrap(), &input, "--timeout", "1"]).error(5);
    let took = start.elapsed();
    assert_eq!(
        message,
        "error: expected the call to take at most 1s, found it still running"
    );
    assert!(
        (Duration::from_secs(1)..Duration::from_secs(8)).contains(&took),
        "it took {took:?}"
    );
}

#[test]
fn a_model_that_never_ends_is_ended() {
    // Whether such a loop is refused when it is built or ended when it runs, nobody waits for it.
    let dir = folder();
    let wasm = dir.path().join("loop.wasm");
    let built = run([
        &"build".into(),
        &fixture("endless-loop.onnx"),
        &"-o".into(),
        &wasm,
    ]);
    if !wasm.exists() {
        let message = built.error(3);
        assert!(
            message.contains("Loop") || message.contains("forever"),
            "{message}"
        );
        return;
    }
    let input = dir.path().join("x.npy");
    fs::write(&input, npy_f32("(4,)", &[1.0; 4])).unwrap();
    let input = format!("--input=x={}", input.display());
    let message = run(["predict", wasm.to_str().unwrap(), &input, "--timeout", "1"]).error(5);
    assert!(message.starts_with("error: expected "), "{message}");
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
    let message = run(["predict", model, &input(100_000)]).error(5);
    assert!(
        message.contains("of memory"),
        "40 GB are more than any component has: {message}"
    );
    let message = run(["predict", model, &input(1000), "--memory-limit", "1"]).error(3);
    assert!(
        message.contains("at most 1048576 bytes of memory"),
        "a limit below the image is an error of loading: {message}"
    );
}

#[test]
fn huge_dims_are_not_computed_while_building() {
    let dir = folder();
    let wasm = dir.path().join("huge.wasm");
    let start = now();
    let built = run([
        &"build".into(),
        &fixture("huge-dims.onnx"),
        &"-o".into(),
        &wasm,
    ]);
    assert!(
        start.elapsed() < Duration::from_secs(120),
        "it must not try"
    );
    if !wasm.exists() {
        built.error(3);
        return;
    }
    let input = dir.path().join("x.json");
    fs::write(&input, "[1]").unwrap();
    let input = format!("--input=x={}", input.display());
    run(["predict", wasm.to_str().unwrap(), &input, "--timeout", "10"]).error(5);
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is where the tests measure time"
)]
fn now() -> Instant {
    Instant::now()
}
