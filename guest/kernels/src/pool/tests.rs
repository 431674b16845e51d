//! Tests of pooling: kernels against plain loops, at odd sizes.

use tensorlet_plan::Kernel;

use super::*;
use crate::tensor_type::TensorType;
use crate::trial::{Samples, assert_close, block, laid_out, plain, run_bytes, run_f32, unblock};

/// One number for each spatial axis: kernel, stride, dilation, pad before, pad after, and how many outputs there are more than
/// windows fit.
type Window = [u32; 6];

const KINDS: [PoolKind; 6] = [
    PoolKind::Max,
    PoolKind::Average {
        count_padding: false,
    },
    PoolKind::Average {
        count_padding: true,
    },
    PoolKind::Lp { p: 1 },
    PoolKind::Lp { p: 2 },
    PoolKind::Lp { p: 3 },
];

fn pool(kind: PoolKind, windows: &[Window]) -> Pool {
    let all = |i: usize| windows.iter().map(|window| window[i]).collect();
    Pool {
        kind,
        kernel: all(0),
        strides: all(1),
        dilations: all(2),
        pads_before: all(3),
        pads_after: all(4),
    }
}

fn output_dims(dims: &[usize], windows: &[Window]) -> Vec<usize> {
    let along = |(&dim, &[kernel, stride, dilation, before, after, more]): (&usize, &Window)| {
        let padded = dim + (before + after) as usize;
        let reach = ((kernel - 1) * dilation + 1) as usize;
        (padded - reach) / stride as usize + 1 + more as usize
    };
    let spatial = dims[2..].iter().zip(windows).map(along);
    dims[..2].iter().copied().chain(spatial).collect()
}

/// Pooling by plain loops.
fn reference(pool: &Pool, x: &[f32], dims: &[usize], y_dims: &[usize]) -> Vec<f32> {
    let rank = dims.len() - 2;
    let pixels: usize = dims[2..].iter().product();
    let taps: usize = pool.kernel.iter().map(|&k| k as usize).product();
    let index = |mut at: usize, sizes: &[usize]| {
        let mut index = vec![0; sizes.len()];
        for (index, size) in index.iter_mut().zip(sizes).rev() {
            *index = at % size;
            at /= size;
        }
        index
    };
    let kernel: Vec<usize> = pool.kernel.iter().map(|&k| k as usize).collect();
    (0..y_dims.iter().product())
        .map(|at| {
            let output = index(at, y_dims);
            let plane = output[0] * dims[1] + output[1];
            let (mut seen, mut padding) = (Vec::new(), 0);
            for tap in 0..taps {
                let tap = index(tap, &kernel);
                let (mut element, mut is_inside, mut is_padding) = (0, true, true);
                for i in 0..rank {
                    let position = (output[2 + i] * pool.strides[i] as usize
                        + tap[i] * pool.dilations[i] as usize)
                        as isize
                        - pool.pads_before[i] as isize;
                    is_inside &= (0..dims[2 + i] as isize).contains(&position);
                    is_padding &= position < dims[2 + i] as isize + pool.pads_after[i] as isize;
                    element = element * dims[2 + i] + position.max(0) as usize;
                }
                if is_inside {
                    seen.push(f64::from(x[plane * pixels + element]));
                } else if is_padding {
                    padding += 1;
                }
            }
            let sum: f64 = seen.iter().sum();
            let y = match pool.kind {
                PoolKind::Max => seen.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                PoolKind::Average {
                    count_padding: true,
                } => sum / (seen.len() + padding) as f64,
                PoolKind::Average { .. } => sum / seen.len() as f64,
                PoolKind::Lp { p } => seen
                    .iter()
                    .map(|x| x.abs().powi(p as i32))
                    .sum::<f64>()
                    .powf(1.0 / f64::from(p)),
            };
            y as f32
        })
        .collect()
}

/// Compares with the reference, for every kind, layout and instruction set.
fn check(dims: &[usize], windows: &[Window]) {
    let y_dims = output_dims(dims, windows);
    let x = Samples::new(dims.iter().sum::<usize>() as u32).numbers(dims.iter().product());
    for kind in KINDS {
        let pool = pool(kind, windows);
        let expected = reference(&pool, &x, dims, &y_dims);
        for isa in Isa::available() {
            for layout in [Layout::Plain, Layout::Blocked] {
                let types = (laid_out(layout, dims), laid_out(layout, &y_dims));
                let stored = match layout {
                    Layout::Plain => x.clone(),
                    Layout::Blocked => block(&x, dims),
                };
                let kernel = Kernel::Pool(pool.clone());
                let y = run_f32(&kernel, isa, &[(&types.0, &stored)], &types.1).unwrap();
                let y = match layout {
                    Layout::Plain => y,
                    Layout::Blocked => unblock(&y, &y_dims),
                };
                let context = format!("{} {layout:?} {dims:?} {pool:?}", isa.name());
                assert_close(&y, &expected, 1e-5, &context);
            }
        }
    }
}

#[test]
fn windows_of_all_kinds_agree_with_the_reference() {
    for kernel in 1..=5 {
        for stride in 1..=3 {
            for width in [5, 6, 9, 18] {
                let pad = (kernel - 1) / 2;
                check(
                    &[1, 5, 6, width],
                    &[
                        [kernel, stride, 1, pad, pad, 0],
                        [kernel, stride, 1, pad, kernel - 1 - pad, 0],
                    ],
                );
            }
        }
    }
}

#[test]
fn there_may_be_one_to_three_spatial_axes() {
    check(&[2, 17, 23], &[[3, 2, 1, 1, 1, 0]]);
    check(&[2, 17, 4, 7], &[[2, 2, 1, 0, 0, 0], [3, 1, 1, 0, 1, 0]]);
    check(
        &[1, 18, 4, 5, 11],
        &[[2, 1, 1, 1, 0, 0], [3, 2, 1, 1, 1, 0], [3, 1, 1, 1, 1, 0]],
    );
}

#[test]
fn a_window_may_be_the_whole_plane() {
    check(&[2, 33, 7, 7], &[[7, 1, 1, 0, 0, 0], [7, 1, 1, 0, 0, 0]]);
}

#[test]
fn windows_may_be_dilated() {
    check(&[1, 16, 12, 13], &[[3, 1, 2, 2, 2, 0], [2, 2, 3, 1, 0, 0]]);
}

#[test]
fn windows_may_end_beyond_the_padding() {
    check(&[1, 16, 6, 10], &[[3, 2, 1, 0, 0, 1], [3, 3, 1, 1, 0, 1]]);
    check(&[1, 3, 5, 5], &[[2, 2, 1, 0, 1, 1], [4, 3, 1, 2, 1, 1]]);
}

#[test]
fn a_window_may_see_nothing() {
    check(&[1, 3, 4, 1], &[[1, 1, 1, 0, 0, 0], [2, 1, 3, 1, 2, 0]]);
    check(&[1, 3, 2, 2], &[[1, 1, 1, 3, 3, 0], [1, 1, 1, 0, 3, 0]]);
}

#[test]
fn tensors_may_be_empty() {
    let window = [2, 1, 1, 0, 0, 0];
    check(&[0, 16, 4, 4], &[window, window]);
    check(&[2, 0, 4, 4], &[window, window]);
    check(&[2, 4, 0, 4], &[[2, 1, 1, 1, 1, 0], window]);
}

#[test]
fn integers_have_maxima() {
    let dims = [1, 2, 3, 5];
    let pool = pool(PoolKind::Max, &[[2, 1, 1, 1, 0, 0], [3, 2, 1, 1, 1, 0]]);
    let y_dims = output_dims(&dims, &[[2, 1, 1, 1, 0, 0], [3, 2, 1, 1, 1, 0]]);
    let mut samples = Samples::new(5);
    let bytes: Vec<u8> = (0..30).map(|_| samples.index(256) as u8).collect();
    for datum_type in [DatumType::I8, DatumType::U8] {
        let number = |&byte: &u8| match datum_type {
            DatumType::I8 => f32::from(byte as i8),
            _ => f32::from(byte),
        };
        let numbers: Vec<f32> = bytes.iter().map(number).collect();
        let expected = reference(&pool, &numbers, &dims, &y_dims);
        let y = run_bytes(
            &Kernel::Pool(pool.clone()),
            Isa::detect(),
            &[(&TensorType::plain(datum_type, &dims), &bytes)],
            &[TensorType::plain(datum_type, &y_dims)],
        );
        let y: Vec<f32> = y.unwrap()[0].iter().map(number).collect();
        assert_eq!(y, expected);
    }
}

#[test]
fn a_maximum_passes_over_nan_and_a_mean_does_not() {
    let dims = [1, 1, 4];
    let x = [f32::NAN, -1.0, f32::INFINITY, f32::NEG_INFINITY];
    let window = [[2, 1, 1, 0, 0, 0]];
    for isa in Isa::available() {
        for layout in [Layout::Plain, Layout::Blocked] {
            let types = (laid_out(layout, &dims), laid_out(layout, &[1, 1, 3]));
            let stored = match layout {
                Layout::Plain => x.to_vec(),
                Layout::Blocked => block(&x, &dims),
            };
            let expected = [
                [-1.0, f32::INFINITY, f32::INFINITY],
                [f32::NAN, f32::INFINITY, f32::NAN],
            ];
            for (kind, expected) in KINDS.into_iter().zip(expected) {
                let kernel = Kernel::Pool(pool(kind, &window));
                let y = run_f32(&kernel, isa, &[(&types.0, &stored)], &types.1).unwrap();
                let y = match layout {
                    Layout::Plain => y,
                    Layout::Blocked => unblock(&y, &[1, 1, 3]),
                };
                assert_close(&y, &expected, 0.0, isa.name());
            }
        }
    }
}

#[test]
fn refuses_what_contradicts_itself() {
    let window = [2, 1, 1, 0, 0, 0];
    let refused = |pool: &Pool, x: &TensorType, y: &TensorType| {
        let kernel = Kernel::Pool(pool.clone());
        let (x, y) = (std::slice::from_ref(x), std::slice::from_ref(y));
        crate::bind(&kernel, x, y, &Target::detect()).is_err()
    };
    let good = pool(PoolKind::Max, &[window, window]);
    let (x, y) = (plain(&[1, 3, 4, 4]), plain(&[1, 3, 3, 3]));
    assert!(!refused(&good, &x, &y));
    assert!(refused(&good, &x, &TensorType::blocked(&[1, 3, 3, 3])));
    assert!(refused(&good, &x, &plain(&[1, 4, 3, 3])));
    assert!(refused(&good, &x, &plain(&[1, 3, 3])));
    assert!(refused(&good, &plain(&[1, 3]), &plain(&[1, 3])));
    assert!(refused(&pool(PoolKind::Max, &[window]), &x, &y));
    assert!(refused(
        &pool(PoolKind::Lp { p: 0 }, &[window, window]),
        &x,
        &y
    ));
    let zero = [0, 1, 1, 0, 0, 0];
    assert!(refused(&pool(PoolKind::Max, &[window, zero]), &x, &y));
    let bytes = (
        TensorType::plain(DatumType::U8, &[1, 3, 4, 4]),
        TensorType::plain(DatumType::U8, &[1, 3, 3, 3]),
    );
    assert!(!refused(&good, &bytes.0, &bytes.1));
    let mean = PoolKind::Average {
        count_padding: false,
    };
    assert!(refused(&pool(mean, &[window, window]), &bytes.0, &bytes.1));
    let four = plain(&[1, 1, 2, 2, 2, 2]);
    assert!(refused(
        &pool(PoolKind::Max, &[window; 4]),
        &four,
        &plain(&[1; 6])
    ));
}
