//! Runs a test and says how it went.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use tensorlet_compile::{BuildOptions, Literal, plan};
use tensorlet_executor::{Executor, LoadOptions};
use tensorlet_plan::Plan;
use tensorlet_runtime::{CallOptions, Limits, Predictor};
use tensorlet_tensor::{DatumType, NamedTensor, Tensor};

use crate::case::{Case, DataSet};
use crate::compare::compare;

/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Which inputs a test gives at run time; the others are bound when the plan is made.
///
/// Many operators want shapes, axes and the like to be constants, as they are in real models.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Free {
    /// All inputs.
    All,
    /// The first input.
    First,
    /// No input.
    None,
}

/// What computed a test.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Computed {
    /// Kernels alone, in the lean predictor.
    Lean,
    /// At least one tract step, in the predictor with tract.
    WithTract,
}

/// How a test passed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Passed {
    /// Which inputs were free.
    pub free: Free,
    /// What computed it.
    pub computed: Computed,
}

/// The predictors, compiled by one engine.
pub struct Predictors {
    /// The one without tract.
    pub lean: Predictor,
    /// The one with tract.
    pub with_tract: Predictor,
}

/// The predictors of two hosts.
pub struct Hosts {
    /// They compute by themselves.
    pub guest: Predictors,
    /// They leave what they can to the host.
    pub offloading: Predictors,
}

/// Runs the test in a folder with as many free inputs as possible; returns which.
///
/// # Errors
/// If it does not pass; the reason is that of the run with all inputs free.
pub fn run(hosts: &Hosts, folder: &Path) -> Result<Passed> {
    let case = Case::read(folder)?;
    let error = match run_with(hosts, &case, Free::All) {
        Ok(passed) => return Ok(passed),
        Err(error) => error,
    };
    let fewer = [Free::First, Free::None];
    fewer
        .into_iter()
        .find_map(|free| run_with(hosts, &case, free).ok())
        .ok_or(error)
}

fn run_with(hosts: &Hosts, case: &Case, free: Free) -> Result<Passed> {
    let mut computed = Computed::Lean;
    for data_set in &case.data_sets {
        if run_data_set(hosts, case, data_set, free)? == Computed::WithTract {
            computed = Computed::WithTract;
        }
    }
    Ok(Passed { free, computed })
}

fn run_data_set(hosts: &Hosts, case: &Case, data_set: &DataSet, free: Free) -> Result<Computed> {
    let free_inputs = match free {
        Free::All => data_set.inputs.len(),
        Free::First => 1.min(data_set.inputs.len()),
        Free::None => 0,
    };
    let named = case.inputs.iter().zip(&data_set.inputs);
    let bind = named
        .clone()
        .skip(free_inputs)
        .map(|(name, tensor)| Ok((name.clone(), literal(tensor)?)));
    let options = BuildOptions {
        name: case.name.clone(),
        bind: bind.collect::<Result<BTreeMap<_, _>>>()?,
        ..BuildOptions::default()
    };
    let mut plan = plan(&case.model, &options).map_err(chain)?;
    // The compiler's functions would have to be in the predictor's table; the kernels do without them.
    plan.tiles.clear();
    let computed = if plan.tract_operators().is_empty() {
        Computed::Lean
    } else {
        Computed::WithTract
    };
    let inputs: Vec<NamedTensor> = named
        .take(free_inputs)
        .map(|(name, tensor)| (name.clone(), tensor.clone()))
        .collect();
    for (predictors, who) in [
        (&hosts.guest, "in the guest"),
        (&hosts.offloading, "offloaded"),
    ] {
        let outputs = predict(predictors, computed, &plan, &inputs)
            .with_context(|| who.to_owned())
            .map_err(|error| anyhow!("{error:#}"))?;
        compare_all(&outputs, &data_set.outputs).map_err(|reason| anyhow!("{who}: {reason}"))?;
    }
    // How tract rounds in native code is not ours to test.
    if computed == Computed::Lean {
        let executor = Executor::load(&plan, LoadOptions::default()).map_err(chain)?;
        let outputs = executor.predict(&inputs).map_err(chain)?;
        compare_all(&outputs, &data_set.outputs).map_err(|reason| anyhow!("natively: {reason}"))?;
    }
    Ok(computed)
}

/// Predicts with an instance of its own. What was to be offloaded must have been.
fn predict(
    predictors: &Predictors,
    computed: Computed,
    plan: &Plan<'_>,
    inputs: &[NamedTensor],
) -> Result<Vec<NamedTensor>> {
    let predictor = match computed {
        Computed::Lean => &predictors.lean,
        Computed::WithTract => &predictors.with_tract,
    };
    let (mut instance, _) = predictor.load(plan, &Limits::default()).map_err(chain)?;
    let options = CallOptions {
        timeout: Some(TIMEOUT),
    };
    let outputs = instance.predict(inputs, &options).map_err(chain)?;
    if let Some(counts) = instance.offloaded() {
        let segments = plan.segments().len() as u64;
        if counts.runs < segments || counts.fallbacks.total() > 0 {
            bail!("expected {segments} segments to be offloaded, found {counts:?}");
        }
    }
    Ok(outputs)
}

fn compare_all(found: &[NamedTensor], expected: &[Tensor]) -> Result<()> {
    if found.len() != expected.len() {
        bail!("expected {} outputs, found {}", expected.len(), found.len());
    }
    for ((name, found), expected) in found.iter().zip(expected) {
        compare(found, expected).map_err(|reason| anyhow!("output `{name}`: {reason}"))?;
    }
    Ok(())
}

fn chain(error: impl std::error::Error + Send + Sync + 'static) -> anyhow::Error {
    let error = anyhow::Error::new(error);
    anyhow!(
        "{}",
        format!("{error:#}").lines().next().unwrap_or_default()
    )
}

fn literal(tensor: &Tensor) -> Result<Literal> {
    let scalars: Vec<Literal> = match tensor.datum_type() {
        DatumType::Bool => tensor
            .data()
            .iter()
            .map(|&byte| Literal::Bool(byte != 0))
            .collect(),
        DatumType::U8 => ints(tensor.to_values::<u8>()),
        DatumType::U16 => ints(tensor.to_values::<u16>()),
        DatumType::U32 => ints(tensor.to_values::<u32>()),
        DatumType::I8 => ints(tensor.to_values::<i8>()),
        DatumType::I16 => ints(tensor.to_values::<i16>()),
        DatumType::I32 => ints(tensor.to_values::<i32>()),
        DatumType::I64 => ints(tensor.to_values::<i64>()),
        DatumType::F32 => floats(tensor.to_values::<f32>()),
        DatumType::F64 => floats(tensor.to_values::<f64>()),
        other => bail!("inputs of {other} cannot be bound"),
    };
    Ok(nest(tensor.dims(), &scalars))
}

fn ints<T: Into<i64>>(values: Option<Vec<T>>) -> Vec<Literal> {
    values
        .into_iter()
        .flatten()
        .map(|value| Literal::Int(value.into()))
        .collect()
}

fn floats<T: Into<f64>>(values: Option<Vec<T>>) -> Vec<Literal> {
    values
        .into_iter()
        .flatten()
        .map(|value| Literal::Float(value.into()))
        .collect()
}

fn nest(dims: &[u32], scalars: &[Literal]) -> Literal {
    let Some((&len, rest)) = dims.split_first() else {
        return scalars[0].clone();
    };
    let step = scalars.len() / (len.max(1) as usize);
    Literal::List(
        (0..len as usize)
            .map(|index| nest(rest, &scalars[index * step..(index + 1) * step]))
            .collect(),
    )
}
