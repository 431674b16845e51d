//! Products of matrices, `Einsum` and attention.

use super::*;

#[test]
fn products_are_broadcast() {
    let product = |inputs: [&str; 2], sizes: Sizes<'_>, expected: Expect| {
        let nodes = vec![node("MatMul", &["a", "b"], &["y"])];
        check(
            13,
            graph(&inputs, nodes, vec![], &["y"]),
            &[sizes],
            expected,
        );
    };
    product(
        ["a:f32[N,3,4]", "b:f32[4,5]"],
        &[("N", 2)],
        expect![[r#"
        inputs a: f32[N, 3, 4], b: f32[4, 5]
        y: f32[N, 3, 5] = matmul(a, b)
        outputs y"#]],
    );
    product(
        ["a:f32[3,4]", "b:f32[N,4,5]"],
        &[("N", 2)],
        expect![[r#"
        inputs a: f32[3, 4], b: f32[N, 4, 5]
        y/0: f32[1, 3, 4] = reshape(a)
        y/1: f32[N, 3, 4] = expand(y/0)
        y: f32[N, 3, 5] = matmul(y/1, b)
        outputs y"#]],
    );
    product(
        ["a:f32[N,2,3,4]", "b:f32[2,4,5]"],
        &[("N", 2)],
        expect![[r#"
        inputs a: f32[N, 2, 3, 4], b: f32[2, 4, 5]
        y/0: f32[1, 2, 4, 5] = reshape(b)
        y: f32[N, 2, 3, 5] = matmul(a, y/0)
        outputs y"#]],
    );
    product(
        ["a:f32[4]", "b:f32[N,4,5]"],
        &[("N", 2)],
        expect![[r#"
        inputs a: f32[4], b: f32[N, 4, 5]
        y/0: f32[1, 4] = reshape(a)
        y/1: f32[1, 1, 4] = reshape(y/0)
        y/2: f32[N, 1, 4] = expand(y/1)
        y/3: f32[N, 1, 5] = matmul(y/2, b)
        y: f32[N, 5] = reshape(y/3)
        outputs y"#]],
    );
    product(
        ["a:f32[N,3,4]", "b:f32[4]"],
        &[("N", 2)],
        expect![[r#"
        inputs a: f32[N, 3, 4], b: f32[4]
        y/0: f32[4, 1] = reshape(b)
        y/1: f32[N, 3, 1] = matmul(a, y/0)
        y: f32[N, 3] = reshape(y/1)
        outputs y"#]],
    );
}

#[test]
fn general_products() {
    let constants = || vec![ramp("b", &[5, 4]), ramp("c", &[5])];
    let gemm = with_int(node("Gemm", &["x", "b", "c"], &["y"]), "transB", 1);
    let gemm = with_float(with_float(gemm, "alpha", 0.5), "beta", 2.0);
    check(
        13,
        one(&["x:f32[N,4]"], gemm, constants()),
        &[&[("N", 3)]],
        expect![[r#"
        inputs x: f32[N, 4]
        y/1: f32[N, 5] = matmul(transposed scale 0.5)(x, b: f32[5, 4])
        y: f32[N, 5] = add(y/1, y/3: f32[5])
        outputs y"#]],
    );
    let gemm = with_int(node("Gemm", &["x", "z"], &["y"]), "transA", 1);
    check(
        13,
        one(&["x:f32[4,N]", "z:f32[4,3]"], gemm, vec![]),
        &[&[("N", 3)]],
        expect![[r#"
        inputs x: f32[4, N], z: f32[4, 3]
        y/0: f32[N, 4] = transpose(1, 0)(x)
        y: f32[N, 3] = matmul(y/0, z)
        outputs y"#]],
    );
}

#[test]
fn sums_of_products() {
    let einsum = |equation: &str, inputs: &[&str], sizes: Sizes<'_>, expected: Expect| {
        let names: Vec<&str> = inputs.iter().map(|spec| &spec[..1]).collect();
        let node = with_text(node("Einsum", &names, &["y"]), "equation", equation);
        check(13, one(inputs, node, vec![]), &[sizes], expected);
    };
    let n: Sizes<'_> = &[("N", 2)];
    let nl: Sizes<'_> = &[("N", 2), ("L", 3)];
    einsum(
        "bhid,bhjd->bhij",
        &["a:f32[N,2,L,4]", "b:f32[N,2,5,4]"],
        nl,
        expect![[r#"
        inputs a: f32[N, 2, L, 4], b: f32[N, 2, 5, 4]
        y/0: f32[N*2, L, 4] = reshape(a)
        y/1: f32[N*2, 5, 4] = reshape(b)
        y/2: f32[N*2, L, 5] = matmul(transposed)(y/0, y/1)
        y: f32[N, 2, L, 5] = reshape(y/2)
        outputs y"#]],
    );
    einsum(
        "bsd,dhk->bhsk",
        &["a:f32[N,3,4]", "b:f32[4,2,5]"],
        n,
        expect![[r#"
        inputs a: f32[N, 3, 4], b: f32[4, 2, 5]
        y/0: f32[N*3, 4] = reshape(a)
        y/1: f32[4, 10] = reshape(b)
        y/2: f32[N*3, 10] = matmul(y/0, y/1)
        y/3: f32[N, 3, 2, 5] = reshape(y/2)
        y: f32[N, 2, 3, 5] = transpose(0, 2, 1, 3)(y/3)
        outputs y"#]],
    );
    einsum(
        "i,j->ij",
        &["a:f32[N]", "b:f32[3]"],
        n,
        expect![[r#"
        inputs a: f32[N], b: f32[3]
        y/0: f32[N, 1] = reshape(a)
        y/1: f32[1, 3] = reshape(b)
        y: f32[N, 3] = mul(y/0, y/1)
        outputs y"#]],
    );
    einsum(
        "ij->j",
        &["a:f32[N,3]"],
        n,
        expect![[r#"
        inputs a: f32[N, 3]
        y/0: f32[1, 3] = reduce(sum 0)(a)
        y: f32[3] = reshape(y/0)
        outputs y"#]],
    );
    einsum(
        "ij,jk",
        &["a:f32[N,3]", "b:f32[3,4]"],
        n,
        expect![[r#"
        inputs a: f32[N, 3], b: f32[3, 4]
        y: f32[N, 4] = matmul(a, b)
        outputs y"#]],
    );
}

#[test]
fn diagonals_and_ellipses() {
    let einsum = |equation: &str, inputs: &[&str]| {
        let names: Vec<&str> = inputs.iter().map(|spec| &spec[..1]).collect();
        let node = with_text(node("Einsum", &names, &["y"]), "equation", equation);
        import_model(&model(13, one(inputs, node, vec![])))
    };
    let x: Vec<f32> = (0..9u8).map(f32::from).collect();
    let graph = einsum("ii->i", &["a:f32[3,3]"]);
    assert_eq!(compute(&graph, std::slice::from_ref(&x)), [0.0, 4.0, 8.0]);
    let graph = einsum("...i,i->...", &["a:f32[3,3]", "b:f32[3]"]);
    assert_eq!(
        compute(&graph, &[x, vec![1.0, 0.0, 2.0]]),
        [4.0, 13.0, 22.0]
    );
}

#[test]
fn attention_with_shared_heads() {
    let attention = node("Attention", &["q", "k", "v"], &["y"]);
    let attention = with_int(with_int(attention, "q_num_heads", 4), "kv_num_heads", 2);
    let inputs = ["q:f32[N,L,16]", "k:f32[N,S,8]", "v:f32[N,S,8]"];
    check_text(
        23,
        one(&inputs, attention, vec![]),
        expect![[r#"
        inputs q: f32[N, L, 16], k: f32[N, S, 8], v: f32[N, S, 8]
        y/0: f32[N, L, 4, 4] = reshape(q)
        y/1: f32[N, 4, L, 4] = transpose(0, 2, 1, 3)(y/0)
        y/2: f32[N, S, 2, 4] = reshape(k)
        y/3: f32[N, 2, S, 4] = transpose(0, 2, 1, 3)(y/2)
        y/4: f32[N, S, 2, 4] = reshape(v)
        y/5: f32[N, 2, S, 4] = transpose(0, 2, 1, 3)(y/4)
        y/6: f32[N, 2, 1, S, 4] = reshape(y/3)
        y/7: f32[N, 2, 2, S, 4] = expand(y/6)
        y/8: f32[N, 4, S, 4] = reshape(y/7)
        y/9: f32[N, 2, 1, S, 4] = reshape(y/5)
        y/10: f32[N, 2, 2, S, 4] = expand(y/9)
        y/11: f32[N, 4, S, 4] = reshape(y/10)
        y/12: f32[N, 4, L, 4] = attention(scale 0.5)(y/1, y/8, y/11)
        y/13: f32[N, L, 4, 4] = transpose(0, 2, 1, 3)(y/12)
        y: f32[N, L, 16] = reshape(y/13)
        outputs y"#]],
    );
}

#[test]
fn attention_to_the_past() {
    let attention = node(
        "Attention",
        &["q", "k", "v", "", "pk", "pv"],
        &["y", "nk", "nv"],
    );
    let attention = with_int(attention, "is_causal", 1);
    let inputs = [
        "q:f32[N,2,L,4]",
        "k:f32[N,2,L,4]",
        "v:f32[N,2,L,4]",
        "pk:f32[N,2,P,4]",
        "pv:f32[N,2,P,4]",
    ];
    let before = graph(&inputs, vec![attention], vec![], &["y", "nk", "nv"]);
    check_text(
        23,
        before,
        expect![[r#"
        inputs q: f32[N, 2, L, 4], k: f32[N, 2, L, 4], v: f32[N, 2, L, 4], pk: f32[N, 2, P, 4], pv: f32[N, 2, P, 4]
        nk: f32[N, 2, L+P, 4] = concat(2)(pk, k)
        nv: f32[N, 2, L+P, 4] = concat(2)(pv, v)
        y/3: i64[L] = expand(1)
        y/4: i64[L] = cum_sum(axis 0, exclusive true, reverse false)(y/3)
        y/5: i64[L, 1] = reshape(y/4)
        y/6: i64[1] = dims(begin 2)(pk)
        y/7: i64[] = reshape(y/6)
        y/8: i64[L, 1] = add(y/5, y/7)
        y/10: i64[L+P] = expand(1)
        y/11: i64[L+P] = cum_sum(axis 0, exclusive true, reverse false)(y/10)
        y/12: bool[L, L+P] = less_or_equal(y/11, y/8)
        y/15: f32[L, L+P] = where(y/12, 0.0, -inf)
        y: f32[N, 2, L, 4] = attention(scale 0.5 mask)(q, nk, nv, y/15)
        outputs y, nk, nv"#]],
    );
}

#[test]
fn attention_of_onnx_runtime() {
    let mut attention = node("MultiHeadAttention", &["q", "k", "v"], &["y"]);
    attention.domain = "com.microsoft".into();
    let attention = with_int(attention, "num_heads", 2);
    let inputs = ["q:f32[N,L,8]", "k:f32[N,S,8]", "v:f32[N,S,8]"];
    check(
        17,
        one(&inputs, attention, vec![]),
        &[&[("N", 2), ("L", 3), ("S", 5)]],
        expect![[r#"
            inputs q: f32[N, L, 8], k: f32[N, S, 8], v: f32[N, S, 8]
            y/0: f32[N, L, 2, 4] = reshape(q)
            y/1: f32[N, 2, L, 4] = transpose(0, 2, 1, 3)(y/0)
            y/2: f32[N, S, 2, 4] = reshape(k)
            y/3: f32[N, 2, S, 4] = transpose(0, 2, 1, 3)(y/2)
            y/4: f32[N, S, 2, 4] = reshape(v)
            y/5: f32[N, 2, S, 4] = transpose(0, 2, 1, 3)(y/4)
            y/6: f32[N, 2, L, 4] = attention(scale 0.5)(y/1, y/3, y/5)
            y/7: f32[N, L, 2, 4] = transpose(0, 2, 1, 3)(y/6)
            y: f32[N, L, 8] = reshape(y/7)
            outputs y"#]],
    );
}
