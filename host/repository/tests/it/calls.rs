//! What toys are called with, on which engine, and what they answer.

use std::num::NonZeroUsize;
use std::path::Path;

use tensorlet_runtime::{Engine, EngineConfig};
use tensorlet_tensor::{DatumType, NamedTensor, Tensor};

use crate::toy::{self, Behaviour};

/// Returns a component that answers `value` for each row.
pub(crate) fn toy(value: u32, behaviour: Behaviour) -> Vec<u8> {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    toy::toy(value, behaviour, &wit)
}

/// Returns an engine that divides two cores.
pub(crate) fn engine() -> Engine {
    let config = EngineConfig {
        max_running: NonZeroUsize::new(2),
        ..EngineConfig::default()
    };
    Engine::new(&config).unwrap()
}

/// Returns inputs of so many rows.
pub(crate) fn rows(rows: u32) -> Vec<NamedTensor> {
    let zeros = Tensor::zeros(DatumType::F32, vec![rows, 1]).unwrap();
    vec![("x".into(), zeros)]
}

/// Returns the value that a toy has answered for all rows.
#[track_caller]
pub(crate) fn value(outputs: &[NamedTensor]) -> u32 {
    let [(name, tensor)] = outputs else {
        panic!("expected one output, found {outputs:?}");
    };
    assert_eq!(name, "y");
    let values = tensor.to_values::<f32>().unwrap();
    assert!(values.iter().all(|&value| value == values[0]));
    values[0] as u32
}
