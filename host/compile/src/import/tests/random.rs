//! Random graphs: kernels with symbols compute what tract does with numbers.

use super::*;
use crate::graph::Op;

/// How many graphs are made.
const GRAPHS: u64 = 150;

/// How many nodes of one are chosen at random.
const NODES: usize = 8;

/// The number of channels of every value.
const CHANNELS: usize = 4;

/// A graph of `[N, 4, H, W]` values, each made of earlier ones.
struct Sketch {
    random: Random,
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    /// Values of the same dims as the input.
    pool: Vec<String>,
}

impl Sketch {
    fn new(seed: u64) -> Self {
        Self {
            random: Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) + 1),
            nodes: vec![],
            constants: vec![],
            pool: vec!["x".into()],
        }
    }

    fn name(&self) -> String {
        format!("v{}", self.nodes.len())
    }

    fn choose(&mut self) -> String {
        let index = self.random.below(self.pool.len());
        self.pool[index].clone()
    }

    fn push(
        &mut self,
        operator: &str,
        inputs: &[&str],
        set: impl Fn(NodeProto) -> NodeProto,
    ) -> String {
        let name = self.name();
        self.nodes.push(set(node(operator, inputs, &[&name])));
        name
    }

    fn weights(&mut self, dims: &[usize]) -> String {
        let name = format!("w{}", self.constants.len());
        let count = dims.iter().product();
        let elements: Vec<f32> = (0..count).map(|_| self.random.float()).collect();
        self.constants.push(floats(&name, dims, &elements));
        name
    }

    fn integers(&mut self, elements: &[i64]) -> String {
        let name = format!("k{}", self.constants.len());
        self.constants.push(vector(&name, elements));
        name
    }

    /// Adds nodes that make a value of the input's dims of others.
    fn step(&mut self) {
        let (a, b) = (self.choose(), self.choose());
        let made = match self.random.below(12) {
            0 => self.push("Tanh", &[&a], |node| node),
            1 => self.push("Add", &[&a, &b], |node| node),
            2 => {
                let dims: [&[usize]; 4] = [&[], &[CHANNELS, 1, 1], &[1, CHANNELS, 1, 1], &[1]];
                let dims = dims[self.random.below(4)];
                let w = self.weights(dims);
                self.push("Mul", &[&a, &w], |node| node)
            }
            3 => {
                let group = [1, 2, CHANNELS][self.random.below(3)];
                let w = self.weights(&[CHANNELS, CHANNELS / group, 3, 3]);
                self.push("Conv", &[&a, &w], |node| {
                    with_int(with_ints(node, "pads", &[1; 4]), "group", group as i64)
                })
            }
            4 => self.push("MaxPool", &[&a], |node| {
                with_ints(with_ints(node, "kernel_shape", &[3, 3]), "pads", &[1; 4])
            }),
            5 => {
                let axis = self.random.below(4) as i64 - 3;
                self.push("Softmax", &[&a], |node| with_int(node, "axis", axis))
            }
            6 => self.gated(&a),
            7 => self.split_and_join(&a, &b),
            8 => self.turned_and_back(&a),
            9 => self.by_a_matrix(&a),
            10 => self.shrunk_and_grown(&a),
            _ => self.cut_and_padded(&a),
        };
        self.pool.push(made);
    }

    /// A mean over some axes, multiplied with the value.
    fn gated(&mut self, a: &str) -> String {
        let axes: [&[i64]; 3] = [&[2, 3], &[-1], &[1]];
        let axes = axes[self.random.below(3)];
        let mean = self.push("ReduceMean", &[a], |node| with_ints(node, "axes", axes));
        let gate = self.push("Sigmoid", &[&mean], |node| node);
        self.push("Mul", &[a, &gate], |node| node)
    }

    /// Half of the channels of each of two values.
    fn split_and_join(&mut self, a: &str, b: &str) -> String {
        let (zero, two, one) = (
            self.integers(&[0]),
            self.integers(&[2]),
            self.integers(&[1]),
        );
        let left = self.push("Slice", &[a, &zero, &two, &one], |node| node);
        let right = self.push("Slice", &[b, &two, "end", &one], |node| node);
        self.push("Concat", &[&left, &right], |node| with_int(node, "axis", 1))
    }

    /// Channels last, and back.
    fn turned_and_back(&mut self, a: &str) -> String {
        let last = self.push("Transpose", &[a], |node| {
            with_ints(node, "perm", &[0, 2, 3, 1])
        });
        let w = self.weights(&[CHANNELS, CHANNELS]);
        let product = self.push("MatMul", &[&last, &w], |node| node);
        self.push("Transpose", &[&product], |node| {
            with_ints(node, "perm", &[0, 3, 1, 2])
        })
    }

    /// Pixels as one axis.
    fn by_a_matrix(&mut self, a: &str) -> String {
        let flat = self.integers(&[0, 0, -1]);
        let flat = self.push("Reshape", &[a, &flat], |node| node);
        let w = self.weights(&[CHANNELS, CHANNELS]);
        let product = self.push("MatMul", &[&w, &flat], |node| node);
        let shape = self.push("Shape", &[a], |node| node);
        self.push("Reshape", &[&product, &shape], |node| node)
    }

    /// Half the size, and twice that.
    fn shrunk_and_grown(&mut self, a: &str) -> String {
        let half = self.push("AveragePool", &[a], |node| {
            with_ints(with_ints(node, "kernel_shape", &[2, 2]), "strides", &[2, 2])
        });
        let w = self.weights(&[CHANNELS, CHANNELS, 2, 2]);
        self.push("ConvTranspose", &[&half, &w], |node| {
            with_ints(node, "strides", &[2, 2])
        })
    }

    /// Without the first row, then with one of zeros at the end.
    fn cut_and_padded(&mut self, a: &str) -> String {
        let (one, two) = (self.integers(&[1]), self.integers(&[2]));
        let cut = self.push("Slice", &[a, &one, "end", &two], |node| node);
        let pads = self.integers(&[0, 0, 0, 0, 0, 0, 1, 0]);
        self.push("Pad", &[&cut, &pads], |node| node)
    }

    fn finish(mut self) -> GraphProto {
        (0..NODES).for_each(|_| self.step());
        self.constants.push(vector("end", &[i64::MAX]));
        let last = self.pool[self.pool.len() - 1].clone();
        graph(&["x:f32[N,4,H,W]"], self.nodes, self.constants, &[&last])
    }
}

#[test]
fn kernels_compute_what_tract_does() {
    let mut lean = 0;
    for seed in 0..GRAPHS {
        let original = model(13, Sketch::new(seed).finish());
        let graph = import_model(&original);
        let left = graph
            .nodes
            .iter()
            .filter(|node| matches!(node.op, Op::Onnx(_)));
        let left: Vec<&str> = left.map(|node| node.name.as_str()).collect();
        assert!(
            left.is_empty(),
            "graph {seed} leaves {left:?} to tract:\n{graph}"
        );
        lean += 1;
        for sizes in [
            [("N", 1), ("H", 4), ("W", 6)],
            [("N", 2), ("H", 6), ("W", 4)],
        ] {
            compare(&original, &graph, &sizes, &mut Random(seed));
        }
    }
    assert_eq!(lean, GRAPHS);
}
