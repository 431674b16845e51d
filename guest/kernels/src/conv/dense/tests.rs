//! Tests of dense convolutions: kernels against plain loops, at odd sizes.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{Activation, Conv, ConvWeights, Epilogue, UnaryOp};

use crate::conv::plain::reference;
use crate::conv::testing::{POINT, THREE, Window, conv};
use crate::conv::{pack_blocked, pack_plain_input};
use crate::isa::Isa;
use crate::run::Target;
use crate::tensor_type::{BLOCK, TensorType};
use crate::trial::{Samples, assert_close, block, plain, run_f32, unblock};

fn epilogues() -> [Epilogue; 3] {
    [
        Epilogue::default(),
        Epilogue {
            bias: true,
            residual: true,
            activation: Activation::Clamp {
                low: 0.0,
                high: 6.0,
            },
        },
        Epilogue {
            bias: true,
            residual: false,
            activation: Activation::Unary(UnaryOp::Sigmoid),
        },
    ]
}

/// Compares with the reference, for every instruction set and epilogue.
#[track_caller]
fn check(
    weights: ConvWeights,
    [group, out_channels]: [usize; 2],
    dims: &[usize],
    windows: &[Window],
) {
    for epilogue in epilogues() {
        let conv = conv(weights, group, windows, epilogue);
        check_conv(&conv, out_channels, dims);
    }
}

#[track_caller]
fn check_conv(conv: &Conv, out_channels: usize, dims: &[usize]) {
    let (group, epilogue) = (conv.group as usize, conv.epilogue);
    let mut samples = Samples::new(dims.iter().sum::<usize>() as u32);
    let taps: usize = conv.kernel.iter().map(|&k| k as usize).product();
    let shape = [out_channels / group, dims[1] / group, taps];
    let x = samples.numbers(dims.iter().product());
    let weights = samples.numbers(group * shape.iter().product::<usize>());
    let bias = samples.numbers(out_channels);
    let mut y_dims = vec![dims[0], out_channels];
    y_dims.extend(reference::outputs(conv, &dims[2..]));
    let residual = samples.numbers(y_dims.iter().product());
    let expected = reference::conv(
        conv,
        (&x, dims),
        &weights,
        epilogue.bias.then_some(&*bias),
        epilogue.residual.then_some(&*residual),
        &y_dims,
    );

    let (x_type, x, packed) = if conv.weights == ConvWeights::PlainInput {
        (plain(dims), x, pack_plain_input(&weights, shape))
    } else {
        let packed = pack_blocked(&weights, group, shape);
        (TensorType::blocked(dims), block(&x, dims), packed)
    };
    let y_type = TensorType::blocked(&y_dims);
    let (padded, residual) = (
        block(&bias, &[1, out_channels, 1]),
        block(&residual, &y_dims),
    );
    let (weights_type, bias_type) = (plain(&[packed.len()]), plain(&[padded.len()]));
    let mut inputs = vec![(&x_type, &*x), (&weights_type, &*packed)];
    if epilogue.bias {
        inputs.push((&bias_type, &padded));
    }
    if epilogue.residual {
        inputs.push((&y_type, &residual));
    }
    let tolerance = 2e-6 * (shape[1] * taps + 1) as f32;
    for isa in Isa::available() {
        let y = run_f32(&Kernel::Conv(conv.clone()), isa, &inputs, &y_type).unwrap();
        let context = format!("{} {dims:?} → {out_channels} {conv:?}", isa.name());
        assert_close(&unblock(&y, &y_dims), &expected, tolerance, &context);
        assert_eq!(
            y.len(),
            y_dims[0]
                * out_channels.next_multiple_of(BLOCK)
                * y_dims[2..].iter().product::<usize>()
        );
    }
}

#[test]
fn pointwise_of_any_number_of_channels_and_pixels() {
    for channels in [1, 15, 16, 17, 40] {
        for out_channels in [1, 8, 9, 16, 24, 25, 100] {
            for size in [[1, 1], [1, 5], [3, 5], [4, 7]] {
                let dims = [2, channels, size[0], size[1]];
                check(
                    ConvWeights::Blocked,
                    [1, out_channels],
                    &dims,
                    &[POINT, POINT],
                );
            }
        }
    }
}

#[test]
fn pointwise_of_many_pixels_is_divided_into_chunks() {
    check(
        ConvWeights::Blocked,
        [1, 20],
        &[1, 80, 37, 41],
        &[POINT, POINT],
    );
    check(
        ConvWeights::Blocked,
        [1, 20],
        &[1, 1100, 1, 100],
        &[POINT, POINT],
    );
}

#[test]
fn images_of_one_pixel_are_computed_together() {
    for images in [1, 2, 7, 30] {
        check(
            ConvWeights::Blocked,
            [1, 24],
            &[images, 18, 1, 1],
            &[POINT, POINT],
        );
        check(ConvWeights::Blocked, [1, 24], &[images, 18, 1], &[POINT]);
    }
}

#[test]
fn windows_of_any_kind() {
    let windows = [
        THREE,
        [3, 2, 1, 1, 1],
        [3, 1, 1, 0, 0],
        [3, 2, 1, 0, 1],
        [2, 1, 1, 0, 1],
        [1, 2, 1, 0, 0],
        [1, 3, 1, 2, 2],
        [3, 1, 2, 2, 2],
        [2, 3, 3, 1, 5],
        [5, 1, 1, 4, 4],
        [4, 2, 2, 6, 3],
    ];
    for vertical in windows {
        for horizontal in windows {
            check(
                ConvWeights::Blocked,
                [1, 17],
                &[1, 18, 9, 10],
                &[vertical, horizontal],
            );
        }
    }
}

#[test]
fn one_spatial_axis() {
    for window in [
        POINT,
        THREE,
        [5, 2, 1, 2, 2],
        [3, 1, 4, 4, 4],
        [4, 3, 1, 0, 0],
    ] {
        for len in [7, 64, 301] {
            check(ConvWeights::Blocked, [1, 33], &[2, 20, len], &[window]);
            check(ConvWeights::PlainInput, [1, 33], &[2, 3, len], &[window]);
            for axis in [POINT, [1, 2, 1, 0, 0]] {
                let column = [window, axis];
                check(ConvWeights::Blocked, [1, 33], &[2, 20, len, 1], &column);
                check(ConvWeights::PlainInput, [1, 33], &[2, 3, len, 1], &column);
            }
        }
    }
    check(
        ConvWeights::Blocked,
        [1, 16],
        &[1, 64, 3000],
        &[[5, 1, 1, 2, 2]],
    );
}

#[test]
fn lines_are_divided_into_chunks() {
    check(
        ConvWeights::Blocked,
        [1, 24],
        &[1, 64, 50, 40],
        &[THREE, THREE],
    );
    check(
        ConvWeights::Blocked,
        [1, 24],
        &[1, 64, 50, 40],
        &[[3, 2, 1, 0, 0], [3, 2, 1, 0, 0]],
    );
    check(
        ConvWeights::PlainInput,
        [1, 24],
        &[1, 3, 120, 160],
        &[[3, 2, 1, 0, 1], [3, 2, 1, 0, 1]],
    );
}

#[test]
fn short_lines_are_put_together() {
    for size in 1..6 {
        check(
            ConvWeights::Blocked,
            [1, 128],
            &[2, 32, 5, size],
            &[THREE, THREE],
        );
        check(
            ConvWeights::Blocked,
            [1, 128],
            &[1, 32, 9, 2 * size],
            &[[3, 2, 1, 1, 1], [3, 2, 1, 1, 1]],
        );
        check(
            ConvWeights::Blocked,
            [1, 128],
            &[1, 32, 9, 2 * size],
            &[[1, 2, 1, 0, 0], [1, 2, 1, 0, 0]],
        );
    }
    check(
        ConvWeights::Blocked,
        [1, 100],
        &[1, 200, 5, 4],
        &[THREE, THREE],
    );
}

#[test]
fn groups_of_whole_blocks() {
    check(
        ConvWeights::Blocked,
        [3, 96],
        &[2, 48, 6, 8],
        &[THREE, THREE],
    );
    check(
        ConvWeights::Blocked,
        [4, 64],
        &[1, 128, 3, 3],
        &[THREE, THREE],
    );
    check(
        ConvWeights::Blocked,
        [2, 32],
        &[2, 64, 1, 1],
        &[POINT, POINT],
    );
}

#[test]
fn plain_input_of_few_channels() {
    for channels in 1..6 {
        for windows in [
            [THREE; 2],
            [[3, 2, 1, 1, 1]; 2],
            [[7, 2, 1, 3, 3]; 2],
            [[2, 2, 1, 0, 0]; 2],
            [POINT; 2],
        ] {
            check(
                ConvWeights::PlainInput,
                [1, 40],
                &[2, channels, 14, 19],
                &windows,
            );
        }
    }
}

#[test]
fn padding_wider_than_the_input() {
    check(
        ConvWeights::Blocked,
        [1, 8],
        &[1, 16, 2, 1],
        &[[3, 1, 1, 6, 5], [2, 2, 1, 7, 7]],
    );
    check(
        ConvWeights::PlainInput,
        [1, 8],
        &[1, 2, 1, 2],
        &[[3, 1, 1, 6, 5], [2, 2, 1, 7, 7]],
    );
}

#[test]
fn without_channels_only_the_epilogue_is_left() {
    check(
        ConvWeights::Blocked,
        [1, 20],
        &[1, 0, 3, 4],
        &[THREE, THREE],
    );
    check(
        ConvWeights::PlainInput,
        [1, 20],
        &[1, 0, 3, 4],
        &[THREE, THREE],
    );
}

#[test]
fn windows_of_no_channels_may_have_any_number_of_taps() {
    let wide = [1 << 28, 1, 1, (1 << 28) - 1, 0];
    let kernel = conv(ConvWeights::Blocked, 1, &[wide, wide], Epilogue::default());
    let inputs = [TensorType::blocked(&[1, 0, 1, 1]), plain(&[0])];
    let y = TensorType::blocked(&[1, 16, 1, 1]);
    let bound = crate::bind(&Kernel::Conv(kernel), &inputs, &[y], &Target::detect());
    assert_eq!(bound.map(|bound| bound.scratch_bytes()).ok(), Some(0));
}

#[test]
fn nothing_is_computed_where_nothing_is_asked_for() {
    check(
        ConvWeights::Blocked,
        [1, 20],
        &[0, 16, 3, 4],
        &[THREE, THREE],
    );
    check(
        ConvWeights::Blocked,
        [1, 0],
        &[1, 16, 3, 4],
        &[THREE, THREE],
    );
}

#[test]
fn infinities_and_nan_stay_in_the_windows_that_see_them() {
    let conv = conv(
        ConvWeights::Blocked,
        1,
        &[THREE, THREE],
        Epilogue::default(),
    );
    let dims = [1, 16, 5, 9];
    let mut x = vec![1.0; 16 * 45];
    x[0] = f32::NAN;
    x[44] = f32::INFINITY;
    let weights = pack_blocked(&vec![1.0; 16 * 16 * 9], 1, [16, 16, 9]);
    let tensor = TensorType::blocked(&dims);
    for isa in Isa::available() {
        let x = block(&x, &dims);
        let inputs = [(&tensor, &*x), (&plain(&[weights.len()]), &*weights)];
        let y = unblock(
            &run_f32(&Kernel::Conv(conv.clone()), isa, &inputs, &tensor).unwrap(),
            &dims,
        );
        for (i, y) in y[..45].iter().enumerate() {
            let (row, column) = (i / 9, i % 9);
            assert_eq!(y.is_nan(), row < 2 && column < 2, "{} {i}", isa.name());
            assert_eq!(y.is_infinite(), row > 2 && column > 6, "{} {i}", isa.name());
        }
    }
}

#[test]
fn refuses_types_that_contradict_each_other() {
    let bind = |conv: &Conv, x: TensorType, weights: usize, y: TensorType| {
        let inputs = [x, plain(&[weights])];
        crate::bind(
            &Kernel::Conv(conv.clone()),
            &inputs,
            &[y],
            &Target::detect(),
        )
        .map(|_| ())
    };
    let blocked = |dims: &[usize]| TensorType::blocked(dims);
    let good = conv(
        ConvWeights::Blocked,
        1,
        &[THREE, THREE],
        Epilogue::default(),
    );
    let first = conv(
        ConvWeights::PlainInput,
        1,
        &[THREE, THREE],
        Epilogue::default(),
    );
    let grouped = conv(
        ConvWeights::Blocked,
        2,
        &[THREE, THREE],
        Epilogue::default(),
    );
    let (small, large) = ([1, 16, 4, 4], [1, 32, 4, 4]);
    let len = 16 * 16 * 9;
    assert_eq!(bind(&good, blocked(&small), len, blocked(&small)), Ok(()));
    assert_eq!(
        bind(&grouped, blocked(&large), 2 * len, blocked(&large)),
        Ok(())
    );
    for (conv, x, weights, y) in [
        (&good, blocked(&small), len - 16, blocked(&small)),
        (&good, plain(&small), len, blocked(&small)),
        (&good, blocked(&small), len, plain(&small)),
        (&first, blocked(&small), len, blocked(&small)),
        (&good, blocked(&small), len, blocked(&[1, 16, 4, 5])),
        (&good, blocked(&[2, 16, 4, 4]), len, blocked(&small)),
        (&good, blocked(&[1, 16, 4]), len, blocked(&[1, 16, 4])),
        (&grouped, blocked(&small), len / 2, blocked(&small)),
        (
            &Conv {
                group: 0,
                ..good.clone()
            },
            blocked(&small),
            len,
            blocked(&small),
        ),
        (
            &Conv {
                kernel: vec![3],
                ..good.clone()
            },
            blocked(&small),
            len,
            blocked(&small),
        ),
        (
            &Conv {
                strides: vec![0, 1],
                ..good.clone()
            },
            blocked(&small),
            len,
            blocked(&small),
        ),
    ] {
        let error = bind(conv, x, weights, y).unwrap_err().to_string();
        assert!(error.contains("expected"), "{error}");
    }
}

#[test]
fn windows_that_reach_far_do_not_overflow() {
    let far = [2, 1, u32::MAX, u32::MAX, u32::MAX];
    let kernel = Kernel::Conv(conv(ConvWeights::Blocked, 1, &[far], Epilogue::default()));
    for images in [0, 1] {
        let inputs = [TensorType::blocked(&[images, 16, 4]), plain(&[16 * 16 * 2])];
        let y = TensorType::blocked(&[images, 16, u32::MAX as usize + 4]);
        let bound = crate::bind(&kernel, &inputs, &[y], &Target::detect()).unwrap();
        assert_eq!(bound.scratch_bytes() > 0, images > 0);
    }
}
