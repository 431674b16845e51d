//! The rules for steps: order, and what tract steps touch.

use super::{InvalidPlan, Role, invalid};
use crate::{Kernel, Layout, Plan, Step, Storage, TractStep, ValueId};

/// Checks the steps in order. After the last one, every value exists.
pub(super) fn check(plan: &Plan<'_>, role: Role) -> Result<(), InvalidPlan> {
    let mut ready = Vec::with_capacity(plan.values.len());
    for value in &plan.values {
        ready.push(match value.storage {
            Storage::Input | Storage::Constant(_) => true,
            Storage::Buffer | Storage::Alias(_) => false,
        });
    }
    let roots = plan.lifetimes();
    for (index, step) in plan.steps.iter().enumerate() {
        let broken = |reason: String| invalid(format!("step {index} `{}`: {reason}", step.name));
        for &input in &step.inputs {
            match ready.get(roots.root(input).index()) {
                Some(true) => {}
                Some(false) => {
                    return Err(broken(format!("reads %{} before it is written", input.0)));
                }
                None => return Err(broken(format!("reads %{}, which does not exist", input.0))),
            }
        }
        for &output in &step.outputs {
            check_write(plan, output, &mut ready).map_err(broken)?;
        }
        match &step.kernel {
            Kernel::Tract(_) if role == Role::Segment => {
                let reason = "expected a segment of kernels, found a tract step";
                return Err(broken(reason.into()));
            }
            Kernel::Tract(tract) => check_tract(plan, step, tract).map_err(broken)?,
            _ => check_known(plan, step).map_err(broken)?,
        }
    }
    let unwritten = plan
        .values
        .iter()
        .zip(&ready)
        .position(|(value, ready)| value.storage == Storage::Buffer && !ready);
    match unwritten {
        None => Ok(()),
        Some(index) => Err(invalid(format!(
            "value {index} `{}`: no step writes it",
            plan.values[index].name
        ))),
    }
}

fn check_write(plan: &Plan<'_>, output: ValueId, ready: &mut [bool]) -> Result<(), String> {
    let Some(value) = plan.values.get(output.index()) else {
        return Err(format!("writes %{}, which does not exist", output.0));
    };
    if value.storage != Storage::Buffer {
        return Err(format!("writes %{}, which is no buffer", output.0));
    }
    if ready[output.index()] {
        return Err(format!("writes %{} a second time", output.0));
    }
    ready[output.index()] = true;
    Ok(())
}

fn check_known(plan: &Plan<'_>, step: &Step) -> Result<(), String> {
    let mut values = step.inputs.iter().chain(&step.outputs);
    match values.find(|id| plan.values[id.index()].dims.is_none()) {
        None => Ok(()),
        Some(id) => Err(format!(
            "touches %{}, whose dims only the data decides, but is no tract step",
            id.0
        )),
    }
}

fn check_tract(plan: &Plan<'_>, step: &Step, tract: &TractStep) -> Result<(), String> {
    let (range, len) = (&tract.subgraph, plan.constants.len() as u64);
    if range.start > range.end || range.end > len {
        return Err(format!(
            "its sub-graph lies at {range:?}, outside the {len} bytes of constants"
        ));
    }
    let mut values = step.inputs.iter().chain(&step.outputs);
    match values.find(|id| plan.values[id.index()].layout != Layout::Plain) {
        None => Ok(()),
        Some(id) => Err(format!(
            "touches %{}, which is in blocks, but is a tract step",
            id.0
        )),
    }
}
