//! `tensorlet-load`: puts load on a server of models, and tells latency, goodput and refusals.
//!
//! ```text
//! tensorlet-load http http://127.0.0.1:8000 mlp --rate 2000 --seconds 10
//! tensorlet-load http http://127.0.0.1:8000 mlp --rate 2000 --binary --rows 4 --json run.json --samples run.csv
//! tensorlet-load http http://127.0.0.1:8000 mlp --closed 16 --verify=1e-5
//! tensorlet-load library models/ mlp --rate 2000 --beside other=10
//! ```
//!
//! # Open loop
//!
//! `--rate` is how real callers are: they come at random, whether or not others have their answers yet. Arrivals are a Poisson process, the same
//! in each run with the same `--seed`. The latency of a call is measured from when it was *due*, so a server that stalls is charged
//! for all who come meanwhile, and a generator that is late for what it has delayed. `--closed` is how saturation is found: so many callers, who
//! each wait for their answer before they call again.
//!
//! # Figures
//!
//! - *arrived*: calls that were due during the time that is measured. Each is answered, refused, failed, or *dropped by the generator*, because
//!   `--max-in-flight` were under way, or because it could not be sent within 100 ms. A run with dropped calls measures another load
//!   than it says.
//! - *sent meanwhile*, *answered meanwhile*: calls that were sent, and answers that came, during that time, whenever their calls arrived. While a queue
//!   grows, the latter, *goodput*, is less than what is answered in the end.
//! - *answered*, *refused*, *failed*: what became of those that were sent. Refused are those with HTTP 429 or 503. Failed are those without an answer
//!   within `--timeout` of their arrival, with any other status, or whose answer is not one.
//! - *generator late by*: how long after its arrival a call was sent. If that is not small beside the latencies, they are the generator's.
//!
//! Calls that arrive during `--warm-up` are made and not counted. `--json` keeps all figures and, in nanoseconds, histograms that every
//! implementation of HdrHistogram reads; `--samples` keeps every call.
//!
//! # Cost
//!
//! Everything is done on one thread, to leave the other cores to the server; `--threads` makes it several, which share the rate and nothing else. Answers
//! are checked for outputs whose sizes fit. `--verify` reads all their numbers, and compares them with the first answer to the same call.
//!
//! # Modules
//!
//! - [`args`] says what can be typed; [`clock`] reads the clock.
//! - [`arrivals`] says when calls are due, [`pacer`] waits until then, and [`load`] makes them.
//! - [`target`] is the seam to what is called; [`http`] and [`library`] are such targets, [`inputs`] what they are called with.
//! - [`recorder`] counts, and [`report`] tells.

#![forbid(unsafe_code)]

mod args;
mod arrivals;
mod clock;
mod http;
mod inputs;
mod library;
mod load;
mod pacer;
mod recorder;
mod report;
mod target;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use clap::Parser as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use crate::args::{Args, Beside, HttpArgs, LibraryArgs, OutputArgs, TargetArgs};
use crate::http::{Http, Prepared};
use crate::library::Host;
use crate::load::{Config, Pattern};
use crate::recorder::Recorder;
use crate::report::{Report, write_samples};
use crate::target::Target;

fn main() -> Result<()> {
    match Args::parse().target {
        TargetArgs::Http(args) => load_http(&args),
        TargetArgs::Library(args) => load_library(&args),
    }
}

fn load_http(args: &HttpArgs) -> Result<()> {
    let load = args.load.config(args.output.samples.is_some())?;
    allow_many_connections()?;
    let config = args.config()?;
    let target = |model: &str| {
        let model = model.to_owned();
        let prepared = Prepared::new(&http::Config {
            model,
            ..config.clone()
        })?;
        let prepared = Arc::new(prepared);
        Ok(move || Ok(Http::new(Arc::clone(&prepared))))
    };
    let encoding = if args.binary { "binary" } else { "JSON" };
    let title = |model: &str| {
        format!(
            "{}, model {model}, {encoding}, rows {}",
            args.url, args.inputs.rows
        )
    };
    let (report, recorder) = run(&args.model, &load, &args.load.beside, target, title)?;
    tell(&report, &recorder, &args.output)
}

fn load_library(args: &LibraryArgs) -> Result<()> {
    tensorlet_runtime::share_freed();
    let load = args.load.config(args.output.samples.is_some())?;
    let watch = args.watch.map(Duration::try_from_secs_f64).transpose()?;
    let host = Host::open(&args.folder, watch, &args.cache_dir)?;
    let (sizes, bodies) = (args.inputs.sizes(), args.inputs.bodies());
    let target = |model: &str| {
        let library = host.model(model, &sizes, load.seed, bodies)?;
        Ok(move || Ok(library.clone()))
    };
    let title = |model: &str| format!("library, model {model}, rows {}", args.inputs.rows);
    let (ran, begin) = thread::scope(|scope| {
        let begin = scope.spawn(|| {
            // With what the warm-up has touched.
            thread::sleep(Duration::from_secs_f64(load.warm_up_seconds) + load::HEAD_START);
            host.resident_bytes()
        });
        let ran = run(&args.model, &load, &args.load.beside, target, title);
        (ran, begin.join())
    });
    let (mut report, recorder) = ran?;
    let mut server = host.statistics(&args.model);
    server["resident_bytes"] = json!({
        "begin": begin.map_err(|_| anyhow!("a thread panicked"))?,
        "end": host.resident_bytes(),
    });
    report.server = Some(server);
    tell(&report, &recorder, &args.output)
}

/// Makes the load on a model, and on those beside it.
fn run<T: Target, M: Fn() -> Result<T> + Send + Sync>(
    model: &str,
    load: &Config,
    beside: &[Beside],
    target: impl Fn(&str) -> Result<M>,
    title: impl Fn(&str) -> String,
) -> Result<(Report, Recorder)> {
    let make = target(model)?;
    let mut others = Vec::new();
    for Beside { model, rate } in beside {
        let pattern = Pattern::Open {
            rate: *rate,
            max_in_flight: 16384,
        };
        let load = Config {
            pattern,
            threads: 1,
            keeps_samples: false,
            ..load.clone()
        };
        others.push((model, load, target(model)?));
    }
    let (recorder, recorders) = thread::scope(|scope| {
        let threads = others
            .iter()
            .map(|(_, load, make)| scope.spawn(move || load::run(load, make)));
        let threads: Vec<_> = threads.collect();
        let recorder = load::run(load, &make);
        let recorders = threads.into_iter().map(thread::ScopedJoinHandle::join);
        (recorder, recorders.collect::<Vec<_>>())
    });
    let recorder = recorder?;
    // The command line says how to make the report again.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let told = json!({ "model": model, "arguments": arguments });
    let mut report = Report::new(title(model), told, load, &recorder)?;
    for ((model, load, _), recorder) in others.iter().zip(recorders) {
        let recorder = recorder.map_err(|_| anyhow!("a thread of the generator panicked"))??;
        let told = json!({ "model": model });
        let other = Report::new(title(model), told, load, &recorder)?;
        report.beside.push(other);
    }
    Ok((report, recorder))
}

fn tell(report: &Report, recorder: &Recorder, output: &OutputArgs) -> Result<()> {
    write!(std::io::stdout(), "{report}")?;
    if let Some(path) = &output.json {
        let json = serde_json::to_string_pretty(report)?;
        std::fs::write(path, json + "\n").with_context(|| format!("write {}", path.display()))?;
    }
    if let (Some(path), Some(samples)) = (&output.samples, &recorder.samples) {
        let write = || write_samples(samples, BufWriter::new(File::create(path)?));
        write().with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// Raises the number of files that this process may open as far as it may: each call under way has a connection.
fn allow_many_connections() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).context("raise the limit of open files")
}
