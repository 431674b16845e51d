//! Tensors in files: `.npy` and `.npz` as numpy writes them, and JSON.
//!
//! A file is a claim: its dims are compared with its length before anything of that size is made, and what does not
//! fit is an error that says what was expected and found.

mod json;
mod npy;
mod npz;

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result};
use tensorlet_tensor::{Tensor, TensorSpec};

use crate::exit::Failure;

pub(crate) use npy::write as write_npy;

/// The most bytes of elements in a file: what a component can address.
const MAX_DATA_BYTES: u64 = 4 << 30;

/// Reads a tensor for the input `spec`. JSON takes its datum type, other files may have another.
///
/// # Errors
/// If the file cannot be read, or is not what its extension says.
pub(crate) fn read(path: &Path, spec: &TensorSpec) -> Result<Tensor> {
    let shown = path.display();
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .map(str::to_ascii_lowercase);
    let open = || {
        File::open(path)
            .map(BufReader::new)
            .with_context(|| format!("cannot read {shown}"))
    };
    let tensor = match extension.as_deref() {
        Some("npy") => npy::read(open()?),
        Some("npz") => npz::read(open()?, &spec.name),
        Some("json") => {
            let mut text = vec![];
            open()?
                .read_to_end(&mut text)
                .with_context(|| format!("cannot read {shown}"))?;
            json::read(&text, spec.datum_type).map_err(anyhow::Error::from)
        }
        _ => Err(
            Failure::input("expected a .npy, .npz or .json file, found another extension").into(),
        ),
    };
    tensor.with_context(|| format!("input `{}`: {shown}", spec.name))
}
