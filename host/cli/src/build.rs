//! `tensorlet build`: an ONNX model becomes a component.

pub(crate) mod copies;
mod names;
mod parts;
mod source;
mod summary;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tensorlet_compile::{Built, Stage};
use tensorlet_plan::Description;
use tensorlet_runtime::LoadOptions;

use self::source::Source;
use self::summary::Summary;
use crate::args::{BuildArgs, OffloadArgs};
use crate::clock::{now, timed};
use crate::exit::Failure;
use crate::inspect::anatomy::Anatomy;
use crate::output_file;
use crate::progress::Progress;
use crate::settings::{Purpose, Settings};

/// The compiler's stages.
pub(crate) const COMPILE_STAGES: u64 = 7;

/// The same, writing the file, and compiling it for this machine.
const STAGES: u64 = COMPILE_STAGES + 2;

/// Compiles the model, writes the component, compiles that for this machine into the cache, and prints a summary.
pub(crate) fn run(args: &BuildArgs, settings: &Settings) -> Result<()> {
    let start = now();
    let source = Source::resolve(args)?;
    let output = output(args, &source)?;
    let engine = settings.engine(Purpose::Predict, &OffloadArgs::default())?;

    let progress = Progress::new(STAGES);
    let Compiled { built, description } = compile(&source, settings, &progress)?;
    progress.stage("writing the component");
    output_file::write(&output, &built.component)?;
    if args.http {
        copies::warn(&output.display().to_string(), &built.component)?;
    }
    let build_time = start.elapsed();

    // So that the commands that follow start at once. Without a cache there would be nothing left of it.
    let cached = settings.cache_dir.is_some().then(|| {
        progress.stage("compiling the component for this machine");
        let (model, time) = timed(|| engine.load(&output, LoadOptions::default()));
        model.map(|_| time)
    });
    let compile_time = cached
        .transpose()
        .context("the component that was built cannot be loaded")?;
    drop(progress);
    Summary {
        built: &built,
        description: &description,
        output: &output,
        build_time,
        compile_time,
    }
    .print()
}

/// A model, compiled.
pub(crate) struct Compiled {
    pub(crate) built: Built,
    /// What the component says of itself.
    pub(crate) description: Description,
}

/// Compiles a model as a component that handles HTTP requests.
///
/// # Errors
/// As `tensorlet build --http`.
pub(crate) fn compile_http(
    model: &Path,
    settings: &Settings,
    progress: &Progress,
) -> Result<Compiled> {
    let source = Source::resolve(&BuildArgs {
        model: model.to_owned(),
        http: true,
        ..BuildArgs::default()
    })?;
    compile(&source, settings, progress)
}

/// Makes a component that handles HTTP requests of one that `tensorlet build` made.
///
/// # Errors
/// If it is no such component.
pub(crate) fn handle_http(component: &[u8]) -> Result<Vec<u8>> {
    Ok(tensorlet_compile::handle_http(
        parts::embedded()?,
        component,
    )?)
}

fn compile(source: &Source, settings: &Settings, progress: &Progress) -> Result<Compiled> {
    let engine = settings.engine(Purpose::Prepare, &OffloadArgs::default())?;
    let built = tensorlet_compile::build(
        &engine,
        parts::embedded()?,
        &source.onnx,
        &source.options,
        &mut |stage| {
            progress.stage(stage_name(stage));
        },
    )?;
    let description = Anatomy::read(&built.component)?.plan()?.description;
    if let Some(toml) = &source.toml {
        names::check(toml, &description.signature)?;
    }
    Ok(Compiled { built, description })
}

/// Returns where the component is to be.
fn output(args: &BuildArgs, source: &Source) -> Result<PathBuf, Failure> {
    let output = match &args.output {
        Some(output) => output.clone(),
        None => PathBuf::from(format!("{}.wasm", source.options.name)),
    };
    let same_file = |a: &PathBuf, b: &PathBuf| {
        a.canonicalize()
            .is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b))
    };
    if same_file(&output, &source.onnx) {
        let shown = output.display();
        return Err(Failure::usage(format!(
            "--output: expected another file than the model, found {shown}"
        )));
    }
    if output.is_dir() {
        return Err(Failure::usage(format!(
            "--output: expected a file, found the folder {}",
            output.display()
        )));
    }
    Ok(output)
}

fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Read => "reading the model",
        Stage::Analyse => "analysing the graph",
        Stage::CompilePredictor => "loading the predictor; the first time, it is compiled",
        Stage::Prepare => "loading and optimising the model",
        Stage::Place => "placing it in memory",
        Stage::Snapshot => "keeping the memory",
        Stage::Answer => "preparing what answers for files",
        _ => "working",
    }
}
