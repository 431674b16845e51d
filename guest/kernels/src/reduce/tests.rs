//! Tests of reductions: kernels against plain loops, at odd sizes.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{Reduce, ReduceOp};
use tensorlet_tensor::DatumType;

use crate::trial::{Samples, assert_close, block, plain, run_bytes, run_f32, unblock};
use crate::{Isa, Target, TensorType};

const OPS: [ReduceOp; 10] = [
    ReduceOp::Sum,
    ReduceOp::Mean,
    ReduceOp::Max,
    ReduceOp::Min,
    ReduceOp::Product,
    ReduceOp::L1,
    ReduceOp::L2,
    ReduceOp::SumSquare,
    ReduceOp::LogSum,
    ReduceOp::LogSumExp,
];

fn kernel(op: ReduceOp, axes: &[u32]) -> Kernel {
    Kernel::Reduce(Reduce {
        op,
        axes: axes.to_vec(),
    })
}

/// Reduces numbers by the definition.
fn reference(op: ReduceOp, numbers: &[f64]) -> f64 {
    let sum = |function: fn(f64) -> f64| numbers.iter().map(|x| function(*x)).sum::<f64>();
    let is_nan = numbers.iter().any(|x| x.is_nan());
    let max = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match op {
        ReduceOp::Sum => sum(|x| x),
        ReduceOp::Mean => sum(|x| x) / numbers.len() as f64,
        ReduceOp::Max | ReduceOp::Min if is_nan => f64::NAN,
        ReduceOp::Max => max,
        ReduceOp::Min => numbers.iter().copied().fold(f64::INFINITY, f64::min),
        ReduceOp::Product => numbers.iter().product(),
        ReduceOp::L1 => sum(f64::abs),
        ReduceOp::L2 => sum(|x| x * x).sqrt(),
        ReduceOp::SumSquare => sum(|x| x * x),
        ReduceOp::LogSum => sum(|x| x).ln(),
        ReduceOp::LogSumExp => sum(f64::exp).ln(),
    }
}

/// Reduces axes of a tensor by the definition.
fn reduced(op: ReduceOp, axes: &[u32], dims: &[usize], x: &[f32]) -> Vec<f32> {
    let kept: Vec<usize> = (0..dims.len())
        .map(|axis| {
            if axes.contains(&(axis as u32)) {
                1
            } else {
                dims[axis]
            }
        })
        .collect();
    let mut groups = vec![Vec::new(); kept.iter().product()];
    for (flat, number) in x.iter().enumerate() {
        let (mut rest, mut at, mut stride) = (flat, 0, 1);
        for (dim, kept) in dims.iter().zip(&kept).rev() {
            at += rest % dim % kept * stride;
            rest /= dim;
            stride *= kept;
        }
        groups[at].push(f64::from(*number));
    }
    groups
        .iter()
        .map(|group| reference(op, group) as f32)
        .collect()
}

fn kept_dims(axes: &[u32], dims: &[usize], as_ones: bool) -> Vec<usize> {
    let mut kept = Vec::new();
    for (axis, dim) in dims.iter().enumerate() {
        match axes.contains(&(axis as u32)) {
            true if as_ones => kept.push(1),
            true => {}
            false => kept.push(*dim),
        }
    }
    kept
}

#[test]
fn any_axes_match_the_reference() {
    let cases: [(&[usize], &[u32]); 20] = [
        (&[], &[]),
        (&[7], &[]),
        (&[7], &[0]),
        (&[1], &[0]),
        (&[33], &[0]),
        (&[64], &[0]),
        (&[131], &[0]),
        (&[2500], &[0]),
        (&[3, 5], &[1]),
        (&[5, 3], &[0]),
        (&[1030, 3], &[0]),
        (&[9, 35], &[0]),
        (&[2, 3, 4], &[1]),
        (&[2, 3, 17], &[0, 2]),
        (&[2, 3, 4, 19], &[0, 2]),
        (&[2, 3, 4, 5], &[1, 3]),
        (&[2, 3, 4, 5], &[0, 1, 2, 3]),
        (&[2, 1, 4, 1], &[1, 3]),
        (&[3, 2, 2, 3, 2], &[0, 2, 4]),
        (&[0, 3], &[1]),
    ];
    let mut samples = Samples::new(1);
    for (dims, axes) in cases {
        let x: Vec<f32> = samples
            .numbers(dims.iter().product())
            .iter()
            .map(|x| x * 0.25 + 1.0)
            .collect();
        for op in OPS {
            let expected = reduced(op, axes, dims, &x);
            for isa in Isa::available() {
                for as_ones in [false, true] {
                    let output = plain(&kept_dims(axes, dims, as_ones));
                    let y = run_f32(&kernel(op, axes), isa, &[(&plain(dims), &x)], &output);
                    let what = format!("{op:?} of {dims:?} over {axes:?} by {}", isa.name());
                    assert_close(&y.unwrap(), &expected, 2e-6, &what);
                }
            }
        }
    }
}

#[test]
fn blocks_of_channels_are_reduced_over_space() {
    let mut samples = Samples::new(2);
    for dims in [
        vec![2, 20, 7],
        vec![1, 16, 7, 7],
        vec![2, 3, 30, 21],
        vec![1, 33, 2, 3, 2],
    ] {
        let axes: Vec<u32> = (2..dims.len() as u32).collect();
        let x: Vec<f32> = samples
            .numbers(dims.iter().product())
            .iter()
            .map(|x| x + 2.0)
            .collect();
        let output = kept_dims(&axes, &dims, true);
        for op in OPS {
            if op == ReduceOp::Product {
                continue;
            }
            let expected = reduced(op, &axes, &dims, &x);
            for isa in Isa::available() {
                let blocked = block(&x, &dims);
                let y = run_f32(
                    &kernel(op, &axes),
                    isa,
                    &[(&TensorType::blocked(&dims), &blocked)],
                    &TensorType::blocked(&output),
                )
                .unwrap();
                let what = format!("{op:?} of {dims:?} by {}", isa.name());
                assert_close(&unblock(&y, &output), &expected, 2e-6, &what);
            }
        }
    }
}

#[test]
fn nothing_is_reduced_to_what_changes_nothing() {
    let inf = f32::INFINITY;
    for (op, expected) in [
        (ReduceOp::Sum, 0.0),
        (ReduceOp::Mean, f32::NAN),
        (ReduceOp::Max, -inf),
        (ReduceOp::Min, inf),
        (ReduceOp::Product, 1.0),
        (ReduceOp::L1, 0.0),
        (ReduceOp::L2, 0.0),
        (ReduceOp::SumSquare, 0.0),
        (ReduceOp::LogSum, -inf),
        (ReduceOp::LogSumExp, -inf),
    ] {
        let cases: [(&[usize], &[u32], &[usize]); 5] = [
            (&[0], &[0], &[]),
            (&[2, 0], &[1], &[2]),
            (&[0, 35], &[0], &[35]),
            (&[0, 3, 4], &[0, 2], &[3]),
            (&[3, 0], &[0], &[0]),
        ];
        for (dims, axes, output) in cases {
            for isa in Isa::available() {
                let y = run_f32(
                    &kernel(op, axes),
                    isa,
                    &[(&plain(dims), &[])],
                    &plain(output),
                );
                let expected = vec![expected; output.iter().product()];
                assert_close(&y.unwrap(), &expected, 0.0, &format!("{op:?} of {dims:?}"));
            }
        }
    }
}

#[test]
fn special_numbers_are_as_the_definition_has_them() {
    let inf = f32::INFINITY;
    let sets = [
        vec![1.0, f32::NAN, 3.0],
        vec![inf, 1.0, 2.0],
        vec![-inf, 1.0, 2.0],
        vec![-inf, -inf],
        vec![inf, -inf],
        vec![1e-40, 2e-40],
        vec![200.0, 201.0, -500.0],
        vec![-0.0, 0.0],
    ];
    for set in sets {
        for position in 0..40 {
            // Along rows, and along columns beside one another.
            let mut x = vec![set[0]; 40];
            for (i, number) in set.iter().enumerate() {
                x[(position + i) % 40] = *number;
            }
            let columns: Vec<f32> = x.iter().flat_map(|x| [1.0, *x, 2.0]).collect();
            for op in [
                ReduceOp::Sum,
                ReduceOp::Max,
                ReduceOp::Min,
                ReduceOp::LogSumExp,
            ] {
                let wide: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
                let max = wide.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let expected = match op {
                    ReduceOp::LogSumExp if max.is_finite() => {
                        let shifted: Vec<f64> = wide.iter().map(|x| x - max).collect();
                        max + reference(op, &shifted)
                    }
                    _ => reference(op, &wide),
                };
                for isa in Isa::available() {
                    let what = format!("{op:?} of {set:?} by {}", isa.name());
                    let input = (&plain(&[40]), x.as_slice());
                    let y = run_f32(&kernel(op, &[0]), isa, &[input], &plain(&[]));
                    assert_close(&y.unwrap(), &[expected as f32], 2e-6, &what);
                    let input = (&plain(&[40, 3]), columns.as_slice());
                    let y = run_f32(&kernel(op, &[0]), isa, &[input], &plain(&[3]));
                    assert_close(&y.unwrap()[1..2], &[expected as f32], 2e-6, &what);
                }
            }
        }
    }
}

#[test]
fn long_sums_keep_their_digits() {
    let x = vec![0.1f32; 1 << 20];
    for isa in Isa::available() {
        for (dims, output) in [(vec![1 << 20], vec![]), (vec![1 << 18, 4], vec![4])] {
            let expected = f64::from(0.1f32) * (1 << 20) as f64
                / output.iter().product::<usize>().max(1) as f64;
            let y = run_f32(
                &kernel(ReduceOp::Sum, &[0]),
                isa,
                &[(&plain(&dims), &x)],
                &plain(&output),
            )
            .unwrap();
            for y in y {
                let error = (f64::from(y) - expected).abs() / expected;
                assert!(error < 1e-5, "{error} by {}", isa.name());
            }
        }
    }
}

fn integers<T: bytemuck::Pod>(
    op: ReduceOp,
    datum_type: DatumType,
    axes: &[u32],
    dims: &[usize],
    x: &[T],
) -> Vec<T> {
    let output = TensorType::plain(datum_type, &kept_dims(axes, dims, false));
    let input = TensorType::plain(datum_type, dims);
    let y = run_bytes(
        &kernel(op, axes),
        Isa::detect(),
        &[(&input, bytemuck::cast_slice(x))],
        &[output],
    );
    bytemuck::pod_collect_to_vec(&y.unwrap()[0])
}

#[test]
fn integers_are_reduced_in_their_own_type() {
    use DatumType::{Bool, I8, I32, I64, U8};
    use ReduceOp::{Max, Min, Product, Sum};
    let x: Vec<i64> = (0..200).collect();
    assert_eq!(integers(Sum, I64, &[0], &[200], &x), [19900]);
    assert_eq!(integers(Sum, I64, &[0], &[2, 100], &x)[99], 99 + 199);
    assert_eq!(integers(Max, I64, &[1], &[2, 100], &x), [99, 199]);
    assert_eq!(
        integers(Sum, I64, &[0, 2], &[2, 50, 2], &x)[1],
        2 + 3 + 102 + 103
    );
    let x = [i32::MAX, 1, -3, 2];
    assert_eq!(integers(Sum, I32, &[1], &[2, 2], &x), [i32::MIN, -1]);
    assert_eq!(
        integers(Product, I32, &[0], &[2, 2], &x),
        [i32::MAX.wrapping_mul(-3), 2]
    );
    assert_eq!(integers(Min, I8, &[0], &[3], &[1i8, -128, 4]), [-128]);
    assert_eq!(integers(Max, U8, &[0], &[3], &[1u8, 200, 4]), [200]);
    assert_eq!(integers(Max, Bool, &[1], &[2, 2], &[0u8, 1, 0, 0]), [1, 0]);
    assert_eq!(integers(Min, Bool, &[1], &[2, 2], &[1u8, 3, 0, 1]), [1, 0]);
}

#[test]
fn no_integers_are_reduced_to_what_changes_nothing() {
    use DatumType::{Bool, I32, I64, U8, U32};
    use ReduceOp::{Max, Min, Product, Sum};
    assert_eq!(integers::<i64>(Max, I64, &[0], &[0], &[]), [i64::MIN]);
    assert_eq!(integers::<i32>(Max, I32, &[0], &[0], &[]), [i32::MIN]);
    assert_eq!(integers::<i32>(Min, I32, &[0], &[0], &[]), [i32::MAX]);
    assert_eq!(integers::<u32>(Min, U32, &[0], &[0], &[]), [u32::MAX]);
    assert_eq!(integers::<u8>(Max, U8, &[0], &[0, 2], &[]), [0, 0]);
    assert_eq!(integers::<u8>(Min, Bool, &[0], &[0], &[]), [1]);
    assert_eq!(integers::<i64>(Sum, I64, &[0], &[0], &[]), [0]);
    assert_eq!(integers::<i64>(Product, I64, &[0], &[0], &[]), [1]);
}

#[test]
fn types_that_do_not_fit_are_refused() {
    let of = TensorType::plain;
    let f32 = plain(&[2, 3]);
    let cases = [
        (ReduceOp::Sum, vec![], vec![plain(&[2])], "one input"),
        (ReduceOp::Sum, vec![f32.clone()], vec![], "one output"),
        (
            ReduceOp::Sum,
            vec![f32.clone()],
            vec![of(DatumType::I64, &[2])],
            "Sum",
        ),
        (
            ReduceOp::Sum,
            vec![f32.clone()],
            vec![plain(&[3])],
            "axes [1]",
        ),
        (
            ReduceOp::Mean,
            vec![of(DatumType::I64, &[2, 3])],
            vec![of(DatumType::I64, &[2])],
            "Mean",
        ),
        (
            ReduceOp::Max,
            vec![of(DatumType::U64, &[2, 3])],
            vec![of(DatumType::U64, &[2])],
            "Max",
        ),
        (
            ReduceOp::Sum,
            vec![of(DatumType::Bool, &[2, 3])],
            vec![of(DatumType::Bool, &[2])],
            "bool",
        ),
    ];
    for (op, inputs, outputs, word) in cases {
        let bound = crate::bind(&kernel(op, &[1]), &inputs, &outputs, &Target::detect());
        let error = bound.err().expect(word).to_string();
        assert!(error.contains(word), "{error}");
    }
}
