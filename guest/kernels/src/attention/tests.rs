//! Tests of attention: kernels against plain loops, at odd sizes.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::Attention;

use crate::bind::bind;
use crate::isa::Isa;
use crate::run::Target;
use crate::tensor_type::TensorType;
use crate::trial::{Samples, assert_close, plain, run_f32};

/// Attention of one matrix after the other, in f64. The mask is given for each score.
fn reference(
    [matrices, rows, keys, depth, width]: [usize; 5],
    [q, k, v]: [&[f32]; 3],
    scale: f32,
    mask: impl Fn(usize, usize, usize) -> f32,
) -> Vec<f32> {
    let mut y = vec![];
    for m in 0..matrices {
        for row in 0..rows {
            let scores: Vec<f64> = (0..keys)
                .map(|key| {
                    let products = (0..depth).map(|i| {
                        f64::from(q[(m * rows + row) * depth + i])
                            * f64::from(k[(m * keys + key) * depth + i])
                    });
                    products.sum::<f64>() * f64::from(scale) + f64::from(mask(m, row, key))
                })
                .collect();
            let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = scores.iter().map(|score| (score - max).exp()).sum();
            for column in 0..width {
                let parts = scores.iter().enumerate().map(|(key, score)| {
                    (score - max).exp() / sum * f64::from(v[(m * keys + key) * width + column])
                });
                y.push(parts.sum::<f64>() as f32);
            }
        }
    }
    y
}

/// Computes with keys given either way, on every instruction set.
fn check(sizes: [usize; 5], mask_dims: Option<&[usize]>, mask: &[f32]) {
    let [matrices, rows, keys, depth, width] = sizes;
    let mut samples = Samples::new(rows as u32);
    let q = samples.numbers(matrices * rows * depth);
    let k = samples.numbers(matrices * keys * depth);
    let v = samples.numbers(matrices * keys * width);
    let dims = mask_dims.unwrap_or(&[1, 1, 1]);
    let at = |m: usize, row: usize, key: usize| match mask_dims {
        None => 0.0,
        Some(_) => mask[((m % dims[0]) * dims[1] + row % dims[1]) * dims[2] + key % dims[2]],
    };
    let expected = reference(sizes, [&q, &k, &v], 0.7, at);
    let mut transposed = vec![0.0; k.len()];
    for (i, &x) in k.iter().enumerate() {
        let (m, key, column) = (i / depth / keys, i / depth % keys, i % depth);
        transposed[(m * depth + column) * keys + key] = x;
    }
    for isa in Isa::available() {
        for transposed_k in [false, true] {
            let kernel = Kernel::Attention(Attention {
                scale: 0.7,
                mask: mask_dims.is_some(),
                transposed_k,
            });
            let (k, k_type) = if transposed_k {
                (&transposed, plain(&[matrices, depth, keys]))
            } else {
                (&k, plain(&[matrices, keys, depth]))
            };
            let types = [
                plain(&[matrices, rows, depth]),
                k_type,
                plain(&[matrices, keys, width]),
                plain(dims),
            ];
            let mut inputs: Vec<(&TensorType, &[f32])> =
                vec![(&types[0], &q), (&types[1], k), (&types[2], &v)];
            inputs.extend(mask_dims.map(|_| (&types[3], mask)));
            let y_type = plain(&[matrices, rows, width]);
            let y = run_f32(&kernel, isa, &inputs, &y_type).unwrap();
            assert_close(
                &y,
                &expected,
                1e-5,
                &format!("{isa:?} {sizes:?} {transposed_k}"),
            );
        }
    }
}

#[test]
fn matches_reference_at_odd_sizes() {
    for keys in [1, 2, 7, 8, 9, 16, 17, 33] {
        check([2, 3, keys, 5, 7], None, &[]);
        check([1, 1, keys, 8, 16], None, &[]);
        check([1, keys, 3, keys, keys], None, &[]);
    }
    // More rows than are computed at a time.
    check([1, 40, 1000, 4, 8], None, &[]);
    check([0, 4, 4, 4, 4], None, &[]);
    check([2, 0, 4, 4, 4], None, &[]);
    check([2, 4, 4, 4, 0], None, &[]);
}

#[test]
fn masks_are_broadcast() {
    let mut samples = Samples::new(9);
    for dims in [
        [2, 3, 9],
        [1, 3, 9],
        [2, 1, 9],
        [2, 3, 1],
        [1, 1, 9],
        [1, 1, 1],
    ] {
        let mask = samples.numbers(dims.iter().product());
        check([2, 3, 9, 4, 4], Some(&dims), &mask);
    }
}

#[test]
fn what_is_masked_does_not_count() {
    let mut mask = vec![0.0; 9];
    mask[3..].fill(f32::NEG_INFINITY);
    check([1, 2, 9, 4, 4], Some(&[1, 1, 9]), &mask);
    mask.fill(f32::NEG_INFINITY);
    check([1, 2, 9, 4, 4], Some(&[1, 1, 9]), &mask);
}

#[test]
fn refuses_what_does_not_fit() {
    let refused = |mask: bool, inputs: &[&[usize]], y: &[usize]| {
        let kernel = Kernel::Attention(Attention {
            scale: 1.0,
            mask,
            transposed_k: false,
        });
        let inputs: Vec<TensorType> = inputs.iter().map(|dims| plain(dims)).collect();
        bind(&kernel, &inputs, &[plain(y)], &Target::of(Isa::SCALAR))
            .err()
            .unwrap()
    };
    let (q, k, v, y): (&[usize], &[usize], &[usize], &[usize]) =
        (&[2, 3, 4], &[2, 5, 4], &[2, 5, 6], &[2, 3, 6]);
    refused(false, &[q, k], y);
    refused(false, &[q, &[2, 4, 5], v], y);
    refused(false, &[q, k, &[3, 5, 6]], y);
    refused(false, &[q, k, v], &[2, 3, 5]);
    refused(true, &[q, k, v], y);
    refused(false, &[q, k, v, &[1]], y);
    refused(true, &[q, k, v, &[2, 2, 5]], y);
    refused(true, &[q, k, v, &[1, 2, 3, 5]], y);
    refused(false, &[&[2, 3, 0], &[2, 5, 0], v], y);
    refused(false, &[&[4], &[4], &[4]], &[4]);
}
