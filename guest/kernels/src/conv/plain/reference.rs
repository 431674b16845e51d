//! Convolutions by plain loops: the oracle of every kind.

use tensorlet_plan::kernel::{Activation, Conv};

use crate::isa::Isa;
use crate::unary;
use crate::window::{Axis, Windows};

/// Computes a convolution of plain tensors, with the weights as ONNX has them and sums in f64.
pub(in crate::conv) fn conv(
    conv: &Conv,
    (x, x_dims): (&[f32], &[usize]),
    weights: &[f32],
    bias: Option<&[f32]>,
    residual: Option<&[f32]>,
    y_dims: &[usize],
) -> Vec<f32> {
    let windows = Windows {
        kernel: &conv.kernel,
        strides: &conv.strides,
        dilations: &conv.dilations,
        pads_before: &conv.pads_before,
    };
    let [vertical, horizontal]: [Axis; 2] = windows.axes(&x_dims[2..], &y_dims[2..]).unwrap();
    let groups = conv.group as usize;
    let (ci, co) = (x_dims[1] / groups.max(1), y_dims[1] / groups.max(1));
    let mut y = Vec::new();
    for row in 0..y_dims[0] {
        for channel in 0..y_dims[1] {
            for (oy, ox) in
                (0..vertical.output).flat_map(|oy| (0..horizontal.output).map(move |ox| (oy, ox)))
            {
                let mut sum = bias.map_or(0.0, |bias| f64::from(bias[channel]));
                for i in 0..ci {
                    let x_channel = row * x_dims[1] + channel / co * ci + i;
                    for ky in vertical.taps(oy) {
                        for kx in horizontal.taps(ox) {
                            let at = (x_channel * vertical.input + vertical.element(oy, ky))
                                * horizontal.input
                                + horizontal.element(ox, kx);
                            let tap = ((channel * ci + i) * vertical.kernel + ky)
                                * horizontal.kernel
                                + kx;
                            sum += f64::from(x[at]) * f64::from(weights[tap]);
                        }
                    }
                }
                if let Some(residual) = residual {
                    sum += f64::from(residual[y.len()]);
                }
                y.push(sum as f32);
            }
        }
    }
    match conv.epilogue.activation {
        Activation::None => {}
        Activation::Clamp { low, high } => {
            for y in &mut y {
                *y = if y.is_nan() {
                    low
                } else {
                    y.max(low).min(high)
                };
            }
        }
        Activation::Unary(op) => unary::apply_in_place(op, Isa::SCALAR, &mut y),
    }
    y
}

/// Returns how many outputs a convolution has along each spatial axis.
pub(in crate::conv) fn outputs(conv: &Conv, input: &[usize]) -> Vec<usize> {
    (0..input.len())
        .map(|i| {
            let padded = input[i] + (conv.pads_before[i] + conv.pads_after[i]) as usize;
            let reach = ((conv.kernel[i] - 1) * conv.dilations[i]) as usize;
            (padded - reach - 1) / conv.strides[i] as usize + 1
        })
        .collect()
}
