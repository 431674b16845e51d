//! What patterns of arithmetic look for, however it is written down: factors of a product, and polynomials.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{BinaryOp, UnaryOp};

use crate::graph::edit::Editor;
use crate::graph::{Node, ValueId};

/// The deepest that polynomials are looked into.
const MAX_DEPTH: usize = 8;

/// A value as a product.
pub(super) struct Product {
    /// The product of all factors that are constants of one element.
    pub(super) scalar: f32,
    /// The others.
    pub(super) factors: Vec<ValueId>,
    /// Values between the factors and the product.
    pub(super) inner: Vec<ValueId>,
}

/// Writes a value as a product; what is read elsewhere too counts as one factor.
pub(super) fn product(editor: &Editor<'_>, root: ValueId) -> Product {
    let mut product = Product {
        scalar: 1.0,
        factors: vec![],
        inner: vec![],
    };
    let mut rest = vec![root];
    while let Some(value) = rest.pop() {
        let graph = editor.values();
        if let Some(scalar) = graph.constant_scalar(value) {
            product.scalar *= scalar;
            continue;
        }
        let is_inner = value == root || editor.is_read_once(value);
        match editor.binary(value) {
            Some((BinaryOp::Mul, a, b)) if is_inner && a != b && graph.same_dims(value, root) => {
                if value != root {
                    product.inner.push(value);
                }
                rest.extend([b, a]);
            }
            _ => product.factors.push(value),
        }
    }
    product
}

/// Reports whether all that is done with a value is to multiply it with a constant of one element.
pub(super) fn is_scaled(editor: &Editor<'_>, value: ValueId) -> bool {
    let &[reader] = editor.readers(value).as_slice() else {
        return false;
    };
    let node = editor.node(reader).filter(|_| !editor.is_output(value));
    let multiplies = matches!(editor.kernel(reader), Some(Kernel::Binary(BinaryOp::Mul)));
    let scalar = |&input: &ValueId| editor.values().constant_scalar(input).is_some();
    multiplies && node.is_some_and(|node| node.inputs.iter().any(scalar))
}

/// Coefficients of 1, x, x² and x³, and the values on the way from x.
pub(super) struct Cubic {
    pub(super) coefficients: [f32; 4],
    pub(super) inner: Vec<ValueId>,
}

/// Writes a value as a polynomial in `x`, if it is one.
pub(super) fn cubic(editor: &Editor<'_>, value: ValueId, x: ValueId) -> Option<Cubic> {
    let mut inner = vec![];
    let coefficients = coefficients(editor, value, x, &mut inner, 0)?;
    inner.sort();
    inner.dedup();
    Some(Cubic {
        coefficients: coefficients.map(|coefficient| coefficient as f32),
        inner,
    })
}

fn coefficients(
    editor: &Editor<'_>,
    value: ValueId,
    x: ValueId,
    inner: &mut Vec<ValueId>,
    depth: usize,
) -> Option<[f64; 4]> {
    let graph = editor.values();
    if value == x {
        return Some([0.0, 1.0, 0.0, 0.0]);
    }
    if let Some(scalar) = graph.constant_scalar(value) {
        return Some([scalar.into(), 0.0, 0.0, 0.0]);
    }
    if depth == MAX_DEPTH || !graph.same_dims(value, x) {
        return None;
    }
    inner.push(value);
    if let Some((UnaryOp::Neg, inside)) = editor.unary(value) {
        let p = coefficients(editor, inside, x, inner, depth + 1)?;
        return Some(p.map(|coefficient| -coefficient));
    }
    let (op, a, b) = editor.binary(value)?;
    if !matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul) {
        return None;
    }
    let p = coefficients(editor, a, x, inner, depth + 1)?;
    let q = coefficients(editor, b, x, inner, depth + 1)?;
    let mut result = [0.0; 4];
    match op {
        BinaryOp::Add => (0..4).for_each(|i| result[i] = p[i] + q[i]),
        BinaryOp::Sub => (0..4).for_each(|i| result[i] = p[i] - q[i]),
        _ => {
            for (i, j) in (0..4).flat_map(|i| (0..4).map(move |j| (i, j))) {
                match result.get_mut(i + j) {
                    Some(slot) => *slot += p[i] * q[j],
                    None if p[i] * q[j] != 0.0 => return None,
                    None => {}
                }
            }
        }
    }
    Some(result)
}

/// Returns what a value is computed of by sums and products with constants of one element.
pub(super) fn affine_base(editor: &Editor<'_>, value: ValueId) -> ValueId {
    let mut base = value;
    for _ in 0..MAX_DEPTH {
        let graph = editor.values();
        base = match editor.binary(base) {
            Some((BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul, a, b))
                if graph.constant_scalar(b).is_some() && graph.same_dims(a, base) =>
            {
                a
            }
            _ => return base,
        };
    }
    base
}

/// Reports whether two numbers are equal up to the roundings of who wrote them down.
pub(super) fn close(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-4 * b.abs()
}

/// Replaces a node by `scalar × op(x)`.
pub(super) fn replace_by_unary(
    editor: &mut Editor<'_>,
    index: usize,
    op: UnaryOp,
    x: ValueId,
    scalar: f32,
) {
    let Some(node) = editor.node(index).cloned() else {
        return;
    };
    let kernel = Kernel::Unary(op);
    if close(scalar, 1.0) {
        editor.replace(
            index,
            [Node::kernel(&node.name, kernel, &[x], node.outputs[0])],
        );
        return;
    }
    let name = format!("{}_unscaled", node.name);
    let value = editor.graph().value(x).clone();
    let y = editor
        .graph()
        .add_value(&name, value.datum_type, value.dims);
    let scalar = editor
        .graph()
        .add_f32(format!("{}_scale", node.name), &[], &[scalar]);
    let nodes = [
        Node::kernel(&name, kernel, &[x], y),
        Node::kernel(
            &node.name,
            Kernel::Binary(BinaryOp::Mul),
            &[y, scalar],
            node.outputs[0],
        ),
    ];
    editor.replace(index, nodes);
}
