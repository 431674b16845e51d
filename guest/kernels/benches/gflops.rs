//! How fast convolutions and products are, as a share of what the core can do.
//!
//! `cargo bench -p tensorlet-kernels --bench gflops [FILTER]` prints a table.

#![expect(clippy::print_stdout, reason = "a bench prints what it measures")]
#![expect(clippy::unwrap_used, reason = "a bench may fail")]

use tensorlet_kernels::isa::Vectorised;
use tensorlet_kernels::simd::Simd;
use tensorlet_kernels::{Crew, Isa, Target, TensorType, bind};
use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{Activation, Conv, ConvWeights, Epilogue, MatMul, MatMulRhs};
use tensorlet_tensor::DatumType;

fn main() {
    let filter = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'))
        .unwrap_or_default();
    let mut table = Table {
        filter,
        isas: Isa::available()
            .into_iter()
            .filter(|isa| *isa != Isa::SCALAR)
            .map(|isa| (isa, peak(isa)))
            .collect(),
    };
    for (isa, peak) in &table.isas {
        println!("{}: {:.1} GFLOP/s at most", isa.name(), peak / 1e9);
    }
    table.pointwise();
    table.windows();
    table.products();
}

/// The instruction sets with their peaks, and what is asked for.
struct Table {
    filter: String,
    isas: Vec<(Isa, f64)>,
}

/// Sums that depend on nothing but registers.
struct Peak {
    turns: usize,
    factor: f32,
}

impl Vectorised for Peak {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let factor = simd.splat(self.factor);
        let mut sums: [S::F32; 12] = std::array::from_fn(|i| simd.splat(i as f32));
        for _ in 0..self.turns {
            for sum in &mut sums {
                *sum = simd.mul_add(*sum, factor, factor);
            }
        }
        sums.into_iter().map(|sum| simd.sum(sum)).sum()
    }
}

struct Lanes;

impl Vectorised for Lanes {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) -> usize {
        S::LANES
    }
}

fn peak(isa: Isa) -> f64 {
    let turns = 10_000;
    let seconds = least(|| {
        let peak = Peak {
            turns: std::hint::black_box(turns),
            factor: std::hint::black_box(0.5),
        };
        std::hint::black_box(isa.run(peak));
    });
    (2 * 12 * turns * isa.run(Lanes)) as f64 / seconds
}

/// Returns the least time that a function takes: the processor's, since others may want it at the same time.
fn least(mut function: impl FnMut()) -> f64 {
    let now = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
    };
    let begin = now();
    // A call takes part of a microsecond, which would count where functions take no more than that.
    function();
    let turns = ((20e-6 / (now() - begin)) as usize).clamp(1, 1000);
    let mut least = f64::MAX;
    let end = now() + 0.06;
    while least == f64::MAX || now() < end {
        let begin = now();
        for _ in 0..turns {
            function();
        }
        least = least.min((now() - begin) / turns as f64);
    }
    least
}

/// Memory that begins where cache lines do.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

impl Line {
    fn some(len: usize) -> Vec<Self> {
        let mut next = 0u32;
        (0..len.div_ceil(16))
            .map(|_| {
                Self(std::array::from_fn(|_| {
                    next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (next >> 8) as f32 / (1 << 23) as f32 - 1.0
                }))
            })
            .collect()
    }

    fn bytes(lines: &[Self], len: usize) -> &[u8] {
        // SAFETY: a line is plain numbers without padding.
        let bytes = unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * 64) };
        &bytes[..len]
    }

    fn bytes_mut(lines: &mut [Self], len: usize) -> &mut [u8] {
        // SAFETY: a line is plain numbers without padding.
        let bytes =
            unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * 64) };
        &mut bytes[..len]
    }
}

impl Table {
    /// Measures a kernel with every instruction set.
    fn measure(
        &mut self,
        name: &str,
        flops: f64,
        kernel: &Kernel,
        inputs: &[TensorType],
        y: &TensorType,
    ) {
        if !name.contains(&self.filter) {
            return;
        }
        let memory: Vec<Vec<Line>> = inputs
            .iter()
            .map(|input| Line::some(input.stored_len().unwrap()))
            .collect();
        let read: Vec<&[u8]> = memory
            .iter()
            .zip(inputs)
            .map(|(memory, input)| Line::bytes(memory, input.stored_bytes().unwrap()))
            .collect();
        let mut out = Line::some(y.stored_len().unwrap());
        print!("{name:44}");
        for &(isa, peak) in &self.isas {
            let bound = bind(kernel, inputs, std::slice::from_ref(y), &Target::of(isa)).unwrap();
            let mut scratch = Line::some(bound.scratch_bytes().div_ceil(4));
            let scratch = Line::bytes_mut(&mut scratch, bound.scratch_bytes());
            let seconds = least(|| {
                let out = Line::bytes_mut(&mut out, y.stored_bytes().unwrap());
                bound
                    .run(&read, &mut [out], scratch, Crew::default())
                    .unwrap();
            });
            let share = 100.0 * flops / seconds / peak;
            print!(
                "  {:7} {:6.1} GFLOP/s {share:3.0} % {:9.1} µs",
                isa.name(),
                flops / seconds / 1e9,
                seconds * 1e6
            );
        }
        println!();
    }

    fn conv(
        &mut self,
        group: usize,
        [ci, co]: [usize; 2],
        input: &[usize],
        kernel: usize,
        stride: usize,
    ) {
        let rank = input.len();
        let pad = kernel / 2;
        let output: Vec<usize> = input
            .iter()
            .map(|size| (size + 2 * pad - kernel) / stride + 1)
            .collect();
        let taps = kernel.pow(rank as u32);
        let all = |number: usize| vec![number as u32; rank];
        let plain_input = ci <= 4;
        let conv = Conv {
            weights: if plain_input {
                ConvWeights::PlainInput
            } else {
                ConvWeights::Blocked
            },
            group: group as u32,
            kernel: all(kernel),
            strides: all(stride),
            dilations: all(1),
            pads_before: all(pad),
            pads_after: all(pad),
            epilogue: Epilogue {
                bias: true,
                residual: false,
                activation: Activation::Clamp {
                    low: 0.0,
                    high: 6.0,
                },
            },
        };
        let dims = |channels: usize, spatial: &[usize]| [&[1, channels], spatial].concat();
        let x = if plain_input {
            TensorType::plain(DatumType::F32, &dims(ci, input))
        } else {
            TensorType::blocked(&dims(ci, input))
        };
        let y = TensorType::blocked(&dims(co, &output));
        let co = co.next_multiple_of(16);
        let weights = TensorType::plain(DatumType::F32, &[co, taps, ci / group]);
        let bias = TensorType::plain(DatumType::F32, &[co]);
        let pixels: usize = output.iter().product();
        let flops = 2.0 * (pixels * taps * ci / group) as f64 * y.dims[1] as f64;
        let name = format!(
            "conv {kernel} /{stride} g{group} {ci} → {} {input:?}",
            y.dims[1]
        );
        self.measure(&name, flops, &Kernel::Conv(conv), &[x, weights, bias], &y);
    }

    fn pointwise(&mut self) {
        for (ci, co, size) in [
            (32, 16, 112),
            (16, 96, 112),
            (96, 24, 56),
            (24, 144, 56),
            (144, 24, 56),
            (144, 40, 28),
            (40, 240, 28),
            (240, 40, 28),
            (240, 80, 14),
            (80, 480, 14),
            (480, 80, 14),
            (480, 112, 14),
            (112, 672, 14),
            (672, 112, 14),
            (672, 192, 7),
            (192, 1152, 7),
            (1152, 192, 7),
            (1152, 320, 7),
            (320, 1280, 7),
            (1280, 1000, 1),
            (64, 16, 1),
        ] {
            self.conv(1, [ci, co], &[size, size], 1, 1);
        }
    }

    fn windows(&mut self) {
        for (ci, co, size, kernel, stride) in [
            (3, 32, 224, 3, 2),
            (3, 64, 224, 7, 2),
            (1, 16, 64, 3, 1),
            (64, 64, 56, 3, 1),
            (64, 128, 56, 3, 2),
            (64, 128, 56, 1, 2),
            (128, 128, 28, 3, 1),
            (128, 256, 28, 3, 2),
            (256, 256, 14, 3, 1),
            (256, 512, 14, 3, 2),
            (512, 512, 7, 3, 1),
            (512, 2048, 7, 1, 1),
            (16, 16, 40, 3, 1),
            (32, 32, 5, 3, 1),
            (256, 256, 4, 3, 1),
            (64, 64, 80, 3, 1),
        ] {
            self.conv(1, [ci, co], &[size, size], kernel, stride);
        }
        self.conv(32, [1024, 1024], &[14, 14], 3, 1);
        self.conv(1, [256, 512], &[512], 5, 1);
        self.conv(1, [1, 32], &[2048], 9, 2);
        self.conv(1, [64, 64], &[3, 48], 3, 1);
    }

    fn matmul(&mut self, rhs: MatMulRhs, half: bool, matrices: usize, [m, k, n]: [usize; 3]) {
        let datum_type = if half { DatumType::F16 } else { DatumType::F32 };
        let plain = |dims: &[usize]| TensorType::plain(DatumType::F32, dims);
        let b = match rhs {
            MatMulRhs::Packed => TensorType::plain(datum_type, &[n.div_ceil(16), k, 16]),
            MatMulRhs::Plain => plain(&[matrices, k, n]),
            MatMulRhs::Transposed => plain(&[matrices, n, k]),
        };
        let matmul = MatMul {
            rhs,
            scale: 1.0,
            epilogue: Epilogue {
                bias: true,
                ..Epilogue::default()
            },
        };
        let suffix = if half { " f16" } else { "" };
        let name = format!("matmul {rhs:?}{suffix} {matrices} · {m} × {k} × {n}");
        let inputs = [
            plain(&[matrices, m, k]),
            b,
            plain(&[n.next_multiple_of(16)]),
        ];
        let flops = 2.0 * (matrices * m * k) as f64 * n as f64;
        let y = plain(&[matrices, m, n]);
        self.measure(&name, flops, &Kernel::MatMul(matmul), &inputs, &y);
    }

    fn products(&mut self) {
        use MatMulRhs::{Packed, Plain, Transposed};
        for sizes in [
            [512, 512, 512],
            [128, 768, 3072],
            [128, 3072, 768],
            [197, 768, 768],
            [64, 1024, 1024],
            [64, 4096, 1024],
            [16, 64, 64],
            [2048, 64, 1],
            [2048, 64, 3],
            [1, 256, 1024],
            [1, 768, 3072],
            [1, 4096, 4096],
            [2, 768, 3072],
            [4, 768, 3072],
            [1, 784, 512],
            [4, 784, 512],
            [8, 784, 512],
            [16, 784, 512],
            [32, 784, 512],
            [64, 784, 512],
            [32, 512, 512],
        ] {
            self.matmul(Packed, false, 1, sizes);
        }
        for sizes in [[128, 768, 3072], [1, 768, 3072], [1, 4096, 4096]] {
            self.matmul(Packed, true, 1, sizes);
        }
        for rhs in [Plain, Transposed] {
            self.matmul(rhs, false, 12, [197, 64, 197]);
            self.matmul(rhs, false, 12, [197, 197, 64]);
            self.matmul(rhs, false, 1, [512, 512, 512]);
            self.matmul(rhs, false, 12, [1, 64, 197]);
            self.matmul(rhs, false, 12, [1, 200, 64]);
        }
    }
}
