//! Runs the load generator, and the server that it calls.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde::Serialize;
use serde_json::{Value, json};
use xshell::{Shell, cmd};

use super::{Bench, DIR};
use crate::build::CLI;

pub(crate) const GENERATOR: &str = "target/release/tensorlet-load";

/// How often a folder is looked at for new versions, in seconds.
const WATCH: &str = "0.05";

/// How long calls are made before they count.
const WARM_UP: Duration = Duration::from_secs(3);

/// How calls get to the host.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Transport {
    /// The host is a library in the generator's process.
    Library,
    /// The host is `tensorlet serve`.
    Http,
}

/// How calls are made.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pattern {
    /// So many callers, each of whom waits for its answer.
    Closed(u32),
    /// So many calls a second, at random.
    Open(f64),
}

/// One run.
pub(crate) struct Run<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) model: &'a str,
    pub(crate) pattern: Pattern,
    pub(crate) seconds: f64,
    /// Other models that are called meanwhile, and how often a second.
    pub(crate) beside: &'a [(&'a str, f64)],
    /// Whether host and generator have one core rather than all.
    pub(crate) is_on_one_core: bool,
}

/// What came of it.
pub(crate) struct Outcome(Value);

/// Builds the generator, of the same packages as the CLI, so that nothing is compiled twice.
pub(crate) fn build(sh: &Shell) -> Result<()> {
    let packages = ["--workspace", "--exclude", "tensorlet-predictor"];
    let options = ["--release", "--target-dir", "target"];
    cmd!(
        sh,
        "cargo build {options...} {packages...} --bin tensorlet-load"
    )
    .run()?;
    Ok(())
}

impl<'a> Run<'a> {
    /// Calls to one model, on all cores.
    pub(crate) fn new(folder: &'a Path, model: &'a str, pattern: Pattern, seconds: f64) -> Self {
        Self {
            folder,
            model,
            pattern,
            seconds,
            beside: &[],
            is_on_one_core: false,
        }
    }

    /// Starts to say what is run, on the cores that it has.
    fn command(&self, program: &str) -> Command {
        if !self.is_on_one_core {
            return Command::new(program);
        }
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", "0", program]);
        command
    }
}

impl Bench<'_> {
    /// Runs the generator, and keeps what it reports.
    pub(crate) fn generate(&mut self, run: &Run<'_>) -> Result<Outcome> {
        self.generate_while(run, || Ok(()))
    }

    /// Runs the generator while something else is done.
    pub(crate) fn generate_while(
        &mut self,
        run: &Run<'_>,
        meanwhile: impl FnOnce() -> Result<()>,
    ) -> Result<Outcome> {
        let server = match self.transport {
            Transport::Library => None,
            Transport::Http => Some(Server::start(run)?),
        };
        let json = PathBuf::from(DIR).join("run.json");
        let mut command = run.command(GENERATOR);
        match &server {
            None => command
                .arg("library")
                .arg(run.folder)
                .args([run.model, "--watch", WATCH]),
            Some(server) => command.args(["http", &server.url, run.model, "--binary"]),
        };
        match run.pattern {
            Pattern::Closed(callers) => command.args(["--closed", &callers.to_string()]),
            Pattern::Open(rate) => command.args(["--rate", &rate.to_string()]),
        };
        command.args([
            "--seconds",
            &run.seconds.to_string(),
            "--warm-up",
            &WARM_UP.as_secs().to_string(),
        ]);
        for (model, rate) in run.beside {
            command.args(["--beside", &format!("{model}={rate}")]);
        }
        command.arg("--json").arg(&json).stdout(Stdio::null());
        let mut generator = command.spawn().context("start the load generator")?;
        let done = meanwhile();
        let status = generator.wait()?;
        done?;
        ensure!(status.success(), "the load generator failed: {command:?}");
        let mut report: Value = serde_json::from_str(&std::fs::read_to_string(&json)?)?;
        if let Some(server) = server {
            report["server"] = json!({ "resident_bytes": server.end()? });
        }
        self.raw.push(report.clone());
        Ok(Outcome(report))
    }
}

impl Outcome {
    fn number(&self, path: &str) -> Result<f64> {
        let value = self.0.pointer(path).and_then(Value::as_f64);
        value.with_context(|| format!("expected a number at {path} of the generator's report"))
    }

    /// Answers a second.
    pub(crate) fn goodput(&self) -> Result<f64> {
        self.number("/goodput/per_second")
    }

    /// The 99th percentile of the latency of answers, in ms.
    pub(crate) fn p99(&self) -> Result<f64> {
        self.number("/answers/p99_ms")
    }

    /// The 99th percentile of the latency of refusals, in ms; 0 without any.
    pub(crate) fn refusals_p99(&self) -> f64 {
        self.number("/refusals/p99_ms").unwrap_or(0.0)
    }

    pub(crate) fn refused(&self) -> u64 {
        self.sum("/refused")
    }

    pub(crate) fn failed(&self) -> u64 {
        self.sum("/failed")
    }

    fn sum(&self, path: &str) -> u64 {
        let kinds = self.0.pointer(path).and_then(Value::as_object);
        kinds.map_or(0, |kinds| kinds.values().filter_map(Value::as_u64).sum())
    }

    /// The mean time of an execution, in ms; `None` where the host is another process.
    pub(crate) fn execution(&self) -> Option<f64> {
        self.number("/server/execution_mean_ms").ok()
    }

    /// What the host had in memory after the warm-up, and at the end.
    pub(crate) fn resident(&self) -> Result<(f64, f64)> {
        Ok((
            self.number("/server/resident_bytes/begin")?,
            self.number("/server/resident_bytes/end")?,
        ))
    }
}

/// `tensorlet serve`, in a process of its own.
struct Server {
    process: Child,
    url: String,
    /// What it had in memory after the warm-up.
    resident_begin: thread::JoinHandle<Result<u64>>,
}

impl Server {
    fn start(run: &Run<'_>) -> Result<Self> {
        let mut process = run
            .command(CLI)
            .args(["serve", "--listen", "127.0.0.1:0", "--watch", WATCH])
            .arg(run.folder)
            .stderr(Stdio::piped())
            .spawn()
            .context("start tensorlet serve")?;
        let stderr = process
            .stderr
            .take()
            .context("the server has standard error")?;
        let mut lines = BufReader::new(stderr).lines();
        // It says where it listens, and then that all has been loaded.
        let mut value = |key: &str| {
            lines.find_map(|line| {
                let line = line.ok()?;
                let (_, value) = line.split_once(key)?;
                Some(
                    value
                        .split_whitespace()
                        .next()
                        .unwrap_or_default()
                        .to_owned(),
                )
            })
        };
        let (Some(address), Some(_)) = (value("address="), value("ready models=")) else {
            bail!("tensorlet serve ended before it was ready");
        };
        // What it says later is not to fill the pipe.
        thread::spawn(move || lines.for_each(drop));
        let id = process.id();
        Ok(Self {
            process,
            url: format!("http://{address}"),
            resident_begin: thread::spawn(move || {
                thread::sleep(WARM_UP);
                resident_bytes(id)
            }),
        })
    }

    /// Ends it as a supervisor does, sees that it ends well, and returns what it had in memory.
    fn end(mut self) -> Result<Value> {
        let id = self.process.id();
        let end = resident_bytes(id)?;
        let begin = self.resident_begin.join();
        let begin = begin.map_err(|_| anyhow!("a thread panicked"))??;
        let sh = Shell::new()?;
        let id = id.to_string();
        cmd!(sh, "kill -TERM {id}").quiet().run()?;
        let status = self.process.wait()?;
        ensure!(
            status.success(),
            "expected tensorlet serve to end with status 0, found {status}"
        );
        Ok(json!({ "begin": begin, "end": end }))
    }
}

/// Returns what a process has in memory.
fn resident_bytes(id: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    let kib: u64 = kib
        .context("the system tells what a process has in memory")?
        .parse()?;
    Ok(kib * 1024)
}
