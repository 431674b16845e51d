//! The component's exports.

use std::sync::OnceLock;

use tensorlet_executor::{Executor, LoadOptions, PredictError};
use tensorlet_plan::Plan;
use tensorlet_tensor::signature::Claim;
use tensorlet_tensor::{self as ours, NamedTensor};

use crate::bindings::Guest;
use crate::bindings::exports::tensorlet::model::predict;
use crate::bindings::exports::tensorlet::model::tensor as wit;
use crate::offload::HOST;
use crate::{heap, tiles};

/// The executor, once `prepare` has run.
static EXECUTOR: OnceLock<Executor> = OnceLock::new();

/// What the exports are implemented on.
pub(crate) struct Predictor;

impl Guest for Predictor {
    fn prepare(
        plan: Vec<u8>,
        segments: Vec<Vec<u8>>,
        lifetimes: Option<Vec<u8>>,
        first_tile: u32,
    ) -> Result<Vec<u8>, String> {
        heap::begin(lifetimes);
        // What was passed in is not resident; copies are.
        let kept = segments.clone();
        drop(segments);
        let executor = {
            let plan = Plan::read(&plan).map_err(|error| error.to_string())?;
            let options = LoadOptions {
                tiles: tiles::emitted(&plan.tiles, first_tile)?,
                offload: Some(&HOST),
                segments: kept,
                ..LoadOptions::default()
            };
            Executor::load(&plan, options).map_err(|error| error.to_string())?
        };
        drop(plan);
        // The sizes of the first call are likely these, and whether the model has them is for the call to say. No call of them clears or grows memory.
        let sizes = vec![1; executor.symbols().len()];
        let _ = heap::behind(|| executor.make_ready(&sizes));
        EXECUTOR
            .set(executor)
            .map_err(|_| "expected an empty predictor, found one that holds a plan".to_owned())?;
        Ok(heap::finish())
    }
}

impl predict::Guest for Predictor {
    fn describe() -> predict::Description {
        // Who asks what a model is, is about to call it.
        executor().offer_segments();
        let description = executor().description();
        let specs = |specs: &[ours::TensorSpec]| specs.iter().map(spec_to_wit).collect();
        predict::Description {
            name: description.name.clone(),
            version: description.version.clone(),
            inputs: specs(&description.signature.inputs),
            outputs: specs(&description.signature.outputs),
            batch_symbol: description.signature.batch_symbol.clone(),
            metadata: description.metadata.clone().into_iter().collect(),
        }
    }

    fn predict(
        inputs: Vec<wit::NamedTensor>,
    ) -> Result<Vec<wit::NamedTensor>, predict::PredictError> {
        let executor = executor();
        let inputs = check(executor, inputs)?;
        let outputs = executor.predict(&inputs).map_err(error_to_wit)?;
        Ok(outputs.into_iter().map(tensor_to_wit).collect())
    }
}

fn executor() -> &'static Executor {
    EXECUTOR
        .get()
        .expect("`prepare` runs before any other export")
}

/// Turns what a caller claims to be tensors into tensors.
fn check(
    executor: &Executor,
    inputs: Vec<wit::NamedTensor>,
) -> Result<Vec<NamedTensor>, predict::PredictError> {
    let claims: Vec<Claim<'_>> = inputs
        .iter()
        .map(|input| Claim {
            name: &input.name,
            datum_type: datum_type_from_wit(input.tensor.datum_type),
            dims: &input.tensor.dims,
            data_len: input.tensor.data.len(),
        })
        .collect();
    let signature = &executor.description().signature;
    signature
        .bind_claims(&claims)
        .map_err(|error| error_to_wit(error.into()))?;

    let tensors = inputs.into_iter().map(|input| {
        let wit::Tensor {
            datum_type,
            dims,
            data,
        } = input.tensor;
        let tensor = ours::Tensor::new(datum_type_from_wit(datum_type), dims, data);
        (
            input.name,
            tensor.expect("`bind_claims` compared bytes with dims"),
        )
    });
    Ok(tensors.collect())
}

fn error_to_wit(error: PredictError) -> predict::PredictError {
    match error {
        PredictError::InvalidInput(ours::InvalidInput {
            input,
            expected,
            found,
        }) => predict::PredictError::InvalidInput(predict::InvalidInput {
            input,
            expected,
            found,
        }),
        other => predict::PredictError::Failed(other.to_string()),
    }
}

fn spec_to_wit(spec: &ours::TensorSpec) -> wit::TensorSpec {
    let dims = spec.dims.iter().map(|dim| match dim {
        ours::Dim::Fixed(size) => wit::Dim::Fixed(*size),
        ours::Dim::Symbol(symbol) => wit::Dim::Symbol(symbol.clone()),
    });
    wit::TensorSpec {
        name: spec.name.clone(),
        datum_type: datum_type_to_wit(spec.datum_type),
        dims: dims.collect(),
    }
}

fn tensor_to_wit((name, tensor): NamedTensor) -> wit::NamedTensor {
    let (datum_type, dims, data) = tensor.into_parts();
    wit::NamedTensor {
        name,
        tensor: wit::Tensor {
            datum_type: datum_type_to_wit(datum_type),
            dims,
            data,
        },
    }
}

macro_rules! datum_types {
    ($($ours:ident = $wit:ident),+ $(,)?) => {
        fn datum_type_from_wit(datum_type: wit::DatumType) -> ours::DatumType {
            match datum_type {
                $(wit::DatumType::$wit => ours::DatumType::$ours,)+
            }
        }

        fn datum_type_to_wit(datum_type: ours::DatumType) -> wit::DatumType {
            match datum_type {
                $(ours::DatumType::$ours => wit::DatumType::$wit,)+
            }
        }
    };
}

datum_types! {
    Bool = Bool, U8 = U8, U16 = U16, U32 = U32, U64 = U64, I8 = I8, I16 = I16, I32 = I32, I64 = I64,
    F16 = F16, Bf16 = Bf16, F32 = F32, F64 = F64,
}
