//! The functions of one element, in f64 by their definitions.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_PI, FRAC_2_SQRT_PI};

use tensorlet_plan::kernel::UnaryOp;

/// Returns the function of a number.
pub(crate) fn float(op: UnaryOp, x: f64) -> f64 {
    let elu = |x: f64, alpha: f64| if x > 0.0 { x } else { alpha * x.exp_m1() };
    match op {
        UnaryOp::Abs => x.abs(),
        UnaryOp::Neg => -x,
        UnaryOp::Sign if x == 0.0 || x.is_nan() => x,
        UnaryOp::Sign => x.signum(),
        UnaryOp::Ceil => x.ceil(),
        UnaryOp::Floor => x.floor(),
        UnaryOp::Round => x.round_ties_even(),
        UnaryOp::Sqrt => x.sqrt(),
        UnaryOp::Reciprocal => 1.0 / x,
        UnaryOp::Rsqrt => 1.0 / x.sqrt(),
        UnaryOp::Exp => x.exp(),
        UnaryOp::Log => x.ln(),
        UnaryOp::Sin => x.sin(),
        UnaryOp::Cos => x.cos(),
        UnaryOp::Tan => x.tan(),
        UnaryOp::Asin => x.asin(),
        UnaryOp::Acos => x.acos(),
        UnaryOp::Atan => x.atan(),
        UnaryOp::Sinh => x.sinh(),
        UnaryOp::Cosh => x.cosh(),
        UnaryOp::Asinh => x.asinh(),
        UnaryOp::Acosh => x.acosh(),
        UnaryOp::Atanh => x.atanh(),
        UnaryOp::Tanh => x.tanh(),
        UnaryOp::Erf => erf(x),
        UnaryOp::Sigmoid => sigmoid(x),
        UnaryOp::Silu => x * sigmoid(x),
        UnaryOp::Gelu => x * erfc(-x * FRAC_1_SQRT_2) / 2.0,
        UnaryOp::GeluTanh => {
            let inner = FRAC_2_PI.sqrt() * (x + 0.044_715 * x.powi(3));
            x * sigmoid(2.0 * inner)
        }
        UnaryOp::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        UnaryOp::HardSigmoid { alpha, beta } => {
            (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0)
        }
        UnaryOp::LeakyRelu { alpha } if x > 0.0 || x.is_nan() => x + 0.0 * f64::from(alpha),
        UnaryOp::LeakyRelu { alpha } => f64::from(alpha) * x,
        UnaryOp::Elu { alpha } => elu(x, alpha.into()),
        UnaryOp::Selu { alpha, gamma } => f64::from(gamma) * elu(x, alpha.into()),
        UnaryOp::Celu { .. } if x > 0.0 => x,
        UnaryOp::Celu { alpha } => f64::from(alpha) * (x / f64::from(alpha)).exp_m1(),
        UnaryOp::Softplus if x.is_nan() => x,
        UnaryOp::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
        UnaryOp::Softsign => x / (1.0 + x.abs()),
        UnaryOp::Mish if x > 40.0 => x,
        UnaryOp::Mish => x * x.exp().ln_1p().tanh(),
        UnaryOp::ThresholdedRelu { alpha } if x > f64::from(alpha) => x,
        UnaryOp::ThresholdedRelu { .. } => 0.0,
        UnaryOp::Shrink { lambda, bias } if x < -f64::from(lambda) => x + f64::from(bias),
        UnaryOp::Shrink { lambda, bias } if x > f64::from(lambda) => x - f64::from(bias),
        UnaryOp::Shrink { .. } => 0.0,
        UnaryOp::Clip { .. } if x.is_nan() => x,
        UnaryOp::Clip { low, high } => x.max(low.into()).min(high.into()),
        UnaryOp::Not | UnaryOp::BitwiseNot | UnaryOp::IsNan | UnaryOp::IsInf { .. } => {
            panic!("{op:?} is no function of a number")
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    if x < 0.0 {
        x.exp() / (1.0 + x.exp())
    } else {
        1.0 / (1.0 + (-x).exp())
    }
}

/// The error function: its series near 0, else by its complement.
fn erf(x: f64) -> f64 {
    if x.abs() > 2.5 {
        return (1.0 - erfc(x.abs())).copysign(x);
    }
    let (mut power, mut sum) = (x, x);
    for n in 1..80 {
        let n = f64::from(n);
        power *= -x * x / n;
        sum += power / (2.0 * n + 1.0);
    }
    FRAC_2_SQRT_PI * sum
}

/// `1 - erf(x)`: for large `x` by its continued fraction.
fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    if x <= 2.0 {
        return 1.0 - erf(x);
    }
    let mut fraction = x;
    for n in (1..200).rev() {
        fraction = x + f64::from(n) / 2.0 / fraction;
    }
    (-x * x).exp() * FRAC_2_SQRT_PI / 2.0 / fraction
}
