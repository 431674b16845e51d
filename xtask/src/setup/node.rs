//! What comes from npm: ONNX Runtime Web, and node to run it.

use anyhow::{Context as _, Result};
use xshell::{Shell, cmd};

const NAME: &str = "onnxruntime-web";

const VERSION: &str = "1.30.0";

/// The oldest major version of node that will do.
const NODE_MAJOR: u32 = 18;

/// Where ONNX Runtime Web is, in `node_modules/`.
pub(crate) const WEB_DIR: &str = "target/bench/web";

/// Debian packages missing for [`onnx_runtime_web`].
pub(super) fn missing_packages(sh: &Shell) -> Vec<&'static str> {
    let version = cmd!(sh, "node --version")
        .quiet()
        .ignore_stderr()
        .read()
        .unwrap_or_default();
    let mut missing = Vec::new();
    if major(&version).is_none_or(|major| major < NODE_MAJOR) {
        missing.push("nodejs");
    }
    if !is_there(sh)
        && cmd!(sh, "npm --version")
            .quiet()
            .ignore_stderr()
            .read()
            .is_err()
    {
        missing.push("npm");
    }
    missing
}

/// Installs ONNX Runtime Web, from files that npm verifies and without running scripts of theirs.
pub(super) fn onnx_runtime_web(sh: &Shell) -> Result<()> {
    if is_there(sh) {
        return Ok(());
    }
    println!("setup: fetching {NAME} {VERSION} into {WEB_DIR}");
    sh.create_dir(WEB_DIR)?;
    let options = [
        "--no-audit",
        "--no-fund",
        "--no-save",
        "--ignore-scripts",
        "--loglevel=error",
    ];
    cmd!(
        sh,
        "npm install --prefix {WEB_DIR} {options...} {NAME}@{VERSION}"
    )
    .run()
    .with_context(|| format!("expected npm to find {NAME} {VERSION}"))
}

fn is_there(sh: &Shell) -> bool {
    let manifest = sh
        .read_file(format!("{WEB_DIR}/node_modules/{NAME}/package.json"))
        .unwrap_or_default();
    serde_json::from_str::<serde_json::Value>(&manifest)
        .is_ok_and(|manifest| manifest["version"] == VERSION)
}

fn major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_major_version() {
        assert_eq!(major("v20.20.2"), Some(20));
        assert_eq!(major("v8.1.0"), Some(8));
        assert_eq!(major(""), None);
    }
}
