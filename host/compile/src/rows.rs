//! Finds out whether the rows of a batch are computed independently of each other.
//!
//! tract computes a graph of fixed dims several times faster than one with a symbol in it: its fast convolutions
//! want to know every size. Where each row of the outputs depends on the same row of the inputs alone, a sub-graph
//! of one row, run once a row, gives the same answers; so most models need no symbol for their batch.
//!
//! The analysis follows the batch axis from the inputs through the typed graph, operator by operator, by rules for
//! operators that are known to keep rows apart. What it does not know counts as mixing rows.

use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::{
    Framework, InferenceModelExt, OutletId, TDim, TVec, Tensor, TractResult, TypedModel, TypedNode,
};
use tract_onnx::tract_core::internal::{InOut, Symbol, TypedFact, TypedOp};
use tract_onnx::tract_core::ops::array::{Gather, MultiBroadcastTo, Pad, Slice, TypedConcat};
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cast::Cast;
use tract_onnx::tract_core::ops::change_axes::AxisOp;
use tract_onnx::tract_core::ops::cnn::{Conv, Deconv, MaxPool, PoolSpec, SumPool};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::identity::Identity;
use tract_onnx::tract_core::ops::logic::Iff;
use tract_onnx::tract_core::ops::nn::{Reduce, RmsNorm, Softmax};

/// Reports whether the rows of a model whose inputs and outputs have `symbol` at axis 0 are independent.
pub(crate) fn are_independent(model: &ModelProto, symbol: &str) -> bool {
    let typed = || -> TractResult<TypedModel> {
        tract_onnx::onnx()
            .model_for_proto_model(model)?
            .into_typed()?
            .into_decluttered()
    };
    typed()
        .and_then(|model| follow(&model, symbol))
        .unwrap_or(false)
}

fn follow(model: &TypedModel, symbol: &str) -> TractResult<bool> {
    let symbol = model.symbols.sym(symbol);
    // The batch axis of each outlet, where it has one.
    let mut batch_axes: Vec<Vec<Option<usize>>> = vec![vec![]; model.nodes.len()];
    for id in model.eval_order()? {
        let node = model.node(id);
        if model.inputs.iter().any(|input| input.node == id) {
            batch_axes[id] = vec![Some(0)];
            continue;
        }
        let inputs: Vec<Option<usize>> = node
            .inputs
            .iter()
            .map(|input| batch_axes[input.node][input.slot])
            .collect();
        match outputs(model, node, &inputs, &symbol)? {
            Some(outputs) => batch_axes[id] = outputs,
            None => return Ok(false),
        }
    }
    let at_axis_0 = |outlet: &OutletId| batch_axes[outlet.node][outlet.slot] == Some(0);
    Ok(model.outputs.iter().all(at_axis_0))
}

/// Returns the batch axis of each output, or `None` if the node may mix rows.
fn outputs(
    model: &TypedModel,
    node: &TypedNode,
    inputs: &[Option<usize>],
    symbol: &Symbol,
) -> TractResult<Option<Vec<Option<usize>>>> {
    let facts: Vec<&TypedFact> = node.outputs.iter().map(|output| &output.fact).collect();
    if inputs.iter().all(Option::is_none) {
        return Ok(without_rows(node, &facts, symbol));
    }
    let Some(axis) = inputs
        .iter()
        .position(Option::is_some)
        .and_then(|index| Some((index, inputs[index]?)))
    else {
        return Ok(None);
    };
    let axes = match pool_spec(node) {
        Some(pool) => pool
            .data_format
            .has_n()
            .then_some(vec![Some(0); facts.len()])
            .filter(|_| axis.1 == 0),
        None if keeps_rows_apart(node, axis.1) => mapped(model, node, axis, inputs)?,
        None => None,
    };
    // The axis must carry the batch and nothing else, and no other axis may.
    let carries = |(fact, axis): (&&TypedFact, &Option<usize>)| {
        fact.shape
            .iter()
            .enumerate()
            .all(|(index, dim)| match *axis == Some(index) {
                true => *dim == TDim::from(symbol.clone()),
                false => !dim.symbols().contains(symbol),
            })
    };
    Ok(axes.filter(|axes| facts.iter().zip(axes).all(carries)))
}

/// Follows the axis of one input by the operator's own account of its axes.
fn mapped(
    model: &TypedModel,
    node: &TypedNode,
    (index, axis): (usize, usize),
    inputs: &[Option<usize>],
) -> TractResult<Option<Vec<Option<usize>>>> {
    let (input_facts, output_facts) = model.node_facts(node.id)?;
    let mapping = node.op.axes_mapping(&input_facts, &output_facts)?;
    let axis = mapping.axis((InOut::In(index), axis))?;
    let agrees = |(positions, (batch, fact)): (&_, (&Option<usize>, &&TypedFact))| {
        let positions: &TVec<usize> = positions;
        match batch {
            Some(batch) => positions.as_slice() == [*batch],
            // What has no batch is the same for every row, if it is one long there or not there at all.
            None => positions
                .iter()
                .all(|&position| fact.shape[position] == TDim::from(1)),
        }
    };
    let single = axis
        .outputs
        .iter()
        .map(|positions| match positions.as_slice() {
            [position] => Some(Some(*position)),
            _ => None,
        });
    let agree = axis
        .inputs
        .iter()
        .zip(inputs.iter().zip(&input_facts))
        .all(agrees);
    Ok(if agree { single.collect() } else { None })
}

/// Returns the batch axes of a node that reads nothing with rows.
fn without_rows(
    node: &TypedNode,
    facts: &[&TypedFact],
    symbol: &Symbol,
) -> Option<Vec<Option<usize>>> {
    let counts_rows = |dim: &TDim| dim.symbols().contains(symbol);
    if node.op_is::<MultiBroadcastTo>() {
        // The same for every row.
        let axis = facts[0]
            .shape
            .iter()
            .position(|dim| *dim == TDim::from(symbol.clone()));
        let others = facts[0]
            .shape
            .iter()
            .enumerate()
            .any(|(index, dim)| Some(index) != axis && counts_rows(dim));
        return (!others).then(|| vec![axis]);
    }
    // A value computed from the number of rows is another for one row than for all.
    let depends = |fact: &&TypedFact| {
        fact.shape.iter().any(counts_rows)
            || fact
                .konst
                .as_ref()
                .is_some_and(|value| holds_symbol(value, symbol))
            || (fact.datum_type.is_tdim() && fact.konst.is_none())
    };
    (!facts.iter().any(depends)).then(|| vec![None; facts.len()])
}

fn holds_symbol(value: &Tensor, symbol: &Symbol) -> bool {
    if !value.datum_type().is_tdim() {
        return false;
    }
    let dims = value
        .try_as_plain_ram()
        .and_then(|plain| plain.as_slice::<TDim>());
    dims.map_or(true, |dims| {
        dims.iter().any(|dim| dim.symbols().contains(symbol))
    })
}

/// Reports whether the operator is one whose account of its axes can be followed for `axis` of its inputs.
fn keeps_rows_apart(node: &TypedNode, axis: usize) -> bool {
    if let Some(softmax) = node.op_as::<Softmax>() {
        return !softmax.axes.contains(&axis);
    }
    if let Some(norm) = node.op_as::<RmsNorm>() {
        return norm.axis != axis;
    }
    if let Some(pad) = node.op_as::<Pad>() {
        return pad.pads.get(axis) == Some(&(0, 0));
    }
    if let Some(slice) = node.op_as::<Slice>() {
        return slice.axis != axis;
    }
    if let Some(concat) = node.op_as::<TypedConcat>() {
        return concat.axis != axis;
    }
    is::<Cast>(node)
        || is::<AxisOp>(node)
        || is::<Conv>(node)
        || is::<Deconv>(node)
        || is::<EinSum>(node)
        || is::<ElementWiseOp>(node)
        || is::<Gather>(node)
        || is::<Identity>(node)
        || is::<Iff>(node)
        || is::<MultiBroadcastTo>(node)
        || is::<Reduce>(node)
        || is::<TypedBinOp>(node)
}

fn is<O: TypedOp>(node: &TypedNode) -> bool {
    node.op_is::<O>()
}

fn pool_spec(node: &TypedNode) -> Option<&PoolSpec> {
    let max = node.op_as::<MaxPool>().map(|pool| &pool.pool_spec);
    max.or_else(|| node.op_as::<SumPool>().map(|pool| &pool.pool_spec))
}

#[cfg(test)]
mod tests {
    use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
    use tract_onnx::pb::{
        AttributeProto, GraphProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
        TypeProto, ValueInfoProto, attribute_proto, type_proto,
    };

    use super::*;

    /// An operator, its inputs, and its attributes.
    type Node<'a> = (&'a str, &'a [&'a str], &'a [(&'a str, i64)]);

    /// A model of one input `x: f32[N, 4]`, a constant `w: f32[4, 4]`, and the last node's output.
    fn model(nodes: &[Node<'_>]) -> ModelProto {
        let node = |(index, (operator, inputs, attributes)): (usize, &Node<'_>)| {
            let attribute = |(name, value): &(&str, i64)| AttributeProto {
                name: (*name).into(),
                r#type: attribute_proto::AttributeType::Int as i32,
                i: *value,
                ..AttributeProto::default()
            };
            NodeProto {
                op_type: (*operator).into(),
                input: inputs.iter().map(|&input| input.into()).collect(),
                output: vec![format!("y{index}")],
                attribute: attributes.iter().map(attribute).collect(),
                ..NodeProto::default()
            }
        };
        let dims = [
            dimension::Value::DimParam("N".into()),
            dimension::Value::DimValue(4),
        ];
        let dim = |value: dimension::Value| Dimension {
            value: Some(value),
            ..Dimension::default()
        };
        let shape = TensorShapeProto {
            dim: dims.map(dim).to_vec(),
        };
        let tensor = type_proto::Tensor {
            elem_type: 1,
            shape: Some(shape),
        };
        let input = ValueInfoProto {
            name: "x".into(),
            r#type: Some(TypeProto {
                value: Some(type_proto::Value::TensorType(tensor)),
                ..TypeProto::default()
            }),
            ..ValueInfoProto::default()
        };
        let output = ValueInfoProto {
            name: format!("y{}", nodes.len() - 1),
            ..ValueInfoProto::default()
        };
        let weights = TensorProto {
            name: "w".into(),
            dims: vec![4, 4],
            data_type: 1,
            float_data: (0..16u8).map(f32::from).collect(),
            ..TensorProto::default()
        };
        let graph = GraphProto {
            node: nodes.iter().enumerate().map(node).collect(),
            input: vec![input],
            output: vec![output],
            initializer: vec![weights],
            ..GraphProto::default()
        };
        let opset = OperatorSetIdProto {
            version: 13,
            ..OperatorSetIdProto::default()
        };
        ModelProto {
            graph: Some(graph),
            opset_import: vec![opset],
            ir_version: 8,
            ..ModelProto::default()
        }
    }

    fn independent(nodes: &[Node<'_>]) -> bool {
        are_independent(&model(nodes), "N")
    }

    #[test]
    fn rows_that_never_meet_are_independent() {
        assert!(independent(&[("Relu", &["x"], &[])]));
        assert!(independent(&[
            ("MatMul", &["x", "w"], &[]),
            ("Softmax", &["y0"], &[("axis", 1)])
        ]));
        assert!(independent(&[("Concat", &["x", "x"], &[("axis", 1)])]));
        assert!(
            !independent(&[("ReduceMax", &["x"], &[("keepdims", 1)])]),
            "all axes"
        );
    }

    #[test]
    fn rows_that_meet_are_not() {
        assert!(
            !independent(&[("Softmax", &["x"], &[("axis", 0)])]),
            "softmax over rows"
        );
        assert!(
            !independent(&[("Concat", &["x", "x"], &[("axis", 0)])]),
            "twice the rows"
        );
        assert!(
            !independent(&[("Transpose", &["x"], &[]), ("MatMul", &["x", "y0"], &[])]),
            "rows times rows"
        );
        assert!(
            !independent(&[("Transpose", &["x"], &[])]),
            "rows at axis 1 of the output"
        );
    }

    #[test]
    fn the_number_of_rows_is_not_for_a_row_to_know() {
        let mean = [
            ("Shape", &["x"] as &[&str], &[] as &[(&str, i64)]),
            ("Cast", &["y0"], &[("to", 1)]),
            ("ReduceMax", &["y1"], &[("keepdims", 0)]),
            ("Div", &["x", "y2"], &[]),
        ];
        assert!(!independent(&mean));
    }
}
