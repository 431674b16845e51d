//! Tests of transposed convolutions: kernels against plain loops, at odd sizes.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{Activation, ConvTranspose, Epilogue, UnaryOp};

use crate::bind::bind;
use crate::isa::Isa;
use crate::run::Target;
use crate::tensor_type::TensorType;
use crate::trial::{Samples, assert_close, plain, run_f32};

struct Case {
    x: Vec<usize>,
    co: usize,
    group: u32,
    kernel: Vec<u32>,
    strides: Vec<u32>,
    dilations: Vec<u32>,
    pads: Vec<u32>,
    /// How many elements are cut off behind (or added, if negative).
    after: Vec<i64>,
    activation: Activation,
}

impl Case {
    fn of(x: &[usize], co: usize, kernel: &[u32], strides: &[u32]) -> Self {
        Self {
            x: x.to_vec(),
            co,
            group: 1,
            kernel: kernel.to_vec(),
            strides: strides.to_vec(),
            dilations: vec![1; kernel.len()],
            pads: vec![0; kernel.len()],
            after: vec![0; kernel.len()],
            activation: Activation::None,
        }
    }

    fn y(&self) -> Vec<usize> {
        let mut y = vec![self.x[0], self.co];
        for axis in 0..self.kernel.len() {
            let windows = (self.x[axis + 2] - 1) * self.strides[axis] as usize;
            let reach = (self.kernel[axis] - 1) * self.dilations[axis] + 1;
            let whole = windows + reach as usize - self.pads[axis] as usize;
            y.push((whole as i64 - self.after[axis]) as usize);
        }
        y
    }

    fn kernel(&self, bias: bool) -> Kernel {
        Kernel::ConvTranspose(ConvTranspose {
            group: self.group,
            kernel: self.kernel.clone(),
            strides: self.strides.clone(),
            dilations: self.dilations.clone(),
            pads_before: self.pads.clone(),
            epilogue: Epilogue {
                bias,
                residual: false,
                activation: self.activation,
            },
        })
    }

    fn weights(&self) -> Vec<usize> {
        let mut dims = vec![self.x[1], self.co / self.group as usize];
        dims.extend(self.kernel.iter().map(|&size| size as usize));
        dims
    }

    /// Adds windows one by one.
    fn reference(&self, x: &[f32], weights: &[f32], bias: &[f32]) -> Vec<f32> {
        let two = |sizes: &[usize]| match sizes {
            [one] => [1, *one],
            sizes => [sizes[0], sizes[1]],
        };
        let numbers = |sizes: &[u32], missing: usize| match sizes {
            [one] => [missing, *one as usize],
            sizes => [sizes[0] as usize, sizes[1] as usize],
        };
        let y_dims = self.y();
        let ([xh, xw], [yh, yw]) = (two(&self.x[2..]), two(&y_dims[2..]));
        let ([kh, kw], [sh, sw]) = (numbers(&self.kernel, 1), numbers(&self.strides, 1));
        let ([dh, dw], [ph, pw]) = (numbers(&self.dilations, 1), numbers(&self.pads, 0));
        let groups = self.group as usize;
        let (ci, co) = (self.x[1] / groups, self.co / groups);
        let mut y: Vec<f64> = (0..y_dims.iter().product())
            .map(|i: usize| f64::from(bias.get(i / (yh * yw) % self.co).copied().unwrap_or(0.0)))
            .collect();
        for (i, &x) in x.iter().enumerate() {
            let (row, channel) = (i / (xh * xw) / self.x[1], i / (xh * xw) % self.x[1]);
            let (ix, iy) = (i % xw, i / xw % xh);
            for j in 0..co * kh * kw {
                let (out, ky, kx) = (j / (kh * kw), j / kw % kh, j % kw);
                let (oy, ox) = (
                    (iy * sh + ky * dh).wrapping_sub(ph),
                    (ix * sw + kx * dw).wrapping_sub(pw),
                );
                if oy < yh && ox < yw {
                    let out = row * self.co + channel / ci * co + out;
                    let weight = weights[channel * co * kh * kw + j];
                    y[(out * yh + oy) * yw + ox] += f64::from(x) * f64::from(weight);
                }
            }
        }
        let mut y: Vec<f32> = y.into_iter().map(|y| y as f32).collect();
        match self.activation {
            Activation::None => {}
            Activation::Clamp { low, high } => y.iter_mut().for_each(|y| *y = y.clamp(low, high)),
            Activation::Unary(op) => crate::unary::apply_in_place(op, Isa::SCALAR, &mut y),
        }
        y
    }

    #[track_caller]
    fn check(&self) {
        let mut samples = Samples::new(5);
        let (x_type, w_type, y_type) = (plain(&self.x), plain(&self.weights()), plain(&self.y()));
        let x = samples.numbers(x_type.len());
        let weights = samples.numbers(w_type.len());
        let bias = samples.numbers(self.co);
        for isa in Isa::available() {
            for has_bias in [false, true] {
                let b_type = plain(&[self.co]);
                let mut inputs: Vec<(&TensorType, &[f32])> =
                    vec![(&x_type, &x), (&w_type, &weights)];
                inputs.extend(has_bias.then_some((&b_type, &bias[..])));
                let y = run_f32(&self.kernel(has_bias), isa, &inputs, &y_type).unwrap();
                let bias = if has_bias { &bias[..] } else { &[] };
                let expected = self.reference(&x, &weights, bias);
                assert_close(
                    &y,
                    &expected,
                    1e-4,
                    &format!("{isa:?} {:?} {:?}", self.x, self.kernel),
                );
            }
        }
    }
}

#[test]
fn matches_the_sum_of_windows() {
    for size in [1, 2, 3, 5, 8, 13] {
        Case::of(&[2, 3, size, size + 1], 5, &[2, 2], &[2, 2]).check();
        Case::of(&[1, 4, size, size], 3, &[3, 3], &[1, 1]).check();
        Case::of(&[1, 4, size], 7, &[4], &[3]).check();
    }
    Case::of(&[1, 24, 20, 20], 24, &[2, 2], &[2, 2]).check();
    Case::of(&[1, 2, 40, 50], 40, &[3, 2], &[2, 3]).check();
}

#[test]
fn pads_dilations_and_groups_are_heeded() {
    Case {
        pads: vec![1, 2],
        after: vec![1, -1],
        ..Case::of(&[1, 4, 5, 6], 4, &[3, 4], &[2, 3])
    }
    .check();
    Case {
        dilations: vec![2, 3],
        pads: vec![1, 1],
        ..Case::of(&[2, 4, 5, 6], 4, &[3, 2], &[1, 2])
    }
    .check();
    for group in [2, 4] {
        Case {
            group,
            ..Case::of(&[2, 4, 3, 3], 8, &[3, 3], &[2, 2])
        }
        .check();
    }
}

#[test]
fn activations_come_last() {
    for activation in [
        Activation::Clamp {
            low: 0.0,
            high: 0.5,
        },
        Activation::Unary(UnaryOp::Sigmoid),
    ] {
        Case {
            activation,
            ..Case::of(&[1, 3, 4, 4], 2, &[2, 2], &[2, 2])
        }
        .check();
    }
}

#[test]
fn no_channels_give_the_bias() {
    Case::of(&[1, 0, 3, 3], 2, &[2, 2], &[2, 2]).check();
    Case::of(&[0, 2, 3, 3], 2, &[2, 2], &[2, 2]).check();
}

#[test]
fn refuses_what_does_not_fit() {
    let refused = |case: &Case, inputs: &[TensorType], y: &[usize]| {
        bind(
            &case.kernel(false),
            inputs,
            &[plain(y)],
            &Target::of(Isa::SCALAR),
        )
        .err()
        .unwrap()
    };
    let case = Case::of(&[1, 4, 3, 3], 2, &[2, 2], &[2, 2]);
    let (x, w) = (plain(&case.x), plain(&case.weights()));
    refused(&case, std::slice::from_ref(&x), &case.y());
    refused(&case, &[x.clone(), w.clone(), plain(&[2])], &case.y());
    refused(&case, &[x.clone(), plain(&[4, 3, 2, 2])], &case.y());
    refused(&case, &[x.clone(), w.clone()], &[2, 2, 6, 6]);
    refused(&case, &[plain(&[1, 4, 3]), w.clone()], &case.y());
    for group in [0, 3] {
        let case = Case {
            group,
            ..Case::of(&[1, 4, 3, 3], 2, &[2, 2], &[2, 2])
        };
        refused(&case, &[x.clone(), w.clone()], &[1, 2, 6, 6]);
    }
    for strides in [vec![0, 1], vec![2], vec![u32::MAX, u32::MAX]] {
        let mut case = Case::of(&[1, 4, 3, 3], 2, &[2, 2], &[2, 2]);
        case.strides = strides;
        let y = [1, 2, 6, 6];
        if let Ok(bound) = bind(
            &case.kernel(false),
            &[x.clone(), w.clone()],
            &[plain(&y)],
            &Target::of(Isa::SCALAR),
        ) {
            assert!(bound.scratch_bytes() < 1 << 20);
        }
    }
}
