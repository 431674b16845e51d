//! Padding against an oracle that walks to where an element comes from, and against ONNX's examples.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{Pad, PadMode};
use tensorlet_tensor::DatumType;

use crate::arrange::number::to_bytes;
use crate::arrange::testing::{
    Random, Tensor, WIDTHS, check_moved, error, f32s, plain, random, run,
};

/// Where an element of a padded axis comes from, found by walking there.
fn padded_from(mode: PadMode, dim: usize, before: i64, after: i64, place: usize) -> Option<usize> {
    let begin = (-before).max(0);
    let end = dim as i64 - (-after).max(0);
    let element = place as i64 - before;
    if (begin..end).contains(&element) {
        return Some(element as usize);
    }
    let mut at = if element < begin { begin } else { end - 1 };
    let mut direction = if element < begin { -1 } else { 1 };
    let (lead, mut steps) = (at, (element - at).abs());
    match mode {
        PadMode::Constant(_) => return None,
        PadMode::Edge => at = lead,
        PadMode::Wrap => {
            while steps > 0 {
                at += direction;
                at = if at < begin { end - 1 } else { at };
                at = if at >= end { begin } else { at };
                steps -= 1;
            }
        }
        PadMode::Reflect => {
            while steps > 0 && end - begin > 1 {
                if at + direction < begin || at + direction >= end {
                    direction = -direction;
                }
                at += direction;
                steps -= 1;
            }
        }
    }
    Some(at as usize)
}

#[test]
fn pads_in_every_mode() {
    let mut random_numbers = Random(4);
    let modes = [
        PadMode::Constant(1.5),
        PadMode::Reflect,
        PadMode::Edge,
        PadMode::Wrap,
    ];
    for datum_type in WIDTHS {
        for round in 0..240 {
            let (mode, rank) = (modes[round % 4], round / 4 % 5);
            let dims: Vec<usize> = (0..rank).map(|_| 1 + random_numbers.below(5)).collect();
            let mut pads = Vec::new();
            for &dim in &dims {
                let least = if dim > 2 { -1 } else { 0 };
                let mut pad = || (random_numbers.below(9) as i64 - 1).max(least);
                let (before, after) = (pad(), pad());
                let padded = random_numbers.below(3) > 0;
                let (before, after) = if padded { (before, after) } else { (0, 0) };
                pads.push((before, after));
            }
            let y: Vec<usize> = dims
                .iter()
                .zip(&pads)
                .map(|(&dim, (before, after))| (dim as i64 + before + after) as usize)
                .collect();
            let kernel = Kernel::Pad(Pad {
                mode,
                before: pads.iter().map(|pads| pads.0).collect(),
            });
            let fill = to_bytes(1.5, datum_type);
            let fill = &fill[..datum_type.width_bytes()];
            let x = random(datum_type, &dims);
            check_moved(&kernel, &[x], &plain(datum_type, &y), fill, |index| {
                let places = index.iter().enumerate().map(|(axis, &place)| {
                    let (before, after) = pads[axis];
                    padded_from(mode, dims[axis], before, after, place)
                });
                places.collect()
            });
        }
    }
}

fn pad(mode: PadMode, before: &[i64]) -> Kernel {
    Kernel::Pad(Pad {
        mode,
        before: before.to_vec(),
    })
}

#[test]
fn pads_as_the_examples_of_onnx_do() {
    let x = [Tensor::new(&[3, 2], &[1.0f32, 1.2, 2.3, 3.4, 4.5, 5.7])];
    let y = f32s(&[3, 4]);
    let cases: [(PadMode, [f32; 12]); 4] = [
        (
            PadMode::Constant(0.0),
            [0.0, 0.0, 1.0, 1.2, 0.0, 0.0, 2.3, 3.4, 0.0, 0.0, 4.5, 5.7],
        ),
        (
            PadMode::Reflect,
            [1.0, 1.2, 1.0, 1.2, 2.3, 3.4, 2.3, 3.4, 4.5, 5.7, 4.5, 5.7],
        ),
        (
            PadMode::Edge,
            [1.0, 1.0, 1.0, 1.2, 2.3, 2.3, 2.3, 3.4, 4.5, 4.5, 4.5, 5.7],
        ),
        (
            PadMode::Wrap,
            [1.0, 1.2, 1.0, 1.2, 2.3, 3.4, 2.3, 3.4, 4.5, 5.7, 4.5, 5.7],
        ),
    ];
    for (mode, expected) in cases {
        let y = run(&pad(mode, &[0, 2]), &x, &y).unwrap();
        assert_eq!(y.elements::<f32>(), expected, "{mode:?}");
    }
    // Wrapping with what is cut off in front.
    let y = run(&pad(PadMode::Wrap, &[2, -1]), &x, &f32s(&[6, 2])).unwrap();
    let expected = [3.4, 3.4, 5.7, 5.7, 1.2, 1.2, 3.4, 3.4, 5.7, 5.7, 1.2, 1.2];
    assert_eq!(y.elements::<f32>(), expected);
}

#[test]
fn pads_an_empty_tensor_with_a_constant_only() {
    let x = [random(DatumType::F32, &[2, 0])];
    let y = run(&pad(PadMode::Constant(2.0), &[0, 1]), &x, &f32s(&[2, 3])).unwrap();
    assert_eq!(y.elements::<f32>(), [2.0; 6]);
    for mode in [PadMode::Reflect, PadMode::Edge, PadMode::Wrap] {
        let found = error(&pad(mode, &[0, 1]), &x, &f32s(&[2, 3]));
        assert!(found.starts_with("expected elements to pad"), "{found}");
        assert!(run(&pad(mode, &[0, 0]), &x, &f32s(&[2, 0])).is_ok());
    }
}

#[test]
fn refuses_absurd_padding() {
    let x = [random(DatumType::F32, &[2, 3])];
    for before in [i64::MIN, i64::MAX, -(1 << 60) - 1] {
        let found = error(&pad(PadMode::Edge, &[before, 0]), &x, &f32s(&[2, 3]));
        assert!(found.starts_with("expected elements to pad"), "{found}");
    }
    let found = error(&pad(PadMode::Edge, &[0]), &x, &f32s(&[2, 3]));
    assert!(found.contains("each axis of f32[2, 3]"), "{found}");
    let far = run(
        &pad(PadMode::Constant(1.0), &[-(1 << 40), 0]),
        &x,
        &f32s(&[2, 3]),
    )
    .unwrap();
    assert_eq!(
        far.elements::<f32>(),
        [1.0; 6],
        "nothing of the tensor is left"
    );
}
