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
        node("Shape", &["x"], &["s"]),
        with_int(node("Gather", &["s", "last"], &["n"]), "axis", 0),
        node("Mul", &["n", "n"], &["nn"]),
        node("Slice", &["x", "n", "nn", "last", "two"], &["a"]),
        node("Relu", &["a"], &["y"]),
    ];
    let constants = vec![vector("last", &[1]), vector("two", &[2])];
    check_text(
        13,
        graph(&["x:f32[N,W]"], nodes, constants, &["y", "nn"]),
        expect![""],
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
