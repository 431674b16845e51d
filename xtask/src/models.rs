//! The models under `models/`, and what they are measured with.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use xshell::{Shell, cmd};

use crate::build::CLI;

/// One model with inputs of one size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    /// The model's folder under `models/`.
    pub(crate) model: &'static str,
    /// What is measured, for people.
    pub(crate) input: &'static str,
    /// Inputs as `name:type[dims]`, no symbols.
    pub(crate) inputs: &'static [&'static str],
    /// Inputs that only the ONNX file has, bound to a constant in the component, as `name:type[dims]=value`.
    pub(crate) bound: &'static [&'static str],
    /// Steady predictions a round: about a second for the slowest contender.
    pub(crate) iterations: u32,
}

/// What is measured, a model's main case first.
pub(crate) const CASES: &[Case] = &[
    Case {
        model: "efficientnet-lite0",
        input: "1×3×224×224",
        inputs: &["input:f32[1,3,224,224]"],
        bound: &[],
        iterations: 30,
    },
    Case {
        model: "efficientnet-lite0",
        input: "8×3×224×224",
        inputs: &["input:f32[8,3,224,224]"],
        bound: &[],
        iterations: 5,
    },
    Case {
        model: "magika",
        input: "1×2048 i32",
        inputs: &["bytes:i32[1,2048]"],
        bound: &[],
        iterations: 60,
    },
    Case {
        model: "ppocr-cls",
        input: "1×3×48×192",
        inputs: &["x:f32[1,3,48,192]"],
        bound: &[],
        iterations: 500,
    },
    Case {
        model: "silero-vad",
        input: "1×576 and state",
        inputs: &["input:f32[1,576]", "state:f32[2,1,128]"],
        bound: &["sr:i64[]=16000"],
        iterations: 4000,
    },
];

/// What one process measured of one case: the output of `tensorlet bench --json` and of the peers' scripts.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Figures {
    pub(crate) load_ms: f64,
    /// Only components are instantiated.
    pub(crate) instantiate_ms: Option<f64>,
    pub(crate) first_ms: f64,
    pub(crate) min_ms: f64,
    pub(crate) median_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) rss_bytes: u64,
    /// Whether the host computed for the component. Only components say.
    pub(crate) offloaded: Option<bool>,
}

/// Names the folders under `models/` that hold a model, in order.
pub(crate) fn names(sh: &Shell) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for path in sh.read_dir("models")? {
        if path.join("model.toml").exists() {
            let name = path.file_name().context("expected a folder with a name")?;
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Compiles a model to `dir`; returns the component's path and how long it took.
pub(crate) fn compile(sh: &Shell, model: &str, dir: &str) -> Result<(String, Duration)> {
    let component = format!("{dir}/{model}.wasm");
    sh.create_dir(dir)?;
    let start = now();
    cmd!(sh, "{CLI} build models/{model} -o {component}").run()?;
    Ok((component, start.elapsed()))
}

/// Measures a component in a process of its own, computed as it is by default.
pub(crate) fn measure(
    sh: &Shell,
    component: &str,
    inputs: &[&str],
    iterations: u32,
) -> Result<Figures> {
    measure_with(sh, component, inputs, iterations, &[])
}

/// As [`measure`], with more options of `tensorlet bench`.
pub(crate) fn measure_with(
    sh: &Shell,
    component: &str,
    inputs: &[&str],
    iterations: u32,
    options: &[&str],
) -> Result<Figures> {
    let iterations = iterations.to_string();
    let inputs = inputs.iter().flat_map(|input| ["--input", input]);
    let output = cmd!(
        sh,
        "{CLI} bench {component} --json --iterations {iterations} {options...} {inputs...}"
    )
    .quiet()
    .read()?;
    figures(&output)
}

/// Reads what a contender printed.
pub(crate) fn figures(output: &str) -> Result<Figures> {
    serde_json::from_str(output)
        .with_context(|| format!("expected figures as JSON, found `{output}`"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is where xtask measures time"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_is_a_model_of_the_repository() {
        let sh = Shell::new().unwrap();
        sh.change_dir(crate::root());
        let names = names(&sh).unwrap();
        for case in CASES {
            assert!(
                names.iter().any(|name| name == case.model),
                "{} must be under models/",
                case.model
            );
        }
    }

    #[test]
    fn reads_figures_of_components_and_of_peers() {
        let common = r#""load_ms": 1.5, "first_ms": 2, "min_ms": 1, "median_ms": 1, "p99_ms": 3, "rss_bytes": 4096"#;
        let own = r#""instantiate_ms": 0.1, "offloaded": true"#;
        let component = figures(&format!("{{{common}, {own}}}")).unwrap();
        assert_eq!(component.instantiate_ms, Some(0.1));
        assert_eq!(component.offloaded, Some(true));
        let peer = figures(&format!("{{{common}}}")).unwrap();
        assert_eq!((peer.instantiate_ms, peer.rss_bytes), (None, 4096));
        assert_eq!(peer.offloaded, None);
        assert!(figures("Segmentation fault").is_err());
    }
}
