//! Replaces each `If` whose condition is an initializer by the branch that is taken.
//!
//! ```text
//! y = If(c) { then: a = Relu(x); -> a  else: -> x }      c = true
//! ───►
//! y = Relu(x)
//! ```
//!
//! Exporters write an `If` for a squeeze of an axis whose size they do not know; where it is known, so is
//! the condition. tract types both branches, and fails on the one that cannot be taken.

use std::collections::HashMap;

use tract_onnx::pb::{GraphProto, NodeProto};

use super::graph::{Names, attribute, initializers, new_node, subgraphs_mut};
use super::tensors::to_value;

/// Inlines what can be; returns whether anything could. Expects and keeps sorted nodes.
pub(super) fn inline_if(graph: &mut GraphProto) -> bool {
    let taken: Vec<Option<bool>> = {
        let known = initializers(graph);
        let condition = |node: &NodeProto| {
            let tensor = known.get(node.input.first()?.as_str())?;
            to_value(tensor)?
                .single()?
                .as_i64()
                .map(|condition| condition != 0)
        };
        let is_if = |node: &&NodeProto| node.op_type == "If";
        graph
            .node
            .iter()
            .map(|node| Some(node).filter(is_if).and_then(condition))
            .collect()
    };
    if taken.iter().all(Option::is_none) {
        return false;
    }
    let mut names = Names::of(graph);
    for (mut node, taken) in std::mem::take(&mut graph.node).into_iter().zip(taken) {
        match taken.and_then(|taken| take_branch(&mut node, taken)) {
            Some(branch) => splice(graph, &node, branch, &mut names),
            None => graph.node.push(node),
        }
    }
    true
}

fn take_branch(node: &mut NodeProto, taken: bool) -> Option<GraphProto> {
    let name = if taken { "then_branch" } else { "else_branch" };
    let outputs = node.output.len();
    attribute(node, name)?
        .g
        .as_ref()
        .filter(|branch| branch.output.len() >= outputs)?;
    node.attribute
        .iter_mut()
        .find(|attribute| attribute.name == name)?
        .g
        .take()
}

/// Adds the nodes of a branch to the graph around it, its outputs under the names of the `If`'s.
fn splice(graph: &mut GraphProto, node: &NodeProto, mut branch: GraphProto, names: &mut Names) {
    let mut renamed: HashMap<String, String> = HashMap::new();
    let made = branch
        .node
        .iter()
        .flat_map(|node| node.output.iter().cloned());
    let made: Vec<String> = made.filter(|name| !name.is_empty()).collect();
    // A branch output that a node of the branch makes takes the name of the `If`'s output.
    let outputs = branch
        .output
        .iter()
        .map(|output| output.name.as_str())
        .zip(&node.output);
    let outputs: Vec<(&str, &String)> = outputs.filter(|(_, outer)| !outer.is_empty()).collect();
    for (inner, outer) in &outputs {
        if made.iter().any(|name| name == inner) {
            renamed
                .entry((*inner).to_owned())
                .or_insert_with(|| (*outer).clone());
        }
    }
    let stored = branch.initializer.iter().map(|tensor| tensor.name.clone());
    for name in stored.chain(made) {
        renamed
            .entry(name)
            .or_insert_with_key(|name| names.fresh(name));
    }
    let copies: Vec<NodeProto> = outputs
        .iter()
        .map(|(inner, outer)| (renamed.get(*inner).map_or(*inner, String::as_str), *outer))
        .filter(|(inner, outer)| inner != outer)
        .map(|(inner, outer)| new_node("Identity", &[inner], outer))
        .collect();
    rename(&mut branch, &renamed);
    for inner in &mut branch.node {
        if !inner.name.is_empty() {
            inner.name = names.fresh(&inner.name);
        }
    }
    graph.initializer.append(&mut branch.initializer);
    graph.node.append(&mut branch.node);
    graph.node.extend(copies);
}

/// Renames values in a graph and the graphs inside it, except where these define the name anew.
fn rename(graph: &mut GraphProto, renamed: &HashMap<String, String>) {
    let apply = |name: &mut String| {
        if let Some(new) = renamed.get(name) {
            name.clone_from(new);
        }
    };
    graph
        .initializer
        .iter_mut()
        .for_each(|tensor| apply(&mut tensor.name));
    graph
        .output
        .iter_mut()
        .for_each(|output| apply(&mut output.name));
    graph.value_info.clear();
    for node in &mut graph.node {
        node.input
            .iter_mut()
            .chain(&mut node.output)
            .for_each(apply);
        for inner in subgraphs_mut(node) {
            let own: Vec<String> = super::graph::definitions(inner)
                .map(str::to_owned)
                .collect();
            let mut visible = renamed.clone();
            own.iter().for_each(|name| drop(visible.remove(name)));
            rename(inner, &visible);
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::super::text::testing::{branch, flag, graph, if_node, node, scalar};
    use super::*;

    fn check(mut before: GraphProto, expected: Expect) {
        let mut text = super::super::text::print(&before);
        inline_if(&mut before);
        text.push_str("───►\n");
        text.push_str(&super::super::text::print(&before));
        expected.assert_eq(&text);
    }

    #[test]
    fn the_branch_taken_stays() {
        let then = branch(
            vec![node("Relu", &["x"], &["a"]), node("Neg", &["a"], &["b"])],
            &["b"],
        );
        let other = branch(vec![node("Exp", &["x"], &["a"])], &["a"]);
        let nodes = vec![
            node("Abs", &["x"], &["a"]),
            if_node("c", then, other, &["y"]),
            node("Add", &["a", "y"], &["z"]),
        ];
        check(
            graph(&["x:f32[N]"], nodes, vec![flag("c", true)], &["z"]),
            expect![[r#"
                x: f32[N]
                c: bool[] = 1
                a = Abs(x)
                y = If(c)
                  then_branch:
                    a = Relu(x)
                    b = Neg(a)
                    -> b
                  else_branch:
                    a = Exp(x)
                    -> a
                z = Add(a, y)
                -> z
                ───►
                x: f32[N]
                c: bool[] = 1
                a = Abs(x)
                a_1 = Relu(x)
                y = Neg(a_1)
                z = Add(a, y)
                -> z
            "#]],
        );
    }

    #[test]
    fn outputs_that_are_not_made_inside_are_copied() {
        let then = branch(vec![], &["x"]);
        let mut other = branch(vec![node("Neg", &["x"], &["n"])], &["x", "k", "n", "n"]);
        other.initializer.push(scalar("k", 3));
        let nodes = vec![if_node("c", then, other, &["p", "q", "r", "s"])];
        check(
            graph(
                &["x:f32[N]"],
                nodes,
                vec![flag("c", false)],
                &["p", "q", "r", "s"],
            ),
            expect![[r#"
                x: f32[N]
                c: bool[] = 0
                p, q, r, s = If(c)
                  then_branch:
                    -> x
                  else_branch:
                    k: i64[] = 3
                    n = Neg(x)
                    -> x, k, n, n
                -> p, q, r, s
                ───►
                x: f32[N]
                c: bool[] = 0
                k_1: i64[] = 3
                r = Neg(x)
                p = Identity(x)
                q = Identity(k_1)
                s = Identity(r)
                -> p, q, r, s
            "#]],
        );
    }

    #[test]
    fn an_if_inside_keeps_what_it_takes_from_around_it() {
        let inner = if_node(
            "d",
            branch(vec![node("Neg", &["a"], &["b"])], &["b"]),
            branch(vec![], &["a"]),
            &["e"],
        );
        let then = branch(
            vec![
                node("Relu", &["x"], &["a"]),
                node("IsNaN", &["a"], &["d"]),
                inner,
            ],
            &["e"],
        );
        let nodes = vec![
            node("Abs", &["x"], &["a"]),
            if_node("c", then, branch(vec![], &["x"]), &["y"]),
            node("Add", &["a", "y"], &["z"]),
        ];
        check(
            graph(&["x:f32[]"], nodes, vec![flag("c", true)], &["z"]),
            expect![[r#"
                x: f32[]
                c: bool[] = 1
                a = Abs(x)
                y = If(c)
                  then_branch:
                    a = Relu(x)
                    d = IsNaN(a)
                    e = If(d)
                      then_branch:
                        b = Neg(a)
                        -> b
                      else_branch:
                        -> a
                    -> e
                  else_branch:
                    -> x
                z = Add(a, y)
                -> z
                ───►
                x: f32[]
                c: bool[] = 1
                a = Abs(x)
                a_1 = Relu(x)
                d_1 = IsNaN(a_1)
                y = If(d_1)
                  then_branch:
                    b = Neg(a_1)
                    -> b
                  else_branch:
                    -> a_1
                z = Add(a, y)
                -> z
            "#]],
        );
    }

    #[test]
    fn an_unknown_condition_is_left() {
        let nodes = vec![if_node(
            "x",
            branch(vec![node("Neg", &["x"], &["a"])], &["a"]),
            branch(vec![], &["x"]),
            &["y"],
        )];
        let mut graph = graph(&["x:bool[]"], nodes, vec![], &["y"]);
        assert!(!inline_if(&mut graph));
    }
}
