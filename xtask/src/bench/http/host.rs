//! Hosts of `wasi:http`, each in a process of its own.

use std::io::{BufRead as _, BufReader, Read};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::Value;
use xshell::{Shell, cmd};

use super::call::Call;
use super::{DIR, Figures, Start};
use crate::load::GENERATOR;
use crate::setup::WASMTIME;
use crate::stock::STOCK_HTTP;

/// How many requests an instance handles that is used again.
const REUSE: &str = "128";

/// How long calls are made before they count, in seconds.
const WARM_UP: &str = "1";

/// A kind of host.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(super) enum Kind {
    /// With Spin's settings: an instance for each request.
    Stock,
    /// The same, with instances used again.
    StockReusing,
    /// `wasmtime serve`.
    Wasmtime,
    /// The same, with instances used again.
    WasmtimeReusing,
}

impl Kind {
    /// Names those that there are.
    pub(super) fn available(sh: &Shell) -> Vec<Self> {
        let mut kinds = vec![Self::Stock, Self::StockReusing];
        match sh.path_exists(WASMTIME) {
            true => kinds.extend([Self::Wasmtime, Self::WasmtimeReusing]),
            false => println!("bench: skipped: wasmtime serve, which is not there"),
        }
        kinds
    }

    /// What tables call it.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Stock => "as Spin does",
            Self::StockReusing => "as Spin, instances used again",
            Self::Wasmtime => "wasmtime serve",
            Self::WasmtimeReusing => "wasmtime serve, instances used again",
        }
    }

    fn command(self, component: &str) -> Command {
        let mut command = match self {
            Self::Stock | Self::StockReusing => Command::new(STOCK_HTTP),
            Self::Wasmtime | Self::WasmtimeReusing => Command::new(WASMTIME),
        };
        command.arg("serve");
        match self {
            Self::Stock => {}
            Self::StockReusing => {
                command.args(["--reuse", REUSE]);
            }
            Self::Wasmtime => {
                command.args(["--addr", "127.0.0.1:0"]);
            }
            Self::WasmtimeReusing => {
                command.args(["--addr", "127.0.0.1:0", "--max-instance-reuse-count", REUSE]);
            }
        }
        command.arg(component);
        command
    }
}

/// A host that serves a component.
pub(super) struct Host {
    process: Child,
    url: String,
}

impl Host {
    /// Starts it, and waits until it listens.
    ///
    /// # Errors
    /// If it ends before.
    pub(super) fn start(kind: Kind, component: &str) -> Result<Self> {
        let mut process = kind
            .command(component)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{kind:?} must start"))?;
        let stdout = process.stdout.take().context("standard output is piped")?;
        let stderr = process.stderr.take().context("standard error is piped")?;
        let url = match kind {
            Kind::Stock | Kind::StockReusing => url_in(stdout, stderr),
            Kind::Wasmtime | Kind::WasmtimeReusing => url_in(stderr, stdout),
        };
        let url = url.with_context(|| format!("{kind:?} must say where it listens"));
        // Made first, so that the process ends with it.
        let mut host = Self {
            process,
            url: String::new(),
        };
        host.url = url?;
        Ok(host)
    }

    /// Calls the model for some seconds by so many callers.
    ///
    /// # Errors
    /// If the generator fails, or a call does.
    pub(super) fn load(
        &self,
        sh: &Shell,
        model: &str,
        callers: usize,
        seconds: u32,
    ) -> Result<Figures> {
        let (url, json) = (&self.url, format!("{DIR}/http.json"));
        let (callers, seconds) = (callers.to_string(), seconds.to_string());
        let options = ["--binary", "--closed", &callers, "--warm-up", WARM_UP];
        cmd!(
            sh,
            "{GENERATOR} http {url} {model} {options...} --seconds {seconds} --json {json}"
        )
        .quiet()
        .ignore_stdout()
        .run()?;
        let report: Value = serde_json::from_str(&sh.read_file(&json)?)?;
        let number = |path: &str| {
            let number = report.pointer(path).and_then(Value::as_f64);
            number.with_context(|| format!("expected a number at {path} of the generator's report"))
        };
        Ok(Figures {
            per_second: number("/goodput/per_second")?,
            p50_ms: number("/answers/p50_ms")?,
            p99_ms: number("/answers/p99_ms")?,
        })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It has ended, or is to.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the address in the first line that has one, and reads on.
fn url_in(output: impl Read + Send + 'static, other: impl Read + Send + 'static) -> Option<String> {
    let lines = |output| BufReader::new(output).lines().map_while(Result::ok);
    thread::spawn(move || {
        BufReader::new(other)
            .lines()
            .map_while(Result::ok)
            .for_each(drop)
    });
    let mut lines = lines(output);
    let url = lines.find_map(|line| {
        let url = line[line.find("http://")?..].split_whitespace().next()?;
        Some(url.trim_end_matches('/').to_owned())
    });
    thread::spawn(move || lines.for_each(drop));
    url
}

/// Starts the host with Spin's settings on a component that was compiled, and calls it twice.
///
/// # Errors
/// If it does not start, or a call fails.
#[expect(
    clippy::disallowed_methods,
    reason = "this is where xtask measures time"
)]
pub(super) fn start(compiled: &str, call: &Call) -> Result<Start> {
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let begin = Instant::now();
    let host = Host::start(Kind::Stock, compiled)?;
    let listens_ms = ms(begin.elapsed());
    let address = host.url.trim_start_matches("http://");
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let timed = || -> Result<f64> {
        let begin = Instant::now();
        call.send(&stream)?;
        Ok(ms(begin.elapsed()))
    };
    Ok(Start {
        listens_ms,
        first_ms: timed()?,
        second_ms: timed()?,
    })
}
