//! Who is measured, and how each is started.

use anyhow::{Context as _, Result};
use serde::Serialize;
use xshell::{Shell, cmd};

use super::DIR;
use crate::models::{self, Case, Figures};
use crate::setup::{VENV_DIR, WEB_DIR};

/// Something that predicts with an ONNX model.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub(crate) enum Contender {
    /// The model as our component, in our host.
    Component,
    /// ONNX Runtime in native code.
    Native,
    /// ONNX Runtime Web in node.
    Web,
}

impl Contender {
    /// All, in the order of their turns.
    pub(crate) const ALL: [Self; 3] = [Self::Component, Self::Native, Self::Web];

    /// What tables call it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Component => "component",
            Self::Native => "ORT native",
            Self::Web => "ORT Web",
        }
    }

    /// Measures a case in a process of its own.
    pub(crate) fn measure(self, sh: &Shell, case: &Case, iterations: u32) -> Result<Figures> {
        let model = format!("models/{}/model.onnx", case.model);
        let inputs = case.inputs.iter().chain(case.bound);
        let count = iterations.to_string();
        let output = match self {
            Self::Component => {
                let component = format!("{DIR}/{}.wasm", case.model);
                return models::measure(sh, &component, case.inputs, iterations);
            }
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
        let output = output.with_context(|| format!("{self:?} must predict with {model}"))?;
        models::figures(&output)
    }
}
