//! Quantised tensors.

use tract_onnx::pb::tensor_proto::DataType;

use super::*;

fn byte(name: &str, element: u8) -> TensorProto {
    TensorProto {
        data_type: DataType::Uint8 as i32,
        raw_data: vec![element],
        ..scalar(name, 0)
    }
}

#[test]
fn quantised_and_back() {
    let nodes = vec![
        node("QuantizeLinear", &["x", "scale", "zero"], &["q"]),
        node("DequantizeLinear", &["q", "scale", "zero"], &["y"]),
    ];
    let constants = vec![floats("scale", &[], &[0.1]), byte("zero", 128)];
    check(
        13,
        graph(&["x:f32[N,3]"], nodes, constants, &["y", "q"]),
        &[&[("N", 5)]],
        expect![[r#"
            inputs x: f32[N, 3]
            q/2: f32[N, 3] = div(x, 0.1)
            q/3: f32[N, 3] = round(q/2)
            q/4: f32[] = cast(128)
            q/5: f32[N, 3] = add(q/3, q/4)
            q/6: f32[N, 3] = clip(low 0.0, high 255.0)(q/5)
            q: u8[N, 3] = cast(q/6)
            y/0: f32[N, 3] = cast(q)
            y/1: f32[] = cast(128)
            y/2: f32[N, 3] = sub(y/0, y/1)
            y: f32[N, 3] = mul(y/2, 0.1)
            outputs y, q"#]],
    );
}

#[test]
fn a_scale_for_each_channel() {
    let mut zeros = vector("zeros", &[0]);
    zeros.data_type = DataType::Int8 as i32;
    zeros.dims = vec![3];
    zeros.raw_data = vec![0, 1, 0xff];
    let dequantize = node("DequantizeLinear", &["w", "scales", "zeros"], &["y"]);
    let mut w = zeros.clone();
    w.name = "w".into();
    w.dims = vec![1, 3];
    let nodes = vec![dequantize, node("Add", &["x", "y"], &["z"])];
    let constants = vec![w, zeros, floats("scales", &[3], &[1.0, 2.0, 3.0])];
    check_text(
        13,
        graph(&["x:f32[N,3]"], nodes, constants, &["z"]),
        expect![[r#"
            inputs x: f32[N, 3]
            z: f32[N, 3] = add(x, y: f32[1, 3])
            outputs z"#]],
    );
}

#[test]
fn by_the_range_of_the_input() {
    let nodes = vec![node("DynamicQuantizeLinear", &["x"], &["y", "s", "z"])];
    check(
        11,
        graph(&["x:f32[N]"], nodes, vec![], &["y", "s", "z"]),
        &[&[("N", 9)]],
        expect![[r#"
            inputs x: f32[N]
            y/2: f32[1] = reduce(max 0)(x)
            y/3: f32[] = reshape(y/2)
            y/4: f32[] = max(y/3, 0.0)
            y/5: f32[1] = reduce(min 0)(x)
            y/6: f32[] = reshape(y/5)
            y/7: f32[] = min(y/6, 0.0)
            y/8: f32[] = sub(y/4, y/7)
            s: f32[] = div(y/8, 255.0)
            y/10: f32[] = div(y/7, s)
            y/11: f32[] = neg(y/10)
            y/12: f32[] = clip(low 0.0, high 255.0)(y/11)
            y/13: f32[] = round(y/12)
            y/14: f32[N] = div(x, s)
            y/15: f32[N] = round(y/14)
            y/16: f32[N] = add(y/15, y/13)
            y/17: f32[N] = clip(low 0.0, high 255.0)(y/16)
            y: u8[N] = cast(y/17)
            z: u8[] = cast(y/13)
            outputs y, s, z"#]],
    );
}

#[test]
fn integers_are_multiplied_as_floats() {
    let nodes = vec![node("MatMulInteger", &["a", "b", "za"], &["y"])];
    check(
        10,
        graph(
            &["a:u8[N,3]", "b:u8[3,2]"],
            nodes,
            vec![byte("za", 2)],
            &["y"],
        ),
        &[&[("N", 5)]],
        expect![[r#"
            inputs a: u8[N, 3], b: u8[3, 2]
            y/0: f32[N, 3] = cast(a)
            y/2: f32[] = cast(2)
            y/3: f32[N, 3] = sub(y/0, y/2)
            y/4: f32[3, 2] = cast(b)
            y/5: f32[N, 2] = matmul(y/3, y/4)
            y: i32[N, 2] = cast(y/5)
            outputs y"#]],
    );
}

#[test]
fn losses() {
    let loss = node("NegativeLogLikelihoodLoss", &["x", "t"], &["y"]);
    let loss = with_int(loss, "ignore_index", 1);
    let before = one(&["x:f32[3,2]"], loss, vec![vector("t", &[0, 1, 0])]);
    let graph = import_model(&model(13, before));
    let found = compute(&graph, &[vec![-1.0, -2.0, -3.0, -4.0, -5.0, -6.0]]);
    assert_eq!(found, [3.0], "the mean of 1 and 5");
}
