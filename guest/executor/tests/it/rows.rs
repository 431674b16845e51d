//! Plans that are run once a row.

use tensorlet_executor::State;
use tensorlet_plan::kernel::UnaryOp;
use tensorlet_plan::{Kernel, Plan, SymbolId, ValueId};

use crate::builder::{Builder, Shifted, elements, load, tensor};

/// Negates rows of three numbers, and joins them with themselves.
fn rows() -> Plan<'static> {
    let mut builder = Builder::new(&["x:f32[N,3]", "w:f32[N,W]"]);
    let y = builder.step("y:f32[N,3]", Kernel::Unary(UnaryOp::Neg), &[ValueId(0)]);
    let mut value = builder.value("z:f32[N,W]", tensorlet_plan::Storage::Buffer);
    let wider = tensorlet_plan::DimOp::Number(3);
    value.dims.as_mut().unwrap()[1]
        .0
        .extend([wider, tensorlet_plan::DimOp::Add]);
    let z = builder.step_to(value, Kernel::Concat { axis: 1 }, &[y, ValueId(1)]);
    let mut plan = builder.finish(&[z, ValueId(0)]);
    plan.row_symbol = Some(SymbolId(0));
    plan
}

#[test]
fn rows_are_computed_one_by_one() {
    let executor = load(&rows());
    for rows in [1, 2, 5] {
        let x: Vec<f32> = (0..rows * 3).map(|number| number as f32).collect();
        let w: Vec<f32> = (0..rows * 2).map(|number| 100.0 + number as f32).collect();
        let inputs = [tensor("x", &[rows, 3], &x), tensor("w", &[rows, 2], &w)];
        let outputs = executor.predict(&inputs).unwrap();
        assert_eq!(outputs[0].1.dims(), [rows, 5]);
        let expected: Vec<f32> = x
            .chunks(3)
            .zip(w.chunks(2))
            .flat_map(|(x, w)| [-x[0], -x[1], -x[2], w[0], w[1]])
            .collect();
        assert_eq!(elements::<f32>(&outputs[0]), expected);
        assert_eq!(elements::<f32>(&outputs[1]), x);
    }
}

#[test]
fn no_rows_give_empty_outputs() {
    let executor = load(&rows());
    let mut outputs: [&mut [u8]; 2] = [&mut [], &mut []];
    executor
        .run(&mut State::new(), &[0, 4], &[&[], &[]], &mut outputs)
        .unwrap();
    assert_eq!(
        executor.output_dims(&[0, 4]).unwrap(),
        [Some(vec![0, 7]), Some(vec![0, 3])]
    );
}

#[test]
fn a_plan_of_rows_is_bound_at_load() {
    let mut builder = Builder::new(&["x:f32[N,3]"]);
    let y = builder.step("y:f32[N,4]", Kernel::Copy, &[ValueId(0)]);
    let mut plan = builder.finish(&[y]);
    assert!(tensorlet_executor::Executor::load(&plan, Default::default()).is_ok());
    plan.row_symbol = Some(SymbolId(0));
    let error = tensorlet_executor::Executor::load(&plan, Default::default()).unwrap_err();
    assert!(error.to_string().starts_with("step `y`: "), "{error}");
}

#[test]
fn rows_need_not_be_aligned() {
    let executor = load(&rows());
    let x: Vec<f32> = (0..21).map(|number| number as f32).collect();
    let input = Shifted::new(bytemuck::cast_slice(&x), 12);
    let mut found = [Shifted::new(&[0; 84], 4), Shifted::new(&[0; 84], 0)];
    let mut slices: Vec<&mut [u8]> = found.iter_mut().map(Shifted::bytes_mut).collect();
    executor
        .run(
            &mut State::new(),
            &[7, 0],
            &[input.bytes(), &[]],
            &mut slices,
        )
        .unwrap();
    let negative: Vec<f32> = x.iter().map(|number| -number).collect();
    assert_eq!(found[0].bytes(), bytemuck::cast_slice::<f32, u8>(&negative));
    assert_eq!(found[1].bytes(), input.bytes());
    assert!(found.iter().all(Shifted::is_intact));
}
