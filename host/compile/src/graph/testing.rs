//! Graphs for tests: a builder, and random inputs to compute them with.

use tensorlet_plan::kernel::{BinaryOp, Conv, ConvWeights, Epilogue, MatMul, MatMulRhs, UnaryOp};
use tensorlet_plan::{DimExpr, DimOp, Kernel};
use tensorlet_tensor::DatumType;

use super::interpret::{Bytes, interpret};
use super::{Graph, Node, Op, ValueId};

/// Writes graphs down shortly. Types are texts such as `f32[N, 2*N, 4]`; what is no number there is a symbol.
pub(crate) struct Builder {
    pub(crate) graph: Graph,
    random: Random,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            graph: Graph::default(),
            random: Random(1),
        }
    }

    /// Adds an input.
    pub(crate) fn input(&mut self, name: &str, r#type: &str) -> ValueId {
        let id = self.value(name, r#type);
        self.graph.inputs.push(id);
        id
    }

    /// Adds a constant of f32 with random elements from -1 to 1.
    pub(crate) fn constant(&mut self, name: &str, dims: &[usize]) -> ValueId {
        let len = dims.iter().product();
        let elements: Vec<f32> = (0..len).map(|_| self.random.float()).collect();
        self.graph.add_f32(name, dims, &elements)
    }

    /// Adds a constant of f32.
    pub(crate) fn floats(&mut self, name: &str, dims: &[usize], elements: &[f32]) -> ValueId {
        assert_eq!(dims.iter().product::<usize>(), elements.len());
        self.graph.add_f32(name, dims, elements)
    }

    /// Adds a constant of i64.
    pub(crate) fn integers(&mut self, name: &str, dims: &[usize], elements: &[i64]) -> ValueId {
        let bytes: Vec<u8> = elements.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.graph.add_constant(name, DatumType::I64, dims, bytes)
    }

    /// Adds a constant of f32 and rank 0.
    pub(crate) fn scalar(&mut self, element: f32) -> ValueId {
        self.graph.add_f32("scalar", &[], &[element])
    }

    /// Adds a node of one output.
    pub(crate) fn kernel(
        &mut self,
        name: &str,
        kernel: Kernel,
        inputs: &[ValueId],
        r#type: &str,
    ) -> ValueId {
        self.node(name, Op::Kernel(kernel), inputs, r#type)
    }

    /// Adds a reshape.
    pub(crate) fn reshape(&mut self, name: &str, x: ValueId, r#type: &str) -> ValueId {
        self.node(name, Op::Reshape, &[x], r#type)
    }

    /// Adds a function of one element, which keeps the type.
    pub(crate) fn unary(&mut self, name: &str, op: UnaryOp, x: ValueId) -> ValueId {
        let value = self.graph.value(x).clone();
        let y = self.graph.add_value(name, value.datum_type, value.dims);
        self.push(name, Op::Kernel(Kernel::Unary(op)), &[x], y)
    }

    /// Adds a function of two elements.
    pub(crate) fn binary(
        &mut self,
        name: &str,
        op: BinaryOp,
        a: ValueId,
        b: ValueId,
        r#type: &str,
    ) -> ValueId {
        self.kernel(name, Kernel::Binary(op), &[a, b], r#type)
    }

    /// Adds a plain product of matrices.
    pub(crate) fn matmul(&mut self, name: &str, a: ValueId, b: ValueId, r#type: &str) -> ValueId {
        let matmul = MatMul {
            rhs: MatMulRhs::Plain,
            scale: 1.0,
            epilogue: Default::default(),
        };
        self.kernel(name, Kernel::MatMul(matmul), &[a, b], r#type)
    }

    /// Adds a transpose.
    pub(crate) fn transpose(
        &mut self,
        name: &str,
        permutation: &[u32],
        x: ValueId,
        r#type: &str,
    ) -> ValueId {
        let permutation = permutation.to_vec();
        self.kernel(name, Kernel::Transpose { permutation }, &[x], r#type)
    }

    /// Returns the graph with these outputs.
    pub(crate) fn finish(mut self, outputs: &[ValueId]) -> Graph {
        self.graph.outputs = outputs.to_vec();
        self.graph
    }

    fn value(&mut self, name: &str, r#type: &str) -> ValueId {
        let (datum_type, dims) = r#type.split_once('[').expect("a type such as f32[N, 4]");
        let dims = dims.strip_suffix(']').expect("a type such as f32[N, 4]");
        let dims = match dims {
            "?" => None,
            "" => Some(vec![]),
            dims => Some(dims.split(',').map(|dim| self.dim(dim)).collect()),
        };
        let datum_type = datum_type.parse().expect("a datum type");
        self.graph.add_value(name, datum_type, dims)
    }

    /// Reads a size such as `4`, `N`, `2*N` or `N+1`.
    fn dim(&mut self, text: &str) -> DimExpr {
        let mut ops = vec![];
        for (index, summand) in text.split('+').enumerate() {
            for (index, factor) in summand.split('*').enumerate() {
                let factor = factor.trim();
                ops.push(match factor.parse() {
                    Ok(number) => DimOp::Number(number),
                    Err(_) => DimOp::Symbol(self.graph.symbol(factor)),
                });
                if index > 0 {
                    ops.push(DimOp::Multiply);
                }
            }
            if index > 0 {
                ops.push(DimOp::Add);
            }
        }
        DimExpr(ops)
    }

    fn node(&mut self, name: &str, op: Op, inputs: &[ValueId], r#type: &str) -> ValueId {
        let y = self.value(name, r#type);
        self.push(name, op, inputs, y)
    }

    fn push(&mut self, name: &str, op: Op, inputs: &[ValueId], y: ValueId) -> ValueId {
        self.graph.nodes.push(Node {
            name: name.into(),
            op,
            inputs: inputs.to_vec(),
            outputs: vec![y],
        });
        y
    }
}

/// A plain convolution of stride 1, with the same pads in front and behind.
pub(crate) fn conv(kernel: &[u32], pads: &[u32], group: u32) -> Kernel {
    Kernel::Conv(Conv {
        weights: ConvWeights::Plain,
        group,
        kernel: kernel.to_vec(),
        strides: vec![1; kernel.len()],
        dilations: vec![1; kernel.len()],
        pads_before: pads.to_vec(),
        pads_after: pads.to_vec(),
        epilogue: Epilogue::default(),
    })
}

/// Runs a pass until it changes nothing, compares the graph's text before and after, and what both compute.
///
/// # Panics
/// If something differs, or there is no end.
pub(crate) fn check(before: Graph, pass: fn(&mut Graph) -> bool, expected: &expect_test::Expect) {
    let mut after = before.clone();
    let mut text = before.to_string();
    for round in 0.. {
        assert!(round < 20, "the pass comes to no end:\n{after}");
        let changed = pass(&mut after);
        let new = after.to_string();
        assert_eq!(
            changed,
            text != new,
            "a pass tells whether it changed anything:\n{new}"
        );
        text = new;
        if !changed {
            break;
        }
    }
    expected.assert_eq(&format!("{before}\n=>\n{after}"));
    assert_equal_results(&before, &after);
}

/// Pseudo-random numbers, the same on every run.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// Returns 32 random bits.
    pub(crate) fn bits(&mut self) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 32) as u32
    }

    /// Returns a number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.bits() as usize % end
    }

    /// Returns a number from -1 to 1.
    pub(crate) fn float(&mut self) -> f32 {
        (self.bits() >> 8) as f32 / (1 << 23) as f32 - 1.0
    }

    /// Returns the bytes of a tensor: floats from -1 to 1, integers from 0 to 3, bools.
    pub(crate) fn tensor(&mut self, datum_type: DatumType, len: usize) -> Vec<u8> {
        let mut element = || match datum_type {
            DatumType::F32 => self.float().to_le_bytes().to_vec(),
            DatumType::Bool => vec![self.below(2) as u8],
            datum_type => {
                let mut bytes = vec![0; datum_type.width_bytes()];
                bytes[0] = self.below(4) as u8;
                bytes
            }
        };
        (0..len).flat_map(|_| element()).collect()
    }
}

/// Returns random tensors for the inputs of a graph, given the sizes of its symbols.
pub(crate) fn random_inputs(graph: &Graph, symbols: &[u32], random: &mut Random) -> Vec<Bytes> {
    let tensor = |&id: &ValueId| {
        let value = graph.value(id);
        let dims = value.dims.as_ref().expect("inputs have dims");
        let sizes = dims
            .iter()
            .map(|dim| dim.evaluate(symbols).expect("a size"));
        let len = sizes.map(|size| size as usize).product();
        Bytes::new(&random.tensor(value.datum_type, len))
    };
    graph.inputs.iter().map(tensor).collect()
}

/// Computes both graphs with random inputs, and compares what comes out.
///
/// # Panics
/// If any element differs by more than a rounding.
pub(crate) fn assert_equal_results(before: &Graph, after: &Graph) {
    for (size, seed) in [(1, 1), (3, 2)] {
        let symbols: Vec<u32> = vec![size; before.symbols.len()];
        let inputs = random_inputs(before, &symbols, &mut Random(seed));
        let expected = interpret(before, &symbols, &inputs).expect("the graph before computes");
        let found = interpret(after, &symbols, &inputs).expect("the graph after computes");
        for (index, (expected, found)) in expected.iter().zip(&found).enumerate() {
            let datum_type = before.value(before.outputs[index]).datum_type;
            assert_near(datum_type, expected, found, &format!("output {index}"));
        }
    }
}

/// Compares two tensors: floats up to a rounding, relative to the largest one, others exactly.
pub(crate) fn assert_near(datum_type: DatumType, expected: &[u8], found: &[u8], what: &str) {
    assert_eq!(expected.len(), found.len(), "{what}");
    if datum_type != DatumType::F32 {
        assert_eq!(expected, found, "{what}");
        return;
    }
    let floats = |bytes: &[u8]| -> Vec<f32> {
        let words = bytes.chunks_exact(4);
        words
            .map(|word| f32::from_le_bytes(word.try_into().unwrap()))
            .collect()
    };
    let (expected, found) = (floats(expected), floats(found));
    let finite = expected.iter().filter(|x| x.is_finite());
    let tolerance = 2e-5 * finite.fold(1.0f32, |largest, x| largest.max(x.abs()));
    for (index, (x, y)) in expected.iter().zip(&found).enumerate() {
        let equal = x == y || (x.is_nan() && y.is_nan()) || (x - y).abs() <= tolerance;
        assert!(equal, "{what}, element {index}: expected {x}, found {y}");
    }
}
