//! Steps that are computed together, in chunks or in strips.

use tensorlet_executor::{Crew, State};
use tensorlet_kernels::conv::{pack_blocked, pack_depthwise, pack_plain_input};
use tensorlet_plan::kernel::{Activation, Conv, ConvWeights, Epilogue, Reduce, ReduceOp};
use tensorlet_plan::{Kernel, Layout, Plan, Storage, SymbolId, ValueId};

use crate::builder::{Builder, Random, Shifted, load};
use crate::threads::Fresh;

/// The size of images: 16 channels of them are 409,600 bytes.
const SIZE: usize = 80;

/// Makes a network as those for small machines begin.
struct Network {
    builder: Builder,
    random: Random,
    /// What is between a convolution that widens and what looks at each channel, with its channels and the size of its images.
    between: Vec<(ValueId, usize, usize)>,
}

impl Network {
    /// Small integers, so that sums do not depend on their order.
    fn weights(&mut self, len: usize) -> Vec<f32> {
        (0..len)
            .map(|_| self.random.below(5) as f32 - 2.0)
            .collect()
    }

    fn blocked(
        &mut self,
        name: &str,
        channels: usize,
        size: usize,
        kernel: Conv,
        x: &[ValueId],
    ) -> ValueId {
        let spec = format!("{name}:f32[N,{channels},{size},{size}]");
        let mut value = self.builder.value(&spec, Storage::Buffer);
        value.layout = Layout::Blocked;
        self.builder.step_to(value, Kernel::Conv(kernel), x)
    }

    /// A convolution of all channels; the first one if there are 3.
    fn dense(
        &mut self,
        name: &str,
        x: ValueId,
        [from, to, side]: [usize; 3],
        size: usize,
    ) -> ValueId {
        let (taps, bias) = (side * side, self.weights(to));
        let weights = self.weights(to * from * taps);
        let blocks = to / 16;
        let (kind, spec, packed) = match from == 3 {
            true => (
                ConvWeights::PlainInput,
                format!("w:f32[{blocks},{from},{side},{side},16]"),
                pack_plain_input(&weights, [to, from, taps]),
            ),
            false => (
                ConvWeights::Blocked,
                format!("w:f32[{blocks},{side},{side},{from},16]"),
                pack_blocked(&weights, 1, [to, from, taps]),
            ),
        };
        let weights = self.builder.constant(&spec, &packed);
        let bias = self.builder.constant(&format!("b:f32[{to}]"), &bias);
        let conv = conv(kind, side, 1, 1);
        self.blocked(name, to, size, conv, &[x, weights, bias])
    }

    fn depthwise(&mut self, name: &str, x: ValueId, channels: usize, stride: usize) -> ValueId {
        let bias = self.weights(channels);
        let weights = self.weights(channels * 9);
        let packed = pack_depthwise(&weights, channels, 9);
        let spec = format!("w:f32[{},3,3,16]", channels / 16);
        let weights = self.builder.constant(&spec, &packed);
        let bias = self.builder.constant(&format!("b:f32[{channels}]"), &bias);
        let conv = conv(ConvWeights::Depthwise, 3, stride, channels);
        self.between.push((x, channels, SIZE));
        self.blocked(name, channels, SIZE / stride, conv, &[x, weights, bias])
    }

    fn max(&mut self, name: &str, x: ValueId, channels: usize, size: usize) -> ValueId {
        let spec = format!("{name}:f32[N,{channels},1,1]");
        let mut value = self.builder.value(&spec, Storage::Buffer);
        value.layout = Layout::Blocked;
        let max = Reduce {
            op: ReduceOp::Max,
            axes: vec![2, 3],
        };
        self.between.push((x, channels, size));
        self.builder.step_to(value, Kernel::Reduce(max), &[x])
    }

    fn plain(&mut self, name: &str, x: ValueId, channels: usize, size: usize) -> ValueId {
        let spec = format!("{name}:f32[N,{channels},{size},{size}]");
        self.builder.step(&spec, Kernel::FromBlocked, &[x])
    }
}

fn conv(weights: ConvWeights, side: usize, stride: usize, group: usize) -> Conv {
    let pad = (side / 2) as u32;
    Conv {
        weights,
        group: group as u32,
        kernel: vec![side as u32; 2],
        strides: vec![stride as u32; 2],
        dilations: vec![1; 2],
        pads_before: vec![pad; 2],
        pads_after: vec![pad; 2],
        epilogue: Epilogue {
            bias: true,
            residual: false,
            activation: Activation::Clamp {
                low: 0.0,
                high: f32::INFINITY,
            },
        },
    }
}

/// The network, and the same with what is between its steps read once more.
fn plan(is_read_again: bool) -> Plan<'static> {
    let mut network = Network {
        builder: Builder::new(&[&format!("x:f32[N,3,{SIZE},{SIZE}]")]),
        random: Random(3),
        between: Vec::new(),
    };
    let first = network.dense("first", ValueId(0), [3, 48, 3], SIZE);
    let second = network.depthwise("second", first, 48, 1);
    let narrow = network.dense("narrow", second, [48, 16, 1], SIZE);
    let wide = network.dense("wide", narrow, [16, 96, 1], SIZE);
    let half = network.depthwise("half", wide, 96, 2);
    // Windows of many channels, of which chunks must have many as well.
    let windows = network.dense("windows", half, [96, 256, 3], SIZE / 2);
    let max = network.max("max", windows, 256, SIZE / 2);
    let mut outputs = vec![network.plain("y", max, 256, 1)];
    if is_read_again {
        for (between, channels, size) in network.between.clone() {
            let name = format!("between{channels}");
            outputs.push(network.plain(&name, between, channels, size));
        }
    }
    let mut plan = network.builder.finish(&outputs);
    plan.row_symbol = Some(SymbolId(0));
    plan
}

#[test]
fn numbers_are_those_of_whole_steps_in_less_memory() {
    let (chunked, whole) = (load(&plan(false)), load(&plan(true)));
    let x = Random(5).floats(2 * 3 * SIZE * SIZE);
    let x: Vec<f32> = x.iter().map(|number| number % 7.0).collect();
    for (shift, threads) in [(0, 1), (4, 1), (0, 2), (0, 3)] {
        let input = Shifted::new(bytemuck::cast_slice(&x), shift);
        let team = Fresh(threads);
        let run = |executor: &tensorlet_executor::Executor| {
            let mut outputs: Vec<Vec<u8>> = executor
                .output_bytes(&[2])
                .unwrap()
                .into_iter()
                .map(|len| vec![0; len])
                .collect();
            let mut slices: Vec<&mut [u8]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
            let mut state = State::new();
            let crew = Crew::new(Some(&team), None);
            executor
                .run_with(&mut state, &[2], &[input.bytes()], &mut slices, crew)
                .unwrap();
            (outputs.swap_remove(0), state.arena_bytes())
        };
        let (found, found_bytes) = run(&chunked);
        let (expected, expected_bytes) = run(&whole);
        assert!(expected.iter().any(|&byte| byte != 0));
        assert!(found == expected, "shift {shift}, {threads} threads");
        assert!(
            found_bytes < expected_bytes / 2,
            "expected less than half of {expected_bytes} bytes, found {found_bytes}"
        );
    }
}
