//! What all models of a process share.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use std::{fs, io};

use wasmtime::component::Component;
use wasmtime::{
    Config, Enabled, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
    RegallocAlgorithm,
};

use crate::accelerator::Accelerator;
use crate::cache::Cache;
use crate::composed::Part;
use crate::config::{EngineConfig, LoadOptions};
use crate::error::{LoadError, LoadErrorKind};
use crate::limits::MAX_TABLE_ELEMENTS;
use crate::model::Model;
use crate::shares::{Account, Shares};
use crate::watchdog::{Watch, Watchdog};

/// How many bytes of memory that an instance has written stay resident for the next in its place: the inputs of 8 pictures have 4.8 MB.
const RESIDENT_BYTES: usize = 8 << 20;

/// The same, of its tables of functions.
const RESIDENT_TABLE_BYTES: usize = 16 << 10;

/// Why there is a [`Part::Predictor`] of whatever is loaded.
const HAS_PREDICTOR: &str = "what has no predictor is executed as a whole";

/// How many slots that no instance uses stay so.
const MAX_WARM_SLOTS: u32 = 8;

/// What all models of a process share: the compiler, the pool of instances, the cache. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    raw: wasmtime::Engine,
    cache: Option<Cache>,
    accelerator: Option<Arc<dyn Accelerator>>,
    /// `None` if calls cannot be interrupted.
    watchdog: Option<Watchdog>,
    /// `None` if any number of calls is executed at a time.
    shares: Option<Arc<Shares>>,
}

impl Engine {
    /// Sets up an engine.
    ///
    /// # Errors
    /// If the host cannot run components so, or the cache directory cannot be made or is not safe.
    pub fn new(config: &EngineConfig) -> Result<Self, LoadError> {
        let engine_error = |error: wasmtime::Error| {
            let message = "this host cannot run components as configured";
            LoadError::because(LoadErrorKind::Engine, message, error.into_boxed_dyn_error())
        };
        let raw = wasmtime_config(config)
            .and_then(|config| wasmtime::Engine::new(&config))
            .map_err(engine_error)?;
        let cache = match &config.cache_dir {
            Some(dir) => Some(Cache::open(dir, config.max_cache_bytes)?),
            None => None,
        };
        let interrupted = raw.clone();
        let watchdog = config
            .interruptible
            .then(|| Watchdog::start(move || interrupted.increment_epoch()))
            .transpose()
            .map_err(|error| {
                let message = "the watchdog thread cannot start";
                LoadError::because(LoadErrorKind::Engine, message, error)
            })?;
        let paused = raw.clone();
        let shares = config
            .max_running
            .map(|size| Shares::start(size, move || paused.increment_epoch()));
        Ok(Self {
            shared: Arc::new(Shared {
                raw,
                cache,
                accelerator: config.accelerator.clone(),
                watchdog,
                shares,
            }),
        })
    }

    /// Loads the component in a file, from the cache if it has been compiled before.
    ///
    /// # Errors
    /// If the file cannot be read, is no component, or one that is not a model.
    pub fn load(&self, path: &Path, options: LoadOptions) -> Result<Model, LoadError> {
        let component = self.part_of_file(path, Part::Predictor)?;
        Model::new(self, &component.expect(HAS_PREDICTOR), options)
    }

    /// Loads a component, from the cache if it has been compiled before.
    ///
    /// # Errors
    /// If the bytes are no component, or one that is not a model.
    pub fn load_bytes(&self, bytes: &[u8], options: LoadOptions) -> Result<Model, LoadError> {
        Model::new(self, &self.component(bytes)?, options)
    }

    /// Compiles a component that need not be a model, or takes it from the cache.
    ///
    /// For those who run components before they are models: the compiler of Tensorlet.
    ///
    /// # Errors
    /// If the bytes are no component.
    pub fn component(&self, bytes: &[u8]) -> Result<Component, LoadError> {
        let component = match &self.shared.cache {
            Some(cache) => cache.load_bytes(self, bytes, Part::Predictor)?,
            None => self.compile(bytes, Part::Predictor)?,
        };
        Ok(component.expect(HAS_PREDICTOR))
    }

    /// Compiles a part of the component in a file, or takes it from the cache. `None` if there is no such part.
    pub(crate) fn part_of_file(
        &self,
        path: &Path,
        part: Part,
    ) -> Result<Option<Component>, LoadError> {
        match &self.shared.cache {
            Some(cache) => cache.load_file(self, path, part),
            None => self.compile(&read(path)?, part),
        }
    }

    /// Returns Wasmtime's engine, for those who run components before they are models.
    pub fn raw(&self) -> &wasmtime::Engine {
        &self.shared.raw
    }

    /// Returns who computes what components leave to their host.
    pub(crate) fn accelerator(&self) -> Option<&Arc<dyn Accelerator>> {
        self.shared.accelerator.as_ref()
    }

    /// Reports whether calls can be interrupted.
    pub(crate) fn is_interruptible(&self) -> bool {
        self.shared.watchdog.is_some()
    }

    /// Opens an account for a model, if the engine divides the processor.
    pub(crate) fn open_account(&self, share: NonZeroU32) -> Option<Arc<Account>> {
        let shares = self.shared.shares.as_ref();
        shares.map(|shares| Arc::new(Account::open(shares, share)))
    }

    /// Asks for an interruption of running instances at `deadline`, if they can be interrupted.
    pub(crate) fn watch(&self, deadline: Instant) -> Option<Watch> {
        let watchdog = self.shared.watchdog.as_ref();
        watchdog.map(|watchdog| watchdog.watch(deadline))
    }

    fn compile(&self, component: &[u8], part: Part) -> Result<Option<Component>, LoadError> {
        let compile = |bytes| {
            check_is_component(bytes)?;
            Component::from_binary(self.raw(), bytes).map_err(compile_error)
        };
        part.of(component).map(compile).transpose()
    }

    /// Compiles a component to what [`Cache`] keeps.
    pub(crate) fn precompile(&self, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
        check_is_component(bytes)?;
        self.raw()
            .precompile_component(bytes)
            .map_err(compile_error)
    }
}

/// Reads a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    fs::read(path).map_err(|error| read_error(path, error))
}

pub(crate) fn read_error(path: &Path, error: io::Error) -> LoadError {
    LoadError::because(
        LoadErrorKind::Io,
        format!("cannot read {}", path.display()),
        error,
    )
}

fn compile_error(error: wasmtime::Error) -> LoadError {
    let message =
        "expected a WebAssembly component that this host can compile, found an invalid one";
    LoadError::because(
        LoadErrorKind::NotAComponent,
        message,
        error.into_boxed_dyn_error(),
    )
}

fn check_is_component(bytes: &[u8]) -> Result<(), LoadError> {
    let found = match bytes {
        [b'\0', b'a', b's', b'm', _, _, 1, 0, ..] => return Ok(()),
        [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => "a core WebAssembly module",
        [b'\0', b'a', b's', b'm', ..] => "WebAssembly of an unknown version",
        [] => "an empty file",
        _ => "other bytes",
    };
    Err(LoadError::new(
        LoadErrorKind::NotAComponent,
        format!("expected a WebAssembly component, found {found}"),
    ))
}

fn wasmtime_config(config: &EngineConfig) -> wasmtime::Result<Config> {
    let mut pool = PoolingAllocationConfig::new();
    // A predictor consists of its own module and two small ones that join it with what it imports, of which one has a table. The stub that
    // declines offloads has one more, with a memory that is empty.
    pool.total_component_instances(config.max_instances)
        .total_core_instances(config.max_instances.saturating_mul(8))
        .total_memories(config.max_instances.saturating_mul(2))
        .total_tables(config.max_instances.saturating_mul(4))
        .max_core_instances_per_component(8)
        .max_memories_per_component(2)
        .max_tables_per_component(4)
        .max_core_instance_size(32 << 20)
        .max_component_instance_size(1 << 20)
        .table_elements(MAX_TABLE_ELEMENTS)
        .max_memory_size(4 << 30);
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        // The kernel tells which pages an instance has written, so they are reset in place and found again by the next one.
        pool.pagemap_scan(Enabled::Auto)
            .linear_memory_keep_resident(RESIDENT_BYTES)
            .table_keep_resident(RESIDENT_TABLE_BYTES)
            .max_unused_warm_slots(MAX_WARM_SLOTS);
    }

    let mut wasmtime = Config::new();
    wasmtime
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .memory_init_cow(true)
        // Images are mapped, never copied, however sparse.
        .memory_guaranteed_dense_image_size(u64::MAX)
        .epoch_interruption(config.interruptible)
        // Nothing a model does is asynchronous, and bookkeeping for it costs most of a microsecond a call.
        .concurrency_support(false)
        .generate_address_map(false);
    if config.quick_compile {
        wasmtime
            .cranelift_opt_level(OptLevel::None)
            .cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass);
    }
    Ok(wasmtime)
}
