//! What an importer of one node works with: its attributes and inputs, and ways to add kernels.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{BinaryOp, Epilogue, MatMul, MatMulRhs, Reduce, ReduceOp, UnaryOp};
use tensorlet_tensor::DatumType;
use tract_onnx::pb::{NodeProto, TensorProto};
use tract_onnx::prelude::TDim;

use super::builder::{Builder, Mark, computed_type, number_bytes};
use super::constants;
use super::dims::{as_u32, broadcast, fixed};
use super::known::stem;
use crate::graph::{Op, ValueId};
use crate::rewrite::graph::{attribute, input, int, ints, node_name};

/// One node of a model, on its way to become kernels.
///
/// Datum type and dims of an output.
type OutputType = (DatumType, Vec<TDim>);

/// Methods return `None` where something is not known or not there; an importer then returns `None` as well, and the node is
/// left to tract.
pub(super) struct Context<'b, 'a> {
    builder: &'b mut Builder<'a>,
    node: &'b NodeProto,
    /// The state before the node.
    before: Mark,
    /// The values of the outputs, and the datum types that the model says they have.
    outputs: Vec<Option<(ValueId, DatumType)>>,
}

impl<'b, 'a> Context<'b, 'a> {
    pub(super) fn new(builder: &'b mut Builder<'a>, node: &'b NodeProto) -> Self {
        let before = builder.mark();
        Self {
            builder,
            node,
            before,
            outputs: vec![None; node.output.len()],
        }
    }

    /// Gives the outputs their names; `None` if one that is read is missing.
    pub(super) fn finish(mut self) -> Option<Vec<Option<OutputType>>> {
        let mut types = vec![];
        for index in 0..self.outputs.len() {
            let Some((id, datum_type)) = self.outputs[index] else {
                if self.wants(index) {
                    return None;
                }
                types.push(None);
                continue;
            };
            let name = &self.node.output[index];
            types.push(Some((datum_type, self.dims(id))));
            if name.is_empty() {
                continue;
            }
            let id = self.owned(id, index)?;
            self.builder.graph.values[id.index()].name = name.clone();
            self.builder.define(name, datum_type, id);
        }
        Some(types)
    }

    /// Returns a value that can have the name of an output: made by this node, and no other output.
    fn owned(&mut self, id: ValueId, index: usize) -> Option<ValueId> {
        let earlier = self.outputs[..index].iter().flatten();
        let taken = earlier.into_iter().any(|(other, _)| *other == id);
        let made = self.builder.is_newer(id, &self.before)
            && self.builder.graph.value(id).constant.is_none();
        if made && !taken {
            return Some(id);
        }
        let dims = self.dims(id);
        self.reshape(id, dims)
    }

    // The node.

    /// Returns the version of ONNX's own operators.
    pub(super) fn opset(&self) -> i64 {
        self.builder.known.opset
    }

    /// Returns the operator.
    pub(super) fn operator(&self) -> &'b str {
        &self.node.op_type
    }

    /// Returns an attribute that is an integer.
    pub(super) fn int(&self, name: &str) -> Option<i64> {
        int(self.node, name)
    }

    /// Returns an attribute that is an integer, or its default.
    pub(super) fn int_or(&self, name: &str, default: i64) -> i64 {
        self.int(name).unwrap_or(default)
    }

    /// Returns an attribute that is 0 or 1.
    pub(super) fn flag(&self, name: &str, default: bool) -> bool {
        self.int_or(name, default.into()) != 0
    }

    /// Returns an attribute that is a float, or its default.
    pub(super) fn float_or(&self, name: &str, default: f32) -> f32 {
        attribute(self.node, name).map_or(default, |attribute| attribute.f)
    }

    /// Reports whether there is an attribute.
    pub(super) fn has_attribute(&self, name: &str) -> bool {
        attribute(self.node, name).is_some()
    }

    /// Returns an attribute that is a list of integers.
    pub(super) fn ints(&self, name: &str) -> Option<&'b [i64]> {
        ints(self.node, name)
    }

    /// Returns an attribute that is a list of floats.
    pub(super) fn float_list(&self, name: &str) -> Option<&'b [f32]> {
        attribute(self.node, name).map(|attribute| attribute.floats.as_slice())
    }

    /// Returns an attribute that is a text, or its default; `None` if it is no text.
    pub(super) fn text_or(&self, name: &str, default: &'static str) -> Option<&'b str> {
        match attribute(self.node, name) {
            Some(attribute) => std::str::from_utf8(&attribute.s).ok(),
            None => Some(default),
        }
    }

    /// Returns an attribute that is a list of texts.
    pub(super) fn texts(&self, name: &str) -> Option<Vec<&'b str>> {
        let attribute = attribute(self.node, name)?;
        let texts = attribute.strings.iter();
        texts.map(|text| std::str::from_utf8(text).ok()).collect()
    }

    /// Returns an attribute that is a tensor.
    pub(super) fn tensor(&self, name: &str) -> Option<&'b TensorProto> {
        attribute(self.node, name)?.t.as_ref()
    }

    // The inputs.

    /// Returns the number of inputs, those left out in the middle counted.
    pub(super) fn inputs(&self) -> usize {
        self.node.input.len()
    }

    /// Reports whether there is an input.
    pub(super) fn has(&self, index: usize) -> bool {
        input(self.node, index).is_some()
    }

    /// Returns the value of an input, if its dims are known.
    pub(super) fn input(&mut self, index: usize) -> Option<ValueId> {
        let name = input(self.node, index)?;
        let id = self.builder.computed(name)?;
        self.builder.dims(id).is_some().then_some(id)
    }

    /// Returns the value of an input that may be absent.
    pub(super) fn optional(&mut self, index: usize) -> Option<Option<ValueId>> {
        if self.has(index) {
            self.input(index).map(Some)
        } else {
            Some(None)
        }
    }

    /// Returns the value of an input; if it is a constant, of the datum type that it is stored in.
    pub(super) fn raw(&mut self, index: usize) -> Option<ValueId> {
        let id = self.builder.raw(input(self.node, index)?)?;
        self.builder.dims(id).is_some().then_some(id)
    }

    /// Returns the initializer that an input is.
    pub(super) fn constant(&self, index: usize) -> Option<&'a TensorProto> {
        let name = input(self.node, index)?;
        self.builder.known.sources.tensors.get(name).copied()
    }

    /// Returns the elements of an input that is a constant of floats.
    pub(super) fn floats(&self, index: usize) -> Option<Vec<f32>> {
        constants::floats(self.constant(index)?)
    }

    /// Returns the elements of an input of integers that are known.
    pub(super) fn integers(&self, index: usize) -> Option<Vec<i64>> {
        self.builder.known.integers(input(self.node, index)?)
    }

    /// Returns the elements of an input of integers as sizes.
    pub(super) fn sizes(&self, index: usize) -> Option<Vec<TDim>> {
        let name = input(self.node, index)?;
        self.builder.known.sizes(name).or_else(|| {
            let integers = self.integers(index)?;
            Some(integers.into_iter().map(TDim::from).collect())
        })
    }

    /// Returns the only element of an input of integers or floats that is known.
    pub(super) fn number(&self, index: usize) -> Option<f64> {
        let integers = self.integers(index);
        let numbers: Vec<f64> = match integers {
            Some(integers) => integers.into_iter().map(|integer| integer as f64).collect(),
            None => self.floats(index)?.into_iter().map(f64::from).collect(),
        };
        match numbers.as_slice() {
            [number] => Some(*number),
            _ => None,
        }
    }

    /// Returns the datum type that the model says an input has.
    pub(super) fn declared(&mut self, index: usize) -> Option<DatumType> {
        self.builder.declared(input(self.node, index)?)
    }

    /// Returns axes that are an attribute in old opsets and an input in new ones; `Some(None)` if they are left out.
    pub(super) fn axes(&self, name: &str, index: usize) -> Option<Option<Vec<i64>>> {
        if self.has(index) {
            return self.integers(index).map(Some);
        }
        Some(self.ints(name).map(<[i64]>::to_vec))
    }

    // Values.

    /// Returns the dims of a value.
    ///
    /// # Panics
    /// If only the data decides them: importers are given no such values, and make none.
    pub(super) fn dims(&self, id: ValueId) -> Vec<TDim> {
        self.builder
            .dims(id)
            .expect("importers see values of known dims")
            .to_vec()
    }

    /// Returns the dims of a value, if they are numbers.
    pub(super) fn fixed(&self, id: ValueId) -> Option<Vec<usize>> {
        fixed(self.builder.dims(id)?)
    }

    /// Returns the number of axes.
    pub(super) fn rank(&self, id: ValueId) -> usize {
        self.builder.dims(id).map_or(0, <[TDim]>::len)
    }

    /// Returns the type of the elements.
    pub(super) fn datum_type(&self, id: ValueId) -> DatumType {
        self.builder.graph.value(id).datum_type
    }

    /// Returns the node that makes a value, if one does.
    pub(super) fn maker(&self, id: ValueId) -> Option<&crate::graph::Node> {
        let mut nodes = self.builder.graph.nodes.iter().rev();
        nodes.find(|node| node.outputs.contains(&id))
    }

    /// Reports whether a value is a constant whose bytes are all zero.
    pub(super) fn is_zero(&self, id: ValueId) -> bool {
        let constant = &self.builder.graph.value(id).constant;
        constant
            .as_ref()
            .is_some_and(|bytes| bytes.iter().all(|&byte| byte == 0))
    }

    // Kernels.

    /// Adds a kernel of one output.
    pub(super) fn kernel(
        &mut self,
        kernel: Kernel,
        inputs: &[ValueId],
        datum_type: DatumType,
        dims: Vec<TDim>,
    ) -> Option<ValueId> {
        self.add(Op::Kernel(kernel), inputs, datum_type, dims)
    }

    /// Adds a kernel of several outputs.
    pub(super) fn kernel_of(
        &mut self,
        kernel: Kernel,
        inputs: &[ValueId],
        outputs: Vec<(DatumType, Vec<TDim>)>,
    ) -> Option<Vec<ValueId>> {
        let mut ids = vec![];
        for (datum_type, dims) in outputs {
            let name = self.fresh();
            ids.push(self.builder.add(name, datum_type, dims)?);
        }
        let first = *ids.first()?;
        let name = node_name(self.node);
        self.builder
            .add_node(name, Op::Kernel(kernel), inputs, first);
        let node = self.builder.graph.nodes.last_mut()?;
        node.outputs.clone_from(&ids);
        Some(ids)
    }

    /// Gives a value other dims, of as many elements.
    pub(super) fn reshape(&mut self, id: ValueId, dims: Vec<TDim>) -> Option<ValueId> {
        let datum_type = self.datum_type(id);
        self.add(Op::Reshape, &[id], datum_type, dims)
    }

    /// Gives a value other dims, unless it has them.
    pub(super) fn reshaped(&mut self, id: ValueId, dims: Vec<TDim>) -> Option<ValueId> {
        if self.builder.dims(id)? == dims {
            return Some(id);
        }
        self.reshape(id, dims)
    }

    /// Adds a function of one element that keeps the datum type.
    pub(super) fn unary(&mut self, op: UnaryOp, x: ValueId) -> Option<ValueId> {
        let datum_type = self.datum_type(x);
        self.kernel(Kernel::Unary(op), &[x], datum_type, self.dims(x))
    }

    /// Adds a function of two elements, with broadcasting, that keeps the datum type.
    pub(super) fn binary(&mut self, op: BinaryOp, a: ValueId, b: ValueId) -> Option<ValueId> {
        let datum_type = self.datum_type(a);
        self.binary_to(op, a, b, datum_type)
    }

    /// Adds a comparison.
    pub(super) fn compare(&mut self, op: BinaryOp, a: ValueId, b: ValueId) -> Option<ValueId> {
        self.binary_to(op, a, b, DatumType::Bool)
    }

    fn binary_to(
        &mut self,
        op: BinaryOp,
        a: ValueId,
        b: ValueId,
        datum_type: DatumType,
    ) -> Option<ValueId> {
        if self.datum_type(a) != self.datum_type(b) {
            return None;
        }
        let dims = broadcast(self.builder.dims(a)?, self.builder.dims(b)?)?;
        self.kernel(Kernel::Binary(op), &[a, b], datum_type, dims)
    }

    /// Adds a choice between two values.
    pub(super) fn select(
        &mut self,
        condition: ValueId,
        yes: ValueId,
        no: ValueId,
    ) -> Option<ValueId> {
        let datum_type = self.datum_type(yes);
        if self.datum_type(no) != datum_type {
            return None;
        }
        let dims = broadcast(self.builder.dims(yes)?, self.builder.dims(no)?)?;
        let dims = broadcast(self.builder.dims(condition)?, &dims)?;
        self.kernel(Kernel::Where, &[condition, yes, no], datum_type, dims)
    }

    /// Converts a value, unless it is of the datum type.
    pub(super) fn cast(&mut self, x: ValueId, datum_type: DatumType) -> Option<ValueId> {
        if self.datum_type(x) == datum_type {
            return Some(x);
        }
        self.kernel(Kernel::Cast, &[x], datum_type, self.dims(x))
    }

    /// Reorders axes, unless they are in order.
    pub(super) fn transpose(&mut self, x: ValueId, permutation: &[usize]) -> Option<ValueId> {
        let dims = self.dims(x);
        if permutation.len() != dims.len() {
            return None;
        }
        if permutation.iter().enumerate().all(|(i, &axis)| i == axis) {
            return Some(x);
        }
        let dims = permutation.iter().map(|&axis| dims.get(axis).cloned());
        let (datum_type, dims) = (self.datum_type(x), dims.collect::<Option<_>>()?);
        let permutation = as_u32(permutation);
        self.kernel(Kernel::Transpose { permutation }, &[x], datum_type, dims)
    }

    /// Repeats axes of size 1 to these dims, unless there is nothing to repeat.
    pub(super) fn expand(&mut self, x: ValueId, dims: Vec<TDim>) -> Option<ValueId> {
        if self.builder.dims(x)? == dims {
            return Some(x);
        }
        let datum_type = self.datum_type(x);
        self.kernel(Kernel::Expand, &[x], datum_type, dims)
    }

    /// Adds a reduction that keeps the axes, with size 1.
    pub(super) fn reduce(&mut self, op: ReduceOp, x: ValueId, axes: &[usize]) -> Option<ValueId> {
        let mut dims = self.dims(x);
        for &axis in axes {
            *dims.get_mut(axis)? = TDim::from(1);
        }
        let kernel = Kernel::Reduce(Reduce {
            op,
            axes: as_u32(axes),
        });
        let datum_type = self.datum_type(x);
        self.kernel(kernel, &[x], datum_type, dims)
    }

    /// Adds a product of matrices with equal leading dims.
    pub(super) fn matmul(&mut self, a: ValueId, b: ValueId, rhs: MatMulRhs) -> Option<ValueId> {
        let (mut dims, b_dims) = (self.dims(a), self.dims(b));
        let columns = match rhs {
            MatMulRhs::Transposed => b_dims.len().checked_sub(2)?,
            _ => b_dims.len().checked_sub(1)?,
        };
        *dims.last_mut()? = b_dims[columns].clone();
        let kernel = Kernel::MatMul(MatMul {
            rhs,
            scale: 1.0,
            epilogue: Epilogue::default(),
        });
        self.kernel(kernel, &[a, b], DatumType::F32, dims)
    }

    /// Adds a softmax.
    pub(super) fn softmax(&mut self, x: ValueId, axis: usize) -> Option<ValueId> {
        let kernel = Kernel::Softmax {
            axis: axis as u32,
            log: false,
        };
        let datum_type = self.datum_type(x);
        self.kernel(kernel, &[x], datum_type, self.dims(x))
    }

    // Constants.

    /// Adds a constant of f32, whose elements are asked for only where they are needed.
    pub(super) fn constant_f32(
        &mut self,
        dims: &[usize],
        elements: impl FnOnce() -> Vec<f32>,
    ) -> ValueId {
        let name = self.fresh();
        self.builder.add_constant(name, DatumType::F32, dims, || {
            constants::f32_bytes(&elements())
        })
    }

    /// Adds a constant of i64.
    pub(super) fn constant_i64(&mut self, dims: &[usize], elements: &[i64]) -> ValueId {
        let name = self.fresh();
        self.builder.add_constant(name, DatumType::I64, dims, || {
            elements.iter().flat_map(|x| x.to_le_bytes()).collect()
        })
    }

    /// Adds a constant of any datum type.
    pub(super) fn constant_bytes(
        &mut self,
        datum_type: DatumType,
        dims: &[usize],
        bytes: impl FnOnce() -> Vec<u8>,
    ) -> ValueId {
        let name = self.fresh();
        self.builder.add_constant(name, datum_type, dims, bytes)
    }

    /// Adds a constant of one element and no axes; `None` if the datum type does not hold the number.
    pub(super) fn scalar(&mut self, number: f64, datum_type: DatumType) -> Option<ValueId> {
        let bytes = number_bytes(number, datum_type)?;
        Some(self.constant_bytes(datum_type, &[], || bytes))
    }

    // The outputs.

    /// Returns how many outputs the node names, those left out in the middle counted.
    pub(super) fn outputs(&self) -> usize {
        self.node.output.len()
    }

    /// Reports whether an output is there and read.
    pub(super) fn wants(&self, index: usize) -> bool {
        let name = self.node.output.get(index);
        name.is_some_and(|name| self.builder.known.is_read(name))
    }

    /// Sets an output. It is of f16 if it is computed in f32 and the node's first float input is of f16.
    pub(super) fn output(&mut self, index: usize, id: ValueId) -> Option<()> {
        let mut datum_type = self.datum_type(id);
        if datum_type == DatumType::F32 {
            for input in 0..self.inputs() {
                match self.declared(input) {
                    Some(short @ (DatumType::F16 | DatumType::Bf16)) => {
                        datum_type = short;
                        break;
                    }
                    Some(DatumType::F32 | DatumType::F64) => break,
                    _ => {}
                }
            }
        }
        self.output_as(index, id, datum_type)
    }

    /// Sets an output of a datum type that does not follow from the inputs.
    pub(super) fn output_as(
        &mut self,
        index: usize,
        id: ValueId,
        datum_type: DatumType,
    ) -> Option<()> {
        if self.datum_type(id) != computed_type(datum_type) {
            return None;
        }
        if let Some(output) = self.outputs.get_mut(index) {
            *output = Some((id, datum_type));
        }
        Some(())
    }

    fn add(
        &mut self,
        op: Op,
        inputs: &[ValueId],
        datum_type: DatumType,
        dims: Vec<TDim>,
    ) -> Option<ValueId> {
        let name = self.fresh();
        let id = self.builder.add(name, datum_type, dims)?;
        self.builder.add_node(node_name(self.node), op, inputs, id);
        Some(id)
    }

    /// Returns a name for a value that the model does not name.
    fn fresh(&self) -> String {
        let count = self.builder.count_since(&self.before);
        format!("{}/{count}", stem(self.node))
    }
}
