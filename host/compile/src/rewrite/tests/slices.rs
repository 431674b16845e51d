//! Parts of tensors, and pictures of other sizes.

use super::*;

/// TensorFlow: a slice that takes all rows ends at 10^9.
#[test]
fn slice_to_the_end() {
    let nodes = vec![node(
        "Slice",
        &["x", "starts", "ends", "axes", "steps"],
        &["y"],
    )];
    let constants = vec![
        vector_i32("starts", &[0, 1]),
        vector_i32("ends", &[1_000_000_000, 3]),
        vector_i32("axes", &[0, 1]),
        vector_i32("steps", &[1, 1]),
    ];
    check(
        13,
        graph(&["x:f32[N,5]"], nodes, constants, &["y"]),
        &[&[("N", 1)], &[("N", 4)]],
        expect![[r#"
        x: f32[N, 5]
        tensorlet/dims[1]: i64[1] = 1
        tensorlet/dims[3]: i64[1] = 3
        y = Slice(x, tensorlet/dims[1], tensorlet/dims[3], tensorlet/dims[1])
        -> y
        gives y: f32[N, 2]
    "#]],
    );
}

/// `x[:, :4]` of fewer than 4 columns is all of them.
#[test]
fn slice_of_at_most() {
    let nodes = vec![node("Slice", &["x", "zero", "four", "one"], &["y"])];
    let constants = vec![
        vector("zero", &[0]),
        vector("four", &[4]),
        vector("one", &[1]),
    ];
    check(
        13,
        graph(&["x:f32[N,T]"], nodes, constants, &["y"]),
        &[&[("N", 1), ("T", 9)], &[("N", 2), ("T", 3)]],
        expect![[r#"
        x: f32[N, T]
        tensorlet/dims[0]: i64[1] = 0
        tensorlet/dims[1]: i64[1] = 1
        tensorlet/dims[4]: i64[1] = 4
        tensorlet/shape of x = Shape(x)
        tensorlet/dims[T] = Gather(tensorlet/shape of x, tensorlet/dims[1])
        tensorlet/dims[min(T,4)] = Min(tensorlet/dims[T], tensorlet/dims[4])
        y = Slice(x, tensorlet/dims[0], tensorlet/dims[min(T,4)], tensorlet/dims[1])
        -> y
        gives y: f32[N, min(T,4)]
    "#]],
    );
}

/// Position embeddings: the first rows of a table, and all but the first and last of the input.
#[test]
fn slice_up_to_the_length() {
    let nodes = vec![
        node("Shape", &["x"], &["s"]),
        node("Slice", &["s", "one", "two", "zero"], &["t"]),
        node("Slice", &["table", "zero", "t", "one"], &["p"]),
        node("Add", &["x", "p"], &["a"]),
        node("Slice", &["a", "one", "minus", "one"], &["y"]),
    ];
    let constants = vec![
        vector("zero", &[0]),
        vector("one", &[1]),
        vector("two", &[2]),
        vector("minus", &[-1]),
        ramp("table", &[1, 16, 4]),
    ];
    check(
        13,
        graph(&["x:f32[N,T,4]"], nodes, constants, &["y"]),
        &[&[("N", 1), ("T", 9)], &[("N", 2), ("T", 16)]],
        expect![[r#"
        x: f32[N, T, 4]
        table: f32[1, 16, 4]
        tensorlet/dims[-1]: i64[1] = -1
        tensorlet/dims[0]: i64[1] = 0
        tensorlet/dims[1]: i64[1] = 1
        tensorlet/shape of x = Shape(x)
        tensorlet/dims[T] = Gather(tensorlet/shape of x, tensorlet/dims[1])
        tensorlet/dims[T+-1] = Add(tensorlet/dims[T], tensorlet/dims[-1])
        p = Slice(table, tensorlet/dims[0], tensorlet/dims[T], tensorlet/dims[1])
        a = Add(x, p)
        y = Slice(a, tensorlet/dims[1], tensorlet/dims[T+-1], tensorlet/dims[1])
        -> y
        gives y: f32[N, T+-2, 4]
    "#]],
    );
}

/// PyTorch: `interpolate(x, size=(2 * h, 2 * w))`.
#[test]
fn resize_to_twice_the_size() {
    let nodes = vec![
        node("Shape", &["x"], &["s"]),
        node("Slice", &["s", "zero", "two", "zero"], &["nc"]),
        node("Gather", &["s", "two"], &["h"]),
        node("Gather", &["s", "three"], &["w"]),
        node("Mul", &["h", "two"], &["h2"]),
        node("Mul", &["w", "two"], &["w2"]),
        node("Concat", &["nc", "h2", "w2"], &["sizes"]),
        with_text(
            with_text(
                with_text(
                    node("Resize", &["x", "", "", "sizes"], &["y"]),
                    "mode",
                    "nearest",
                ),
                "coordinate_transformation_mode",
                "asymmetric",
            ),
            "nearest_mode",
            "floor",
        ),
    ];
    let constants = vec![
        vector("zero", &[0]),
        vector("two", &[2]),
        vector("three", &[3]),
    ];
    check(
        13,
        graph(&["x:f32[N,2,H,W]"], concat_axis(nodes), constants, &["y"]),
        &[&[("N", 1), ("H", 2), ("W", 3)]],
        expect![[r#"
            x: f32[N, 2, H, W]
            y scales: f32[4] = 1 1 2 2
            y = Resize(x, , y scales) {mode: nearest, coordinate_transformation_mode: asymmetric, nearest_mode: floor}
            -> y
            gives y: f32[N, 2, 2*H, 2*W]
        "#]],
    );
}

/// PyTorch: `interpolate(x, size=other.shape[2:])`, as feature pyramids do, to 7 rows of 3 and 5 columns of 2.
#[test]
fn resize_to_another_tensor() {
    let constants = vec![
        vector("zero", &[0]),
        vector("two", &[2]),
        vector("four", &[4]),
    ];
    let graph = graph(&["x:f32[N,2,7,5]"], feature_pyramid(), constants, &["y"]);
    check(
        13,
        graph,
        &[&[("N", 1)], &[("N", 2)]],
        expect![[r#"
        x: f32[N, 2, 7, 5]
        r scales: f32[4] = 1 1 ? 2.5
        small = MaxPool(x) {kernel_shape: [2, 2], strides: [2, 2]}
        r = Resize(small, , r scales) {mode: nearest, coordinate_transformation_mode: asymmetric, nearest_mode: floor}
        y = Add(x, r)
        -> y
        gives y: f32[N, 2, 7, 5]
    "#]],
    );
}

#[test]
fn resize_without_proportion_is_refused() {
    let constants = vec![
        vector("zero", &[0]),
        vector("two", &[2]),
        vector("four", &[4]),
    ];
    let graph = graph(&["x:f32[N,2,H,W]"], feature_pyramid(), constants, &["y"]);
    expect!["node `r` (Resize, opset 13): expected sizes that are numbers or multiples of the input's, found f32[N, 2, (H)/2, (W)/2] to [N, 2, H, W]"].assert_eq(&rewrite(model(13, graph)).unwrap_err().to_string());
}

fn feature_pyramid() -> Vec<tract_onnx::pb::NodeProto> {
    let pool = with_ints(node("MaxPool", &["x"], &["small"]), "kernel_shape", &[2, 2]);
    let resize = with_text(
        node("Resize", &["small", "", "", "sizes"], &["r"]),
        "mode",
        "nearest",
    );
    let resize = with_text(resize, "coordinate_transformation_mode", "asymmetric");
    concat_axis(vec![
        with_ints(pool, "strides", &[2, 2]),
        node("Shape", &["x"], &["s"]),
        node("Slice", &["s", "two", "four", "zero"], &["hw"]),
        node("Shape", &["small"], &["t"]),
        node("Slice", &["t", "zero", "two", "zero"], &["nc"]),
        node("Concat", &["nc", "hw"], &["sizes"]),
        with_text(resize, "nearest_mode", "floor"),
        node("Add", &["x", "r"], &["y"]),
    ])
}

/// What is known of floats stays exact: `size / 2` rounded down, by way of f32.
#[test]
fn sizes_by_way_of_floats() {
    let half = TensorProto {
        data_type: 1,
        raw_data: 0.5f32.to_le_bytes().to_vec(),
        ..scalar("half", 0)
    };
    let nodes = vec![
        node("Shape", &["x"], &["s"]),
        node("Gather", &["s", "one"], &["t"]),
        with_int(node("Cast", &["t"], &["f"]), "to", F32),
        node("Mul", &["f", "half"], &["g"]),
        node("Floor", &["g"], &["h"]),
        with_int(node("Cast", &["h"], &["i"]), "to", I64),
        node("Unsqueeze", &["i", "axes"], &["e"]),
        node("Slice", &["x", "axes", "e", "axis"], &["y"]),
    ];
    let constants = vec![
        scalar("one", 1),
        vector("axes", &[0]),
        vector("axis", &[1]),
        half,
    ];
    check(
        13,
        graph(&["x:f32[N,T]"], nodes, constants, &["y"]),
        &[&[("N", 2), ("T", 5)]],
        expect![[r#"
        x: f32[N, T]
        tensorlet/dims[0]: i64[1] = 0
        tensorlet/dims[1]: i64[1] = 1
        tensorlet/dims[2]: i64[1] = 2
        tensorlet/shape of x = Shape(x)
        tensorlet/dims[T] = Gather(tensorlet/shape of x, tensorlet/dims[1])
        tensorlet/dims[(T)/2] = Div(tensorlet/dims[T], tensorlet/dims[2])
        y = Slice(x, tensorlet/dims[0], tensorlet/dims[(T)/2], tensorlet/dims[1])
        -> y
        gives y: f32[N, (T)/2]
    "#]],
    );
}
