//! Tests of conversions between datum types: kernels against plain loops, at odd sizes.

use bytemuck::Pod;
use half::{bf16, f16};
use tensorlet_plan::Kernel;
use tensorlet_tensor::DatumType;

use crate::trial::run_bytes;
use crate::{Isa, Target, TensorType};

fn cast<T: Pod, U: Pod>(from: DatumType, x: &[T], to: DatumType) -> Vec<U> {
    let dims = [x.len()];
    let y = run_bytes(
        &Kernel::Cast,
        Isa::detect(),
        &[(&TensorType::plain(from, &dims), bytemuck::cast_slice(x))],
        &[TensorType::plain(to, &dims)],
    );
    bytemuck::pod_collect_to_vec(&y.unwrap()[0])
}

/// Returns small numbers, that every datum type but bool holds, as the bytes of a datum type.
fn small(datum_type: DatumType) -> Vec<u8> {
    fn bytes<T: Pod>(convert: impl Fn(u8) -> T) -> Vec<u8> {
        let numbers: Vec<T> = (0..150).map(|i| convert(i % 100)).collect();
        bytemuck::cast_slice(&numbers).to_vec()
    }
    match datum_type {
        DatumType::Bool => bytes(|i| u8::from(i != 0)),
        DatumType::U8 => bytes(|i| i),
        DatumType::U16 => bytes(u16::from),
        DatumType::U32 => bytes(u32::from),
        DatumType::U64 => bytes(u64::from),
        DatumType::I8 => bytes(|i| i as i8),
        DatumType::I16 => bytes(i16::from),
        DatumType::I32 => bytes(i32::from),
        DatumType::I64 => bytes(i64::from),
        DatumType::F16 => bytes(f16::from),
        DatumType::Bf16 => bytes(bf16::from),
        DatumType::F32 => bytes(f32::from),
        DatumType::F64 => bytes(f64::from),
    }
}

#[test]
fn small_numbers_are_the_same_in_every_datum_type() {
    for from in DatumType::ALL {
        for to in DatumType::ALL {
            let y = run_bytes(
                &Kernel::Cast,
                Isa::detect(),
                &[(&TensorType::plain(from, &[150]), &small(from))],
                &[TensorType::plain(to, &[150])],
            );
            let truth = match from {
                // 0 and 1 are all that truth values become.
                DatumType::Bool => run_bytes(
                    &Kernel::Cast,
                    Isa::detect(),
                    &[(
                        &TensorType::plain(DatumType::U8, &[150]),
                        &small(DatumType::Bool),
                    )],
                    &[TensorType::plain(to, &[150])],
                )
                .unwrap()
                .swap_remove(0),
                _ => small(to),
            };
            assert_eq!(y.unwrap()[0], truth, "{from} to {to}");
        }
    }
}

#[test]
fn integers_wrap_around() {
    use DatumType::{I8, I16, I32, I64, U8, U32, U64};
    let x = [i64::MAX, i64::MIN, -1, 1 << 40 | 5, 300];
    assert_eq!(cast::<i64, i32>(I64, &x, I32), [-1, 0, -1, 5, 300]);
    assert_eq!(cast::<i64, u8>(I64, &x, U8), [255, 0, 255, 5, 44]);
    assert_eq!(cast::<i64, u64>(I64, &x, U64), x.map(i64::cast_unsigned));
    assert_eq!(cast::<u32, i8>(U32, &[u32::MAX, 128], I8), [-1, -128]);
    assert_eq!(cast::<u32, i64>(U32, &[u32::MAX], I64), [0xffff_ffff]);
    assert_eq!(cast::<i16, u64>(I16, &[-2], U64), [u64::MAX - 1]);
}

#[test]
fn fractions_are_cut_off_and_sizes_limited() {
    use DatumType::{F32, F64, I8, I32, I64, U8, U64};
    let x = [1.9, -1.9, 1e30, -1e30, f32::NAN, f32::INFINITY, -0.0];
    assert_eq!(
        cast::<f32, i32>(F32, &x, I32),
        [1, -1, i32::MAX, i32::MIN, 0, i32::MAX, 0]
    );
    assert_eq!(cast::<f32, u8>(F32, &x, U8), [1, 0, 255, 0, 0, 255, 0]);
    assert_eq!(
        cast::<f32, i64>(F32, &x, I64),
        [1, -1, i64::MAX, i64::MIN, 0, i64::MAX, 0]
    );
    assert_eq!(
        cast::<f64, u64>(F64, &[1e19, 2e19], U64),
        [10_000_000_000_000_000_000, u64::MAX]
    );
    assert_eq!(cast::<f64, i8>(F64, &[-128.9, 127.9], I8), [-128, 127]);
}

#[test]
fn truth_is_whatever_is_not_zero() {
    use DatumType::{Bool, F16, F32, F64, I64, U8};
    let x = [0.0, -0.0, 0.5, f32::NAN, f32::from_bits(1)];
    assert_eq!(cast::<f32, u8>(F32, &x, Bool), [0, 0, 1, 1, 1]);
    assert_eq!(cast::<i64, u8>(I64, &[0, 256, -1], Bool), [0, 1, 1]);
    // Any byte but 0 is true.
    assert_eq!(cast::<u8, u8>(Bool, &[0, 1, 7], Bool), [0, 1, 1]);
    assert_eq!(cast::<u8, u8>(Bool, &[0, 1, 7], U8), [0, 1, 1]);
    assert_eq!(cast::<u8, f64>(Bool, &[0, 7], F64), [0.0, 1.0]);
    assert_eq!(cast::<f16, u8>(F16, &[f16::from_f32(1e-7)], Bool), [1]);
}

#[test]
fn numbers_are_rounded_once() {
    use DatumType::{Bf16, F16, F32, F64, I64, U64};
    // Between two numbers of f32, a little above the middle: by way of f64 it would become the middle.
    let x = (1i64 << 60) + (1 << 36) + 1;
    assert_eq!(cast::<i64, f32>(I64, &[x], F32), [x as f32]);
    let x = (1u64 << 63) + (1 << 39) + 1;
    assert_eq!(cast::<u64, f32>(U64, &[x], F32), [x as f32]);
    assert_eq!(cast::<u64, f64>(U64, &[u64::MAX], F64), [u64::MAX as f64]);
    let x = [1.0f32, 65504.0, 65520.0, 6e-8, -1e-40, f32::NEG_INFINITY];
    let expected: Vec<u16> = x.map(|x| f16::from_f32(x).to_bits()).to_vec();
    assert_eq!(cast::<f32, u16>(F32, &x, F16), expected);
    let expected: Vec<u16> = x.map(|x| bf16::from_f32(x).to_bits()).to_vec();
    assert_eq!(cast::<f32, u16>(F32, &x, Bf16), expected);
    let x = [f16::MAX, f16::from_bits(1), f16::NEG_INFINITY];
    assert_eq!(cast::<f16, f32>(F16, &x, F32), x.map(f16::to_f32));
    assert_eq!(
        cast::<f64, f32>(F64, &[1e300, 0.1], F32),
        [f32::INFINITY, 0.1]
    );
}

#[test]
fn every_number_of_16_bits_becomes_f32_exactly() {
    use DatumType::{Bf16, F16, F32};
    let x: Vec<u16> = (0..=u16::MAX).collect();
    for (x, y) in x.iter().zip(cast::<u16, f32>(F16, &x, F32)) {
        let expected = f16::from_bits(*x).to_f32();
        assert!(y == expected || (y.is_nan() && expected.is_nan()));
    }
    for (x, y) in x.iter().zip(cast::<u16, f32>(Bf16, &x, F32)) {
        let expected = bf16::from_bits(*x).to_f32();
        assert!(y == expected || (y.is_nan() && expected.is_nan()));
    }
}

#[test]
fn types_that_do_not_fit_are_refused() {
    let (f32, i64) = (
        TensorType::plain(DatumType::F32, &[1, 2, 3]),
        TensorType::plain(DatumType::I64, &[1, 2, 3]),
    );
    let cases = [
        (vec![], vec![f32.clone()]),
        (vec![f32.clone()], vec![f32.clone(), f32.clone()]),
        (
            vec![f32.clone()],
            vec![TensorType::plain(DatumType::I64, &[6])],
        ),
        (vec![TensorType::blocked(&[1, 2, 3])], vec![i64]),
        (vec![TensorType::blocked(&[1, 2, 3])], vec![f32]),
    ];
    for (inputs, outputs) in cases {
        let bound = crate::bind(&Kernel::Cast, &inputs, &outputs, &Target::detect());
        let error = bound.err().unwrap().to_string();
        assert!(error.contains("expected"), "{error}");
    }
}
