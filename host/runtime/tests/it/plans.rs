//! Small plans.

use tensorlet_plan::kernel::{BinaryOp, Gather, MatMul, MatMulRhs, OutOfRange, UnaryOp};
use tensorlet_plan::{Kernel, Plan, ValueId};

use crate::builder::Builder;

const X: ValueId = ValueId(0);

/// Negates rows of four numbers.
pub(crate) fn negation() -> Plan<'static> {
    let mut builder = Builder::new(&["x:f32[N,4]"]);
    let y = builder.step("y:f32[N,4]", Kernel::Unary(UnaryOp::Neg), &[X]);
    builder.finish(&[y])
}

/// Adds a constant to four numbers.
pub(crate) fn sum(constant: f32) -> Plan<'static> {
    let mut builder = Builder::new(&["x:f32[4]"]);
    let constant = builder.constant("c:f32[4]", &[constant; 4]);
    let y = builder.step("y:f32[4]", Kernel::Binary(BinaryOp::Add), &[X, constant]);
    builder.finish(&[y])
}

/// Gives the sum and the difference of two inputs.
pub(crate) fn two_and_two() -> Plan<'static> {
    let mut builder = Builder::new(&["a:f32[N]", "b:f32[N]"]);
    let inputs = [ValueId(0), ValueId(1)];
    let sum = builder.step("sum:f32[N]", Kernel::Binary(BinaryOp::Add), &inputs);
    let difference = builder.step("difference:f32[N]", Kernel::Binary(BinaryOp::Sub), &inputs);
    builder.finish(&[sum, difference])
}

/// Looks a row of a table of five rows up.
pub(crate) fn look_up() -> Plan<'static> {
    let mut builder = Builder::new(&["i:i64[N]"]);
    let table: Vec<f32> = (0..10u8).map(f32::from).collect();
    let table = builder.constant("table:f32[5,2]", &table);
    let gather = Kernel::Gather(Gather::Slices {
        axis: 0,
        out_of_range: OutOfRange::Fail,
    });
    let y = builder.step("y:f32[N,2]", gather, &[table, X]);
    builder.finish(&[y])
}

/// Multiplies a square matrix with itself, so many times.
pub(crate) fn powers(size: usize, times: usize) -> Plan<'static> {
    let mut builder = Builder::new(&[&format!("x:f32[{size},{size}]")]);
    let matmul = || {
        Kernel::MatMul(MatMul {
            rhs: MatMulRhs::Plain,
            scale: 1.0,
            epilogue: Default::default(),
        })
    };
    let mut y = X;
    for index in 0..times {
        y = builder.step(&format!("y{index}:f32[{size},{size}]"), matmul(), &[y, X]);
    }
    builder.finish(&[y])
}

/// Floats as bytes.
pub(crate) fn bytes(floats: &[f32]) -> Vec<u8> {
    floats
        .iter()
        .flat_map(|float| float.to_le_bytes())
        .collect()
}
