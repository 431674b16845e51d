//! From an ONNX file to a component.

use std::collections::BTreeMap;
use std::path::Path;

use sha2::{Digest, Sha256};
use tensorlet_plan::{Description, Kernel, Plan};
use tensorlet_runtime::{Engine, composed};
use tensorlet_tensor::{Signature, TensorSpec};
use tract_onnx::pb::ModelProto;

use crate::compose::Parts;
use crate::compose::http::HttpParts;
use crate::error::{CompileError, CompileErrorKind};
use crate::literal::Literal;
use crate::rewrite::{self, RewriteError, RewriteErrorKind, Rewritten};
use crate::{
    compose, emit, image, import, inputs, lower, passes, prune, rows, snapshot, source, trim,
};

/// What a user says of a model beside the ONNX file.
#[derive(Clone, Debug, Default)]
pub struct BuildOptions {
    /// The name that the component gives itself.
    pub name: String,
    /// The version that the component gives itself.
    pub version: String,
    /// Inputs whose dims are fixed or named. Others keep what the model says of them.
    pub inputs: Vec<TensorSpec>,
    /// Inputs that become constants.
    pub bind: BTreeMap<String, Literal>,
    /// What else the component says of itself, by key.
    pub metadata: BTreeMap<String, String>,
    /// Whether operators that have no kernel are an error, rather than left to tract.
    pub lean: bool,
    /// How files become answers, if the model is declared to answer for some.
    pub answers: Option<Answers>,
    /// Whether the component is to handle HTTP requests, rather than export what it is.
    pub http: bool,
}

/// How files become answers.
#[derive(Clone, Debug)]
pub struct Answers {
    /// What the files are.
    pub kind: AnswererKind,
    /// The text of the `model.toml`.
    pub model_toml: String,
    /// The labels that it names.
    pub labels: Option<String>,
}

/// What an answerer reads. There is one component for each, so that a model for pictures holds nothing that reads recordings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AnswererKind {
    /// Pictures.
    Picture,
    /// Files of any kind, as bytes.
    Bytes,
    /// Recordings.
    Audio,
}

/// The components that models are made of, as `cargo xtask guest` builds them.
#[derive(Clone, Copy, Debug)]
pub struct GuestParts<'a> {
    /// The predictor without tract, for plans whose steps all have kernels.
    pub lean: &'a [u8],
    /// The predictor with tract, for all others.
    pub with_tract: &'a [u8],
    /// What declines every offload.
    pub no_offload: &'a [u8],
    /// What answers for models that take pictures.
    pub picture_answerer: &'a [u8],
    /// What answers for models that take files as bytes.
    pub bytes_answerer: &'a [u8],
    /// What answers for models that take recordings.
    pub audio_answerer: &'a [u8],
    /// What says that nobody declared how to answer.
    pub no_answer: &'a [u8],
    /// What speaks the Open Inference Protocol over HTTP.
    pub http: &'a [u8],
}

impl<'a> GuestParts<'a> {
    /// Returns what answers for files of a kind.
    pub fn answerer(&self, kind: AnswererKind) -> &'a [u8] {
        match kind {
            AnswererKind::Picture => self.picture_answerer,
            AnswererKind::Bytes => self.bytes_answerer,
            AnswererKind::Audio => self.audio_answerer,
        }
    }
}

/// The stages of a build, in order.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// Reading the ONNX file and its external data.
    Read,
    /// Typing and rewriting the graph.
    Analyse,
    /// Compiling the predictor that will hold the model, unless that is in the cache.
    CompilePredictor,
    /// Loading and optimising the model inside the predictor.
    Prepare,
    /// The same again, with everything in its final place.
    Place,
    /// Writing the component.
    Snapshot,
    /// Preparing what answers for files, if the model is declared to; the first time, compiling it.
    Answer,
}

/// A model, compiled.
#[derive(Clone, Debug)]
pub struct Built {
    /// The component's bytes.
    pub component: Vec<u8>,
    /// How many bytes the ONNX file has, without external data.
    pub onnx_bytes: u64,
    /// How many steps the plan has.
    pub steps: usize,
    /// The operators that have no kernel, and how often each occurs. If there are none, the component is lean.
    pub left_to_tract: BTreeMap<String, u32>,
}

/// Compiles the model in an ONNX file into a component.
///
/// `engine` runs one of the predictors twice, so one that compiles quickly serves best. The same inputs give the same bytes.
///
/// # Errors
/// If the file or what it refers to cannot be read, is no ONNX model, or cannot be computed; or if it is to be lean and is not.
pub fn build(
    engine: &Engine,
    parts: &GuestParts<'_>,
    onnx: &Path,
    options: &BuildOptions,
    progress: &mut dyn FnMut(Stage),
) -> Result<Built, CompileError> {
    let (plan, onnx_bytes) = plan_file(onnx, options, progress)?;
    let invalid = |error: tensorlet_plan::wire::InvalidPlanOrSize| {
        CompileError::because(
            CompileErrorKind::Predictor,
            "the compiler made an invalid plan",
            error,
        )
    };
    let header = plan.write_header().map_err(invalid)?;
    let bytes = plan.write().map_err(invalid)?;
    let layout = plan.constant_layout();
    let segments = plan.segments();
    let segments = segments
        .iter()
        .map(|segment| plan.segment_plan(segment, &layout).write_header())
        .collect::<Result<Vec<_>, _>>()
        .map_err(invalid)?;
    let left_to_tract = plan.tract_operators();
    let steps = plan.steps.len();
    let tiles = plan.tiles.clone();
    drop(plan);

    let predictor = if left_to_tract.is_empty() {
        parts.lean
    } else {
        parts.with_tract
    };
    let unlike = |reason: String| CompileError::new(CompileErrorKind::Predictor, reason);
    let first_tile = emit::table_size(predictor).map_err(unlike)?;
    let predictor =
        snapshot::predictor(engine, predictor, (&bytes, &segments), first_tile, progress)?;
    let predictor = prune::prune(&predictor, &snapshot::DEAD_CORE_EXPORTS).map_err(unlike)?;
    let predictor = emit::append_tiles(predictor, &tiles).map_err(unlike)?;
    let predictor = image::densify(predictor).map_err(unlike)?;
    let answers = options.answers.as_ref();
    let answerer = answers
        .map(|answers| {
            progress(Stage::Answer);
            answerer(engine, parts, answers)
        })
        .transpose()?;
    let component = Parts {
        predictor: &predictor,
        no_offload: parts.no_offload,
        answerer: answerer.as_deref(),
    };
    let mut component = match options.http {
        true => compose::http::compose(&component, &http_parts(parts)),
        false => compose::compose(&component),
    }
    .map_err(unlike)?;
    trim::append_plan_header(&mut component, &header);
    Ok(Built {
        component,
        onnx_bytes,
        steps,
        left_to_tract,
    })
}

/// Makes a component that handles HTTP requests of one that [`build`] made. It is the one that [`BuildOptions::http`] asks for.
///
/// # Errors
/// If the bytes are not such a component.
pub fn handle_http(parts: &GuestParts<'_>, component: &[u8]) -> Result<Vec<u8>, CompileError> {
    let unlike = |reason: String| CompileError::new(CompileErrorKind::NotAModel, reason);
    let found = composed::Parts::of(component);
    let predictor = found
        .predictor
        .ok_or("expected a component that `tensorlet build` made, found one without a predictor");
    let model = Parts {
        predictor: &component[predictor.map_err(|error| unlike(error.into()))?],
        no_offload: parts.no_offload,
        answerer: found.answerer.map(|answerer| &component[answerer]),
    };
    let header = trim::plan_header(component).map_err(unlike)?;
    let mut handler = compose::http::compose(&model, &http_parts(parts)).map_err(unlike)?;
    trim::append_plan_header(&mut handler, header);
    Ok(handler)
}

fn http_parts<'a>(parts: &GuestParts<'a>) -> HttpParts<'a> {
    HttpParts {
        http: parts.http,
        no_answer: parts.no_answer,
    }
}

/// Makes what answers for one model.
fn answerer(
    engine: &Engine,
    parts: &GuestParts<'_>,
    answers: &Answers,
) -> Result<Vec<u8>, CompileError> {
    let answerer = parts.answerer(answers.kind);
    let labels = answers.labels.as_deref();
    let answerer = snapshot::answerer(engine, answerer, &answers.model_toml, labels)?;
    prune::prune(&answerer, &snapshot::DEAD_CORE_EXPORTS)
        .map_err(|reason| CompileError::new(CompileErrorKind::Predictor, reason))
}

/// Compiles the model in an ONNX file as far as a plan.
///
/// # Errors
/// As [`build`].
pub fn plan(onnx: &Path, options: &BuildOptions) -> Result<Plan<'static>, CompileError> {
    plan_file(onnx, options, &mut |_| ()).map(|(plan, _)| plan)
}

fn plan_file(
    onnx: &Path,
    options: &BuildOptions,
    progress: &mut dyn FnMut(Stage),
) -> Result<(Plan<'static>, u64), CompileError> {
    progress(Stage::Read);
    let source::Source { mut model, bytes } = source::read(onnx)?;
    progress(Stage::Analyse);
    let mut metadata = options.metadata.clone();
    metadata.extend(facts(&model, &bytes));
    let onnx_bytes = bytes.len() as u64;
    drop(bytes);

    let graph = model.graph.as_mut().expect("`source::read` found a graph");
    inputs::resolve(graph, &options.inputs, &options.bind)?;
    let describe = |inputs: &[TensorSpec], outputs: &[TensorSpec]| Description {
        name: options.name.clone(),
        version: options.version.clone(),
        signature: Signature::new(inputs.to_vec(), outputs.to_vec()),
        metadata: metadata.clone(),
    };
    let plan = match plan_of_kernels(&model, &describe)? {
        Some(plan) => plan,
        None => plan_by_tract(model, &describe)?,
    };
    if options.lean {
        check_lean(&plan)?;
    }
    Ok((plan, onnx_bytes))
}

/// Makes the description of a model with these inputs and outputs.
type Describe<'a> = &'a dyn Fn(&[TensorSpec], &[TensorSpec]) -> Description;

/// Makes a plan of kernels, with what has none left to tract; `None` if tract is better given the whole model.
fn plan_of_kernels(
    model: &ModelProto,
    describe: Describe<'_>,
) -> Result<Option<Plan<'static>>, CompileError> {
    let analysed = rewrite::analyse(model.clone()).map_err(rewrite_error)?;
    let Some(outputs) = &analysed.outputs else {
        return Ok(None);
    };
    let Some(mut graph) = import::import(&analysed) else {
        return Ok(None);
    };
    passes::optimise(&mut graph);
    let description = describe(&analysed.inputs, outputs);
    Ok(lower::lower(graph, description, &analysed.model).ok())
}

/// Makes a plan of one step, the whole model by tract.
fn plan_by_tract(model: ModelProto, describe: Describe<'_>) -> Result<Plan<'static>, CompileError> {
    let operators = lower::count_operators(&model);
    let rewritten = rewrite::rewrite(model.clone()).map_err(rewrite_error)?;
    let description = describe(&rewritten.inputs, &rewritten.outputs);
    let one_row = one_row(model, &rewritten, &description.signature);
    let subgraph = one_row
        .as_ref()
        .map_or(&rewritten.model, |one_row| &one_row.model);
    Ok(lower::lower_whole(
        description,
        subgraph,
        one_row.is_some(),
        operators,
    ))
}

/// Returns the model for one row, if the rows of a batch are independent.
fn one_row(
    mut model: ModelProto,
    rewritten: &Rewritten,
    signature: &Signature,
) -> Option<Rewritten> {
    let symbol = signature.batch_symbol.as_ref()?;
    if !rows::are_independent(&rewritten.model, symbol) {
        return None;
    }
    inputs::fix_symbol(model.graph.as_mut()?, symbol, 1);
    rewrite::rewrite(model).ok()
}

/// Checks that no operator is left to tract.
fn check_lean(plan: &Plan<'_>) -> Result<(), CompileError> {
    let left: Vec<String> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.kernel {
            Kernel::Tract(tract) => {
                let operators = tract.operators.iter();
                let operators: Vec<String> = operators
                    .map(|(operator, count)| format!("{operator}×{count}"))
                    .collect();
                Some(format!("{} (at `{}`)", operators.join(" "), step.name))
            }
            _ => None,
        })
        .collect();
    if left.is_empty() {
        return Ok(());
    }
    let message = format!(
        "expected a model whose operators all have kernels, found some that have none: {}",
        left.join(", ")
    );
    Err(CompileError::new(CompileErrorKind::Unsupported, message))
}

/// Returns what the ONNX file says of itself.
fn facts(model: &ModelProto, bytes: &[u8]) -> BTreeMap<String, String> {
    let opsets: Vec<String> = model
        .opset_import
        .iter()
        .map(|opset| match opset.domain.as_str() {
            "" => format!("ai.onnx {}", opset.version),
            domain => format!("{domain} {}", opset.version),
        })
        .collect();
    let sha256: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut facts = BTreeMap::from([
        ("onnx.opset".to_owned(), opsets.join(", ")),
        ("onnx.sha256".to_owned(), sha256),
        (
            "tensorlet.version".to_owned(),
            env!("CARGO_PKG_VERSION").to_owned(),
        ),
    ]);
    let producer = format!("{} {}", model.producer_name, model.producer_version);
    if !producer.trim().is_empty() {
        facts.insert("onnx.producer".into(), producer.trim().into());
    }
    facts
}

fn rewrite_error(error: RewriteError) -> CompileError {
    let kind = match error.kind() {
        RewriteErrorKind::InvalidGraph => CompileErrorKind::NotOnnx,
        RewriteErrorKind::TooLarge => CompileErrorKind::TooLarge,
        _ => CompileErrorKind::Unsupported,
    };
    CompileError::because(kind, "the model cannot be compiled", error)
}
