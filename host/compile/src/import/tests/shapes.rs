//! Operators about dims.

use super::*;

#[test]
fn reshapes_cost_nothing() {
    let nodes = vec![
        node("Reshape", &["x", "k"], &["a"]),
        with_int(node("Flatten", &["a"], &["b"]), "axis", -1),
        with_ints(node("Unsqueeze", &["b"], &["c"]), "axes", &[0, -1]),
        with_ints(node("Squeeze", &["c"], &["d"]), "axes", &[0]),
        node("Identity", &["d"], &["y"]),
    ];
    check(
        11,
        graph(
            &["x:f32[N,4,6]"],
            nodes,
            vec![vector("k", &[0, -1, 3])],
            &["y"],
        ),
        &[&[("N", 2)]],
        expect![[r#"
            inputs x: f32[N, 4, 6]
            a: f32[N, 8, 3] = reshape(x)
            b: f32[N*8, 3] = reshape(a)
            c: f32[1, N*8, 3, 1] = reshape(b)
            d: f32[N*8, 3, 1] = reshape(c)
            y: f32[N*8, 3, 1] = reshape(d)
            outputs y"#]],
    );
}

#[test]
fn axes_are_inputs() {
    let nodes = vec![
        node("Unsqueeze", &["x", "axes"], &["a"]),
        node("Neg", &["a"], &["b"]),
        node("Squeeze", &["b", "axes"], &["y"]),
    ];
    check(
        13,
        graph(&["x:f32[N,4]"], nodes, vec![vector("axes", &[-1])], &["y"]),
        &[&[("N", 2)]],
        expect![[r#"
            inputs x: f32[N, 4]
            a: f32[N, 4, 1] = reshape(x)
            b: f32[N, 4, 1] = neg(a)
            y: f32[N, 4] = reshape(b)
            outputs y"#]],
    );
}

#[test]
fn a_squeeze_of_what_may_be_one_is_left() {
    let squeeze = node("Squeeze", &["x"], &["y"]);
    check(
        13,
        one(&["x:f32[2,1,4]"], squeeze.clone(), vec![]),
        &[&[]],
        expect![[r#"
        inputs x: f32[2, 1, 4]
        y: f32[2, 4] = reshape(x)
        outputs y"#]],
    );
    let analysed = analyse(model(13, one(&["x:f32[N,1,4]"], squeeze, vec![]))).unwrap();
    let text = import(&analysed).map_or("none".into(), |graph| graph.to_string());
    assert!(text.contains("onnx Squeeze") || text == "none", "{text}");
}

#[test]
fn pixels_become_channels() {
    let nodes = vec![
        with_int(node("SpaceToDepth", &["x"], &["a"]), "blocksize", 2),
        with_int(node("DepthToSpace", &["a"], &["b"]), "blocksize", 2),
    ];
    check(
        13,
        graph(&["x:f32[N,2,4,W]"], nodes, vec![], &["b"]),
        &[&[("N", 2), ("W", 6)]],
        expect![[r#"
            inputs x: f32[N, 2, 4, W]
            a/0: f32[N, 2, 2, 2, W/2, 2] = reshape(x)
            a/1: f32[N, 2, 2, 2, 2, W/2] = transpose(0, 3, 5, 1, 2, 4)(a/0)
            a: f32[N, 8, 2, W/2] = reshape(a/1)
            b/0: f32[N, 2, 2, 2, 2, W/2] = reshape(a)
            b/1: f32[N, 2, 2, 2, W/2, 2] = transpose(0, 3, 4, 1, 5, 2)(b/0)
            b: f32[N, 2, 4, W/2*2] = reshape(b/1)
            outputs b"#]],
    );
    let crd = with_int(node("DepthToSpace", &["x"], &["y"]), "blocksize", 2);
    check(
        13,
        one(&["x:f32[N,8,2,2]"], with_text(crd, "mode", "CRD"), vec![]),
        &[&[("N", 2)]],
        expect![[r#"
            inputs x: f32[N, 8, 2, 2]
            y/0: f32[N, 2, 2, 2, 2, 2] = reshape(x)
            y/1: f32[N, 2, 2, 2, 2, 2] = transpose(0, 1, 4, 2, 5, 3)(y/0)
            y: f32[N, 2, 4, 4] = reshape(y/1)
            outputs y"#]],
    );
}

#[test]
fn dims_are_data() {
    let nodes = vec![
        with_int(node("Shape", &["x"], &["s"]), "start", 1),
        node("Size", &["x"], &["n"]),
        with_int(node("Cast", &["s"], &["f"]), "to", 1),
        node("Add", &["z", "f"], &["y"]),
    ];
    check_text(
        15,
        graph(&["x:f32[N,3,W]", "z:f32[2]"], nodes, vec![], &["y", "n"]),
        expect![[r#"
            inputs x: f32[N, 3, W], z: f32[2]
            s: i64[2] = dims(begin 1)(x)
            n/0: i64[3] = dims(begin 0)(x)
            n: i64[] = reduce(product 0)(n/0)
            f: f32[2] = cast(s)
            y: f32[2] = add(z, f)
            outputs y, n"#]],
    );
}

#[test]
fn repeated_to_dims() {
    let nodes = vec![
        node("Shape", &["x"], &["s"]),
        node("Expand", &["w", "s"], &["a"]),
        node("Tile", &["a", "twice"], &["y"]),
    ];
    let constants = vec![ramp("w", &[3]), vector("twice", &[1, 2])];
    check(
        13,
        graph(&["x:f32[N,3]"], nodes, constants, &["y"]),
        &[&[("N", 4)]],
        expect![[r#"
            inputs x: f32[N, 3]
            a: f32[N, 3] = expand([0.0, 0.125, 0.25])
            y: f32[N, 6] = tile(a)
            outputs y"#]],
    );
}

/// tract computes a range of sizes as sizes, and casts them to nothing else.
#[test]
fn filled_and_counted() {
    let nodes = vec![
        node("Shape", &["x"], &["s"]),
        node("ConstantOfShape", &["s"], &["zeros"]),
        with_int(node("Gather", &["s", "zero"], &["n"]), "axis", 0),
        node("Range", &["zero", "n", "two"], &["count"]),
        with_int(node("Cast", &["count"], &["f"]), "to", 1),
    ];
    let constants = || vec![scalar("zero", 0), scalar("two", 2)];
    check_text(
        13,
        graph(&["x:f32[N]"], nodes.clone(), constants(), &["zeros", "f"]),
        expect![[r#"
            inputs x: f32[N]
            zeros: f32[N] = expand(0.0)
            count/3: i64[(N+1)/2] = expand(1)
            count/4: i64[(N+1)/2] = cum_sum(axis 0, exclusive true, reverse false)(count/3)
            count/5: i64[(N+1)/2] = mul(count/4, 2)
            count: i64[(N+1)/2] = add(count/5, 0)
            f: f32[(N+1)/2] = cast(count)
            outputs zeros, f"#]],
    );
    // tract writes the sum of two sizes now so, now so: joined only where they are numbers.
    let join = with_int(node("Concat", &["zeros", "f"], &["y"]), "axis", 0);
    let nodes = [nodes, vec![join]].concat();
    let fixed = graph(&["x:f32[5]"], nodes, constants(), &["y"]);
    let found = compute(&import_model(&model(13, fixed)), &[vec![9.0; 5]]);
    assert_eq!(found, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 4.0]);
}

#[test]
fn ones_on_a_diagonal() {
    let eye = with_int(
        with_int(node("EyeLike", &["x"], &["y"]), "k", 1),
        "dtype",
        7,
    );
    check(
        13,
        one(&["x:f32[2,2]"], eye, vec![]),
        &[&[]],
        expect![[r#"
        inputs x: f32[2, 2]
        outputs y: i64[2, 2]"#]],
    );
}
