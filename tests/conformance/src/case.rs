//! Reads a test: a model, and data sets of inputs and expected outputs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use prost::Message;
use tensorlet_executor::tract_tensor::from_tract;
use tensorlet_tensor::Tensor;
use tract_onnx::data_resolver::FopenDataResolver;
use tract_onnx::pb::{ModelProto, TensorProto};
use tract_onnx::tensor::load_tensor;

/// A test of the ONNX backend test suite.
pub struct Case {
    /// The name of its folder.
    pub name: String,
    /// Its model.
    pub model: PathBuf,
    /// The names of the model's inputs, in order.
    pub inputs: Vec<String>,
    /// The names of the model's outputs, in order.
    pub outputs: Vec<String>,
    /// Its data sets.
    pub data_sets: Vec<DataSet>,
}

/// Inputs and the outputs expected for them.
pub struct DataSet {
    /// In the model's order.
    pub inputs: Vec<Tensor>,
    /// In the model's order.
    pub outputs: Vec<Tensor>,
}

impl Case {
    /// Reads the test in a folder.
    ///
    /// # Errors
    /// If a file is missing, or holds something else than tensors of numbers or bools.
    pub fn read(folder: &Path) -> Result<Self> {
        let model = folder.join("model.onnx");
        let proto = ModelProto::decode(fs::read(&model)?.as_slice())?;
        let graph = proto.graph.context("no graph")?;
        let mut data_sets = vec![];
        for index in 0.. {
            let data = folder.join(format!("test_data_set_{index}"));
            if !data.is_dir() {
                break;
            }
            data_sets.push(DataSet {
                inputs: read_all(&data, "input")?,
                outputs: read_all(&data, "output")?,
            });
        }
        if data_sets.is_empty() {
            bail!("no data sets");
        }
        Ok(Self {
            name: name_of(folder),
            model,
            inputs: graph.input.into_iter().map(|input| input.name).collect(),
            outputs: graph.output.into_iter().map(|output| output.name).collect(),
            data_sets,
        })
    }
}

/// Returns the folders of all tests, sorted by name.
///
/// # Errors
/// If `root` cannot be read.
pub fn folders(root: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(root).with_context(|| format!("cannot read {}", root.display()))?;
    let mut folders: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("model.onnx").is_file())
        .collect();
    folders.sort();
    Ok(folders)
}

/// Returns the name of a test.
pub fn name_of(folder: &Path) -> String {
    folder
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn read_all(folder: &Path, kind: &str) -> Result<Vec<Tensor>> {
    let mut tensors = vec![];
    for index in 0.. {
        let path = folder.join(format!("{kind}_{index}.pb"));
        if !path.is_file() {
            break;
        }
        let proto = TensorProto::decode(fs::read(&path)?.as_slice());
        let proto = proto.map_err(|_| {
            anyhow::anyhow!("its data holds sequences or optional values, not tensors")
        })?;
        if proto.data_type == 16 {
            bail!("tract has no bfloat16");
        }
        let tensor = load_tensor(&FopenDataResolver, &proto, None).map_err(|_| {
            anyhow::anyhow!(
                "its data is of type {}, which tract does not have",
                proto.data_type
            )
        })?;
        tensors.push(from_tract(&tensor).map_err(|error| anyhow::anyhow!("{error}"))?);
    }
    Ok(tensors)
}
