//! Makes initializers of shapes that are known, and one canonical form of those with symbols.
//!
//! ```text
//! x: f32[N, 4, 8]                                x: f32[N, 4, 8]
//! s = Shape(x)                                   k: i64[2] = 0 -1
//! i = Cast(s) {to: i32}                  ───►    y = Reshape(x, k)
//! n = Slice(i, 0, 1)
//! c = Concat(n, -1)
//! k = Cast(c) {to: i64}
//! y = Reshape(x, k)
//! ```

use tract_onnx::pb::{GraphProto, NodeProto};
use tract_onnx::prelude::TDim;

use super::chain::{Chain, is_canonical};
use super::evaluate::{ENDLESS, Range, Shape, resolve_range};
use super::facts::Facts;
use super::graph::{Names, initializers, input, int, is_own_domain};
use super::tensors;
use super::value::{Number, Value};

/// Folds what can be; returns whether anything could. The nodes must be sorted again afterwards.
pub(super) fn fold_shapes(graph: &mut GraphProto, facts: &Facts, opset: i64) -> bool {
    let mut changed = store_known(graph, facts);
    let mut chain = Chain::new(graph, facts);
    let constants: Vec<String> = initializers(graph).into_keys().map(str::to_owned).collect();
    let constants = constants.into_iter().collect();
    let mut rewriter = Rewriter {
        facts,
        chain: &mut chain,
        constants,
        opset,
    };
    for node in graph
        .node
        .iter_mut()
        .filter(|node| is_own_domain(&node.domain))
    {
        changed |= rewriter.rewrite(node).unwrap_or(false);
    }
    chain.finish(graph);
    changed
}

/// Makes initializers of the outputs that are numbers.
fn store_known(graph: &mut GraphProto, facts: &Facts) -> bool {
    let mut names = Names::of(graph);
    let mut stored = vec![];
    for node in &mut graph.node {
        for output in node.output.iter_mut().filter(|output| !output.is_empty()) {
            let value = facts
                .value(output)
                .and_then(|value| tensors::from_value(output, value));
            if let Some(tensor) = value {
                // The node goes when nothing needs its other outputs.
                *output = names.fresh(&format!("{output} unused"));
                stored.push(tensor);
            }
        }
    }
    let changed = !stored.is_empty();
    graph.initializer.extend(stored);
    changed
}

struct Rewriter<'a, 'b> {
    facts: &'a Facts,
    chain: &'b mut Chain<'a>,
    constants: std::collections::HashSet<String>,
    opset: i64,
}

impl Rewriter<'_, '_> {
    /// Rewrites the shape operands of a node; returns whether any changed, `None` where nothing is known.
    fn rewrite(&mut self, node: &mut NodeProto) -> Option<bool> {
        match node.op_type.as_str() {
            "Reshape" => self.reshape(node),
            "Flatten" => self.flatten(node),
            "Slice" if self.opset >= 10 => self.slice(node),
            "Expand" => self.expand(node),
            "Tile" | "Split" | "Pad" | "TopK" | "Unsqueeze" | "Squeeze" => self.vector(node, 1),
            "ConstantOfShape" => self.vector(node, 0),
            "Range" => {
                let changed = [0, 1, 2].map(|index| self.scalar(node, index).unwrap_or(false));
                Some(changed.contains(&true))
            }
            "Trilu" => self.scalar(node, 1),
            _ => None,
        }
    }

    /// Returns the elements of an operand that is computed, and not in the canonical form yet.
    fn computed(&self, node: &NodeProto, index: usize) -> Option<Vec<TDim>> {
        let name = input(node, index)
            .filter(|name| !self.constants.contains(*name) && !is_canonical(name))?;
        let value = self.facts.value(name)?;
        (value.data_type() == tract_onnx::pb::tensor_proto::DataType::Int64)
            .then(|| value.expressions())?
    }

    fn vector(&mut self, node: &mut NodeProto, index: usize) -> Option<bool> {
        let dims = self.computed(node, index)?;
        let one_axis = self.facts.value(input(node, index)?)?.dims().len() == 1;
        node.input[index] = one_axis.then(|| self.chain.vector(&dims))??;
        Some(true)
    }

    fn scalar(&mut self, node: &mut NodeProto, index: usize) -> Option<bool> {
        let dims = self.computed(node, index)?;
        let [dim] = dims.as_slice() else { return None };
        node.input[index] = self.chain.scalar(dim)?;
        Some(true)
    }

    fn reshape(&mut self, node: &mut NodeProto) -> Option<bool> {
        let target = self.computed(node, 1)?;
        let allows_zero = int(node, "allowzero").unwrap_or(0) != 0;
        let old = self.facts.shape(input(node, 0)?).unwrap_or_default();
        match relative(&target, &old, allows_zero) {
            Some(numbers) => {
                node.attribute
                    .retain(|attribute| attribute.name != "allowzero");
                let numbers: Vec<TDim> = numbers.into_iter().map(TDim::from).collect();
                node.input[1] = self.chain.vector(&numbers)?;
            }
            None => node.input[1] = self.chain.vector(&target)?,
        }
        Some(true)
    }

    /// tract has no product of two symbols for a `Flatten`, but does for a `Reshape`.
    fn flatten(&mut self, node: &mut NodeProto) -> Option<bool> {
        let old = self.facts.shape(input(node, 0)?)?;
        let axis = int(node, "axis").unwrap_or(1);
        let axis = if axis < 0 {
            axis + i64::try_from(old.len()).ok()?
        } else {
            axis
        };
        let (rows, columns) = old.split_at_checked(usize::try_from(axis).ok()?)?;
        let number = |dims: &[Option<TDim>]| -> Option<i64> {
            let mut sizes = dims.iter().map(|dim| dim.as_ref()?.as_i64());
            sizes.try_fold(1, |product: i64, size| product.checked_mul(size?))
        };
        let target = match (rows, number(rows), number(columns)) {
            (_, Some(_), Some(_)) => return None,
            (_, Some(rows), _) if rows > 0 => [rows, -1],
            (_, _, Some(columns)) if columns > 0 => [-1, columns],
            ([_], ..) => [0, -1],
            _ => return None,
        };
        let target = self.chain.vector(&target.map(TDim::from))?;
        node.op_type = "Reshape".into();
        node.attribute.clear();
        node.input.push(target);
        Some(true)
    }

    /// An `Expand` to the shape that the tensor has becomes an `Identity`.
    fn expand(&mut self, node: &mut NodeProto) -> Option<bool> {
        let target = self.facts.value(input(node, 1)?)?.expressions()?;
        let old = self.facts.shape(input(node, 0)?);
        let same = old.is_some_and(|old| {
            let rest = old.len().checked_sub(target.len());
            rest.is_some_and(|rest| {
                old[rest..]
                    .iter()
                    .zip(&target)
                    .all(|(old, new)| new.is_one() || old.as_ref() == Some(new))
            })
        });
        if same {
            node.op_type = "Identity".into();
            node.input.truncate(1);
            return Some(true);
        }
        self.vector(node, 1)
    }

    fn slice(&mut self, node: &mut NodeProto) -> Option<bool> {
        let data = self.facts.shape(input(node, 0)?)?;
        let bounds = Bounds::read(self.facts, node, data.len())?;
        let kept: Vec<Bound> = bounds
            .0
            .into_iter()
            .map(|bound| bound.resolve(&data))
            .collect::<Option<Vec<_>>>()?;
        let kept: Vec<Bound> = kept
            .into_iter()
            .filter(|bound| !bound.takes_all(&data))
            .collect();
        if kept.is_empty() {
            node.op_type = "Identity".into();
            node.input.truncate(1);
            return Some(true);
        }
        let starts: Vec<TDim> = kept
            .iter()
            .map(|bound| bound.start.as_dim().cloned())
            .collect::<Option<_>>()?;
        let ends = ends(&kept, &data)?;
        let axes: Vec<TDim> = kept.iter().map(|bound| bound.axis.into()).collect();
        let steps: Vec<TDim> = kept.iter().map(|bound| bound.step.into()).collect();
        let inputs = [
            Some(starts),
            Some(ends),
            Some(axes),
            kept.iter().any(|bound| bound.step != 1).then_some(steps),
        ];
        let before = node.input.clone();
        let mut after = vec![before[0].clone()];
        for dims in inputs.into_iter().flatten() {
            after.push(self.chain.vector(&dims)?);
        }
        node.input = after;
        Some(node.input != before)
    }
}

/// Returns a target of `Reshape` in which sizes with symbols are those of the input (0) or follow from the
/// others (-1), if it can be said so.
fn relative(target: &[TDim], old: &Shape, allows_zero: bool) -> Option<Vec<i64>> {
    let number = |wanted: i64| target.iter().any(|dim| dim.as_i64() == Some(wanted));
    let literal_zero = allows_zero && number(0);
    let empty = |dim: &Option<TDim>| dim.as_ref().is_none_or(|dim| dim.as_i64() == Some(0));
    let mut open = number(-1) || number(0) || old.is_empty() || old.iter().any(empty);
    if literal_zero {
        return None;
    }
    let sizes = target.iter().enumerate().map(|(index, dim)| {
        if let Some(number) = dim.as_i64() {
            return Some(number);
        }
        if old.get(index).is_some_and(|old| old.as_ref() == Some(dim)) {
            return Some(0);
        }
        (!std::mem::replace(&mut open, true)).then_some(-1)
    });
    sizes.collect()
}

/// What a `Slice` takes of each axis that it names.
struct Bounds(Vec<Bound>);

#[derive(Clone)]
struct Bound {
    axis: usize,
    start: Number,
    end: Number,
    step: i64,
}

impl Bounds {
    fn read(facts: &Facts, node: &NodeProto, rank: usize) -> Option<Self> {
        let value = |index: usize| -> Option<&Value> { facts.value(input(node, index)?) };
        let (starts, ends) = (value(1)?, value(2)?);
        let count = starts.elements().len();
        let axes = match input(node, 3) {
            Some(_) => value(3)?.integers()?,
            None => (0..count as i64).collect(),
        };
        let steps = match input(node, 4) {
            Some(_) => value(4)?.integers()?,
            None => vec![1; count],
        };
        let same = [ends.elements().len(), axes.len(), steps.len()]
            .iter()
            .all(|&len| len == count);
        let bounds = (0..count).map(|index| {
            let axis = if axes[index] < 0 {
                axes[index] + rank as i64
            } else {
                axes[index]
            };
            Some(Bound {
                axis: usize::try_from(axis).ok().filter(|&axis| axis < rank)?,
                start: starts.elements()[index].clone()?,
                end: ends.elements()[index].clone()?,
                step: steps[index],
            })
        });
        same.then(|| bounds.collect::<Option<_>>())?.map(Self)
    }
}

impl Bound {
    /// Counts bounds from the front and cuts them to the axis, where the step is 1.
    fn resolve(self, data: &Shape) -> Option<Self> {
        if self.step != 1 {
            return Some(self);
        }
        let Some(size) = data[self.axis].clone() else {
            return Some(self);
        };
        let Range { start, end } = resolve_range(&self.start, &self.end, &Number::dim(size))?;
        Some(Self { start, end, ..self })
    }

    fn ends_with_axis(&self, data: &Shape) -> bool {
        data[self.axis]
            .as_ref()
            .is_some_and(|size| self.end.as_dim() == Some(size))
    }

    fn takes_all(&self, data: &Shape) -> bool {
        self.step == 1 && self.start == Number::integer(0) && self.ends_with_axis(data)
    }
}

/// Returns the ends. Where all others are numbers, "to the end of the axis" is the number for that, so that
/// nothing needs computing.
fn ends(bounds: &[Bound], data: &Shape) -> Option<Vec<TDim>> {
    let open =
        |bound: &Bound| bound.end.is_number() || (bound.step == 1 && bound.ends_with_axis(data));
    let numbers = bounds.iter().all(open);
    let ends = bounds.iter().map(|bound| match bound.end.as_dim()? {
        end if end.as_i64().is_some_and(|end| end >= ENDLESS) => Some(i64::MAX.into()),
        end if numbers && end.as_i64().is_none() => Some(i64::MAX.into()),
        end => Some(end.clone()),
    });
    ends.collect()
}
