//! A graph while a pass rewrites it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{BinaryOp, UnaryOp};

use super::{Graph, Node, Op, ValueId};

/// A graph that is being rewritten, with an index of who makes and who reads each value.
///
/// Nodes are replaced one by one. A node whose outputs nothing reads is gone at once, and so is what only it read.
pub(crate) struct Editor<'g> {
    graph: &'g mut Graph,
    nodes: Vec<Option<Node>>,
    /// Where each node stands, as far as the order is free.
    positions: Vec<usize>,
    makers: Vec<Option<usize>>,
    /// The nodes that read each value, as often as they do. An output of the graph counts as read by `OUTSIDE`.
    readers: Vec<Vec<usize>>,
    changed: bool,
}

/// Who reads the outputs of a graph.
const OUTSIDE: usize = usize::MAX;

impl<'g> Editor<'g> {
    pub(crate) fn new(graph: &'g mut Graph) -> Self {
        let (makers, mut readers) = (graph.makers(), graph.readers());
        for output in &graph.outputs {
            readers[output.index()].push(OUTSIDE);
        }
        let nodes: Vec<_> = std::mem::take(&mut graph.nodes)
            .into_iter()
            .map(Some)
            .collect();
        Self {
            graph,
            positions: (0..nodes.len()).collect(),
            nodes,
            makers,
            readers,
            changed: false,
        }
    }

    /// Puts the nodes back, those that nothing reads left out, and tells whether anything was changed.
    pub(crate) fn finish(mut self) -> bool {
        for index in (0..self.nodes.len()).rev() {
            self.remove_if_unread(index);
        }
        if self.changed {
            self.graph.nodes = self.sorted();
        } else {
            self.graph.nodes = self.nodes.into_iter().flatten().collect();
        }
        self.changed
    }

    /// The graph, whose nodes are elsewhere: only its values are of use.
    pub(crate) fn graph(&mut self) -> &mut Graph {
        self.graph
    }

    /// The values.
    pub(crate) fn values(&self) -> &Graph {
        self.graph
    }

    /// How many nodes there ever were: their indices are below this.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Returns a node, unless it is gone.
    pub(crate) fn node(&self, index: usize) -> Option<&Node> {
        self.nodes[index].as_ref()
    }

    /// Returns where a node stands: before those that stand at a higher number.
    pub(crate) fn position(&self, index: usize) -> usize {
        self.positions[index]
    }

    /// Returns the kernel of a node, if it has one and is not gone.
    pub(crate) fn kernel(&self, index: usize) -> Option<&Kernel> {
        match &self.node(index)?.op {
            Op::Kernel(kernel) => Some(kernel),
            _ => None,
        }
    }

    /// Returns the node that writes a value.
    pub(crate) fn maker(&self, value: ValueId) -> Option<usize> {
        self.makers.get(value.index()).copied().flatten()
    }

    /// Returns the node that writes a value, its kernel and its inputs.
    pub(crate) fn made_by(&self, value: ValueId) -> Option<(usize, &Kernel, &[ValueId])> {
        let index = self.maker(value)?;
        Some((index, self.kernel(index)?, &self.node(index)?.inputs))
    }

    /// Returns the operand of the function of one element that makes a value.
    pub(crate) fn unary(&self, value: ValueId) -> Option<(UnaryOp, ValueId)> {
        match self.made_by(value)? {
            (_, Kernel::Unary(op), &[x]) => Some((*op, x)),
            _ => None,
        }
    }

    /// Returns the operands of the function of two elements that makes a value.
    pub(crate) fn binary(&self, value: ValueId) -> Option<(BinaryOp, ValueId, ValueId)> {
        match self.made_by(value)? {
            (_, Kernel::Binary(op), &[a, b]) => Some((*op, a, b)),
            _ => None,
        }
    }

    /// Returns what is reshaped to a value.
    pub(crate) fn reshaped(&self, value: ValueId) -> Option<ValueId> {
        let node = self.node(self.maker(value)?)?;
        matches!(node.op, Op::Reshape).then(|| node.inputs[0])
    }

    /// Returns the nodes that read a value, as often as they do; the outside is none.
    pub(crate) fn readers(&self, value: ValueId) -> Vec<usize> {
        let readers = self.readers.get(value.index()).into_iter().flatten();
        readers
            .copied()
            .filter(|&reader| reader != OUTSIDE)
            .collect()
    }

    /// Reports whether a value is read once, and not from outside.
    pub(crate) fn is_read_once(&self, value: ValueId) -> bool {
        matches!(self.readers.get(value.index()).map(Vec::as_slice), Some([reader]) if *reader != OUTSIDE)
    }

    /// Reports whether what the makers of `inner` write is read by these and by `root` alone.
    pub(crate) fn are_private(&self, inner: &[ValueId], root: usize) -> bool {
        let makers: Vec<usize> = inner
            .iter()
            .filter_map(|&value| self.maker(value))
            .collect();
        let inside = |reader: &usize| *reader == root || makers.contains(reader);
        inner.iter().all(|value| {
            let readers = self.readers.get(value.index());
            readers.is_some_and(|readers| readers.iter().all(inside))
        })
    }

    /// Reports whether a value is an output of the graph.
    pub(crate) fn is_output(&self, value: ValueId) -> bool {
        self.graph.is_output(value)
    }

    /// Replaces a node by others, the last of which writes what it wrote.
    pub(crate) fn replace(&mut self, index: usize, nodes: impl IntoIterator<Item = Node>) {
        self.changed = true;
        let old = self.nodes[index].take();
        for node in nodes {
            self.insert_before(index, node);
        }
        if let Some(old) = old {
            self.forget(index, &old);
        }
    }

    /// Adds a node that stands where another does, before it.
    pub(crate) fn insert_before(&mut self, index: usize, node: Node) {
        self.changed = true;
        let new = self.nodes.len();
        for input in &node.inputs {
            self.readers_mut(*input).push(new);
        }
        for output in &node.outputs {
            self.readers_mut(*output);
            self.makers[output.index()] = Some(new);
        }
        self.nodes.push(Some(node));
        self.positions.push(self.positions[index]);
    }

    /// Makes a value a constant. What made it goes, once all that it makes is constant.
    pub(crate) fn make_constant(&mut self, value: ValueId, bytes: Arc<[u8]>) {
        self.changed = true;
        self.graph.values[value.index()].constant = Some(bytes);
        let Some(maker) = self.maker(value) else {
            return;
        };
        let is_constant = |id: &ValueId| self.graph.value(*id).constant.is_some();
        if self
            .node(maker)
            .is_some_and(|node| node.outputs.iter().all(is_constant))
            && let Some(old) = self.nodes[maker].take()
        {
            for output in &old.outputs {
                self.makers[output.index()] = None;
            }
            self.forget(maker, &old);
        }
    }

    /// Lets everything that reads `old` read `new` instead; but not nodes that know `old` by its name.
    pub(crate) fn substitute(&mut self, old: ValueId, new: ValueId) {
        let readers = std::mem::take(self.readers_mut(old));
        let (bound, free): (Vec<usize>, Vec<usize>) = readers
            .into_iter()
            .partition(|&reader| self.node_at(reader).is_some_and(knows_names));
        *self.readers_mut(old) = bound;
        if old == new || free.is_empty() {
            self.readers_mut(old).extend(free);
            return;
        }
        self.changed = true;
        for &reader in &free {
            let slots = match self.nodes.get_mut(reader) {
                Some(Some(node)) => &mut node.inputs,
                _ => &mut self.graph.outputs,
            };
            for slot in slots.iter_mut().filter(|slot| **slot == old) {
                *slot = new;
            }
        }
        self.readers_mut(new).extend(free);
        if let Some(maker) = self.maker(old) {
            self.remove_if_unread(maker);
        }
    }

    fn node_at(&self, index: usize) -> Option<&Node> {
        self.nodes.get(index)?.as_ref()
    }

    fn readers_mut(&mut self, value: ValueId) -> &mut Vec<usize> {
        let len = self.graph.values.len();
        self.readers
            .resize_with(len.max(self.readers.len()), Vec::new);
        self.makers.resize(len.max(self.makers.len()), None);
        &mut self.readers[value.index()]
    }

    fn forget(&mut self, index: usize, old: &Node) {
        let mut forgotten = vec![(index, old.inputs.clone())];
        while let Some((index, inputs)) = forgotten.pop() {
            for input in inputs {
                let readers = self.readers_mut(input);
                let position = readers.iter().position(|&reader| reader == index);
                position.map(|position| readers.swap_remove(position));
                let Some(maker) = self.maker(input) else {
                    continue;
                };
                if self.is_unread(maker)
                    && let Some(node) = self.nodes[maker].take()
                {
                    forgotten.push((maker, node.inputs));
                }
            }
        }
    }

    fn is_unread(&self, index: usize) -> bool {
        let unread = |output: &ValueId| self.readers.get(output.index()).is_none_or(Vec::is_empty);
        self.node(index)
            .is_some_and(|node| node.outputs.iter().all(unread))
    }

    fn remove_if_unread(&mut self, index: usize) {
        if self.is_unread(index)
            && let Some(old) = self.nodes[index].take()
        {
            self.changed = true;
            self.forget(index, &old);
        }
    }

    /// Returns the nodes, each after those that write what it reads, otherwise by position.
    fn sorted(&mut self) -> Vec<Node> {
        let mut missing: Vec<usize> = vec![0; self.nodes.len()];
        let mut ready = BinaryHeap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let Some(node) = node else { continue };
            let written = node
                .inputs
                .iter()
                .filter(|&&input| self.maker(input).is_some());
            missing[index] = written.count();
            if missing[index] == 0 {
                ready.push(Reverse((self.positions[index], index)));
            }
        }
        let mut sorted = vec![];
        while let Some(Reverse((_, index))) = ready.pop() {
            let Some(node) = self.nodes[index].take() else {
                continue;
            };
            for output in &node.outputs {
                for reader in self.readers(*output) {
                    missing[reader] -= 1;
                    if missing[reader] == 0 {
                        ready.push(Reverse((self.positions[reader], reader)));
                    }
                }
            }
            sorted.push(node);
        }
        assert!(
            self.nodes.iter().all(Option::is_none),
            "a pass made a cycle"
        );
        sorted
    }
}

/// Reports whether a node has sub-graphs that read values by name.
fn knows_names(node: &Node) -> bool {
    match &node.op {
        Op::Onnx(proto) => {
            node.inputs.len() > proto.input.iter().filter(|name| !name.is_empty()).count()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Builder;
    use super::*;

    /// `y = exp(x)`, `z = abs(y)`, `u = log(y)`, `v = z + u`.
    fn graph() -> Graph {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 4]");
        let y = graph.unary("y", UnaryOp::Exp, x);
        let z = graph.unary("z", UnaryOp::Abs, y);
        let u = graph.unary("u", UnaryOp::Log, y);
        let v = graph.binary("v", BinaryOp::Add, z, u, "f32[N, 4]");
        graph.finish(&[v])
    }

    fn names(graph: &Graph) -> String {
        let names: Vec<&str> = graph.nodes.iter().map(|node| node.name.as_str()).collect();
        names.join(" ")
    }

    #[test]
    fn nothing_changes_by_looking() {
        let mut graph = graph();
        assert!(!Editor::new(&mut graph).finish());
        assert_eq!(names(&graph), "y z u v");
    }

    #[test]
    fn what_nothing_reads_goes() {
        let mut graph = graph();
        let [y, z, u, v] = [1, 2, 3, 4].map(ValueId);
        let mut editor = Editor::new(&mut graph);
        assert_eq!(editor.readers(y), [1, 2]);
        editor.substitute(u, z);
        assert!(editor.node(2).is_none());
        assert!(editor.is_read_once(y));
        assert_eq!(editor.readers(z), [3, 3]);
        assert!(editor.is_output(v) && !editor.is_read_once(v));
        assert!(editor.finish());
        assert_eq!(names(&graph), "y z v");
    }

    #[test]
    fn new_nodes_stand_where_the_old_one_did() {
        let mut graph = graph();
        let mut editor = Editor::new(&mut graph);
        let [y, z] = [1, 2].map(ValueId);
        let w = editor
            .graph()
            .add_value("w", tensorlet_tensor::DatumType::F32, None);
        let node = |name: &str, op, x, y| Node {
            name: name.into(),
            op: Op::Kernel(Kernel::Unary(op)),
            inputs: vec![x],
            outputs: vec![y],
        };
        let new = [
            node("w", UnaryOp::Ceil, y, w),
            node("z2", UnaryOp::Floor, w, z),
        ];
        editor.replace(1, new);
        assert_eq!(editor.unary(z), Some((UnaryOp::Floor, w)));
        assert!(editor.are_private(&[w], editor.maker(z).unwrap()));
        assert!(!editor.are_private(&[y], editor.maker(w).unwrap()));
        editor.finish();
        assert_eq!(names(&graph), "y w z2 u v");
    }
}
