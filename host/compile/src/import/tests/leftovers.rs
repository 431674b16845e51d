//! What is left for tract.

use super::*;
use crate::rewrite::text::testing::{branch, if_node};

/// What only the data decides stays with tract.
#[test]
fn nothing_reads_what_has_no_dims() {
    let nodes = vec![
        node("Shape", &["x"], &["s"]),
        node("ConstantOfShape", &["s"], &["zeros"]),
        node("Add", &["zeros", "x"], &["a"]),
        node("NonZero", &["a"], &["i"]),
        with_int(node("Cast", &["i"], &["y"]), "to", 1),
    ];
    check_text(
        13,
        graph(&["x:f32[N]"], nodes, vec![], &["y"]),
        expect![[r#"
            inputs x: f32[N]
            zeros: f32[N] = expand(0.0)
            a: f32[N] = add(zeros, x)
            i: i64[?] = onnx NonZero(a)
            y: f32[?] = onnx Cast(i)
            outputs y"#]],
    );
}

/// A shape goes along with the node that needs it, while kernels compute the same for themselves.
#[test]
fn a_node_takes_its_sizes_along() {
    let nodes = vec![
        node("Shape", &["x"], &["n"]),
        node("Mul", &["n", "two"], &["twice"]),
        with_int(node("Concat", &["twice", "n"], &["pads"]), "axis", 0),
        node("Pad", &["x", "pads"], &["a"]),
        node("Relu", &["a"], &["y"]),
    ];
    check_text(
        13,
        graph(
            &["x:f32[N]"],
            nodes,
            vec![vector("two", &[2])],
            &["y", "twice"],
        ),
        expect![[r#"
            inputs x: f32[N]
            n: i64[1] = dims(begin 0)(x)
            twice: i64[1] = mul(n, 2)
            tensorlet/shape of x for a: i64[1] = onnx Shape(x)
            tensorlet/dims[N] for a: i64[1] = onnx Gather(tensorlet/shape of x for a, 0)
            tensorlet/dims[2*N] for a: i64[1] = onnx Mul(tensorlet/dims[N] for a, 2)
            tensorlet/dims[2*N, N] for a: i64[2] = onnx Concat(tensorlet/dims[2*N] for a, tensorlet/dims[N] for a)
            a: f32[N*4] = onnx Pad(x, tensorlet/dims[2*N, N] for a)
            y: f32[N*4] = clip(low 0.0, high inf)(a)
            outputs y, twice"#]],
    );
}

#[test]
fn branches_stay_together() {
    let then = branch(vec![node("Neg", &["x"], &["t"])], &["t"]);
    let other = branch(vec![node("Add", &["x", "w"], &["o"])], &["o"]);
    let nodes = vec![
        node("Relu", &["z"], &["x"]),
        if_node("c", then, other, &["v"]),
        node("Abs", &["v"], &["y"]),
    ];
    check_text(
        13,
        graph(
            &["z:f32[N]", "c:bool[]"],
            nodes,
            vec![ramp("w", &[1])],
            &["y"],
        ),
        expect![[r#"
            inputs z: f32[N], c: bool[]
            x: f32[N] = clip(low 0.0, high inf)(z)
            v: f32[N] = onnx If(c, x, 0.0)
            y: f32[N] = abs(v)
            outputs y"#]],
    );
}

#[test]
fn a_graph_holds_no_texts() {
    let mut like = with_int(node("Cast", &["x"], &["t"]), "to", 8);
    like.name = "to text".into();
    let nodes = vec![like, with_int(node("Cast", &["t"], &["y"]), "to", 1)];
    let analysed = analyse(model(13, graph(&["x:f32[N]"], nodes, vec![], &["y"]))).unwrap();
    assert!(
        import(&analysed).is_none(),
        "tract may compute it as a whole"
    );
}
