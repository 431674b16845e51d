//! What the owner of a repository chooses: for the process, and for each model.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use tensorlet_batch::BatchConfig;
use tensorlet_runtime::{Limits, Reuse};

use crate::breaker::BreakerConfig;
use crate::policy::{Labels, VersionPolicy};
use crate::rate::RateLimit;

/// The most models of a repository.
pub const MAX_MODELS: usize = 4096;

/// The most versions of a model that are looked at.
pub const MAX_VERSIONS: usize = 1024;

/// How a repository is set up.
#[derive(Clone, Debug)]
pub struct RepositoryConfig {
    /// Where its models are.
    pub source: Source,
    /// How models are served whose folder has no `config.toml`, and what such a file leaves out.
    pub defaults: ModelConfig,
    /// The most bytes that loaded models may take together: code, weights, instances, and what the host keeps for them. When one more
    /// is to be loaded, those that were not called for longest are unloaded; they are loaded again when they are called.
    /// Default: `None`, no limit.
    pub memory_budget_bytes: Option<u64>,
    /// How often the source is looked at for changes. Default: `None`, only by [`Repository::reload`](crate::Repository::reload).
    pub watch: Option<Duration>,
    /// How many versions are loaded at a time. Default: as many as there are cores.
    pub load_threads: NonZeroUsize,
}

/// Where models are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// A folder: `MODEL/VERSION/model.wasm`, and `MODEL/config.toml` if there is one.
    Folder(PathBuf),
    /// Components, each version 1 of a model of that name.
    Files(BTreeMap<String, PathBuf>),
}

/// How one model is served.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// How calls are joined, and how many wait.
    pub batch: BatchConfig,
    /// How many calls or batches are executed at a time. Default: as many as there are cores.
    pub instances: NonZeroUsize,
    /// Which instance answers a call. Default: any that is idle.
    pub reuse: Reuse,
    /// What an instance may take.
    pub limits: Limits,
    /// How long an execution may take, whatever its calls allow. One that takes longer is the model's failure. Default: 30 s.
    pub execution_timeout: Duration,
    /// The deadline of calls that bring none, from their arrival. Default: `None`, no deadline.
    pub default_timeout: Option<Duration>,
    /// How many calls a second it takes. Default: `None`, any number.
    pub rate: Option<RateLimit>,
    /// When calls are kept away, as it fails at every one.
    pub breaker: BreakerConfig,
    /// Its share of the processor, in proportion to those of other models. Default: 1.
    pub share: NonZeroU32,
    /// Which versions are served. Default: the latest.
    pub version_policy: VersionPolicy,
    /// Names of versions, and how calls are divided between them. Default: none.
    pub labels: Labels,
    /// What is computed before a version is ready.
    pub warm_up: WarmUp,
    /// When it is loaded. Default: at once.
    pub load: LoadWhen,
    /// After how long without a call it is unloaded, to be loaded again when it is called. Default: `None`, never.
    pub unload_after: Option<Duration>,
}

/// What is computed before a version is ready, so that the first calls are as fast as others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WarmUp {
    /// How many calls each instance answers. Default: 1. 0: none.
    pub calls: u32,
    /// How many rows these calls have. Default: 1.
    pub rows: NonZeroU32,
    /// The sizes of the model's other symbols. Default: none, so that each is 1.
    pub dims: BTreeMap<String, u32>,
    /// Whether a version whose warm-up fails is not served. Default: `false`, as made-up inputs need not make sense to a model.
    pub must_succeed: bool,
}

/// When a model is loaded.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LoadWhen {
    /// At once; a version is served when it has been loaded. This is the default.
    #[default]
    Eager,
    /// When it is called for the first time. What is wrong with it is found then.
    OnDemand,
}

impl RepositoryConfig {
    /// A repository of these models, otherwise as by default.
    pub fn new(source: Source) -> Self {
        Self {
            source,
            defaults: ModelConfig::default(),
            memory_budget_bytes: None,
            watch: None,
            load_threads: cores(),
        }
    }
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            batch: BatchConfig::default(),
            instances: cores(),
            reuse: Reuse::default(),
            limits: Limits::default(),
            execution_timeout: Duration::from_secs(30),
            default_timeout: None,
            rate: None,
            breaker: BreakerConfig::default(),
            share: NonZeroU32::MIN,
            version_policy: VersionPolicy::default(),
            labels: Labels::default(),
            warm_up: WarmUp::default(),
            load: LoadWhen::default(),
            unload_after: None,
        }
    }
}

impl Default for WarmUp {
    fn default() -> Self {
        Self {
            calls: 1,
            rows: NonZeroU32::MIN,
            dims: BTreeMap::new(),
            must_succeed: false,
        }
    }
}

fn cores() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}
