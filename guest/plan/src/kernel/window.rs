//! Pooling, reductions, normalisations and resizing.

use serde::{Deserialize, Serialize};

/// Pooling over one to three spatial axes.
///
/// # Source
/// ONNX `MaxPool`, `AveragePool`, `LpPool`, opset 19.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    /// What is computed for each window.
    pub kind: PoolKind,
    /// The window's size along each spatial axis.
    pub kernel: Vec<u32>,
    /// The window's step along each spatial axis.
    pub strides: Vec<u32>,
    /// The distance of the window's elements along each spatial axis.
    pub dilations: Vec<u32>,
    /// How far windows begin in front of each spatial axis.
    pub pads_before: Vec<u32>,
    /// How far padding extends behind each spatial axis. Windows may end later still (ONNX `ceil_mode`): the dims of the output tell.
    pub pads_after: Vec<u32>,
}

/// What is computed for each window.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum PoolKind {
    /// The largest element. f32, i8 or u8.
    Max,
    /// The mean of the elements.
    Average {
        /// Whether zeros in the padding count.
        count_padding: bool,
    },
    /// `(Σ |x|^p)^(1/p)`.
    Lp {
        /// The exponent.
        p: u32,
    },
}

/// A reduction over axes. The output has the input's dims with those axes of size 1, or without them.
///
/// # Source
/// ONNX `ReduceSum` and others, opset 18.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Reduce {
    /// What is computed.
    pub op: ReduceOp,
    /// Over which axes, ascending.
    pub axes: Vec<u32>,
}

/// What a reduction computes. f32; sum, product, minimum and maximum of i64 and i32 too.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum ReduceOp {
    /// `Σ x`.
    Sum,
    /// `Σ x / n`.
    Mean,
    /// NaN if any is.
    Max,
    /// NaN if any is.
    Min,
    /// `Π x`.
    Product,
    /// `Σ |x|`.
    L1,
    /// `sqrt(Σ x²)`.
    L2,
    /// `Σ x²`.
    SumSquare,
    /// `log(Σ x)`.
    LogSum,
    /// `log(Σ exp(x))`, without overflow.
    LogSumExp,
}

/// A normalisation. Scale and bias are as long as the axis or axes that they apply to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalise {
    /// Over what.
    pub kind: NormaliseKind,
    /// What is added to the variance.
    pub epsilon: f32,
    /// Whether there is an input that the result is multiplied with.
    pub scale: bool,
    /// Whether there is an input that is added last.
    pub bias: bool,
}

/// Over what a normalisation takes mean and variance.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum NormaliseKind {
    /// Over all axes from `axis` on; scale and bias have their dims. ONNX `LayerNormalization`.
    Layer {
        /// The first axis.
        axis: u32,
    },
    /// Over one axis that is not the last; scale and bias are as long as it.
    Axis {
        /// The axis.
        axis: u32,
    },
    /// As `Layer`, by the mean of squares alone.
    RootMeanSquare {
        /// The first axis.
        axis: u32,
    },
    /// Over groups of channels (axis 1) and all spatial axes; scale and bias are one number a channel. ONNX `GroupNormalization`;
    /// with as many groups as channels, `InstanceNormalization`.
    Group {
        /// How many groups.
        groups: u32,
    },
}

/// Resizes the axes from 2 on. The dims of the output tell the sizes.
///
/// # Source
/// ONNX `Resize`, opset 19, without regions, antialiasing or `exclude_outside`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resize {
    /// How elements are computed.
    pub mode: ResizeMode,
    /// How a position in the output becomes one in the input.
    pub coordinates: ResizeCoordinates,
    /// The factor along each axis of the tensor, if the model gives factors, else empty and it is the ratio of the dims.
    pub scales: Vec<f32>,
}

/// How the elements of a resized tensor are computed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum ResizeMode {
    /// The nearest element, rounding as said.
    Nearest(NearestRounding),
    /// Linear interpolation.
    Linear,
    /// Cubic interpolation with this coefficient.
    Cubic {
        /// ONNX's `cubic_coeff_a`.
        coefficient: f32,
    },
}

/// How a position becomes an index.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum NearestRounding {
    /// To the nearest integer, ties down.
    PreferFloor,
    /// To the nearest integer, ties up.
    PreferCeil,
    /// Down.
    Floor,
    /// Up.
    Ceil,
}

/// How a position in the output becomes one in the input.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum ResizeCoordinates {
    /// `(x + 0.5) / scale - 0.5`.
    HalfPixel,
    /// As `HalfPixel`, centred where factor and sizes do not agree.
    HalfPixelSymmetric,
    /// As `HalfPixel`, but 0 where the output has size 1.
    PytorchHalfPixel,
    /// `x × (input - 1) / (output - 1)`.
    AlignCorners,
    /// `x / scale`.
    Asymmetric,
}
