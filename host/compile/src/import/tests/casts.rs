//! Datum types, and values of f16.

use tract_onnx::pb::tensor_proto::DataType;

use super::*;

const F16: i64 = DataType::Float16 as i64;
const F32: i64 = DataType::Float as i64;
const I64: i64 = DataType::Int64 as i64;

/// Makes an f16 tensor of ones.
fn halves(name: &str, dims: &[usize]) -> TensorProto {
    TensorProto {
        data_type: DataType::Float16 as i32,
        raw_data: [0, 0x3c].repeat(dims.iter().product()),
        ..ramp(name, dims)
    }
}

#[test]
fn casts_change_types() {
    let nodes = vec![
        with_int(node("Cast", &["x"], &["a"]), "to", I64),
        with_int(node("Cast", &["a"], &["b"]), "to", F32),
        node("CastLike", &["b", "a"], &["c"]),
        with_int(node("Cast", &["c"], &["y"]), "to", I64),
    ];
    check(
        15,
        graph(&["x:f32[N]"], nodes, vec![], &["y"]),
        &[&[("N", 5)]],
        expect![[r#"
            inputs x: f32[N]
            a: i64[N] = cast(x)
            b: f32[N] = cast(a)
            c: i64[N] = cast(b)
            y: i64[N] = reshape(c)
            outputs y"#]],
    );
}

/// Casts at the border, f32 inside, and weights as they are stored.
#[test]
fn halves_are_computed_as_floats() {
    let nodes = vec![
        node("MatMul", &["x", "w"], &["a"]),
        node("Add", &["a", "bias"], &["b"]),
        with_int(node("Cast", &["b"], &["c"]), "to", F32),
        node("Softmax", &["c"], &["d"]),
        with_int(node("Cast", &["d"], &["e"]), "to", F16),
        node("Neg", &["e"], &["y"]),
    ];
    let constants = vec![halves("w", &[3, 4]), halves("bias", &[4])];
    check_text(
        13,
        graph(&["x:f16[N,3]"], nodes, constants, &["y", "d"]),
        expect![[r#"
            inputs x: f16[N, 3]
            x as f32: f32[N, 3] = cast(x)
            a/2: f32[3, 4] = cast(w: f16[3, 4])
            a: f32[N, 4] = matmul(x as f32, a/2)
            b: f32[N, 4] = add(a, [1.0, 1.0, 1.0, 1.0])
            c: f32[N, 4] = reshape(b)
            d: f32[N, 4] = softmax(1)(c)
            e: f32[N, 4] = reshape(d)
            y as f32: f32[N, 4] = neg(e)
            y: f16[N, 4] = cast(y as f32)
            outputs y, d"#]],
    );
}

#[test]
fn a_table_of_halves_is_read_as_it_is() {
    let nodes = vec![
        node("Gather", &["table", "ids"], &["a"]),
        with_int(node("Cast", &["a"], &["y"]), "to", F32),
    ];
    check_text(
        13,
        graph(
            &["ids:i64[N]"],
            nodes,
            vec![halves("table", &[9, 4])],
            &["y"],
        ),
        expect![[r#"
            inputs ids: i64[N]
            a/1: f16[N, 4] = gather(0)(table: f16[9, 4], ids)
            a: f32[N, 4] = cast(a/1)
            y: f32[N, 4] = reshape(a)
            outputs y"#]],
    );
}

/// What tract computes is given halves, and what it returns is converted.
#[test]
fn leftovers_see_halves() {
    let nodes = vec![
        node("Neg", &["x"], &["a"]),
        with_int(node("Multinomial", &["a"], &["b"]), "dtype", 6),
        with_int(node("Cast", &["b"], &["y"]), "to", F16),
    ];
    check_text(
        13,
        graph(&["x:f16[N,3]"], nodes, vec![], &["y"]),
        expect![[r#"
            inputs x: f16[N, 3]
            x as f32: f32[N, 3] = cast(x)
            a as f32: f32[N, 3] = neg(x as f32)
            a: f16[N, 3] = cast(a as f32)
            b: i32[N, 1] = onnx Multinomial(a)
            y as f32: f32[N, 1] = cast(b)
            y: f16[N, 1] = cast(y as f32)
            outputs y"#]],
    );
}

#[test]
fn outputs_may_be_inputs_and_constants() {
    let nodes = vec![node("Identity", &["x"], &["y"])];
    check_text(
        13,
        graph(
            &["x:f32[N]"],
            nodes,
            vec![ramp("w", &[2])],
            &["y", "x", "w"],
        ),
        expect![[r#"
            inputs x: f32[N]
            y: f32[N] = reshape(x)
            outputs y, x, [0.0, 0.125]"#]],
    );
}

#[test]
fn dropout_drops_nothing() {
    let nodes = vec![
        node("Dropout", &["x"], &["a", "m"]),
        node("Not", &["m"], &["n"]),
    ];
    check_text(
        13,
        graph(&["x:f32[N]"], nodes.clone(), vec![], &["a", "n"]),
        expect![[r#"
            inputs x: f32[N]
            m: bool[N] = expand(true)
            a: f32[N] = reshape(x)
            n: bool[N] = not(m)
            outputs a, n"#]],
    );
    let mut trained = nodes;
    trained[0].input.extend(["".into(), "training".into()]);
    let before = graph(&["x:f32[N]"], trained, vec![flag("training", true)], &["a"]);
    check_text(
        13,
        before,
        expect![[r#"
        inputs x: f32[N]
        a: f32[N], m: bool[N] = onnx Dropout(x, true)
        outputs a"#]],
    );
}
