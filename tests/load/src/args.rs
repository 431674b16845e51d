//! What can be typed, and what it means.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context as _, Result, ensure};
use clap::{Args as ClapArgs, Parser, Subcommand};

use crate::http;
use crate::inputs::{FreeDim, Sizes};
use crate::load::{Config, Pattern};

/// Puts load on a server of models, and tells latency, goodput and refusals
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) target: TargetArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TargetArgs {
    /// A server that speaks the Open Inference Protocol, version 2, over HTTP
    Http(HttpArgs),
    /// The library, with a folder of models, in the generator's own process
    Library(LibraryArgs),
}

#[derive(ClapArgs, Debug)]
pub(crate) struct LibraryArgs {
    /// Folder of MODEL/VERSION/model.wasm
    pub(crate) folder: PathBuf,
    /// The model to call
    pub(crate) model: String,
    /// Look for new versions this often, in seconds
    #[arg(long)]
    pub(crate) watch: Option<f64>,
    /// Keep components compiled for this machine in this folder
    #[arg(long, default_value = "target/load/cache")]
    pub(crate) cache_dir: PathBuf,
    #[command(flatten)]
    pub(crate) inputs: InputArgs,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(ClapArgs, Debug)]
pub(crate) struct InputArgs {
    /// The size of axis 0, where it is free
    #[arg(long, default_value_t = 1)]
    pub(crate) rows: u64,
    /// The size of another free dim
    #[arg(long = "dim", value_name = "NAME/AXIS=SIZE")]
    dims: Vec<FreeDim>,
    /// How many different calls come round
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=4096))]
    bodies: u32,
}

#[derive(ClapArgs, Debug)]
pub(crate) struct HttpArgs {
    /// Where the server is, such as http://127.0.0.1:8000
    pub(crate) url: String,
    /// The model to call
    pub(crate) model: String,
    /// The version of the model; the server chooses by default
    #[arg(long)]
    model_version: Option<String>,
    /// Send and ask for tensors as raw bytes, not as JSON
    #[arg(long)]
    pub(crate) binary: bool,
    #[command(flatten)]
    pub(crate) inputs: InputArgs,
    /// Compare each answer with the first one to the same call, bit by bit or within a tolerance
    #[arg(
        long,
        value_name = "TOLERANCE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "0"
    )]
    verify: Option<f64>,
    /// A header of each call
    #[arg(long = "header", value_name = "NAME:VALUE")]
    headers: Vec<String>,
    /// A parameter of each call; a value that is not JSON is text
    #[arg(long = "parameter", value_name = "NAME=VALUE")]
    parameters: Vec<String>,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(ClapArgs, Debug)]
pub(crate) struct LoadArgs {
    #[command(flatten)]
    pattern: PatternArgs,
    /// Call another model meanwhile, in an open loop
    #[arg(long, value_name = "MODEL=CALLS/S")]
    pub(crate) beside: Vec<Beside>,
    /// How long to measure, in seconds
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// How long to make calls before that, in seconds
    #[arg(long, default_value_t = 2.0)]
    warm_up: f64,
    /// How long after its arrival a call may have no answer, in seconds
    #[arg(long, default_value_t = 5.0)]
    timeout: f64,
    /// How many calls may be under way; those that arrive meanwhile are dropped
    #[arg(long, default_value_t = 16384, conflicts_with = "closed")]
    max_in_flight: usize,
    /// Decides arrivals and inputs
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many threads make calls, each a share of them
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

#[derive(ClapArgs, Debug)]
#[group(required = true, multiple = false)]
struct PatternArgs {
    /// Open loop: so many calls arrive a second, at random
    #[arg(long, value_name = "CALLS/S")]
    rate: Option<f64>,
    /// Closed loop: so many callers, each of whom waits for its answer before it calls again
    #[arg(long, value_name = "CALLERS")]
    closed: Option<usize>,
}

#[derive(ClapArgs, Debug)]
pub(crate) struct OutputArgs {
    /// Write all figures and histograms to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write every call to this file, as CSV
    #[arg(long, value_name = "FILE")]
    pub(crate) samples: Option<PathBuf>,
}

impl HttpArgs {
    pub(crate) fn config(&self) -> Result<http::Config> {
        let parameter = |text: &String| {
            let (name, value) = text
                .split_once('=')
                .with_context(|| format!("--parameter: expected NAME=VALUE, found `{text}`"))?;
            let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
            Ok((name.to_owned(), value))
        };
        let header = |text: &String| {
            let (name, value) = text
                .split_once(':')
                .with_context(|| format!("--header: expected NAME:VALUE, found `{text}`"))?;
            Ok((name.to_owned(), value.trim().to_owned()))
        };
        Ok(http::Config {
            url: self.url.clone(),
            model: self.model.clone(),
            version: self.model_version.clone(),
            is_binary: self.binary,
            sizes: self.inputs.sizes(),
            bodies: self.inputs.bodies(),
            seed: self.load.seed,
            tolerance: self.verify,
            headers: self.headers.iter().map(header).collect::<Result<_>>()?,
            parameters: self
                .parameters
                .iter()
                .map(parameter)
                .collect::<Result<_>>()?,
        })
    }
}

impl InputArgs {
    pub(crate) fn sizes(&self) -> Sizes {
        Sizes {
            rows: self.rows,
            dims: self.dims.clone(),
        }
    }

    pub(crate) fn bodies(&self) -> usize {
        self.bodies as usize
    }
}

/// A model that is called meanwhile, and how often a second.
#[derive(Clone, Debug)]
pub(crate) struct Beside {
    pub(crate) model: String,
    pub(crate) rate: f64,
}

impl FromStr for Beside {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (model, rate) = text.rsplit_once('=')?;
            let rate: f64 = rate
                .parse()
                .ok()
                .filter(|rate| (1e-3..=1e7).contains(rate))?;
            Some(Self {
                model: model.into(),
                rate,
            })
        };
        parse().ok_or_else(|| "expected MODEL=CALLS/S, such as `mlp=100`".into())
    }
}

impl LoadArgs {
    /// Checks what was typed.
    pub(crate) fn config(&self, keeps_samples: bool) -> Result<Config> {
        let threads = self.threads;
        ensure!(
            (1..=64).contains(&threads),
            "--threads: expected 1 to 64, found {threads}"
        );
        let pattern = match (self.pattern.rate, self.pattern.closed) {
            (Some(rate), _) => {
                ensure!(
                    rate > 0.0 && rate <= 1e7,
                    "--rate: expected more than 0 calls/s, and at most 10,000,000, found {rate}"
                );
                let max_in_flight = self.max_in_flight;
                ensure!(
                    (threads..=1_000_000).contains(&max_in_flight),
                    "--max-in-flight: expected a call for each thread, and at most 1,000,000, found {max_in_flight}"
                );
                Pattern::Open {
                    rate,
                    max_in_flight,
                }
            }
            (None, callers) => {
                let callers = callers.context("expected --rate or --closed")?;
                ensure!(
                    (threads..=1_000_000).contains(&callers),
                    "--closed: expected a caller for each thread, and at most 1,000,000, found {callers}"
                );
                Pattern::Closed { callers }
            }
        };
        let seconds = |name: &str, value: f64, least: f64| {
            ensure!(
                (least..=86_400.0).contains(&value),
                "{name}: expected {least} to 86400 seconds, found {value}"
            );
            Ok(value)
        };
        Ok(Config {
            pattern,
            warm_up_seconds: seconds("--warm-up", self.warm_up, 0.0)?,
            seconds: seconds("--seconds", self.seconds, 0.1)?,
            timeout_seconds: seconds("--timeout", self.timeout, 0.001)?,
            seed: self.seed,
            threads,
            keeps_samples,
        })
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    fn config(args: &[&str]) -> Result<Config> {
        let line = ["tensorlet-load", "http", "http://localhost", "mlp"];
        let args = Args::try_parse_from(line.iter().chain(args))?;
        let TargetArgs::Http(args) = args.target else {
            bail!("expected a server");
        };
        args.config()?;
        args.load.config(false)
    }

    #[test]
    fn reads_both_patterns() {
        let open = Pattern::Open {
            rate: 200.0,
            max_in_flight: 16384,
        };
        assert_eq!(config(&["--rate", "200"]).unwrap().pattern, open);
        let closed = Pattern::Closed { callers: 8 };
        assert_eq!(
            config(&["--closed", "8", "--verify"]).unwrap().pattern,
            closed
        );
    }

    #[test]
    fn refuses_what_makes_no_load() {
        for args in [
            &[][..],
            &["--rate", "1", "--closed", "1"],
            &["--rate", "0"],
            &["--rate", "NaN"],
            &["--rate", "1", "--seconds", "0"],
            &["--rate", "1", "--warm-up", "-1"],
            &["--rate", "1", "--threads", "0"],
            &["--closed", "1", "--threads", "2"],
            &["--rate", "1", "--dim", "x"],
            &["--rate", "1", "--beside", "mlp"],
            &["--rate", "1", "--beside", "mlp=0"],
            &["--rate", "1", "--header", "x"],
            &["--rate", "1", "--parameter", "x"],
        ] {
            assert!(config(args).is_err(), "{args:?}");
        }
    }
}
