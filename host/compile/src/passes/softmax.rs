//! Recognises softmax and its logarithm where they are spelled out.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{BinaryOp, ReduceOp, UnaryOp};

use crate::graph::edit::Editor;
use crate::graph::{Graph, Node, ValueId};

/// Replaces `exp(x) / sum(exp(x))` by a softmax, and what is written around it.
pub(super) fn find_softmax(graph: &mut Graph) -> bool {
    let mut editor = Editor::new(graph);
    for index in 0..editor.len() {
        let Some(kernel) = editor.kernel(index) else {
            continue;
        };
        let output = editor.node(index).expect("it has a kernel").outputs[0];
        let found = match *kernel {
            Kernel::Binary(BinaryOp::Div | BinaryOp::Mul) => quotient(&editor, index, output),
            Kernel::Binary(BinaryOp::Sub) => difference(&editor, output),
            Kernel::Unary(UnaryOp::Log) => logarithm(&editor, output),
            Kernel::Softmax { axis, log } => without_shift(&editor, output, axis, log),
            _ => None,
        };
        if let Some((x, axis, log)) = found {
            let name = editor.node(index).expect("it has a kernel").name.clone();
            let kernel = Kernel::Softmax { axis, log };
            editor.replace(index, [Node::kernel(name, kernel, &[x], output)]);
        }
    }
    editor.finish()
}

/// What is reduced over one axis, which is kept, and this axis.
fn reduced(editor: &Editor<'_>, value: ValueId, op: ReduceOp) -> Option<(ValueId, u32)> {
    let (_, Kernel::Reduce(reduce), &[x]) = editor.made_by(value)? else {
        return None;
    };
    let keeps_axis = editor.values().rank(x) == editor.values().rank(value);
    match *reduce.axes {
        [axis] if keeps_axis && reduce.op == op => Some((x, axis)),
        _ => None,
    }
}

/// `exp(x) / sum(exp(x))`, or the product with the reciprocal.
fn quotient(editor: &Editor<'_>, index: usize, output: ValueId) -> Option<(ValueId, u32, bool)> {
    let (op, exp, mut sum) = editor.binary(output)?;
    let mut inner = vec![exp];
    if op == BinaryOp::Mul {
        let (UnaryOp::Reciprocal, inverse) = editor.unary(sum)? else {
            return None;
        };
        inner.push(sum);
        sum = inverse;
    }
    inner.push(sum);
    let (UnaryOp::Exp, x) = editor.unary(exp)? else {
        return None;
    };
    let (summed, axis) = reduced(editor, sum, ReduceOp::Sum)?;
    let fits = summed == exp && editor.values().same_type(x, output);
    (fits && editor.are_private(&inner, index)).then_some((x, axis, false))
}

/// `x - log(sum(exp(x)))`.
fn difference(editor: &Editor<'_>, output: ValueId) -> Option<(ValueId, u32, bool)> {
    let (_, x, log) = editor.binary(output)?;
    let fits = editor.values().same_type(x, output);
    if let Some((summed, axis)) = reduced(editor, log, ReduceOp::LogSumExp) {
        return (fits && summed == x).then_some((x, axis, true));
    }
    let (UnaryOp::Log, sum) = editor.unary(log)? else {
        return None;
    };
    let (exp, axis) = reduced(editor, sum, ReduceOp::Sum)?;
    let (UnaryOp::Exp, argument) = editor.unary(exp)? else {
        return None;
    };
    (fits && argument == x).then_some((x, axis, true))
}

/// The logarithm of a softmax.
fn logarithm(editor: &Editor<'_>, output: ValueId) -> Option<(ValueId, u32, bool)> {
    let (_, softmax) = editor.unary(output)?;
    match editor.made_by(softmax)? {
        (_, &Kernel::Softmax { axis, log: false }, &[x]) => {
            editor.is_read_once(softmax).then_some((x, axis, true))
        }
        _ => None,
    }
}

/// A softmax of `x - max(x)`, which the softmax subtracts itself.
fn without_shift(
    editor: &Editor<'_>,
    output: ValueId,
    axis: u32,
    log: bool,
) -> Option<(ValueId, u32, bool)> {
    let shifted = editor.node(editor.maker(output)?)?.inputs[0];
    let (BinaryOp::Sub, x, max) = editor.binary(shifted)? else {
        return None;
    };
    let fits = reduced(editor, max, ReduceOp::Max) == Some((x, axis));
    (fits && editor.is_read_once(shifted)).then_some((x, axis, log))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use tensorlet_plan::kernel::Reduce;

    use super::*;
    use crate::graph::testing::{Builder, check};

    const TYPE: &str = "f32[N, 6, 4]";

    fn reduce(op: ReduceOp) -> Kernel {
        Kernel::Reduce(Reduce { op, axes: vec![1] })
    }

    #[test]
    fn softmax_is_spelled_out() {
        let mut graph = Builder::new();
        let x = graph.input("x", TYPE);
        let max = graph.kernel("max", reduce(ReduceOp::Max), &[x], "f32[N, 1, 4]");
        let shifted = graph.binary("shifted", BinaryOp::Sub, x, max, TYPE);
        let exp = graph.unary("exp", UnaryOp::Exp, shifted);
        let sum = graph.kernel("sum", reduce(ReduceOp::Sum), &[exp], "f32[N, 1, 4]");
        let y = graph.binary("y", BinaryOp::Div, exp, sum, TYPE);
        check(
            graph.finish(&[y]),
            find_softmax,
            &expect![[r#"
            inputs x: f32[N, 6, 4]
            max: f32[N, 1, 4] = reduce(max 1)(x)
            shifted: f32[N, 6, 4] = sub(x, max)
            exp: f32[N, 6, 4] = exp(shifted)
            sum: f32[N, 1, 4] = reduce(sum 1)(exp)
            y: f32[N, 6, 4] = div(exp, sum)
            outputs y
            =>
            inputs x: f32[N, 6, 4]
            y: f32[N, 6, 4] = softmax(1)(x)
            outputs y"#]],
        );
    }

    #[test]
    fn its_logarithm_in_several_ways() {
        let mut graph = Builder::new();
        let x = graph.input("x", TYPE);
        let softmax = Kernel::Softmax {
            axis: 1,
            log: false,
        };
        let softmax = graph.kernel("softmax", softmax, &[x], TYPE);
        let a = graph.unary("a", UnaryOp::Log, softmax);
        let max = graph.kernel("max", reduce(ReduceOp::Max), &[x], "f32[N, 1, 4]");
        let shifted = graph.binary("shifted", BinaryOp::Sub, x, max, TYPE);
        let exp = graph.unary("exp", UnaryOp::Exp, shifted);
        let sum = graph.kernel("sum", reduce(ReduceOp::Sum), &[exp], "f32[N, 1, 4]");
        let log = graph.unary("log", UnaryOp::Log, sum);
        let b = graph.binary("b", BinaryOp::Sub, shifted, log, TYPE);
        let log = graph.kernel("log2", reduce(ReduceOp::LogSumExp), &[x], "f32[N, 1, 4]");
        let c = graph.binary("c", BinaryOp::Sub, x, log, TYPE);
        check(
            graph.finish(&[a, b, c]),
            find_softmax,
            &expect![[r#"
            inputs x: f32[N, 6, 4]
            softmax: f32[N, 6, 4] = softmax(1)(x)
            a: f32[N, 6, 4] = log(softmax)
            max: f32[N, 1, 4] = reduce(max 1)(x)
            shifted: f32[N, 6, 4] = sub(x, max)
            exp: f32[N, 6, 4] = exp(shifted)
            sum: f32[N, 1, 4] = reduce(sum 1)(exp)
            log: f32[N, 1, 4] = log(sum)
            b: f32[N, 6, 4] = sub(shifted, log)
            log2: f32[N, 1, 4] = reduce(log_sum_exp 1)(x)
            c: f32[N, 6, 4] = sub(x, log2)
            outputs a, b, c
            =>
            inputs x: f32[N, 6, 4]
            a: f32[N, 6, 4] = log_softmax(1)(x)
            b: f32[N, 6, 4] = log_softmax(1)(x)
            c: f32[N, 6, 4] = log_softmax(1)(x)
            outputs a, b, c"#]],
        );
    }

    #[test]
    fn a_sum_over_something_else_is_none() {
        let mut graph = Builder::new();
        let x = graph.input("x", TYPE);
        let exp = graph.unary("exp", UnaryOp::Exp, x);
        let sum = graph.kernel("sum", reduce(ReduceOp::Sum), &[x], "f32[N, 1, 4]");
        let y = graph.binary("y", BinaryOp::Div, exp, sum, TYPE);
        let mut graph = graph.finish(&[y]);
        assert!(!find_softmax(&mut graph));
    }
}
