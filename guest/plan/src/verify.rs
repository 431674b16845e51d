//! What every reader of a plan may rely on.
//!
//! - Every value index is in bounds; every byte range lies within the constants.
//! - Values come in this order: the signature's inputs first. Each other value is written by exactly one step,
//!   and read only by later ones. Every output of the signature is an input or a written value of that name.
//! - Names of inputs, and names of outputs, are unique.

use std::collections::BTreeSet;

use tensorlet_tensor::TensorSpec;

use crate::{Plan, Step};

/// The most values and steps a plan may have.
pub const MAX_ITEMS: usize = 1 << 20;

/// A plan that breaks a rule of this module.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("invalid plan: {reason}")]
pub struct InvalidPlan {
    reason: String,
}

impl Plan<'_> {
    /// Checks the rules of [`verify`](crate::verify).
    ///
    /// # Errors
    /// If one is broken; the error says which and where.
    pub fn verify(&self) -> Result<(), InvalidPlan> {
        self.check_sizes()?;
        let signature = &self.description.signature;
        check_unique("input", &signature.inputs)?;
        check_unique("output", &signature.outputs)?;
        self.check_inputs()?;
        let written = self.check_steps()?;
        for output in &signature.outputs {
            let made =
                |(value, written): (&TensorSpec, &bool)| *written && value.name == output.name;
            if !self.values.iter().zip(&written).any(made) {
                return Err(invalid(format!(
                    "output `{}` is written by no step",
                    output.name
                )));
            }
        }
        Ok(())
    }

    fn check_sizes(&self) -> Result<(), InvalidPlan> {
        for (what, count) in [("values", self.values.len()), ("steps", self.steps.len())] {
            if count > MAX_ITEMS {
                return Err(invalid(format!(
                    "expected at most {MAX_ITEMS} {what}, found {count}"
                )));
            }
        }
        Ok(())
    }

    fn check_inputs(&self) -> Result<(), InvalidPlan> {
        let inputs = &self.description.signature.inputs;
        match self.values.get(..inputs.len()) {
            Some(values) if values == inputs.as_slice() => Ok(()),
            _ => Err(invalid(
                "the first values are not the signature's inputs".into(),
            )),
        }
    }

    /// Returns, for each value, whether it is an input or written by a step.
    fn check_steps(&self) -> Result<Vec<bool>, InvalidPlan> {
        let mut written = vec![false; self.values.len()];
        written[..self.description.signature.inputs.len()].fill(true);

        for (index, step) in self.steps.iter().enumerate() {
            let broken = |reason: String| invalid(format!("step {index}: {reason}"));
            for input in step.inputs() {
                match written.get(input.index()) {
                    Some(true) => {}
                    Some(false) => {
                        return Err(broken(format!(
                            "reads value {} before it is written",
                            input.0
                        )));
                    }
                    None => {
                        return Err(broken(format!(
                            "reads value {}, which does not exist",
                            input.0
                        )));
                    }
                }
            }
            for output in step.outputs() {
                match written.get_mut(output.index()) {
                    Some(slot @ false) => *slot = true,
                    Some(true) => {
                        return Err(broken(format!("writes value {} a second time", output.0)));
                    }
                    None => {
                        return Err(broken(format!(
                            "writes value {}, which does not exist",
                            output.0
                        )));
                    }
                }
            }
            let Step::Tract(step) = step;
            if step.subgraph.start > step.subgraph.end
                || step.subgraph.end > self.constants.len() as u64
            {
                let (range, len) = (&step.subgraph, self.constants.len());
                return Err(broken(format!(
                    "its sub-graph lies at {range:?}, outside the {len} bytes of constants"
                )));
            }
        }
        Ok(written)
    }
}

fn check_unique(what: &str, specs: &[TensorSpec]) -> Result<(), InvalidPlan> {
    let mut names = BTreeSet::new();
    match specs.iter().find(|spec| !names.insert(&spec.name)) {
        Some(spec) => Err(invalid(format!("two {what}s are named `{}`", spec.name))),
        None => Ok(()),
    }
}

fn invalid(reason: String) -> InvalidPlan {
    InvalidPlan { reason }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::text::tests::example;
    use crate::{Plan, Step, ValueId};

    fn broken(change: impl FnOnce(&mut Plan<'static>)) -> String {
        let mut plan = example();
        change(&mut plan);
        plan.verify().unwrap_err().to_string()
    }

    fn tract<'a>(plan: &'a mut Plan<'static>) -> &'a mut crate::TractStep {
        let Step::Tract(step) = &mut plan.steps[0];
        step
    }

    #[test]
    fn the_example_is_valid() {
        example().verify().unwrap();
    }

    #[test]
    fn says_which_rule_is_broken() {
        let errors = [
            broken(|plan| tract(plan).inputs[0] = ValueId(9)),
            broken(|plan| tract(plan).inputs[0] = ValueId(1)),
            broken(|plan| tract(plan).outputs[0] = ValueId(9)),
            broken(|plan| tract(plan).outputs[0] = ValueId(0)),
            broken(|plan| tract(plan).subgraph.end = 4),
            #[expect(clippy::reversed_empty_ranges, reason = "that is the mistake")]
            broken(|plan| tract(plan).subgraph = 3..1),
            broken(|plan| plan.steps.clear()),
            broken(|plan| plan.values.clear()),
            broken(|plan| {
                let again = plan.description.signature.inputs[0].clone();
                plan.description.signature.inputs.push(again);
            }),
        ];
        expect![[r#"
            invalid plan: step 0: reads value 9, which does not exist
            invalid plan: step 0: reads value 1 before it is written
            invalid plan: step 0: writes value 9, which does not exist
            invalid plan: step 0: writes value 0 a second time
            invalid plan: step 0: its sub-graph lies at 0..4, outside the 3 bytes of constants
            invalid plan: step 0: its sub-graph lies at 3..1, outside the 3 bytes of constants
            invalid plan: output `y` is written by no step
            invalid plan: the first values are not the signature's inputs
            invalid plan: two inputs are named `x`"#]]
        .assert_eq(&errors.join("\n"));
    }
}
