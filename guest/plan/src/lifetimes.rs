//! From which step to which each buffer is needed.
//!
//! An alias has no memory of its own: its readers count as readers of the value whose bytes it names, its *root*.
//!
//! ```text
//! steps       0        1        2        3       end
//! %4  written ├─ read ─────────┤                        first 0, last 2
//! %5                   ├─ an alias is read ─┤            first 1, last 3
//! %6  an output                         ├────────┤       first 3, last 4, the number of steps
//! ```

use crate::{Plan, Storage, ValueId};

/// The lifetimes of a plan's buffers. Made by [`Plan::lifetimes`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lifetimes {
    roots: Vec<ValueId>,
    spans: Vec<Option<Lifetime>>,
}

/// The steps during which the bytes of a buffer are needed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lifetime {
    /// The step that writes it.
    pub first: u32,
    /// The last step that reads it; the one that writes it if none does, and the number of steps if callers do.
    pub last: u32,
}

impl Lifetimes {
    /// Returns the value whose bytes a value has: itself, unless it is an alias.
    pub fn root(&self, value: ValueId) -> ValueId {
        self.roots.get(value.index()).copied().unwrap_or(value)
    }

    /// Returns the lifetime of a value's bytes; `None` if they are no buffer, or no step writes it.
    pub fn lifetime(&self, value: ValueId) -> Option<Lifetime> {
        *self.spans.get(self.root(value).index())?
    }
}

impl Plan<'_> {
    /// Finds out from which step to which each buffer is needed.
    ///
    /// Of a plan that was not verified the answer may be wrong; there is one all the same.
    pub fn lifetimes(&self) -> Lifetimes {
        let mut roots = Vec::<ValueId>::with_capacity(self.values.len());
        for (value, id) in self.values.iter().zip(0..) {
            let root = match value.storage {
                Storage::Alias(target) => roots.get(target.index()).copied(),
                _ => None,
            };
            roots.push(root.unwrap_or(ValueId(id)));
        }
        let mut lifetimes = Lifetimes {
            roots,
            spans: vec![None; self.values.len()],
        };
        for (step, index) in self.steps.iter().zip(0..) {
            for output in &step.outputs {
                if let Some(span) = lifetimes.spans.get_mut(output.index()) {
                    *span = Some(Lifetime {
                        first: index,
                        last: index,
                    });
                }
            }
            for &input in &step.inputs {
                lifetimes.extend(input, index);
            }
        }
        for &output in &self.outputs {
            lifetimes.extend(output, self.steps.len() as u32);
        }
        lifetimes
    }
}

impl Lifetimes {
    fn extend(&mut self, value: ValueId, last: u32) {
        let root = self.root(value);
        if let Some(Some(span)) = self.spans.get_mut(root.index()) {
            span.last = span.last.max(last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::{example, id};

    fn span(first: u32, last: u32) -> Option<Lifetime> {
        Some(Lifetime { first, last })
    }

    #[test]
    fn a_buffer_lives_until_its_last_reader() {
        let plan = example();
        let lifetimes = plan.lifetimes();
        assert_eq!(lifetimes.lifetime(id(&plan, "conv")), span(0, 1));
    }

    #[test]
    fn readers_of_an_alias_count() {
        let plan = example();
        let lifetimes = plan.lifetimes();
        assert_eq!(lifetimes.root(id(&plan, "flat")), id(&plan, "plain"));
        assert_eq!(lifetimes.lifetime(id(&plan, "plain")), span(2, 3));
        assert_eq!(lifetimes.lifetime(id(&plan, "flat")), span(2, 3));
    }

    #[test]
    fn outputs_live_to_the_end() {
        let plan = example();
        let lifetimes = plan.lifetimes();
        let end = plan.steps.len() as u32;
        assert_eq!(lifetimes.lifetime(id(&plan, "scores")), span(4, end));
    }

    #[test]
    fn what_nobody_reads_lives_for_one_step() {
        let mut plan = example();
        plan.steps.truncate(1);
        plan.outputs.clear();
        assert_eq!(plan.lifetimes().lifetime(id(&plan, "conv")), span(0, 0));
    }

    #[test]
    fn inputs_and_constants_have_none() {
        let plan = example();
        let lifetimes = plan.lifetimes();
        assert_eq!(lifetimes.lifetime(id(&plan, "image")), None);
        assert_eq!(lifetimes.lifetime(id(&plan, "weights")), None);
    }

    #[test]
    fn a_plan_that_was_not_verified_has_lifetimes_too() {
        let mut plan = example();
        let flat = id(&plan, "flat");
        plan.values[flat.index()].storage = Storage::Alias(ValueId(u32::MAX));
        plan.steps[0].outputs.push(ValueId(u32::MAX));
        plan.steps[1].inputs.push(ValueId(u32::MAX));
        assert_eq!(plan.lifetimes().root(flat), flat);
    }
}
