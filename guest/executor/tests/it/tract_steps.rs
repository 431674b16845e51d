//! Steps that tract executes.

use prost::Message;
use tensorlet_executor::{Executor, LoadOptions};
use tensorlet_plan::kernel::UnaryOp;
use tensorlet_plan::{Kernel, Plan, Storage, SubgraphFormat, SymbolId, TractStep, Value, ValueId};
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorShapeProto, TypeProto,
    ValueInfoProto, tensor_shape_proto, type_proto,
};

use crate::builder::{Builder, elements, load, tensor};

pub(crate) const F32: i32 = 1;

/// An ONNX tensor with dims that are numbers or symbols.
pub(crate) fn info(name: &str, elem_type: i32, dims: &[&str]) -> ValueInfoProto {
    use tensor_shape_proto::dimension::Value;

    let dim = |text: &&str| tensor_shape_proto::Dimension {
        value: Some(match text.parse() {
            Ok(number) => Value::DimValue(number),
            Err(_) => Value::DimParam((*text).into()),
        }),
        ..Default::default()
    };
    let tensor = type_proto::Tensor {
        elem_type,
        shape: Some(TensorShapeProto {
            dim: dims.iter().map(dim).collect(),
        }),
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// A model of nodes given as operator, inputs, output.
pub(crate) fn model(
    nodes: &[(&str, &[&str], &str)],
    input: ValueInfoProto,
    outputs: &[(&str, i32)],
) -> Vec<u8> {
    let node = |&(operator, inputs, output): &(&str, &[&str], &str)| NodeProto {
        op_type: operator.into(),
        input: inputs.iter().map(|&name| name.into()).collect(),
        output: vec![output.into()],
        ..Default::default()
    };
    let output = |&(name, elem_type): &(&str, i32)| ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                elem_type,
                shape: None,
            })),
            ..Default::default()
        }),
        ..Default::default()
    };
    let graph = GraphProto {
        node: nodes.iter().map(node).collect(),
        name: "test".into(),
        input: vec![input],
        output: outputs.iter().map(output).collect(),
        ..Default::default()
    };
    let model = ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: 17,
        }],
        graph: Some(graph),
        ..Default::default()
    };
    model.encode_to_vec()
}

/// Adds a tract step with these outputs.
pub(crate) fn tract_step(
    builder: &mut Builder,
    subgraph: &[u8],
    one_row: bool,
    inputs: &[ValueId],
    outputs: Vec<Value>,
) -> Vec<ValueId> {
    let constants = builder.plan.constants.to_mut();
    let begin = constants.len() as u64;
    constants.extend_from_slice(subgraph);
    let first = builder.plan.values.len() as u32;
    let ids: Vec<ValueId> = (first..).take(outputs.len()).map(ValueId).collect();
    builder.plan.values.extend(outputs);
    builder.plan.steps.push(tensorlet_plan::Step {
        name: "rest".into(),
        kernel: Kernel::Tract(TractStep {
            format: SubgraphFormat::Onnx,
            subgraph: begin..begin + subgraph.len() as u64,
            one_row,
            operators: [("Relu".into(), 1)].into(),
        }),
        inputs: inputs.to_vec(),
        outputs: ids.clone(),
    });
    ids
}

/// Negates by a kernel, keeps the positive numbers by tract, negates again.
pub(crate) fn between_kernels(one_row: bool) -> Plan<'static> {
    let dims: &[&str] = if one_row { &["1", "2"] } else { &["N", "2"] };
    let relu = model(
        &[("Relu", &["x"], "y")],
        info("x", F32, dims),
        &[("y", F32)],
    );
    let mut builder = Builder::new(&["x:f32[N,2]"]);
    let neg = Kernel::Unary(UnaryOp::Neg);
    let a = builder.step("a:f32[N,2]", neg.clone(), &[ValueId(0)]);
    let b = builder.value("b:f32[N,2]", Storage::Buffer);
    let b = tract_step(&mut builder, &relu, one_row, &[a], vec![b]);
    let y = builder.step("y:f32[N,2]", neg, &[b[0]]);
    builder.finish(&[y])
}

#[test]
fn tract_steps_stand_between_kernels() {
    for (one_row, row_symbol) in [(false, None), (true, None), (true, Some(SymbolId(0)))] {
        let mut plan = between_kernels(one_row);
        plan.row_symbol = row_symbol;
        let executor = load(&plan);
        for rows in [1, 3] {
            let x: Vec<f32> = (0..rows * 2).map(|number| number as f32 - 2.0).collect();
            let outputs = executor.predict(&[tensor("x", &[rows, 2], &x)]).unwrap();
            let expected: Vec<f32> = x.iter().map(|number| number.min(0.0)).collect();
            assert_eq!(
                elements::<f32>(&outputs[0]),
                expected,
                "{one_row} {row_symbol:?}"
            );
            assert_eq!(outputs[0].1.dims(), [rows, 2]);
        }
    }
}

#[test]
fn data_may_decide_dims() {
    let find = model(
        &[("NonZero", &["x"], "found")],
        info("x", F32, &["N"]),
        &[("found", 7)],
    );
    let negate = model(
        &[("Neg", &["found"], "y"), ("Identity", &["found"], "z")],
        info("found", 7, &["1", "K"]),
        &[("y", 7), ("z", 7)],
    );
    let mut builder = Builder::new(&["x:f32[N]"]);
    let unknown = |builder: &Builder, name: &str| Value {
        dims: None,
        ..builder.value(&format!("{name}:i64[]"), Storage::Buffer)
    };
    let found = unknown(&builder, "found");
    let found = tract_step(&mut builder, &find, false, &[ValueId(0)], vec![found]);
    let outputs = vec![unknown(&builder, "y"), unknown(&builder, "z")];
    let rest = tract_step(&mut builder, &negate, false, &found, outputs);
    let executor = load(&builder.finish(&[found[0], rest[0]]));
    assert_eq!(executor.output_dims(&[3]).unwrap(), [None, None]);
    for (x, indices) in [
        (vec![0f32, 3.0, 0.0, 4.0], vec![1i64, 3]),
        (vec![0f32], vec![]),
        (vec![1f32], vec![0]),
    ] {
        let outputs = executor
            .predict(&[tensor("x", &[x.len() as u32], &x)])
            .unwrap();
        assert_eq!(elements::<i64>(&outputs[0]), indices);
        assert_eq!(outputs[1].1.dims(), [1, indices.len() as u32]);
        let negative: Vec<i64> = indices.iter().map(|index| -index).collect();
        assert_eq!(elements::<i64>(&outputs[1]), negative);
    }
}

#[test]
fn dims_that_tract_does_not_give_are_an_error() {
    let relu = model(
        &[("Relu", &["x"], "y")],
        info("x", F32, &["N", "2"]),
        &[("y", F32)],
    );
    let mut builder = Builder::new(&["x:f32[N,2]"]);
    let y = builder.value("y:f32[2,N]", Storage::Buffer);
    let y = tract_step(&mut builder, &relu, false, &[ValueId(0)], vec![y]);
    let executor = load(&builder.finish(&y));
    assert!(
        executor
            .predict(&[tensor("x", &[2, 2], &[0f32; 4])])
            .is_ok()
    );
    let error = executor
        .predict(&[tensor("x", &[1, 2], &[0f32; 2])])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "step `rest`: expected f32[2, 1] from tract, found F32[1, 2]"
    );
}

#[test]
fn a_subgraph_that_is_none_is_an_error() {
    let mut builder = Builder::new(&["x:f32[2]"]);
    let y = builder.value("y:f32[2]", Storage::Buffer);
    let y = tract_step(&mut builder, b"no graph", false, &[ValueId(0)], vec![y]);
    let plan = builder.finish(&y);
    let error = Executor::load(&plan, LoadOptions::default()).unwrap_err();
    assert!(error.to_string().starts_with("step `rest`: "), "{error}");
}

#[test]
fn a_subgraph_with_other_inputs_is_an_error() {
    let relu = model(
        &[("Relu", &["x"], "y")],
        info("x", F32, &["2"]),
        &[("y", F32)],
    );
    let mut builder = Builder::new(&["x:f32[2]"]);
    let y = builder.value("y:f32[2]", Storage::Buffer);
    let inputs = [ValueId(0), ValueId(0)];
    let y = tract_step(&mut builder, &relu, false, &inputs, vec![y]);
    let error = Executor::load(&builder.finish(&y), LoadOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "step `rest`: expected a sub-graph of 2 inputs and 1 outputs, found 1 and 1"
    );
}
