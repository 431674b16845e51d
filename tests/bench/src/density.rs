//! What instances of one model take while they are idle.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tensorlet_runtime::{CallOptions, Instance};

use crate::component;
use crate::input::{self, Input};
use crate::memory::Memory;

/// How often each instance predicts: what only the first call touches is not all that there is.
const CALLS: usize = 2;

/// The memory of the process with so many idle instances.
#[derive(Debug, Serialize)]
pub(crate) struct Sample {
    instances: u32,
    #[serde(flatten)]
    memory: Memory,
}

/// Makes instances, one after the other, has each predict, and reads memory whenever there are as many as in `counts`.
///
/// # Errors
/// Those of the calls, and if counts do not rise or the host was to compute and did not.
pub(crate) fn measure(
    component: &Path,
    cache_dir: &Path,
    inputs: &[Input],
    counts: &[u32],
    no_offload: bool,
) -> Result<Vec<Sample>> {
    let last = *counts.last().context("expected a count, found none")?;
    ensure!(
        counts.is_sorted(),
        "expected counts that rise, found {counts:?}"
    );
    // Each takes a part of what the engine has room for, and how large a part depends on who computes.
    let max_instances = last.saturating_mul(2);
    let model = component::load(component, cache_dir, !no_offload, max_instances)?;
    let inputs = input::tensors(inputs)?;
    let mut instances: Vec<Instance> = Vec::with_capacity(last as usize);
    let mut samples = Vec::with_capacity(counts.len());
    for &count in counts {
        while instances.len() < count as usize {
            let mut instance = model.instantiate()?;
            for _ in 0..CALLS {
                instance.predict(&inputs, &CallOptions::default())?;
            }
            instances.push(instance);
        }
        samples.push(Sample {
            instances: count,
            memory: Memory::read()?,
        });
    }
    let runs = model.offloaded().map_or(0, |counts| counts.runs);
    ensure!(
        no_offload || runs >= u64::from(last),
        "expected the host to compute, found {runs} of its runs"
    );
    Ok(samples)
}
