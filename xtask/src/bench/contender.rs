//! Who is measured, and how each is started.

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use xshell::{Shell, cmd};

use super::{component, model_file};
use crate::models::{self, Case, Figures};
use crate::setup::{VENV_DIR, WEB_DIR};

/// The program that measures what is neither the CLI nor a script, from the root.
pub(crate) const NATIVE_BENCH: &str = "target/release/tensorlet-native-bench";

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

/// Something that predicts with an ONNX model, on one thread if it does not say two.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub(crate) enum Contender {
    /// ONNX Runtime Web in node.
    Web,
    /// The model as our component, which computes by itself, as it does in any other host.
    Guest,
    /// tract in native code.
    Tract,
    /// ONNX Runtime in native code.
    Native,
    /// The plan and kernels of the component, in native code.
    Executor,
    /// The component, with our host computing for it.
    Offloaded,
    /// The same, in a fresh instance for each call.
    Fresh,
    /// ONNX Runtime in native code, on two threads.
    NativeOnTwo,
    /// The plan and kernels of the component, in native code, on two threads.
    ExecutorOnTwo,
    /// The component, with our host computing for it on two threads.
    OffloadedOnTwo,
}

impl Contender {
    /// Those with one thread, in the order of their turns.
    pub(crate) const ON_ONE: [Self; 7] = [
        Self::Web,
        Self::Guest,
        Self::Tract,
        Self::Native,
        Self::Executor,
        Self::Offloaded,
        Self::Fresh,
    ];

    /// Those with two, for machines with as many cores.
    pub(crate) const ON_TWO: [Self; 3] =
        [Self::NativeOnTwo, Self::ExecutorOnTwo, Self::OffloadedOnTwo];

    /// What tables call it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Web => "ORT Web",
            Self::Guest => "in guest",
            Self::Tract => "tract",
            Self::Native | Self::NativeOnTwo => "ORT",
            Self::Executor | Self::ExecutorOnTwo => "executor",
            Self::Offloaded | Self::OffloadedOnTwo => "offloaded",
            Self::Fresh => "fresh",
        }
    }

    fn threads(self) -> &'static str {
        match Self::ON_TWO.contains(&self) {
            true => "2",
            false => "1",
        }
    }

    /// Measures a case in a process of its own; `None` if tract does not take the model.
    pub(crate) fn measure(
        self,
        sh: &Shell,
        case: &Case,
        iterations: u32,
    ) -> Result<Option<Figures>> {
        let threads = self.threads();
        let options = match self {
            Self::Guest => &["--no-offload"][..],
            Self::Offloaded | Self::OffloadedOnTwo => &["--threads", threads],
            Self::Fresh => &["--threads", threads, "--fresh"],
            _ => return self.measure_peer(sh, case, iterations),
        };
        let component = component(case.model);
        let figures = models::measure_with(sh, &component, case.inputs, iterations, options)?;
        let expected = self != Self::Guest;
        ensure!(
            figures.offloaded == Some(expected),
            "{}, {self:?}: expected `offloaded` to be {expected}, found {:?}",
            case.model,
            figures.offloaded
        );
        Ok(Some(figures))
    }

    fn measure_peer(self, sh: &Shell, case: &Case, iterations: u32) -> Result<Option<Figures>> {
        let model = model_file(case.model);
        let inputs = case.inputs.iter().chain(case.bound);
        let count = iterations.to_string();
        let threads = ["--threads", self.threads()];
        let output = match self {
            Self::Tract => cmd!(sh, "{NATIVE_BENCH} tract {model} {count} {inputs...}")
                .quiet()
                .ignore_stderr()
                .read()
                .map_err(Into::into),
            Self::Web => cmd!(
                sh,
                "node tests/bench/ort_web.mjs {WEB_DIR} {model} {count} {inputs...}"
            )
            .quiet()
            .read()
            .map_err(Into::into),
            Self::Native | Self::NativeOnTwo => {
                let arguments = [&*model, &*count].into_iter().chain(threads);
                let arguments = arguments.chain(inputs.copied());
                python(sh, "ort_native.py", arguments)
            }
            _ => cmd!(
                sh,
                "{NATIVE_BENCH} executor {model} {count} {threads...} {inputs...}"
            )
            .quiet()
            .read()
            .map_err(Into::into),
        };
        if self == Self::Tract && output.is_err() {
            println!("bench: skipped: tract does not take {model} as it is");
            return Ok(None);
        }
        let output = output.with_context(|| format!("{self:?} must predict with {model}"))?;
        models::figures(&output).map(Some)
    }
}

/// Runs a script that measures ONNX Runtime; returns what it printed.
pub(crate) fn python<'a>(
    sh: &Shell,
    script: &str,
    arguments: impl IntoIterator<Item = &'a str>,
) -> Result<String> {
    let output = cmd!(
        sh,
        "{VENV_DIR}/bin/python -B tests/bench/{script} {arguments...}"
    )
    // Set on some machines for old releases of numpy's library; ONNX Runtime does not read them.
    .env_remove("OPENBLAS_CORETYPE")
    .env_remove("OPENBLAS_L2_SIZE")
    .quiet()
    .read()?;
    Ok(output)
}
