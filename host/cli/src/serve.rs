//! `tensorlet serve`: answers calls over HTTP until it is told to end.
//!
//! SIGTERM and SIGINT drain: nothing new is let in, what runs ends within a grace time, and the status is 0. SIGHUP looks at the repository.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use tensorlet_batch::QueueDelay;
use tensorlet_repository::{ModelConfig, Repository, RepositoryConfig, Source, is_name};
use tensorlet_server::{Server, ServerConfig};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::args::ServeArgs;
use crate::exit::Failure;
use crate::settings::{Purpose, Settings};

/// The environment variable that says what is logged, such as `info` or `tensorlet_repository=debug`.
const LOG: &str = "TENSORLET_LOG";

pub(crate) fn run(args: &ServeArgs, settings: &Settings) -> anyhow::Result<()> {
    tensorlet_runtime::share_freed();
    start_log()?;
    let config = repository_config(args)?;
    let engine = settings.engine(Purpose::Serve, &args.offload)?;
    // Calls are executed by threads of the repository; those of the runtime only talk.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(args.http_threads.map_or(2, usize::from))
        .thread_name("tensorlet-http")
        .enable_all()
        .build()
        .context("cannot start threads")?;
    runtime.block_on(async {
        let signals = Signals::listen().context("cannot listen to signals")?;
        let listener = TcpListener::bind(&args.listen)
            .await
            .with_context(|| format!("cannot listen on {}", args.listen))?;
        let address = listener
            .local_addr()
            .context("the listener has no address")?;
        let repository = Repository::open(engine, config)?;
        // Whoever starts this reads from it where it listens, as port 0 is any.
        tracing::info!(%address, "listening");
        let loading = repository.clone();
        tokio::task::spawn_blocking(move || {
            loading.wait_until_loaded();
            tracing::info!(models = loading.index().len(), "ready");
        });
        let server_config = ServerConfig {
            grace: Duration::from_secs(args.grace),
            stop_delay: Duration::from_secs(args.stop_delay),
            has_control: args.control,
            ..ServerConfig::default()
        };
        let server = Server::new(repository.clone(), server_config);
        server
            .serve(listener, signals.until_end(repository))
            .await?;
        tracing::info!("ended");
        anyhow::Ok(())
    })
}

/// What the process is told.
struct Signals {
    hang_up: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            hang_up: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Looks at the repository at each SIGHUP, and returns when the process is to end.
    async fn until_end(mut self, repository: Repository) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => {
                    let repository = repository.clone();
                    // What is wrong with a model is in the log by then.
                    tokio::task::spawn_blocking(move || match repository.reload() {
                        Ok(problems) => tracing::info!(problems = problems.len(), "reloaded"),
                        Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "cannot reload"),
                    });
                }
            }
        }
    }
}

/// Writes what happens to standard error.
fn start_log() -> Result<(), Failure> {
    let targets = std::env::var(LOG).unwrap_or_default();
    let targets: Targets = match targets.as_str() {
        "" => Targets::new().with_default(tracing::Level::INFO),
        targets => targets.parse().map_err(|error| {
            Failure::usage(format!(
                "{LOG}: expected a level, or pairs such as tensorlet_repository=debug: {error}"
            ))
        })?,
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    tracing_subscriber::registry()
        .with(lines)
        .with(targets)
        .init();
    Ok(())
}

fn repository_config(args: &ServeArgs) -> Result<RepositoryConfig, Failure> {
    let mut config = RepositoryConfig::new(source(&args.models)?);
    config.defaults = model_config(args);
    let check = config.defaults.batch.check();
    check.map_err(|error| Failure::usage(error.to_string()))?;
    config.memory_budget_bytes = args.memory_budget.map(|mib| mib << 20);
    config.watch = args.watch;
    Ok(config)
}

/// Says how models are served that do not say it themselves.
fn model_config(args: &ServeArgs) -> ModelConfig {
    let mut config = ModelConfig::default();
    if let Some(rows) = args.max_batch_size {
        config.batch.max_batch_size = rows;
    }
    if let Some(delay) = args.max_queue_delay {
        config.batch.max_queue_delay = QueueDelay::AtMost(Duration::from_micros(delay));
    }
    if let Some(calls) = args.max_queue_size {
        config.batch.max_queue_size = calls;
    }
    if let Some(instances) = args.instances {
        config.instances = instances;
    }
    config
}

/// Finds out whether models are a folder of them, or components.
fn source(models: &[PathBuf]) -> Result<Source, Failure> {
    if let [folder] = models
        && folder.is_dir()
    {
        return Ok(Source::Folder(folder.clone()));
    }
    let mut files = BTreeMap::new();
    for path in models {
        if !path.is_file() {
            let message = format!(
                "{}: expected a folder of models, or components, found neither",
                path.display()
            );
            return Err(Failure::host(message));
        }
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .filter(|name| is_name(name));
        let name = name.ok_or_else(|| {
            Failure::usage(format!(
                "{}: expected a file name of letters, digits, `.`, `_` and `-`, as it is the model's",
                path.display()
            ))
        })?;
        if files.insert(name.to_owned(), path.clone()).is_some() {
            return Err(Failure::usage(format!(
                "expected one component called `{name}`, found two"
            )));
        }
    }
    Ok(Source::Files(files))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in ["a.wasm", "b.wasm", "sp ace.wasm"] {
            std::fs::write(dir.path().join(file), "").unwrap();
        }
        dir
    }

    #[test]
    fn a_folder_is_a_repository_and_files_are_models() {
        let dir = folder();
        let path = |name: &str| dir.path().join(name);
        assert_eq!(source(&[path("")]).unwrap(), Source::Folder(path("")));
        let files = BTreeMap::from([("a".into(), path("a.wasm")), ("b".into(), path("b.wasm"))]);
        assert_eq!(
            source(&[path("a.wasm"), path("b.wasm")]).unwrap(),
            Source::Files(files)
        );
    }

    #[test]
    fn says_which_path_is_no_model() {
        let dir = folder();
        let path = |name: &str| dir.path().join(name);
        for (paths, expected) in [
            (
                vec![path("nothing")],
                "nothing: expected a folder of models, or components, found neither",
            ),
            (
                vec![path("a.wasm"), path("")],
                "expected a folder of models, or components, found neither",
            ),
            (
                vec![path("sp ace.wasm")],
                "sp ace.wasm: expected a file name of letters",
            ),
            (
                vec![path("a.wasm"), path("a.wasm")],
                "expected one component called `a`, found two",
            ),
        ] {
            let error = source(&paths).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
