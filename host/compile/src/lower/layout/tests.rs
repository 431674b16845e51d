//! Tests of the layouts: which values lie in blocks, and where conversions stand.

use expect_test::expect;
use tensorlet_plan::kernel::{BinaryOp, Conv, Epilogue, Pool, PoolKind, Reduce, ReduceOp, UnaryOp};

use super::*;
use crate::graph::testing::{Builder, check, conv};
use crate::lower::pack::pack_weights;

/// Both are one pass here: weights that are not packed yet cannot be computed with.
fn pass(graph: &mut Graph) -> bool {
    let before = graph.to_string();
    if !before.contains("packed") && !before.contains("blocked") {
        assign_layouts(graph);
        pack_weights(graph);
    }
    before != graph.to_string()
}

#[test]
fn blocks_go_from_the_first_convolution_to_the_last() {
    let mut graph = Builder::new();
    let x = graph.input("x", "f32[N, 3, 6, 6]");
    let w1 = graph.constant("w1", &[20, 3, 3, 3]);
    let w2 = graph.constant("w2", &[20, 1, 3, 3]);
    let w3 = graph.constant("w3", &[8, 20, 1, 1]);
    let bias = graph.constant("bias", &[8]);
    let matrix = graph.constant("matrix", &[8, 5]);
    let y = graph.kernel(
        "stem",
        conv(&[3, 3], &[1, 1], 1),
        &[x, w1],
        "f32[N, 20, 6, 6]",
    );
    let z = graph.kernel(
        "depthwise",
        conv(&[3, 3], &[1, 1], 20),
        &[y, w2],
        "f32[N, 20, 6, 6]",
    );
    let sum = graph.binary("sum", BinaryOp::Add, y, z, "f32[N, 20, 6, 6]");
    let Kernel::Conv(pointwise) = conv(&[1, 1], &[0, 0], 1) else {
        unreachable!()
    };
    let pointwise = Kernel::Conv(Conv {
        epilogue: Epilogue {
            bias: true,
            ..Epilogue::default()
        },
        ..pointwise
    });
    let y = graph.kernel("pointwise", pointwise, &[sum, w3, bias], "f32[N, 8, 6, 6]");
    let mean = Kernel::Reduce(Reduce {
        op: ReduceOp::Mean,
        axes: vec![2, 3],
    });
    let y = graph.kernel("mean", mean, &[y], "f32[N, 8, 1, 1]");
    let y = graph.reshape("flat", y, "f32[N, 8]");
    let y = graph.matmul("y", y, matrix, "f32[N, 5]");
    check(
        graph.finish(&[y]),
        pass,
        &expect![[r#"
        inputs x: f32[N, 3, 6, 6]
        stem: f32[N, 20, 6, 6] = conv(3x3 p1)(x, w1: f32[20, 3, 3, 3])
        depthwise: f32[N, 20, 6, 6] = conv(3x3 p1 g20)(stem, w2: f32[20, 1, 3, 3])
        sum: f32[N, 20, 6, 6] = add(stem, depthwise)
        pointwise: f32[N, 8, 6, 6] = conv(1x1 +bias)(sum, w3: f32[8, 20, 1, 1], bias: f32[8])
        mean: f32[N, 8, 1, 1] = reduce(mean 2, 3)(pointwise)
        flat: f32[N, 8] = reshape(mean)
        y: f32[N, 5] = matmul(flat, matrix: f32[8, 5])
        outputs y
        =>
        inputs x: f32[N, 3, 6, 6]
        stem: f32[N, 20, 6, 6] blocked = conv(3x3 p1 plain_input)(x, w1: f32[2, 3, 3, 3, 16])
        depthwise: f32[N, 20, 6, 6] blocked = conv(3x3 p1 g20 depthwise)(stem, w2: f32[2, 3, 3, 16])
        sum: f32[N, 20, 6, 6] blocked = add(stem, depthwise)
        pointwise: f32[N, 8, 6, 6] blocked = conv(1x1 blocked +bias)(sum, w3: f32[1, 1, 1, 20, 16], bias: f32[16])
        mean: f32[N, 8, 1, 1] blocked = reduce(mean 2, 3)(pointwise)
        mean_plain: f32[N, 8, 1, 1] = from_blocked(mean)
        flat: f32[N, 8] = reshape(mean_plain)
        y: f32[N, 5] = matmul(packed)(flat, matrix: f32[1, 8, 16])
        outputs y"#]],
    );
}

#[test]
fn constants_are_put_into_blocks() {
    let mut graph = Builder::new();
    let x = graph.input("x", "f32[N, 3, 6]");
    let w = graph.constant("w", &[5, 3, 3]);
    let (slope, scalar) = (
        graph.constant("slope", &[5, 1]),
        graph.floats("half", &[1, 1], &[0.5]),
    );
    let y = graph.kernel("conv", conv(&[3], &[1], 1), &[x, w], "f32[N, 5, 6]");
    let y = graph.binary("prelu", BinaryOp::PRelu, y, slope, "f32[N, 5, 6]");
    let y = graph.binary("mul", BinaryOp::Mul, y, scalar, "f32[N, 5, 6]");
    let max = Kernel::Pool(Pool {
        kind: PoolKind::Max,
        kernel: vec![2],
        strides: vec![2],
        dilations: vec![1],
        pads_before: vec![0],
        pads_after: vec![0],
    });
    let y = graph.kernel("max", max, &[y], "f32[N, 5, 3]");
    check(
        graph.finish(&[y]),
        pass,
        &expect![[r#"
        inputs x: f32[N, 3, 6]
        conv: f32[N, 5, 6] = conv(3 p1)(x, w: f32[5, 3, 3])
        prelu: f32[N, 5, 6] = p_relu(conv, slope: f32[5, 1])
        mul: f32[N, 5, 6] = mul(prelu, 0.5)
        max: f32[N, 5, 3] = pool(max 2 s2)(mul)
        outputs max
        =>
        inputs x: f32[N, 3, 6]
        conv: f32[N, 5, 6] blocked = conv(3 p1 plain_input)(x, w: f32[1, 3, 3, 16])
        conv_plain: f32[N, 5, 6] = from_blocked(conv)
        prelu: f32[N, 5, 6] = p_relu(conv_plain, slope: f32[5, 1])
        mul: f32[N, 5, 6] = mul(prelu, 0.5)
        max: f32[N, 5, 3] = pool(max 2 s2)(mul)
        outputs max"#]],
    );
}

#[test]
fn a_value_is_converted_once() {
    let mut graph = Builder::new();
    let x = graph.input("x", "f32[N, 16, 4]");
    let w = graph.constant("w", &[16, 16, 1]);
    let y = graph.kernel("conv", conv(&[1], &[0], 1), &[x, w], "f32[N, 16, 4]");
    let a = graph.transpose("a", &[0, 2, 1], y, "f32[N, 4, 16]");
    let softmax = Kernel::Softmax {
        axis: 1,
        log: false,
    };
    let b = graph.kernel("b", softmax, &[y], "f32[N, 16, 4]");
    check(
        graph.finish(&[a, b, y]),
        pass,
        &expect![[r#"
        inputs x: f32[N, 16, 4]
        conv: f32[N, 16, 4] = conv(1)(x, w: f32[16, 16, 1])
        a: f32[N, 4, 16] = transpose(0, 2, 1)(conv)
        b: f32[N, 16, 4] = softmax(1)(conv)
        outputs a, b, conv
        =>
        inputs x: f32[N, 16, 4]
        x_blocked: f32[N, 16, 4] blocked = to_blocked(x)
        conv: f32[N, 16, 4] blocked = conv(1 blocked)(x_blocked, w: f32[1, 1, 16, 16])
        conv_plain: f32[N, 16, 4] = from_blocked(conv)
        a: f32[N, 4, 16] = transpose(0, 2, 1)(conv_plain)
        b: f32[N, 16, 4] = softmax(1)(conv_plain)
        outputs a, b, conv_plain"#]],
    );
}

#[test]
fn what_stands_between_row_major_tensors_is_one() {
    let mut graph = Builder::new();
    let x = graph.input("x", "f32[N, 16, 4]");
    let w = graph.constant("w", &[16, 16, 1]);
    let y = graph.unary("exp", UnaryOp::Exp, x);
    let y = graph.kernel("conv", conv(&[1], &[0], 1), &[y, w], "f32[N, 16, 4]");
    let a = graph.unary("log", UnaryOp::Abs, y);
    let b = graph.unary("sin", UnaryOp::Sin, a);
    let c = graph.unary("cos", UnaryOp::Cos, a);
    check(
        graph.finish(&[b, c]),
        pass,
        &expect![[r#"
        inputs x: f32[N, 16, 4]
        exp: f32[N, 16, 4] = exp(x)
        conv: f32[N, 16, 4] = conv(1)(exp, w: f32[16, 16, 1])
        log: f32[N, 16, 4] = abs(conv)
        sin: f32[N, 16, 4] = sin(log)
        cos: f32[N, 16, 4] = cos(log)
        outputs sin, cos
        =>
        inputs x: f32[N, 16, 4]
        exp: f32[N, 16, 4] = exp(x)
        exp_blocked: f32[N, 16, 4] blocked = to_blocked(exp)
        conv: f32[N, 16, 4] blocked = conv(1 blocked)(exp_blocked, w: f32[1, 1, 16, 16])
        conv_plain: f32[N, 16, 4] = from_blocked(conv)
        log: f32[N, 16, 4] = abs(conv_plain)
        sin: f32[N, 16, 4] = sin(log)
        cos: f32[N, 16, 4] = cos(log)
        outputs sin, cos"#]],
    );
}

#[test]
fn few_channels_in_a_group_are_joined() {
    let mut graph = Builder::new();
    let x = graph.input("x", "f32[N, 32, 4, 4]");
    let w = graph.constant("w", &[64, 4, 3, 3]);
    let v = graph.constant("v", &[6, 32, 1, 1]);
    let y = graph.kernel(
        "joined",
        conv(&[3, 3], &[1, 1], 8),
        &[x, w],
        "f32[N, 64, 4, 4]",
    );
    let z = graph.kernel(
        "plain",
        conv(&[1, 1], &[0, 0], 2),
        &[y, v],
        "f32[N, 6, 4, 4]",
    );
    check(
        graph.finish(&[z]),
        pass,
        &expect![[r#"
        inputs x: f32[N, 32, 4, 4]
        joined: f32[N, 64, 4, 4] = conv(3x3 p1 g8)(x, w: f32[64, 4, 3, 3])
        plain: f32[N, 6, 4, 4] = conv(1x1 g2)(joined, v: f32[6, 32, 1, 1])
        outputs plain
        =>
        inputs x: f32[N, 32, 4, 4]
        x_blocked: f32[N, 32, 4, 4] blocked = to_blocked(x)
        joined: f32[N, 64, 4, 4] blocked = conv(3x3 p1 g2 blocked)(x_blocked, w_joined: f32[4, 3, 3, 16, 16])
        plain: f32[N, 6, 4, 4] blocked = conv(1x1 blocked)(joined, v_joined: f32[1, 1, 1, 64, 16])
        plain_plain: f32[N, 6, 4, 4] = from_blocked(plain)
        outputs plain_plain"#]],
    );
}
