//! What is to be built: an ONNX file, and what the command line or a `model.toml` says of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use tensorlet_answer::{
    Constant, InvalidConstant, LABELS_KEY, MODEL_TOML_KEY, ModelToml, Preprocess,
};
use tensorlet_compile::{AnswererKind, Answers, BuildOptions, Literal};
use tensorlet_tensor::DatumType;

use crate::args::BuildArgs;
use crate::exit::Failure;
use crate::output_file;
use crate::units::hex;

/// The version of a model that nobody gave one: the first, as model repositories count.
const DEFAULT_VERSION: &str = "1";

/// The name of the file that says what a folder's model is.
const MODEL_TOML: &str = "model.toml";

/// What is to be built.
#[derive(Debug)]
pub(super) struct Source {
    /// The ONNX file.
    pub(super) onnx: PathBuf,
    /// What else the compiler is told.
    pub(super) options: BuildOptions,
    /// What the folder says of the model.
    pub(super) toml: Option<ModelToml>,
}

impl Source {
    /// Reads the model.toml, if the model is a folder, and puts the command line's wishes over it.
    ///
    /// # Errors
    /// If the folder has no valid model.toml, or a file that differs from what that says.
    pub(super) fn resolve(args: &BuildArgs) -> Result<Self> {
        let mut source = if args.model.is_dir() {
            Self::of_folder(&args.model)?
        } else {
            Self::of_file(&args.model)
        };
        let options = &mut source.options;
        if let Some(name) = &args.name {
            options.name.clone_from(name);
        }
        if let Some(version) = &args.version {
            options.version.clone_from(version);
        }
        let is_given = |name: &str| {
            args.inputs.iter().any(|spec| spec.name == name)
                || args.bind.iter().any(|(bound, _)| bound == name)
        };
        options.inputs.retain(|spec| !is_given(&spec.name));
        options.bind.retain(|name, _| !is_given(name));
        options.lean = args.lean;
        options.http = args.http;
        options.inputs.extend_from_slice(&args.inputs);
        for (name, literal) in &args.bind {
            if options.bind.insert(name.clone(), literal.clone()).is_some() {
                return Err(Failure::usage(format!(
                    "--bind: expected `{name}` once, found it more than once"
                ))
                .into());
            }
        }
        Ok(source)
    }

    fn of_file(onnx: &Path) -> Self {
        let options = BuildOptions {
            name: name_of_file(onnx),
            version: DEFAULT_VERSION.into(),
            ..BuildOptions::default()
        };
        Self {
            onnx: onnx.to_owned(),
            options,
            toml: None,
        }
    }

    fn of_folder(folder: &Path) -> Result<Self> {
        let path = folder.join(MODEL_TOML);
        if !path.exists() {
            let folder = folder.display();
            let message = format!(
                "{folder}: expected a folder with a {MODEL_TOML}, or an ONNX file; found no {MODEL_TOML}"
            );
            return Err(Failure::model(message).into());
        }
        let text = read_text(&path)?;
        let toml = ModelToml::parse(&text).with_context(|| folder.display().to_string())?;
        let labels = toml
            .labels_path()
            .map(|labels| read_text(&folder.join(labels)))
            .transpose()?;
        if toml.postprocess.is_some() {
            // Labels that do not fit are found now rather than by those who predict.
            toml.answerer(labels.as_deref())
                .with_context(|| path.display().to_string())?;
        }
        let answers = answers(&toml, &text, labels.as_deref());
        let onnx = folder.join(&toml.file);
        check_sha256(&onnx, &toml.sha256)?;

        let mut metadata = BTreeMap::from([
            (MODEL_TOML_KEY.to_owned(), text),
            ("source".to_owned(), toml.source.clone()),
            ("licence".to_owned(), toml.licence.clone()),
        ]);
        let description = toml.description.iter();
        metadata
            .extend(description.map(|description| ("description".to_owned(), description.clone())));
        metadata.extend(labels.map(|labels| (LABELS_KEY.to_owned(), labels)));
        let bound = toml.bind.iter();
        let bind: Result<_, InvalidConstant> = bound
            .map(|(name, constant)| Ok((name.clone(), literal(constant)?)))
            .collect();
        let options = BuildOptions {
            name: toml.name.clone(),
            version: toml.version.clone(),
            inputs: toml.inputs.clone(),
            bind: bind?,
            metadata,
            answers,
            ..BuildOptions::default()
        };
        Ok(Self {
            onnx,
            options,
            toml: Some(toml),
        })
    }
}

/// Returns how files become answers, if the model is declared to answer.
fn answers(toml: &ModelToml, text: &str, labels: Option<&str>) -> Option<Answers> {
    toml.postprocess.as_ref()?;
    let kind = match toml.preprocess.as_ref()? {
        Preprocess::Picture(_) => AnswererKind::Picture,
        Preprocess::Bytes(_) => AnswererKind::Bytes,
        Preprocess::Audio(_) => AnswererKind::Audio,
    };
    Some(Answers {
        kind,
        model_toml: text.into(),
        labels: labels.map(Into::into),
    })
}

/// Returns the stem of the file; for `model.onnx`, which says nothing, the name of its folder.
fn name_of_file(onnx: &Path) -> String {
    let text =
        |name: Option<&std::ffi::OsStr>| name.map(|name| name.to_string_lossy().into_owned());
    let stem = text(onnx.file_stem()).filter(|stem| stem != "model");
    let folder = || text(onnx.canonicalize().ok()?.parent()?.file_name());
    output_file::name(&stem.or_else(folder).unwrap_or_else(|| "model".into()))
}

fn read_text(path: &Path) -> Result<String> {
    let shown = path.display();
    let bytes = fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    String::from_utf8(bytes).map_err(|_| {
        Failure::model(format!(
            "{shown}: expected text in UTF-8, found other bytes"
        ))
        .into()
    })
}

fn check_sha256(onnx: &Path, expected: &str) -> Result<()> {
    let shown = onnx.display();
    let mut file = fs::File::open(onnx).with_context(|| format!("cannot read {shown}"))?;
    let mut hasher = HashWriter(Sha256::new());
    std::io::copy(&mut file, &mut hasher).with_context(|| format!("cannot read {shown}"))?;
    let found = hex(&hasher.0.finalize());
    if found == expected {
        return Ok(());
    }
    Err(Failure::model(format!(
        "{shown}: expected sha256 {expected}, as {MODEL_TOML} says, found {found}"
    ))
    .into())
}

/// Hashes what is written to it.
struct HashWriter(Sha256);

impl std::io::Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Returns the constant as the compiler takes it, without a datum type.
///
/// A constant holds bools, whole numbers or others, and each type below takes only those before it.
fn literal(constant: &Constant) -> Result<Literal, InvalidConstant> {
    let tensor = |datum_type| constant.to_tensor(datum_type);
    let (dims, scalars): (_, Vec<Literal>) = if let Ok(bools) = tensor(DatumType::Bool) {
        (
            constant.dims(),
            bools
                .data()
                .iter()
                .map(|&byte| Literal::Bool(byte != 0))
                .collect(),
        )
    } else if let Ok(integers) = tensor(DatumType::I64) {
        (
            constant.dims(),
            integers
                .to_values::<i64>()
                .into_iter()
                .flatten()
                .map(Literal::Int)
                .collect(),
        )
    } else {
        let floats = tensor(DatumType::F64)?;
        (
            constant.dims(),
            floats
                .to_values::<f64>()
                .into_iter()
                .flatten()
                .map(Literal::Float)
                .collect(),
        )
    };
    Ok(nested(dims, &mut scalars.into_iter()))
}

fn nested(dims: &[u32], scalars: &mut impl Iterator<Item = Literal>) -> Literal {
    match dims.split_first() {
        None => scalars
            .next()
            .expect("a tensor has as many elements as its dims say"),
        Some((&len, rest)) => Literal::List((0..len).map(|_| nested(rest, scalars)).collect()),
    }
}

#[cfg(test)]
mod tests;
