//! Convolutions, products of matrices, attention and recurrent cells.
//!
//! Packed weights hold 16 output channels side by side: `[⌈Co/16⌉][…][16]`, with zeros beyond the last
//! channel, so that one load gives the weights of one vector of AVX-512, two of AVX2, four of NEON or WebAssembly.

use serde::{Deserialize, Serialize};

/// A convolution over one or two spatial axes.
///
/// # Source
/// ONNX `Conv`, opset 11.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conv {
    /// How the weights are packed, and with that which algorithm computes.
    pub weights: ConvWeights,
    /// How many groups the channels are divided into.
    pub group: u32,
    /// The window's size along each spatial axis.
    pub kernel: Vec<u32>,
    /// The window's step along each spatial axis.
    pub strides: Vec<u32>,
    /// The distance of the window's elements along each spatial axis.
    pub dilations: Vec<u32>,
    /// Zeros in front of each spatial axis.
    pub pads_before: Vec<u32>,
    /// Zeros behind each spatial axis.
    pub pads_after: Vec<u32>,
    /// What is done with each sum.
    pub epilogue: Epilogue,
}

/// How the weights of a convolution are packed. `Co` and `Ci` are channels of one group.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum ConvWeights {
    /// `[group × ⌈Co/16⌉][Kh][Kw][Ci][16]`. With several groups, `Co` and `Ci` are multiples of 16. `x` and `y` are blocked.
    Blocked,
    /// `[⌈Co/16⌉][Ci][Kh][Kw][16]`, for few channels (a network's first layer): `x` is plain and `y` blocked. One group.
    PlainInput,
    /// `[C/16][Kh][Kw][16]`, for one channel a group, as many out as in. `x` and `y` are blocked.
    Depthwise,
    /// `[Co][Ci][Kh][Kw]` as ONNX has it, for any other grouping. `x` and `y` are plain.
    Plain,
}

/// A transposed convolution, over one or two spatial axes.
///
/// # Source
/// ONNX `ConvTranspose`, opset 11.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConvTranspose {
    /// How many groups the channels are divided into. Weights are `[Ci][Co/group][Kh][Kw]`, as ONNX has them.
    pub group: u32,
    /// The window's size along each spatial axis.
    pub kernel: Vec<u32>,
    /// The window's step along each spatial axis of the output.
    pub strides: Vec<u32>,
    /// The distance of the window's elements.
    pub dilations: Vec<u32>,
    /// How much is cut off in front of each spatial axis of the output.
    pub pads_before: Vec<u32>,
    /// What is done with each sum. Without residual.
    pub epilogue: Epilogue,
}

/// What is done with each sum: `activation(sum + bias + residual)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Epilogue {
    /// Whether there is an input with one number an output channel or column, padded with zeros to a multiple of 16.
    pub bias: bool,
    /// Whether there is an input of the output's dims and layout.
    pub residual: bool,
    /// What is done last.
    pub activation: Activation,
}

/// A function of a number, computed where the number is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Activation {
    /// The number itself.
    #[default]
    None,
    /// `min(max(x, low), high)`: ReLU is `(0, ∞)`, ReLU6 is `(0, 6)`. NaN becomes `low`.
    Clamp {
        /// The least result.
        low: f32,
        /// The largest result.
        high: f32,
    },
    /// Any other function.
    Unary(super::UnaryOp),
}

/// A product of matrices, `[.., M, K] × [.., K, N] → [.., M, N]`.
///
/// # Source
/// ONNX `MatMul` and `Gemm`, opset 13.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatMul {
    /// What the right-hand side is.
    pub rhs: MatMulRhs,
    /// What each product is multiplied with.
    pub scale: f32,
    /// What is done with each sum. Bias has one number a column.
    pub epilogue: Epilogue,
}

/// What the right-hand side of a product is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum MatMulRhs {
    /// `[⌈N/16⌉][K][16]`, f32 or f16, the same for all matrices of the left-hand side.
    Packed,
    /// `[.., K, N]`, one for each matrix of the left-hand side, or one for all: leading dims of size 1 are repeated.
    Plain,
    /// `[.., N, K]`, likewise.
    Transposed,
}

/// `softmax(q × kᵀ × scale + mask) × v`, over `[.., L, D]` with equal leading dims.
///
/// # Shapes
/// `q [.., Lq, D]`, `k [.., Lk, D]`, `v [.., Lk, Dv]`, `mask` broadcast to `[.., Lq, Lk]`, `y [.., Lq, Dv]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attention {
    /// What each product of `q` and `k` is multiplied with.
    pub scale: f32,
    /// Whether there is a mask, which is added.
    pub mask: bool,
    /// Whether `k` is given as `[.., D, Lk]`.
    pub transposed_k: bool,
}

/// A recurrent network: `x, w, r, [bias], [lengths], [h₀], [c₀], [peepholes] → [y], [y_h], [y_c]`.
///
/// # Shapes
/// For `D` directions: `x [T, B, I]`, `w [D][⌈G·H/16⌉][I][16]`, `r [D][⌈G·H/16⌉][H][16]` (packed, with `G` gates in ONNX's order),
/// `bias [D, 2·G·H]`, `lengths [B]` (i32), `h₀`, `c₀` `[D, B, H]`, `peepholes [D, 3·H]`, `y [T, D, B, H]`, `y_h`, `y_c` `[D, B, H]`.
///
/// # Source
/// ONNX `LSTM`, `GRU`, `RNN`, opset 14, with the default activations and `layout` 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recurrent {
    /// What is computed for each element of the sequence.
    pub cell: RecurrentCell,
    /// How many numbers the state has.
    pub hidden: u32,
    /// Whether the first direction runs from the end.
    pub reverse: bool,
    /// Whether there is a second direction, which runs from the end.
    pub bidirectional: bool,
    /// Which of the optional inputs there are: bias, lengths, h₀, c₀, peepholes.
    pub inputs: [bool; 5],
    /// Which of the outputs there are: y, y_h, y_c.
    pub outputs: [bool; 3],
}

/// The cell of a recurrent network.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum RecurrentCell {
    /// Four gates: input, output, forget, cell.
    Lstm,
    /// Three gates: update, reset, hidden.
    Gru {
        /// Whether the reset gate is applied after the product.
        linear_before_reset: bool,
    },
    /// One gate, with tanh.
    Tanh,
}
