//! Tests of the lowering: plans as text.

use std::collections::BTreeMap;

use expect_test::expect;
use tensorlet_plan::kernel::{Reduce, ReduceOp};
use tensorlet_tensor::Signature;

use super::*;
use crate::graph::testing::{Builder, conv};

/// A description that fits a graph.
fn description(graph: &Graph) -> Description {
    let spec = |id: &ValueId| graph.typed_text(*id).parse().unwrap();
    let specs = |ids: &[ValueId]| ids.iter().map(spec).collect();
    Description {
        name: "test".into(),
        version: "1".into(),
        signature: Signature::new(specs(&graph.inputs), specs(&graph.outputs)),
        metadata: BTreeMap::new(),
    }
}

fn plan(graph: Graph) -> Plan<'static> {
    let description = description(&graph);
    let mut plan = lower(graph, description, &ModelProto::default()).unwrap();
    plan.verify().unwrap();
    // Which functions are written for a plan, the kernels decide.
    plan.tiles.clear();
    plan
}

#[test]
fn a_graph_becomes_steps_values_and_constants() {
    let mut graph = Builder::new();
    let x = graph.input("x", "f32[N, 3, 6, 6]");
    let w = graph.constant("w", &[20, 3, 3, 3]);
    let matrix = graph.constant("matrix", &[20, 5]);
    let y = graph.kernel(
        "conv",
        conv(&[3, 3], &[1, 1], 1),
        &[x, w],
        "f32[N, 20, 6, 6]",
    );
    let mean = Kernel::Reduce(Reduce {
        op: ReduceOp::Mean,
        axes: vec![2, 3],
    });
    let y = graph.kernel("mean", mean, &[y], "f32[N, 20, 1, 1]");
    let y = graph.reshape("flat", y, "f32[N, 20]");
    let y = graph.matmul("y", y, matrix, "f32[N, 5]");
    let plan = plan(graph.finish(&[y]));
    expect![[r#"
        plan test 1
          symbol N
          input  %0 x: f32[N, 3, 6, 6]
          output %7 y: f32[N, 5]
          0 conv
              %2 conv: f32[N, 20, 6, 6] blocked until 1 = conv 3x3 p1 plain-input (%0 x, %1 w: f32[2, 3, 3, 3, 16])
          1 mean
              %3 mean: f32[N, 20, 1, 1] blocked until 2 = reduce mean axes [2, 3] (%2 conv)
          2 mean_plain
              %4 mean_plain: f32[N, 20, 1, 1] until 3 = from-blocked (%3 mean)
          3 y
              %7 y: f32[N, 5] until end = mat-mul packed (%5 flat: f32[N, 20] of %4, %6 matrix: f32[1, 20, 16])
    "#]].assert_eq(&plan.to_string());
    assert_eq!(plan.constants.len(), 2 * 27 * 16 * 4 + 20 * 16 * 4);
}

#[test]
fn outputs_may_be_inputs_aliases_and_the_same() {
    let mut graph = Builder::new();
    let x = graph.input("x", "f32[N, 4]");
    let flat = graph.reshape("flat", x, "f32[N, 2, 2]");
    let plan = plan(graph.finish(&[x, flat]));
    expect![[r#"
        plan test 1
          symbol N
          input  %0 x: f32[N, 4]
          output %0 x: f32[N, 4]
          output %1 flat: f32[N, 2, 2]
    "#]]
    .assert_eq(&plan.to_string());
}

#[test]
fn a_reshape_that_may_not_fit_is_a_copy() {
    let mut graph = Builder::new();
    let x = graph.input("x", "f32[N, W]");
    let y = graph.reshape("y", x, "f32[N, 4]");
    let plan = plan(graph.finish(&[y]));
    expect![[r#"
        plan test 1
          symbol N
          symbol W
          input  %0 x: f32[N, W]
          output %1 y: f32[N, 4]
          0 y
              %1 y: f32[N, 4] until end = copy (%0 x)
    "#]]
    .assert_eq(&plan.to_string());
}
