//! Recurrent networks.

use super::*;

fn weights(gates: usize) -> Vec<TensorProto> {
    let small = |name: &str, dims: &[usize]| {
        let count: usize = dims.iter().product();
        let elements: Vec<f32> = (0..count).map(|i| (i % 7) as f32 / 8.0 - 0.4).collect();
        floats(name, dims, &elements)
    };
    vec![
        small("w", &[1, gates * 5, 3]),
        small("r", &[1, gates * 5, 5]),
        small("b", &[1, gates * 10]),
    ]
}

#[test]
fn long_short_term_memory() {
    let lstm = node("LSTM", &["x", "w", "r", "b"], &["y", "h"]);
    let lstm = with_int(lstm, "hidden_size", 5);
    check(
        14,
        graph(&["x:f32[T,2,3]"], vec![lstm], weights(4), &["y", "h"]),
        &[&[("T", 4)]],
        expect![[r#"
            inputs x: f32[T, 2, 3]
            y: f32[T, 1, 2, 5], h: f32[1, 2, 5] = recurrent(lstm 5 +bias to y h)(x, w: f32[1, 20, 3], r: f32[1, 20, 5], b: f32[1, 40])
            outputs y, h"#]],
    );
}

#[test]
fn states_of_zeros_are_none() {
    let nodes = vec![
        node("Expand", &["zero", "dims"], &["s"]),
        with_int(
            node("GRU", &["x", "w", "r", "", "", "s"], &["", "y"]),
            "linear_before_reset",
            1,
        ),
    ];
    let mut constants = weights(3);
    constants.extend([
        floats("zero", &[1, 1, 1], &[0.0]),
        vector("dims", &[1, 2, 5]),
    ]);
    check(
        14,
        graph(&["x:f32[T,2,3]"], nodes, constants, &["y"]),
        &[&[("T", 4)]],
        expect![[r#"
            inputs x: f32[T, 2, 3]
            y: f32[1, 2, 5] = recurrent(gru(linear_before_reset true) 5 to h)(x, w: f32[1, 15, 3], r: f32[1, 15, 5])
            outputs y"#]],
    );
}

#[test]
fn the_batch_may_come_first() {
    let rnn = with_int(node("RNN", &["x", "w", "r"], &["y", "h"]), "layout", 1);
    check_text(
        14,
        graph(&["x:f32[N,T,3]"], vec![rnn], weights(1), &["y", "h"]),
        expect![[r#"
            inputs x: f32[N, T, 3]
            y/0: f32[T, N, 3] = transpose(1, 0, 2)(x)
            y/3: f32[T, 1, N, 5], y/4: f32[1, N, 5] = recurrent(tanh 5 to y h)(y/0, w: f32[1, 5, 3], r: f32[1, 5, 5])
            y: f32[N, T, 1, 5] = transpose(2, 0, 1, 3)(y/3)
            h: f32[N, 1, 5] = transpose(1, 0, 2)(y/4)
            outputs y, h"#]],
    );
}

#[test]
fn unusual_functions_are_left() {
    let mut rnn = node("RNN", &["x", "w", "r"], &["y"]);
    rnn.attribute.push(tract_onnx::pb::AttributeProto {
        name: "activations".into(),
        r#type: 8,
        strings: vec!["Relu".into()],
        ..Default::default()
    });
    check_text(
        14,
        graph(&["x:f32[T,2,3]"], vec![rnn], weights(1), &["y"]),
        expect![[r#"
            inputs x: f32[T, 2, 3]
            y: f32[T, 1, 2, 5] = onnx RNN(x, w: f32[1, 5, 3], r: f32[1, 5, 5])
            outputs y"#]],
    );
}
