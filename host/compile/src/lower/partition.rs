//! Joins the operators that have no kernel to sub-graphs for tract.
//!
//! ```text
//! x ─ Kernel ─ Onnx ─ Onnx ─ Kernel ─ Onnx ─ y        each Onnx node has a level: how often the way to it goes
//!              └─ level 0 ┘           └ level 1 ┘      from tract to a kernel
//! ```
//!
//! Neighbours of one level become one sub-graph: no way between them leads through anything else. What only nodes of a
//! higher level read moves up to these, so that sizes are computed where they are needed.

mod model;

use std::collections::{BTreeMap, BTreeSet};

use tract_onnx::pb::{ModelProto, NodeProto};

use crate::graph::{Graph, Node, Op, Subgraph, ValueId};
use crate::rewrite::RewriteError;
use crate::rewrite::graph::is_own_domain;

/// Why a graph cannot be divided between kernels and tract.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PartitionError {
    /// A size that only the data decides would have to be known outside of a sub-graph.
    #[error(
        "expected `{value}`, whose size only its data decides, between neighbouring operators without kernel, found another reader"
    )]
    Dynamic {
        /// The name of the value.
        value: String,
    },
    /// tract does not take the operators of a sub-graph.
    #[error("the operators at `{node}` have no kernel")]
    Refused {
        /// The name of the first node.
        node: String,
        /// What tract says.
        #[source]
        source: RewriteError,
    },
}

/// Replaces all operators without kernel by sub-graphs. `model` is where they come from.
///
/// # Errors
/// If tract does not take a sub-graph, or a size that only the data decides would leave one.
pub(super) fn partition(graph: &mut Graph, model: &ModelProto) -> Result<(), PartitionError> {
    let groups = groups(graph);
    if groups.is_empty() {
        return Ok(());
    }
    let mut members = vec![None; graph.nodes.len()];
    for (group, nodes) in groups.iter().enumerate() {
        nodes.iter().for_each(|&node| members[node] = Some(group));
    }
    check_sizes(graph, &members)?;
    let mut joined: Vec<(usize, Node)> = vec![];
    for nodes in &groups {
        joined.push((nodes[0], join(graph, model, nodes)?));
    }
    let kept = std::mem::take(&mut graph.nodes).into_iter().enumerate();
    let kept = kept.filter(|(index, _)| members[*index].is_none());
    let nodes: Vec<(usize, Node)> = kept.chain(joined).collect();
    graph.nodes = sorted(graph, nodes);
    Ok(())
}

/// Counts an operator, outside of ONNX's own domain as `domain.Operator`.
pub(super) fn count_operator(node: &NodeProto, operators: &mut BTreeMap<String, u32>) {
    let name = match is_own_domain(&node.domain) {
        true => node.op_type.clone(),
        false => format!("{}.{}", node.domain, node.op_type),
    };
    *operators.entry(name).or_default() += 1;
    for attribute in &node.attribute {
        for graph in attribute.g.iter().chain(&attribute.graphs) {
            graph
                .node
                .iter()
                .for_each(|node| count_operator(node, operators));
        }
    }
}

fn is_onnx(node: &Node) -> bool {
    matches!(node.op, Op::Onnx(_))
}

/// Returns the nodes of each sub-graph, in order.
fn groups(graph: &Graph) -> Vec<Vec<usize>> {
    let (makers, readers) = (graph.makers(), graph.readers());
    let levels = levels(graph, &makers, &readers);
    // Each node's neighbour that stands for its group.
    let mut parents: Vec<usize> = (0..graph.nodes.len()).collect();
    fn root(parents: &mut [usize], mut node: usize) -> usize {
        while parents[node] != node {
            parents[node] = parents[parents[node]];
            node = parents[node];
        }
        node
    }
    for (index, node) in graph
        .nodes
        .iter()
        .enumerate()
        .filter(|(_, node)| is_onnx(node))
    {
        for maker in node.inputs.iter().filter_map(|input| makers[input.index()]) {
            if is_onnx(&graph.nodes[maker]) && levels[maker] == levels[index] {
                let (a, b) = (root(&mut parents, maker), root(&mut parents, index));
                parents[a.max(b)] = a.min(b);
            }
        }
    }
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for index in (0..graph.nodes.len()).filter(|&index| is_onnx(&graph.nodes[index])) {
        groups
            .entry(root(&mut parents, index))
            .or_default()
            .push(index);
    }
    groups.into_values().collect()
}

fn levels(graph: &Graph, makers: &[Option<usize>], readers: &[Vec<usize>]) -> Vec<usize> {
    let mut levels = vec![0usize; graph.nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate() {
        let before = node.inputs.iter().filter_map(|input| makers[input.index()]);
        let least = before.map(|maker| {
            let leaves_tract = is_onnx(&graph.nodes[maker]) && !is_onnx(node);
            levels[maker] + usize::from(leaves_tract)
        });
        levels[index] = least.max().unwrap_or(0);
    }
    for (index, node) in graph
        .nodes
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, node)| is_onnx(node))
    {
        let readers: Vec<usize> = node
            .outputs
            .iter()
            .flat_map(|output| readers[output.index()].clone())
            .collect();
        let stays = node.outputs.iter().any(|&output| graph.is_output(output))
            || readers.iter().any(|&reader| !is_onnx(&graph.nodes[reader]));
        if let Some(least) = readers
            .iter()
            .map(|&reader| levels[reader])
            .min()
            .filter(|_| !stays)
        {
            levels[index] = least;
        }
    }
    levels
}

/// Checks that no kernel, and no sub-graph other than the one that makes it, reads a value whose size only the data decides.
fn check_sizes(graph: &Graph, members: &[Option<usize>]) -> Result<(), PartitionError> {
    let makers = graph.makers();
    for (index, node) in graph.nodes.iter().enumerate() {
        let written = if is_onnx(node) {
            &[][..]
        } else {
            &node.outputs
        };
        for value in node.inputs.iter().chain(written) {
            let maker = makers[value.index()];
            let is_inside = members[index].is_some()
                && maker.is_some_and(|maker| members[maker] == members[index]);
            if graph.dims(*value).is_none() && !is_inside {
                return Err(PartitionError::Dynamic {
                    value: graph.value(*value).name.clone(),
                });
            }
        }
    }
    Ok(())
}

/// Makes one node of several.
fn join(graph: &Graph, model: &ModelProto, nodes: &[usize]) -> Result<Node, PartitionError> {
    let inside: BTreeSet<ValueId> = nodes
        .iter()
        .flat_map(|&node| graph.nodes[node].outputs.clone())
        .collect();
    let mut inputs: Vec<ValueId> = vec![];
    for &value in nodes.iter().flat_map(|&node| &graph.nodes[node].inputs) {
        let is_constant = graph.value(value).constant.is_some();
        if !inside.contains(&value) && !is_constant && !inputs.contains(&value) {
            inputs.push(value);
        }
    }
    let readers = graph.readers();
    let is_read = |value: &ValueId| {
        graph.is_output(*value)
            || readers[value.index()]
                .iter()
                .any(|reader| !nodes.contains(reader))
    };
    let outputs: Vec<ValueId> = nodes
        .iter()
        .flat_map(|&node| graph.nodes[node].outputs.clone())
        .filter(is_read)
        .collect();
    let mut operators = BTreeMap::new();
    for &node in nodes {
        if let Op::Onnx(proto) = &graph.nodes[node].op {
            count_operator(proto, &mut operators);
        }
    }
    let name = graph.nodes[nodes[0]].name.clone();
    let (model, one_row) =
        model::write(graph, model, nodes, &inputs, &outputs).map_err(|source| {
            let node = name.clone();
            PartitionError::Refused { node, source }
        })?;
    Ok(Node {
        name,
        op: Op::Subgraph(Box::new(Subgraph {
            model,
            one_row,
            operators,
        })),
        inputs,
        outputs,
    })
}

/// Puts each node after those that write what it reads, otherwise by its number.
fn sorted(graph: &Graph, nodes: Vec<(usize, Node)>) -> Vec<Node> {
    let mut makers: Vec<Option<usize>> = vec![None; graph.values.len()];
    for (index, (_, node)) in nodes.iter().enumerate() {
        node.outputs
            .iter()
            .for_each(|output| makers[output.index()] = Some(index));
    }
    let mut missing = vec![0usize; nodes.len()];
    let mut followers: Vec<Vec<usize>> = vec![vec![]; nodes.len()];
    for (index, (_, node)) in nodes.iter().enumerate() {
        let before = node.inputs.iter().filter_map(|input| makers[input.index()]);
        for maker in before.collect::<BTreeSet<_>>() {
            followers[maker].push(index);
            missing[index] += 1;
        }
    }
    let positions: Vec<usize> = nodes.iter().map(|(position, _)| *position).collect();
    let mut ready: BTreeSet<(usize, usize)> = (0..nodes.len())
        .filter(|&index| missing[index] == 0)
        .map(|index| (positions[index], index))
        .collect();
    let mut nodes: Vec<Option<Node>> = nodes.into_iter().map(|(_, node)| Some(node)).collect();
    let mut sorted = vec![];
    while let Some((_, index)) = ready.pop_first() {
        sorted.extend(nodes[index].take());
        for &follower in &followers[index] {
            missing[follower] -= 1;
            if missing[follower] == 0 {
                ready.insert((positions[follower], follower));
            }
        }
    }
    sorted
}

#[cfg(test)]
mod tests;
