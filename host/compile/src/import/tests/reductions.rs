//! Reductions, and the order of elements.

use super::*;

#[test]
fn axes_are_attributes_or_inputs() {
    let sum = with_ints(node("ReduceSum", &["x"], &["y"]), "axes", &[-1, 0]);
    check(
        11,
        one(&["x:f32[N,3,W]"], sum, vec![]),
        &[&[("N", 2), ("W", 5)]],
        expect![[r#"
        inputs x: f32[N, 3, W]
        y: f32[1, 3, 1] = reduce(sum 0, 2)(x)
        outputs y"#]],
    );
    let sum = with_int(node("ReduceSum", &["x", "axes"], &["y"]), "keepdims", 0);
    let axes = vec![vector("axes", &[1])];
    check(
        13,
        one(&["x:f32[N,3,W]"], sum, axes),
        &[&[("N", 2), ("W", 5)]],
        expect![[r#"
        inputs x: f32[N, 3, W]
        y: f32[N, W] = reduce(sum 1)(x)
        outputs y"#]],
    );
    let mean = node("ReduceMean", &["x"], &["y"]);
    check(
        13,
        one(&["x:f32[N,3]"], mean, vec![]),
        &[&[("N", 2)]],
        expect![[r#"
        inputs x: f32[N, 3]
        y: f32[1, 1] = reduce(mean 0, 1)(x)
        outputs y"#]],
    );
}

#[test]
fn without_axes_nothing_may_be_reduced() {
    let sum = with_int(node("ReduceSum", &["x"], &["y"]), "noop_with_empty_axes", 1);
    check_text(
        13,
        one(&["x:f32[N,3]"], sum, vec![]),
        expect![[r#"
        inputs x: f32[N, 3]
        y: f32[N, 3] = reshape(x)
        outputs y"#]],
    );
    let norm = with_int(node("ReduceL2", &["x"], &["y"]), "noop_with_empty_axes", 1);
    check_text(
        18,
        one(&["x:f32[N,3]"], norm, vec![]),
        expect![[r#"
        inputs x: f32[N, 3]
        y/0: f32[N, 3, 1] = reshape(x)
        y/1: f32[N, 3, 1] = reduce(l2 2)(y/0)
        y: f32[N, 3] = reshape(y/1)
        outputs y"#]],
    );
}

#[test]
fn flags_have_an_order() {
    let max = with_int(node("ReduceMax", &["x", "axes"], &["y"]), "keepdims", 0);
    let axes = vec![vector("axes", &[1])];
    check_text(
        20,
        one(&["x:bool[N,3]"], max, axes),
        expect![[r#"
        inputs x: bool[N, 3]
        y/0: i32[N, 3] = cast(x)
        y/1: i32[N] = reduce(max 1)(y/0)
        y: bool[N] = cast(y/1)
        outputs y"#]],
    );
}

#[test]
fn integers_are_summed_and_multiplied() {
    let nodes = vec![
        node("ReduceSum", &["x", "axes"], &["a"]),
        node("ReduceProd", &["x"], &["b"]),
    ];
    let axes = vec![vector("axes", &[0])];
    check(
        13,
        graph(&["x:i64[N,3]"], nodes, axes, &["a", "b"]),
        &[&[("N", 4)]],
        expect![[r#"
            inputs x: i64[N, 3]
            a: i64[1, 3] = reduce(sum 0)(x)
            b: i64[1, 1] = reduce(product 0, 1)(x)
            outputs a, b"#]],
    );
}

#[test]
fn positions_of_extremes() {
    let nodes = vec![
        with_int(
            with_int(node("ArgMax", &["x"], &["a"]), "axis", -1),
            "keepdims",
            0,
        ),
        with_int(node("ArgMin", &["x"], &["b"]), "select_last_index", 1),
    ];
    check(
        13,
        graph(&["x:f32[N,7]"], nodes, vec![], &["a", "b"]),
        &[&[("N", 3)]],
        expect![[r#"
            inputs x: f32[N, 7]
            a/0: i64[N, 1] = arg_max(1)(x)
            a: i64[N] = reshape(a/0)
            b: i64[1, 7] = arg_min(0 last)(x)
            outputs a, b"#]],
    );
}

#[test]
fn the_largest_in_order() {
    let top = with_int(node("TopK", &["x", "k"], &["y", "i"]), "axis", 1);
    check(
        11,
        graph(
            &["x:f32[N,9]"],
            vec![top],
            vec![vector("k", &[4])],
            &["y", "i"],
        ),
        &[&[("N", 3)]],
        expect![[r#"
            inputs x: f32[N, 9]
            y: f32[N, 4], i: i64[N, 4] = top_k(top_k(axis 1, largest true)(x)
            outputs y, i"#]],
    );
    let top = with_int(node("TopK", &["x"], &["y", "i"]), "k", 2);
    check_text(
        9,
        graph(&["x:f32[N,9]"], vec![top], vec![], &["i"]),
        expect![[r#"
        inputs x: f32[N, 9]
        y: f32[N, 2], i: i64[N, 2] = top_k(top_k(axis 1, largest true)(x)
        outputs i"#]],
    );
}

#[test]
fn running_sums_and_triangles() {
    let nodes = vec![
        with_int(node("CumSum", &["x", "axis"], &["a"]), "exclusive", 1),
        with_int(node("Trilu", &["a", "k"], &["y"]), "upper", 0),
    ];
    let constants = vec![scalar("axis", -1), scalar("k", 1)];
    check(
        14,
        graph(&["x:f32[N,3,4]"], nodes, constants, &["y"]),
        &[&[("N", 2)]],
        expect![[r#"
            inputs x: f32[N, 3, 4]
            a: f32[N, 3, 4] = cum_sum(axis 2, exclusive true, reverse false)(x)
            y: f32[N, 3, 4] = trilu(upper false, diagonal 1)(a)
            outputs y"#]],
    );
}

#[test]
fn hardmax_is_one_hot() {
    let nodes = vec![with_int(node("Hardmax", &["x"], &["y"]), "axis", 1)];
    check_text(
        13,
        graph(&["x:f32[N,3,4]"], nodes.clone(), vec![], &["y"]),
        expect![[r#"
            inputs x: f32[N, 3, 4]
            y/0: i64[N, 1, 4] = arg_max(1)(x)
            y/1: i64[N, 4] = reshape(y/0)
            y: f32[N, 3, 4] = one_hot(axis 1)(y/1, [0.0, 1.0])
            outputs y"#]],
    );
    check_text(
        11,
        graph(&["x:f32[N,3,4]"], nodes, vec![], &["y"]),
        expect![[r#"
        inputs x: f32[N, 3, 4]
        y/0: f32[N, 12] = reshape(x)
        y/1: i64[N, 1] = arg_max(1)(y/0)
        y/2: i64[N] = reshape(y/1)
        y/4: f32[N, 12] = one_hot(axis 1)(y/2, [0.0, 1.0])
        y: f32[N, 3, 4] = reshape(y/4)
        outputs y"#]],
    );
}
