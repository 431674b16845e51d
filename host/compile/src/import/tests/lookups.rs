//! Look-ups, and elements that are replaced.

use super::*;

#[test]
fn elements_are_looked_up() {
    let nodes = vec![
        with_int(node("Gather", &["x", "i"], &["a"]), "axis", 1),
        with_int(node("GatherElements", &["x", "e"], &["b"]), "axis", 1),
        node("GatherND", &["x", "n"], &["c"]),
    ];
    let mut e = vector("e", &[1, 0, 2, -1]);
    e.dims = vec![2, 2];
    let mut n = vector("n", &[1, 0, 0, 2]);
    n.dims = vec![2, 2];
    let constants = vec![vector("i", &[-1, 0]), e, n];
    check(
        13,
        graph(&["x:f32[2,3]"], nodes, constants, &["a", "b", "c"]),
        &[&[]],
        expect![[r#"
            inputs x: f32[2, 3]
            a: f32[2, 2] = gather(1)(x, [-1, 0])
            b: f32[2, 2] = gather(elements 1)(x, e: i64[2, 2])
            c: f32[2] = gather(nd 0)(x, n: i64[2, 2])
            outputs a, b, c"#]],
    );
}

#[test]
fn a_scalar_index_takes_an_axis_away() {
    let gather = with_int(node("Gather", &["x", "i"], &["y"]), "axis", 1);
    check(
        13,
        one(&["x:f32[N,3,4]"], gather, vec![scalar("i", 2)]),
        &[&[("N", 2)]],
        expect![[r#"
            inputs x: f32[N, 3, 4]
            y: f32[N, 4] = gather(1)(x, 2)
            outputs y"#]],
    );
}

#[test]
fn elements_are_replaced() {
    let mut i = vector("i", &[1, 0]);
    i.dims = vec![2, 1];
    let nodes = vec![
        with_int(node("ScatterElements", &["x", "i", "u"], &["a"]), "axis", 1),
        node("ScatterND", &["a", "i", "x"], &["y"]),
    ];
    check(
        16,
        graph(&["x:f32[2,3]"], nodes, vec![i, ramp("u", &[2, 1])], &["y"]),
        &[&[]],
        expect![[r#"
            inputs x: f32[2, 3]
            a: f32[2, 3] = scatter(scatter(axis some(1), reduction replace)(x, i: i64[2, 1], u: f32[2, 1])
            y: f32[2, 3] = scatter(scatter(axis none, reduction replace)(a, i: i64[2, 1], x)
            outputs y"#]],
    );
}

#[test]
fn one_hot_along_an_axis() {
    let one_hot = with_int(node("OneHot", &["i", "depth", "values"], &["y"]), "axis", 0);
    let constants = vec![scalar("depth", 4), floats("values", &[2], &[0.0, 2.0])];
    check(
        11,
        one(&["i:i64[N]"], one_hot, constants),
        &[&[("N", 3)]],
        expect![[r#"
        inputs i: i64[N]
        y: f32[4, N] = one_hot(axis 0)(i, [0.0, 2.0])
        outputs y"#]],
    );
}

#[test]
fn sequences_are_reversed() {
    let reverse = with_int(
        node("ReverseSequence", &["x", "lens"], &["y"]),
        "time_axis",
        1,
    );
    let reverse = with_int(reverse, "batch_axis", 0);
    let before = one(&["x:f32[2,4]"], reverse, vec![vector("lens", &[3, 1])]);
    let graph = import_model(&model(10, before));
    let x: Vec<f32> = (0..8u8).map(f32::from).collect();
    assert_eq!(
        compute(&graph, &[x]),
        [2.0, 1.0, 0.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    );
}
