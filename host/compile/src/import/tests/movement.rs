//! Slices, pads, and tensors joined.

use super::*;

#[test]
fn bounds_of_slices() {
    let slice = with_ints(node("Slice", &["x"], &["y"]), "starts", &[1, -2]);
    let slice = with_ints(with_ints(slice, "ends", &[9, i64::MAX]), "axes", &[1, 0]);
    check(
        9,
        one(&["x:f32[N,4]"], slice, vec![]),
        &[&[("N", 5)], &[("N", 2)]],
        expect![[r#"
        inputs x: f32[N, 4]
        y: f32[2, 3] = slice(-2, 1)(x)
        outputs y"#]],
    );
    let slice = node("Slice", &["x", "starts", "ends", "axes", "steps"], &["y"]);
    let constants = vec![
        vector("starts", &[-1, 1]),
        vector("ends", &[i64::MIN, i64::MAX]),
        vector("axes", &[1, 0]),
        vector("steps", &[-1, 2]),
    ];
    check(
        13,
        one(&["x:f32[N,4]"], slice, constants),
        &[&[("N", 5)], &[("N", 4)]],
        expect![[r#"
        inputs x: f32[N, 4]
        y: f32[N/2, 4] = slice(1, 3 by 2, -1)(x)
        outputs y"#]],
    );
}

#[test]
fn slices_up_to_a_size() {
    let nodes = vec![
        node("Shape", &["z"], &["s"]),
        with_int(node("Gather", &["s", "axis"], &["n"]), "axis", 0),
        node("Slice", &["table", "zero", "n", "axis"], &["a"]),
        node("Add", &["z", "a"], &["y"]),
    ];
    let constants = vec![
        ramp("table", &[4, 9]),
        vector("zero", &[0]),
        vector("axis", &[1]),
    ];
    check(
        13,
        graph(&["z:f32[4,L]"], nodes, constants, &["y"]),
        &[&[("L", 5)], &[("L", 9)]],
        expect![[r#"
            inputs z: f32[4, L]
            a: f32[4, L] = slice(0, 0)(table: f32[4, 9])
            y: f32[4, L] = add(z, a)
            outputs y"#]],
    );
}

/// As positions after those of a cache are taken from a table.
#[test]
fn slices_from_a_size_on() {
    let nodes = vec![
        node("Shape", &["past"], &["sp"]),
        with_int(node("Gather", &["sp", "axis"], &["p"]), "axis", 0),
        node("Shape", &["z"], &["sz"]),
        with_int(node("Gather", &["sz", "axis"], &["l"]), "axis", 0),
        node("Add", &["p", "l"], &["pl"]),
        node("Slice", &["table", "p", "pl", "axis"], &["a"]),
        node("Add", &["z", "a"], &["y"]),
    ];
    let constants = vec![ramp("table", &[4, 20]), vector("axis", &[1])];
    check(
        13,
        graph(&["z:f32[4,L]", "past:f32[4,P]"], nodes, constants, &["y"]),
        &[&[("L", 5), ("P", 7)], &[("L", 1), ("P", 1)]],
        expect![[r#"
            inputs z: f32[4, L], past: f32[4, P]
            tensorlet/shape of past: i64[2] = dims(begin 0)(past)
            tensorlet/dims[P]: i64[1] = gather(0)(tensorlet/shape of past, 1)
            a/1: i64[] = reshape(tensorlet/dims[P])
            a/3: i64[L] = expand(1)
            a/4: i64[L] = cum_sum(axis 0, exclusive true, reverse false)(a/3)
            a/5: i64[L] = add(a/4, a/1)
            a: f32[4, L] = gather(1)(table: f32[4, 20], a/5)
            y: f32[4, L] = add(z, a)
            outputs y"#]],
    );
}

#[test]
fn parts_are_equal_or_named() {
    let split = with_int(node("Split", &["x"], &["a", "b"]), "axis", 1);
    check(
        11,
        graph(&["x:f32[N,6]"], vec![split], vec![], &["a", "b"]),
        &[&[("N", 2)]],
        expect![[r#"
        inputs x: f32[N, 6]
        a: f32[N, 3] = slice(0, 0)(x)
        b: f32[N, 3] = slice(0, 3)(x)
        outputs a, b"#]],
    );
    let split = with_int(node("Split", &["x", "sizes"], &["a", "b"]), "axis", -1);
    let sizes = vec![vector("sizes", &[2, 4])];
    check(
        13,
        graph(&["x:f32[N,6]"], vec![split], sizes, &["b"]),
        &[&[("N", 2)]],
        expect![[r#"
        inputs x: f32[N, 6]
        b: f32[N, 4] = slice(0, 2)(x)
        outputs b"#]],
    );
    let split = with_int(node("Split", &["x"], &["a", "b"]), "axis", 1);
    let split = with_int(split, "num_outputs", 2);
    check(
        18,
        graph(&["x:f32[N,5]"], vec![split], vec![], &["a", "b"]),
        &[&[("N", 2)]],
        expect![[r#"
        inputs x: f32[N, 5]
        a: f32[N, 3] = slice(0, 0)(x)
        b: f32[N, 2] = slice(0, 3)(x)
        outputs a, b"#]],
    );
}

#[test]
fn joined_along_an_axis() {
    let concat = with_int(node("Concat", &["x", "w", "x"], &["y"]), "axis", -1);
    check(
        13,
        one(&["x:f32[2,N]"], concat, vec![ramp("w", &[2, 3])]),
        &[&[("N", 2)]],
        expect![[r#"
            inputs x: f32[2, N]
            y: f32[2, 3+N*2] = concat(1)(x, w: f32[2, 3], x)
            outputs y"#]],
    );
}

#[test]
fn padded() {
    let pad = with_ints(node("Pad", &["x"], &["y"]), "pads", &[0, 1, 0, 2]);
    check(
        10,
        one(&["x:f32[N,3]"], with_float(pad, "value", 7.0), vec![]),
        &[&[("N", 2)]],
        expect![[r#"
            inputs x: f32[N, 3]
            y: f32[N, 6] = pad(7.0 before 0, 1)(x)
            outputs y"#]],
    );
    let pad = with_text(node("Pad", &["x", "pads"], &["y"]), "mode", "reflect");
    let constants = vec![vector("pads", &[0, 1, 0, 2])];
    check(
        13,
        one(&["x:f32[N,4]"], pad, constants),
        &[&[("N", 2)]],
        expect![[r#"
        inputs x: f32[N, 4]
        y: f32[N, 7] = pad(reflect before 0, 1)(x)
        outputs y"#]],
    );
    let pad = node("Pad", &["x", "pads", "", "axes"], &["y"]);
    let constants = vec![vector("pads", &[1, -1]), vector("axes", &[-1])];
    check_text(
        18,
        one(&["x:f32[N,4]"], pad, constants),
        expect![[r#"
        inputs x: f32[N, 4]
        y: f32[N, 4] = pad(0.0 before 0, 1)(x)
        outputs y"#]],
    );
}

#[test]
fn reordered() {
    let nodes = vec![
        node("Transpose", &["x"], &["a"]),
        with_ints(node("Transpose", &["a"], &["y"]), "perm", &[1, 0, 2]),
    ];
    check(
        13,
        graph(&["x:f32[N,3,4]"], nodes, vec![], &["y"]),
        &[&[("N", 2)]],
        expect![[r#"
            inputs x: f32[N, 3, 4]
            a: f32[4, 3, N] = transpose(2, 1, 0)(x)
            y: f32[3, 4, N] = transpose(1, 0, 2)(a)
            outputs y"#]],
    );
}

#[test]
fn cropped_and_padded_around_the_centre() {
    let pad = node("CenterCropPad", &["x", "size"], &["y"]);
    check_text(
        18,
        one(&["x:f32[6,3]"], pad, vec![vector("size", &[3, 6])]),
        expect![[r#"
            inputs x: f32[6, 3]
            y/0: f32[3, 3] = slice(1, 0)(x)
            y: f32[3, 6] = pad(0.0 before 0, 1)(y/0)
            outputs y"#]],
    );
}
