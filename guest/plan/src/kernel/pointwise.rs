//! Functions of one element at a time.

use serde::{Deserialize, Serialize};

/// A function of one element. f32, unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum UnaryOp {
    /// Any number.
    Abs,
    /// Any number.
    Neg,
    /// Any number.
    Sign,
    /// The least integer not below.
    Ceil,
    /// The largest integer not above.
    Floor,
    /// To the nearest integer, ties to even.
    Round,
    /// The square root.
    Sqrt,
    /// `1 / x`.
    Reciprocal,
    /// `1 / sqrt(x)`.
    Rsqrt,
    /// `e^x`.
    Exp,
    /// The natural logarithm.
    Log,
    /// The sine.
    Sin,
    /// The cosine.
    Cos,
    /// The tangent.
    Tan,
    /// The inverse sine.
    Asin,
    /// The inverse cosine.
    Acos,
    /// The inverse tangent.
    Atan,
    /// The hyperbolic sine.
    Sinh,
    /// The hyperbolic cosine.
    Cosh,
    /// The inverse hyperbolic sine.
    Asinh,
    /// The inverse hyperbolic cosine.
    Acosh,
    /// The inverse hyperbolic tangent.
    Atanh,
    /// The hyperbolic tangent.
    Tanh,
    /// The error function.
    Erf,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `x × sigmoid(x)`, also known as SiLU and Swish.
    Silu,
    /// `x × Φ(x)`.
    Gelu,
    /// Gelu by tanh.
    GeluTanh,
    /// `x × min(max(x / 6 + 0.5, 0), 1)`.
    HardSwish,
    /// `min(max(alpha × x + beta, 0), 1)`.
    HardSigmoid {
        /// The slope.
        alpha: f32,
        /// What is added.
        beta: f32,
    },
    /// `x` above 0, else `alpha × x`.
    LeakyRelu {
        /// The slope below 0.
        alpha: f32,
    },
    /// `x` above 0, else `alpha × (exp(x) - 1)`.
    Elu {
        /// The scale below 0.
        alpha: f32,
    },
    /// `gamma × x` above 0, else `gamma × alpha × (exp(x) - 1)`.
    Selu {
        /// The scale below 0.
        alpha: f32,
        /// The scale everywhere.
        gamma: f32,
    },
    /// `max(0, x) + min(0, alpha × (exp(x / alpha) - 1))`.
    Celu {
        /// The scale below 0.
        alpha: f32,
    },
    /// `log(1 + exp(x))`.
    Softplus,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `x × tanh(softplus(x))`.
    Mish,
    /// `x` above alpha, else 0.
    ThresholdedRelu {
        /// The threshold.
        alpha: f32,
    },
    /// See ONNX `Shrink`.
    Shrink {
        /// The half-width of what becomes 0.
        lambda: f32,
        /// How far all else moves towards 0.
        bias: f32,
    },
    /// `min(max(x, low), high)`. NaN stays NaN, as ONNX `Clip` has it.
    Clip {
        /// The least result.
        low: f32,
        /// The largest result.
        high: f32,
    },
    /// Of bool.
    Not,
    /// Of any integer.
    BitwiseNot,
    /// To bool.
    IsNan,
    /// To bool.
    IsInf {
        /// Whether negative infinity counts.
        negative: bool,
        /// Whether positive infinity counts.
        positive: bool,
    },
}

/// A function of two elements. Both operands have the same datum type: f32, i64, i32, u8 or i8, unless it says
/// otherwise. Integers wrap around.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum BinaryOp {
    /// `a + b`.
    Add,
    /// `a - b`.
    Sub,
    /// `a × b`.
    Mul,
    /// Integers round towards zero; a division by zero is an error.
    Div,
    /// f32: `a^b`. Integers: as computed in f64 and truncated.
    Pow,
    /// NaN if either is.
    Max,
    /// NaN if either is.
    Min,
    /// With the sign of the divisor; of integers, and of f32 too if `fmod` is not asked for.
    Mod,
    /// With the sign of the dividend.
    Fmod,
    /// f32: `a` above 0, else `b × a` (ONNX `PRelu`, with the slope as `b`).
    PRelu,
    /// To bool; any datum type.
    Equal,
    /// To bool.
    Less,
    /// To bool.
    LessOrEqual,
    /// To bool.
    Greater,
    /// To bool.
    GreaterOrEqual,
    /// Of bool.
    And,
    /// Of bool.
    Or,
    /// Of bool.
    Xor,
    /// Of integers.
    BitwiseAnd,
    /// Of integers.
    BitwiseOr,
    /// Of integers.
    BitwiseXor,
    /// Of unsigned integers.
    ShiftLeft,
    /// Of unsigned integers.
    ShiftRight,
}
