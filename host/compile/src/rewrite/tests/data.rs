//! Sizes that are computed with as numbers.

use super::*;

/// PyTorch: `torch.arange(t)` as positions.
#[test]
fn positions_from_a_range() {
    let nodes = vec![
        node("Shape", &["x"], &["s"]),
        node("Gather", &["s", "one"], &["t"]),
        node("Range", &["zero", "t", "one"], &["positions"]),
        node("Unsqueeze", &["positions", "axes"], &["p1"]),
        node("Gather", &["table", "p1"], &["p"]),
        node("Add", &["x", "p"], &["y"]),
    ];
    let constants = vec![
        scalar("zero", 0),
        scalar("one", 1),
        vector("axes", &[0]),
        ramp("table", &[16, 4]),
    ];
    check(
        13,
        graph(&["x:f32[N,T,4]"], nodes, constants, &["y"]),
        &[&[("N", 1), ("T", 9)], &[("N", 2), ("T", 3)]],
        expect![[r#"
        x: f32[N, T, 4]
        axes: i64[1] = 0
        one: i64[] = 1
        table: f32[16, 4]
        tensorlet/dim 0: i64[] = 0
        tensorlet/dims[1]: i64[1] = 1
        zero: i64[] = 0
        tensorlet/shape of x = Shape(x)
        tensorlet/dims[T] = Gather(tensorlet/shape of x, tensorlet/dims[1])
        tensorlet/dim T = Gather(tensorlet/dims[T], tensorlet/dim 0)
        positions = Range(zero, tensorlet/dim T, one)
        p1 = Unsqueeze(positions, axes)
        p = Gather(table, p1)
        y = Add(x, p)
        -> y
        gives y: f32[N, T, 4]
    "#]],
    );
}

/// `ConstantOfShape` without a value is of f32.
#[test]
fn zeros_like_the_batch() {
    let nodes = vec![
        node("Shape", &["x"], &["s"]),
        node("ConstantOfShape", &["s"], &["z"]),
        node("Add", &["x", "z"], &["y"]),
    ];
    check(
        13,
        graph(&["x:f32[N,3]"], nodes, vec![], &["y"]),
        &[],
        expect![[r#"
            x: f32[N, 3]
            tensorlet/dims[0]: i64[1] = 0
            tensorlet/dims[3]: i64[1] = 3
            tensorlet/shape of x = Shape(x)
            tensorlet/dims[N] = Gather(tensorlet/shape of x, tensorlet/dims[0])
            tensorlet/dims[N, 3] = Concat(tensorlet/dims[N], tensorlet/dims[3]) {axis: 0}
            z = ConstantOfShape(tensorlet/dims[N, 3]) {value: f32[1] = 0}
            y = Add(x, z)
            -> y
            gives y: f32[N, 3]
        "#]],
    );
}

/// The mean of a row of any length: the size is a number to compute with.
#[test]
fn sizes_as_numbers() {
    let nodes = vec![
        with_int(node("ReduceSum", &["x", "axis"], &["sum"]), "keepdims", 1),
        node("Shape", &["x"], &["s"]),
        node("Gather", &["s", "one"], &["t"]),
        with_int(node("Cast", &["t"], &["f"]), "to", F32),
        node("Div", &["sum", "f"], &["mean"]),
        node("Sub", &["x", "mean"], &["y"]),
    ];
    let constants = vec![scalar("one", 1), vector("axis", &[1])];
    check(
        13,
        graph(&["x:f32[N,T]"], nodes, constants, &["y"]),
        &[&[("N", 2), ("T", 5)]],
        expect![[r#"
        x: f32[N, T]
        axis: i64[1] = 1
        one: i64[] = 1
        sum = ReduceSum(x, axis) {keepdims: 1}
        s = Shape(x)
        t = Gather(s, one)
        f = Cast(t) {to: 1}
        mean = Div(sum, f)
        y = Sub(x, mean)
        -> y
        gives y: f32[N, T]
    "#]],
    );
}

/// A shape that is an output.
#[test]
fn sizes_as_outputs() {
    let nodes = vec![node("Shape", &["x"], &["s"]), node("Size", &["x"], &["n"])];
    check(
        13,
        graph(&["x:f32[N,3]"], nodes, vec![], &["s", "n"]),
        &[&[("N", 2)]],
        expect![[r#"
            x: f32[N, 3]
            tensorlet/like i64: i64[] = 0
            s sizes = Shape(x)
            n sizes = Size(x)
            s = CastLike(s sizes, tensorlet/like i64)
            n = CastLike(n sizes, tensorlet/like i64)
            -> s, n
            gives s: i64[2]; n: i64[]
        "#]],
    );
}

/// A mask that lets each row see itself and those before it.
#[test]
fn causal_mask() {
    let minus = TensorProto {
        data_type: 1,
        raw_data: (-9.0f32).to_le_bytes().to_vec(),
        ..scalar("minus", 0)
    };
    let zero = TensorProto {
        data_type: 1,
        raw_data: 0.0f32.to_le_bytes().to_vec(),
        ..scalar("nothing", 0)
    };
    let nodes = vec![
        node("Shape", &["x"], &["s"]),
        node("Gather", &["s", "one"], &["t"]),
        node("Range", &["zero", "t", "one"], &["r"]),
        node("Unsqueeze", &["r", "axis0"], &["columns"]),
        node("Unsqueeze", &["r", "axis1"], &["rows"]),
        node("Greater", &["columns", "rows"], &["later"]),
        node("Where", &["later", "minus", "nothing"], &["mask"]),
        node("Add", &["x", "mask"], &["y"]),
    ];
    let constants = vec![
        scalar("zero", 0),
        scalar("one", 1),
        vector("axis0", &[0]),
        vector("axis1", &[1]),
        minus,
        zero,
    ];
    check(
        13,
        graph(&["x:f32[N,T,T]"], nodes, constants, &["y"]),
        &[&[("N", 2), ("T", 4)]],
        expect![[r#"
        x: f32[N, T, T]
        axis0: i64[1] = 0
        axis1: i64[1] = 1
        minus: f32[] = -9
        nothing: f32[] = 0
        one: i64[] = 1
        tensorlet/dim 0: i64[] = 0
        tensorlet/dims[1]: i64[1] = 1
        zero: i64[] = 0
        tensorlet/shape of x = Shape(x)
        tensorlet/dims[T] = Gather(tensorlet/shape of x, tensorlet/dims[1])
        tensorlet/dim T = Gather(tensorlet/dims[T], tensorlet/dim 0)
        r = Range(zero, tensorlet/dim T, one)
        columns = Unsqueeze(r, axis0)
        rows = Unsqueeze(r, axis1)
        later = Greater(columns, rows)
        mask = Where(later, minus, nothing)
        y = Add(x, mask)
        -> y
        gives y: f32[N, T, T]
    "#]],
    );
}

/// Positions that continue those of a cache.
#[test]
fn positions_after_a_cache() {
    let nodes = vec![
        node("Concat", &["past", "x"], &["all"]),
        node("Shape", &["past"], &["ps"]),
        node("Gather", &["ps", "one"], &["p"]),
        node("Shape", &["all"], &["cs"]),
        node("Gather", &["cs", "one"], &["end"]),
        node("Range", &["p", "end", "one"], &["positions"]),
        node("Gather", &["table", "positions"], &["e"]),
        node("Add", &["x", "e"], &["y"]),
    ];
    let mut nodes = nodes;
    nodes[0] = with_int(nodes[0].clone(), "axis", 1);
    let constants = vec![scalar("one", 1), ramp("table", &[16, 4])];
    check(
        13,
        graph(
            &["past:f32[N,P,4]", "x:f32[N,T,4]"],
            nodes,
            constants,
            &["y", "all"],
        ),
        &[&[("N", 2), ("P", 3), ("T", 5)]],
        expect![[r#"
        past: f32[N, P, 4]
        x: f32[N, T, 4]
        one: i64[] = 1
        table: f32[16, 4]
        tensorlet/dim 0: i64[] = 0
        tensorlet/dims[1]: i64[1] = 1
        tensorlet/shape of past = Shape(past)
        tensorlet/dims[P] = Gather(tensorlet/shape of past, tensorlet/dims[1])
        tensorlet/dim P = Gather(tensorlet/dims[P], tensorlet/dim 0)
        tensorlet/shape of x = Shape(x)
        tensorlet/dims[T] = Gather(tensorlet/shape of x, tensorlet/dims[1])
        tensorlet/dims[P+T] = Add(tensorlet/dims[P], tensorlet/dims[T])
        tensorlet/dim P+T = Gather(tensorlet/dims[P+T], tensorlet/dim 0)
        all = Concat(past, x) {axis: 1}
        positions = Range(tensorlet/dim P, tensorlet/dim P+T, one)
        e = Gather(table, positions)
        y = Add(x, e)
        -> y, all
        gives y: f32[N, T, 4]; all: f32[N, P+T, 4]
    "#]],
    );
}

/// Integers of the input, computed with together with a size.
#[test]
fn sizes_and_integers() {
    let nodes = vec![
        node("Shape", &["ids"], &["s"]),
        node("Gather", &["s", "one"], &["t"]),
        node("Add", &["ids", "t"], &["a"]),
        node("Less", &["ids", "t"], &["l"]),
        with_int(node("Cast", &["l"], &["b"]), "to", I64),
        node("Mul", &["a", "b"], &["y"]),
    ];
    check(
        13,
        graph(&["ids:i64[N,T]"], nodes, vec![scalar("one", 1)], &["y"]),
        &[&[("N", 2), ("T", 5)]],
        expect![[r#"
            ids: i64[N, T]
            tensorlet/dim 0: i64[] = 0
            tensorlet/dims[1]: i64[1] = 1
            tensorlet/like i64: i64[] = 0
            tensorlet/shape of ids = Shape(ids)
            tensorlet/dims[T] = Gather(tensorlet/shape of ids, tensorlet/dims[1])
            tensorlet/dim T = Gather(tensorlet/dims[T], tensorlet/dim 0)
            tensorlet/dim T as i64 = CastLike(tensorlet/dim T, tensorlet/like i64)
            a = Add(ids, tensorlet/dim T as i64)
            l = Less(ids, tensorlet/dim T as i64)
            b = CastLike(l, tensorlet/like i64)
            y = Mul(a, b)
            -> y
            gives y: i64[N, T]
        "#]],
    );
}

/// A recurrent operator that starts from nothing.
#[test]
fn initial_states_of_zeros() {
    let nodes = vec![
        with_int(
            node("LSTM", &["x", "w", "r"], &["y", "h"]),
            "hidden_size",
            2,
        ),
        with_int(node("GRU", &["x", "w3", "r3"], &["g"]), "hidden_size", 2),
    ];
    let constants = vec![
        ramp("w", &[1, 8, 3]),
        ramp("r", &[1, 8, 2]),
        ramp("w3", &[1, 6, 3]),
        ramp("r3", &[1, 6, 2]),
    ];
    check(
        13,
        graph(&["x:f32[T,N,3]"], nodes, constants, &["y", "h", "g"]),
        &[&[("N", 2), ("T", 3)]],
        expect![[r#"
        x: f32[T, N, 3]
        g initial state zero: f32[1, 1, 1] = 0
        r: f32[1, 8, 2]
        r3: f32[1, 6, 2]
        tensorlet/dims[1]: i64[1] = 1
        tensorlet/dims[2]: i64[1] = 2
        w: f32[1, 8, 3]
        w3: f32[1, 6, 3]
        y initial state zero: f32[1, 1, 1] = 0
        tensorlet/shape of x = Shape(x)
        tensorlet/dims[N] = Gather(tensorlet/shape of x, tensorlet/dims[1])
        tensorlet/dims[1, N, 2] = Concat(tensorlet/dims[1], tensorlet/dims[N], tensorlet/dims[2]) {axis: 0}
        y initial state = Expand(y initial state zero, tensorlet/dims[1, N, 2])
        y, h = LSTM(x, w, r, , , y initial state, y initial state) {hidden_size: 2}
        g initial state = Expand(g initial state zero, tensorlet/dims[1, N, 2])
        g = GRU(x, w3, r3, , , g initial state) {hidden_size: 2}
        -> y, h, g
        gives y: f32[T, 1, N, 2]; h: f32[1, N, 2]; g: f32[T, 1, N, 2]
    "#]],
    );
}

/// tract would simplify a recurrent operator whose weights do not fit its input for ever.
#[test]
fn weights_that_do_not_fit_are_refused() {
    let nodes = vec![
        node("LSTM", &["x", "w", "r"], &["a", "h"]),
        node("Squeeze", &["a", "one"], &["y"]),
    ];
    let constants = vec![
        ramp("w", &[1, 8, 3]),
        ramp("r", &[1, 8, 2]),
        vector("one", &[1]),
    ];
    let graph = graph(&["x:f32[T,N,1]"], nodes, constants, &["y"]);
    let error = rewrite(model(13, graph)).unwrap_err();
    assert_eq!(error.kind(), RewriteErrorKind::Failed, "{error}");
}
