//! Tests of softmax: kernels against plain loops, at odd sizes.

use tensorlet_plan::Kernel;
use tensorlet_tensor::DatumType;

use crate::bind::bind;
use crate::isa::Isa;
use crate::run::Target;
use crate::tensor_type::TensorType;
use crate::trial::{Samples, assert_close, laid_out, plain, run_f32};

fn reference(x: &[f32], dims: &[usize], axis: usize, log: bool) -> Vec<f32> {
    let inner: usize = dims[axis + 1..].iter().product();
    let len = dims[axis];
    let mut y = vec![0.0; x.len()];
    for i in 0..x.len() {
        let (outer, column) = (i / inner / len, i % inner);
        let row = (0..len).map(|j| f64::from(x[(outer * len + j) * inner + column]));
        let max = row.clone().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.map(|x| (x - max).exp()).sum();
        let exact = f64::from(x[i]) - max;
        y[i] = if log {
            exact - sum.ln()
        } else {
            exact.exp() / sum
        } as f32;
    }
    y
}

fn check(dims: &[usize], axis: usize, spread: f32) {
    let mut samples = Samples::new(axis as u32 + 7);
    let len = dims.iter().product();
    let x: Vec<f32> = samples.numbers(len).iter().map(|x| x * spread).collect();
    for isa in Isa::available() {
        for log in [false, true] {
            let kernel = Kernel::Softmax {
                axis: axis as u32,
                log,
            };
            let y = run_f32(&kernel, isa, &[(&plain(dims), &x)], &plain(dims)).unwrap();
            let expected = reference(&x, dims, axis, log);
            assert_close(
                &y,
                &expected,
                3e-6,
                &format!("{isa:?} {dims:?} {axis} {log}"),
            );
        }
    }
}

#[test]
fn matches_reference_along_any_axis() {
    for len in (0..=35).chain([64, 1000]) {
        check(&[3, len], 1, 5.0);
    }
    for inner in (1..=33).chain([100]) {
        check(&[2, 5, inner], 1, 20.0);
        check(&[4, inner], 0, 20.0);
    }
    check(&[7], 0, 1.0);
    check(&[2, 3, 4, 5], 2, 1.0);
}

#[test]
fn large_numbers_do_not_overflow() {
    check(&[2, 19], 1, 1e38);
    check(&[19, 2], 0, 1e38);
}

#[test]
fn what_is_not_finite_is_as_arithmetic_has_it() {
    let infinity = f32::INFINITY;
    for isa in Isa::available() {
        let softmax = |x: &[f32]| {
            let kernel = Kernel::Softmax {
                axis: 0,
                log: false,
            };
            let dims = plain(&[x.len()]);
            run_f32(&kernel, isa, &[(&dims, x)], &dims).unwrap()
        };
        assert_eq!(softmax(&[-infinity, 0.0, -infinity]), [0.0, 1.0, 0.0]);
        assert!(
            softmax(&[-infinity; 3]).iter().all(|y| y.is_nan()),
            "{isa:?}"
        );
        for len in [3, 40] {
            for at in [0, len - 1] {
                let mut x = vec![0.5; len];
                x[at] = f32::NAN;
                let y = softmax(&x);
                assert!(y.iter().all(|y| y.is_nan()), "{isa:?}: {y:?}");
            }
        }
    }
}

#[test]
fn refuses_what_it_was_not_made_for() {
    let wrong = |axis, x: TensorType, y: TensorType| {
        let kernel = Kernel::Softmax { axis, log: false };
        bind(&kernel, &[x], &[y], &Target::of(Isa::SCALAR))
            .err()
            .unwrap()
    };
    wrong(2, plain(&[2, 3]), plain(&[2, 3]));
    wrong(0, plain(&[2, 3]), plain(&[3, 2]));
    let f64s = TensorType::plain(DatumType::F64, &[2]);
    wrong(0, f64s.clone(), f64s);
    let blocked = laid_out(tensorlet_plan::Layout::Blocked, &[1, 2, 3]);
    wrong(1, blocked.clone(), blocked);
}
