//! `tensorlet predict`: answers for files, or outputs for tensors.

mod files;
mod outputs;
mod tensors;

use anyhow::{Context, Result};
use tensorlet_runtime::{CallOptions, Limits, LoadOptions, Model};

use crate::args::PredictArgs;
use crate::progress::Progress;
use crate::settings::{Purpose, Settings};

/// Loads the component and predicts.
pub(crate) fn run(args: &PredictArgs, settings: &Settings) -> Result<()> {
    let mut limits = Limits::default();
    if let Some(mib) = args.memory_limit {
        limits.memory_bytes = mib << 20;
    }
    let model = load(args, settings, limits)?;
    let options = CallOptions {
        timeout: args.timeout,
    };
    if args.files.is_empty() {
        tensors::run(args, &model, &options)
    } else {
        files::run(args, &model, &options)
    }
}

fn load(args: &PredictArgs, settings: &Settings, limits: Limits) -> Result<Model> {
    let purpose = match args.timeout {
        Some(_) => Purpose::PredictInTime,
        None => Purpose::Predict,
    };
    let engine = settings.engine(purpose, &args.offload)?;
    let progress = Progress::new(1);
    progress.stage("loading the component; the first time, it is compiled for this machine");
    engine
        .load(
            &args.component,
            LoadOptions {
                limits,
                ..LoadOptions::default()
            },
        )
        .with_context(|| args.component.display().to_string())
}
