//! Plans of a few steps that have every kernel between them.

use tensorlet_plan::kernel::{
    Activation, Attention, BinaryOp, Conv, ConvTranspose, ConvWeights, Epilogue, Gather, MatMul,
    MatMulRhs, Normalise, NormaliseKind, OutOfRange, Pad, PadMode, Pool, PoolKind, Recurrent,
    RecurrentCell, Reduce, ReduceOp, Resize, ResizeCoordinates, ResizeMode, Scatter,
    ScatterReduction, Slice, TopK, UnaryOp,
};
use tensorlet_plan::{Kernel, Layout, Plan, Storage, ValueId};

use crate::builder::Builder;

pub(crate) fn all() -> Vec<Plan<'static>> {
    vec![
        elements(),
        comparisons(),
        blocked(),
        plain_convolutions(),
        windows(),
        matrices(),
        sequences(),
        normalisations(),
        movement(),
        look_ups(),
        ranks(),
    ]
}

const X: ValueId = ValueId(0);
const Y: ValueId = ValueId(1);

const RELU: Activation = Activation::Clamp {
    low: 0.0,
    high: f32::INFINITY,
};

fn floats(len: usize) -> Vec<f32> {
    (0..len).map(|index| (index % 7) as f32 - 3.0).collect()
}

/// A value in blocks.
fn blocked_value(builder: &Builder, spec: &str) -> tensorlet_plan::Value {
    tensorlet_plan::Value {
        layout: Layout::Blocked,
        ..builder.value(spec, Storage::Buffer)
    }
}

fn elements() -> Plan<'static> {
    let mut b = Builder::new(&["x:f32[N,3]", "y:f32[N,1]"]);
    let mut value = X;
    for (index, op) in [
        UnaryOp::Abs,
        UnaryOp::Rsqrt,
        UnaryOp::Tanh,
        UnaryOp::Gelu,
        UnaryOp::Sin,
        UnaryOp::LeakyRelu { alpha: 0.1 },
        UnaryOp::Selu {
            alpha: 1.0,
            gamma: 2.0,
        },
    ]
    .into_iter()
    .enumerate()
    {
        value = b.step(&format!("u{index}:f32[N,3]"), Kernel::Unary(op), &[value]);
    }
    for (index, op) in [BinaryOp::Add, BinaryOp::Div, BinaryOp::Pow, BinaryOp::Fmod]
        .into_iter()
        .enumerate()
    {
        let kernel = Kernel::Binary(op);
        value = b.step(&format!("b{index}:f32[N,3]"), kernel, &[value, Y]);
    }
    let c = b.step("c:i32[N,3]", Kernel::Cast, &[value]);
    b.finish(&[value, c])
}

fn comparisons() -> Plan<'static> {
    let mut b = Builder::new(&["x:i64[N,3]", "y:i64[3]"]);
    let less = b.step("less:bool[N,3]", Kernel::Binary(BinaryOp::Less), &[X, Y]);
    let not = b.step("not:bool[N,3]", Kernel::Unary(UnaryOp::Not), &[less]);
    let and = b.step("and:bool[N,3]", Kernel::Binary(BinaryOp::And), &[not, less]);
    let w = b.step("where:i64[N,3]", Kernel::Where, &[and, X, Y]);
    let quotient = b.step("q:i64[N,3]", Kernel::Binary(BinaryOp::Div), &[w, X]);
    b.finish(&[w, quotient])
}

fn conv(weights: ConvWeights, group: u32, kernel: u32, stride: u32, residual: bool) -> Kernel {
    let pad = kernel / 2;
    Kernel::Conv(Conv {
        weights,
        group,
        kernel: vec![kernel; 2],
        strides: vec![stride; 2],
        dilations: vec![1; 2],
        pads_before: vec![pad; 2],
        pads_after: vec![pad; 2],
        epilogue: Epilogue {
            bias: true,
            residual,
            activation: RELU,
        },
    })
}

fn blocked() -> Plan<'static> {
    let mut b = Builder::new(&["x:f32[N,3,6,6]"]);
    let first = b.constant("first:f32[2,3,3,3,16]", &floats(2 * 27 * 16));
    let bias = b.constant("bias:f32[32]", &floats(32));
    let depthwise = b.constant("depthwise:f32[2,3,3,16]", &floats(2 * 9 * 16));
    let pointwise = b.constant("pointwise:f32[2,1,1,20,16]", &floats(2 * 20 * 16));
    let value = blocked_value(&b, "a:f32[N,20,3,3]");
    let a = b.step_to(
        value,
        conv(ConvWeights::PlainInput, 1, 3, 2, false),
        &[X, first, bias],
    );
    let value = blocked_value(&b, "d:f32[N,20,3,3]");
    let kernel = conv(ConvWeights::Depthwise, 20, 3, 1, false);
    let d = b.step_to(value, kernel, &[a, depthwise, bias]);
    let value = blocked_value(&b, "p:f32[N,20,3,3]");
    let kernel = conv(ConvWeights::Blocked, 1, 1, 1, true);
    let p = b.step_to(value, kernel, &[d, pointwise, bias, a]);
    let value = blocked_value(&b, "pool:f32[N,20,2,2]");
    let pool = b.step_to(value, pool(PoolKind::Max, 2, 1), &[p]);
    let value = blocked_value(&b, "mean:f32[N,20,1,1]");
    let reduce = Kernel::Reduce(Reduce {
        op: ReduceOp::Mean,
        axes: vec![2, 3],
    });
    let mean = b.step_to(value, reduce, &[pool]);
    let plain = b.step("plain:f32[N,20,1,1]", Kernel::FromBlocked, &[mean]);
    let value = blocked_value(&b, "again:f32[N,20,1,1]");
    let again = b.step_to(value, Kernel::ToBlocked, &[plain]);
    let value = blocked_value(&b, "scaled:f32[N,20,3,3]");
    let scaled = b.step_to(value, Kernel::Binary(BinaryOp::Mul), &[p, again]);
    let value = blocked_value(&b, "sigmoid:f32[N,20,3,3]");
    let sigmoid = b.step_to(value, Kernel::Unary(UnaryOp::Sigmoid), &[scaled]);
    let value = blocked_value(&b, "larger:f32[N,20,6,6]");
    let larger = b.step_to(value, resize(), &[sigmoid]);
    let y = b.step("y:f32[N,20,6,6]", Kernel::FromBlocked, &[larger]);
    b.finish(&[plain, y])
}

fn pool(kind: PoolKind, kernel: u32, stride: u32) -> Kernel {
    Kernel::Pool(Pool {
        kind,
        kernel: vec![kernel; 2],
        strides: vec![stride; 2],
        dilations: vec![1; 2],
        pads_before: vec![0; 2],
        pads_after: vec![0; 2],
    })
}

fn resize() -> Kernel {
    Kernel::Resize(Resize {
        mode: ResizeMode::Linear,
        coordinates: ResizeCoordinates::HalfPixel,
        scales: vec![],
    })
}

fn plain_convolutions() -> Plan<'static> {
    let mut b = Builder::new(&["x:f32[N,4,5,5]"]);
    let w = b.constant("w:f32[6,2,3,3]", &floats(6 * 18));
    let t = b.constant("t:f32[6,2,2,2]", &floats(6 * 8));
    let bias = b.constant("bias:f32[16]", &floats(16));
    let c = b.step(
        "c:f32[N,6,5,5]",
        conv(ConvWeights::Plain, 2, 3, 1, false),
        &[X, w, bias],
    );
    let transpose = Kernel::ConvTranspose(ConvTranspose {
        group: 1,
        kernel: vec![2, 2],
        strides: vec![2, 2],
        dilations: vec![1, 1],
        pads_before: vec![0, 0],
        epilogue: Epilogue {
            bias: true,
            residual: false,
            activation: RELU,
        },
    });
    let y = b.step("y:f32[N,2,10,10]", transpose, &[c, t, bias]);
    b.finish(&[y])
}

fn windows() -> Plan<'static> {
    let mut b = Builder::new(&["x:f32[N,4,6,6]"]);
    let average = PoolKind::Average {
        count_padding: true,
    };
    let a = b.step("a:f32[N,4,3,3]", pool(average, 2, 2), &[X]);
    let m = b.step("m:f32[N,4,2,2]", pool(PoolKind::Lp { p: 2 }, 2, 1), &[a]);
    let r = b.step("r:f32[N,4,5,5]", resize(), &[m]);
    let l = b.step(
        "l:f32[N,4,5,5]",
        Kernel::Lrn {
            size: 3,
            alpha: 0.1,
            beta: 0.5,
            bias: 1.0,
        },
        &[r],
    );
    let reduce = Kernel::Reduce(Reduce {
        op: ReduceOp::LogSumExp,
        axes: vec![1, 3],
    });
    let s = b.step("s:f32[N,5]", reduce, &[l]);
    b.finish(&[s])
}

fn matrices() -> Plan<'static> {
    let mut b = Builder::new(&["x:f32[N,4,5]", "y:f32[N,5,6]"]);
    let packed = b.constant("packed:f32[2,6,16]", &floats(2 * 6 * 16));
    let bias = b.constant("bias:f32[32]", &floats(32));
    let matmul = |rhs, bias| {
        Kernel::MatMul(MatMul {
            rhs,
            scale: 0.5,
            epilogue: Epilogue {
                bias,
                residual: false,
                activation: Activation::Unary(UnaryOp::GeluTanh),
            },
        })
    };
    let p = b.step("p:f32[N,4,6]", matmul(MatMulRhs::Plain, false), &[X, Y]);
    let q = b.step(
        "q:f32[N,4,20]",
        matmul(MatMulRhs::Packed, true),
        &[p, packed, bias],
    );
    let t = b.step(
        "t:f32[N,4,4]",
        matmul(MatMulRhs::Transposed, false),
        &[q, q],
    );
    let attention = Kernel::Attention(Attention {
        scale: 0.5,
        mask: true,
        transposed_k: false,
    });
    let a = b.step("a:f32[N,4,20]", attention, &[p, p, q, t]);
    b.finish(&[a])
}

fn sequences() -> Plan<'static> {
    let mut b = Builder::new(&["x:f32[3,N,4]"]);
    let recurrent = |cell| {
        Kernel::Recurrent(Recurrent {
            cell,
            hidden: 5,
            reverse: false,
            bidirectional: false,
            inputs: [true, false, false, false, false],
            outputs: [true, false, false],
        })
    };
    let w = b.constant("w:f32[1,2,4,16]", &floats(2 * 4 * 16));
    let r = b.constant("r:f32[1,2,5,16]", &floats(2 * 5 * 16));
    let lstm_bias = b.constant("lstm_bias:f32[1,40]", &floats(40));
    let gru_w = b.constant("gru_w:f32[1,1,4,16]", &floats(4 * 16));
    let gru_r = b.constant("gru_r:f32[1,1,5,16]", &floats(5 * 16));
    let gru_bias = b.constant("gru_bias:f32[1,30]", &floats(30));
    let lstm = recurrent(RecurrentCell::Lstm);
    let y = b.step("y:f32[3,1,N,5]", lstm, &[X, w, r, lstm_bias]);
    let gru = recurrent(RecurrentCell::Gru {
        linear_before_reset: true,
    });
    let z = b.step("z:f32[3,1,N,5]", gru, &[X, gru_w, gru_r, gru_bias]);
    b.finish(&[y, z])
}

fn normalisations() -> Plan<'static> {
    let mut b = Builder::new(&["x:f32[N,4,6]"]);
    let scale = b.constant("scale:f32[6]", &floats(6));
    let channels = b.constant("channels:f32[4]", &floats(4));
    let normalise = |kind| {
        Kernel::Normalise(Normalise {
            kind,
            epsilon: 1e-5,
            scale: true,
            bias: true,
        })
    };
    let kinds = [
        NormaliseKind::Layer { axis: 2 },
        NormaliseKind::RootMeanSquare { axis: 2 },
        NormaliseKind::Axis { axis: 1 },
        NormaliseKind::Group { groups: 2 },
    ];
    let mut value = X;
    for (index, kind) in kinds.into_iter().enumerate() {
        let scale = if index < 2 { scale } else { channels };
        let spec = format!("n{index}:f32[N,4,6]");
        value = b.step(&spec, normalise(kind), &[value, scale, scale]);
    }
    let softmax = |log, axis| Kernel::Softmax { axis, log };
    let s = b.step("s:f32[N,4,6]", softmax(false, 2), &[value]);
    let l = b.step("l:f32[N,4,6]", softmax(true, 1), &[s]);
    b.finish(&[l])
}

fn movement() -> Plan<'static> {
    let mut b = Builder::new(&["x:f32[N,3,4]"]);
    let permutation = vec![2, 0, 1];
    let t = b.step("t:f32[4,N,3]", Kernel::Transpose { permutation }, &[X]);
    let back = Kernel::Transpose {
        permutation: vec![1, 2, 0],
    };
    let back = b.step("back:f32[N,3,4]", back, &[t]);
    let c = b.step("c:f32[N,6,4]", Kernel::Concat { axis: 1 }, &[back, X]);
    let slice = Kernel::Slice(Slice {
        starts: vec![0, -1, 1],
        steps: vec![1, -2, 1],
    });
    let s = b.step("s:f32[N,3,2]", slice, &[c]);
    let mut value = s;
    for (index, mode) in [
        PadMode::Constant(0.5),
        PadMode::Reflect,
        PadMode::Edge,
        PadMode::Wrap,
    ]
    .into_iter()
    .enumerate()
    {
        let pad = Kernel::Pad(Pad {
            mode,
            before: vec![0, 1, -1],
        });
        let spec = format!("p{index}:f32[N,{},{}]", 5 + 2 * index, 2);
        value = b.step(&spec, pad, &[value]);
    }
    let e = b.step("e:f32[2,N,3,2]", Kernel::Expand, &[s]);
    let tiled = b.step("tiled:f32[4,N,3,6]", Kernel::Tile, &[e]);
    let trilu = Kernel::Trilu {
        upper: true,
        diagonal: -1,
    };
    let trilu = b.step("trilu:f32[4,N,3,6]", trilu, &[tiled]);
    let dims = b.step("dims:i64[2]", Kernel::Dims { begin: 2 }, &[trilu]);
    let copy = b.step("copy:f32[N,11,2]", Kernel::Copy, &[value]);
    b.finish(&[value, trilu, dims, copy])
}

fn look_ups() -> Plan<'static> {
    let mut b = Builder::new(&["i:i64[N,2]", "x:f32[N,4]"]);
    let x = Y;
    let table = b.constant("table:f32[5,3]", &floats(15));
    let slices = Kernel::Gather(Gather::Slices {
        axis: 0,
        out_of_range: OutOfRange::Last,
    });
    let s = b.step("s:f32[N,2,3]", slices, &[table, X]);
    let bounded = Kernel::Binary(BinaryOp::BitwiseAnd);
    let one = b.constant("one:i64[1]", &[1i64]);
    let zero_or_one = b.step("bit:i64[N,2]", bounded, &[X, one]);
    let elements = Kernel::Gather(Gather::Elements { axis: 1 });
    let e = b.step("e:f32[N,2]", elements, &[x, zero_or_one]);
    let nd = Kernel::Gather(Gather::Nd { batch_dims: 0 });
    let n = b.step("n:f32[N]", nd, &[table, zero_or_one]);
    let scatter = Kernel::Scatter(Scatter {
        axis: Some(1),
        reduction: ScatterReduction::Add,
    });
    let z = b.step("z:f32[N,4]", scatter, &[x, zero_or_one, e]);
    let scatter_nd = Kernel::Scatter(Scatter {
        axis: None,
        reduction: ScatterReduction::Replace,
    });
    let w = b.step("w:f32[5,3]", scatter_nd, &[table, zero_or_one, n]);
    let off_on = b.constant("off_on:f32[2]", &[0f32, 1.0]);
    let hot = b.step("hot:f32[N,2,4]", Kernel::OneHot { axis: 2 }, &[X, off_on]);
    b.finish(&[s, n, z, w, hot])
}

fn ranks() -> Plan<'static> {
    let mut b = Builder::new(&["x:f32[N,6]"]);
    let arg = Kernel::ArgReduce {
        minimum: false,
        axis: 1,
        last: true,
    };
    let a = b.step("a:i64[N,1]", arg, &[X]);
    let sums = Kernel::CumSum {
        axis: 1,
        exclusive: true,
        reverse: true,
    };
    let c = b.step("c:f32[N,6]", sums, &[X]);
    let top = Kernel::TopK(TopK {
        axis: 1,
        largest: true,
    });
    let t = b.step("t:f32[N,3]", top, &[c]);
    let mut indices = b.value("indices:i64[N,3]", Storage::Buffer);
    indices.name = "indices".into();
    b.plan.values.push(indices);
    let indices = ValueId(b.plan.values.len() as u32 - 1);
    b.plan.steps.last_mut().unwrap().outputs.push(indices);
    b.finish(&[a, t, indices])
}
