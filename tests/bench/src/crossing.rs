//! What a call through a component costs, where the host computes: beside the native executor, and with a fresh instance.
//!
//! A few microseconds are less than what two processes differ by, in where their memory lies and in what else the machine does
//! meanwhile. So all are measured in one process, in turns so short that they meet with the same.

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tensorlet_executor::Executor;
use tensorlet_runtime::{CallOptions, Instance, Model};
use tensorlet_tensor::NamedTensor;

use crate::figures::{ms, now};
use crate::input::{self, Input};
use crate::{component, executor};

/// How long turns go on, and how many there are at least and at most. The first one is not counted.
const TURNS: (Duration, usize, usize) = (Duration::from_secs(3), 12, 100);

/// A turn goes on for this time, and for so many calls at least.
const TURN: (Duration, usize) = (Duration::from_millis(1), 3);

/// What is measured, turn by turn.
#[derive(Debug, Serialize)]
pub(crate) struct Crossing {
    /// Bytes of all inputs and outputs.
    tensor_bytes: usize,
    turns: Vec<Turn>,
}

/// What each took in one turn.
#[derive(Debug, Serialize)]
pub(crate) struct Turn {
    /// Copying inputs and outputs once, when caches hold what a call has left there.
    copy: Times,
    /// The plan, natively executed.
    executor: Times,
    /// The component with the host's help, in an instance that is kept.
    offloaded: Times,
    /// The same, in an instance for each call.
    fresh: Times,
}

/// Calls of one turn.
#[derive(Debug, Serialize)]
struct Times {
    min_us: f64,
    median_us: f64,
}

/// Who takes turns.
struct Contenders {
    inputs: Vec<NamedTensor>,
    outputs: Vec<NamedTensor>,
    /// As long as all inputs and outputs.
    copies: Vec<u8>,
    executor: Executor,
    model: Model,
    instance: Instance,
}

/// Measures calls of a model and its component.
///
/// # Errors
/// Those of the calls, and if the host does not compute.
pub(crate) fn measure(
    model: &Path,
    component: &Path,
    cache_dir: &Path,
    inputs: &[Input],
) -> Result<Crossing> {
    let mut contenders = Contenders::load(model, component, cache_dir, inputs)?;
    contenders.turn()?;
    let (enough_time, least, most) = TURNS;
    let start = now();
    let mut turns = Vec::new();
    while turns.len() < least || turns.len() < most && start.elapsed() < enough_time {
        turns.push(contenders.turn()?);
    }
    Ok(Crossing {
        tensor_bytes: contenders.copies.len(),
        turns,
    })
}

impl Contenders {
    fn load(model: &Path, component: &Path, cache_dir: &Path, inputs: &[Input]) -> Result<Self> {
        let executor = executor::load(model, inputs)?;
        let inputs = input::tensors(inputs)?;
        // One that is kept, and one that is fresh.
        let model = component::load(component, cache_dir, true, 2)?;
        let mut instance = model.instantiate()?;
        let outputs = instance.predict(&inputs, &CallOptions::default())?;
        let is_offloaded = model.offloaded().is_some_and(|counts| counts.runs > 0);
        ensure!(
            is_offloaded,
            "expected the host to compute, found that it does not"
        );
        let bytes = inputs
            .iter()
            .chain(&outputs)
            .map(|(_, tensor)| tensor.data().len());
        let copies = vec![0; bytes.sum()];
        Ok(Self {
            inputs,
            outputs,
            copies,
            executor,
            model,
            instance,
        })
    }

    fn turn(&mut self) -> Result<Turn> {
        let Self {
            inputs,
            outputs,
            copies,
            executor,
            model,
            instance,
        } = self;
        let options = CallOptions::default();
        Ok(Turn {
            copy: Times::after(
                || Ok(executor.predict(inputs)?),
                || {
                    let mut rest = &mut copies[..];
                    for (_, tensor) in inputs.iter().chain(&*outputs) {
                        let (copy, others) = rest.split_at_mut(tensor.data().len());
                        copy.copy_from_slice(tensor.data());
                        rest = others;
                    }
                    black_box(&*copies);
                    Ok(())
                },
            )?,
            executor: Times::of(|| Ok(executor.predict(inputs)?))?,
            offloaded: Times::of(|| Ok(instance.predict(inputs, &options)?))?,
            fresh: Times::of(|| Ok(model.instantiate()?.predict(inputs, &options)?))?,
        })
    }
}

impl Times {
    /// Calls for one turn, after a call that finds the caches as others left them.
    fn of<R>(call: impl FnMut() -> Result<R>) -> Result<Self> {
        Self::after(|| Ok(()), call)
    }

    /// As [`of`](Self::of), and does something else before each call. A call ends when what it returned is dropped.
    fn after<P, R>(
        mut before: impl FnMut() -> Result<P>,
        mut call: impl FnMut() -> Result<R>,
    ) -> Result<Self> {
        black_box(call()?);
        let turn = now();
        let mut times = Vec::new();
        while times.len() < TURN.1 || turn.elapsed() < TURN.0 {
            black_box(before()?);
            let start = now();
            black_box(call()?);
            times.push(ms(start) * 1e3);
        }
        times.sort_by(f64::total_cmp);
        Ok(Self {
            min_us: *times.first().context("a turn has calls")?,
            median_us: times[times.len() / 2],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_has_calls_enough() {
        let (mut others, mut calls) = (0, 0);
        let before = || {
            others += 1;
            Ok(())
        };
        let times = Times::after(before, || {
            calls += 1;
            std::thread::sleep(TURN.0);
            Ok(())
        });
        let times = times.unwrap();
        assert_eq!(calls, 1 + TURN.1, "one that is not counted, and the least");
        assert_eq!(others, TURN.1);
        assert!(times.min_us >= 1000.0 && times.min_us <= times.median_us);
    }
}
