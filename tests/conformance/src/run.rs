//! Runs a test and says how it went.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use tensorlet_compile::{BuildOptions, Literal, plan};
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

/// Runs the test in a folder with as many free inputs as possible; returns which.
///
/// # Errors
/// If it does not pass; the reason is that of the run with all inputs free.
pub fn run(predictor: &Predictor, folder: &Path) -> Result<Free> {
    let case = Case::read(folder)?;
    let error = match run_with(predictor, &case, Free::All) {
        Ok(()) => return Ok(Free::All),
        Err(error) => error,
    };
    let fewer = [Free::First, Free::None];
    fewer
        .into_iter()
        .find(|&free| run_with(predictor, &case, free).is_ok())
        .ok_or(error)
}

fn run_with(predictor: &Predictor, case: &Case, free: Free) -> Result<()> {
    case.data_sets
        .iter()
        .try_for_each(|data_set| run_data_set(predictor, case, data_set, free))
}

fn run_data_set(predictor: &Predictor, case: &Case, data_set: &DataSet, free: Free) -> Result<()> {
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
    let plan = plan(&case.model, &options).map_err(chain)?.write()?;
    let (mut instance, _) = predictor.load(&plan, &Limits::default()).map_err(chain)?;

    let inputs: Vec<NamedTensor> = named
        .take(free_inputs)
        .map(|(name, tensor)| (name.clone(), tensor.clone()))
        .collect();
    let outputs = instance
        .predict(
            &inputs,
            &CallOptions {
                timeout: Some(TIMEOUT),
            },
        )
        .map_err(chain)?;
    if outputs.len() != data_set.outputs.len() {
        bail!(
            "expected {} outputs, found {}",
            data_set.outputs.len(),
            outputs.len()
        );
    }
    for ((name, found), expected) in outputs.iter().zip(&data_set.outputs) {
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
