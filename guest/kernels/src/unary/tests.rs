//! Tests of functions of one element: kernels against plain loops, at odd sizes.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::UnaryOp;

use super::*;
use crate::TensorType;

/// Every function from f32 to f32, and how many units in the last place it may be wrong.
fn functions() -> Vec<(UnaryOp, f64)> {
    vec![
        (UnaryOp::Abs, 0.0),
        (UnaryOp::Neg, 0.0),
        (UnaryOp::Sign, 0.0),
        (UnaryOp::Ceil, 0.0),
        (UnaryOp::Floor, 0.0),
        (UnaryOp::Round, 0.0),
        (UnaryOp::Sqrt, 0.5),
        (UnaryOp::Reciprocal, 0.5),
        (UnaryOp::Rsqrt, 1.5),
        (UnaryOp::Exp, 2.0),
        (UnaryOp::Log, 2.0),
        (UnaryOp::Sin, 1.0),
        (UnaryOp::Cos, 1.0),
        (UnaryOp::Tan, 2.0),
        (UnaryOp::Asin, 2.0),
        (UnaryOp::Acos, 2.0),
        (UnaryOp::Atan, 2.0),
        (UnaryOp::Sinh, 2.0),
        (UnaryOp::Cosh, 2.0),
        (UnaryOp::Asinh, 1.0),
        (UnaryOp::Acosh, 1.0),
        (UnaryOp::Atanh, 1.0),
        (UnaryOp::Tanh, 5.0),
        (UnaryOp::Erf, 6.0),
        (UnaryOp::Sigmoid, 3.0),
        (UnaryOp::Silu, 4.0),
        (UnaryOp::Gelu, 5.0),
        (UnaryOp::GeluTanh, 4.0),
        (UnaryOp::HardSwish, 3.0),
        (
            UnaryOp::HardSigmoid {
                alpha: 0.2,
                beta: 0.5,
            },
            2.0,
        ),
        (UnaryOp::LeakyRelu { alpha: 0.01 }, 0.5),
        (UnaryOp::Elu { alpha: 1.5 }, 3.0),
        (
            UnaryOp::Selu {
                alpha: 1.6732632,
                gamma: 1.050701,
            },
            3.0,
        ),
        (UnaryOp::Celu { alpha: 0.7 }, 3.0),
        (UnaryOp::Softplus, 3.0),
        (UnaryOp::Softsign, 1.5),
        (UnaryOp::Mish, 5.0),
        (UnaryOp::ThresholdedRelu { alpha: 0.9 }, 0.0),
        (
            UnaryOp::Shrink {
                lambda: 0.5,
                bias: 0.25,
            },
            0.5,
        ),
        (
            UnaryOp::Clip {
                low: -1.5,
                high: 6.0,
            },
            0.0,
        ),
        (
            UnaryOp::Clip {
                low: 0.0,
                high: f32::INFINITY,
            },
            0.0,
        ),
    ]
}

/// Numbers of all signs and sizes, with what is special among them.
fn numbers() -> Vec<f32> {
    let mut numbers = vec![
        0.0,
        -0.0,
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MIN_POSITIVE,
        -f32::MIN_POSITIVE,
        f32::from_bits(1),
        -f32::from_bits(1),
        f32::MAX,
        f32::MIN,
        1.0,
        -1.0,
        88.722_83,
        88.722_84,
        -87.336_55,
        -103.972_08,
        -103.97,
        0.5,
        1.5,
        2.5,
        -0.5,
    ];
    let every = |step: usize| (0..=u32::MAX).step_by(step).map(f32::from_bits);
    numbers.extend(every(39_983).filter(|x| !x.is_nan()));
    // Most of what functions do, they do between -20 and 20.
    numbers.extend((-40_000..40_000).map(|i| i as f32 * 0.000_5 + 1.3e-5));
    numbers
}

/// Returns the number in whose last place errors are counted.
fn scale(op: UnaryOp, x: f32, exact: f64) -> f64 {
    let x = f64::from(x);
    match op {
        // The sum that `x` is multiplied with loses digits where it is close to 0.
        UnaryOp::Gelu | UnaryOp::GeluTanh | UnaryOp::HardSwish => x / 2.0,
        UnaryOp::HardSigmoid { .. } => 0.5,
        // What `x` is multiplied with may be subnormal.
        UnaryOp::Silu | UnaryOp::Mish => exact.abs().max(x.abs() * f64::from(f32::MIN_POSITIVE)),
        _ => exact,
    }
}

/// Returns how far a result is from the exact one, in units in the last place of `scale`.
fn error(result: f32, exact: f64, scale: f64) -> f64 {
    let rounded = exact as f32;
    if result.to_bits() == rounded.to_bits() || (result.is_nan() && rounded.is_nan()) {
        return 0.0;
    }
    if result.is_nan() || rounded.is_nan() || exact.is_infinite() {
        return f64::INFINITY;
    }
    // Infinity stands for the number that follows the largest one.
    let result = if result.is_infinite() {
        f64::from(f32::MAX) * (1.0 + f64::from(f32::EPSILON) / 2.0) * f64::from(result.signum())
    } else {
        f64::from(result)
    };
    let exponent = scale.abs().max(f64::from(f32::MIN_POSITIVE)).log2().floor();
    (result - exact).abs() / (exponent.min(127.0) - 23.0).exp2()
}

#[test]
fn functions_are_as_close_as_they_say() {
    let numbers = numbers();
    let mut failures = Vec::new();
    for (op, bound) in functions() {
        let exact: Vec<f64> = numbers
            .iter()
            .map(|x| reference::float(op, f64::from(*x)))
            .collect();
        for isa in Isa::available() {
            let mut results = numbers.clone();
            apply_in_place(op, isa, &mut results);
            let mut worst = (0.0, 0.0, 0.0, 0.0);
            for ((x, result), exact) in numbers.iter().zip(&results).zip(&exact) {
                let error = error(*result, *exact, scale(op, *x, *exact));
                if error > worst.0 {
                    worst = (error, *x, *result, *exact);
                }
            }
            let (error, x, result, exact) = worst;
            if error > bound {
                failures.push(format!(
                    "{op:?} of {x:e} by {}: expected {exact:e}, found {result:e}, {error} ulp off",
                    isa.name()
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn exponentials_reach_infinity_subnormal_numbers_and_zero() {
    let x = [
        88.722_84,
        88.722_83,
        -87.4,
        -103.9,
        -104.1,
        f32::INFINITY,
        f32::NEG_INFINITY,
    ];
    for isa in Isa::available() {
        let mut y = x;
        apply_in_place(UnaryOp::Exp, isa, &mut y);
        assert_eq!((y[0], y[5], y[6]), (f32::INFINITY, f32::INFINITY, 0.0));
        assert!(y[1].is_finite() && y[1] > 3.4e38, "{}", y[1]);
        assert!(y[2].is_subnormal() && y[3].is_subnormal() && y[4] == 0.0);
    }
}

#[test]
fn special_numbers_give_special_numbers() {
    let inf = f32::INFINITY;
    let cases = [
        (UnaryOp::Log, -0.0, -inf),
        (UnaryOp::Log, -1e-40, f32::NAN),
        (UnaryOp::Log, inf, inf),
        (UnaryOp::Tanh, -0.0, -0.0),
        (UnaryOp::Tanh, 1e-42, 1e-42),
        (UnaryOp::Erf, -0.0, -0.0),
        (UnaryOp::Sigmoid, -inf, 0.0),
        (UnaryOp::Sigmoid, inf, 1.0),
        (UnaryOp::Softplus, -inf, 0.0),
        (UnaryOp::Softplus, inf, inf),
        (UnaryOp::Gelu, inf, inf),
        (UnaryOp::GeluTanh, inf, inf),
        (UnaryOp::Mish, inf, inf),
        (UnaryOp::Elu { alpha: 2.0 }, -inf, -2.0),
        (UnaryOp::Reciprocal, -0.0, -inf),
        (UnaryOp::Rsqrt, inf, 0.0),
        (UnaryOp::Sqrt, -1.0, f32::NAN),
        (UnaryOp::Sin, -0.0, -0.0),
        (UnaryOp::Sin, inf, f32::NAN),
        (UnaryOp::Cos, 1e30, 1e30f32.cos()),
        (UnaryOp::Sign, -0.0, -0.0),
        (UnaryOp::Round, 2.5, 2.0),
        (UnaryOp::Round, -0.4, -0.0),
    ];
    for (op, x, expected) in cases {
        for isa in Isa::available() {
            let mut y = [x; 17];
            apply_in_place(op, isa, &mut y);
            for y in y {
                assert!(
                    y.to_bits() == expected.to_bits() || (y.is_nan() && expected.is_nan()),
                    "{op:?} of {x} by {}: expected {expected}, found {y}",
                    isa.name()
                );
            }
        }
    }
}

#[test]
fn not_a_number_stays_so() {
    for (op, _) in functions() {
        if matches!(op, UnaryOp::ThresholdedRelu { .. } | UnaryOp::Shrink { .. }) {
            continue;
        }
        for isa in Isa::available() {
            let mut y = [1.0, f32::NAN, 1.0];
            apply_in_place(op, isa, &mut y);
            let nan: Vec<bool> = y.iter().map(|y| y.is_nan()).collect();
            assert_eq!(nan, [false, true, false], "{op:?} by {}", isa.name());
        }
    }
}

#[test]
fn any_length_in_place_or_not() {
    for isa in Isa::available() {
        for len in (0..=33).chain([63, 64, 65, 1000]) {
            let x: Vec<f32> = (0..len).map(|i| i as f32 * 0.25 - 4.0).collect();
            let mut y = vec![7.0f32; len + 1];
            float::apply(
                UnaryOp::LeakyRelu { alpha: 0.5 },
                None,
                isa,
                &x,
                &mut y[..len],
            );
            let mut expected: Vec<f32> = x
                .iter()
                .map(|x| if *x > 0.0 { *x } else { x / 2.0 })
                .collect();
            expected.push(7.0);
            assert_eq!(y, expected, "{len} numbers by {}", isa.name());
            let mut in_place = x.clone();
            in_place.push(7.0);
            apply_in_place(UnaryOp::LeakyRelu { alpha: 0.5 }, isa, &mut in_place[..len]);
            assert_eq!(in_place, expected, "{len} in place by {}", isa.name());
        }
    }
}

/// Binds and runs a function.
fn run<T: bytemuck::Pod, U: bytemuck::Pod>(
    op: UnaryOp,
    from: DatumType,
    x: &[T],
    to: DatumType,
) -> Vec<U> {
    let dims = [x.len()];
    let kernel = crate::bind(
        &Kernel::Unary(op),
        &[TensorType::plain(from, &dims)],
        &[TensorType::plain(to, &dims)],
        &Target::detect(),
    )
    .unwrap();
    let mut y = vec![U::zeroed(); x.len()];
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut y);
    kernel
        .run(
            &[bytemuck::cast_slice(x)],
            &mut [bytes],
            &mut [],
            crate::Crew::default(),
        )
        .unwrap();
    y
}

#[test]
fn integers_wrap_around() {
    use DatumType::{I8, I32, I64, U8, U64};
    let x = [0i8, 1, -1, 127, -128];
    assert_eq!(
        run::<i8, i8>(UnaryOp::Abs, I8, &x, I8),
        [0, 1, 1, 127, -128]
    );
    assert_eq!(
        run::<i8, i8>(UnaryOp::Neg, I8, &x, I8),
        [0, -1, 1, -127, -128]
    );
    assert_eq!(run::<i8, i8>(UnaryOp::Sign, I8, &x, I8), [0, 1, -1, 1, -1]);
    assert_eq!(
        run::<i8, i8>(UnaryOp::BitwiseNot, I8, &x, I8),
        [-1, -2, 0, -128, 127]
    );
    let x = [0u64, 1, u64::MAX];
    assert_eq!(run::<u64, u64>(UnaryOp::Abs, U64, &x, U64), x);
    assert_eq!(run::<u64, u64>(UnaryOp::Sign, U64, &x, U64), [0, 1, 1]);
    assert_eq!(
        run::<u8, u8>(UnaryOp::BitwiseNot, U8, &[0, 15], U8),
        [255, 240]
    );
    assert_eq!(
        run::<i64, i64>(UnaryOp::Abs, I64, &[i64::MIN, -5], I64),
        [i64::MIN, 5]
    );
    let long: Vec<i32> = (-100..100).collect();
    let negated: Vec<i32> = (-100..100).map(|x: i32| -x).collect();
    assert_eq!(run::<i32, i32>(UnaryOp::Neg, I32, &long, I32), negated);
}

#[test]
fn truth_values_and_questions() {
    use DatumType::{Bool, F16, F32, F64};
    assert_eq!(
        run::<u8, u8>(UnaryOp::Not, Bool, &[0, 1, 2], Bool),
        [1, 0, 0]
    );
    let x = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.0];
    assert_eq!(run::<f32, u8>(UnaryOp::IsNan, F32, &x, Bool), [1, 0, 0, 0]);
    for (negative, positive) in [(false, false), (true, false), (false, true), (true, true)] {
        let is_inf = UnaryOp::IsInf { negative, positive };
        let expected = [0, u8::from(positive), u8::from(negative), 0];
        assert_eq!(run::<f32, u8>(is_inf, F32, &x, Bool), expected);
        assert_eq!(
            run::<f64, u8>(is_inf, F64, &x.map(f64::from), Bool),
            expected
        );
        assert_eq!(
            run::<half::f16, u8>(is_inf, F16, &x.map(half::f16::from_f32), Bool),
            expected
        );
    }
}

#[test]
fn other_floating_point_numbers() {
    use half::{bf16, f16};
    use tensorlet_tensor::DatumType::{Bf16, F16, F64};
    let x: Vec<f32> = (0..150).map(|i| i as f32 * 0.125 - 9.0).collect();
    let brief: Vec<f16> = x.iter().map(|x| f16::from_f32(*x)).collect();
    let expected: Vec<f16> = x.iter().map(|x| f16::from_f32(x.abs())).collect();
    assert_eq!(run::<f16, f16>(UnaryOp::Abs, F16, &brief, F16), expected);
    let brief: Vec<bf16> = x.iter().map(|x| bf16::from_f32(*x)).collect();
    let expected: Vec<bf16> = brief
        .iter()
        .map(|x| bf16::from_f32(x.to_f32().sqrt()))
        .collect();
    let found = run::<bf16, bf16>(UnaryOp::Sqrt, Bf16, &brief, Bf16);
    for (found, expected) in found.iter().zip(&expected) {
        assert!(found == expected || (found.is_nan() && expected.is_nan()));
    }
    let x = [-1.5f64, -0.0, 0.0, 2.0];
    assert_eq!(run::<f64, f64>(UnaryOp::Neg, F64, &x, F64), x.map(|x| -x));
    assert_eq!(
        run::<f64, f64>(UnaryOp::Sign, F64, &x, F64),
        [-1.0, -0.0, 0.0, 1.0]
    );
}

#[test]
fn types_that_do_not_fit_are_refused() {
    use DatumType::{Bool, F32, F64, I64};
    let plain = TensorType::plain;
    let f32 = || plain(F32, &[2, 3]);
    let cases: Vec<(UnaryOp, Vec<TensorType>, Vec<TensorType>, &str)> = vec![
        (UnaryOp::Exp, vec![], vec![f32()], "one input"),
        (UnaryOp::Exp, vec![f32(), f32()], vec![f32()], "one input"),
        (
            UnaryOp::Exp,
            vec![f32()],
            vec![plain(F32, &[3, 2])],
            "f32[3, 2]",
        ),
        (
            UnaryOp::Exp,
            vec![f32()],
            vec![plain(F64, &[2, 3])],
            "f64[2, 3]",
        ),
        (
            UnaryOp::Exp,
            vec![plain(F32, &[1, 2, 3])],
            vec![TensorType::blocked(&[1, 2, 3])],
            "blocked",
        ),
        (UnaryOp::IsNan, vec![f32()], vec![f32()], "bool"),
        (
            UnaryOp::IsNan,
            vec![plain(I64, &[2])],
            vec![plain(Bool, &[2])],
            "found i64",
        ),
        (UnaryOp::Not, vec![f32()], vec![f32()], "f32 to f32"),
        (
            UnaryOp::Exp,
            vec![plain(I64, &[2])],
            vec![plain(I64, &[2])],
            "found i64",
        ),
        (
            UnaryOp::Exp,
            vec![plain(F64, &[2])],
            vec![plain(F64, &[2])],
            "found f64",
        ),
        (
            UnaryOp::Celu { alpha: 0.0 },
            vec![f32()],
            vec![f32()],
            "alpha",
        ),
    ];
    for (op, inputs, outputs, word) in cases {
        let kernel = Kernel::Unary(op);
        let error = crate::bind(&kernel, &inputs, &outputs, &Target::detect()).err();
        let error = error.expect(word).to_string();
        assert!(error.contains(word), "{op:?}: {error}");
    }
}

#[test]
fn a_blocked_tensor_is_computed_with_its_padding() {
    let types = [TensorType::blocked(&[1, 3, 2])];
    let kernel = crate::bind(
        &Kernel::Unary(UnaryOp::Neg),
        &types,
        &types,
        &Target::detect(),
    )
    .unwrap();
    let x: Vec<f32> = (0..32u8).map(f32::from).collect();
    let mut y = vec![0f32; 32];
    kernel
        .run(
            &[bytemuck::cast_slice(&x)],
            &mut [bytemuck::cast_slice_mut(&mut y)],
            &mut [],
            crate::Crew::default(),
        )
        .unwrap();
    assert_eq!(y, x.iter().map(|x| -x).collect::<Vec<_>>());
}

#[test]
fn exponentials_of_negative_numbers_are_as_close_as_they_say() {
    struct Worst;

    impl crate::isa::Vectorised for Worst {
        type Output = f64;

        #[inline(always)]
        fn run<S: crate::simd::Simd>(self, simd: S) -> f64 {
            let mut worst = 0f64;
            for i in 0..200_000 {
                let x = i as f32 * -5e-4;
                let y = simd.max_lane(exp_of_negative(simd, simd.splat(x)));
                let exact = f64::from(x).exp();
                if x < -87.0 {
                    assert_eq!(y, 0.0, "{x}");
                } else {
                    worst = worst.max(error(y, exact, exact));
                }
            }
            for x in [f32::NEG_INFINITY, -1e30, -87.1] {
                assert_eq!(simd.max_lane(exp_of_negative(simd, simd.splat(x))), 0.0);
            }
            let nan = exp_of_negative(simd, simd.splat(f32::NAN));
            assert!(simd.sum(nan).is_nan());
            worst
        }
    }

    for isa in Isa::available() {
        let worst = isa.run(Worst);
        assert!(worst < 2.0, "{worst} by {}", isa.name());
    }
}
