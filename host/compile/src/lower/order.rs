//! Puts nodes in an order that needs little memory.

use std::collections::BTreeSet;

use crate::graph::{Graph, Op, ValueId};
use crate::lower::layout::stored_len;

/// Reorders the nodes, unless the order that they have needs no more memory than the one found here.
///
/// That one always takes the node next after which the least is kept.
pub(super) fn order_nodes(graph: &mut Graph) {
    let memory = Memory::new(graph);
    let found = memory.frugal(graph);
    let old: Vec<usize> = (0..graph.nodes.len()).collect();
    if memory.peak(&found) < memory.peak(&old) {
        let mut nodes: Vec<_> = std::mem::take(&mut graph.nodes)
            .into_iter()
            .map(Some)
            .collect();
        graph.nodes = found
            .iter()
            .filter_map(|&index| nodes[index].take())
            .collect();
    }
}

/// What nodes need of memory, for some sizes of the symbols.
struct Memory {
    /// For each node, the buffers that it writes.
    writes: Vec<Vec<usize>>,
    /// For each node, the buffers that it reads, each once.
    reads: Vec<Vec<usize>>,
    /// How much each buffer needs.
    lens: Vec<f64>,
    /// How many nodes read each buffer; one more if callers do.
    readers: Vec<usize>,
}

impl Memory {
    fn new(graph: &Graph) -> Self {
        let mut roots: Vec<usize> = (0..graph.values.len()).collect();
        for node in &graph.nodes {
            if matches!(node.op, Op::Reshape) {
                roots[node.outputs[0].index()] = roots[node.inputs[0].index()];
            }
        }
        let mut is_buffer = vec![false; graph.values.len()];
        for node in graph
            .nodes
            .iter()
            .filter(|node| !matches!(node.op, Op::Reshape))
        {
            node.outputs
                .iter()
                .for_each(|id| is_buffer[id.index()] = true);
        }
        let buffers = |ids: &[ValueId]| -> Vec<usize> {
            let roots = ids.iter().map(|id| roots[id.index()]);
            roots
                .filter(|&root| is_buffer[root])
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect()
        };
        let is_reshape = |index: usize| matches!(graph.nodes[index].op, Op::Reshape);
        let reads: Vec<Vec<usize>> = graph
            .nodes
            .iter()
            .map(|node| buffers(&node.inputs))
            .collect();
        let writes = graph
            .nodes
            .iter()
            .enumerate()
            .map(|(index, node)| match is_reshape(index) {
                true => vec![],
                false => buffers(&node.outputs),
            });
        let mut readers = vec![0; graph.values.len()];
        for &root in reads.iter().flatten().chain(&buffers(&graph.outputs)) {
            readers[root] += 1;
        }
        Self {
            writes: writes.collect(),
            reads,
            lens: (0..graph.values.len() as u32)
                .map(|id| stored_len(graph, ValueId(id)))
                .collect(),
            readers,
        }
    }

    /// Returns the most memory that an order needs at a time.
    fn peak(&self, order: &[usize]) -> f64 {
        let mut readers = self.readers.clone();
        let (mut live, mut peak) = (0.0, 0.0f64);
        for &node in order {
            live += self.writes[node]
                .iter()
                .map(|&root| self.lens[root])
                .sum::<f64>();
            peak = peak.max(live);
            live -= self.take(node, &mut readers);
        }
        peak
    }

    /// Lets a node read its inputs; returns how much memory nobody needs any more.
    fn take(&self, node: usize, readers: &mut [usize]) -> f64 {
        let mut freed = 0.0;
        for &root in &self.reads[node] {
            readers[root] -= 1;
            if readers[root] == 0 {
                freed += self.lens[root];
            }
        }
        let unread = self.writes[node]
            .iter()
            .filter(|&&root| self.readers[root] == 0);
        freed + unread.map(|&root| self.lens[root]).sum::<f64>()
    }

    fn frugal(&self, graph: &Graph) -> Vec<usize> {
        let makers = graph.makers();
        let mut missing: Vec<usize> = vec![0; graph.nodes.len()];
        let mut followers: Vec<Vec<usize>> = vec![vec![]; graph.nodes.len()];
        for (index, node) in graph.nodes.iter().enumerate() {
            let before = node.inputs.iter().filter_map(|input| makers[input.index()]);
            for maker in before.collect::<BTreeSet<_>>() {
                followers[maker].push(index);
                missing[index] += 1;
            }
        }
        let mut readers = self.readers.clone();
        let mut ready: BTreeSet<usize> = (0..graph.nodes.len())
            .filter(|&index| missing[index] == 0)
            .collect();
        let mut order = vec![];
        let growth = |node: usize, readers: &[usize]| {
            let written: f64 = self.writes[node].iter().map(|&root| self.lens[root]).sum();
            let last_read = self.reads[node].iter().filter(|&&root| readers[root] == 1);
            written - last_read.map(|&root| self.lens[root]).sum::<f64>()
        };
        while let Some(next) = ready
            .iter()
            .copied()
            .min_by(|&a, &b| growth(a, &readers).total_cmp(&growth(b, &readers)))
        {
            ready.remove(&next);
            self.take(next, &mut readers);
            for &follower in &followers[next] {
                missing[follower] -= 1;
                if missing[follower] == 0 {
                    ready.insert(follower);
                }
            }
            order.push(next);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use tensorlet_plan::Kernel;
    use tensorlet_plan::kernel::{BinaryOp, Reduce, ReduceOp, UnaryOp};

    use super::*;
    use crate::graph::testing::{Builder, assert_equal_results};

    #[test]
    fn large_tensors_go_one_after_the_other() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 64]");
        let large = [UnaryOp::Exp, UnaryOp::Sin, UnaryOp::Cos].map(|op| {
            let name = format!("{op:?}").to_lowercase();
            graph.unary(&name, op, x)
        });
        let sums = large.map(|value| {
            let sum = Kernel::Reduce(Reduce {
                op: ReduceOp::Sum,
                axes: vec![1],
            });
            graph.kernel(&format!("sum{}", value.0), sum, &[value], "f32[N, 1]")
        });
        let y = graph.binary("y", BinaryOp::Add, sums[0], sums[1], "f32[N, 1]");
        let y = graph.binary("z", BinaryOp::Add, y, sums[2], "f32[N, 1]");
        let before = graph.finish(&[y]);
        let mut after = before.clone();
        order_nodes(&mut after);
        let names: Vec<&str> = after.nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(
            names,
            ["exp", "sum1", "sin", "sum2", "y", "cos", "sum3", "z"]
        );
        assert_equal_results(&before, &after);
    }

    #[test]
    fn an_order_that_is_no_worse_stays() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 64]");
        let a = graph.unary("a", UnaryOp::Exp, x);
        let b = graph.reshape("b", a, "f32[N, 8, 8]");
        let c = graph.unary("c", UnaryOp::Log, x);
        let d = graph.reshape("d", c, "f32[N, 8, 8]");
        let y = graph.binary("y", BinaryOp::Add, d, b, "f32[N, 8, 8]");
        let mut graph = graph.finish(&[y]);
        order_nodes(&mut graph);
        let names: Vec<&str> = graph.nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c", "d", "y"]);
    }
}
