//! Sizes that calls decide.

use tensorlet_executor::State;
use tensorlet_plan::kernel::UnaryOp;
use tensorlet_plan::{DimOp, Kernel, Plan, Storage, ValueId};

use crate::builder::{Builder, elements, load, tensor};

fn negate() -> Plan<'static> {
    let mut builder = Builder::new(&["x:f32[N,W]"]);
    let y = builder.step("y:f32[N,W]", Kernel::Unary(UnaryOp::Neg), &[ValueId(0)]);
    builder.finish(&[y])
}

#[test]
fn each_size_gives_its_own_outputs() {
    let executor = load(&negate());
    // More than are remembered, twice.
    for round in 0..2 {
        for size in 1..30u32 {
            let x: Vec<f32> = (0..size * 2).map(|number| number as f32).collect();
            let outputs = executor.predict(&[tensor("x", &[2, size], &x)]).unwrap();
            assert_eq!(outputs[0].1.dims(), [2, size], "round {round}");
            let expected: Vec<f32> = x.iter().map(|number| -number).collect();
            assert_eq!(elements::<f32>(&outputs[0]), expected);
        }
    }
}

#[test]
fn one_state_serves_all_sizes() {
    let executor = load(&negate());
    let mut state = State::new();
    for size in [1u32, 100, 3, 1000, 2] {
        let input = vec![0u8; size as usize * 4];
        let mut output = vec![0xff; input.len()];
        executor
            .run(&mut state, &[1, size], &[&input], &mut [&mut output])
            .unwrap();
        assert!(
            output.chunks(4).all(|bytes| bytes == [0, 0, 0, 0x80]),
            "negative zeros"
        );
    }
}

#[test]
fn threads_may_call_at_the_same_time() {
    let executor = load(&negate());
    std::thread::scope(|scope| {
        for thread in 0..4u32 {
            let executor = &executor;
            scope.spawn(move || {
                for call in 0..200u32 {
                    let size = 1 + (thread + call) % 20;
                    let x = vec![(thread * 1000 + call) as f32; size as usize];
                    let outputs = executor.predict(&[tensor("x", &[1, size], &x)]).unwrap();
                    assert!(elements::<f32>(&outputs[0]).iter().all(|&y| y == -x[0]));
                }
            });
        }
    });
}

#[test]
fn outputs_may_have_other_sizes() {
    let mut builder = Builder::new(&["x:f32[N]"]);
    let mut value = builder.value("y:f32[N]", Storage::Buffer);
    let twice = [DimOp::Number(2), DimOp::Multiply];
    value.dims.as_mut().unwrap()[0].0.extend(twice);
    let y = builder.step_to(value, Kernel::Concat { axis: 0 }, &[ValueId(0), ValueId(0)]);
    let executor = load(&builder.finish(&[y]));
    assert_eq!(executor.symbols(), ["N"]);
    assert_eq!(executor.output_dims(&[5]).unwrap(), [Some(vec![10])]);
    let outputs = executor
        .predict(&[tensor("x", &[2], &[1f32, 2.0])])
        .unwrap();
    assert_eq!(elements::<f32>(&outputs[0]), [1.0, 2.0, 1.0, 2.0]);
}
