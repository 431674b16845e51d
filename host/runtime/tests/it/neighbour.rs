//! A model that behaves: the predictor that `tensorlet build` puts into components, with a plan.

use std::path::Path;
use std::sync::Arc;

use tensorlet_plan::Plan;
use tensorlet_runtime::{
    Accelerator, CallOptions, Cpu, Engine, EngineConfig, Instance, Limits, Predictor,
};
use tensorlet_tensor::{NamedTensor, Tensor};

use crate::plans;

/// Returns an engine. Compiled predictors are kept from one run of the tests to the next.
pub(crate) fn engine() -> Engine {
    engine_with(Some(Arc::new(Cpu::default())))
}

pub(crate) fn engine_with(accelerator: Option<Arc<dyn Accelerator>>) -> Engine {
    let config = EngineConfig {
        cache_dir: Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache")),
        accelerator,
        ..EngineConfig::default()
    };
    Engine::new(&config).unwrap()
}

/// Loads a plan into a predictor.
pub(crate) fn predictor(engine: &Engine, plan: &Plan<'_>) -> Instance {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guest/lean.wasm");
    let bytes = std::fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "expected what `cargo xtask guest` builds at {}: {error}",
            path.display()
        )
    });
    let predictor = Predictor::new(engine, &bytes).unwrap();
    predictor.load(plan, &Limits::default()).unwrap().0
}

/// A model that behaves, beside others in its engine.
pub(crate) struct Neighbour {
    instance: Instance,
    calls: u64,
}

impl Neighbour {
    pub(crate) fn new(engine: &Engine) -> Self {
        Self {
            instance: predictor(engine, &plans::negation()),
            calls: 0,
        }
    }

    /// Asks for an answer, which must be right, and must have been computed by the host if it computes.
    #[track_caller]
    pub(crate) fn check(&mut self) {
        self.calls += 1;
        let rows = 1 + self.calls as u32 % 3;
        let x: Vec<f32> = (0..rows * 4).map(|number| number as f32 + 0.5).collect();
        let outputs = self
            .instance
            .predict(&[input(&[rows, 4], &x)], &CallOptions::default())
            .unwrap();
        let expected: Vec<f32> = x.iter().map(|number| -number).collect();
        assert_eq!(outputs[0].1.to_values::<f32>().unwrap(), expected);
        let counts = self.instance.offloaded().unwrap();
        assert_eq!((counts.segments_loaded, counts.runs), (1, self.calls));
        assert_eq!(counts.fallbacks.total(), 0);
    }
}

/// Returns the input `x`.
pub(crate) fn input(dims: &[u32], elements: &[f32]) -> NamedTensor {
    let tensor = Tensor::from_values(dims.to_vec(), elements).unwrap();
    ("x".into(), tensor)
}
