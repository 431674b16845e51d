//! The kernels that steps call, with their attributes.
//!
//! A kernel's inputs and outputs are dense row-major tensors, unless it says otherwise. What a size depends on is
//! in the dims of the values, so attributes hold only what dims do not tell.
//!
//! - [`linear`]: convolutions, products of matrices, attention, recurrent cells.
//! - [`pointwise`]: one element at a time, with broadcasting.
//! - [`window`]: pooling, reductions, normalisations, resizing.
//! - [`movement`]: elements that move without being computed with.

pub mod linear;
pub mod movement;
pub mod pointwise;
pub mod window;

use serde::{Deserialize, Serialize};

pub use linear::{
    Activation, Attention, Conv, ConvTranspose, ConvWeights, Epilogue, MatMul, MatMulRhs,
    Recurrent, RecurrentCell,
};
pub use movement::{Gather, OutOfRange, Pad, PadMode, Scatter, ScatterReduction, Slice, TopK};
pub use pointwise::{BinaryOp, UnaryOp};
pub use window::{
    Normalise, NormaliseKind, Pool, PoolKind, Reduce, ReduceOp, Resize, ResizeCoordinates,
    ResizeMode,
};

/// What a step computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Kernel {
    /// A convolution: `x, weights, [bias], [residual] → y`. `x` and `y` in [`Layout::Blocked`](crate::Layout), but see
    /// [`ConvWeights`].
    Conv(Conv),
    /// A transposed convolution: `x, weights, [bias] → y`.
    ConvTranspose(ConvTranspose),
    /// A product of matrices: `a, b, [bias], [residual] → y`.
    MatMul(MatMul),
    /// Scaled dot-product attention: `q, k, v, [mask] → y`.
    Attention(Attention),
    /// A recurrent network over a sequence.
    Recurrent(Recurrent),
    /// A function of each element: `x → y`. Any layout, the same for both.
    Unary(UnaryOp),
    /// A function of two elements, with broadcasting: `a, b → y`. Blocked if all are, with the same number of axes.
    Binary(BinaryOp),
    /// `condition, a, b → y`, with broadcasting.
    Where,
    /// Converts elements to the datum type of the output: `x → y`. From float to integer it truncates and
    /// saturates; to bool, any number but zero is true.
    Cast,
    /// Pooling over the spatial axes: `x → y`. Any layout, the same for both.
    Pool(Pool),
    /// A reduction over axes: `x → y`. Blocked only when the axes are all spatial ones, with `y` blocked and these of size 1.
    Reduce(Reduce),
    /// The index of the largest or smallest element along an axis, as i64: `x → y`.
    ArgReduce {
        /// Whether the smallest is looked for.
        minimum: bool,
        /// Along which axis.
        axis: u32,
        /// Of equal elements, whether the last one counts.
        last: bool,
    },
    /// Softmax along an axis: `x → y`.
    Softmax {
        /// Along which axis.
        axis: u32,
        /// Whether the result is its logarithm.
        log: bool,
    },
    /// A normalisation: `x, [scale], [bias] → y`.
    Normalise(Normalise),
    /// Local response normalisation over axis 1: `x → y`.
    Lrn {
        /// How many channels are summed.
        size: u32,
        /// See ONNX `LRN`.
        alpha: f32,
        /// See ONNX `LRN`.
        beta: f32,
        /// See ONNX `LRN`.
        bias: f32,
    },
    /// Running sums along an axis: `x → y`.
    CumSum {
        /// Along which axis.
        axis: u32,
        /// Whether an element does not count itself.
        exclusive: bool,
        /// Whether sums run from the end.
        reverse: bool,
    },
    /// Resizes the spatial axes: `x → y`. Any layout, the same for both.
    Resize(Resize),
    /// Reorders axes: `y`'s axis `i` is `x`'s axis `permutation[i]`.
    Transpose {
        /// One entry an axis.
        permutation: Vec<u32>,
    },
    /// Copies bytes: `x → y`, with equal numbers of elements. Most reshapes are aliases instead.
    Copy,
    /// Puts a plain tensor of rank ≥ 3 into [`Layout::Blocked`](crate::Layout): `x → y`. Lanes beyond the last channel are zero.
    ToBlocked,
    /// The inverse of `ToBlocked`.
    FromBlocked,
    /// Joins tensors along an axis: `x₀, x₁, … → y`. Blocked if all are, along axis 1 then only where all but the last have whole blocks.
    Concat {
        /// Along which axis.
        axis: u32,
    },
    /// Takes a part of each axis: `x → y`.
    Slice(Slice),
    /// Adds elements around a tensor: `x → y`.
    Pad(Pad),
    /// Repeats axes of size 1, or that do not exist, to the dims of `y`: `x → y`.
    Expand,
    /// Repeats a whole tensor along each axis, to the dims of `y`: `x → y`.
    Tile,
    /// Looks up elements: `x, indices → y`.
    Gather(Gather),
    /// Replaces elements: `x, indices, updates → y`.
    Scatter(Scatter),
    /// The largest or smallest elements along an axis: `x → values, indices`. `k` is the size of the outputs' axis.
    TopK(TopK),
    /// `indices, values → y`; `values` are off and on.
    OneHot {
        /// Which axis of `y` is new.
        axis: u32,
    },
    /// Keeps one triangle of the last two axes: `x → y`.
    Trilu {
        /// Whether the upper one is kept.
        upper: bool,
        /// Which diagonal it ends at; 0 is the main one, larger ones lie above.
        diagonal: i64,
    },
    /// The dims of a tensor, as i64: `x → y`.
    Dims {
        /// The first axis.
        begin: u32,
    },
    /// Operators that have no kernel, run by tract.
    Tract(crate::TractStep),
}
