//! Resizing against ONNX's examples, and against sums over all corners in f64.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::window::NearestRounding;
use tensorlet_plan::kernel::{Resize, ResizeCoordinates, ResizeMode};
use tensorlet_tensor::DatumType;

use super::examples::EXAMPLES;
use crate::arrange::testing::{Random, Tensor, error, flat, indices, plain, run, run_for};
use crate::isa::Isa;
use crate::run::Target;
use crate::tensor_type::TensorType;

const COORDINATES: [ResizeCoordinates; 5] = [
    ResizeCoordinates::HalfPixel,
    ResizeCoordinates::HalfPixelSymmetric,
    ResizeCoordinates::PytorchHalfPixel,
    ResizeCoordinates::AlignCorners,
    ResizeCoordinates::Asymmetric,
];

const ROUNDINGS: [NearestRounding; 4] = [
    NearestRounding::PreferFloor,
    NearestRounding::PreferCeil,
    NearestRounding::Floor,
    NearestRounding::Ceil,
];

fn resize(mode: ResizeMode, coordinates: ResizeCoordinates, scales: &[f32]) -> Resize {
    Resize {
        mode,
        coordinates,
        scales: scales.to_vec(),
    }
}

#[test]
fn resizes_as_the_examples_of_onnx_do() {
    for example in EXAMPLES {
        let [input, output] = [example.input, example.output];
        let scales = match example.scales {
            [] => Vec::new(),
            scales => [&[1.0, 1.0], scales].concat(),
        };
        let numbers: Vec<f32> = (1..=input[0] * input[1]).map(|i| i as f32).collect();
        let x = [Tensor::new(&[1, 1, input[0], input[1]], &numbers)];
        let kernel = Kernel::Resize(resize(example.mode, example.coordinates, &scales));
        let y = plain(DatumType::F32, &[1, 1, output[0], output[1]]);
        let y = run(&kernel, &x, &y).unwrap();
        for (found, expected) in y.elements::<f32>().iter().zip(example.expected) {
            assert!(
                (found - expected).abs() < 2e-5,
                "{}: expected {:?}, found {:?}",
                example.name,
                example.expected,
                y.elements::<f32>()
            );
        }
    }
}

/// A position as ONNX defines it, exactly; the order of f32 computations where it matters for rounding.
fn position(resize: &Resize, axis: usize, input: usize, output: usize, place: usize) -> f32 {
    let (input, output_f, place) = (input as f32, output as f32, place as f32);
    let scale = resize.scales.get(axis).copied().unwrap_or(output_f / input);
    match resize.coordinates {
        ResizeCoordinates::HalfPixelSymmetric => {
            let adjustment = output_f / (scale * input);
            let offset = input / 2.0 * (1.0 - adjustment);
            offset + (place + 0.5) / scale - 0.5
        }
        ResizeCoordinates::PytorchHalfPixel if output <= 1 => 0.0,
        ResizeCoordinates::HalfPixel | ResizeCoordinates::PytorchHalfPixel => {
            (place + 0.5) / scale - 0.5
        }
        ResizeCoordinates::AlignCorners if output <= 1 => 0.0,
        ResizeCoordinates::AlignCorners => {
            let scale = resize.scales.get(axis);
            let length = scale.map_or(output_f, |scale| scale * input);
            place * (input - 1.0) / (length - 1.0)
        }
        ResizeCoordinates::Asymmetric => place / scale,
    }
}

/// The elements of an axis that count, and how much each does.
fn taps(mode: ResizeMode, position: f32, input: usize) -> Vec<(usize, f64)> {
    let limited = |index: f64| index.clamp(0.0, input as f64 - 1.0) as usize;
    let exact = f64::from(position);
    let first = exact.floor();
    let part = exact - first;
    match mode {
        ResizeMode::Nearest(rounding) => {
            let index = match rounding {
                NearestRounding::Floor => first,
                NearestRounding::Ceil => exact.ceil(),
                NearestRounding::PreferFloor if part <= 0.5 + 1e-6 => first,
                NearestRounding::PreferCeil if part < 0.5 - 1e-6 => first,
                _ => first + 1.0,
            };
            vec![(limited(index), 1.0)]
        }
        ResizeMode::Linear => {
            let exact = exact.clamp(0.0, input as f64 - 1.0);
            let part = exact - exact.floor();
            vec![
                (limited(exact.floor()), 1.0 - part),
                (limited(exact.floor() + 1.0), part),
            ]
        }
        ResizeMode::Cubic { coefficient } => {
            let a = f64::from(coefficient);
            let weight = |distance: f64| match distance.abs() {
                x if x <= 1.0 => (a + 2.0) * x.powi(3) - (a + 3.0) * x.powi(2) + 1.0,
                x if x < 2.0 => a * x.powi(3) - 5.0 * a * x.powi(2) + 8.0 * a * x - 4.0 * a,
                _ => 0.0,
            };
            (-1..3)
                .map(|i| (limited(first + f64::from(i)), weight(part - f64::from(i))))
                .collect()
        }
    }
}

/// An element of the output: a sum over all combinations of elements that count.
fn expected(
    resize: &Resize,
    x: &TensorType,
    y: &TensorType,
    index: &[usize],
    at: &dyn Fn(&[usize]) -> f64,
) -> f64 {
    let mut sums = vec![(index[..2].to_vec(), 1.0)];
    for axis in 2..x.dims.len() {
        let (input, output) = (x.dims[axis], y.dims[axis]);
        let taps = taps(
            resize.mode,
            position(resize, axis, input, output, index[axis]),
            input,
        );
        sums = sums
            .into_iter()
            .flat_map(|(index, weight)| {
                let with = |(place, part): &(usize, f64)| {
                    ([&index[..], &[*place]].concat(), weight * part)
                };
                taps.iter().map(with).collect::<Vec<_>>()
            })
            .collect();
    }
    sums.iter().map(|(index, weight)| at(index) * weight).sum()
}

/// Dims around each other, and scales that fit them for half of the cases.
fn any_case(random: &mut Random, round: usize) -> (Vec<usize>, Vec<usize>, Vec<f32>) {
    let rank = 3 + round % 3;
    let most = [40, 12, 6][round % 3];
    let mut x = vec![1 + random.below(2), 1 + random.below(3)];
    let mut y = x.clone();
    let mut scales = vec![1.0, 1.0];
    for _ in 2..rank {
        let input = 1 + random.below(most);
        let scale = match random.below(5) {
            0 => 1.0,
            1 => 2.0,
            2 => 0.5,
            _ => 0.3 + random.below(30) as f32 / 10.0,
        };
        let output = ((input as f32 * scale) as usize).max(1);
        let scale = if input as f32 * scale < 1.0 {
            1.0 / input as f32
        } else {
            scale
        };
        x.push(input);
        y.push(output);
        scales.push(scale);
    }
    if round.is_multiple_of(2) {
        scales.clear();
    }
    (x, y, scales)
}

#[test]
fn copies_the_nearest_elements() {
    let mut random = Random(1);
    let types = [
        DatumType::Bool,
        DatumType::F16,
        DatumType::F32,
        DatumType::I64,
    ];
    for round in 0..400 {
        let (x, y, scales) = any_case(&mut random, round);
        let datum_type = types[random.below(4)];
        let mode = ResizeMode::Nearest(ROUNDINGS[random.below(4)]);
        let resize = resize(mode, COORDINATES[round % 5], &scales);
        let (x, y) = (plain(datum_type, &x), plain(datum_type, &y));
        let tensor = Tensor::random(&x);
        let found = run(
            &Kernel::Resize(resize.clone()),
            std::slice::from_ref(&tensor),
            &y,
        )
        .unwrap();
        for index in indices(&y.dims) {
            let place = |index: &[usize]| flat(&x.dims, index) as f64;
            let source = expected(&resize, &x, &y, &index, &place) as usize;
            let width = datum_type.width_bytes();
            let expected = &tensor.bytes()[source * width..][..width];
            assert_eq!(
                found.at(&index),
                expected,
                "{resize:?} of {x} to {y} at {index:?}"
            );
        }
    }
}

#[test]
fn interpolates_in_any_rank_and_instruction_set() {
    let mut random = Random(2);
    for round in 0..300 {
        let (x, y, scales) = any_case(&mut random, round);
        let mode = match round % 4 {
            0 => ResizeMode::Cubic { coefficient: -0.5 },
            _ => ResizeMode::Linear,
        };
        let resize = resize(mode, COORDINATES[random.below(5)], &scales);
        let (x, y) = (plain(DatumType::F32, &x), plain(DatumType::F32, &y));
        let numbers: Vec<f32> = (0..x.len()).map(|_| random.float()).collect();
        let tensor = Tensor::new(&x.dims, &numbers);
        for isa in Isa::available() {
            let kernel = Kernel::Resize(resize.clone());
            let found = run_for(
                &kernel,
                std::slice::from_ref(&tensor),
                std::slice::from_ref(&y),
                &Target::of(isa),
            );
            let found = found.unwrap().remove(0);
            for (index, found) in indices(&y.dims).zip(found.elements::<f32>()) {
                let at = |index: &[usize]| f64::from(numbers[flat(&x.dims, index)]);
                let expected = expected(&resize, &x, &y, &index, &at);
                assert!(
                    (f64::from(*found) - expected).abs() < 1e-5,
                    "{resize:?} of {x} to {y} at {index:?}: expected {expected}, found {found}"
                );
            }
        }
    }
}

#[test]
fn what_rounding_moved_from_halfway_is_halfway() {
    let numbers: Vec<f32> = (0..14).map(|i| i as f32).collect();
    let x = [Tensor::new(&[1, 1, 14], &numbers)];
    // Both elements lie at 6.5, which is 6.4999995 and 6.5000005 in f32.
    for (len, place) in [(39, 19), (19, 9)] {
        for (rounding, expected) in [
            (NearestRounding::PreferFloor, 6.0),
            (NearestRounding::PreferCeil, 7.0),
        ] {
            let mode = ResizeMode::Nearest(rounding);
            let kernel = Kernel::Resize(resize(mode, ResizeCoordinates::HalfPixel, &[]));
            let y = run(&kernel, &x, &plain(DatumType::F32, &[1, 1, len])).unwrap();
            assert_eq!(y.elements::<f32>()[place], expected, "{rounding:?} {len}");
        }
    }
}

/// The place of an element of a blocked tensor in memory.
fn blocked_place(of: &TensorType, index: &[usize]) -> usize {
    let size: usize = of.dims[2..].iter().product();
    let spatial = flat(&of.dims[2..], &index[2..]);
    let block = index[0] * of.blocks() + index[1] / 16;
    (block * size + spatial) * 16 + index[1] % 16
}

#[test]
fn resizes_blocked_tensors_as_plain_ones() {
    let mut random = Random(3);
    for round in 0..150 {
        let (mut x, mut y, scales) = any_case(&mut random, round);
        x[1] = [1, 15, 16, 17, 40][random.below(5)];
        y[1] = x[1];
        let mode = match round % 5 {
            0 | 1 => ResizeMode::Nearest(ROUNDINGS[random.below(4)]),
            2 => ResizeMode::Cubic { coefficient: -0.75 },
            _ => ResizeMode::Linear,
        };
        let kernel = Kernel::Resize(resize(mode, COORDINATES[random.below(5)], &scales));
        let of = TensorType::blocked(&x);
        let mut blocked = Tensor::filled(&of, 0);
        let mut row_major = Tensor::filled(&plain(DatumType::F32, &x), 0);
        for index in indices(&x) {
            let number = random.float().to_le_bytes();
            row_major.bytes_mut()[flat(&x, &index) * 4..][..4].copy_from_slice(&number);
            blocked.bytes_mut()[blocked_place(&of, &index) * 4..][..4].copy_from_slice(&number);
        }
        let expected = run(&kernel, &[row_major], &plain(DatumType::F32, &y)).unwrap();
        let of = TensorType::blocked(&y);
        let found = run(&kernel, &[blocked], &of).unwrap();
        let mut lanes = vec![0.0; of.stored_len().unwrap()];
        for (index, expected) in indices(&y).zip(expected.elements::<f32>()) {
            lanes[blocked_place(&of, &index)] = *expected;
        }
        let found = found.elements::<f32>();
        for (found, expected) in found.iter().zip(&lanes) {
            assert!(
                (found - expected).abs() < 1e-6,
                "{kernel:?}: padding stays zero as well"
            );
        }
    }
}

#[test]
fn integers_are_truncated() {
    let bytes = [0u8, 255, 7, 100, 100, 200];
    let kernel = Kernel::Resize(resize(
        ResizeMode::Linear,
        ResizeCoordinates::HalfPixel,
        &[],
    ));
    let y = run(
        &kernel,
        &[Tensor::new(&[1, 1, 6], &bytes)],
        &plain(DatumType::U8, &[1, 1, 12]),
    );
    // As ONNX Runtime 1.32 computes it.
    let expected = [0, 63, 191, 193, 69, 30, 76, 100, 100, 125, 175, 200];
    assert_eq!(y.unwrap().elements::<u8>(), expected);
    let bytes = [-128i8, 127, -7];
    let y = run(
        &kernel,
        &[Tensor::new(&[1, 1, 3], &bytes)],
        &plain(DatumType::I8, &[1, 1, 6]),
    );
    assert_eq!(y.unwrap().elements::<i8>(), [-128, -64, 63, 93, 26, -7]);
    let cubic = ResizeMode::Cubic { coefficient: -0.75 };
    let kernel = Kernel::Resize(resize(cubic, ResizeCoordinates::HalfPixel, &[]));
    let steps = [0u8, 0, 255, 255];
    let y = run(
        &kernel,
        &[Tensor::new(&[1, 1, 4], &steps)],
        &plain(DatumType::U8, &[1, 1, 8]),
    );
    let y = y.unwrap();
    assert_eq!(y.elements::<u8>()[..3], [0, 0, 0], "what lies below 0 is 0");
    assert_eq!(
        y.elements::<u8>()[5..],
        [255, 255, 255],
        "what lies above 255 is 255"
    );
}

#[test]
fn equal_integers_stay_what_they_are() {
    let mut random = Random(4);
    for round in 0..60 {
        let (x, y, scales) = any_case(&mut random, round);
        let byte = random.below(256) as u8;
        for (datum_type, mode) in [
            (DatumType::U8, ResizeMode::Linear),
            (DatumType::I8, ResizeMode::Linear),
        ] {
            let kernel = Kernel::Resize(resize(mode, COORDINATES[round % 5], &scales));
            let x = Tensor::filled(&plain(datum_type, &x), byte);
            let y = run(&kernel, &[x], &plain(datum_type, &y)).unwrap();
            assert!(y.bytes().iter().all(|found| *found == byte), "{kernel:?}");
        }
    }
}

#[test]
fn nan_and_infinity_reach_their_neighbours_alone() {
    let numbers = [1.0, f32::NAN, 2.0, 3.0, f32::INFINITY, 4.0, 5.0];
    let x = [Tensor::new(&[1, 1, 7], &numbers)];
    let kernel = Kernel::Resize(resize(
        ResizeMode::Linear,
        ResizeCoordinates::HalfPixel,
        &[],
    ));
    for isa in Isa::available() {
        let y = [plain(DatumType::F32, &[1, 1, 14])];
        let y = run_for(&kernel, &x, &y, &Target::of(isa))
            .unwrap()
            .remove(0);
        let finite: Vec<bool> = y.elements::<f32>().iter().map(|y| y.is_finite()).collect();
        let touched = [1, 2, 3, 4, 7, 8, 9, 10];
        for (place, finite) in finite.iter().enumerate() {
            assert_eq!(*finite, !touched.contains(&place), "{place}");
        }
    }
}

#[test]
fn sizes_that_stay_are_copied_whatever_they_hold() {
    let numbers = [f32::NAN, f32::INFINITY, -0.0, 1e-42];
    let x = [Tensor::new(&[1, 1, 2, 2], &numbers)];
    for mode in [
        ResizeMode::Nearest(NearestRounding::Floor),
        ResizeMode::Linear,
        ResizeMode::Cubic { coefficient: -0.75 },
    ] {
        for coordinates in COORDINATES {
            let kernel = Kernel::Resize(resize(mode, coordinates, &[1.0; 4]));
            let y = run(&kernel, &x, &x[0].of).unwrap();
            assert_eq!(y.bytes(), x[0].bytes(), "{kernel:?}");
        }
    }
}

#[test]
fn empty_tensors_stay_empty() {
    for mode in [
        ResizeMode::Nearest(NearestRounding::Floor),
        ResizeMode::Linear,
    ] {
        let kernel = Kernel::Resize(resize(mode, ResizeCoordinates::HalfPixel, &[]));
        for (x, y) in [
            ([0, 1, 4], [0, 1, 8]),
            ([1, 0, 4], [1, 0, 2]),
            ([1, 1, 0], [1, 1, 0]),
            ([1, 1, 3], [1, 1, 0]),
        ] {
            let x = Tensor::filled(&plain(DatumType::F32, &x), 0);
            assert!(run(&kernel, &[x], &plain(DatumType::F32, &y)).is_ok());
        }
    }
}

#[test]
fn refuses_what_does_not_fit() {
    let f32s = |dims: &[usize]| plain(DatumType::F32, dims);
    let zeros = |of: TensorType| Tensor::filled(&of, 0);
    let of = |scales: &[f32]| {
        Kernel::Resize(resize(
            ResizeMode::Linear,
            ResizeCoordinates::HalfPixel,
            scales,
        ))
    };
    let cases = [
        (of(&[]), f32s(&[1, 2]), f32s(&[1, 2]), "at least three axes"),
        (
            of(&[]),
            f32s(&[1, 2, 3]),
            f32s(&[1, 2]),
            "at least three axes",
        ),
        (
            of(&[]),
            f32s(&[1, 2, 3]),
            f32s(&[2, 2, 3]),
            "same first two dims",
        ),
        (
            of(&[]),
            f32s(&[1, 2, 3]),
            TensorType::blocked(&[1, 2, 3]),
            "same layout",
        ),
        (
            of(&[]),
            f32s(&[1, 2, 0]),
            f32s(&[1, 2, 3]),
            "resized by the factor",
        ),
        (
            of(&[]),
            f32s(&[1, 2, 3]),
            plain(DatumType::U8, &[1, 2, 3]),
            "same datum type",
        ),
        (
            of(&[1.0, 1.0]),
            f32s(&[1, 2, 3]),
            f32s(&[1, 2, 3]),
            "one for each axis",
        ),
        (
            of(&[1.0, 2.0, 1.0]),
            f32s(&[1, 2, 3]),
            f32s(&[1, 2, 3]),
            "1 for the first two",
        ),
        (
            of(&[1.0, 1.0, 2.0]),
            f32s(&[1, 2, 3]),
            f32s(&[1, 2, 3]),
            "found 3 to 3",
        ),
        (
            of(&[1.0, 1.0, f32::NAN]),
            f32s(&[1, 2, 3]),
            f32s(&[1, 2, 3]),
            "resized by the factor",
        ),
        (
            of(&[1.0, 1.0, -1.0]),
            f32s(&[1, 2, 3]),
            f32s(&[1, 2, 3]),
            "resized by the factor",
        ),
        (
            of(&[1.0, 1.0, 0.0]),
            f32s(&[1, 2, 1]),
            f32s(&[1, 2, 1]),
            "resized by the factor",
        ),
        (
            of(&[]),
            f32s(&[1, 1, 1 << 24]),
            f32s(&[1, 1, 1]),
            "shorter than 2^24",
        ),
    ];
    for (kernel, x, y, expected) in cases {
        let found = error(&kernel, &[zeros(x)], &y);
        assert!(found.contains(expected), "{kernel:?}: {found}");
    }
    let half = plain(DatumType::F16, &[1, 2, 3]);
    let found = error(&of(&[]), &[zeros(half.clone())], &half);
    assert_eq!(
        found,
        "expected f32, u8 or i8 to interpolate, found f16[1, 2, 3]"
    );
}
