//! The library, in the generator's own process: the host without HTTP.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tensorlet_repository::{
    CallOptions, LoadedStatistics, Repository, RepositoryConfig, Selector, ServeError,
    ServeErrorKind, Source,
};
use tensorlet_runtime::{Engine, EngineConfig};
use tensorlet_tensor::{DatumType, Dim, NamedTensor, Tensor, TensorSpec};
use tokio::runtime;

use crate::inputs::{self, Datatype, Input, Sizes, Spec};
use crate::target::{Kind, Outcome, Target};

/// A repository in this process.
pub(crate) struct Host {
    repository: Repository,
}

/// One of its models.
#[derive(Clone)]
pub(crate) struct Library {
    repository: Repository,
    model: Arc<str>,
    /// Calls that come round.
    calls: Arc<[Arc<[NamedTensor]>]>,
}

impl Host {
    /// Serves a folder of models as `tensorlet serve` does, and waits until all is loaded.
    pub(crate) fn open(folder: &Path, watch: Option<Duration>, cache: &Path) -> Result<Self> {
        let engine = Engine::new(&EngineConfig {
            cache_dir: Some(cache.to_owned()),
            max_running: Some(thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)),
            ..EngineConfig::default()
        })?;
        let mut config = RepositoryConfig::new(Source::Folder(folder.to_owned()));
        config.watch = watch;
        let repository = Repository::open(engine, config)?;
        repository.wait_until_loaded();
        Ok(Self { repository })
    }

    /// Makes up calls to a model.
    pub(crate) fn model(
        &self,
        model: &str,
        sizes: &Sizes,
        seed: u64,
        bodies: usize,
    ) -> Result<Library> {
        let runtime = runtime::Builder::new_current_thread().build()?;
        let metadata = self.repository.metadata(model, &Selector::Default);
        let metadata = runtime
            .block_on(metadata)
            .with_context(|| model.to_owned())?;
        let specs = metadata.description.signature.inputs.iter().map(spec);
        let calls = inputs::make(&specs.collect::<Vec<_>>(), sizes, seed, bodies)?;
        let calls = calls
            .into_iter()
            .map(|call| call.into_iter().map(tensor).collect());
        Ok(Library {
            repository: self.repository.clone(),
            model: model.into(),
            calls: calls.collect::<Result<_>>()?,
        })
    }

    /// Returns what the process has in memory.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.repository.statistics().resident_bytes.unwrap_or(0)
    }

    /// Returns what the host has counted of a model.
    pub(crate) fn statistics(&self, model: &str) -> Value {
        let statistics = self.repository.statistics();
        let versions = statistics
            .versions
            .iter()
            .filter(|version| version.model == model);
        versions
            .filter_map(|version| version.loaded.as_ref())
            .next_back()
            .map_or(Value::Null, loaded)
    }
}

fn loaded(loaded: &LoadedStatistics) -> Value {
    let counters = &loaded.calls.counters;
    let mean = |sum: u64, count: u64| sum as f64 / count.max(1) as f64;
    let (executions, delays, rows) = (
        &counters.execution_nanos,
        &counters.queue_delay_nanos,
        &counters.batch_size_rows,
    );
    json!({
        "executions": executions.count(),
        "execution_mean_ms": mean(executions.sum(), executions.count()) / 1e6,
        "queue_delay_mean_ms": mean(delays.sum(), delays.count()) / 1e6,
        "batch_rows_mean": mean(rows.sum(), rows.count()),
        "model_bytes": loaded.memory.total_bytes(),
    })
}

impl Target for Library {
    fn call(&self, number: u64) -> impl Future<Output = Outcome> {
        let index = usize::try_from(number).unwrap_or(0) % self.calls.len();
        let (repository, model) = (self.repository.clone(), Arc::clone(&self.model));
        let inputs = Arc::clone(&self.calls[index]);
        async move {
            let options = CallOptions::default();
            let predicted = repository.predict(&model, &Selector::Default, inputs, options);
            match predicted.await {
                Ok(_) => Outcome::Answered,
                Err(error) => failure(&error),
            }
        }
    }
}

fn failure(error: &ServeError) -> Outcome {
    let kind: Kind = format!("{:?}", error.kind()).into();
    match error.kind() {
        ServeErrorKind::Shed
        | ServeErrorKind::RateLimited
        | ServeErrorKind::CircuitOpen
        | ServeErrorKind::TooManyInstances => Outcome::Refused(kind),
        _ => Outcome::Failed(kind),
    }
}

fn spec(spec: &TensorSpec) -> Spec {
    let size = |dim: &Dim| match dim {
        Dim::Fixed(size) => i64::from(*size),
        Dim::Symbol(_) => -1,
    };
    Spec {
        name: spec.name.clone(),
        datatype: datatype(spec.datum_type),
        shape: spec.dims.iter().map(size).collect(),
    }
}

fn datatype(datum_type: DatumType) -> Datatype {
    match datum_type {
        DatumType::Bool => Datatype::Bool,
        DatumType::U8 => Datatype::Uint8,
        DatumType::U16 => Datatype::Uint16,
        DatumType::U32 => Datatype::Uint32,
        DatumType::U64 => Datatype::Uint64,
        DatumType::I8 => Datatype::Int8,
        DatumType::I16 => Datatype::Int16,
        DatumType::I32 => Datatype::Int32,
        DatumType::I64 => Datatype::Int64,
        DatumType::F16 => Datatype::Fp16,
        DatumType::Bf16 => Datatype::Bf16,
        DatumType::F32 => Datatype::Fp32,
        DatumType::F64 => Datatype::Fp64,
    }
}

fn tensor(input: Input) -> Result<NamedTensor> {
    let all = [
        DatumType::Bool,
        DatumType::U8,
        DatumType::U16,
        DatumType::U32,
        DatumType::U64,
        DatumType::I8,
        DatumType::I16,
        DatumType::I32,
        DatumType::I64,
        DatumType::F16,
        DatumType::Bf16,
        DatumType::F32,
        DatumType::F64,
    ];
    let datum_type = all.into_iter().find(|&one| datatype(one) == input.datatype);
    let datum_type = datum_type.context("each datatype is one of the model's")?;
    let dims: Result<Vec<u32>, _> = input
        .shape
        .iter()
        .map(|&size| u32::try_from(size))
        .collect();
    ensure!(dims.is_ok(), "input `{}` is too large", input.name);
    Ok((input.name, Tensor::new(datum_type, dims?, input.data)?))
}
