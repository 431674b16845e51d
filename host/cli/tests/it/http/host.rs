//! Hosts of `wasi:http`, each in a process of its own, and what clients say to them.

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::program::{component_with, folder, repository};

/// The header that tells how much of a body is JSON; the rest is tensors.
pub(crate) const JSON_LEN: &str = "Inference-Header-Content-Length";

/// How long an answer may take, on a machine that is busy.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A kind of host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Wasmtime as Spin has it: a fresh instance for each request.
    Stock,
    /// The same, but an instance handles 128 requests.
    StockReusing,
    /// Wasmtime's own.
    Wasmtime,
    /// Spin.
    Spin,
}

/// A host that serves a component.
pub(crate) struct Host {
    pub(crate) kind: Kind,
    process: Child,
    url: String,
    agent: ureq::Agent,
    /// What it serves, if that is made for it.
    _folder: tempfile::TempDir,
}

/// What came of a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// How much of the body is JSON, if the rest is something else.
    pub(crate) json_len: Option<usize>,
    pub(crate) allow: Option<String>,
}

/// Returns the host that `cargo xtask stock` builds.
pub(crate) fn stock_http() -> PathBuf {
    let path = repository("target/release/tensorlet-stock-http");
    assert!(
        path.exists(),
        "expected what `cargo xtask stock` builds at {}",
        path.display()
    );
    path
}

impl Kind {
    const ALL: [Self; 4] = [Self::Stock, Self::StockReusing, Self::Wasmtime, Self::Spin];

    /// Names those that there are on this machine.
    pub(crate) fn available() -> Vec<Self> {
        let (there, missing): (Vec<_>, Vec<_>) = Self::ALL
            .into_iter()
            .partition(|kind| kind.program().is_some());
        static TOLD: Once = Once::new();
        TOLD.call_once(|| {
            for kind in missing {
                eprintln!("skipped: {kind:?}, which is not on this machine");
            }
        });
        there
    }

    fn program(self) -> Option<PathBuf> {
        match self {
            Self::Stock | Self::StockReusing => Some(stock_http()),
            Self::Wasmtime => {
                let fetched = repository("target/wasmtime-48.0.2/wasmtime_cli/wasmtime");
                fetched
                    .exists()
                    .then_some(fetched)
                    .or_else(|| on_path("wasmtime"))
            }
            Self::Spin => on_path("spin"),
        }
    }

    /// Starts it with a component.
    pub(crate) fn serve(self, component: &Path) -> Host {
        let program = self.program().expect("it is available");
        let folder = folder();
        let mut command = Command::new(program);
        match self {
            Self::Stock => command.arg("serve").arg(component),
            Self::StockReusing => command.args(["serve", "--reuse", "128"]).arg(component),
            Self::Wasmtime => command
                // Handlers of one's own ask for more of WASI than models do.
                .args(["serve", "-S", "cli", "--addr", "127.0.0.1:0"])
                .arg(component),
            Self::Spin => {
                write_app(folder.path(), component);
                // Spin does not say which port it was given.
                let free = TcpListener::bind("127.0.0.1:0")
                    .unwrap()
                    .local_addr()
                    .unwrap();
                command
                    .args(["up", "--listen", &free.to_string(), "-f"])
                    .arg(folder.path())
            }
        };
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Where it listens is said in the first line that has an address, on one output or the other.
        let stdout = process.stdout.take().unwrap();
        let stderr = process.stderr.take().unwrap();
        let url = match self {
            Self::Wasmtime => {
                drain(stdout);
                url_in(stderr)
            }
            _ => {
                drain(stderr);
                url_in(stdout)
            }
        };
        Host {
            kind: self,
            process,
            url: url.unwrap_or_else(|| panic!("expected {self:?} to say where it listens")),
            agent: ureq::Agent::config_builder()
                .http_status_as_error(false)
                .timeout_global(Some(TIMEOUT))
                .build()
                .into(),
            _folder: folder,
        }
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let mut found = env::split_paths(&path).map(|folder| folder.join(name));
    found.find(|program| program.is_file())
}

/// Writes an application of one component that handles everything.
fn write_app(folder: &Path, component: &Path) {
    let manifest = format!(
        "spin_manifest_version = 2\n[application]\nname = \"app\"\n[[trigger.http]]\nroute = \"/...\"\ncomponent = \"model\"\n\
         [component.model]\nsource = {component:?}\n"
    );
    fs::write(folder.join("spin.toml"), manifest).unwrap();
}

/// Returns the address in the first line that has one, and reads on.
fn url_in(output: impl Read + Send + 'static) -> Option<String> {
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let url = lines.find_map(|line| {
        let at = line.find("http://")?;
        let url = line[at..].split_whitespace().next()?;
        Some(url.trim_end_matches('/').to_owned())
    });
    thread::spawn(move || lines.for_each(drop));
    url
}

fn drain(output: impl Read + Send + 'static) {
    thread::spawn(move || {
        BufReader::new(output)
            .lines()
            .map_while(Result::ok)
            .for_each(drop)
    });
}

impl Host {
    pub(crate) fn get(&self, path: &str) -> Answer {
        let response = self.agent.get(format!("{}{path}", self.url)).call();
        answer(response.unwrap())
    }

    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = self.agent.post(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request.send(body).unwrap())
    }

    /// Sends bytes over a connection of their own; returns the first line of the answer.
    pub(crate) fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line
    }

    /// Sends bytes over a connection of their own, and closes it.
    pub(crate) fn hang_up(&self, bytes: &[u8]) {
        self.connect().write_all(bytes).unwrap();
    }

    fn connect(&self) -> TcpStream {
        let address = self.url.strip_prefix("http://").unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream
    }

    /// Returns how many bytes of memory are resident for the process.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let kilobytes = status.lines().find_map(|line| {
            let value = line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?;
            value.parse::<u64>().ok()
        });
        kilobytes.expect("the process is there") << 10
    }
}

fn answer(mut response: ureq::http::Response<ureq::Body>) -> Answer {
    let header = |name: &str| {
        let value = response.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    Answer {
        status: response.status().as_u16(),
        json_len: header(JSON_LEN).map(|len| len.parse().unwrap()),
        allow: header("allow"),
        body: response.body_mut().read_to_vec().unwrap(),
    }
}

impl Answer {
    /// Returns the JSON of it, which must have come with this status.
    #[track_caller]
    pub(crate) fn json(&self, status: u16) -> Value {
        let json = &self.body[..self.json_len.unwrap_or(self.body.len())];
        let text = String::from_utf8_lossy(json);
        assert_eq!(self.status, status, "{text}");
        serde_json::from_slice(json).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It has ended, or is to.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Calls `check` with each host that there is, serving a model of the repository.
pub(super) fn on_each(model: &str, check: impl Fn(&Host)) {
    let component = component_with(model, &["--http"]);
    for kind in Kind::available() {
        eprintln!("on {kind:?}");
        check(&kind.serve(&component));
    }
}
