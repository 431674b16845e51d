//! From an ONNX file to a component.

use std::collections::BTreeMap;
use std::path::Path;

use sha2::{Digest, Sha256};
use tensorlet_plan::{Description, Plan};
use tensorlet_runtime::Engine;
use tensorlet_tensor::{Signature, TensorSpec};
use tract_onnx::pb::ModelProto;

use crate::error::{CompileError, CompileErrorKind};
use crate::literal::Literal;
use crate::rewrite::{RewriteError, RewriteErrorKind, Rewritten, rewrite};
use crate::{inputs, lower, rows, snapshot, source, trim};

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
}

/// A model, compiled.
#[derive(Clone, Debug)]
pub struct Built {
    /// The component's bytes.
    pub component: Vec<u8>,
    /// How many bytes the ONNX file has, without external data.
    pub onnx_bytes: u64,
    /// The operators of the model and how often each occurs.
    pub operators: BTreeMap<String, u32>,
}

/// Compiles the model in an ONNX file into a component.
///
/// `predictor` is the component of `guest/predictor`; `engine` runs it twice, so one that compiles quickly serves best.
/// The same inputs give the same bytes.
///
/// # Errors
/// If the file or what it refers to cannot be read, is no ONNX model, or cannot be computed.
pub fn build(
    engine: &Engine,
    predictor: &[u8],
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
    let operators = plan.operators();
    drop(plan);

    let mut component = snapshot::snapshot(engine, predictor, &bytes, progress)?;
    trim::append_plan_header(&mut component, &header);
    Ok(Built {
        component,
        onnx_bytes,
        operators,
    })
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
    let operators = lower::count_operators(&model);
    let mut metadata = options.metadata.clone();
    metadata.extend(facts(&model, &bytes));
    let onnx_bytes = bytes.len() as u64;
    drop(bytes);

    let graph = model.graph.as_mut().expect("`source::read` found a graph");
    inputs::resolve(graph, &options.inputs, &options.bind)?;
    let rewritten = rewrite(model.clone()).map_err(rewrite_error)?;
    let signature = Signature::new(rewritten.inputs.clone(), rewritten.outputs.clone());
    let one_row = one_row(model, &rewritten, &signature);
    let subgraph = one_row
        .as_ref()
        .map_or(&rewritten.model, |one_row| &one_row.model);
    let description = Description {
        name: options.name.clone(),
        version: options.version.clone(),
        signature,
        metadata,
    };
    Ok((
        lower::lower(description, subgraph, one_row.is_some(), operators),
        onnx_bytes,
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
    rewrite(model).ok()
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
