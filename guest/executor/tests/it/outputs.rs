//! Outputs in all the places where they can be.

use tensorlet_executor::State;
use tensorlet_plan::kernel::UnaryOp;
use tensorlet_plan::{Kernel, ValueId};

use crate::builder::{Builder, Shifted, elements, load, tensor};

const NEG: Kernel = Kernel::Unary(UnaryOp::Neg);

#[test]
fn a_step_writes_an_output() {
    let mut builder = Builder::new(&["x:f32[3]"]);
    let y = builder.step("y:f32[3]", NEG, &[ValueId(0)]);
    let executor = load(&builder.finish(&[y]));
    for _ in 0..3 {
        let outputs = executor
            .predict(&[tensor("x", &[3], &[1.0f32, 2.0, -3.0])])
            .unwrap();
        assert_eq!(outputs[0].0, "0 y");
        assert_eq!(outputs[0].1.type_text(), "f32[3]");
        assert_eq!(elements::<f32>(&outputs[0]), [-1.0, -2.0, 3.0]);
    }
}

#[test]
fn inputs_are_found_by_name() {
    let mut builder = Builder::new(&["a:f32[1]", "b:f32[1]"]);
    let y = builder.step(
        "y:f32[2]",
        Kernel::Concat { axis: 0 },
        &[ValueId(0), ValueId(1)],
    );
    let executor = load(&builder.finish(&[y]));
    let inputs = [tensor("b", &[1], &[2f32]), tensor("a", &[1], &[1f32])];
    let outputs = executor.predict(&inputs).unwrap();
    assert_eq!(elements::<f32>(&outputs[0]), [1.0, 2.0]);
}

#[test]
fn an_output_may_be_read_by_later_steps() {
    let mut builder = Builder::new(&["x:f32[2]"]);
    let y = builder.step("y:f32[2]", NEG, &[ValueId(0)]);
    let z = builder.step("z:f32[4]", Kernel::Concat { axis: 0 }, &[y, ValueId(0)]);
    let executor = load(&builder.finish(&[y, z]));
    let outputs = executor
        .predict(&[tensor("x", &[2], &[1f32, 2.0])])
        .unwrap();
    assert_eq!(elements::<f32>(&outputs[0]), [-1.0, -2.0]);
    assert_eq!(elements::<f32>(&outputs[1]), [-1.0, -2.0, 1.0, 2.0]);
}

#[test]
fn one_value_may_be_several_outputs() {
    let mut builder = Builder::new(&["x:f32[2]"]);
    let y = builder.step("y:f32[2]", NEG, &[ValueId(0)]);
    let alias = builder.alias("a:f32[2,1]", y);
    let executor = load(&builder.finish(&[alias, y, y]));
    let outputs = executor
        .predict(&[tensor("x", &[2], &[1f32, 2.0])])
        .unwrap();
    assert_eq!(outputs[0].1.type_text(), "f32[2, 1]");
    for output in &outputs {
        assert_eq!(elements::<f32>(output), [-1.0, -2.0]);
    }
}

#[test]
fn inputs_and_constants_may_be_outputs() {
    let mut builder = Builder::new(&["x:f32[2]", "unused:u8[N]"]);
    let c = builder.constant("c:i64[3]", &[1i64, -2, 3]);
    let x = builder.alias("again:f32[1,2]", ValueId(0));
    let executor = load(&builder.finish(&[x, c, ValueId(0)]));
    let inputs = [
        tensor("x", &[2], &[1f32, 2.0]),
        tensor("unused", &[1], &[0u8]),
    ];
    let outputs = executor.predict(&inputs).unwrap();
    assert_eq!(elements::<f32>(&outputs[0]), [1.0, 2.0]);
    assert_eq!(elements::<i64>(&outputs[1]), [1, -2, 3]);
    assert_eq!(elements::<f32>(&outputs[2]), [1.0, 2.0]);
}

#[test]
fn an_input_is_an_output_after_its_copy_is_gone() {
    // The copy of `x` in the arena is free after the first step.
    let mut builder = Builder::new(&["x:f32[16]"]);
    let a = builder.step("a:f32[16]", NEG, &[ValueId(0)]);
    let b = builder.step("b:f32[16]", NEG, &[a]);
    let c = builder.step("c:f32[16]", NEG, &[b]);
    let executor = load(&builder.finish(&[ValueId(0), c]));
    let floats: Vec<f32> = (0..16).map(|number| number as f32).collect();
    let input = Shifted::new(bytemuck::cast_slice(&floats), 4);
    let mut found = [Shifted::new(&[0; 64], 8), Shifted::new(&[0; 64], 0)];
    let mut slices: Vec<&mut [u8]> = found.iter_mut().map(Shifted::bytes_mut).collect();
    executor
        .run(&mut State::new(), &[], &[input.bytes()], &mut slices)
        .unwrap();
    assert_eq!(found[0].bytes(), input.bytes());
    let negative: Vec<f32> = floats.iter().map(|number| -number).collect();
    assert_eq!(found[1].bytes(), bytemuck::cast_slice::<f32, u8>(&negative));
}

#[test]
fn tensors_without_elements_are_computed_too() {
    let mut builder = Builder::new(&["x:f32[0,3]"]);
    let y = builder.step("y:f32[0,3]", NEG, &[ValueId(0)]);
    let executor = load(&builder.finish(&[y, ValueId(0)]));
    let outputs = executor
        .predict(&[tensor::<f32>("x", &[0, 3], &[])])
        .unwrap();
    assert!(outputs.iter().all(|(_, tensor)| tensor.is_empty()));
}

#[test]
fn memory_is_reused_between_steps() {
    let mut builder = Builder::new(&["x:f32[1024]"]);
    let mut value = ValueId(0);
    for index in 0..50 {
        value = builder.step(&format!("v{index}:f32[1024]"), NEG, &[value]);
    }
    let executor = load(&builder.finish(&[value]));
    let mut state = State::new();
    let input = vec![0u8; 4096];
    let mut output = vec![0u8; 4096];
    executor
        .run(&mut state, &[], &[&input], &mut [&mut output])
        .unwrap();
    assert!(
        state.arena_bytes() <= 3 * 4096,
        "{} bytes",
        state.arena_bytes()
    );
}

#[test]
fn steps_are_observed_in_order() {
    let mut builder = Builder::new(&["x:f32[N,2]"]);
    let y = builder.step("y:f32[N,2]", NEG, &[ValueId(0)]);
    let z = builder.step("z:f32[N,2]", NEG, &[y]);
    let mut plan = builder.finish(&[z]);
    plan.row_symbol = Some(tensorlet_plan::SymbolId(0));
    let executor = load(&plan);
    let (input, mut output) = (vec![0; 16], vec![0; 16]);
    let mut steps = Vec::new();
    executor
        .run_observed(
            &mut State::new(),
            &[2],
            &[&input],
            &mut [&mut output],
            &mut |step| steps.push(step),
        )
        .unwrap();
    assert_eq!(steps, [0, 1, 0, 1]);
}
