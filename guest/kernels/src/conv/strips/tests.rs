//! Tests of strips: the three kernels together against each by itself.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::UnaryOp;

use super::*;
use crate::conv::plain::reference;
use crate::conv::testing::{POINT, THREE, Window, conv};
use crate::conv::{pack_blocked, pack_depthwise, pack_plain_input};
use crate::isa::Isa;
use crate::tensor_type::TensorType;
use crate::trial::{Samples, block, plain, run_bound, run_f32};

const HALF: Window = [3, 2, 1, 0, 1];

const CLAMP: Activation = Activation::Clamp {
    low: 0.0,
    high: 6.0,
};

/// Three convolutions, and what they are given.
struct Trial {
    convs: [Conv; 3],
    /// The types and numbers of each, what the one before makes left out.
    given: [Vec<(TensorType, Vec<f32>)>; 3],
    outputs: [TensorType; 3],
}

impl Trial {
    /// Channels of the input, between the convolutions, and of the output.
    fn new(
        [from, through, to]: [usize; 3],
        size: [usize; 2],
        windows: [[Window; 2]; 2],
        first: ConvWeights,
    ) -> Self {
        let mut samples = Samples::new((from + through + size[0]) as u32);
        let [widen, look] = windows;
        let mut dims = vec![1, from, size[0], size[1]];
        let x = samples.numbers(dims.iter().product());
        let x = match first {
            ConvWeights::PlainInput => (plain(&dims), x),
            _ => (TensorType::blocked(&dims), block(&x, &dims)),
        };
        let mut given = [vec![x], vec![], vec![]];
        let epilogue = Epilogue {
            bias: true,
            residual: false,
            activation: CLAMP,
        };
        let convs = [
            conv(first, 1, &widen, epilogue),
            conv(ConvWeights::Depthwise, through, &look, epilogue),
            conv(
                ConvWeights::Blocked,
                1,
                &[POINT, POINT],
                Epilogue {
                    activation: Activation::None,
                    ..epilogue
                },
            ),
        ];
        let outputs = [0, 1, 2].map(|index: usize| {
            let conv = &convs[index];
            let taps: usize = conv.kernel.iter().map(|&side| side as usize).product();
            let (channels, out_channels) = [(from, through), (1, through), (through, to)][index];
            let weights = samples.numbers(channels * out_channels * taps);
            let weights = match conv.weights {
                ConvWeights::PlainInput => pack_plain_input(&weights, [through, from, taps]),
                ConvWeights::Depthwise => pack_depthwise(&weights, through, taps),
                _ => pack_blocked(&weights, 1, [out_channels, channels, taps]),
            };
            given[index].push((plain(&[weights.len()]), weights));
            let bias = samples.numbers(out_channels);
            let bias = block(&bias, &[1, out_channels, 1]);
            given[index].push((plain(&[bias.len()]), bias));
            let spatial = reference::outputs(conv, &dims[2..]);
            dims = [&[1, out_channels], spatial.as_slice()].concat();
            TensorType::blocked(&dims)
        });
        Self {
            convs,
            given,
            outputs,
        }
    }

    fn add_residual(&mut self) {
        let y = &self.outputs[2];
        let residual = Samples::new(9).numbers(y.len());
        self.given[2].push((y.clone(), block(&residual, &y.dims)));
        self.convs[2].epilogue.residual = true;
    }

    fn bind(&self, isa: Isa) -> Option<Box<dyn Run>> {
        let inputs = [0, 1, 2].map(|index: usize| {
            let made = index.checked_sub(1).map(|before| &self.outputs[before]);
            let given = self.given[index].iter().map(|(tensor, _)| tensor);
            made.into_iter().chain(given).cloned().collect::<Vec<_>>()
        });
        let types = [0, 1, 2].map(|index| Types {
            inputs: &inputs[index],
            outputs: std::slice::from_ref(&self.outputs[index]),
        });
        bind_strips(self.convs.each_ref(), types, &Target::of(isa))
    }

    fn expected(&self, isa: Isa) -> Vec<f32> {
        let mut made: Option<(&TensorType, Vec<f32>)> = None;
        for (index, conv) in self.convs.iter().enumerate() {
            let given = self.given[index].iter();
            let given = given.map(|(tensor, numbers)| (tensor, numbers.as_slice()));
            let before = made
                .iter()
                .map(|(tensor, numbers)| (*tensor, numbers.as_slice()));
            let inputs: Vec<_> = before.chain(given).collect();
            let y = &self.outputs[index];
            let numbers = run_f32(&Kernel::Conv(conv.clone()), isa, &inputs, y).unwrap();
            made = Some((y, numbers));
        }
        made.unwrap().1
    }

    /// Compares with each kernel by itself, for every instruction set.
    #[track_caller]
    fn check(&self) {
        for isa in Isa::available() {
            let context = format!("{} {:?} {:?}", isa.name(), self.outputs, self.convs);
            let bound = self.bind(isa);
            let bound = bound.unwrap_or_else(|| panic!("no strips: {context}"));
            let between = self.outputs[..2]
                .iter()
                .map(|made| made.stored_bytes().unwrap());
            assert!(bound.scratch_bytes() < between.sum(), "{context}");
            let given = self.given.iter().flatten();
            let inputs: Vec<(&TensorType, &[u8])> = given
                .map(|(tensor, numbers)| (tensor, bytemuck::cast_slice(numbers)))
                .collect();
            let y = run_bound(&*bound, &inputs, &self.outputs[2..]);
            let y: Vec<f32> = bytemuck::pod_collect_to_vec(&y[0]);
            assert!(y == self.expected(isa), "{context}");
        }
    }

    #[track_caller]
    fn check_refused(&self) {
        assert!(self.bind(Isa::detect()).is_none());
    }
}

#[test]
fn windows_of_all_kinds_are_as_each_kernel_by_itself() {
    let windows = [
        THREE,
        HALF,
        [3, 2, 1, 1, 1],
        [5, 1, 1, 2, 2],
        [5, 2, 1, 1, 2],
        [3, 1, 2, 2, 2],
        [3, 1, 1, 0, 0],
        [2, 3, 1, 0, 0],
        [1, 1, 1, 0, 0],
        [4, 1, 1, 3, 3],
    ];
    for window in windows {
        for size in [[23, 21], [24, 20]] {
            let channels = [20, 33, 9];
            Trial::new(
                channels,
                size,
                [[POINT; 2], [window; 2]],
                ConvWeights::Blocked,
            )
            .check();
        }
    }
}

#[test]
fn the_first_convolution_may_have_windows() {
    for window in [
        THREE,
        HALF,
        [3, 2, 1, 1, 1],
        [5, 1, 1, 4, 4],
        [7, 2, 1, 3, 3],
    ] {
        for first in [ConvWeights::Blocked, ConvWeights::PlainInput] {
            let windows = [[window; 2], [THREE; 2]];
            Trial::new([3, 32, 16], [41, 39], windows, first).check();
        }
    }
}

#[test]
fn a_residual_is_added_where_it_belongs() {
    let mut trial = Trial::new(
        [24, 64, 24],
        [20, 20],
        [[POINT; 2], [THREE; 2]],
        ConvWeights::Blocked,
    );
    trial.add_residual();
    trial.check();
    trial.convs[2].epilogue.bias = false;
    trial.given[2].remove(1);
    trial.check();
}

#[test]
fn functions_are_applied_to_what_each_makes() {
    let mut trial = Trial::new(
        [24, 64, 40],
        [20, 20],
        [[POINT; 2], [THREE; 2]],
        ConvWeights::Blocked,
    );
    for conv in &mut trial.convs {
        conv.epilogue.activation = Activation::Unary(UnaryOp::Sigmoid);
    }
    trial.check();
    trial.convs[1].epilogue.activation = Activation::Unary(UnaryOp::Sin);
    trial.check_refused();
}

#[test]
fn other_steps_are_left_to_their_kernels() {
    let windows = [[POINT; 2], [THREE; 2]];
    Trial::new([16, 32, 16], [20, 20], windows, ConvWeights::Blocked).check();
    // Little is between.
    Trial::new([16, 32, 16], [8, 8], windows, ConvWeights::Blocked).check_refused();
    // A row is most of what there is.
    Trial::new([16, 32, 16], [2, 400], windows, ConvWeights::Blocked).check_refused();
    // Weights would be read again and again.
    Trial::new([16, 2400, 16], [20, 20], windows, ConvWeights::Blocked).check_refused();
    // Windows see padding alone.
    let far = [[POINT; 2], [[2, 1, 1, 40, 40], THREE]];
    Trial::new([16, 32, 16], [20, 20], far, ConvWeights::Blocked).check_refused();
    let mut trial = Trial::new([16, 32, 16], [20, 20], windows, ConvWeights::Blocked);
    trial.convs.swap(0, 2);
    trial.convs[2].weights = ConvWeights::Plain;
    trial.check_refused();
    // There would be a strip for each of many rows.
    Trial::new(
        [1, 16, 1],
        [200_000, 2],
        [[POINT; 2], [[70, 1, 1, 35, 34], POINT]],
        ConvWeights::Blocked,
    )
    .check_refused();
    // Each strip sees another part of the padding.
    let high = [[POINT; 2], [[81, 1, 1, 40, 40], THREE]];
    Trial::new([16, 32, 16], [60, 20], high, ConvWeights::Blocked).check_refused();
    // The last one cannot be bound.
    let mut trial = Trial::new([16, 32, 16], [20, 20], windows, ConvWeights::Blocked);
    trial.given[2][0].0 = plain(&[7]);
    trial.check_refused();
}
