//! Types told while a model is rewritten.

use super::*;

/// tract has no such operator; what depends on its shape is known all the same.
#[test]
fn shapes_follow_operators_of_ours() {
    let pool = with_ints(node("LpPool", &["x"], &["a"]), "kernel_shape", &[2, 2]);
    let nodes = vec![
        pool,
        node("Shape", &["a"], &["s"]),
        with_int(node("Gather", &["s", "first"], &["n"]), "axis", 0),
        with_int(node("Concat", &["n", "open"], &["t"]), "axis", 0),
        node("Reshape", &["a", "t"], &["y"]),
    ];
    let constants = vec![vector("first", &[0]), vector("open", &[-1])];
    check_text(
        18,
        graph(&["x:f32[N,2,H,6]"], nodes, constants, &["y"]),
        expect![[r#"
            inputs x: f32[N, 2, H, 6]
            a: f32[N, 2, H+(-1), 5] = pool(l2 2x2)(x)
            y: f32[N, H*10+(-10)] = reshape(a)
            outputs y"#]],
    );
}

#[test]
fn attributes_that_tract_does_not_know_are_no_error() {
    let attention = with_float(node("Attention", &["q", "k", "v"], &["y"]), "softcap", 2.0);
    let inputs = ["q:f32[N,2,L,4]", "k:f32[N,2,S,4]", "v:f32[N,2,S,8]"];
    check_text(
        23,
        one(&inputs, attention, vec![]),
        expect![[r#"
        inputs q: f32[N, 2, L, 4], k: f32[N, 2, S, 4], v: f32[N, 2, S, 8]
        y/1: f32[N, 2, L, 4] = mul(q, 0.5)
        y/2: f32[N, 2, L, S] = matmul(transposed)(y/1, k)
        y/4: f32[N, 2, L, S] = mul(y/2, 0.5)
        y/5: f32[N, 2, L, S] = tanh(y/4)
        y/7: f32[N, 2, L, S] = mul(y/5, 2.0)
        y/8: f32[N, 2, L, S] = softmax(3)(y/7)
        y: f32[N, 2, L, 8] = matmul(y/8, v)
        outputs y"#]],
    );
}

#[test]
fn nonsense_is_left_to_tract() {
    let cases = [
        with_ints(node("Transpose", &["x"], &["y"]), "perm", &[0]),
        with_int(node("Softmax", &["x"], &["y"]), "axis", i64::MIN),
        with_int(node("Flatten", &["x"], &["y"]), "axis", i64::MAX),
        with_ints(node("ReduceSum", &["x"], &["y"]), "axes", &[9]),
        with_int(node("Concat", &["x"], &["y"]), "axis", i64::MAX),
        with_ints(node("MaxPool", &["x"], &["y"]), "kernel_shape", &[-1, 0]),
        with_ints(node("LpPool", &["x"], &["y"]), "kernel_shape", &[i64::MAX]),
        with_int(node("Gather", &["x", "x"], &["y"]), "axis", 77),
        with_int(node("DepthToSpace", &["x"], &["y"]), "blocksize", 0),
        with_text(node("Einsum", &["x"], &["y"]), "equation", "...->->"),
        with_int(node("Split", &["x"], &["y"]), "num_outputs", -4),
        with_int(node("Cast", &["x"], &["y"]), "to", 1 << 40),
    ];
    for case in cases {
        let what = format!("{} {:?}", case.op_type, case.attribute);
        let model = model(11, one(&["x:f32[N,4]"], case, vec![]));
        let Ok(analysed) = analyse(model) else {
            continue;
        };
        let kernels = import(&analysed).map(|graph| graph.to_string());
        assert!(
            kernels.as_ref().is_none_or(|text| text.contains("= onnx ")),
            "{what}: {kernels:?}"
        );
    }
}
