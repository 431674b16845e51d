//! What can be typed, as it is typed. Each subcommand makes sense of its own part.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tensorlet_compile::Literal;
use tensorlet_tensor::TensorSpec;

use crate::exit;

/// Compiles ONNX models into WASI components, and inspects, runs and measures them
#[derive(Debug, Parser)]
#[command(name = "tensorlet", version, after_help = exit::HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Build(BuildArgs),
    /// Write what hosts of WebAssembly need to serve models
    #[command(subcommand)]
    Deploy(DeployCommand),
    Inspect(InspectArgs),
    Predict(PredictArgs),
    Bench(BenchArgs),
    Serve(ServeArgs),
}

/// Where components compiled for this machine are kept.
#[derive(Debug, clap::Args)]
pub(crate) struct CacheArgs {
    /// Keep components compiled for this machine in DIR
    ///
    /// The default is $TENSORLET_CACHE_DIR, else $XDG_CACHE_HOME/tensorlet, else ~/.cache/tensorlet. What lies in it
    /// is executed, so only its owner may be able to write to it.
    #[arg(long, global = true, value_name = "DIR", help_heading = "Cache")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Compile components anew each time, which takes seconds
    #[arg(
        long,
        global = true,
        conflicts_with = "cache_dir",
        help_heading = "Cache"
    )]
    pub(crate) no_cache: bool,
}

/// Who computes.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct OffloadArgs {
    /// Compute inside of the component, as any other host does, rather than natively
    #[arg(long, conflicts_with = "threads", help_heading = "Execution")]
    pub(crate) no_offload: bool,
    /// Threads that compute natively, over all calls [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Execution")]
    pub(crate) threads: Option<u16>,
}

/// Compile an ONNX model into a component
///
/// MODEL is an ONNX file, or a folder with a model.toml that names one. The model.toml says what the model is and how
/// a file becomes its inputs and outputs an answer; it travels in the component. The same input gives the same bytes.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = exit::HELP)]
pub(crate) struct BuildArgs {
    /// ONNX file, or folder with a model.toml
    pub(crate) model: PathBuf,
    /// Write the component to FILE [default: NAME.wasm in the current directory]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Fix or name the dims of an input, such as `images:f32[N,3,224,224]`; takes the place of model.toml's
    #[arg(long = "input", value_name = "NAME:TYPE[DIMS]")]
    pub(crate) inputs: Vec<TensorSpec>,
    /// Make an input a constant, such as `sr=16000` or `scales=[1.0,2.0]`; takes the place of model.toml's
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_bind)]
    pub(crate) bind: Vec<(String, Literal)>,
    /// Name of the model: letters, digits, `.`, `_`, `-` [default: model.toml's, else that of the file or its folder]
    #[arg(long, value_parser = parse_name)]
    pub(crate) name: Option<String>,
    /// Version of the model [default: model.toml's, else 1]
    #[arg(long, value_parser = parse_version)]
    pub(crate) version: Option<String>,
    /// Refuse a model with operators that have no kernel and would be left to tract, an engine of 17 MB
    #[arg(long)]
    pub(crate) lean: bool,
    /// Handle HTTP requests, by the Open Inference Protocol, on any host of wasi:http, such as Spin; rather than export what other
    /// components import
    #[arg(long)]
    pub(crate) http: bool,
}

/// Where models are to be served.
#[derive(Debug, Subcommand)]
pub(crate) enum DeployCommand {
    Spin(DeploySpinArgs),
}

/// Write a Spin application, and what Kubernetes needs to run it with SpinKube
///
/// Each MODEL is a folder with a model.toml, an ONNX file, or a component that `tensorlet build` made. The application has a
/// component for each, which answers at /v2/models/NAME. What an earlier run wrote is replaced; what somebody changed since is not.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::HELP)]
pub(crate) struct DeploySpinArgs {
    /// Folders with a model.toml, ONNX files, or components
    #[arg(required = true, value_name = "MODEL")]
    pub(crate) models: Vec<PathBuf>,
    /// Write spin.toml, spinapp.yaml and the components to DIR
    #[arg(short, long, value_name = "DIR", default_value = "spin")]
    pub(crate) output: PathBuf,
    /// Name of the application: words of lower-case letters and digits, joined by `-` [default: that of the model, or `models`]
    #[arg(long, value_parser = parse_app_name)]
    pub(crate) name: Option<String>,
    /// Image that the application is pushed as and Kubernetes pulls [default: registry.example.com/NAME:VERSION, to be replaced]
    #[arg(long, value_name = "REFERENCE", value_parser = parse_image)]
    pub(crate) image: Option<String>,
    /// Replace files in DIR that somebody else wrote or changed
    #[arg(long)]
    pub(crate) force: bool,
}

/// Show what a component takes, gives and holds, without running it
#[derive(Debug, clap::Args)]
#[command(after_help = exit::HELP)]
pub(crate) struct InspectArgs {
    /// Component that `tensorlet build` made
    pub(crate) component: PathBuf,
    /// Print JSON, with metadata at full length
    #[arg(long)]
    pub(crate) json: bool,
    /// Print the steps of the model's plan instead
    #[arg(long, conflicts_with = "json")]
    pub(crate) plan: bool,
}

/// Predict, from files or from tensors
///
/// A FILE becomes inputs as the model's own model.toml says, and the outputs become an answer. Tensors are given with
/// --input and come out as they are.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::HELP)]
pub(crate) struct PredictArgs {
    /// Component that `tensorlet build` made
    pub(crate) component: PathBuf,
    /// Files that the model answers for, such as pictures
    pub(crate) files: Vec<PathBuf>,
    /// Read an input from a .npy, .npz or .json file
    ///
    /// Of an .npz, the array of that name, or its only one. JSON is nested lists of numbers or bools, or
    /// `{"dims": [2, 3], "data": [1, 2, 3, 4, 5, 6]}`, and takes the input's datum type; the others must have it.
    #[arg(long = "input", value_name = "NAME=FILE", value_parser = parse_input, conflicts_with = "files")]
    pub(crate) inputs: Vec<(String, PathBuf)>,
    /// Write each output to DIR/NAME.npy, with `_` in place of what does not fit a file name
    #[arg(long, value_name = "DIR", conflicts_with = "files")]
    pub(crate) output_dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// End a call to the model that takes longer [default: no limit]
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub(crate) timeout: Option<std::time::Duration>,
    /// Memory that the model may take, its weights included [default: 4096]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=4096))]
    pub(crate) memory_limit: Option<u64>,
    #[command(flatten)]
    pub(crate) offload: OffloadArgs,
}

/// Measure how long a component takes to load and to predict
///
/// Inputs are made up, the same each time: floats from 0 to 1, integers and bools 0 or 1. Load is from the cache of
/// compiled components, instantiate the median of eleven, first the first call of a fresh instance; min, median and p99 are
/// of the calls that follow.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::HELP)]
pub(crate) struct BenchArgs {
    /// Component that `tensorlet build` made
    pub(crate) component: PathBuf,
    /// Rows: the size of the batch axis, or of axis 0 if the model has no batch axis [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) batch: Option<u32>,
    /// Dims of an input, such as `images:f32[1,3,48,192]`
    #[arg(long = "input", value_name = "NAME:TYPE[DIMS]")]
    pub(crate) inputs: Vec<TensorSpec>,
    /// Calls to measure after the first [default: as many as fit in 2 seconds, from 10 to 10000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) iterations: Option<u32>,
    /// Make a fresh instance for each call, so that no state can leak from call to call
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) offload: OffloadArgs,
}

/// Answer calls over HTTP, by the Open Inference Protocol
///
/// MODELS is a folder, as Triton's, of MODEL/VERSION/model.wasm; or components, each a model of its file's name. How a model is
/// served is in MODEL/config.toml; what that leaves out is said here. SIGTERM ends the process when what runs has been answered, SIGHUP
/// looks for new versions. The log goes to standard error; TENSORLET_LOG says what is in it, such as warn or tensorlet_repository=debug.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::HELP)]
pub(crate) struct ServeArgs {
    /// Folder of models, or components that `tensorlet build` made
    #[arg(required = true)]
    pub(crate) models: Vec<PathBuf>,
    /// Address and port; port 0 is any that is free, and the log says which
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    pub(crate) listen: String,
    /// Look for new versions this often [default: at SIGHUP only]
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub(crate) watch: Option<Duration>,
    /// Time for what runs when the process is told to end
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) grace: u64,
    /// Go on answering so long when the process is told to end, while saying that it is not ready, so that balancers can learn it
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) stop_delay: u64,
    /// Let requests load, unload and roll back models
    #[arg(long)]
    pub(crate) control: bool,
    /// Memory that loaded models may take; what was not called for longest is unloaded [default: no limit]
    #[arg(long, value_name = "MIB")]
    pub(crate) memory_budget: Option<u64>,
    /// Rows that are executed together at most; 1: calls are not joined [default: 4]
    #[arg(long, value_name = "ROWS", help_heading = "Models that do not say it")]
    pub(crate) max_batch_size: Option<NonZeroU32>,
    /// Hold a call back so long for others to join it [default: never, they join while workers are busy]
    #[arg(
        long,
        value_name = "MICROSECONDS",
        help_heading = "Models that do not say it"
    )]
    pub(crate) max_queue_delay: Option<u64>,
    /// Calls that wait at most [default: 4096]
    #[arg(long, value_name = "CALLS", help_heading = "Models that do not say it")]
    pub(crate) max_queue_size: Option<NonZeroUsize>,
    /// Calls or batches that are executed at a time [default: as many as there are cores]
    #[arg(long, value_name = "N", help_heading = "Models that do not say it")]
    pub(crate) instances: Option<NonZeroUsize>,
    /// Threads that read and write HTTP [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) http_threads: Option<u16>,
    #[command(flatten)]
    pub(crate) offload: OffloadArgs,
}

fn parse_bind(text: &str) -> Result<(String, Literal), String> {
    // A value has no `=`, a name may.
    let (name, value) = text.rsplit_once('=').ok_or("expected NAME=VALUE")?;
    if name.is_empty() {
        return Err("expected NAME=VALUE, found no name".into());
    }
    Ok((
        name.into(),
        value
            .parse()
            .map_err(|error: tensorlet_compile::InvalidLiteral| error.to_string())?,
    ))
}

fn parse_input(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => {
            Ok((name.into(), file.into()))
        }
        _ => Err("expected NAME=FILE".into()),
    }
}

fn parse_name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if text.chars().all(fits) && text.chars().any(|c| c != '.') {
        return Ok(text.into());
    }
    Err("expected letters, digits, `.`, `_` and `-`, and not only dots".into())
}

/// The longest name of an application. It becomes the name of a Service of Kubernetes, which has 63 characters at most.
const MAX_APP_NAME_LEN: usize = 50;

fn parse_app_name(text: &str) -> Result<String, String> {
    if crate::deploy::is_kebab_case(text) && text.len() <= MAX_APP_NAME_LEN {
        return Ok(text.into());
    }
    Err(format!(
        "expected at most {MAX_APP_NAME_LEN} characters: words of lower-case letters and digits, each beginning with a letter, joined by `-`"
    ))
}

fn parse_image(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    if !text.is_empty() && text.chars().all(fits) {
        return Ok(text.into());
    }
    Err("expected an image, such as ghcr.io/me/app:1.0.0".into())
}

fn parse_version(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("expected a text without control characters".into());
    }
    Ok(text.into())
}

fn parse_seconds(text: &str) -> Result<std::time::Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|&seconds| seconds > 0.0);
    seconds
        .and_then(|seconds| std::time::Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "expected seconds, such as 0.5 or 10".into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(args: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from([&["tensorlet"], args].concat())
    }

    #[test]
    fn the_definitions_are_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn names_may_hold_what_separates_them_from_values() {
        assert_eq!(parse_bind("a=b=2").unwrap().0, "a=b");
        assert_eq!(
            parse_input("a/b:0=c=d.npy").unwrap(),
            ("a/b:0".into(), "c=d.npy".into())
        );
        let args = parse(&["build", "m.onnx", "--input", "a/b:0:f32[1,2]"]).unwrap();
        let Command::Build(args) = args.command else {
            panic!("expected the subcommand that was typed")
        };
        assert_eq!(args.inputs[0].name, "a/b:0");
    }

    #[test]
    fn what_does_not_make_sense_is_refused() {
        for wrong in [
            &["build"][..],
            &["build", "m.onnx", "--bind", "sr"],
            &["build", "m.onnx", "--bind", "sr=abc"],
            &["build", "m.onnx", "--input", "x"],
            &["build", "m.onnx", "--name", "a/b"],
            &["build", "m.onnx", "--name", ".."],
            &["build", "m.onnx", "--version", ""],
            &["deploy"],
            &["deploy", "spin"],
            &["deploy", "spin", "m.onnx", "--name", "My App"],
            &["deploy", "spin", "m.onnx", "--name", "2-models"],
            &["deploy", "spin", "m.onnx", "--image", "two words"],
            &["inspect", "x.wasm", "--json", "--plan"],
            &["predict", "x.wasm", "a.png", "--input", "x=a.npy"],
            &["predict", "x.wasm", "a.png", "--output-dir", "out"],
            &["predict", "x.wasm", "--timeout", "0"],
            &["predict", "x.wasm", "--timeout", "inf"],
            &["predict", "x.wasm", "--timeout", "nan"],
            &["predict", "x.wasm", "--memory-limit", "0"],
            &["bench", "x.wasm", "--batch", "0"],
            &["bench", "x.wasm", "--iterations", "0"],
            &["bench", "x.wasm", "--threads", "0"],
            &["bench", "x.wasm", "--threads", "2", "--no-offload"],
            &["bench", "x.wasm", "--no-cache", "--cache-dir", "d"],
        ] {
            let error = parse(wrong).expect_err(&format!("{wrong:?} must be refused"));
            assert_eq!(error.exit_code(), exit::Exit::Usage as i32, "{wrong:?}");
        }
    }
}
