//! A kernel of each family, and whether an interruption ends it.

use std::sync::atomic::{AtomicUsize, Ordering};

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{
    Attention, BinaryOp, Conv, ConvTranspose, ConvWeights, Epilogue, Gather, MatMul, MatMulRhs,
    Normalise, NormaliseKind, OutOfRange, Pad, PadMode, Pool, PoolKind, Recurrent, RecurrentCell,
    Reduce, ReduceOp, Resize, ResizeCoordinates, ResizeMode, Scatter, ScatterReduction, Slice,
    TopK, UnaryOp,
};
use tensorlet_tensor::DatumType;

use super::testing::Fresh;
use super::{Crew, Interrupted, Team};
use crate::run::{RunError, Target};
use crate::tensor_type::TensorType;

/// A kernel with its inputs and outputs, large enough to be asked several times.
struct Family {
    name: &'static str,
    kernel: Kernel,
    inputs: Vec<TensorType>,
    outputs: Vec<TensorType>,
}

fn family(
    name: &'static str,
    kernel: Kernel,
    inputs: impl Into<Vec<TensorType>>,
    output: TensorType,
) -> Family {
    Family {
        name,
        kernel,
        inputs: inputs.into(),
        outputs: vec![output],
    }
}

fn f32(dims: &[usize]) -> TensorType {
    TensorType::plain(DatumType::F32, dims)
}

fn i64(dims: &[usize]) -> TensorType {
    TensorType::plain(DatumType::I64, dims)
}

fn blocked(dims: &[usize]) -> TensorType {
    TensorType::blocked(dims)
}

fn conv(weights: ConvWeights, group: u32) -> Kernel {
    Kernel::Conv(Conv {
        weights,
        group,
        kernel: vec![3, 3],
        strides: vec![1, 1],
        dilations: vec![1, 1],
        pads_before: vec![1, 1],
        pads_after: vec![1, 1],
        epilogue: Epilogue::default(),
    })
}

fn pool(kind: PoolKind) -> Kernel {
    Kernel::Pool(Pool {
        kind,
        kernel: vec![3, 3],
        strides: vec![1, 1],
        dilations: vec![1, 1],
        pads_before: vec![1, 1],
        pads_after: vec![1, 1],
    })
}

fn matmul(rhs: MatMulRhs) -> Kernel {
    Kernel::MatMul(MatMul {
        rhs,
        scale: 1.0,
        epilogue: Epilogue::default(),
    })
}

fn reduce(op: ReduceOp) -> Kernel {
    Kernel::Reduce(Reduce { op, axes: vec![1] })
}

fn normalise(kind: NormaliseKind) -> Kernel {
    Kernel::Normalise(Normalise {
        kind,
        epsilon: 1e-5,
        scale: false,
        bias: false,
    })
}

fn resize(mode: ResizeMode) -> Kernel {
    Kernel::Resize(Resize {
        mode,
        coordinates: ResizeCoordinates::HalfPixel,
        scales: vec![],
    })
}

fn gather() -> Kernel {
    Kernel::Gather(Gather::Slices {
        axis: 0,
        out_of_range: OutOfRange::Fail,
    })
}

fn scatter(axis: Option<u32>) -> Kernel {
    Kernel::Scatter(Scatter {
        axis,
        reduction: ScatterReduction::Replace,
    })
}

/// Products and convolutions.
fn products() -> Vec<Family> {
    let image = [1, 32, 20, 20];
    let transposed = Kernel::ConvTranspose(ConvTranspose {
        group: 1,
        kernel: vec![2, 2],
        strides: vec![2, 2],
        dilations: vec![1, 1],
        pads_before: vec![0, 0],
        epilogue: Epilogue::default(),
    });
    let attention = Kernel::Attention(Attention {
        scale: 1.0,
        mask: false,
        transposed_k: false,
    });
    let recurrent = Kernel::Recurrent(Recurrent {
        cell: RecurrentCell::Tanh,
        hidden: 32,
        reverse: false,
        bidirectional: false,
        inputs: [false; 5],
        outputs: [true, false, false],
    });
    let qkv = [1, 2, 64, 16];
    vec![
        family(
            "dense convolution",
            conv(ConvWeights::Blocked, 1),
            [blocked(&image), f32(&[2, 9, 32, 16])],
            blocked(&image),
        ),
        family(
            "depthwise convolution",
            conv(ConvWeights::Depthwise, 32),
            [blocked(&image), f32(&[2, 3, 3, 16])],
            blocked(&image),
        ),
        family(
            "plain convolution",
            conv(ConvWeights::Plain, 4),
            [f32(&image), f32(&[32, 8, 3, 3])],
            f32(&image),
        ),
        family(
            "transposed convolution",
            transposed,
            [f32(&image), f32(&[32, 16, 2, 2])],
            f32(&[1, 16, 40, 40]),
        ),
        family(
            "product with packed weights",
            matmul(MatMulRhs::Packed),
            [f32(&[64, 96]), f32(&[3, 96, 16])],
            f32(&[64, 48]),
        ),
        family(
            "product of two matrices",
            matmul(MatMulRhs::Plain),
            [f32(&[3, 64, 96]), f32(&[3, 96, 40])],
            f32(&[3, 64, 40]),
        ),
        family(
            "product with a vector",
            matmul(MatMulRhs::Transposed),
            [f32(&[1, 96]), f32(&[200, 96])],
            f32(&[1, 200]),
        ),
        family(
            "attention",
            attention,
            [f32(&qkv), f32(&qkv), f32(&qkv)],
            f32(&qkv),
        ),
        family(
            "recurrent network",
            recurrent,
            [
                f32(&[20, 4, 16]),
                f32(&[1, 2, 16, 16]),
                f32(&[1, 2, 32, 16]),
            ],
            f32(&[20, 1, 4, 32]),
        ),
    ]
}

/// What is computed for each element or window.
fn elements() -> Vec<Family> {
    let x = f32(&[4, 50, 60]);
    let image = [2, 16, 20, 20];
    vec![
        family(
            "function",
            Kernel::Unary(UnaryOp::Tanh),
            [x.clone()],
            x.clone(),
        ),
        family(
            "function of integers",
            Kernel::Unary(UnaryOp::Neg),
            [i64(&[50, 60])],
            i64(&[50, 60]),
        ),
        family(
            "sum of two tensors",
            Kernel::Binary(BinaryOp::Add),
            [x.clone(), f32(&[50, 1])],
            x.clone(),
        ),
        family(
            "power",
            Kernel::Binary(BinaryOp::Pow),
            [x.clone(), f32(&[1])],
            x.clone(),
        ),
        family(
            "choice",
            Kernel::Where,
            [
                TensorType::plain(DatumType::Bool, &[50, 60]),
                x.clone(),
                f32(&[1]),
            ],
            x.clone(),
        ),
        family("cast", Kernel::Cast, [x.clone()], i64(&[4, 50, 60])),
        family(
            "maximum of windows",
            pool(PoolKind::Max),
            [blocked(&image)],
            blocked(&image),
        ),
        family(
            "norm of windows",
            pool(PoolKind::Lp { p: 2 }),
            [f32(&image)],
            f32(&image),
        ),
        family(
            "softmax",
            Kernel::Softmax {
                axis: 2,
                log: false,
            },
            [x.clone()],
            x.clone(),
        ),
        family(
            "softmax of columns",
            Kernel::Softmax {
                axis: 0,
                log: false,
            },
            [x.clone()],
            x.clone(),
        ),
        family("sum", reduce(ReduceOp::Sum), [x.clone()], f32(&[4, 1, 60])),
        family(
            "product of numbers",
            reduce(ReduceOp::Product),
            [x.clone()],
            f32(&[4, 1, 60]),
        ),
        family(
            "sum of integers",
            reduce(ReduceOp::Sum),
            [i64(&[50, 60])],
            i64(&[50, 1]),
        ),
        family(
            "normalisation of rows",
            normalise(NormaliseKind::Layer { axis: 2 }),
            [x.clone()],
            x.clone(),
        ),
        family(
            "normalisation of columns",
            normalise(NormaliseKind::Axis { axis: 0 }),
            [x.clone()],
            x.clone(),
        ),
        family(
            "local response normalisation",
            Kernel::Lrn {
                size: 5,
                alpha: 1.0,
                beta: 0.75,
                bias: 1.0,
            },
            [x.clone()],
            x.clone(),
        ),
        family(
            "linear resizing",
            resize(ResizeMode::Linear),
            [f32(&[2, 3, 20, 20])],
            f32(&[2, 3, 31, 31]),
        ),
        family(
            "cubic resizing",
            resize(ResizeMode::Cubic { coefficient: -0.75 }),
            [blocked(&[2, 16, 20, 20])],
            blocked(&[2, 16, 31, 31]),
        ),
    ]
}

/// What moves elements.
fn movements() -> Vec<Family> {
    let x = f32(&[30, 40, 50]);
    let top = Family {
        name: "largest elements",
        kernel: Kernel::TopK(TopK {
            axis: 1,
            largest: true,
        }),
        inputs: vec![f32(&[10, 200])],
        outputs: vec![f32(&[10, 20]), i64(&[10, 20])],
    };
    vec![
        top,
        family(
            "place of the largest element",
            Kernel::ArgReduce {
                minimum: false,
                axis: 1,
                last: false,
            },
            [f32(&[10, 200])],
            i64(&[10, 1]),
        ),
        family(
            "running sums",
            Kernel::CumSum {
                axis: 1,
                exclusive: false,
                reverse: false,
            },
            [f32(&[10, 200])],
            f32(&[10, 200]),
        ),
        family(
            "to blocks",
            Kernel::ToBlocked,
            [f32(&[2, 40, 20, 20])],
            blocked(&[2, 40, 20, 20]),
        ),
        family(
            "from blocks",
            Kernel::FromBlocked,
            [blocked(&[2, 40, 20, 20])],
            f32(&[2, 40, 20, 20]),
        ),
        family(
            "transposition",
            Kernel::Transpose {
                permutation: vec![2, 0, 1],
            },
            [x.clone()],
            f32(&[50, 30, 40]),
        ),
        family(
            "slice",
            Kernel::Slice(Slice {
                starts: vec![0, 39, 0],
                steps: vec![1, -1, 2],
            }),
            [x.clone()],
            f32(&[30, 40, 25]),
        ),
        family(
            "joint",
            Kernel::Concat { axis: 1 },
            [x.clone(), x.clone()],
            f32(&[30, 80, 50]),
        ),
        family(
            "padding",
            Kernel::Pad(Pad {
                mode: PadMode::Edge,
                before: vec![1, 1, 1],
            }),
            [x.clone()],
            f32(&[32, 42, 52]),
        ),
        family(
            "triangle",
            Kernel::Trilu {
                upper: true,
                diagonal: 0,
            },
            [x.clone()],
            x.clone(),
        ),
        family(
            "one-hot vectors",
            Kernel::OneHot { axis: 1 },
            [i64(&[100]), f32(&[2])],
            f32(&[100, 10]),
        ),
        family(
            "look-up",
            gather(),
            [f32(&[50, 60]), i64(&[100])],
            f32(&[100, 60]),
        ),
        family(
            "look-up of elements",
            Kernel::Gather(Gather::Elements { axis: 1 }),
            [f32(&[50, 60]), i64(&[50, 20])],
            f32(&[50, 20]),
        ),
        family(
            "look-up by tuples",
            Kernel::Gather(Gather::Nd { batch_dims: 0 }),
            [f32(&[50, 60]), i64(&[100, 1])],
            f32(&[100, 60]),
        ),
        family(
            "replacement of elements",
            scatter(Some(1)),
            [f32(&[50, 60]), i64(&[50, 20]), f32(&[50, 20])],
            f32(&[50, 60]),
        ),
        family(
            "replacement of rows",
            scatter(None),
            [f32(&[50, 60]), i64(&[100, 1]), f32(&[100, 60])],
            f32(&[50, 60]),
        ),
        family(
            "resizing by the nearest",
            resize(ResizeMode::Nearest(
                tensorlet_plan::kernel::window::NearestRounding::Floor,
            )),
            [f32(&[2, 3, 20, 20])],
            f32(&[2, 3, 31, 31]),
        ),
    ]
}

impl Family {
    /// Runs it with so many threads, until a question is answered with yes. Returns how many were asked.
    fn run(&self, threads: usize, yes: usize) -> (Result<(), RunError>, usize) {
        let bound = crate::bind(&self.kernel, &self.inputs, &self.outputs, &Target::detect())
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let stored = |tensor: &TensorType| tensor.stored_bytes().unwrap();
        let inputs: Vec<Vec<u64>> = self.inputs.iter().map(|x| words(stored(x))).collect();
        let inputs: Vec<&[u8]> = inputs
            .iter()
            .zip(&self.inputs)
            .map(|(words, x)| &bytemuck::cast_slice(words)[..stored(x)])
            .collect();
        let mut outputs: Vec<Vec<u64>> = self.outputs.iter().map(|y| words(stored(y))).collect();
        let mut outputs: Vec<&mut [u8]> = outputs
            .iter_mut()
            .zip(&self.outputs)
            .map(|(words, y)| &mut bytemuck::cast_slice_mut(words)[..stored(y)])
            .collect();
        let mut scratch = words(bound.scratch_bytes().next_multiple_of(64) * threads);
        let asked = AtomicUsize::new(0);
        let interrupt = || asked.fetch_add(1, Ordering::Relaxed) >= yes;
        let team = Fresh(threads);
        let crew = Crew::new(Some(&team as &dyn Team), Some(&interrupt));
        let scratch = bytemuck::cast_slice_mut(&mut scratch);
        let result = bound.run(&inputs, &mut outputs, scratch, crew);
        (result, asked.into_inner())
    }
}

/// Zeros, as many as so many bytes.
fn words(len: usize) -> Vec<u64> {
    vec![0; len.div_ceil(8)]
}

#[test]
fn every_family_is_interrupted() {
    for family in [products(), elements(), movements()].into_iter().flatten() {
        let name = family.name;
        let (result, asked) = family.run(1, usize::MAX);
        assert_eq!(result, Ok(()), "{name}");
        assert!(
            asked >= 4,
            "{name}: expected several questions, found {asked}"
        );
        for threads in 1..4 {
            for yes in [0, asked / 2] {
                let (result, _) = family.run(threads, yes);
                let expected = Err(RunError::Interrupted(Interrupted));
                assert_eq!(result, expected, "{name}, {threads} threads");
            }
        }
    }
}
