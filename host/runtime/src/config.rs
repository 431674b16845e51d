//! What an embedder chooses.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::accelerator::{Accelerator, Cpu};

/// How an [`Engine`](crate::Engine) is set up.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Where compiled components are kept between runs of the process.
    ///
    /// The directory must belong to this user, and is made so that nobody else can write to it, as what lies in
    /// it is executed. `None`: components are compiled anew in each process. This is the default.
    pub cache_dir: Option<PathBuf>,
    /// The most bytes that the cache may take; what was not used for longest goes first. Default: 10 GiB.
    pub max_cache_bytes: u64,
    /// Who computes what components leave to their host. Default: the processor, [`Cpu`]. `None`: components compute by themselves, as they do
    /// on any other host.
    pub accelerator: Option<Arc<dyn Accelerator>>,
    /// The most instances alive at one time, over all models. One more is refused. Default: 256.
    pub max_instances: u32,
    /// The most calls that are executed at a time, over all models. The others wait; each model gets its [share](LoadOptions::share) of the
    /// processor, as calls of one that has had more pause for one that has had less. They do so if they are
    /// [interruptible](Self::interruptible), and anyway while the host computes for them. Default: `None`, no limit, so that the operating system divides the
    /// processor between threads. A server takes as many as it has cores.
    pub max_running: Option<NonZeroUsize>,
    /// Whether a call can be interrupted when its timeout is over. Default: `true`.
    ///
    /// Compiled code then looks at a counter in every loop, which takes registers that inner loops need: components that compute by
    /// themselves are up to a quarter slower. What the accelerator computes is not. Without it a model that loops can only be
    /// ended with the process, and a call with a timeout is refused.
    pub interruptible: bool,
    /// Whether components are compiled quickly, to slower code. For those that run once. Default: `false`.
    pub quick_compile: bool,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            cache_dir: None,
            max_cache_bytes: 10 << 30,
            accelerator: Some(Arc::new(Cpu::default())),
            max_instances: 256,
            max_running: None,
            interruptible: true,
            quick_compile: false,
        }
    }
}

/// How a [`Model`](crate::Model) is loaded.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// What its instances may take.
    pub limits: Limits,
    /// Which instance answers a call.
    pub reuse: Reuse,
    /// Its share of the processor, in proportion to those of other models, where [`EngineConfig::max_running`] is set. Default: 1.
    pub share: NonZeroU32,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            reuse: Reuse::default(),
            share: NonZeroU32::MIN,
        }
    }
}

/// What one instance may take from the host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Linear memory, with the model's weights; and, apart from it, what a call takes where its host computes. Default: 4 GiB, all that a
    /// component can address.
    pub memory_bytes: u64,
    /// What a call may return, and a description may hold. Default: 1 GiB.
    pub output_bytes: usize,
    /// How long loading may take to ask the component what it is, if it can be interrupted. Default: 10 s.
    pub describe_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 4 << 30,
            output_bytes: 1 << 30,
            describe_timeout: Duration::from_secs(10),
        }
    }
}

/// Which instance answers a call to [`Model::predict`](crate::Model::predict).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Reuse {
    /// A fresh one for every call: no state can leak from call to call.
    Fresh,
    /// One that has answered fewer calls than this.
    Times(u32),
    /// Any that is idle. This is the default: memory that a call has touched stays resident, which makes the
    /// next one faster.
    #[default]
    Unlimited,
}

/// How one call runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallOptions {
    /// How long the call may take before it ends with
    /// [`DeadlineExceeded`](crate::PredictErrorKind::DeadlineExceeded). Default: no limit.
    pub timeout: Option<Duration>,
}
