//! Attributes and types that make no sense: binding refuses them, and what it accepts runs.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::window::NearestRounding;
use tensorlet_plan::kernel::{
    Gather, OutOfRange, Pad, PadMode, Resize, ResizeCoordinates, ResizeMode, Scatter,
    ScatterReduction, Slice, TopK,
};
use tensorlet_tensor::DatumType;

use super::testing::{Random, Tensor, run_for};
use crate::bind;
use crate::run::Target;
use crate::tensor_type::TensorType;

fn pick<T: Copy>(random: &mut Random, from: &[T]) -> T {
    from[random.below(from.len())]
}

fn any_numbers(random: &mut Random) -> Vec<i64> {
    let numbers = [0, 0, 0, 1, 1, 1, -1, 2, -2, 3, i64::MAX, i64::MIN, 1 << 40];
    (0..random.below(4))
        .map(|_| pick(random, &numbers))
        .collect()
}

fn any_kernel(random: &mut Random) -> Kernel {
    let axis = pick(random, &[0, 0, 1, 1, 2, 3, u32::MAX]);
    let flag = random.below(2) == 0;
    match random.below(20) {
        0 => Kernel::Transpose {
            permutation: (0..random.below(4))
                .map(|_| random.below(4) as u32)
                .collect(),
        },
        1 => Kernel::Copy,
        2 | 3 => Kernel::Concat { axis },
        4 | 5 => Kernel::Slice(Slice {
            starts: any_numbers(random),
            steps: any_numbers(random),
        }),
        6 | 7 => {
            let constant = PadMode::Constant(f64::NAN);
            Kernel::Pad(Pad {
                mode: pick(
                    random,
                    &[constant, PadMode::Reflect, PadMode::Edge, PadMode::Wrap],
                ),
                before: any_numbers(random),
            })
        }
        8 => Kernel::Expand,
        9 => Kernel::Tile,
        10 => Kernel::OneHot { axis },
        11 => Kernel::Trilu {
            upper: flag,
            diagonal: pick(random, &[0, 1, -1, i64::MAX, i64::MIN]),
        },
        12 => Kernel::Dims { begin: axis },
        13 | 14 => {
            let out_of_range = pick(random, &[OutOfRange::Fail, OutOfRange::Last]);
            let slices = Gather::Slices { axis, out_of_range };
            let elements = Gather::Elements { axis };
            let nd = Gather::Nd { batch_dims: axis };
            Kernel::Gather(pick(random, &[slices, elements, nd]))
        }
        15 => Kernel::Scatter(Scatter {
            axis: flag.then_some(axis),
            reduction: pick(random, &[ScatterReduction::Replace, ScatterReduction::Add]),
        }),
        16 => Kernel::ArgReduce {
            minimum: flag,
            axis,
            last: flag,
        },
        17 => Kernel::TopK(TopK {
            axis,
            largest: flag,
        }),
        18 => Kernel::CumSum {
            axis,
            exclusive: flag,
            reverse: flag,
        },
        _ => {
            let cubic = ResizeMode::Cubic {
                coefficient: f32::NAN,
            };
            let nearest = ResizeMode::Nearest(NearestRounding::Ceil);
            Kernel::Resize(Resize {
                mode: pick(random, &[cubic, nearest, ResizeMode::Linear]),
                coordinates: pick(
                    random,
                    &[
                        ResizeCoordinates::HalfPixel,
                        ResizeCoordinates::AlignCorners,
                    ],
                ),
                scales: match flag {
                    true => Vec::new(),
                    false => vec![1.0, 1.0, pick(random, &[1.0, 0.5, 2.0, f32::NAN, 1e-40])],
                },
            })
        }
    }
}

fn any_type(random: &mut Random, large: bool) -> TensorType {
    let types = [
        DatumType::F32,
        DatumType::F32,
        DatumType::I64,
        DatumType::U8,
    ];
    let sizes: &[usize] = match large {
        true => &[0, 1, 2, 1 << 20, 1 << 31, usize::MAX],
        false => &[0, 1, 1, 2, 2, 2, 3],
    };
    let dims: Vec<usize> = (0..random.below(4)).map(|_| pick(random, sizes)).collect();
    match random.below(8) {
        0 => TensorType::blocked(&dims),
        _ => TensorType::plain(pick(random, &types), &dims),
    }
}

#[test]
fn nothing_that_is_bound_fails_but_with_an_error() {
    let mut random = Random(1);
    let mut ran = 0;
    for round in 0..200_000 {
        let kernel = any_kernel(&mut random);
        let large = round % 4 == 0;
        let count = match kernel {
            Kernel::Scatter(_) => 3,
            Kernel::Gather(_) | Kernel::OneHot { .. } | Kernel::Concat { .. } => 2,
            _ => 1,
        };
        let count = if round % 64 == 1 {
            random.below(4)
        } else {
            count
        };
        let mut outputs = vec![any_type(&mut random, large)];
        let alike = outputs[0].clone();
        let mut related = |of: &TensorType| match random.below(3) {
            0 => any_type(&mut random, large),
            _ => of.clone(),
        };
        let mut inputs: Vec<TensorType> = (0..count).map(|_| related(&alike)).collect();
        if let Kernel::TopK(_) = kernel {
            outputs.push(related(&alike));
            outputs[1].datum_type = DatumType::I64;
        }
        // Types that have nothing to do with each other are seldom bound.
        if let (Some(input), true) = (inputs.first_mut(), round % 3 > 0) {
            input.datum_type = alike.datum_type;
        }
        if let (Kernel::Gather(_) | Kernel::Scatter(_), Some(indices)) =
            (&kernel, inputs.get_mut(1))
        {
            indices.datum_type = DatumType::I64;
        }
        if bind(&kernel, &inputs, &outputs, &Target::detect()).is_err() {
            continue;
        }
        let small = |of: &TensorType| of.stored_bytes().is_some_and(|bytes| bytes < 1 << 16);
        if !inputs.iter().chain(&outputs).all(small) {
            continue;
        }
        let inputs: Vec<Tensor> = inputs.iter().map(Tensor::random).collect();
        // Indices of any bytes are out of range, mostly.
        let _ = run_for(&kernel, &inputs, &outputs, &Target::detect());
        ran += 1;
    }
    assert!(ran > 10_000, "only {ran} kernels ran");
}
