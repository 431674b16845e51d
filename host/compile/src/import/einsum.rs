//! `Einsum`, by products of matrices, multiplications, sums and transposes.
//!
//! Operands are combined from left to right. Of two, the labels fall into four kinds: those that both have and something later
//! needs are a batch, those that both have and nothing needs are contracted, the others are rows and columns.
//!
//! ```text
//! bhid,bhjd->bhij     batch b h, rows i, columns j, contracted d
//! ```

use std::collections::HashMap;

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{BinaryOp, MatMulRhs, ReduceOp, Slice};
use tract_onnx::prelude::TDim;

use super::context::Context;
use super::dims::{broadcast, product};
use super::registry::{Entry, Importer};
use crate::graph::ValueId;

pub(super) const OPERATORS: &[Entry] = &[("Einsum", Importer::Function(einsum))];

/// A value and the label of each of its axes.
struct Operand {
    value: ValueId,
    labels: Vec<char>,
}

/// The label of the axis of an ellipsis, counted from its end.
const ELLIPSIS: char = '\u{E000}';

/// The most axes of an ellipsis.
const MAX_ELLIPSIS: usize = 16;

fn einsum(node: &mut Context<'_, '_>) -> Option<()> {
    let equation: String = node.text_or("equation", "")?.split_whitespace().collect();
    let (inputs, output) = match equation.split_once("->") {
        Some((inputs, output)) => (inputs, Some(output)),
        None => (equation.as_str(), None),
    };
    let terms: Vec<&str> = inputs.split(',').collect();
    if terms.len() != node.inputs() {
        return None;
    }
    let mut operands = vec![];
    for (index, term) in terms.iter().enumerate() {
        let value = node.input(index)?;
        let labels = labels(term, Some(node.rank(value)))?;
        operands.push(Operand { value, labels });
    }
    let longest = operands.iter().flat_map(|operand| &operand.labels);
    let ellipsis = longest.filter(|label| **label >= ELLIPSIS).max().copied();
    let ellipsis = ellipsis.map_or(0, |label| label as usize - ELLIPSIS as usize + 1);
    let output = match output {
        Some(output) => labels_with(output, ellipsis)?,
        None => implicit_output(&operands, ellipsis),
    };
    let mut operands = operands.into_iter();
    let mut result = diagonal(node, operands.next()?)?;
    while let Some(operand) = operands.next() {
        let operand = diagonal(node, operand)?;
        let later = operands
            .as_slice()
            .iter()
            .flat_map(|operand| &operand.labels);
        let needed: Vec<char> = output.iter().chain(later).copied().collect();
        result = combine(node, result, operand, &needed)?;
    }
    let result = sum_others(node, result, &output)?;
    let y = ordered(node, &result, &output)?;
    node.output(0, y)
}

/// Reads the labels of a term; an ellipsis stands for the axes that the others leave.
fn labels(term: &str, rank: Option<usize>) -> Option<Vec<char>> {
    let letters = term.chars().filter(|label| *label != '.').count();
    let ellipsis = rank?.checked_sub(letters)?;
    if !term.contains("...") && ellipsis > 0 {
        return None;
    }
    labels_with(term, ellipsis)
}

fn labels_with(term: &str, ellipsis: usize) -> Option<Vec<char>> {
    if ellipsis > MAX_ELLIPSIS {
        return None;
    }
    let filled = match term.split_once("...") {
        Some((before, after)) => {
            let axes: String = (0..ellipsis).rev().map(ellipsis_label).collect();
            format!("{before}{axes}{after}")
        }
        None => term.to_owned(),
    };
    let known = |label: char| label.is_ascii_alphabetic() || label >= ELLIPSIS;
    filled.chars().all(known).then(|| filled.chars().collect())
}

fn ellipsis_label(from_end: usize) -> char {
    char::from_u32(ELLIPSIS as u32 + from_end as u32).unwrap_or(ELLIPSIS)
}

/// The ellipsis, then what occurs once, sorted.
fn implicit_output(operands: &[Operand], ellipsis: usize) -> Vec<char> {
    let all: Vec<char> = operands
        .iter()
        .flat_map(|operand| operand.labels.clone())
        .collect();
    let mut letters: Vec<char> = all
        .iter()
        .copied()
        .filter(|label| *label < ELLIPSIS)
        .collect();
    letters.sort_unstable();
    let once = |label: &char| all.iter().filter(|other| *other == label).count() == 1;
    let axes = (0..ellipsis).rev().map(ellipsis_label);
    axes.chain(letters.into_iter().filter(once)).collect()
}

/// Takes the diagonal of axes with one label.
fn diagonal(node: &mut Context<'_, '_>, operand: Operand) -> Option<Operand> {
    let Operand {
        mut value,
        mut labels,
    } = operand;
    loop {
        let repeated = (0..labels.len()).find_map(|first| {
            let mut rest = labels[first + 1..].iter();
            Some((
                first,
                first + 1 + rest.position(|other| *other == labels[first])?,
            ))
        });
        let Some((first, second)) = repeated else {
            return Some(Operand { value, labels });
        };
        let mut order: Vec<usize> = (0..labels.len())
            .filter(|&a| a != first && a != second)
            .collect();
        order.extend([first, second]);
        value = node.transpose(value, &order)?;
        let mut dims = node.dims(value);
        let (size, other) = (dims.pop()?, dims.pop()?);
        let size_number = size.as_i64().filter(|size| other.as_i64() == Some(*size))?;
        let mut kept: Vec<char> = order[..order.len() - 2]
            .iter()
            .map(|&a| labels[a])
            .collect();
        kept.push(labels[first]);
        dims.push(product(&[size.clone(), other])?);
        value = node.reshape(value, dims.clone())?;
        *dims.last_mut()? = size;
        let mut steps = vec![1; dims.len()];
        *steps.last_mut()? = size_number + 1;
        let kernel = Kernel::Slice(Slice {
            starts: vec![0; dims.len()],
            steps,
        });
        let datum_type = node.datum_type(value);
        value = node.kernel(kernel, &[value], datum_type, dims)?;
        labels = kept;
    }
}

/// Sums over the axes whose labels are not needed.
fn sum_others(node: &mut Context<'_, '_>, operand: Operand, needed: &[char]) -> Option<Operand> {
    let Operand { value, labels } = operand;
    let summed: Vec<usize> = (0..labels.len())
        .filter(|&axis| !needed.contains(&labels[axis]))
        .collect();
    if summed.is_empty() {
        return Some(Operand { value, labels });
    }
    let value = node.reduce(ReduceOp::Sum, value, &summed)?;
    let dims = node.dims(value);
    let kept: Vec<usize> = (0..labels.len())
        .filter(|axis| !summed.contains(axis))
        .collect();
    let value = node.reshape(value, kept.iter().map(|&axis| dims[axis].clone()).collect())?;
    let labels = kept.into_iter().map(|axis| labels[axis]).collect();
    Some(Operand { value, labels })
}

/// Brings axes into an order of labels, each of which the operand has.
fn ordered(node: &mut Context<'_, '_>, operand: &Operand, order: &[char]) -> Option<ValueId> {
    let axis = |label: &char| operand.labels.iter().position(|other| other == label);
    let permutation: Vec<usize> = order.iter().map(axis).collect::<Option<_>>()?;
    node.transpose(operand.value, &permutation)
}

fn combine(
    node: &mut Context<'_, '_>,
    left: Operand,
    right: Operand,
    needed: &[char],
) -> Option<Operand> {
    let both = |needed: &[char], other: &[char]| [needed, other].concat();
    let left = sum_others(node, left, &both(needed, &right.labels))?;
    let right = sum_others(node, right, &both(needed, &left.labels))?;
    let shared = |label: &&char| right.labels.contains(label);
    let (common, rows): (Vec<&char>, Vec<&char>) = left.labels.iter().partition(shared);
    let (batch, contracted): (Vec<&char>, Vec<&char>) =
        common.into_iter().partition(|label| needed.contains(label));
    let owned = |labels: Vec<&char>| -> Vec<char> { labels.into_iter().copied().collect() };
    let (batch, contracted, rows) = (owned(batch), owned(contracted), owned(rows));
    let columns: Vec<char> = right
        .labels
        .iter()
        .copied()
        .filter(|label| !left.labels.contains(label))
        .collect();
    let mut sizes: HashMap<char, TDim> = HashMap::new();
    for operand in [&left, &right] {
        for (label, dim) in operand.labels.iter().zip(node.dims(operand.value)) {
            let known = sizes.remove(label).unwrap_or_else(|| TDim::from(1));
            sizes.insert(*label, broadcast(&[known], &[dim])?.remove(0));
        }
    }
    let labels = [batch.as_slice(), &rows, &columns].concat();
    let dims = |labels: &[char]| -> Vec<TDim> { labels.iter().map(|l| sizes[l].clone()).collect() };
    if contracted.is_empty() {
        let left = ordered(node, &left, &both(&batch, &rows))?;
        let right = ordered(node, &right, &both(&batch, &columns))?;
        let mut left_dims = node.dims(left);
        left_dims.extend(vec![TDim::from(1); columns.len()]);
        let mut right_dims = node.dims(right);
        let ones = vec![TDim::from(1); rows.len()];
        right_dims.splice(batch.len()..batch.len(), ones);
        let (left, right) = (
            node.reshaped(left, left_dims)?,
            node.reshaped(right, right_dims)?,
        );
        let value = node.binary(BinaryOp::Mul, left, right)?;
        return Some(Operand { value, labels });
    }
    let groups = |a: &[char], b: &[char]| -> Option<Vec<TDim>> {
        let outer = (!batch.is_empty()).then(|| product(&dims(&batch)));
        let mut merged: Vec<TDim> = outer.into_iter().collect::<Option<_>>()?;
        merged.extend([product(&dims(a))?, product(&dims(b))?]);
        Some(merged)
    };
    let prepared = |node: &mut Context<'_, '_>, operand: &Operand, a: &[char], b: &[char]| {
        let order = [batch.as_slice(), a, b].concat();
        let value = ordered(node, operand, &order)?;
        let value = node.expand(value, dims(&order))?;
        node.reshaped(value, groups(a, b)?)
    };
    let transposed = right.labels == [batch.as_slice(), &columns, &contracted].concat();
    let rhs = if transposed {
        MatMulRhs::Transposed
    } else {
        MatMulRhs::Plain
    };
    let a = prepared(node, &left, &rows, &contracted)?;
    let b = match transposed {
        true => prepared(node, &right, &columns, &contracted)?,
        false => prepared(node, &right, &contracted, &columns)?,
    };
    let value = node.matmul(a, b, rhs)?;
    let value = node.reshaped(value, dims(&labels))?;
    Some(Operand { value, labels })
}
