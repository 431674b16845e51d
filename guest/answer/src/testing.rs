//! What the tests of several modules share.

use std::path::PathBuf;

use tensorlet_tensor::Tensor;

use crate::{InvalidModelToml, ModelToml};

/// A `model.toml` with the fields that are required, then `rest` from line 6 on.
pub(crate) fn model_toml(rest: &str) -> Result<ModelToml, InvalidModelToml> {
    let sha256 = "0123456789abcdef".repeat(4);
    ModelToml::parse(&format!(
        "name = \"a\"\nversion = \"1\"\nsource = \"ours\"\nlicence = \"MIT\"\nsha256 = \"{sha256}\"\n{rest}"
    ))
}

/// Reads a file of `models/`.
pub(crate) fn model_file(path: &str) -> Vec<u8> {
    let models = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models");
    std::fs::read(models.join(path)).unwrap_or_else(|error| panic!("models/{path}: {error}"))
}

/// Reads and checks `models/<name>/model.toml`.
pub(crate) fn model(name: &str) -> ModelToml {
    let text = String::from_utf8(model_file(&format!("{name}/model.toml"))).unwrap();
    ModelToml::parse(&text).unwrap()
}

/// Reads the elements of an `.npy` file of `models/`, each of four bytes.
pub(crate) fn npy<T>(path: &str, from_bytes: fn([u8; 4]) -> T) -> Vec<T> {
    let file = model_file(path);
    let header_len = usize::from(u16::from_le_bytes([file[8], file[9]]));
    let (elements, rest) = file[10 + header_len..].as_chunks();
    assert!(file.starts_with(b"\x93NUMPY\x01") && rest.is_empty());
    elements.iter().map(|&bytes| from_bytes(bytes)).collect()
}

/// Calls `check` with each start of `file`, and with `file` after each of some changes to each byte.
pub(crate) fn damage(file: &[u8], mut check: impl FnMut(&[u8])) {
    for len in 0..file.len() {
        check(&file[..len]);
    }
    let mut damaged = file.to_vec();
    for index in 0..file.len() {
        for change in [0x01, 0x80, 0xff, file[index]] {
            damaged[index] = file[index] ^ change;
            check(&damaged);
        }
        damaged[index] = file[index];
    }
}

/// Makes an output of one row.
pub(crate) fn row(values: &[f32]) -> Tensor {
    Tensor::from_values(vec![1, values.len() as u32], values).unwrap()
}
