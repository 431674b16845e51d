//! Reads ONNX files, with what they keep in other files.
//!
//! External data is read from below the model's folder and nowhere else: a model cannot make the compiler read
//! what its author could not.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use prost::Message;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, TensorProto};

use crate::error::{CompileError, CompileErrorKind};

/// The most bytes an ONNX file may have: protobuf's own limit.
const MAX_FILE_BYTES: u64 = 2 << 30;

/// The most bytes of constants a model may have, as a component addresses 4 GiB.
const MAX_CONSTANT_BYTES: u64 = 2 << 30;

/// A model and the bytes it was read from.
pub(crate) struct Source {
    pub(crate) model: ModelProto,
    pub(crate) bytes: Vec<u8>,
}

/// Reads a model, with its external data inlined.
///
/// # Errors
/// If a file cannot be read, is no ONNX model, or refers to data outside of the model's folder.
pub(crate) fn read(path: &Path) -> Result<Source, CompileError> {
    let shown = path.display();
    let metadata = fs::metadata(path)
        .map_err(|error| CompileError::io(format!("cannot read {shown}"), error))?;
    if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
        let found = if metadata.is_file() {
            format!("{} bytes", metadata.len())
        } else {
            "no regular file".into()
        };
        let message = format!(
            "{shown}: expected an ONNX file of at most {MAX_FILE_BYTES} bytes, found {found}"
        );
        return Err(CompileError::new(CompileErrorKind::NotOnnx, message));
    }
    let bytes =
        fs::read(path).map_err(|error| CompileError::io(format!("cannot read {shown}"), error))?;
    let mut model = decode(&bytes).map_err(|found| {
        let message = format!("{shown}: expected an ONNX model, found {found}");
        CompileError::new(CompileErrorKind::NotOnnx, message)
    })?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    External::new(folder)?.inline_graph(model.graph.as_mut().expect("`decode` found a graph"))?;
    Ok(Source { model, bytes })
}

fn decode(bytes: &[u8]) -> Result<ModelProto, String> {
    if bytes.is_empty() {
        return Err("an empty file".into());
    }
    let model =
        ModelProto::decode(bytes).map_err(|error| format!("other or truncated bytes ({error})"))?;
    if model.graph.is_none() {
        return Err("no graph in it".into());
    }
    if model.opset_import.is_empty() {
        return Err("no operator set in it".into());
    }
    Ok(model)
}

/// The external data of one model.
struct External {
    /// Canonical.
    folder: PathBuf,
    files: HashMap<PathBuf, File>,
    total_bytes: u64,
}

impl External {
    fn new(folder: &Path) -> Result<Self, CompileError> {
        let folder = folder.canonicalize().map_err(|error| {
            CompileError::io(format!("cannot read {}", folder.display()), error)
        })?;
        Ok(Self {
            folder,
            files: HashMap::new(),
            total_bytes: 0,
        })
    }

    fn inline_graph(&mut self, graph: &mut GraphProto) -> Result<(), CompileError> {
        for tensor in &mut graph.initializer {
            self.inline(tensor)?;
        }
        for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
            self.inline_attribute(attribute)?;
        }
        Ok(())
    }

    fn inline_attribute(&mut self, attribute: &mut AttributeProto) -> Result<(), CompileError> {
        for tensor in attribute.t.iter_mut().chain(&mut attribute.tensors) {
            self.inline(tensor)?;
        }
        for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
            self.inline_graph(graph)?;
        }
        Ok(())
    }

    fn inline(&mut self, tensor: &mut TensorProto) -> Result<(), CompileError> {
        if tensor.data_location != Some(DataLocation::External as i32) {
            return Ok(());
        }
        let invalid = |name: &str, reason: String| {
            CompileError::new(
                CompileErrorKind::ExternalData,
                format!("tensor `{name}`: {reason}"),
            )
        };
        let data = self
            .load(tensor)
            .map_err(|reason| invalid(&tensor.name, reason))?;
        tensor.raw_data = data;
        tensor.external_data.clear();
        tensor.data_location = None;
        Ok(())
    }

    fn load(&mut self, tensor: &TensorProto) -> Result<Vec<u8>, String> {
        let entry = |key: &str| {
            tensor
                .external_data
                .iter()
                .find(|e| e.key == key)
                .map(|e| e.value.as_str())
        };
        let number = |key: &str| match entry(key) {
            Some(text) => text
                .parse::<u64>()
                .map(Some)
                .map_err(|_| format!("expected its external {key} to be a number, found `{text}`")),
            None => Ok(None),
        };
        let location =
            entry("location").ok_or("expected the location of its external data, found none")?;
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
        let path = self.resolve(location)?;
        let expected = data_len(tensor)?;

        if !self.files.contains_key(&path) {
            let file = File::open(&path)
                .map_err(|error| format!("cannot read external data `{location}`: {error}"))?;
            self.files.insert(path.clone(), file);
        }
        let file = self.files.get_mut(&path).expect("it was just inserted");
        let file_bytes = file
            .metadata()
            .map_err(|error| format!("cannot read external data `{location}`: {error}"))?
            .len();
        let length = length.unwrap_or(file_bytes.saturating_sub(offset));
        if length != expected {
            return Err(format!(
                "expected {expected} bytes of external data, as its dims say, found {length}"
            ));
        }
        if offset
            .checked_add(length)
            .is_none_or(|end| end > file_bytes)
        {
            return Err(format!(
                "expected external data at {offset}, {length} bytes, found `{location}` of {file_bytes} bytes"
            ));
        }
        self.total_bytes += length;
        if self.total_bytes > MAX_CONSTANT_BYTES {
            return Err(format!(
                "expected at most {MAX_CONSTANT_BYTES} bytes of external data, found more"
            ));
        }
        let mut data = vec![0; usize::try_from(length).map_err(|error| error.to_string())?];
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| file.read_exact(&mut data))
            .map_err(|error| format!("cannot read external data `{location}`: {error}"))?;
        Ok(data)
    }

    /// Returns the canonical path of a file below the folder.
    fn resolve(&self, location: &str) -> Result<PathBuf, String> {
        let relative = Path::new(location);
        let escapes = |found: String| {
            format!("expected external data below the model's folder, found {found}")
        };
        if relative
            .components()
            .any(|part| !matches!(part, Component::Normal(_) | Component::CurDir))
        {
            return Err(escapes(format!("`{location}`")));
        }
        let path = self.folder.join(relative);
        let path = path
            .canonicalize()
            .map_err(|error| format!("cannot read external data `{location}`: {error}"))?;
        if !path.starts_with(&self.folder) {
            return Err(escapes(format!("`{location}`, which leads elsewhere")));
        }
        if !path.is_file() {
            return Err(format!(
                "expected external data in a regular file, found `{location}`"
            ));
        }
        Ok(path)
    }
}

/// Returns how many bytes the tensor's dims and type ask for.
fn data_len(tensor: &TensorProto) -> Result<u64, String> {
    let width = match DataType::try_from(tensor.data_type) {
        Ok(DataType::Bool | DataType::Int8 | DataType::Uint8) => 1,
        Ok(DataType::Int16 | DataType::Uint16 | DataType::Float16 | DataType::Bfloat16) => 2,
        Ok(DataType::Int32 | DataType::Uint32 | DataType::Float) => 4,
        Ok(DataType::Int64 | DataType::Uint64 | DataType::Double | DataType::Complex64) => 8,
        _ => {
            return Err(format!(
                "expected external data of numbers, found data type {}",
                tensor.data_type
            ));
        }
    };
    tensor
        .dims
        .iter()
        .try_fold(width, |len: u64, &dim| {
            len.checked_mul(u64::try_from(dim).ok()?)
        })
        .ok_or_else(|| {
            format!(
                "expected dims whose product fits in memory, found {:?}",
                tensor.dims
            )
        })
}
