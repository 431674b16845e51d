//! Tests of convolutions of plain tensors: kernels against plain loops, at odd sizes.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{Activation, Conv, ConvWeights, Epilogue, UnaryOp};

use super::reference;
use crate::bind::bind;
use crate::conv::testing::{self, Window};
use crate::isa::Isa;
use crate::run::Target;
use crate::tensor_type::TensorType;
use crate::trial::{Samples, assert_close, plain, run_f32};

const NONE: Epilogue = Epilogue {
    bias: false,
    residual: false,
    activation: Activation::None,
};

fn conv(group: u32, windows: &[Window], epilogue: Epilogue) -> Conv {
    testing::conv(ConvWeights::Plain, group as usize, windows, epilogue)
}

fn check(dims: &[usize], co: usize, group: u32, windows: &[Window], epilogue: Epilogue) {
    let conv = conv(group, windows, epilogue);
    let mut samples = Samples::new(co as u32);
    let mut y_dims = vec![dims[0], co];
    y_dims.extend(reference::outputs(&conv, &dims[2..]));
    let mut weights_dims = vec![co, dims[1] / group as usize];
    weights_dims.extend(conv.kernel.iter().map(|&size| size as usize));
    let types = [
        plain(dims),
        plain(&weights_dims),
        plain(&[co]),
        plain(&y_dims),
    ];
    let [x, weights, bias, residual] = [0, 1, 2, 3].map(|i| samples.numbers(types[i].len()));
    let expected = reference::conv(
        &conv,
        (&x, dims),
        &weights,
        epilogue.bias.then_some(&*bias),
        epilogue.residual.then_some(&*residual),
        &y_dims,
    );
    let mut inputs: Vec<(&TensorType, &[f32])> = vec![(&types[0], &x), (&types[1], &weights)];
    inputs.extend(epilogue.bias.then_some((&types[2], &bias[..])));
    inputs.extend(epilogue.residual.then_some((&types[3], &residual[..])));
    for isa in Isa::available() {
        let y = run_f32(&Kernel::Conv(conv.clone()), isa, &inputs, &types[3]).unwrap();
        assert_close(&y, &expected, 1e-5, &format!("{isa:?} {dims:?} {conv:?}"));
    }
}

#[test]
fn any_grouping_agrees_with_the_reference() {
    for size in [1, 2, 5, 8, 17] {
        for group in [1, 2, 3, 6] {
            check(
                &[2, 6, size, size + 2],
                12,
                group,
                &[[3, 1, 1, 1, 1]; 2],
                NONE,
            );
            check(&[1, 6, size], 6, group, &[[1, 1, 1, 0, 0]], NONE);
        }
    }
    check(&[1, 8, 30, 40], 8, 2, &[[3, 1, 1, 1, 1]; 2], NONE);
    check(&[1, 64, 120, 60], 4, 2, &[[3, 1, 1, 1, 1]; 2], NONE);
}

#[test]
fn any_window_agrees_with_the_reference() {
    check(
        &[1, 4, 9, 11],
        4,
        2,
        &[[3, 2, 1, 0, 1], [2, 3, 2, 1, 0]],
        NONE,
    );
    check(
        &[1, 4, 9, 11],
        4,
        2,
        &[[5, 1, 2, 4, 4], [1, 1, 1, 0, 3]],
        NONE,
    );
    check(&[1, 4, 3], 4, 4, &[[7, 1, 1, 3, 3]], NONE);
}

#[test]
fn epilogues_come_after_the_sum() {
    for activation in [
        Activation::None,
        Activation::Clamp {
            low: -0.5,
            high: 0.5,
        },
        Activation::Unary(UnaryOp::Tanh),
    ] {
        for (bias, residual) in [(true, false), (false, true), (true, true)] {
            let epilogue = Epilogue {
                bias,
                residual,
                activation,
            };
            check(&[2, 6, 5, 5], 4, 2, &[[3, 1, 1, 1, 1]; 2], epilogue);
        }
    }
}

#[test]
fn refuses_what_does_not_fit() {
    let refused = |group: u32, epilogue, inputs: &[&[usize]], y: &[usize]| {
        let kernel = Kernel::Conv(conv(group, &[[3, 1, 1, 1, 1]; 2], epilogue));
        let inputs: Vec<TensorType> = inputs.iter().map(|dims| plain(dims)).collect();
        bind(&kernel, &inputs, &[plain(y)], &Target::of(Isa::SCALAR))
            .err()
            .unwrap()
    };
    let (x, w, y): (&[usize], &[usize], &[usize]) = (&[1, 4, 5, 5], &[6, 2, 3, 3], &[1, 6, 5, 5]);
    let bias = Epilogue { bias: true, ..NONE };
    let residual = Epilogue {
        residual: true,
        ..NONE
    };
    refused(0, NONE, &[x, w], y);
    refused(3, NONE, &[x, w], y);
    refused(1, NONE, &[x, w], y);
    refused(2, NONE, &[x], y);
    refused(2, NONE, &[x, w, &[6]], y);
    refused(2, bias, &[x, w], y);
    refused(2, bias, &[x, w, &[5]], y);
    refused(2, residual, &[x, w, &[1, 6, 5, 4]], y);
    refused(2, NONE, &[x, w], &[1, 6, 5, 4]);
    refused(2, NONE, &[x, w], &[2, 6, 5, 5]);
}
