//! Softmax and normalisations.

use super::*;

#[test]
fn softmax_was_of_a_matrix() {
    let softmax = with_int(node("Softmax", &["x"], &["y"]), "axis", 1);
    let inputs = ["x:f32[N,3,4]"];
    check(
        11,
        one(&inputs, softmax.clone(), vec![]),
        &[&[("N", 2)]],
        expect![[r#"
        inputs x: f32[N, 3, 4]
        y/0: f32[N, 12] = reshape(x)
        y/1: f32[N, 12] = softmax(1)(y/0)
        y: f32[N, 3, 4] = reshape(y/1)
        outputs y"#]],
    );
    check(
        13,
        one(&inputs, softmax, vec![]),
        &[&[("N", 2)]],
        expect![[r#"
        inputs x: f32[N, 3, 4]
        y: f32[N, 3, 4] = softmax(1)(x)
        outputs y"#]],
    );
    let last = node("LogSoftmax", &["x"], &["y"]);
    check(
        13,
        one(&inputs, last, vec![]),
        &[&[("N", 2)]],
        expect![[r#"
        inputs x: f32[N, 3, 4]
        y: f32[N, 3, 4] = log_softmax(2)(x)
        outputs y"#]],
    );
}

#[test]
fn batch_normalisation_is_a_factor_and_an_offset() {
    let constants = vec![
        floats("scale", &[2], &[1.0, 2.0]),
        floats("bias", &[2], &[0.5, -0.5]),
        floats("mean", &[2], &[0.0, 1.0]),
        floats("var", &[2], &[4.0, 1.0]),
    ];
    let normalise = node(
        "BatchNormalization",
        &["x", "scale", "bias", "mean", "var"],
        &["y"],
    );
    let normalise = with_float(normalise, "epsilon", 0.0);
    check(
        9,
        one(&["x:f32[N,2,W]"], normalise, constants),
        &[&[("N", 2), ("W", 3)]],
        expect![[r#"
            inputs x: f32[N, 2, W]
            y/2: f32[N, 2, W] = mul(x, y/0: f32[2, 1])
            y: f32[N, 2, W] = add(y/2, y/1: f32[2, 1])
            outputs y"#]],
    );
}

#[test]
fn batch_normalisation_by_computed_numbers() {
    let normalise = node("BatchNormalization", &["x", "s", "s", "s", "s"], &["y"]);
    check_text(
        15,
        one(&["x:f32[N,2,W]", "s:f32[2]"], normalise, vec![]),
        expect![[r#"
        inputs x: f32[N, 2, W], s: f32[2]
        y/1: f32[2] = add(s, 1e-5)
        y/2: f32[2] = sqrt(y/1)
        y/3: f32[2] = div(s, y/2)
        y/4: f32[2] = mul(s, y/3)
        y/5: f32[2] = sub(s, y/4)
        y/6: f32[2, 1] = reshape(y/3)
        y/7: f32[2, 1] = reshape(y/5)
        y/8: f32[N, 2, W] = mul(x, y/6)
        y: f32[N, 2, W] = add(y/8, y/7)
        outputs y"#]],
    );
}

#[test]
fn layers_are_normalised() {
    let normalise = node("LayerNormalization", &["x", "scale", "bias"], &["y"]);
    let constants = vec![ramp("scale", &[4]), ramp("bias", &[4])];
    check(
        17,
        one(&["x:f32[N,3,4]"], normalise, constants),
        &[&[("N", 2)]],
        expect![[r#"
            inputs x: f32[N, 3, 4]
            y: f32[N, 3, 4] = normalise(layer 2.. epsilon 1e-5 +scale +bias)(x, [0.0, 0.125, 0.25, 0.375], [0.0, 0.125, 0.25, 0.375])
            outputs y"#]],
    );
    let normalise = with_int(
        node("LayerNormalization", &["x", "scale"], &["y"]),
        "axis",
        1,
    );
    check_text(
        17,
        one(&["x:f32[N,3,4]"], normalise, vec![ramp("scale", &[1, 4])]),
        expect![[r#"
            inputs x: f32[N, 3, 4]
            y/1: f32[3, 4] = expand(scale: f32[1, 4])
            y: f32[N, 3, 4] = normalise(layer 1.. epsilon 1e-5 +scale)(x, y/1)
            outputs y"#]],
    );
}

#[test]
fn mean_and_deviation_are_computed_where_they_are_read() {
    let normalise = node(
        "LayerNormalization",
        &["x", "scale"],
        &["y", "mean", "inverse"],
    );
    check_text(
        17,
        graph(
            &["x:f32[N,4]"],
            vec![normalise],
            vec![ramp("scale", &[4])],
            &["y", "inverse"],
        ),
        expect![[r#"
            inputs x: f32[N, 4]
            y: f32[N, 4] = normalise(layer 1.. epsilon 1e-5 +scale)(x, [0.0, 0.125, 0.25, 0.375])
            mean: f32[N, 1] = reduce(mean 1)(x)
            y/3: f32[N, 4] = sub(x, mean)
            y/4: f32[N, 4] = mul(y/3, y/3)
            y/5: f32[N, 1] = reduce(mean 1)(y/4)
            y/7: f32[N, 1] = add(y/5, 1e-5)
            y/8: f32[N, 1] = sqrt(y/7)
            inverse: f32[N, 1] = reciprocal(y/8)
            outputs y, inverse"#]],
    );
}

#[test]
fn root_mean_squares_and_skips() {
    let mut skip = node(
        "SkipLayerNormalization",
        &["x", "z", "scale", "bias"],
        &["a", "", "", "sum"],
    );
    skip.domain = "com.microsoft".into();
    let nodes = vec![
        skip,
        node("RMSNormalization", &["a", "scale"], &["b"]),
        node("Add", &["b", "sum"], &["y"]),
    ];
    let constants = vec![ramp("scale", &[4]), ramp("bias", &[4])];
    check_text(
        23,
        graph(&["x:f32[N,3,4]", "z:f32[N,3,4]"], nodes, constants, &["y"]),
        expect![[r#"
            inputs x: f32[N, 3, 4], z: f32[N, 3, 4]
            sum: f32[N, 3, 4] = add(x, z)
            a: f32[N, 3, 4] = normalise(layer 2.. epsilon 1e-12 +scale +bias)(sum, [0.0, 0.125, 0.25, 0.375], [0.0, 0.125, 0.25, 0.375])
            b: f32[N, 3, 4] = normalise(rms 2.. epsilon 1e-5 +scale)(a, [0.0, 0.125, 0.25, 0.375])
            y: f32[N, 3, 4] = add(b, sum)
            outputs y"#]],
    );
}

#[test]
fn groups_had_a_scale_each() {
    let instance = node("InstanceNormalization", &["x", "scale", "bias"], &["y"]);
    let constants = || vec![ramp("scale", &[4]), ramp("bias", &[4])];
    check(
        6 + 1,
        one(&["x:f32[N,4,W]"], instance, constants()),
        &[&[("N", 2), ("W", 3)]],
        expect![[r#"
            inputs x: f32[N, 4, W]
            y: f32[N, 4, W] = normalise(groups 4 epsilon 1e-5 +scale +bias)(x, [0.0, 0.125, 0.25, 0.375], [0.0, 0.125, 0.25, 0.375])
            outputs y"#]],
    );
    let group = node("GroupNormalization", &["x", "scale", "bias"], &["y"]);
    let group = with_int(group, "num_groups", 2);
    check_text(
        21,
        one(&["x:f32[N,4,W]"], group.clone(), constants()),
        expect![[r#"
        inputs x: f32[N, 4, W]
        y: f32[N, 4, W] = normalise(groups 2 epsilon 1e-5 +scale +bias)(x, [0.0, 0.125, 0.25, 0.375], [0.0, 0.125, 0.25, 0.375])
        outputs y"#]],
    );
    let constants = vec![ramp("scale", &[2]), ramp("bias", &[2])];
    check_text(
        18,
        one(&["x:f32[N,4,W]"], group, constants),
        expect![[r#"
        inputs x: f32[N, 4, W]
        y/2: f32[2, 1] = reshape([0.0, 0.125])
        y/3: f32[2, 2] = expand(y/2)
        y/4: f32[4] = reshape(y/3)
        y/5: f32[2, 1] = reshape([0.0, 0.125])
        y/6: f32[2, 2] = expand(y/5)
        y/7: f32[4] = reshape(y/6)
        y: f32[N, 4, W] = normalise(groups 2 epsilon 1e-5 +scale +bias)(x, y/4, y/7)
        outputs y"#]],
    );
}

#[test]
fn local_responses() {
    let lrn = with_int(node("LRN", &["x"], &["y"]), "size", 3);
    check(
        13,
        one(&["x:f32[N,4,W]"], lrn, vec![]),
        &[&[("N", 2), ("W", 3)]],
        expect![[r#"
            inputs x: f32[N, 4, W]
            y: f32[N, 4, W] = lrn(size 3, alpha 0.0001, beta 0.75, bias 1.0)(x)
            outputs y"#]],
    );
}
