//! What tests of convolutions have in common.

use tensorlet_plan::kernel::{Conv, ConvWeights, Epilogue};

/// One number for each spatial axis: kernel, stride, dilation, pad before, pad after.
pub(super) type Window = [u32; 5];

pub(super) const POINT: Window = [1, 1, 1, 0, 0];
pub(super) const THREE: Window = [3, 1, 1, 1, 1];

/// A convolution with these windows, one for each spatial axis.
pub(super) fn conv(
    weights: ConvWeights,
    group: usize,
    windows: &[Window],
    epilogue: Epilogue,
) -> Conv {
    let all = |i: usize| windows.iter().map(|window| window[i]).collect();
    Conv {
        weights,
        group: group as u32,
        kernel: all(0),
        strides: all(1),
        dilations: all(2),
        pads_before: all(3),
        pads_after: all(4),
        epilogue,
    }
}
