//! How fast depthwise convolutions are, for the shapes of efficientnet-lite0 and some others.
//!
//! For each instruction set GFLOP/s, and GB/s of what is read and written once. Times are the least of many.

#![expect(clippy::disallowed_methods, reason = "a bench measures time")]
#![expect(clippy::print_stdout, reason = "a bench prints what it measures")]

use std::time::{Duration, Instant};

use tensorlet_kernels::{Crew, Isa, Target, TensorType, bind, conv::pack_depthwise};
use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{Activation, Conv, ConvWeights, Epilogue};
use tensorlet_tensor::DatumType;

/// Channels, size of the input, kernel, stride, dilation.
const SHAPES: [(usize, usize, u32, u32, u32); 21] = [
    (32, 112, 3, 1, 1),
    (96, 112, 3, 2, 1),
    (144, 56, 3, 1, 1),
    (144, 56, 5, 2, 1),
    (240, 28, 5, 1, 1),
    (240, 28, 3, 2, 1),
    (480, 14, 3, 1, 1),
    (480, 14, 5, 1, 1),
    (672, 14, 5, 1, 1),
    (672, 14, 5, 2, 1),
    (1152, 7, 5, 1, 1),
    (1152, 7, 3, 1, 1),
    (96, 56, 7, 1, 1),
    (384, 14, 7, 1, 1),
    (768, 7, 7, 1, 1),
    (64, 20, 3, 1, 1),
    (64, 10, 3, 1, 1),
    (64, 13, 5, 1, 1),
    (64, 28, 3, 1, 2),
    (64, 28, 4, 1, 1),
    (64, 28, 9, 1, 1),
];

fn main() {
    let filter = std::env::args().nth(1).filter(|arg| !arg.starts_with("--"));
    let isas: Vec<Isa> = Isa::available()
        .into_iter()
        .filter(|isa| isa.name() != "scalar")
        .collect();
    for shape in SHAPES {
        let (channels, size, kernel, stride, dilation) = shape;
        let name =
            format!("{channels}@{size} {kernel}x{kernel} stride {stride} dilation {dilation}");
        if filter
            .as_ref()
            .is_some_and(|filter| !name.contains(filter.as_str()))
        {
            continue;
        }
        print!("{name:36}");
        for &isa in &isas {
            print!("{}", measure(isa, shape));
        }
        println!();
    }
}

/// Measures one shape.
fn measure(
    isa: Isa,
    (channels, size, kernel, stride, dilation): (usize, usize, u32, u32, u32),
) -> String {
    let pad = (kernel - 1) * dilation / 2;
    let pad_after = (kernel - 1) * dilation - pad;
    let conv = Conv {
        weights: ConvWeights::Depthwise,
        group: channels as u32,
        kernel: vec![kernel; 2],
        strides: vec![stride; 2],
        dilations: vec![dilation; 2],
        pads_before: vec![pad; 2],
        pads_after: vec![pad_after; 2],
        epilogue: Epilogue {
            bias: true,
            residual: false,
            activation: Activation::Clamp {
                low: 0.0,
                high: 6.0,
            },
        },
    };
    let out = (size - 1) / stride as usize + 1;
    let taps = (kernel * kernel) as usize;
    let weights = pack_depthwise(&vec![0.01; channels * taps], channels, taps);
    let types = [
        TensorType::blocked(&[1, channels, size, size]),
        TensorType::plain(DatumType::F32, &[weights.len()]),
        TensorType::plain(DatumType::F32, &[channels]),
    ];
    let y_type = TensorType::blocked(&[1, channels, out, out]);
    let target = Target::of(isa);
    let bound = bind(
        &Kernel::Conv(conv),
        &types,
        std::slice::from_ref(&y_type),
        &target,
    )
    .expect("the types fit the kernel");
    let buffers: Vec<Vec<f32>> = vec![
        vec![0.5; channels * size * size],
        weights,
        vec![0.1; channels],
    ];
    let inputs: Vec<Aligned> = buffers.iter().map(|buffer| Aligned::new(buffer)).collect();
    let inputs: Vec<&[u8]> = inputs.iter().map(Aligned::bytes).collect();
    let mut y = Aligned::new(&vec![0.0; channels * out * out]);
    let begin = Instant::now();
    let mut best = Duration::MAX;
    let mut runs = 0;
    while runs < 20 || begin.elapsed() < Duration::from_millis(150) {
        let before = Instant::now();
        bound
            .run(&inputs, &mut [y.bytes_mut()], &mut [], Crew::default())
            .expect("nothing in the data makes it impossible");
        best = best.min(before.elapsed());
        runs += 1;
    }
    let seconds = best.as_secs_f64();
    // What the windows see of the input, without padding.
    let inside = |o: usize| {
        (0..kernel as usize)
            .filter(|k| {
                let at = o * stride as usize + k * dilation as usize;
                (pad as usize..size + pad as usize).contains(&at)
            })
            .count()
    };
    let along: usize = (0..out).map(inside).sum();
    let flops = 2.0 * (channels * along * along) as f64;
    let bytes = 4.0 * (channels * (size * size + out * out)) as f64;
    format!(
        "  {:8} {:7.1} us {:6.1} GFLOP/s {:5.1} GB/s",
        isa.name(),
        seconds * 1e6,
        flops / seconds / 1e9,
        bytes / seconds / 1e9
    )
}

/// Numbers that begin at a multiple of 64 bytes.
struct Aligned {
    bytes: Vec<u8>,
    begin: usize,
    len: usize,
}

impl Aligned {
    fn new(numbers: &[f32]) -> Self {
        let len = numbers.len() * 4;
        let mut bytes = vec![0; len + 64];
        let begin = bytes.as_ptr().align_offset(64);
        for (to, number) in bytes[begin..].chunks_exact_mut(4).zip(numbers) {
            to.copy_from_slice(&number.to_ne_bytes());
        }
        Self { bytes, begin, len }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[self.begin..][..self.len]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.begin..][..self.len]
    }
}
