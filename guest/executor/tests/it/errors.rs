//! What can go wrong, and what is said about it.

use expect_test::expect;
use tensorlet_executor::{Executor, LoadOptions, PredictError, State};
use tensorlet_plan::kernel::{Gather, OutOfRange, UnaryOp};
use tensorlet_plan::{DimOp, Kernel, Plan, Storage, ValueId};

use crate::builder::{Builder, load, tensor};

const NEG: Kernel = Kernel::Unary(UnaryOp::Neg);

fn negate() -> Plan<'static> {
    let mut builder = Builder::new(&["x:f32[N]"]);
    let y = builder.step("y:f32[N]", NEG, &[ValueId(0)]);
    builder.finish(&[y])
}

#[test]
fn an_invalid_plan_is_not_loaded() {
    let mut plan = negate();
    plan.steps.clear();
    let error = Executor::load(&plan, LoadOptions::default()).unwrap_err();
    expect!["invalid plan: value 1 `y`: no step writes it"].assert_eq(&error.to_string());
}

#[test]
fn a_step_without_a_kernel_is_named() {
    let mut builder = Builder::new(&["x:f32[3]"]);
    let y = builder.step("middle:f32[4]", NEG, &[ValueId(0)]);
    let error = Executor::load(&builder.finish(&[y]), LoadOptions::default()).unwrap_err();
    assert!(
        error.to_string().starts_with("step `middle`: expected"),
        "{error}"
    );
}

#[test]
fn inputs_that_do_not_fit_are_the_callers_fault() {
    let executor = load(&negate());
    let error = executor.predict(&[tensor("x", &[1], &[1u8])]).unwrap_err();
    assert!(matches!(error, PredictError::InvalidInput(_)), "{error}");
}

#[test]
fn a_step_that_fails_is_named() {
    let mut builder = Builder::new(&["i:i64[2]"]);
    let table = builder.constant("table:f32[3]", &[1f32, 2.0, 3.0]);
    let gather = Kernel::Gather(Gather::Slices {
        axis: 0,
        out_of_range: OutOfRange::Fail,
    });
    let y = builder.step("look-up:f32[2]", gather, &[table, ValueId(0)]);
    let executor = load(&builder.finish(&[y]));
    assert!(executor.predict(&[tensor("i", &[2], &[0i64, 2])]).is_ok());
    let error = executor
        .predict(&[tensor("i", &[2], &[0i64, 3])])
        .unwrap_err();
    assert!(error.to_string().starts_with("step `look-up`: "), "{error}");
    assert!(executor.predict(&[tensor("i", &[2], &[-1i64, 1])]).is_ok());
}

/// `x` of N numbers, without `less` of them.
fn shortened(less: i64) -> Plan<'static> {
    let mut builder = Builder::new(&["x:f32[N]"]);
    let mut value = builder.value("short:f32[N]", Storage::Buffer);
    value.dims.as_mut().unwrap()[0]
        .0
        .extend([DimOp::Number(less), DimOp::Subtract]);
    let slice = Kernel::Slice(tensorlet_plan::kernel::Slice {
        starts: vec![0],
        steps: vec![1],
    });
    let y = builder.step_to(value, slice, &[ValueId(0)]);
    builder.finish(&[y])
}

#[test]
fn sizes_that_the_model_does_not_have_are_refused() {
    let executor = load(&shortened(2));
    assert!(executor.predict(&[tensor("x", &[3], &[0f32; 3])]).is_ok());
    assert!(executor.predict(&[tensor("x", &[2], &[0f32; 2])]).is_ok());
    let error = executor.predict(&[tensor("x", &[1], &[0f32])]).unwrap_err();
    expect!["value `short`: expected sizes from 0 to 2^32 - 1, found -1"]
        .assert_eq(&error.to_string());
}

#[test]
fn an_alias_that_does_not_fit_is_refused() {
    let mut builder = Builder::new(&["x:f32[N]"]);
    let mut value = builder.value("pairs:f32[N,2]", Storage::Alias(ValueId(0)));
    value.dims.as_mut().unwrap()[0]
        .0
        .extend([DimOp::Number(2), DimOp::Divide]);
    builder.plan.values.push(value);
    let executor = load(&builder.finish(&[ValueId(1)]));
    assert!(executor.predict(&[tensor("x", &[4], &[0f32; 4])]).is_ok());
    let error = executor
        .predict(&[tensor("x", &[3], &[0f32; 3])])
        .unwrap_err();
    expect!["value `pairs`: expected 12 bytes, as `x` has, found 8"].assert_eq(&error.to_string());
}

#[test]
fn lengths_of_slices_are_checked() {
    let executor = load(&negate());
    let mut state = State::new();
    let (x, mut y) = ([0; 8], [0; 8]);
    let mut run = |sizes: &[u32], inputs: &[&[u8]], outputs: &mut [&mut [u8]]| {
        let result = executor.run(&mut state, sizes, inputs, outputs);
        result
            .err()
            .map_or("none".into(), |error| error.to_string())
    };
    let errors = [
        run(&[2], &[&x], &mut [&mut y]),
        run(&[], &[&x], &mut [&mut y]),
        run(&[2, 2], &[&x], &mut [&mut y]),
        run(&[3], &[&x], &mut [&mut y]),
        run(&[2], &[], &mut [&mut y]),
        run(&[2], &[&x, &x], &mut [&mut y]),
        run(&[2], &[&x], &mut []),
        run(&[2], &[&x], &mut [&mut y[..4]]),
        run(&[u32::MAX], &[&x], &mut [&mut y]),
    ];
    expect![[r#"
        none
        expected sizes of 1 symbols, found 0
        expected sizes of 1 symbols, found 2
        input `x`: expected 1 × 12 bytes, found 8
        expected 1 inputs, found 0
        expected 1 inputs, found 2
        expected 1 outputs, found 0
        output `0 y`: expected 1 × 8 bytes, found 4
        expected 34359738368 bytes of memory for inputs of these sizes, found fewer"#]]
    .assert_eq(&errors.join("\n"));
}

#[test]
fn memory_for_a_call_is_limited() {
    let options = LoadOptions {
        max_arena_bytes: 1000,
        ..LoadOptions::default()
    };
    let executor = Executor::load(&negate(), options).unwrap();
    assert!(executor.make_ready(&[100]).is_ok());
    let error = executor.make_ready(&[1000]).unwrap_err();
    assert!(matches!(error, PredictError::OutOfMemory { .. }), "{error}");
}

#[test]
fn memory_that_does_not_exist_is_an_error() {
    let mut builder = Builder::new(&["n:u8[A,B,C]"]);
    let y = builder.step("y:u8[A,B,C]", Kernel::Copy, &[ValueId(0)]);
    let options = LoadOptions {
        max_arena_bytes: usize::MAX,
        ..LoadOptions::default()
    };
    let executor = Executor::load(&builder.finish(&[y]), options).unwrap();
    let error = executor.make_ready(&[u32::MAX; 3]).unwrap_err();
    assert!(error.to_string().contains("fits in memory"), "{error}");
    let error = executor
        .make_ready(&[u32::MAX, u32::MAX >> 1, 1])
        .unwrap_err();
    assert!(matches!(error, PredictError::OutOfMemory { .. }), "{error}");
}

#[cfg(not(feature = "tract"))]
#[test]
fn without_tract_its_operators_are_named() {
    use tensorlet_plan::{SubgraphFormat, TractStep};

    let mut builder = Builder::new(&["x:f32[3]"]);
    let tract = Kernel::Tract(TractStep {
        format: SubgraphFormat::Onnx,
        subgraph: 0..0,
        one_row: false,
        operators: [("Gelu".into(), 1), ("NonZero".into(), 3)].into(),
    });
    let y = builder.step("rest:f32[3]", tract, &[ValueId(0)]);
    let error = Executor::load(&builder.finish(&[y]), LoadOptions::default()).unwrap_err();
    expect!["expected a plan of kernels alone, as tract is not here, found step `rest` and the operators Gelu, NonZero"].assert_eq(&error.to_string());
}
