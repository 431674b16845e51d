//! Plans that several threads execute, and calls that are interrupted.

use std::sync::atomic::{AtomicUsize, Ordering};

use tensorlet_executor::{Crew, PredictError, State, Team};
use tensorlet_kernels::crew::Interrupted;
use tensorlet_plan::kernel::UnaryOp;
use tensorlet_plan::{Kernel, Plan, SymbolId, ValueId};

use crate::builder::{Builder, Random, Shifted, elements, load, tensor};

/// A team whose helpers are started anew each time.
pub(crate) struct Fresh(pub(crate) usize);

impl Team for Fresh {
    fn size(&self) -> usize {
        self.0
    }

    fn run(&self, work: &(dyn Fn() + Sync)) {
        std::thread::scope(|scope| {
            for _ in 1..self.0 {
                scope.spawn(work);
            }
            work();
        });
    }
}

/// Rows of 1000 numbers, made larger by ten functions of each, and their softmax.
fn functions() -> Plan<'static> {
    let mut builder = Builder::new(&["x:f32[N,1000]"]);
    let mut value = ValueId(0);
    for index in 0..10 {
        let op = [UnaryOp::Tanh, UnaryOp::Gelu, UnaryOp::Sin][index % 3];
        let name = format!("y{index}:f32[N,1000]");
        value = builder.step(&name, Kernel::Unary(op), &[value]);
    }
    let softmax = Kernel::Softmax {
        axis: 1,
        log: false,
    };
    let softmax = builder.step("softmax:f32[N,1000]", softmax, &[value]);
    builder.finish(&[value, softmax, ValueId(0)])
}

#[test]
fn outputs_do_not_depend_on_threads() {
    for row_symbol in [None, Some(SymbolId(0))] {
        let mut plan = functions();
        plan.row_symbol = row_symbol;
        let executor = load(&plan);
        for rows in [1u32, 2, 3, 4, 7, 16] {
            let x = Random(7).floats(rows as usize * 1000);
            let inputs = [tensor("x", &[rows, 1000], &x)];
            let expected = executor.predict(&inputs).unwrap();
            for threads in 1..5 {
                let team = Fresh(threads);
                let found = executor
                    .predict_with(&inputs, Crew::new(Some(&team), None))
                    .unwrap();
                assert_eq!(found, expected, "{rows} rows, {threads} threads");
            }
        }
    }
}

#[test]
fn rows_need_not_be_aligned_for_threads() {
    let mut builder = Builder::new(&["x:f32[N,3]"]);
    let y = builder.step("y:f32[N,3]", Kernel::Unary(UnaryOp::Neg), &[ValueId(0)]);
    let mut plan = builder.finish(&[y, ValueId(0)]);
    plan.row_symbol = Some(SymbolId(0));
    let executor = load(&plan);
    let x: Vec<f32> = (0..150).map(|number| number as f32).collect();
    let negative: Vec<f32> = x.iter().map(|number| -number).collect();
    let input = Shifted::new(bytemuck::cast_slice(&x), 12);
    let mut state = State::new();
    for threads in [3, 1, 4] {
        let mut found = [Shifted::new(&[0; 600], 4), Shifted::new(&[0; 600], 0)];
        let mut slices: Vec<&mut [u8]> = found.iter_mut().map(Shifted::bytes_mut).collect();
        let team = Fresh(threads);
        let crew = Crew::new(Some(&team), None);
        executor
            .run_with(&mut state, &[50], &[input.bytes()], &mut slices, crew)
            .unwrap();
        assert_eq!(found[0].bytes(), bytemuck::cast_slice::<f32, u8>(&negative));
        assert_eq!(found[1].bytes(), input.bytes());
        assert!(found.iter().all(Shifted::is_intact));
    }
}

#[test]
fn an_error_is_that_of_the_first_row() {
    let mut builder = Builder::new(&["x:i32[N,2]", "z:i32[N,2]"]);
    let divide = Kernel::Binary(tensorlet_plan::kernel::BinaryOp::Div);
    let y = builder.step("quotient:i32[N,2]", divide, &[ValueId(0), ValueId(1)]);
    let mut plan = builder.finish(&[y]);
    plan.row_symbol = Some(SymbolId(0));
    let executor = load(&plan);
    let x = tensor("x", &[4, 2], &[6i32; 8]);
    let team = Fresh(2);
    let crew = Crew::new(Some(&team), None);
    let good = [x.clone(), tensor("z", &[4, 2], &[2i32; 8])];
    let outputs = executor.predict_with(&good, crew).unwrap();
    assert_eq!(elements::<i32>(&outputs[0]), [3; 8]);
    let bad = [x, tensor("z", &[4, 2], &[2i32, 1, 2, 0, 1, 1, 0, 0])];
    let error = executor.predict_with(&bad, crew).unwrap_err();
    assert!(
        error.to_string().starts_with("step `quotient`: "),
        "{error}"
    );
}

#[test]
fn an_interruption_ends_a_call_and_nothing_else() {
    for row_symbol in [None, Some(SymbolId(0))] {
        let mut plan = functions();
        plan.row_symbol = row_symbol;
        let executor = load(&plan);
        let inputs = [tensor("x", &[4, 1000], &Random(7).floats(4000))];
        let expected = executor.predict(&inputs).unwrap();
        for threads in 1..4 {
            let team = Fresh(threads);
            for questions in 0..5 {
                let asked = AtomicUsize::new(0);
                let interrupt = || asked.fetch_add(1, Ordering::Relaxed) >= questions;
                let crew = Crew::new(Some(&team), Some(&interrupt));
                let error = executor.predict_with(&inputs, crew).unwrap_err();
                assert_eq!(error, PredictError::Interrupted(Interrupted));
                assert_eq!(executor.predict(&inputs).unwrap(), expected);
            }
        }
    }
}
