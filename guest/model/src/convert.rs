//! From our types to those of the interfaces, and back.

use tensorlet_tensor::{DatumType, Dim, NamedTensor, Tensor, TensorSpec};

use crate::bindings::tensorlet::model::predict::Description as WitDescription;
use crate::bindings::tensorlet::model::tensor as wit;
use crate::{Description, Input, PredictError};

pub(crate) fn input<'a>(input: &Input<'a>) -> wit::NamedTensorParam<'a> {
    wit::NamedTensorParam {
        name: input.name,
        tensor: wit::TensorParam {
            datum_type: datum_type_to_wit(input.datum_type),
            dims: input.dims,
            data: input.data,
        },
    }
}

/// Makes a tensor of what a model claims to be one.
pub(crate) fn output(output: wit::NamedTensorResult) -> Result<NamedTensor, PredictError> {
    let name = output.name;
    let wit::TensorResult {
        datum_type,
        dims,
        data,
    } = output.tensor;
    match Tensor::new(datum_type_from_wit(datum_type), dims, data) {
        Ok(tensor) => Ok((name, tensor)),
        Err(error) => Err(PredictError::Failed(format!("output `{name}`: {error}"))),
    }
}

pub(crate) fn description(description: WitDescription) -> Description {
    let specs = |specs: Vec<wit::TensorSpec>| specs.into_iter().map(spec).collect();
    Description {
        name: description.name,
        version: description.version,
        inputs: specs(description.inputs),
        outputs: specs(description.outputs),
    }
}

fn spec(spec: wit::TensorSpec) -> TensorSpec {
    let dims = spec.dims.into_iter().map(|dim| match dim {
        wit::Dim::Fixed(size) => Dim::Fixed(size),
        wit::Dim::Symbol(symbol) => Dim::Symbol(symbol),
    });
    TensorSpec {
        name: spec.name,
        datum_type: datum_type_from_wit(spec.datum_type),
        dims: dims.collect(),
    }
}

macro_rules! datum_types {
    ($($ours:ident = $wit:ident),+ $(,)?) => {
        fn datum_type_from_wit(datum_type: wit::DatumType) -> DatumType {
            match datum_type {
                $(wit::DatumType::$wit => DatumType::$ours,)+
            }
        }

        fn datum_type_to_wit(datum_type: DatumType) -> wit::DatumType {
            match datum_type {
                $(DatumType::$ours => wit::DatumType::$wit,)+
            }
        }
    };
}

datum_types! {
    Bool = Bool, U8 = U8, U16 = U16, U32 = U32, U64 = U64, I8 = I8, I16 = I16, I32 = I32, I64 = I64,
    F16 = F16, Bf16 = Bf16, F32 = F32, F64 = F64,
}
