//! Tests of depthwise convolutions: kernels against plain loops, at odd sizes.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{Activation, Conv, ConvWeights, Epilogue, UnaryOp};

use super::*;
use crate::conv::plain::reference;
use crate::conv::testing::{self, Window};
use crate::tensor_type::TensorType;
use crate::trial::{Samples, assert_close, block, plain, run_f32, unblock};

fn conv(channels: usize, windows: &[Window], epilogue: Epilogue) -> Conv {
    testing::conv(ConvWeights::Depthwise, channels, windows, epilogue)
}

/// Compares with the reference, for every instruction set.
fn check(dims: &[usize], windows: &[Window], epilogue: Epilogue) {
    let conv = conv(dims[1], windows, epilogue);
    let mut samples = Samples::new(dims.iter().sum::<usize>() as u32);
    let taps: usize = conv.kernel.iter().map(|&k| k as usize).product();
    let x = samples.numbers(dims.iter().product());
    let weights = samples.numbers(dims[1] * taps);
    let bias = samples.numbers(dims[1]);
    let mut y_dims = dims[..2].to_vec();
    y_dims.extend(reference::outputs(&conv, &dims[2..]));
    let residual = samples.numbers(y_dims.iter().product());
    let expected = reference::conv(
        &conv,
        (&x, dims),
        &weights,
        epilogue.bias.then_some(&*bias),
        epilogue.residual.then_some(&*residual),
        &y_dims,
    );

    let packed = pack_depthwise(&weights, dims[1], taps);
    let padded = block(&bias, &[1, dims[1], 1]);
    let blocked = (block(&x, dims), block(&residual, &y_dims));
    let (x_type, y_type) = (TensorType::blocked(dims), TensorType::blocked(&y_dims));
    let (weights_type, bias_type) = (plain(&[packed.len()]), plain(&[padded.len()]));
    let mut inputs = vec![(&x_type, &*blocked.0), (&weights_type, &*packed)];
    if epilogue.bias {
        inputs.push((&bias_type, &padded));
    }
    if epilogue.residual {
        inputs.push((&y_type, &blocked.1));
    }
    for isa in Isa::available() {
        let y = run_f32(&Kernel::Conv(conv.clone()), isa, &inputs, &y_type).unwrap();
        let context = format!("{} {dims:?} {conv:?}", isa.name());
        assert_close(&unblock(&y, &y_dims), &expected, 1e-5, &context);
    }
}

const PLAIN: Epilogue = Epilogue {
    bias: false,
    residual: false,
    activation: Activation::None,
};

#[test]
fn every_window_agrees_with_the_reference_at_every_width() {
    for (kernel, stride) in [
        (3, 1),
        (3, 2),
        (5, 1),
        (5, 2),
        (7, 1),
        (1, 1),
        (2, 1),
        (4, 3),
        (7, 2),
    ] {
        let pad = kernel / 2;
        for width in (1..=18).chain([23, 31, 40]) {
            if width as u32 + 2 * pad < kernel {
                continue;
            }
            let window = [kernel, stride, 1, pad, pad];
            check(&[1, 5, 4, width], &[window, window], PLAIN);
        }
    }
}

#[test]
fn padding_may_be_uneven_absent_or_wider_than_the_window() {
    for kernel in [2, 3, 5, 7] {
        for (before, after) in [
            (0, 0),
            (0, 1),
            (1, 0),
            (2, 0),
            (0, 3),
            (6, 7),
            (20, 1),
            (1, 20),
        ] {
            for stride in 1..=3 {
                let window = [kernel, stride, 1, before, after];
                check(&[1, 3, 7, 9], &[window, window], PLAIN);
            }
        }
    }
}

#[test]
fn axes_may_differ() {
    check(&[2, 17, 9, 11], &[[3, 1, 1, 1, 1], [5, 2, 1, 2, 2]], PLAIN);
    check(&[1, 33, 12, 5], &[[1, 1, 1, 0, 0], [3, 1, 1, 1, 1]], PLAIN);
    check(&[1, 16, 12, 30], &[[5, 2, 3, 4, 4], [3, 1, 1, 0, 2]], PLAIN);
    check(&[3, 32, 3, 6], &[[7, 1, 1, 3, 3], [3, 2, 1, 1, 0]], PLAIN);
}

#[test]
fn windows_may_be_dilated() {
    for dilation in 2..=4 {
        for stride in 1..=2 {
            let window = [3, stride, dilation, dilation, dilation];
            check(&[1, 20, 13, 17], &[window, window], PLAIN);
        }
    }
}

#[test]
fn one_spatial_axis_is_enough() {
    check(&[2, 24, 50], &[[31, 1, 1, 15, 15]], PLAIN);
    check(&[2, 24, 50], &[[5, 1, 1, 4, 0]], PLAIN);
    check(&[1, 8, 9], &[[3, 2, 2, 1, 1]], PLAIN);
}

#[test]
fn sums_get_bias_residual_and_activation() {
    let activations = [
        Activation::None,
        Activation::Clamp {
            low: 0.0,
            high: 6.0,
        },
        Activation::Clamp {
            low: -0.25,
            high: f32::INFINITY,
        },
        Activation::Unary(UnaryOp::Sigmoid),
    ];
    for activation in activations {
        for (bias, residual) in [(false, true), (true, false), (true, true)] {
            let epilogue = Epilogue {
                bias,
                residual,
                activation,
            };
            let window = [3, 1, 1, 1, 1];
            check(&[2, 19, 20, 22], &[window, window], epilogue);
            check(
                &[1, 19, 6, 22],
                &[[2, 1, 1, 1, 1], [2, 1, 1, 1, 1]],
                epilogue,
            );
        }
    }
}

#[test]
fn tensors_may_be_empty() {
    let window = [3, 1, 1, 1, 1];
    check(&[0, 16, 4, 4], &[window, window], PLAIN);
    check(&[2, 0, 4, 4], &[window, window], PLAIN);
    check(&[1, 3, 4, 0], &[window, [2, 1, 1, 1, 1]], PLAIN);
}

#[test]
fn numbers_that_are_not_finite_stay_where_they_are_seen() {
    let dims = [1, 1, 1, 9];
    let mut x = vec![1.0; 9];
    x[4] = f32::NAN;
    x[8] = f32::INFINITY;
    let packed = pack_depthwise(&[1.0, 1.0, 1.0], 1, 3);
    let horizontal = [[1, 1, 1, 0, 0], [3, 1, 1, 1, 1]];
    let clamp = Activation::Clamp {
        low: 0.0,
        high: 6.0,
    };
    for isa in Isa::available() {
        for activation in [Activation::None, clamp] {
            let epilogue = Epilogue {
                activation,
                ..PLAIN
            };
            let y = run_f32(
                &Kernel::Conv(conv(1, &horizontal, epilogue)),
                isa,
                &[
                    (&TensorType::blocked(&dims), &block(&x, &dims)),
                    (&plain(&[packed.len()]), &packed),
                ],
                &TensorType::blocked(&dims),
            );
            let y = unblock(&y.unwrap(), &dims);
            let (nan, infinity) = match activation {
                Activation::None => (f32::NAN, f32::INFINITY),
                _ => (0.0, 6.0),
            };
            let expected = [2.0, 3.0, 3.0, nan, nan, nan, 3.0, infinity, infinity];
            assert_close(&y, &expected, 0.0, isa.name());
        }
    }
}

#[test]
fn weights_are_packed_in_blocks() {
    let weights: Vec<f32> = (0..34).map(|i| i as f32 + 1.0).collect();
    let packed = pack_depthwise(&weights, 17, 2);
    assert_eq!(packed.len(), 64);
    assert_eq!(packed[..3], [1.0, 3.0, 5.0]);
    assert_eq!(packed[16..19], [2.0, 4.0, 6.0]);
    assert_eq!(packed[32..34], [33.0, 0.0]);
    assert_eq!(packed[48..50], [34.0, 0.0]);
    assert!(pack_depthwise(&[], 0, 9).is_empty());
    assert!(pack_depthwise(&[], 9, 0).is_empty());
}

#[test]
fn refuses_what_contradicts_itself() {
    let window = [3, 1, 1, 1, 1];
    let x = TensorType::blocked(&[1, 16, 4, 4]);
    let weights = plain(&[9 * 16]);
    let good = conv(16, &[window, window], PLAIN);
    let refused = |conv: &Conv, inputs: &[&TensorType], output: &TensorType| {
        let inputs: Vec<TensorType> = inputs.iter().map(|&tensor| tensor.clone()).collect();
        let kernel = Kernel::Conv(conv.clone());
        let bound = crate::bind(
            &kernel,
            &inputs,
            std::slice::from_ref(output),
            &Target::detect(),
        );
        bound.is_err()
    };
    assert!(!refused(&good, &[&x, &weights], &x));
    assert!(refused(&good, &[&x], &x));
    assert!(refused(&good, &[&x, &weights, &weights], &x));
    assert!(refused(&good, &[&x, &plain(&[9 * 15])], &x));
    assert!(refused(&good, &[&x, &x], &x));
    assert!(refused(&good, &[&plain(&[1, 16, 4, 4]), &weights], &x));
    assert!(refused(&good, &[&x, &weights], &plain(&[1, 16, 4, 4])));
    assert!(refused(
        &good,
        &[&x, &weights],
        &TensorType::blocked(&[1, 16, 4, 5])
    ));
    assert!(refused(
        &good,
        &[&x, &weights],
        &TensorType::blocked(&[2, 16, 4, 4])
    ));
    assert!(refused(
        &good,
        &[&x, &weights],
        &TensorType::blocked(&[1, 16, 4])
    ));
    assert!(refused(
        &conv(8, &[window, window], PLAIN),
        &[&x, &weights],
        &x
    ));
    assert!(refused(&conv(16, &[window], PLAIN), &[&x, &weights], &x));
    assert!(refused(&conv(16, &[window; 3], PLAIN), &[&x, &weights], &x));
    assert!(refused(
        &conv(16, &[window, [3, 0, 1, 1, 1]], PLAIN),
        &[&x, &weights],
        &x
    ));
    let all = Epilogue {
        bias: true,
        residual: true,
        ..PLAIN
    };
    let all = conv(16, &[window, window], all);
    assert!(!refused(&all, &[&x, &weights, &plain(&[16]), &x], &x));
    assert!(refused(&all, &[&x, &weights, &plain(&[15]), &x], &x));
    assert!(refused(
        &all,
        &[&x, &weights, &plain(&[16]), &plain(&[1, 16, 4, 4])],
        &x
    ));
    assert!(refused(&all, &[&x, &weights, &plain(&[16])], &x));
    let volume = TensorType::blocked(&[1, 16, 4, 4, 4]);
    assert!(refused(
        &conv(16, &[window; 3], PLAIN),
        &[&volume, &plain(&[27 * 16])],
        &volume
    ));
}
