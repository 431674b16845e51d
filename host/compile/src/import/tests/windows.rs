//! Convolutions, pools, and images resized.

use super::*;

#[test]
fn convolutions() {
    let conv = with_ints(
        node("Conv", &["x", "w", "b"], &["y"]),
        "pads",
        &[1, 1, 1, 1],
    );
    let conv = with_ints(conv, "strides", &[2, 2]);
    let constants = vec![ramp("w", &[4, 3, 3, 3]), ramp("b", &[4])];
    let sizes: [Sizes<'_>; 2] = [&[("N", 2), ("W", 7)], &[("N", 1), ("W", 8)]];
    check(
        13,
        one(&["x:f32[N,3,6,W]"], conv, constants),
        &sizes,
        expect![[r#"
        inputs x: f32[N, 3, 6, W]
        y: f32[N, 4, 3, (W+1)/2] = conv(3x3 s2 p1 +bias)(x, w: f32[4, 3, 3, 3], [0.0, 0.125, 0.25, 0.375])
        outputs y"#]],
    );
    let conv = with_int(node("Conv", &["x", "w"], &["y"]), "group", 2);
    let conv = with_ints(conv, "dilations", &[2]);
    check(
        13,
        one(&["x:f32[N,4,W]"], conv, vec![ramp("w", &[6, 2, 3])]),
        &[&[("N", 2), ("W", 7)]],
        expect![[r#"
            inputs x: f32[N, 4, W]
            y: f32[N, 6, W+(-4)] = conv(3 d2 g2)(x, w: f32[6, 2, 3])
            outputs y"#]],
    );
}

#[test]
fn padding_of_its_own_accord() {
    let conv = with_text(node("Conv", &["x", "w"], &["y"]), "auto_pad", "SAME_UPPER");
    let constants = || vec![ramp("w", &[2, 1, 4])];
    check(
        13,
        one(&["x:f32[N,1,W]"], conv.clone(), constants()),
        &[&[("N", 2), ("W", 7)]],
        expect![[r#"
            inputs x: f32[N, 1, W]
            y: f32[N, 2, W] = conv(4 p1..2)(x, w: f32[2, 1, 4])
            outputs y"#]],
    );
    let strided = with_ints(conv, "strides", &[3]);
    check(
        13,
        one(&["x:f32[N,1,8]"], strided.clone(), constants()),
        &[&[("N", 2)]],
        expect![[r#"
        inputs x: f32[N, 1, 8]
        y: f32[N, 2, 3] = conv(4 s3 p1)(x, w: f32[2, 1, 4])
        outputs y"#]],
    );
    // How much is added depends on the call.
    check_text(
        13,
        one(&["x:f32[N,1,W]"], strided, constants()),
        expect![[r#"
        inputs x: f32[N, 1, W]
        y: f32[N, 2, (W+2)/3] = onnx Conv(x, w: f32[2, 1, 4])
        outputs y"#]],
    );
}

#[test]
fn a_computed_bias_is_added() {
    let conv = node("Conv", &["x", "w", "b"], &["y"]);
    check(
        13,
        one(
            &["x:f32[N,3,5]", "b:f32[4]"],
            conv,
            vec![ramp("w", &[4, 3, 1])],
        ),
        &[&[("N", 2)]],
        expect![[r#"
            inputs x: f32[N, 3, 5], b: f32[4]
            y/1: f32[N, 4, 5] = conv(1)(x, w: f32[4, 3, 1])
            y/2: f32[4, 1] = reshape(b)
            y: f32[N, 4, 5] = add(y/1, y/2)
            outputs y"#]],
    );
}

#[test]
fn transposed_convolutions() {
    let conv = with_ints(
        node("ConvTranspose", &["x", "w"], &["y"]),
        "strides",
        &[2, 2],
    );
    let conv = with_ints(conv, "pads", &[1, 0, 0, 1]);
    check(
        13,
        one(
            &["x:f32[N,3,4,W]"],
            with_ints(conv, "output_padding", &[1, 0]),
            vec![ramp("w", &[3, 2, 3, 3])],
        ),
        &[&[("N", 2), ("W", 3)]],
        expect![[r#"
            inputs x: f32[N, 3, 4, W]
            y: f32[N, 2, 9, W*2] = conv_transpose(3x3 s2 p1x0)(x, w: f32[3, 2, 3, 3])
            outputs y"#]],
    );
    let conv = with_ints(node("ConvTranspose", &["x", "w"], &["y"]), "strides", &[3]);
    let conv = with_ints(conv, "output_shape", &[10]);
    check_text(
        13,
        one(&["x:f32[N,3,3]"], conv, vec![ramp("w", &[3, 2, 3])]),
        expect![[r#"
            inputs x: f32[N, 3, 3]
            y: f32[N, 2, 10] = conv_transpose(3 s3)(x, w: f32[3, 2, 3])
            outputs y"#]],
    );
}

#[test]
fn pools() {
    let pool = |operator: &str| {
        let pool = with_ints(node(operator, &["x"], &["y"]), "kernel_shape", &[3, 3]);
        with_ints(pool, "strides", &[2, 2])
    };
    let sizes: [Sizes<'_>; 2] = [&[("N", 2), ("W", 7)], &[("N", 1), ("W", 8)]];
    let inputs = ["x:f32[N,3,6,W]"];
    let padded = with_ints(pool("MaxPool"), "pads", &[1, 1, 1, 1]);
    check(
        13,
        one(&inputs, padded.clone(), vec![]),
        &sizes,
        expect![[r#"
        inputs x: f32[N, 3, 6, W]
        y: f32[N, 3, 3, (W+1)/2] = pool(max 3x3 s2 p1)(x)
        outputs y"#]],
    );
    check(
        13,
        one(&inputs, pool("AveragePool"), vec![]),
        &sizes,
        expect![[r#"
        inputs x: f32[N, 3, 6, W]
        y: f32[N, 3, 2, (-1)+(W+1)/2] = pool(average 3x3 s2)(x)
        outputs y"#]],
    );
    let ceiled = with_int(padded, "ceil_mode", 1);
    check(
        13,
        one(&inputs, ceiled, vec![]),
        &sizes,
        expect![[r#"
        inputs x: f32[N, 3, 6, W]
        y: f32[N, 3, 4, 1+W/2] = pool(max 3x3 s2 p1)(x)
        outputs y"#]],
    );
}

/// The last window would begin behind the input.
#[test]
fn windows_begin_in_the_input() {
    let pool = with_ints(node("MaxPool", &["x"], &["y"]), "kernel_shape", &[2]);
    let pool = with_int(with_ints(pool, "strides", &[4]), "ceil_mode", 1);
    check_text(
        13,
        one(&["x:f32[1,1,9]"], pool.clone(), vec![]),
        expect![[r#"
        inputs x: f32[1, 1, 9]
        y: f32[1, 1, 3] = pool(max 2 s4)(x)
        outputs y"#]],
    );
    check_text(
        13,
        one(&["x:f32[1,1,8]"], pool.clone(), vec![]),
        expect![[r#"
        inputs x: f32[1, 1, 8]
        y: f32[1, 1, 2] = pool(max 2 s4)(x)
        outputs y"#]],
    );
    check_text(
        13,
        one(&["x:f32[1,1,W]"], pool, vec![]),
        expect![[r#"
        inputs x: f32[1, 1, W]
        y: f32[1, 1, min(1+(W+1)/4, (W+3)/4)] = pool(max 2 s4)(x)
        outputs y"#]],
    );
}

#[test]
fn pools_of_everything() {
    let nodes = vec![
        node("GlobalAveragePool", &["x"], &["a"]),
        node("GlobalMaxPool", &["x"], &["b"]),
        node("Add", &["a", "b"], &["y"]),
    ];
    check(
        13,
        graph(&["x:f32[N,3,4,W]"], nodes, vec![], &["y"]),
        &[&[("N", 2), ("W", 3)]],
        expect![[r#"
            inputs x: f32[N, 3, 4, W]
            a: f32[N, 3, 1, 1] = reduce(mean 2, 3)(x)
            b: f32[N, 3, 1, 1] = reduce(max 2, 3)(x)
            y: f32[N, 3, 1, 1] = add(a, b)
            outputs y"#]],
    );
}

#[test]
fn resized_by_factors() {
    let resize = node("Resize", &["x", "", "scales"], &["y"]);
    let resize = with_text(resize, "coordinate_transformation_mode", "asymmetric");
    let resize = with_text(resize, "nearest_mode", "floor");
    let scales = vec![floats("scales", &[4], &[1.0, 1.0, 2.0, 2.0])];
    check(
        13,
        one(&["x:f32[N,2,3,W]"], resize, scales),
        &[&[("N", 2), ("W", 3)]],
        expect![[r#"
            inputs x: f32[N, 2, 3, W]
            y: f32[N, 2, 6, W*2] = resize(nearest(floor) asymmetric scales 1.0, 1.0, 2.0, 2.0)(x)
            outputs y"#]],
    );
    let upsample = node("Upsample", &["x", "scales"], &["y"]);
    let scales = vec![floats("scales", &[4], &[1.0, 1.0, 1.5, 2.0])];
    check_text(
        9,
        one(&["x:f32[N,2,H,W]"], upsample, scales),
        expect![[r#"
        inputs x: f32[N, 2, H, W]
        y: f32[N, 2, H*3/2, W*2] = resize(nearest(floor) asymmetric scales 1.0, 1.0, 1.5, 2.0)(x)
        outputs y"#]],
    );
}

#[test]
fn resized_to_another_tensor() {
    let nodes = vec![
        node("Shape", &["z"], &["s"]),
        with_text(
            node("Resize", &["x", "", "", "s"], &["y"]),
            "mode",
            "linear",
        ),
    ];
    check_text(
        13,
        graph(&["x:f32[N,2,H,W]", "z:f32[N,2,P,Q]"], nodes, vec![], &["y"]),
        expect![[r#"
            inputs x: f32[N, 2, H, W], z: f32[N, 2, P, Q]
            y: f32[N, 2, P, Q] = resize(linear half_pixel)(x)
            outputs y"#]],
    );
}

#[test]
fn channels_may_come_last() {
    let resize = node("Resize", &["x", "", "scales"], &["y"]);
    let resize = with_text(resize, "mode", "linear");
    let scales = vec![floats("scales", &[4], &[1.0, 2.0, 2.0, 1.0])];
    check_text(
        13,
        one(&["x:f32[N,3,W,2]"], resize, scales),
        expect![[r#"
        inputs x: f32[N, 3, W, 2]
        y/0: f32[N, 2, 3, W] = transpose(0, 3, 1, 2)(x)
        y/1: f32[1, N*2, 3, W] = reshape(y/0)
        y/2: f32[1, N*2, 6, W*2] = resize(linear half_pixel scales 1.0, 1.0, 2.0, 2.0)(y/1)
        y/3: f32[N, 2, 6, W*2] = reshape(y/2)
        y: f32[N, 6, W*2, 2] = transpose(0, 2, 3, 1)(y/3)
        outputs y"#]],
    );
}
