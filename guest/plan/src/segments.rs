//! The parts of a plan that a host may compute: runs of steps without a tract step, as plans of their own.
//!
//! ```text
//! steps      0  1  2 │ tract │ 4  5  6
//! segments   ───0─── │       │ ───1───
//! ```
//!
//! If no step is a tract step, there is one segment, with inputs and outputs of the plan itself. Otherwise a segment reads the buffers and
//! inputs that its steps need and do not write, and leaves those that are needed afterwards: always roots, never aliases of others.

use std::borrow::Cow;
use std::ops::Range;

use tensorlet_tensor::{Dim, Signature, TensorSpec};

use crate::{ConstantLayout, Description, Kernel, Lifetimes, Plan, Storage, Value, ValueId};

/// The most segments that a plan has; what follows them is not offloaded.
pub const MAX_SEGMENTS: usize = 256;

/// A run of steps without a tract step. Made by [`Plan::segments`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Segment {
    /// Which steps.
    pub steps: Range<usize>,
    /// The values that must exist before, constants excepted.
    pub inputs: Vec<ValueId>,
    /// The values that are needed after.
    pub outputs: Vec<ValueId>,
}

impl Plan<'_> {
    /// Finds the segments, in order. They are the same wherever a plan is read.
    pub fn segments(&self) -> Vec<Segment> {
        let is_tract = |index: &usize| matches!(self.steps[*index].kernel, Kernel::Tract(_));
        let count = self.steps.len();
        if !(0..count).any(|index| is_tract(&index)) {
            let inputs = (0..self.description.signature.inputs.len() as u32).map(ValueId);
            let whole = Segment {
                steps: 0..count,
                inputs: inputs.collect(),
                outputs: self.outputs.clone(),
            };
            return if count == 0 { vec![] } else { vec![whole] };
        }
        let lifetimes = self.lifetimes();
        let mut segments = vec![];
        let mut start = 0;
        while start < count && segments.len() < MAX_SEGMENTS {
            let end = (start..count).find(is_tract).unwrap_or(count);
            if start < end {
                segments.push(self.segment(start..end, &lifetimes));
            }
            start = end + 1;
        }
        segments
    }

    fn segment(&self, steps: Range<usize>, lifetimes: &Lifetimes) -> Segment {
        let mut is_written = vec![false; self.values.len()];
        let mut is_listed = vec![false; self.values.len()];
        let (mut inputs, mut outputs) = (vec![], vec![]);
        for step in &self.steps[steps.clone()] {
            for &input in &step.inputs {
                let root = lifetimes.root(input);
                let is_constant = matches!(self.values[root.index()].storage, Storage::Constant(_));
                let is_inside = is_constant || is_written[root.index()];
                if !is_inside && !std::mem::replace(&mut is_listed[root.index()], true) {
                    inputs.push(root);
                }
            }
            for &output in &step.outputs {
                is_written[output.index()] = true;
                let lifetime = lifetimes.lifetime(output);
                if lifetime.is_some_and(|lifetime| lifetime.last as usize >= steps.end) {
                    outputs.push(output);
                }
            }
        }
        Segment {
            steps,
            inputs,
            outputs,
        }
    }

    /// Makes a plan of one of the plan's segments, without constants: they are expected as `layout` has them.
    pub fn segment_plan(&self, segment: &Segment, layout: &ConstantLayout) -> Plan<'static> {
        let is_whole = !self
            .steps
            .iter()
            .any(|step| matches!(step.kernel, Kernel::Tract(_)));
        let mut part = Part::new(self, layout);
        for &input in &segment.inputs {
            part.add(input, true);
        }
        let steps = self.steps[segment.steps.clone()].iter().map(|step| {
            let mut step = step.clone();
            for value in step.inputs.iter_mut().chain(&mut step.outputs) {
                *value = part.add(*value, false);
            }
            step
        });
        let steps = steps.collect();
        let outputs: Vec<ValueId> = segment
            .outputs
            .iter()
            .map(|&output| part.add(output, false))
            .collect();
        let signature = if is_whole {
            self.description.signature.clone()
        } else {
            part.signature(segment.inputs.len(), &outputs)
        };
        Plan {
            description: Description {
                name: self.description.name.clone(),
                version: self.description.version.clone(),
                signature,
                metadata: Default::default(),
            },
            symbols: self.symbols.clone(),
            // Between tract steps rows run one by one as they do around them.
            row_symbol: self.row_symbol.filter(|_| is_whole),
            values: part.values,
            steps,
            outputs,
            tiles: vec![],
            constants: Cow::Borrowed(&[]),
        }
    }
}

/// The values of a segment's plan, while it is made.
struct Part<'p> {
    plan: &'p Plan<'p>,
    layout: &'p ConstantLayout,
    values: Vec<Value>,
    ids: Vec<Option<ValueId>>,
}

impl<'p> Part<'p> {
    fn new(plan: &'p Plan<'p>, layout: &'p ConstantLayout) -> Self {
        Self {
            plan,
            layout,
            values: vec![],
            ids: vec![None; plan.values.len()],
        }
    }

    /// Returns what a value of the plan is here.
    fn add(&mut self, id: ValueId, is_input: bool) -> ValueId {
        if let Some(added) = self.ids[id.index()] {
            return added;
        }
        let mut value = self.plan.values[id.index()].clone();
        value.storage = match value.storage {
            _ if is_input => Storage::Input,
            Storage::Alias(target) => Storage::Alias(self.add(target, false)),
            Storage::Constant(range) => {
                let start = self.layout.offset(range.start) as u64;
                Storage::Constant(start..start + (range.end - range.start))
            }
            storage => storage,
        };
        let added = ValueId(self.values.len() as u32);
        self.values.push(value);
        self.ids[id.index()] = Some(added);
        added
    }

    /// Names inputs and outputs by their number, as values may have equal names.
    fn signature(&mut self, inputs: usize, outputs: &[ValueId]) -> Signature {
        for (index, input) in self.values[..inputs].iter_mut().enumerate() {
            input.name = format!("input {index}");
        }
        for (index, &output) in outputs.iter().enumerate() {
            self.values[output.index()].name = format!("output {index}");
        }
        let specs = |values: &mut dyn Iterator<Item = &Value>| {
            values.map(|value| self.spec(value)).collect()
        };
        let inputs = specs(&mut self.values[..inputs].iter());
        let outputs = specs(&mut outputs.iter().map(|output| &self.values[output.index()]));
        Signature::new(inputs, outputs)
    }

    fn spec(&self, value: &Value) -> TensorSpec {
        let dims = value.dims.iter().flatten();
        TensorSpec {
            name: value.name.clone(),
            datum_type: value.datum_type,
            dims: dims
                .map(
                    |dim| match dim.as_number().and_then(|size| u32::try_from(size).ok()) {
                        Some(size) => Dim::Fixed(size),
                        None => Dim::Symbol(dim.text(&self.plan.symbols)),
                    },
                )
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::example::example;

    fn with_constants<'a>(plan: &Plan<'_>, mut part: Plan<'a>) -> Plan<'a> {
        part.constants = Cow::Owned(vec![0; plan.constant_layout().total_bytes()]);
        part
    }

    #[test]
    fn steps_before_a_tract_step_are_a_segment() {
        let plan = example();
        let segments = plan.segments();
        assert_eq!(segments.len(), 1);
        assert_eq!(segments[0].steps, 0..5);
        let part = plan.segment_plan(&segments[0], &plan.constant_layout());
        let part = with_constants(&plan, part);
        part.verify_segment().unwrap();
        expect![[r#"
            plan example 1
              symbol N
              symbol W
              input  %0 input 0: f32[N, 3, 8, 8]
              output %8 output 0: f32[N*2, 10]
              output %9 output 1: f32[N*2, 3]
              0 conv
                  %3 conv: f32[N, 20, 4, 4] blocked until 1 = conv 3x3 s2 p0..1 plain-input + bias, relu6 (%0 input 0, %1 weights: f32[2, 3, 3, 3, 16], %2 bias: f32[32])
              1 pool
                  %4 pooled: f32[N, 20, 2, 2] blocked until 2 = average-pool 2x2 s2 (%3 conv)
              2 unblock
                  %5 plain: f32[N, 20, 2, 2] until 3 = from-blocked (%4 pooled)
              3 dense
                  %8 output 0: f32[N*2, 10] until end = mat-mul packed (%6 flat: f32[N*2, 40] of %5, %7 matrix: f32[1, 40, 16])
              4 best
                  %9 output 1: f32[N*2, 3] until end, %10 ranks: i64[N*2, 3] unread = top-k axis 1 largest (%8 output 0)
        "#]].assert_eq(&part.to_string());
    }

    #[test]
    fn a_plan_without_tract_steps_is_one_segment() {
        let mut plan = example();
        plan.steps.pop();
        plan.values.pop();
        plan.outputs.pop();
        plan.description.signature.outputs.pop();
        plan.verify().unwrap();
        let segments = plan.segments();
        assert_eq!(segments.len(), 1);
        assert_eq!(segments[0].steps, 0..5);
        assert_eq!(segments[0].outputs, plan.outputs);
        let part = plan.segment_plan(&segments[0], &plan.constant_layout());
        let part = with_constants(&plan, part);
        part.verify().unwrap();
        part.verify_segment().unwrap();
        assert_eq!(part.description.signature, plan.description.signature);
        assert_eq!(part.steps.len(), plan.steps.len());
        assert!(part.description.metadata.is_empty() && part.tiles.is_empty());
    }

    #[test]
    fn a_plan_without_steps_has_no_segment() {
        let mut plan = example();
        plan.steps.clear();
        assert_eq!(plan.segments(), []);
    }

    #[test]
    fn a_segment_has_no_tract_step() {
        let error = example().verify_segment().unwrap_err().to_string();
        assert_eq!(
            error,
            "invalid plan: step 5 `rest`: expected a segment of kernels, found a tract step"
        );
    }

    #[test]
    fn segments_are_limited() {
        let mut plan = example();
        let (kernel, tract) = (plan.steps[0].clone(), plan.steps[5].clone());
        plan.steps = (0..2 * MAX_SEGMENTS + 10)
            .map(|index| [&kernel, &tract][index % 2].clone())
            .collect();
        assert_eq!(plan.segments().len(), MAX_SEGMENTS);
    }
}
