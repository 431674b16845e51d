//! Chooses for nodes that can compute in either layout.

use tensorlet_plan::kernel::ConvWeights;

use super::roles::{Role, lens};
use crate::graph::{Graph, ValueId};

/// The most times that all nodes are gone through.
const MAX_ROUNDS: usize = 20;

/// Returns for each node whether it writes blocks.
///
/// The search begins with no node, all nodes, and those that read blocks; it changes single nodes as long as fewer numbers
/// are to be converted then, and the best of the three ends is taken.
pub(super) fn choose(graph: &Graph, roles: &[Role]) -> Vec<bool> {
    let search = Search::new(graph, roles);
    let is_conv = |role: &Role| matches!(role, Role::Conv { .. });
    let none: Vec<bool> = roles.iter().map(is_conv).collect();
    let all: Vec<bool> = roles.iter().map(|&role| role != Role::Plain).collect();
    let mut forward = none.clone();
    for (index, node) in graph.nodes.iter().enumerate() {
        let reads_blocks =
            |input: &ValueId| search.maker(*input).is_some_and(|maker| forward[maker]);
        forward[index] |= roles[index] == Role::Either && node.inputs.iter().any(reads_blocks);
    }
    let ends = [none, forward, all].map(|begin| search.improve(begin));
    let best = ends.into_iter().min_by(|(_, a), (_, b)| a.total_cmp(b));
    best.map_or(vec![], |(choice, _)| choice)
}

struct Search<'a> {
    roles: &'a [Role],
    /// For each value that is not constant: its length, which node makes it, and what reads it.
    values: Vec<Option<Tensor>>,
    /// Which values each node reads or writes.
    touched: Vec<Vec<usize>>,
    /// How many numbers more there are for each node in blocks, because channels are padded.
    padding: Vec<f64>,
}

struct Tensor {
    len: f64,
    maker: Option<usize>,
    readers: Vec<Reader>,
}

enum Reader {
    /// A caller, or a node that reads row-major tensors.
    Plain,
    /// A convolution that reads blocks.
    Blocked,
    /// Reads what it writes.
    Node(usize),
}

impl<'a> Search<'a> {
    fn new(graph: &Graph, roles: &'a [Role]) -> Self {
        let (makers, all_readers) = (graph.makers(), graph.readers());
        let tensor = |id: ValueId| {
            graph.value(id).constant.is_none().then(|| {
                let mut readers: Vec<Reader> = vec![];
                for &node in &all_readers[id.index()] {
                    readers.extend(reader(graph, roles, node, id));
                }
                if graph.is_output(id) {
                    readers.push(Reader::Plain);
                }
                Tensor {
                    len: lens(graph, id).0,
                    maker: makers[id.index()],
                    readers,
                }
            })
        };
        let padding = |id: ValueId| {
            let (len, stored) = lens(graph, id);
            stored - len
        };
        Self {
            roles,
            values: (0..graph.values.len() as u32)
                .map(|id| tensor(ValueId(id)))
                .collect(),
            touched: graph
                .nodes
                .iter()
                .map(|node| {
                    node.inputs
                        .iter()
                        .chain(&node.outputs)
                        .map(|id| id.index())
                        .collect()
                })
                .collect(),
            padding: graph
                .nodes
                .iter()
                .map(|node| node.outputs.iter().map(|&id| padding(id)).sum())
                .collect(),
        }
    }

    fn maker(&self, value: ValueId) -> Option<usize> {
        self.values[value.index()].as_ref()?.maker
    }

    /// Changes single nodes while that costs less, and returns the choice and its cost.
    fn improve(&self, mut choice: Vec<bool>) -> (Vec<bool>, f64) {
        for _ in 0..MAX_ROUNDS {
            let mut changed = false;
            for node in (0..choice.len()).filter(|&node| self.roles[node] == Role::Either) {
                let before = self.cost_around(node, &choice);
                choice[node] = !choice[node];
                if self.cost_around(node, &choice) < before {
                    changed = true;
                } else {
                    choice[node] = !choice[node];
                }
            }
            if !changed {
                break;
            }
        }
        let conversions = self.values.iter().map(|value| self.cost(value, &choice));
        let padding = (0..choice.len()).map(|node| self.padding_cost(node, &choice));
        let cost = conversions.sum::<f64>() + padding.sum::<f64>();
        (choice, cost)
    }

    fn cost_around(&self, node: usize, choice: &[bool]) -> f64 {
        let touched = self.touched[node].iter();
        let conversions: f64 = touched
            .map(|&value| self.cost(&self.values[value], choice))
            .sum();
        conversions + self.padding_cost(node, choice)
    }

    fn padding_cost(&self, node: usize, choice: &[bool]) -> f64 {
        if choice[node] && self.roles[node] == Role::Either {
            self.padding[node] / 4.0
        } else {
            0.0
        }
    }

    /// How many numbers are converted because a value is read in another layout than it is written in.
    fn cost(&self, value: &Option<Tensor>, choice: &[bool]) -> f64 {
        let Some(tensor) = value else {
            return 0.0;
        };
        let written_blocked = tensor.maker.is_some_and(|maker| choice[maker]);
        let differs = |reader: &Reader| match reader {
            Reader::Plain => written_blocked,
            Reader::Blocked => !written_blocked,
            Reader::Node(node) => choice[*node] != written_blocked,
        };
        match tensor.readers.iter().any(differs) {
            true => tensor.len,
            false => 0.0,
        }
    }
}

/// Returns in which layout a node reads a value; `None` if it takes it as it is.
fn reader(graph: &Graph, roles: &[Role], node: usize, value: ValueId) -> Option<Reader> {
    match roles[node] {
        Role::Plain => Some(Reader::Plain),
        Role::Either => Some(Reader::Node(node)),
        Role::Conv { weights } => {
            let is_x = graph.nodes[node].inputs[0] == value;
            let is_residual = graph.nodes[node].inputs[1..].contains(&value);
            let takes_as_it_is = weights == ConvWeights::PlainInput && is_x && !is_residual;
            (!takes_as_it_is).then_some(Reader::Blocked)
        }
    }
}
