//! Tests of normalisations: kernels against plain loops, at odd sizes.

use tensorlet_plan::kernel::{Normalise, NormaliseKind};
use tensorlet_plan::{Kernel, Layout};

use crate::bind::bind;
use crate::isa::Isa;
use crate::run::Target;
use crate::tensor_type::TensorType;
use crate::trial::{Samples, assert_close, laid_out, plain, run_f32};

/// The numbers that share a mean with each number, and which scale and bias it has.
fn partners(kind: NormaliseKind, dims: &[usize], i: usize) -> (Vec<usize>, usize) {
    let len: usize = dims.iter().product();
    match kind {
        NormaliseKind::Layer { axis } | NormaliseKind::RootMeanSquare { axis } => {
            let row: usize = dims[axis as usize..].iter().product();
            ((i / row * row..(i / row + 1) * row).collect(), i % row)
        }
        NormaliseKind::Axis { axis } => {
            let inner: usize = dims[axis as usize + 1..].iter().product();
            let at = |j: usize| (j / inner / dims[axis as usize], j % inner);
            let all = (0..len).filter(|&j| at(j) == at(i)).collect();
            (all, i / inner % dims[axis as usize])
        }
        NormaliseKind::Group { groups } => {
            let spatial: usize = dims[2..].iter().product();
            let row = dims[1] * spatial / groups as usize;
            (
                (i / row * row..(i / row + 1) * row).collect(),
                i / spatial % dims[1],
            )
        }
    }
}

fn reference(
    kind: NormaliseKind,
    dims: &[usize],
    x: &[f32],
    scale: &[f32],
    bias: &[f32],
) -> Vec<f32> {
    let each = (0..x.len()).map(|i| {
        let (partners, factor) = partners(kind, dims, i);
        let count = partners.len() as f64;
        let centred = !matches!(kind, NormaliseKind::RootMeanSquare { .. });
        let sum: f64 = partners.iter().map(|&j| f64::from(x[j])).sum();
        let mean = if centred { sum / count } else { 0.0 };
        let squares: f64 = partners
            .iter()
            .map(|&j| (f64::from(x[j]) - mean).powi(2))
            .sum();
        let y = (f64::from(x[i]) - mean) / (squares / count + 1e-5).sqrt();
        let scale = scale.get(factor).map_or(1.0, |&x| f64::from(x));
        (y * scale + bias.get(factor).map_or(0.0, |&x| f64::from(x))) as f32
    });
    each.collect()
}

fn check(kind: NormaliseKind, dims: &[usize], factors: usize, offset: f32) {
    let mut samples = Samples::new(factors as u32);
    let x: Vec<f32> = samples
        .numbers(dims.iter().product())
        .iter()
        .map(|x| x + offset)
        .collect();
    let (scales, biases) = (samples.numbers(factors), samples.numbers(factors));
    for isa in Isa::available() {
        for (scale, bias) in [(false, false), (true, false), (false, true), (true, true)] {
            let kernel = Kernel::Normalise(Normalise {
                kind,
                epsilon: 1e-5,
                scale,
                bias,
            });
            let (x_type, factor_type) = (plain(dims), plain(&[factors]));
            let mut inputs: Vec<(&TensorType, &[f32])> = vec![(&x_type, &x)];
            inputs.extend(scale.then_some((&factor_type, &scales[..])));
            inputs.extend(bias.then_some((&factor_type, &biases[..])));
            let y = run_f32(&kernel, isa, &inputs, &x_type).unwrap();
            let scales = if scale { &scales[..] } else { &[] };
            let biases = if bias { &biases[..] } else { &[] };
            let expected = reference(kind, dims, &x, scales, biases);
            assert_close(&y, &expected, 1e-4, &format!("{isa:?} {kind:?} {dims:?}"));
        }
    }
}

#[test]
fn layers_match_the_reference() {
    for len in (1..=35).chain([64, 129, 384]) {
        check(NormaliseKind::Layer { axis: 1 }, &[3, len], len, 0.0);
        check(
            NormaliseKind::RootMeanSquare { axis: 1 },
            &[3, len],
            len,
            0.5,
        );
    }
    check(NormaliseKind::Layer { axis: 1 }, &[2, 3, 5], 15, 0.0);
    check(NormaliseKind::Layer { axis: 0 }, &[40], 40, 0.0);
}

#[test]
fn axes_in_the_middle_match_the_reference() {
    for inner in (1..=33).chain([100]) {
        check(NormaliseKind::Axis { axis: 1 }, &[2, 7, inner], 7, 0.0);
    }
    check(NormaliseKind::Axis { axis: 0 }, &[9, 3], 9, 0.0);
}

#[test]
fn groups_match_the_reference() {
    for spatial in [1, 5, 17, 64] {
        for groups in [1, 2, 6] {
            check(NormaliseKind::Group { groups }, &[2, 6, spatial], 6, 0.0);
        }
    }
    check(NormaliseKind::Group { groups: 2 }, &[1, 4, 3, 5], 4, 0.0);
}

#[test]
fn a_large_mean_costs_no_digits() {
    check(NormaliseKind::Layer { axis: 1 }, &[2, 100], 100, 100.0);
    check(NormaliseKind::Axis { axis: 1 }, &[2, 100, 3], 100, 100.0);
}

#[test]
fn nothing_gives_nothing() {
    check(NormaliseKind::Layer { axis: 1 }, &[0, 5], 5, 0.0);
    check(NormaliseKind::Layer { axis: 1 }, &[5, 0], 0, 0.0);
    check(NormaliseKind::Axis { axis: 1 }, &[2, 0, 3], 0, 0.0);
    check(NormaliseKind::Group { groups: 2 }, &[1, 4, 0], 4, 0.0);
    let most = u32::MAX as usize;
    check(
        NormaliseKind::Layer { axis: 1 },
        &[0, most, most, most],
        1,
        0.0,
    );
}

#[test]
fn lrn_sums_neighbouring_channels() {
    for spatial in [1, 3, 16, 35] {
        lrn_matches_the_reference(spatial);
    }
}

fn lrn_matches_the_reference(spatial: usize) {
    let dims = [2, 7, spatial];
    let x = Samples::new(3).numbers(14 * spatial);
    for size in [1u32, 2, 3, 5, 20] {
        let kernel = Kernel::Lrn {
            size,
            alpha: 0.3,
            beta: 0.75,
            bias: 2.0,
        };
        let expected: Vec<f32> = (0..x.len())
            .map(|i| {
                let channel = (i / spatial % 7) as i64;
                let size = i64::from(size);
                let near = channel - (size - 1) / 2..=channel + size / 2;
                let near = near
                    .filter(|c| (0..7).contains(c))
                    .map(|c| x[i + c as usize * spatial - channel as usize * spatial]);
                let sum: f32 = near.map(|x| x * x).sum();
                x[i] / (2.0 + 0.3 / size as f32 * sum).powf(0.75)
            })
            .collect();
        for isa in Isa::available() {
            let y = run_f32(&kernel, isa, &[(&plain(&dims), &x)], &plain(&dims)).unwrap();
            assert_close(
                &y,
                &expected,
                1e-5,
                &format!("size {size} by {}", isa.name()),
            );
        }
    }
}

#[test]
fn refuses_what_it_was_not_made_for() {
    let wrong = |kind, inputs: &[TensorType], y: TensorType| {
        let kernel = Kernel::Normalise(Normalise {
            kind,
            epsilon: 0.0,
            scale: true,
            bias: false,
        });
        bind(&kernel, inputs, &[y], &Target::of(Isa::SCALAR))
            .err()
            .unwrap()
    };
    let x = || plain(&[2, 6, 5]);
    wrong(NormaliseKind::Layer { axis: 3 }, &[x(), plain(&[1])], x());
    wrong(NormaliseKind::Axis { axis: 3 }, &[x(), plain(&[5])], x());
    wrong(NormaliseKind::Layer { axis: 2 }, &[x(), plain(&[6])], x());
    wrong(NormaliseKind::Layer { axis: 2 }, &[x()], x());
    wrong(
        NormaliseKind::Layer { axis: 2 },
        &[x(), plain(&[5])],
        plain(&[2, 6]),
    );
    wrong(NormaliseKind::Group { groups: 4 }, &[x(), plain(&[6])], x());
    wrong(NormaliseKind::Group { groups: 0 }, &[x(), plain(&[6])], x());
    let blocked = laid_out(Layout::Blocked, &[2, 6, 5]);
    wrong(
        NormaliseKind::Layer { axis: 2 },
        &[blocked.clone(), plain(&[5])],
        blocked,
    );
}
