//! `tensorlet bench`: how long a component takes to load and to predict.

mod figures;
mod sizes;
mod synthetic;

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use tensorlet_runtime::{CallOptions, Instance, LoadError, LoadOptions, Model, PredictError};
use tensorlet_tensor::NamedTensor;

use self::figures::Figures;
use crate::args::BenchArgs;
use crate::clock::{now, timed};
use crate::json;
use crate::progress::Progress;
use crate::settings::{Purpose, Settings};
use crate::units::ms;

/// How many instances are made; the median counts.
const INSTANTIATIONS: usize = 11;

/// How long calls before the measured ones go on, and how many there are at most.
const WARM_UP: (Duration, u32) = (Duration::from_millis(300), 5);

/// How long calls are measured unless a number is given, and how many there are at least and at most.
const MEASURE: (Duration, u32, u32) = (Duration::from_secs(2), 10, 10_000);

/// Loading twice, instantiating, the first call, the others.
const STAGES: u64 = 5;

/// Measures and prints.
pub(crate) fn run(args: &BenchArgs, settings: &Settings) -> Result<()> {
    let progress = Progress::new(STAGES);
    let load = || -> Result<(Model, Duration), LoadError> {
        let engine = settings.engine(Purpose::Predict, &args.offload)?;
        let (model, time) = timed(|| engine.load(&args.component, LoadOptions::default()));
        Ok((model?, time))
    };
    // The first may have to compile, or to hash the component; without a cache each does.
    if settings.cache_dir.is_some() {
        progress.stage("loading the component; the first time, it is compiled for this machine");
        load().with_context(|| args.component.display().to_string())?;
    }
    progress.stage("loading the component from the cache");
    let (model, load_time) = load().with_context(|| args.component.display().to_string())?;
    let signature = &model.description().signature;
    let specs = sizes::resolve(signature, args.batch, &args.inputs)?;
    let inputs = synthetic::inputs(&specs)?;

    progress.stage("instantiating");
    let (mut instance, instantiate_time) = instantiate(&model)?;
    progress.stage("predicting for the first time");
    let (outputs, first_time) = timed(|| instance.predict(&inputs, &CallOptions::default()));
    outputs?;
    progress.stage("predicting");
    let calls = if args.fresh {
        drop(instance);
        steady(args.iterations, || {
            model
                .instantiate()?
                .predict(&inputs, &CallOptions::default())
        })?
    } else {
        steady(args.iterations, || {
            instance.predict(&inputs, &CallOptions::default())
        })?
    };
    drop(progress);

    let is_offloaded = model.offloaded().is_some_and(|counts| counts.runs > 0);
    let figures = Figures::new(
        [load_time, instantiate_time, first_time].map(ms),
        calls,
        (is_offloaded, args.fresh),
    )?;
    if args.json {
        return Ok(json::print(&figures)?);
    }
    let table = figures.table(&specs, settings.cache_dir.is_some());
    write!(std::io::stdout().lock(), "{table}")?;
    Ok(())
}

/// Makes instances, one at a time; returns the last and the median of the times.
fn instantiate(model: &Model) -> Result<(Instance, Duration)> {
    let mut times = vec![];
    loop {
        let (instance, time) = timed(|| model.instantiate());
        let instance = instance?;
        times.push(time);
        if times.len() == INSTANTIATIONS {
            times.sort();
            return Ok((instance, times[INSTANTIATIONS / 2]));
        }
    }
}

/// Returns how long calls took, after a few that are not measured.
fn steady(
    iterations: Option<u32>,
    mut predict: impl FnMut() -> Result<Vec<NamedTensor>, PredictError>,
) -> Result<Vec<Duration>> {
    let mut call = || -> Result<Duration> {
        let (outputs, time) = timed(&mut predict);
        outputs?;
        Ok(time)
    };
    let start = now();
    for _ in 0..WARM_UP.1 {
        if start.elapsed() >= WARM_UP.0 {
            break;
        }
        call()?;
    }
    let (enough_time, least, most) = MEASURE;
    let start = now();
    let mut times = vec![];
    loop {
        times.push(call()?);
        let calls = times.len() as u32;
        let is_enough = match iterations {
            Some(iterations) => calls >= iterations,
            None => calls >= most || calls >= least && start.elapsed() >= enough_time,
        };
        if is_enough {
            return Ok(times);
        }
    }
}
