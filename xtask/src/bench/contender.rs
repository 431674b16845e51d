//! Who is measured, and how each is started.

use anyhow::{Context as _, Result};
use serde::Serialize;
use xshell::{Shell, cmd};

use super::DIR;
use crate::models::{self, Case, Figures};
use crate::setup::{VENV_DIR, WEB_DIR};

/// Where the program that measures the executor and tract is, from the root.
const NATIVE_BENCH: &str = "target/release/tensorlet-native-bench";

/// Builds what contenders need beside the CLI.
pub(crate) fn build(sh: &Shell) -> Result<()> {
    // The packages are those of the CLI, so that nothing is compiled twice.
    let packages = ["--workspace", "--exclude", "tensorlet-predictor"];
    let options = ["--release", "--target-dir", "target"];
    cmd!(
        sh,
        "cargo build {options...} {packages...} --bin tensorlet-native-bench"
    )
    .run()?;
    Ok(())
}

/// Something that predicts with an ONNX model.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub(crate) enum Contender {
    /// The model as our component, in our host.
    Component,
    /// ONNX Runtime Web in node.
    Web,
    /// The plan and kernels of the component, in native code.
    Executor,
    /// ONNX Runtime in native code.
    Native,
    /// tract in native code.
    Tract,
}

impl Contender {
    /// All, in the order of their turns.
    pub(crate) const ALL: [Self; 5] = [
        Self::Component,
        Self::Web,
        Self::Executor,
        Self::Native,
        Self::Tract,
    ];

    /// What tables call it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Component => "component",
            Self::Web => "ORT Web",
            Self::Executor => "executor",
            Self::Native => "ORT native",
            Self::Tract => "tract native",
        }
    }

    /// Measures a case in a process of its own; `None` if tract does not take the model.
    pub(crate) fn measure(
        self,
        sh: &Shell,
        case: &Case,
        iterations: u32,
    ) -> Result<Option<Figures>> {
        let model = format!("models/{}/model.onnx", case.model);
        let inputs = case.inputs.iter().chain(case.bound);
        let count = iterations.to_string();
        let output = match self {
            Self::Component => {
                let component = format!("{DIR}/{}.wasm", case.model);
                return models::measure(sh, &component, case.inputs, iterations).map(Some);
            }
            Self::Executor => cmd!(sh, "{NATIVE_BENCH} executor {model} {count} {inputs...}")
                .quiet()
                .read(),
            Self::Tract => cmd!(sh, "{NATIVE_BENCH} tract {model} {count} {inputs...}")
                .quiet()
                .ignore_stderr()
                .read(),
            Self::Native => cmd!(
                sh,
                "{VENV_DIR}/bin/python tests/bench/ort_native.py {model} {count} {inputs...}"
            )
            // Set on some machines for old releases of numpy's library; ONNX Runtime does not read them.
            .env_remove("OPENBLAS_CORETYPE")
            .env_remove("OPENBLAS_L2_SIZE")
            .quiet()
            .read(),
            Self::Web => cmd!(
                sh,
                "node tests/bench/ort_web.mjs {WEB_DIR} {model} {count} {inputs...}"
            )
            .quiet()
            .read(),
        };
        if self == Self::Tract && output.is_err() {
            println!("bench: skipped: tract does not take {model} as it is");
            return Ok(None);
        }
        let output = output.with_context(|| format!("{self:?} must predict with {model}"))?;
        models::figures(&output).map(Some)
    }
}
