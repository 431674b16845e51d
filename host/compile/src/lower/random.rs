//! Random graphs: whatever is rewritten, laid out and packed must compute the same.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{
    BinaryOp, MatMul, MatMulRhs, Normalise, NormaliseKind, Pool, PoolKind, Reduce, ReduceOp, Slice,
    UnaryOp,
};

use super::layout::assign_layouts;
use super::order::order_nodes;
use super::pack::pack_weights;
use crate::graph::testing::{Builder, Random, assert_equal_results, conv};
use crate::graph::{Graph, ValueId};
use crate::passes::optimise;

/// Grows a graph node by node.
struct Grower {
    builder: Builder,
    random: Random,
    /// What nodes may read: all but the batch of their dims.
    values: Vec<(ValueId, Vec<usize>)>,
    count: usize,
}

impl Grower {
    fn new(seed: u64) -> Self {
        let mut grower = Self {
            builder: Builder::new(),
            random: Random(seed),
            values: vec![],
            count: 0,
        };
        for name in ["x", "y"] {
            let channels = [1, 3, 8, 16, 20, 32][grower.random.below(6)];
            let dims = match grower.random.below(3) {
                0 => vec![channels],
                1 => vec![channels, 6],
                _ => vec![channels, 4, 5],
            };
            let id = grower.builder.input(name, &type_text(&dims));
            grower.values.push((id, dims));
        }
        grower
    }

    fn name(&mut self) -> String {
        self.count += 1;
        format!("v{}", self.count)
    }

    fn add(&mut self, kernel: Kernel, inputs: &[ValueId], dims: &[usize]) -> ValueId {
        let name = self.name();
        let id = self.builder.kernel(&name, kernel, inputs, &type_text(dims));
        self.values.push((id, dims.to_vec()));
        id
    }

    /// A constant that is broadcast to these dims with a batch in front.
    fn constant(&mut self, dims: &[usize]) -> ValueId {
        let name = self.name();
        let mut dims = dims.to_vec();
        match self.random.below(4) {
            0 => dims = vec![],
            1 => dims.iter_mut().skip(1).for_each(|dim| *dim = 1),
            2 => dims = dims.split_off(dims.len() - 1),
            _ => {
                dims.iter_mut().skip(1).for_each(|dim| *dim = 1);
                dims.insert(0, 1);
            }
        }
        self.builder.constant(&name, &dims)
    }

    fn grow(&mut self) {
        let (x, dims) = self.values[self.random.below(self.values.len())].clone();
        match self.random.below(16) {
            0 | 1 => self.unary(x, &dims),
            2..=4 => self.binary(x, &dims),
            5..=8 => self.linear(x, &dims),
            9 => self.gate(x, &dims),
            10 => self.transpose(x, &dims),
            11 => {
                let flat = [dims.iter().product()];
                let other = if dims.len() > 1 {
                    flat.to_vec()
                } else {
                    vec![dims[0], 1]
                };
                let name = self.name();
                let id = self.builder.reshape(&name, x, &type_text(&other));
                self.values.push((id, other));
            }
            12 => self.reduce(x, &dims),
            13 => self.window(x, &dims),
            14 => self.join(x, &dims),
            _ => self.normalise(x, &dims),
        }
    }

    fn unary(&mut self, x: ValueId, dims: &[usize]) {
        let ops = [
            UnaryOp::Tanh,
            UnaryOp::Sigmoid,
            UnaryOp::Neg,
            UnaryOp::HardSwish,
            UnaryOp::Gelu,
            UnaryOp::LeakyRelu { alpha: 0.1 },
            UnaryOp::Clip {
                low: 0.0,
                high: 6.0,
            },
            UnaryOp::Clip {
                low: -0.5,
                high: 0.5,
            },
        ];
        let op = ops[self.random.below(ops.len())];
        self.add(Kernel::Unary(op), &[x], dims);
    }

    fn binary(&mut self, x: ValueId, dims: &[usize]) {
        let ops = [BinaryOp::Add, BinaryOp::Mul, BinaryOp::Sub, BinaryOp::Max];
        let op = ops[self.random.below(ops.len())];
        let same = self.values.iter().filter(|(_, other)| other == dims);
        let same: Vec<ValueId> = same.map(|(id, _)| *id).collect();
        let other = match self.random.below(2) {
            0 => same[self.random.below(same.len())],
            _ => self.constant(dims),
        };
        let inputs = if self.random.below(4) == 0 {
            [other, x]
        } else {
            [x, other]
        };
        self.add(Kernel::Binary(op), &inputs, dims);
    }

    /// A convolution or product with constant weights, often with what fuses with it.
    fn linear(&mut self, x: ValueId, dims: &[usize]) {
        let name = self.name();
        let channels = dims[0];
        let out = [1, 5, 16, 24][self.random.below(4)];
        let mut result = dims.to_vec();
        let y = if dims.len() == 1 || self.random.below(4) == 0 {
            let columns = dims[dims.len() - 1];
            let weights = self.builder.constant(&format!("{name}_w"), &[columns, out]);
            *result.last_mut().unwrap() = out;
            let product = Kernel::MatMul(MatMul {
                rhs: MatMulRhs::Plain,
                scale: 0.5,
                epilogue: Default::default(),
            });
            self.add(product, &[x, weights], &result)
        } else {
            let size = [1, 3][self.random.below(2)];
            let (out, group) = match self.random.below(4) {
                0 => (channels, channels),
                1 if channels.is_multiple_of(4) => (out.next_multiple_of(4), 4),
                _ => (out, 1),
            };
            let spatial = dims.len() - 1;
            let mut weights = vec![out, channels / group];
            weights.extend(vec![size; spatial]);
            let weights = self.builder.constant(&format!("{name}_w"), &weights);
            let kernel = vec![size as u32; spatial];
            let pads = vec![size as u32 / 2; spatial];
            result[0] = out;
            self.add(conv(&kernel, &pads, group as u32), &[x, weights], &result)
        };
        for _ in 0..self.random.below(3) {
            let y = self.values.last().map_or(y, |(id, _)| *id);
            match self.random.below(3) {
                0 => self.unary(y, &result),
                _ => self.binary(y, &result),
            }
        }
    }

    /// `x × sigmoid(x)`.
    fn gate(&mut self, x: ValueId, dims: &[usize]) {
        let sigmoid = self.add(Kernel::Unary(UnaryOp::Sigmoid), &[x], dims);
        self.add(Kernel::Binary(BinaryOp::Mul), &[x, sigmoid], dims);
    }

    fn transpose(&mut self, x: ValueId, dims: &[usize]) {
        let mut permutation: Vec<u32> = (0..=dims.len() as u32).collect();
        permutation[1..].reverse();
        let moved: Vec<usize> = dims.iter().rev().copied().collect();
        self.add(Kernel::Transpose { permutation }, &[x], &moved);
    }

    fn reduce(&mut self, x: ValueId, dims: &[usize]) {
        let ops = [ReduceOp::Mean, ReduceOp::Max, ReduceOp::Sum];
        let op = ops[self.random.below(ops.len())];
        let first = 1 + self.random.below(dims.len());
        let axes: Vec<u32> = (first as u32..=dims.len() as u32).collect();
        let mut reduced = dims.to_vec();
        reduced[first - 1..].fill(1);
        let y = self.add(Kernel::Reduce(Reduce { op, axes }), &[x], &reduced);
        if self.random.below(2) == 0 {
            self.add(Kernel::Binary(BinaryOp::Sub), &[x, y], dims);
        }
    }

    fn window(&mut self, x: ValueId, dims: &[usize]) {
        let spatial = dims.len() - 1;
        if spatial == 0 || dims[1..].contains(&1) {
            return self.unary(x, dims);
        }
        let kind = match self.random.below(2) {
            0 => PoolKind::Max,
            _ => PoolKind::Average {
                count_padding: true,
            },
        };
        let pool = Kernel::Pool(Pool {
            kind,
            kernel: vec![2; spatial],
            strides: vec![2; spatial],
            dilations: vec![1; spatial],
            pads_before: vec![0; spatial],
            pads_after: vec![0; spatial],
        });
        let mut result = dims.to_vec();
        result[1..].iter_mut().for_each(|dim| *dim /= 2);
        self.add(pool, &[x], &result);
    }

    /// Joins two tensors along the channels, and perhaps takes a part.
    fn join(&mut self, x: ValueId, dims: &[usize]) {
        let others = self
            .values
            .iter()
            .filter(|(_, other)| other[1..] == dims[1..]);
        let others: Vec<(ValueId, Vec<usize>)> = others.cloned().collect();
        let (other, other_dims) = others[self.random.below(others.len())].clone();
        let mut result = dims.to_vec();
        result[0] += other_dims[0];
        let y = self.add(Kernel::Concat { axis: 1 }, &[x, other], &result);
        if self.random.below(2) == 0 {
            let mut starts = vec![0; result.len() + 1];
            starts[1] = dims[0] as i64;
            let steps = vec![1; starts.len()];
            self.add(Kernel::Slice(Slice { starts, steps }), &[y], &other_dims);
        }
    }

    fn normalise(&mut self, x: ValueId, dims: &[usize]) {
        if self.random.below(2) == 0 {
            let axis = dims.len() as u32;
            self.add(Kernel::Softmax { axis, log: false }, &[x], dims);
            return;
        }
        let normalise = Kernel::Normalise(Normalise {
            kind: NormaliseKind::Layer {
                axis: dims.len() as u32,
            },
            epsilon: 0.1,
            scale: false,
            bias: false,
        });
        let y = self.add(normalise, &[x], dims);
        self.binary(y, dims);
    }
}

fn type_text(dims: &[usize]) -> String {
    let dims: Vec<String> = dims.iter().map(usize::to_string).collect();
    format!("f32[N, {}]", dims.join(", "))
}

fn graph(seed: u64) -> Graph {
    let mut grower = Grower::new(seed);
    for _ in 0..4 + grower.random.below(12) {
        grower.grow();
    }
    let mut outputs: Vec<ValueId> = grower.values.iter().map(|(id, _)| *id).collect();
    let keep = 1 + grower.random.below(2);
    outputs.drain(..outputs.len() - keep);
    grower.builder.finish(&outputs)
}

#[test]
fn rewritten_graphs_compute_the_same() {
    for seed in 0..400 {
        let before = graph(seed);
        let mut after = before.clone();
        optimise(&mut after);
        assert_equal_results(&before, &after);
        assign_layouts(&mut after);
        pack_weights(&mut after);
        order_nodes(&mut after);
        assert_equal_results(&before, &after);
    }
}
