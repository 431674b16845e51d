//! Functions of one and more elements.

use super::*;

#[test]
fn functions_keep_their_names() {
    let nodes = vec![
        node("Sigmoid", &["x"], &["a"]),
        node("Erf", &["a"], &["b"]),
        node("Round", &["b"], &["c"]),
        node("Relu", &["c"], &["d"]),
        node("HardSigmoid", &["d"], &["e"]),
        with_float(node("LeakyRelu", &["e"], &["f"]), "alpha", 0.3),
        node("Add", &["f", "x"], &["y"]),
    ];
    check(
        14,
        graph(&["x:f32[N,3]"], nodes, vec![], &["y"]),
        &[&[("N", 4)]],
        expect![[r#"
            inputs x: f32[N, 3]
            a: f32[N, 3] = sigmoid(x)
            b: f32[N, 3] = erf(a)
            c: f32[N, 3] = round(b)
            d: f32[N, 3] = clip(low 0.0, high inf)(c)
            e: f32[N, 3] = hard_sigmoid(alpha 0.2, beta 0.5)(d)
            f: f32[N, 3] = leaky_relu(alpha 0.3)(e)
            y: f32[N, 3] = add(f, x)
            outputs y"#]],
    );
}

#[test]
fn bounds_are_attributes_or_inputs() {
    let clip = with_float(
        with_float(node("Clip", &["x"], &["y"]), "min", -0.5),
        "max",
        0.25,
    );
    check(
        6 + 1,
        one(&["x:f32[N]"], clip, vec![]),
        &[&[("N", 9)]],
        expect![[r#"
        inputs x: f32[N]
        y: f32[N] = clip(low -0.5, high 0.25)(x)
        outputs y"#]],
    );
    let bounds = vec![floats("high", &[], &[0.5])];
    let clip = node("Clip", &["x", "", "high"], &["y"]);
    check(
        12,
        one(&["x:f32[N]"], clip, bounds),
        &[&[("N", 9)]],
        expect![[r#"
        inputs x: f32[N]
        y: f32[N] = clip(low -inf, high 0.5)(x)
        outputs y"#]],
    );
    let clip = node("Clip", &["x", "low"], &["y"]);
    check(
        12,
        one(&["x:f32[N]", "low:f32[]"], clip, vec![]),
        &[&[("N", 9)]],
        expect![[r#"
            inputs x: f32[N], low: f32[]
            y: f32[N] = max(x, low)
            outputs y"#]],
    );
    let clip = node("Clip", &["x", "low", "high"], &["y"]);
    let bounds = vec![scalar("low", 1), scalar("high", 2)];
    check(
        12,
        one(&["x:i64[N]"], clip, bounds),
        &[&[("N", 9)]],
        expect![[r#"
        inputs x: i64[N]
        y/1: i64[N] = max(x, 1)
        y: i64[N] = min(y/1, 2)
        outputs y"#]],
    );
}

#[test]
fn gelu_has_two_forms_and_a_bias() {
    let microsoft = |mut node: NodeProto| {
        node.domain = "com.microsoft".into();
        node
    };
    let nodes = vec![
        node("Gelu", &["x"], &["a"]),
        with_text(node("Gelu", &["a"], &["b"]), "approximate", "tanh"),
        microsoft(node("BiasGelu", &["b", "bias"], &["c"])),
        microsoft(node("FastGelu", &["c"], &["d"])),
        microsoft(with_float(node("QuickGelu", &["d"], &["y"]), "alpha", 1.5)),
    ];
    let constants = vec![ramp("bias", &[3])];
    check_text(
        20,
        graph(&["x:f32[N,3]"], nodes, constants, &["y"]),
        expect![[r#"
            inputs x: f32[N, 3]
            a: f32[N, 3] = gelu(x)
            b: f32[N, 3] = gelu_tanh(a)
            c/1: f32[N, 3] = add(b, [0.0, 0.125, 0.25])
            c: f32[N, 3] = gelu(c/1)
            d: f32[N, 3] = gelu_tanh(c)
            y/1: f32[N, 3] = mul(d, 1.5)
            y/2: f32[N, 3] = sigmoid(y/1)
            y: f32[N, 3] = mul(d, y/2)
            outputs y"#]],
    );
}

#[test]
fn operands_are_broadcast() {
    let nodes = vec![
        node("Mul", &["x", "w"], &["a"]),
        node("Max", &["a", "x", "w"], &["b"]),
        node("Mean", &["a", "b"], &["c"]),
        node("Greater", &["c", "x"], &["d"]),
        node("Not", &["d"], &["e"]),
        node("Where", &["e", "c", "w"], &["y"]),
    ];
    check(
        13,
        graph(&["x:f32[N,1,3]"], nodes, vec![ramp("w", &[2, 1])], &["y"]),
        &[&[("N", 2)], &[("N", 1)]],
        expect![[r#"
            inputs x: f32[N, 1, 3]
            a: f32[N, 2, 3] = mul(x, w: f32[2, 1])
            b/0: f32[N, 2, 3] = max(a, x)
            b: f32[N, 2, 3] = max(b/0, w: f32[2, 1])
            c/0: f32[N, 2, 3] = add(a, b)
            c: f32[N, 2, 3] = mul(c/0, 0.5)
            d: bool[N, 2, 3] = greater(c, x)
            e: bool[N, 2, 3] = not(d)
            y: f32[N, 2, 3] = where(e, c, w: f32[2, 1])
            outputs y"#]],
    );
}

#[test]
fn powers_have_exponents_of_other_types() {
    let nodes = vec![node("Pow", &["x", "two"], &["y"])];
    check(
        13,
        graph(&["x:f32[N]"], nodes, vec![scalar("two", 2)], &["y"]),
        &[&[("N", 5)]],
        expect![[r#"
            inputs x: f32[N]
            y/1: f32[] = cast(2)
            y: f32[N] = pow(x, y/1)
            outputs y"#]],
    );
    let nodes = vec![node("Pow", &["x", "half"], &["y"])];
    check_text(
        13,
        graph(
            &["x:i64[N]"],
            nodes,
            vec![floats("half", &[], &[0.5])],
            &["y"],
        ),
        expect![[r#"
            inputs x: i64[N]
            y: i64[N] = onnx Pow(x, 0.5)
            outputs y"#]],
    );
}

#[test]
fn different_numbers_are_never_broadcast() {
    let nodes = vec![node("Add", &["x", "w"], &["y"])];
    let before = graph(&["x:f32[N,3]"], nodes, vec![ramp("w", &[4])], &["y"]);
    let text = import_model(&model(13, before)).to_string();
    assert!(text.contains("onnx Add"), "{text}");
}

#[test]
fn symbols_that_may_be_equal_are() {
    let nodes = vec![node("Add", &["x", "z"], &["y"])];
    check_text(
        13,
        graph(&["x:f32[N,3]", "z:f32[M,3]"], nodes, vec![], &["y"]),
        expect![[r#"
            inputs x: f32[N, 3], z: f32[M, 3]
            y: f32[max(N, M), 3] = add(x, z)
            outputs y"#]],
    );
}
