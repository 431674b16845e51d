//! Tests of the partition: which operators become one sub-graph.

use expect_test::expect;
use prost::Message;
use tensorlet_plan::kernel::UnaryOp;
use tract_onnx::pb::OperatorSetIdProto;

use super::*;
use crate::graph::testing::Builder;

/// Adds an operator without kernel.
fn onnx(graph: &mut Builder, operator: &str, inputs: &[ValueId], y: &str, r#type: &str) -> ValueId {
    let y = graph.reshape(y, inputs[0], r#type);
    let name = |id: &ValueId| graph.graph.value(*id).name.clone();
    let proto = NodeProto {
        op_type: operator.into(),
        input: inputs.iter().map(name).collect(),
        output: vec![name(&y)],
        ..NodeProto::default()
    };
    let node = graph.graph.nodes.last_mut().unwrap();
    node.op = Op::Onnx(Box::new(proto));
    node.inputs = inputs.to_vec();
    y
}

/// Where the operators come from.
fn source() -> ModelProto {
    let opset = OperatorSetIdProto {
        version: 17,
        ..OperatorSetIdProto::default()
    };
    ModelProto {
        ir_version: 8,
        opset_import: vec![opset],
        ..ModelProto::default()
    }
}

fn partitioned(mut graph: Graph) -> String {
    match partition(&mut graph, &source()) {
        Ok(()) => graph.to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn neighbours_are_joined() {
    let mut graph = Builder::new();
    let x = graph.input("x", "f32[N, 4]");
    let two = graph.scalar(2.0);
    let a = onnx(&mut graph, "Mul", &[x, two], "a", "f32[N, 4]");
    let b = onnx(&mut graph, "Softplus", &[a], "b", "f32[N, 4]");
    let c = graph.unary("c", UnaryOp::Exp, b);
    let d = onnx(&mut graph, "Add", &[c, a], "d", "f32[N, 4]");
    let e = graph.unary("e", UnaryOp::Exp, x);
    expect![[r#"
        inputs x: f32[N, 4]
        a: f32[N, 4], b: f32[N, 4] = tract Mul×1 Softplus×1(x)
        c: f32[N, 4] = exp(b)
        d: f32[N, 4] = tract Add×1(c, a)
        e: f32[N, 4] = exp(x)
        outputs d, e"#]]
    .assert_eq(&partitioned(graph.finish(&[d, e])));
}

#[test]
fn what_only_later_ones_read_goes_with_them() {
    let mut graph = Builder::new();
    let x = graph.input("x", "f32[N, 4]");
    let size = onnx(&mut graph, "Shape", &[x], "size", "i64[2]");
    let a = onnx(&mut graph, "Neg", &[x], "a", "f32[N, 4]");
    let b = graph.unary("b", UnaryOp::Exp, a);
    let y = onnx(&mut graph, "Reshape", &[b, size], "y", "f32[N, 4]");
    expect![[r#"
        inputs x: f32[N, 4]
        a: f32[N, 4] = tract Neg×1(x)
        b: f32[N, 4] = exp(a)
        y: f32[N, 4] = tract Reshape×1 Shape×1(x, b)
        outputs y"#]]
    .assert_eq(&partitioned(graph.finish(&[y])));
}

#[test]
fn sizes_of_the_data_stay_inside() {
    let build = |kernel: bool| {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 4]");
        let mut y = onnx(&mut graph, "NonZero", &[x], "found", "i64[?]");
        if kernel {
            y = graph.unary("exp", UnaryOp::Exp, y);
        }
        let y = onnx(&mut graph, "Neg", &[y], "y", "i64[?]");
        graph.finish(&[y])
    };
    expect![[r#"
        inputs x: f32[N, 4]
        y: i64[?] = tract Neg×1 NonZero×1(x)
        outputs y"#]]
    .assert_eq(&partitioned(build(false)));
    expect!["expected `found`, whose size only its data decides, between neighbouring operators without kernel, found another reader"].assert_eq(&partitioned(build(true)));
}

#[test]
fn a_sub_graph_is_a_model() {
    let mut graph = Builder::new();
    let x = graph.input("x", "f32[4, N]");
    let two = graph.floats("two", &[1], &[2.0]);
    let y = onnx(&mut graph, "Mul", &[x, two], "y", "f32[4, N]");
    let mut graph = graph.finish(&[y]);
    partition(&mut graph, &source()).unwrap();
    let Op::Subgraph(subgraph) = &graph.nodes[0].op else {
        panic!("expected a sub-graph, found {graph}");
    };
    let model = ModelProto::decode(subgraph.model.as_slice()).unwrap();
    let found = model.graph.unwrap();
    let dims = found.input[0]
        .r#type
        .as_ref()
        .map(|found| format!("{found:?}"));
    assert!(dims.unwrap().contains("\"N\""));
    assert_eq!(found.node[0].input, ["#0", "#1"]);
    assert_eq!(found.initializer[0].name, "#1");
    assert_eq!(found.output[0].name, found.node[0].output[0]);
}
