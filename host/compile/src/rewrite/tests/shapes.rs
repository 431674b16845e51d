//! Shapes to give tensors: views, expansions, heads of attention.

use super::*;

/// PyTorch: `x.view(x.size(0), -1)`.
#[test]
fn view_of_all_but_the_batch() {
    let nodes = vec![
        node("Relu", &["x"], &["r"]),
        node("Shape", &["r"], &["s"]),
        node("Gather", &["s", "zero"], &["n"]),
        node("Unsqueeze", &["n", "axes"], &["n1"]),
        node("Concat", &["n1", "rest"], &["k"]),
        node("Reshape", &["r", "k"], &["y"]),
    ];
    let nodes = concat_axis(nodes);
    let constants = vec![
        scalar("zero", 0),
        vector("axes", &[0]),
        vector("rest", &[-1]),
    ];
    check(
        13,
        graph(&["x:f32[N,3,4]"], nodes, constants, &["y"]),
        &[&[("N", 1)], &[("N", 5)]],
        expect![[r#"
        x: f32[N, 3, 4]
        tensorlet/dims[0, -1]: i64[2] = 0 -1
        r = Relu(x)
        y = Reshape(r, tensorlet/dims[0, -1])
        -> y
        gives y: f32[N, 12]
    "#]],
    );
}

/// PyTorch: `x.reshape(b, c, h * w)` after a convolution of stride 2.
#[test]
fn reshape_of_rows_and_columns() {
    let mut nodes = vec![with_ints(
        with_ints(node("Conv", &["x", "w"], &["c"]), "strides", &[2, 2]),
        "pads",
        &[1, 1, 1, 1],
    )];
    for (axis, name) in ["b", "ch", "h", "w_"].iter().enumerate() {
        let (shape, index, size) = (format!("s{axis}"), format!("i{axis}"), (*name).to_owned());
        nodes.push(node("Shape", &["c"], &[&shape]));
        nodes.push(node("Gather", &[&shape, &index], &[&size]));
    }
    nodes.push(node("Mul", &["h", "w_"], &["hw"]));
    for name in ["b", "ch", "hw"] {
        nodes.push(node("Unsqueeze", &[name, "axes"], &[&format!("{name}1")]));
    }
    nodes.push(node("Concat", &["b1", "ch1", "hw1"], &["k"]));
    nodes.push(node("Reshape", &["c", "k"], &["y"]));
    let mut constants: Vec<TensorProto> = (0..4)
        .map(|axis| scalar(&format!("i{axis}"), axis))
        .collect();
    constants.extend([vector("axes", &[0]), ramp("w", &[2, 3, 3, 3])]);
    let sizes: [&[(&str, usize)]; 2] = [
        &[("N", 2), ("H", 6), ("W", 9)],
        &[("N", 1), ("H", 5), ("W", 4)],
    ];
    check(
        13,
        graph(&["x:f32[N,3,H,W]"], concat_axis(nodes), constants, &["y"]),
        &sizes,
        expect![[r#"
        x: f32[N, 3, H, W]
        tensorlet/dims[0, 2, -1]: i64[3] = 0 2 -1
        w: f32[2, 3, 3, 3]
        c = Conv(x, w) {strides: [2, 2], pads: [1, 1, 1, 1]}
        y = Reshape(c, tensorlet/dims[0, 2, -1])
        -> y
        gives y: f32[N, 2, ((H+1)/2)*((W+1)/2)]
    "#]],
    );
}

/// PyTorch: `token.expand(x.size(0), -1, -1)`, which asks of each size whether it is -1.
#[test]
fn expand_of_a_token_to_the_batch() {
    let nodes = vec![
        node("Shape", &["x"], &["s"]),
        node("Gather", &["s", "zero"], &["n"]),
        node("Unsqueeze", &["n", "axes"], &["n1"]),
        node("Concat", &["n1", "minus", "minus"], &["k"]),
        with_value(
            node("ConstantOfShape", &["three"], &["ones"]),
            vector("", &[1]),
        ),
        node("Mul", &["ones", "minus"], &["unset"]),
        node("Equal", &["k", "unset"], &["same"]),
        node("Where", &["same", "ones", "k"], &["k2"]),
        node("Expand", &["token", "k2"], &["t"]),
        node("Concat", &["t", "x"], &["y"]),
    ];
    let mut nodes = concat_axis(nodes);
    nodes.last_mut().unwrap().attribute[0].i = 1;
    let constants = vec![
        scalar("zero", 0),
        vector("axes", &[0]),
        vector("minus", &[-1]),
        vector("three", &[3]),
        ramp("token", &[1, 1, 4]),
    ];
    check(
        13,
        graph(&["x:f32[N,6,4]"], nodes, constants, &["y"]),
        &[&[("N", 1)], &[("N", 3)]],
        expect![[r#"
        x: f32[N, 6, 4]
        tensorlet/dims[0]: i64[1] = 0
        tensorlet/dims[1, 1]: i64[2] = 1 1
        token: f32[1, 1, 4] = 0 0.125 0.25 0.375
        tensorlet/shape of x = Shape(x)
        tensorlet/dims[N] = Gather(tensorlet/shape of x, tensorlet/dims[0])
        tensorlet/dims[N, 1, 1] = Concat(tensorlet/dims[N], tensorlet/dims[1, 1]) {axis: 0}
        t = Expand(token, tensorlet/dims[N, 1, 1])
        y = Concat(t, x) {axis: 1}
        -> y
        gives y: f32[N, 7, 4]
    "#]],
    );
}

/// PyTorch: heads of attention, with batch and sequence as symbols.
#[test]
fn heads_of_attention() {
    let mut nodes = vec![node("MatMul", &["x", "w"], &["q"])];
    for (axis, name) in [(0, "b"), (1, "t")] {
        nodes.push(node("Shape", &["q"], &[&format!("s{axis}")]));
        nodes.push(node(
            "Gather",
            &[&format!("s{axis}"), &format!("i{axis}")],
            &[name],
        ));
        nodes.push(node("Unsqueeze", &[name, "axes"], &[&format!("{name}1")]));
    }
    nodes.extend([
        node("Concat", &["b1", "t1", "heads"], &["k"]),
        node("Reshape", &["q", "k"], &["split"]),
        with_ints(
            node("Transpose", &["split"], &["qt"]),
            "perm",
            &[0, 2, 1, 3],
        ),
        with_ints(
            node("Transpose", &["split"], &["kt"]),
            "perm",
            &[0, 2, 3, 1],
        ),
        node("MatMul", &["qt", "kt"], &["scores"]),
        with_int(node("Softmax", &["scores"], &["p"]), "axis", -1),
        node("MatMul", &["p", "qt"], &["o"]),
        with_ints(node("Transpose", &["o"], &["ot"]), "perm", &[0, 2, 1, 3]),
        node("Shape", &["ot"], &["os"]),
        node("Gather", &["os", "i0"], &["ob"]),
        node("Gather", &["os", "i1"], &["otime"]),
        node("Unsqueeze", &["ob", "axes"], &["ob1"]),
        node("Unsqueeze", &["otime", "axes"], &["ot1"]),
        node("Concat", &["ob1", "ot1", "width"], &["ok"]),
        node("Reshape", &["ot", "ok"], &["y"]),
    ]);
    let constants = vec![
        scalar("i0", 0),
        scalar("i1", 1),
        vector("axes", &[0]),
        vector("heads", &[2, 4]),
        vector("width", &[8]),
        ramp("w", &[8, 8]),
    ];
    let sizes: [&[(&str, usize)]; 2] = [&[("batch", 1), ("seq", 5)], &[("batch", 3), ("seq", 2)]];
    check(
        13,
        graph(
            &["x:f32[batch,seq,8]"],
            concat_axis(nodes),
            constants,
            &["y"],
        ),
        &sizes,
        expect![[r#"
        x: f32[batch, seq, 8]
        tensorlet/dims[0, 0, 2, 4]: i64[4] = 0 0 2 4
        tensorlet/dims[0, 0, 8]: i64[3] = 0 0 8
        w: f32[8, 8]
        q = MatMul(x, w)
        split = Reshape(q, tensorlet/dims[0, 0, 2, 4])
        qt = Transpose(split) {perm: [0, 2, 1, 3]}
        kt = Transpose(split) {perm: [0, 2, 3, 1]}
        scores = MatMul(qt, kt)
        p = Softmax(scores) {axis: -1}
        o = MatMul(p, qt)
        ot = Transpose(o) {perm: [0, 2, 1, 3]}
        y = Reshape(ot, tensorlet/dims[0, 0, 8])
        -> y
        gives y: f32[batch, seq, 8]
    "#]],
    );
}

/// TensorFlow: shapes are i32, and `Slice` takes the batch out of them.
#[test]
fn shapes_of_i32() {
    let nodes = vec![
        node("Shape", &["x"], &["s"]),
        with_int(node("Cast", &["s"], &["s32"]), "to", I32),
        node("Slice", &["s32", "zero", "one", "zero"], &["n"]),
        node("Concat", &["n", "rest"], &["k32"]),
        with_int(node("Cast", &["k32"], &["k"]), "to", I64),
        node("Reshape", &["x", "k"], &["y"]),
        node("Expand", &["small", "k"], &["e"]),
        node("Add", &["y", "e"], &["z"]),
    ];
    let constants = vec![
        vector("zero", &[0]),
        vector("one", &[1]),
        vector_i32("rest", &[4, 6]),
        ramp("small", &[1, 1, 6]),
    ];
    check(
        13,
        graph(&["x:f32[N,24]"], concat_axis(nodes), constants, &["z"]),
        &[&[("N", 1)], &[("N", 4)]],
        expect![[r#"
        x: f32[N, 24]
        small: f32[1, 1, 6] = 0 0.125 0.25 0.375 0.5 0.625
        tensorlet/dims[0, 4, 6]: i64[3] = 0 4 6
        tensorlet/dims[0]: i64[1] = 0
        tensorlet/dims[4, 6]: i64[2] = 4 6
        tensorlet/shape of x = Shape(x)
        tensorlet/dims[N] = Gather(tensorlet/shape of x, tensorlet/dims[0])
        tensorlet/dims[N, 4, 6] = Concat(tensorlet/dims[N], tensorlet/dims[4, 6]) {axis: 0}
        y = Reshape(x, tensorlet/dims[0, 4, 6])
        e = Expand(small, tensorlet/dims[N, 4, 6])
        z = Add(y, e)
        -> z
        gives z: f32[N, 4, 6]
    "#]],
    );
}

/// An axis that is known to be 1 after all is squeezed, without an `If`.
#[test]
fn squeeze_of_an_axis_that_is_known_late() {
    use super::text::testing::{branch, if_node};
    let nodes = vec![
        with_ints(node("ReduceMean", &["x"], &["m"]), "axes", &[1]),
        node("Shape", &["m"], &["s"]),
        node("Gather", &["s", "one"], &["c"]),
        node("Equal", &["c", "one"], &["is_one"]),
        if_node(
            "is_one",
            branch(vec![node("Squeeze", &["m", "axes"], &["q"])], &["q"]),
            branch(vec![node("Identity", &["m"], &["i"])], &["i"]),
            &["y"],
        ),
    ];
    check(
        13,
        graph(
            &["x:f32[N,3]"],
            nodes,
            vec![scalar("one", 1), vector("axes", &[1])],
            &["y"],
        ),
        &[],
        expect![[r#"
        x: f32[N, 3]
        axes: i64[1] = 1
        m = ReduceMean(x) {axes: [1]}
        y = Squeeze(m, axes)
        -> y
        gives y: f32[N]
    "#]],
    );
}

/// Rows that are copied for each column.
#[test]
fn tile_by_a_size() {
    let nodes = vec![
        node("Shape", &["x"], &["s"]),
        node("Slice", &["s", "one", "two", "zero"], &["t"]),
        node("Concat", &["one", "t"], &["k"]),
        node("Slice", &["x", "zero", "one", "one"], &["c"]),
        node("Tile", &["c", "k"], &["y"]),
    ];
    let constants = vec![
        vector("zero", &[0]),
        vector("one", &[1]),
        vector("two", &[2]),
    ];
    check(
        13,
        graph(&["x:f32[N,T]"], concat_axis(nodes), constants, &["y"]),
        &[&[("N", 2), ("T", 3)]],
        expect![[r#"
        x: f32[N, T]
        tensorlet/dims[0]: i64[1] = 0
        tensorlet/dims[1]: i64[1] = 1
        tensorlet/shape of x = Shape(x)
        tensorlet/dims[T] = Gather(tensorlet/shape of x, tensorlet/dims[1])
        tensorlet/dims[1, T] = Concat(tensorlet/dims[1], tensorlet/dims[T]) {axis: 0}
        c = Slice(x, tensorlet/dims[0], tensorlet/dims[1], tensorlet/dims[1])
        y = Tile(c, tensorlet/dims[1, T])
        -> y
        gives y: f32[N, T]
    "#]],
    );
}

/// A `Flatten` between two symbols, and one of rows with a symbol in them.
#[test]
fn flatten_of_symbols() {
    let nodes = vec![
        node("Flatten", &["x"], &["y"]),
        with_int(node("Flatten", &["x"], &["z"]), "axis", 2),
        with_int(node("Flatten", &["x"], &["a"]), "axis", 0),
    ];
    let graph = graph(&["x:f32[N,T,4]"], nodes, vec![], &["y", "z", "a"]);
    check(
        13,
        graph,
        &[&[("N", 2), ("T", 3)]],
        expect![[r#"
        x: f32[N, T, 4]
        tensorlet/dims[-1, 4]: i64[2] = -1 4
        tensorlet/dims[0, -1]: i64[2] = 0 -1
        tensorlet/dims[1, -1]: i64[2] = 1 -1
        y = Reshape(x, tensorlet/dims[0, -1])
        z = Reshape(x, tensorlet/dims[-1, 4])
        a = Reshape(x, tensorlet/dims[1, -1])
        -> y, z, a
        gives y: f32[N, 4*T]; z: f32[(N)*(T), 4]; a: f32[1, 4*(N)*(T)]
    "#]],
    );
}

/// tract would read the first element of none.
#[test]
fn a_condition_without_elements_is_refused() {
    use crate::rewrite::text::testing::{branch, if_node};
    let nodes = vec![
        node("IsNaN", &["e"], &["c"]),
        if_node("c", branch(vec![], &["x"]), branch(vec![], &["x"]), &["y"]),
    ];
    let graph = graph(&["x:f32[N]"], nodes, vec![ramp("e", &[0])], &["y"]);
    expect!["node `y` (If): expected one element in input 0, found bool[0]"]
        .assert_eq(&rewrite(model(13, graph)).unwrap_err().to_string());
}
