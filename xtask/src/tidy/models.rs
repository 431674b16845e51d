//! The models under `models/` are those that their `model.toml` speaks of.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use xshell::Shell;

use crate::models;

/// The fields of a `model.toml` that this rule reads.
#[derive(Deserialize)]
struct ModelToml {
    name: String,
    file: String,
    sha256: String,
}

/// Returns the models whose name, licence or file is not what it should be.
pub(super) fn check(sh: &Shell) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for name in models::names(sh)? {
        problems.extend(check_model(
            sh,
            &sh.current_dir().join("models").join(name),
        )?);
    }
    Ok(problems)
}

fn check_model(sh: &Shell, folder: &Path) -> Result<Vec<String>> {
    let folder_name = folder.file_name().unwrap_or_default().to_string_lossy();
    let text = sh.read_file(folder.join("model.toml"))?;
    let toml: ModelToml =
        toml::from_str(&text).with_context(|| format!("models/{folder_name}/model.toml"))?;

    let mut problems = Vec::new();
    if toml.name != folder_name {
        problems.push(format!(
            "models/{folder_name}: expected this name in model.toml, found `{}`",
            toml.name
        ));
    }
    if !folder.join("LICENSE").exists() {
        problems.push(format!(
            "models/{folder_name}: expected the model's licence as LICENSE"
        ));
    }
    let digest = hex(&Sha256::digest(
        sh.read_binary_file(folder.join(&toml.file))?,
    ));
    if digest != toml.sha256 {
        let ModelToml { file, sha256, .. } = toml;
        problems.push(format!(
            "models/{folder_name}/{file}: expected the SHA-256 {sha256}, found {digest}"
        ));
    }
    Ok(problems)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[track_caller]
    fn check_toml(toml: &str, files: &[&str], expected: &[&str]) {
        let sh = Shell::new().unwrap();
        let dir = sh.create_temp_dir().unwrap();
        let folder = dir.path().join("vad");
        sh.write_file(folder.join("model.toml"), toml).unwrap();
        for file in files {
            sh.write_file(folder.join(file), "abc").unwrap();
        }
        assert_eq!(check_model(&sh, &folder).unwrap(), expected);
    }

    #[test]
    fn accepts_a_model_as_described() {
        let toml = format!("name = 'vad'\nfile = 'a.onnx'\nsha256 = '{OF_ABC}'\n[postprocess]\n");
        check_toml(&toml, &["a.onnx", "LICENSE"], &[]);
    }

    #[test]
    fn finds_other_bytes_and_names_and_missing_licences() {
        check_toml(
            "name = 'dav'\nfile = 'a.onnx'\nsha256 = '00'\n",
            &["a.onnx"],
            &[
                "models/vad: expected this name in model.toml, found `dav`",
                "models/vad: expected the model's licence as LICENSE",
                &format!("models/vad/a.onnx: expected the SHA-256 00, found {OF_ABC}"),
            ],
        );
    }
}
