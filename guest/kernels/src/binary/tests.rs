//! Tests of functions of two elements: kernels against plain loops, at odd sizes.

use bytemuck::Pod;
use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::BinaryOp;
use tensorlet_tensor::DatumType;

use crate::{Isa, RunError, Target, TensorType};

fn try_run<T: Pod, U: Pod>(
    isa: Isa,
    op: BinaryOp,
    (a_type, a): (&TensorType, &[T]),
    (b_type, b): (&TensorType, &[T]),
    output: &TensorType,
) -> Result<Vec<U>, RunError> {
    let kernel = crate::bind(
        &Kernel::Binary(op),
        &[a_type.clone(), b_type.clone()],
        std::slice::from_ref(output),
        &Target::of(isa),
    )
    .unwrap();
    let mut y = vec![U::zeroed(); output.stored_len().unwrap()];
    let inputs = [bytemuck::cast_slice(a), bytemuck::cast_slice(b)];
    kernel.run(
        &inputs,
        &mut [bytemuck::cast_slice_mut(&mut y)],
        &mut [],
        crate::Crew::default(),
    )?;
    Ok(y)
}

/// Runs an operation on two vectors.
fn run<T: Pod, U: Pod>(op: BinaryOp, from: DatumType, a: &[T], b: &[T], to: DatumType) -> Vec<U> {
    let plain = |datum_type| TensorType::plain(datum_type, &[a.len()]);
    try_run(
        Isa::detect(),
        op,
        (&plain(from), a),
        (&plain(from), b),
        &plain(to),
    )
    .unwrap()
}

/// The operations on f32 by their definitions.
fn reference(op: BinaryOp, a: f32, b: f32) -> f32 {
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Pow => f64::from(a).powf(f64::from(b)) as f32,
        BinaryOp::Max | BinaryOp::Min if a.is_nan() || b.is_nan() => f32::NAN,
        BinaryOp::Max => a.max(b),
        BinaryOp::Min => a.min(b),
        BinaryOp::Mod => a - b * (a / b).floor(),
        BinaryOp::Fmod => a % b,
        BinaryOp::PRelu if a > 0.0 => a,
        BinaryOp::PRelu => a * b,
        _ => panic!("{op:?} is not to f32"),
    }
}

const TO_F32: [BinaryOp; 10] = [
    BinaryOp::Add,
    BinaryOp::Sub,
    BinaryOp::Mul,
    BinaryOp::Div,
    BinaryOp::Pow,
    BinaryOp::Max,
    BinaryOp::Min,
    BinaryOp::Mod,
    BinaryOp::Fmod,
    BinaryOp::PRelu,
];

/// Numbers that are exact in all these operations, from -4 to 4.
fn numbers(len: usize, seed: usize) -> Vec<f32> {
    let number = |i: usize| ((i * 7 + seed * 5) % 33) as f32 * 0.25 - 4.0;
    (0..len).map(number).collect()
}

fn assert_same(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len());
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            found == expected || (found.is_nan() && expected.is_nan()),
            "{what} at {i}: expected {expected}, found {found}"
        );
    }
}

/// Computes an operation by the definition of broadcasting.
fn broadcast(
    op: BinaryOp,
    a: (&[usize], &[f32]),
    b: (&[usize], &[f32]),
    dims: &[usize],
) -> Vec<f32> {
    let at = |(own, numbers): (&[usize], &[f32]), index: &[usize]| {
        let index = &index[dims.len() - own.len()..];
        let offset = own
            .iter()
            .zip(index)
            .fold(0, |offset, (dim, i)| offset * dim + i % dim);
        numbers[offset]
    };
    (0..dims.iter().product())
        .map(|flat: usize| {
            let mut rest = flat;
            let mut index = vec![0; dims.len()];
            for (i, dim) in index.iter_mut().zip(dims).rev() {
                *i = rest % dim;
                rest /= dim;
            }
            reference(op, at(a, &index), at(b, &index))
        })
        .collect()
}

#[test]
fn operands_of_any_dims_are_broadcast() {
    let cases: [(&[usize], &[usize], &[usize]); 18] = [
        (&[], &[], &[]),
        (&[1], &[1], &[1]),
        (&[5], &[5], &[5]),
        (&[33], &[1], &[33]),
        (&[1], &[33], &[33]),
        (&[2, 3, 35], &[2, 3, 35], &[2, 3, 35]),
        (&[3, 17], &[17], &[3, 17]),
        (&[3, 17], &[3, 1], &[3, 17]),
        (&[3, 1], &[1, 17], &[3, 17]),
        (&[2, 3, 4, 5], &[3, 1, 1], &[2, 3, 4, 5]),
        (&[3, 1, 1], &[2, 3, 4, 5], &[2, 3, 4, 5]),
        (&[2, 1, 3, 1], &[4, 1, 16], &[2, 4, 3, 16]),
        (&[2, 1, 3, 1, 5], &[3, 1, 2, 1], &[2, 3, 3, 2, 5]),
        (&[0, 3], &[1, 3], &[0, 3]),
        // Short rows that repeat.
        (&[600, 3], &[3], &[600, 3]),
        (&[3], &[601, 3], &[601, 3]),
        (&[2, 300, 5], &[2, 1, 5], &[2, 300, 5]),
        (&[64, 16], &[16], &[64, 16]),
    ];
    for (a_dims, b_dims, dims) in cases {
        let a = numbers(a_dims.iter().product(), 1);
        let b = numbers(b_dims.iter().product(), 2);
        let plain = |dims| TensorType::plain(DatumType::F32, dims);
        for op in TO_F32 {
            let expected = broadcast(op, (a_dims, &a), (b_dims, &b), dims);
            for isa in Isa::available() {
                let y: Vec<f32> = try_run(
                    isa,
                    op,
                    (&plain(a_dims), &a),
                    (&plain(b_dims), &b),
                    &plain(dims),
                )
                .unwrap();
                let what = format!("{op:?} of {a_dims:?} and {b_dims:?} by {}", isa.name());
                assert_same(&y, &expected, &what);
            }
        }
    }
}

#[test]
fn any_length_and_either_operand_still() {
    for len in 0..40 {
        let (a, b) = (numbers(len, 3), numbers(len, 4));
        let plain = |len: usize| TensorType::plain(DatumType::F32, &[len]);
        for op in TO_F32 {
            for isa in Isa::available() {
                let name = format!("{op:?} of {len} by {}", isa.name());
                let long = (&plain(len), a.as_slice());
                let expected = broadcast(op, (&[len], &a), (&[len], &b), &[len]);
                let y = try_run(isa, op, long, (&plain(len), &b), &plain(len)).unwrap();
                assert_same(&y, &expected, &name);
                let one = (&plain(1), [1.25f32].as_slice());
                let expected = broadcast(op, (&[len], &a), (&[1], one.1), &[len]);
                let y = try_run(isa, op, long, one, &plain(len)).unwrap();
                assert_same(&y, &expected, &name);
                let expected = broadcast(op, (&[1], one.1), (&[len], &a), &[len]);
                let y = try_run(isa, op, one, long, &plain(len)).unwrap();
                assert_same(&y, &expected, &name);
            }
        }
    }
}

#[test]
fn blocked_tensors_meet_channels_and_scalars() {
    let x = TensorType::blocked(&[2, 20, 3, 5]);
    let a = numbers(x.stored_len().unwrap(), 5);
    // How far apart elements are along rows, blocks, lines, pixels and lanes.
    let cases = [
        (TensorType::blocked(&[2, 20, 3, 5]), [480, 240, 80, 16, 1]),
        (TensorType::blocked(&[1, 20, 1, 1]), [0, 16, 0, 0, 1]),
        (TensorType::blocked(&[2, 20, 1, 1]), [32, 16, 0, 0, 1]),
        (TensorType::blocked(&[2, 20, 3, 1]), [96, 48, 16, 0, 1]),
        (TensorType::plain(DatumType::F32, &[1, 1]), [0, 0, 0, 0, 0]),
    ];
    for (b_type, strides) in cases {
        let b = numbers(b_type.stored_len().unwrap(), 6);
        let b_at = |i: usize| {
            let position = [i / 480, i / 240 % 2, i / 80 % 3, i / 16 % 5, i % 16];
            b[position
                .iter()
                .zip(strides)
                .map(|(i, stride)| i * stride)
                .sum::<usize>()]
        };
        for op in [BinaryOp::Mul, BinaryOp::Sub, BinaryOp::Fmod] {
            let expected: Vec<f32> = (0..a.len()).map(|i| reference(op, a[i], b_at(i))).collect();
            for isa in Isa::available() {
                let y: Vec<f32> = try_run(isa, op, (&x, &a), (&b_type, &b), &x).unwrap();
                assert_same(&y, &expected, &format!("{op:?} by {}", isa.name()));
            }
        }
    }
}

#[test]
fn not_a_number_wins() {
    let nan = f32::NAN;
    for isa in Isa::available() {
        for len in [1, 3, 16, 20] {
            let (a, b) = (vec![nan; len], vec![1.0; len]);
            let dims = TensorType::plain(DatumType::F32, &[len]);
            for op in [BinaryOp::Max, BinaryOp::Min, BinaryOp::PRelu, BinaryOp::Pow] {
                for (a, b) in [(&a, &b), (&b, &a)] {
                    if op == BinaryOp::PRelu && a[0] > 0.0 {
                        continue;
                    }
                    let y: Vec<f32> = try_run(isa, op, (&dims, a), (&dims, b), &dims).unwrap();
                    let (expected, is_nan) = (reference(op, a[0], b[0]), y[0].is_nan());
                    assert_eq!(is_nan, expected.is_nan(), "{op:?} by {}", isa.name());
                }
            }
        }
    }
}

#[test]
fn powers_of_two_numbers_match_their_definition() {
    use DatumType::{F32, F64, I32, U8};
    let x = [-2.0f32, -0.0, 0.5, 3.0, f32::INFINITY, f32::NEG_INFINITY];
    for exponent in [0.0f32, 1.0, 2.0, 3.0, -1.0, 0.5, -0.5] {
        let exponents = [exponent; 6];
        let y: Vec<f32> = run(BinaryOp::Pow, F32, &x, &exponents, F32);
        let expected = x.map(|x| f64::from(x).powf(f64::from(exponent)) as f32);
        let signs = |y: &[f32]| y.iter().map(|y| 1f32.copysign(*y)).collect::<Vec<_>>();
        if exponent != 0.5 && exponent != -0.5 {
            assert_eq!(signs(&y), signs(&expected), "to the power of {exponent}");
        }
        assert_same(&y, &expected, &format!("to the power of {exponent}"));
    }
    let y: Vec<i32> = run(BinaryOp::Pow, I32, &[2, -3, 2, 5], &[10, 3, -1, 0], I32);
    assert_eq!(y, [1024, -27, 0, 1]);
    assert_eq!(run::<u8, u8>(BinaryOp::Pow, U8, &[3], &[4], U8), [81]);
    assert_eq!(
        run::<f64, f64>(BinaryOp::Pow, F64, &[2.0], &[0.5], F64),
        [2f64.sqrt()]
    );
}

#[test]
fn integers_wrap_around() {
    use DatumType::{I8, I32, I64, U8, U64};
    assert_eq!(
        run::<u8, u8>(BinaryOp::Add, U8, &[250, 1], &[10, 2], U8),
        [4, 3]
    );
    assert_eq!(
        run::<i8, i8>(BinaryOp::Mul, I8, &[100, -128], &[2, -1], I8),
        [-56, -128]
    );
    assert_eq!(
        run::<i32, i32>(BinaryOp::Sub, I32, &[i32::MIN], &[1], I32),
        [i32::MAX]
    );
    assert_eq!(
        run::<i64, i64>(BinaryOp::Mul, I64, &[i64::MAX, -3], &[2, 5], I64),
        [-2, -15]
    );
    assert_eq!(
        run::<u64, u64>(BinaryOp::Max, U64, &[u64::MAX, 1], &[1, 2], U64),
        [u64::MAX, 2]
    );
    let (a, b): (Vec<i64>, Vec<i64>) = ((0..200).collect(), (100..300).collect());
    let sums: Vec<i64> = (0..200).map(|i| 100 + 2 * i).collect();
    assert_eq!(run::<i64, i64>(BinaryOp::Add, I64, &a, &b, I64), sums);
}

#[test]
fn integers_are_divided_towards_zero_and_rests_have_a_sign() {
    use DatumType::{F32, F64, I32, I64, U64};
    let (a, b) = ([7, -7, 7, -7, i32::MIN], [2, 2, -2, -2, -1]);
    assert_eq!(
        run::<i32, i32>(BinaryOp::Div, I32, &a, &b, I32),
        [3, -3, -3, 3, i32::MIN]
    );
    assert_eq!(
        run::<i32, i32>(BinaryOp::Fmod, I32, &a, &b, I32),
        [1, -1, 1, -1, 0]
    );
    assert_eq!(
        run::<i32, i32>(BinaryOp::Mod, I32, &a, &b, I32),
        [1, 1, -1, -1, 0]
    );
    assert_eq!(
        run::<i64, i64>(BinaryOp::Div, I64, &[i64::MIN], &[-1], I64),
        [i64::MIN]
    );
    let (a, b) = ([u64::MAX, 7], [2, u64::MAX]);
    assert_eq!(
        run::<u64, u64>(BinaryOp::Div, U64, &a, &b, U64),
        [u64::MAX / 2, 0]
    );
    assert_eq!(run::<u64, u64>(BinaryOp::Mod, U64, &a, &b, U64), [1, 7]);
    let (a, b) = ([5.5f32, -5.5, 5.5, -5.5], [2.0, 2.0, -2.0, -2.0]);
    assert_eq!(
        run::<f32, f32>(BinaryOp::Mod, F32, &a, &b, F32),
        [1.5, 0.5, -0.5, -1.5]
    );
    assert_eq!(
        run::<f32, f32>(BinaryOp::Fmod, F32, &a, &b, F32),
        [1.5, -1.5, 1.5, -1.5]
    );
    assert_eq!(
        run::<f64, f64>(BinaryOp::Div, F64, &[1.0], &[0.0], F64),
        [f64::INFINITY]
    );
}

#[test]
fn a_division_by_zero_is_an_error() {
    for datum_type in [DatumType::I64, DatumType::U64] {
        let types = TensorType::plain(datum_type, &[2]);
        for op in [BinaryOp::Div, BinaryOp::Mod, BinaryOp::Fmod] {
            let result = try_run::<i64, i64>(
                Isa::detect(),
                op,
                (&types, &[1, 2]),
                (&types, &[3, 0]),
                &types,
            );
            let error = result.unwrap_err().to_string();
            assert!(error.contains("other than 0"), "{error}");
        }
    }
}

#[test]
fn comparisons_are_true_or_false() {
    use BinaryOp::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
    use DatumType::{Bool, F16, F32, I8, U64};
    let cases = [
        (Equal, [0, 1, 0]),
        (Less, [1, 0, 0]),
        (LessOrEqual, [1, 1, 0]),
        (Greater, [0, 0, 1]),
        (GreaterOrEqual, [0, 1, 1]),
    ];
    for (op, expected) in cases {
        assert_eq!(
            run::<i8, u8>(op, I8, &[-1, 5, 2], &[1, 5, -2], Bool),
            expected
        );
        let (a, b) = ([1, u64::MAX, u64::MAX], [u64::MAX, u64::MAX, 1]);
        assert_eq!(run::<u64, u8>(op, U64, &a, &b, Bool), expected);
        let (a, b) = ([-0.5, 0.0, 2.5], [1.0, -0.0, f32::NEG_INFINITY]);
        assert_eq!(run::<f32, u8>(op, F32, &a, &b, Bool), expected);
        let (a, b) = (a.map(half::f16::from_f32), b.map(half::f16::from_f32));
        assert_eq!(run::<half::f16, u8>(op, F16, &a, &b, Bool), expected);
        let nan = [f32::NAN];
        assert_eq!(run::<f32, u8>(op, F32, &nan, &nan, Bool), [0]);
    }
    assert_eq!(
        run::<u8, u8>(Equal, Bool, &[0, 1, 2], &[0, 0, 1], Bool),
        [1, 0, 1]
    );
}

#[test]
fn bits_and_truth_values() {
    use DatumType::{Bool, I32, U8, U64};
    let (a, b) = ([0u8, 0, 1, 2], [0, 1, 0, 1]);
    assert_eq!(
        run::<u8, u8>(BinaryOp::And, Bool, &a, &b, Bool),
        [0, 0, 0, 1]
    );
    assert_eq!(
        run::<u8, u8>(BinaryOp::Or, Bool, &a, &b, Bool),
        [0, 1, 1, 1]
    );
    assert_eq!(
        run::<u8, u8>(BinaryOp::Xor, Bool, &a, &b, Bool),
        [0, 1, 1, 0]
    );
    let (a, b) = ([12, -1], [10, 7]);
    assert_eq!(
        run::<i32, i32>(BinaryOp::BitwiseAnd, I32, &a, &b, I32),
        [8, 7]
    );
    assert_eq!(
        run::<i32, i32>(BinaryOp::BitwiseOr, I32, &a, &b, I32),
        [14, -1]
    );
    assert_eq!(
        run::<i32, i32>(BinaryOp::BitwiseXor, I32, &a, &b, I32),
        [6, -8]
    );
    let (a, b) = ([0x81u8, 1, 255], [1, 7, 200]);
    assert_eq!(
        run::<u8, u8>(BinaryOp::ShiftLeft, U8, &a, &b, U8),
        [2, 128, 0]
    );
    assert_eq!(
        run::<u8, u8>(BinaryOp::ShiftRight, U8, &a, &b, U8),
        [64, 0, 0]
    );
    let (a, b) = ([u64::MAX, u64::MAX], [63, u64::MAX]);
    assert_eq!(
        run::<u64, u64>(BinaryOp::ShiftLeft, U64, &a, &b, U64),
        [1 << 63, 0]
    );
    assert_eq!(
        run::<u64, u64>(BinaryOp::ShiftRight, U64, &a, &b, U64),
        [1, 0]
    );
}

#[test]
fn types_that_do_not_fit_are_refused() {
    use DatumType::{Bool, F32, I32, I64};
    let of = |datum_type| TensorType::plain(datum_type, &[2]);
    let cases = [
        (BinaryOp::Add, vec![of(F32)], of(F32)),
        (BinaryOp::Add, vec![of(F32), of(I32)], of(F32)),
        (BinaryOp::Add, vec![of(F32), of(F32)], of(I32)),
        (BinaryOp::Add, vec![of(Bool), of(Bool)], of(Bool)),
        (BinaryOp::Less, vec![of(F32), of(F32)], of(F32)),
        (BinaryOp::Less, vec![of(Bool), of(Bool)], of(Bool)),
        (BinaryOp::And, vec![of(I32), of(I32)], of(I32)),
        (BinaryOp::BitwiseAnd, vec![of(F32), of(F32)], of(F32)),
        (BinaryOp::ShiftLeft, vec![of(I64), of(I64)], of(I64)),
        (
            BinaryOp::Add,
            vec![of(F32), TensorType::plain(F32, &[3])],
            of(F32),
        ),
    ];
    for (op, inputs, output) in cases {
        let bound = crate::bind(&Kernel::Binary(op), &inputs, &[output], &Target::detect());
        let error = bound.err().unwrap().to_string();
        assert!(error.contains("expected"), "{error}");
    }
}
