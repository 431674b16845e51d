//! Reading and changing graphs: attributes, names, order, what is needed.

use std::collections::{HashMap, HashSet, VecDeque};

use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};

use super::error::RewriteError;

/// Returns the version of ONNX's own operators, or 0.
pub(crate) fn opset(model: &ModelProto) -> i64 {
    let versions = model.opset_import.iter();
    let mut own = versions.filter(|import| is_own_domain(&import.domain));
    own.next().map_or(0, |import| import.version)
}

/// Reports whether operators of this domain are ONNX's own.
pub(crate) fn is_own_domain(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

/// Returns the name of a node, or of its first output when it has none, as tract does.
pub(crate) fn node_name(node: &NodeProto) -> &str {
    if !node.name.is_empty() {
        return &node.name;
    }
    let named = node.output.iter().find(|name| !name.is_empty());
    named.map_or("", String::as_str)
}

/// Returns the attribute of that name.
pub(crate) fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute
        .iter()
        .find(|attribute| attribute.name == name)
}

/// Returns an attribute that is an integer.
pub(crate) fn int(node: &NodeProto, name: &str) -> Option<i64> {
    attribute(node, name).map(|attribute| attribute.i)
}

/// Returns an attribute that is a list of integers.
pub(crate) fn ints<'a>(node: &'a NodeProto, name: &str) -> Option<&'a [i64]> {
    attribute(node, name).map(|attribute| attribute.ints.as_slice())
}

/// Returns the name of an input, if the node has it.
pub(crate) fn input(node: &NodeProto, index: usize) -> Option<&str> {
    let name = node.input.get(index).map(String::as_str);
    name.filter(|name| !name.is_empty())
}

/// Returns the graphs inside a node.
pub(crate) fn subgraphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    let attributes = node.attribute.iter();
    attributes.flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs))
}

/// Returns the graphs inside a node.
pub(crate) fn subgraphs_mut(node: &mut NodeProto) -> impl Iterator<Item = &mut GraphProto> {
    let attributes = node.attribute.iter_mut();
    attributes.flat_map(|attribute| attribute.g.iter_mut().chain(&mut attribute.graphs))
}

/// Returns the values that a node reads: its inputs, and those that its subgraphs take from around it.
pub(crate) fn reads(node: &NodeProto) -> Vec<&str> {
    let inputs = node.input.iter().map(String::as_str);
    let mut names: Vec<&str> = inputs.filter(|name| !name.is_empty()).collect();
    for graph in subgraphs(node) {
        names.extend(captures(graph));
    }
    names
}

/// Returns the values that a graph takes from the graphs around it, each once.
pub(crate) fn captures(graph: &GraphProto) -> Vec<&str> {
    let own: HashSet<&str> = definitions(graph).collect();
    let mut seen = HashSet::new();
    let outputs = graph.output.iter().map(|output| output.name.as_str());
    graph
        .node
        .iter()
        .flat_map(reads)
        .chain(outputs)
        .filter(|name| !own.contains(name) && seen.insert(*name))
        .collect()
}

/// Returns the values that a graph defines, with repetitions if it does so twice.
pub(crate) fn definitions(graph: &GraphProto) -> impl Iterator<Item = &str> {
    let inputs = graph.input.iter().map(|input| input.name.as_str());
    let initializers = graph.initializer.iter().map(|tensor| tensor.name.as_str());
    let outputs = graph.node.iter().flat_map(|node| &node.output);
    let outputs = outputs.map(String::as_str).filter(|name| !name.is_empty());
    inputs.chain(initializers).chain(outputs)
}

/// Makes a node named after its output.
pub(crate) fn new_node(op_type: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        name: output.into(),
        op_type: op_type.into(),
        input: inputs.iter().map(|&input| input.into()).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    }
}

/// Returns initializers by name.
pub(crate) fn initializers(graph: &GraphProto) -> HashMap<&str, &TensorProto> {
    let tensors = graph.initializer.iter();
    tensors
        .map(|tensor| (tensor.name.as_str(), tensor))
        .collect()
}

/// The names of values and nodes in use, in a graph and all graphs inside it.
pub(super) struct Names(HashSet<String>);

impl Names {
    pub(super) fn of(graph: &GraphProto) -> Self {
        let mut names = Self(HashSet::new());
        names.add(graph);
        names
    }

    fn add(&mut self, graph: &GraphProto) {
        self.0.extend(definitions(graph).map(str::to_owned));
        for node in &graph.node {
            self.0.insert(node.name.clone());
            subgraphs(node).for_each(|graph| self.add(graph));
        }
    }

    /// Takes `stem`, or the first of `stem_1`, `stem_2`, … that is free.
    pub(super) fn fresh(&mut self, stem: &str) -> String {
        let numbered = (1..).map(|number: u32| format!("{stem}_{number}"));
        let mut candidates = std::iter::once(stem.to_owned()).chain(numbered);
        let name = candidates
            .find(|name| !self.0.contains(name))
            .expect("fewer than 2^32 names are in use");
        self.0.insert(name.clone());
        name
    }
}

/// Gives each node a name that no other node, input or initializer of the graph has, as tract wants it.
pub(super) fn name_nodes(graph: &mut GraphProto) {
    let inputs = graph.input.iter().map(|input| input.name.clone());
    let initializers = graph.initializer.iter().map(|tensor| tensor.name.clone());
    let mut names = Names(inputs.chain(initializers).collect());
    for node in &mut graph.node {
        node.name = names.fresh(node_name(node));
        subgraphs_mut(node).for_each(name_nodes);
    }
}

/// Sorts a graph and all graphs inside it.
///
/// # Errors
/// As [`sort`].
pub(super) fn sort_all(graph: &mut GraphProto) -> Result<(), RewriteError> {
    sort(graph)?;
    graph
        .node
        .iter_mut()
        .flat_map(subgraphs_mut)
        .try_for_each(sort_all)
}

/// Orders nodes so that each comes after those it reads from. Keeps an order that is already right.
///
/// # Errors
/// If nodes need each other's outputs.
pub(super) fn sort(graph: &mut GraphProto) -> Result<(), RewriteError> {
    let mut makers: HashMap<&str, usize> = HashMap::new();
    for (index, node) in graph.node.iter().enumerate() {
        let outputs = node.output.iter().filter(|name| !name.is_empty());
        makers.extend(outputs.map(|output| (output.as_str(), index)));
    }
    let mut readers: Vec<Vec<usize>> = vec![vec![]; graph.node.len()];
    let mut missing: Vec<usize> = vec![0; graph.node.len()];
    let mut sorted = true;
    for (index, node) in graph.node.iter().enumerate() {
        for maker in reads(node).iter().filter_map(|name| makers.get(name)) {
            readers[*maker].push(index);
            missing[index] += 1;
            sorted &= *maker < index;
        }
    }
    if sorted {
        return Ok(());
    }
    let mut ready: VecDeque<usize> = (0..missing.len()).filter(|&i| missing[i] == 0).collect();
    let mut order = Vec::with_capacity(missing.len());
    while let Some(index) = ready.pop_front() {
        order.push(index);
        for &reader in &readers[index] {
            missing[reader] -= 1;
            if missing[reader] == 0 {
                ready.push_back(reader);
            }
        }
    }
    if let Some(stuck) = missing.iter().position(|&count| count > 0) {
        let name = node_name(&graph.node[stuck]);
        return Err(RewriteError::invalid(format!(
            "node `{name}`: expected inputs that can be computed before it, found a cycle"
        )));
    }
    let mut nodes: Vec<Option<NodeProto>> = graph.node.drain(..).map(Some).collect();
    graph.node = order
        .iter()
        .filter_map(|&index| nodes[index].take())
        .collect();
    Ok(())
}

/// Removes nodes and initializers that no output of the graph needs. Expects sorted nodes.
pub(super) fn prune(graph: &mut GraphProto) {
    let outputs = graph.output.iter().map(|output| output.name.clone());
    let mut needed: HashSet<String> = outputs.collect();
    let mut kept = Vec::with_capacity(graph.node.len());
    for node in graph.node.drain(..).rev() {
        if node.output.iter().any(|output| needed.contains(output)) {
            needed.extend(reads(&node).into_iter().map(str::to_owned));
            kept.push(node);
        }
    }
    kept.reverse();
    graph.node = kept;
    graph
        .initializer
        .retain(|tensor| needed.contains(&tensor.name));
    graph.value_info.retain(|info| needed.contains(&info.name));
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::text::print;
    use super::super::text::testing::{branch, graph, if_node, node, scalar};
    use super::*;

    #[test]
    fn nodes_come_after_what_they_read() {
        let inner = branch(vec![node("Add", &["a", "x"], &["i"])], &["i"]);
        let nodes = vec![
            node("Neg", &["y"], &["z"]),
            if_node("c", inner, branch(vec![], &["x"]), &["y"]),
            node("Abs", &["x"], &["a"]),
            node("IsNaN", &["x"], &["c"]),
        ];
        let mut graph = graph(&["x:f32[]"], nodes, vec![], &["z"]);
        sort(&mut graph).unwrap();
        expect![[r#"
            x: f32[]
            a = Abs(x)
            c = IsNaN(x)
            y = If(c)
              then_branch:
                i = Add(a, x)
                -> i
              else_branch:
                -> x
            z = Neg(y)
            -> z
        "#]]
        .assert_eq(&print(&graph));
    }

    #[test]
    fn what_nothing_needs_goes() {
        let inner = branch(vec![node("Neg", &["k"], &["i"])], &["i"]);
        let nodes = vec![
            node("Abs", &["x"], &["unused"]),
            node("Exp", &["unused"], &["unused_too"]),
            if_node("c", inner, branch(vec![], &["x"]), &["y"]),
        ];
        let constants = vec![scalar("k", 1), scalar("unused_three", 2)];
        let mut graph = graph(&["x:f32[]", "c:bool[]"], nodes, constants, &["y"]);
        prune(&mut graph);
        expect![[r#"
            x: f32[]
            c: bool[]
            k: i64[] = 1
            y = If(c)
              then_branch:
                i = Neg(k)
                -> i
              else_branch:
                -> x
            -> y
        "#]]
        .assert_eq(&print(&graph));
    }

    #[test]
    fn nodes_get_names_of_their_own() {
        let mut nodes = vec![
            node("Abs", &["x"], &["a"]),
            node("Neg", &["a"], &["b"]),
            node("Exp", &["b"], &["y"]),
        ];
        nodes[0].name = "x".into();
        nodes[1].name = "same".into();
        nodes[2].name = "same".into();
        let mut graph = graph(&["x:f32[]"], nodes, vec![], &["y"]);
        name_nodes(&mut graph);
        let names: Vec<&str> = graph.node.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["x_1", "same", "same_1"]);
    }
}
