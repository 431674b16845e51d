//! Components, loaded as `tensorlet bench` loads them.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use tensorlet_runtime::{Accelerator, Cpu, Engine, EngineConfig, LoadOptions, Model};

/// Loads a component: calls cannot be interrupted, and one thread computes, natively if it `offloads`.
///
/// If the cache does not have it, compiling it leaves memory behind that other processes do not take.
pub(crate) fn load(
    component: &Path,
    cache_dir: &Path,
    offloads: bool,
    max_instances: u32,
) -> Result<Model> {
    let cpu = || -> Arc<dyn Accelerator> { Arc::new(Cpu::default()) };
    let engine = Engine::new(&EngineConfig {
        cache_dir: Some(cache_dir.to_owned()),
        accelerator: offloads.then(cpu),
        interruptible: false,
        max_instances,
        ..EngineConfig::default()
    })?;
    engine
        .load(component, LoadOptions::default())
        .with_context(|| component.display().to_string())
}
