//! Plans of one step that has much to do, for little memory.

use tensorlet_plan::kernel::{
    Attention, Conv, ConvWeights, Epilogue, MatMul, MatMulRhs, Pool, PoolKind, Recurrent,
    RecurrentCell,
};
use tensorlet_plan::{Kernel, Plan, ValueId};

use crate::builder::Builder;

const X: ValueId = ValueId(0);

/// A window that is wider than what it slides over, by far.
pub(crate) fn pool() -> Plan<'static> {
    let mut builder = Builder::new(&["x:f32[1,256,1,1]"]);
    let pool = Kernel::Pool(Pool {
        kind: PoolKind::Max,
        kernel: vec![1, 1 << 25],
        strides: vec![1; 2],
        dilations: vec![1; 2],
        pads_before: vec![0; 2],
        pads_after: vec![0; 2],
    });
    let y = builder.step("y:f32[1,256,1,1]", pool, &[X]);
    builder.finish(&[y])
}

/// As many neighbours as there are channels.
pub(crate) fn lrn() -> Plan<'static> {
    let mut builder = Builder::new(&["x:f32[1,131072,1]"]);
    let lrn = Kernel::Lrn {
        size: u32::MAX,
        alpha: 0.1,
        beta: 0.5,
        bias: 1.0,
    };
    let y = builder.step("y:f32[1,131072,1]", lrn, &[X]);
    builder.finish(&[y])
}

/// A sequence of which everything looks at everything.
pub(crate) fn attention() -> Plan<'static> {
    let mut builder = Builder::new(&["x:f32[1,65536,4]"]);
    let attention = Kernel::Attention(Attention {
        scale: 0.5,
        mask: false,
        transposed_k: false,
    });
    let y = builder.step("y:f32[1,65536,4]", attention, &[X, X, X]);
    builder.finish(&[y])
}

/// A product of matrices of one number.
pub(crate) fn product() -> Plan<'static> {
    let mut builder = Builder::new(&["x:f32[1,1]"]);
    let matmul = Kernel::MatMul(MatMul {
        rhs: MatMulRhs::Plain,
        scale: 1.0,
        epilogue: Epilogue::default(),
    });
    let wide = builder.step("wide:f32[6144,6144]", Kernel::Expand, &[X]);
    let y = builder.step("y:f32[6144,6144]", matmul, &[wide, wide]);
    builder.finish(&[y])
}

/// A convolution whose window is half as large as the picture.
pub(crate) fn convolution() -> Plan<'static> {
    let mut builder = Builder::new(&["x:f32[1,1,1,1]"]);
    let conv = Kernel::Conv(Conv {
        weights: ConvWeights::Plain,
        group: 1,
        kernel: vec![512; 2],
        strides: vec![1; 2],
        dilations: vec![1; 2],
        pads_before: vec![0; 2],
        pads_after: vec![0; 2],
        epilogue: Epilogue::default(),
    });
    let picture = builder.step("picture:f32[1,1,1023,1023]", Kernel::Expand, &[X]);
    let weights = builder.step("weights:f32[1,1,512,512]", Kernel::Expand, &[X]);
    let y = builder.step("y:f32[1,1,512,512]", conv, &[picture, weights]);
    builder.finish(&[y])
}

/// A sequence that is gone through element by element, in one step.
pub(crate) fn recurrence() -> Plan<'static> {
    let mut builder = Builder::new(&["x:f32[262144,1,1]"]);
    let recurrent = Kernel::Recurrent(Recurrent {
        cell: RecurrentCell::Lstm,
        hidden: 128,
        reverse: false,
        bidirectional: false,
        inputs: [false; 5],
        outputs: [false, true, false],
    });
    let w = builder.constant("w:f32[1,32,1,16]", &[0f32; 32 * 16]);
    let r = builder.constant("r:f32[1,32,128,16]", &[0f32; 32 * 128 * 16]);
    let y = builder.step("y:f32[1,1,128]", recurrent, &[X, w, r]);
    builder.finish(&[y])
}
