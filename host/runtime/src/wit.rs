//! The types of `wit/*.wit`, so that inputs are copied straight into the guest and outputs straight out of it.
//!
//! Wasmtime compares them with the component's own types before the first call.

use tensorlet_answer::{self as answer, Answer};
use tensorlet_plan::Description;
use tensorlet_tensor::{self as ours, NamedTensor, Signature};
use wasmtime::component::{ComponentType, Lift, Lower};

/// The interface that a predictor imports.
pub(crate) const OFFLOAD_INTERFACE: &str = "tensorlet:model/offload@0.1.0";

/// The interface that a model exports.
pub(crate) const PREDICT_INTERFACE: &str = "tensorlet:model/predict@0.1.0";

/// The interface that a model exports if it was declared how files become answers.
pub(crate) const ANSWER_INTERFACE: &str = "tensorlet:model/answer@0.1.0";

#[derive(Clone, Copy, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum DatumType {
    #[component(name = "bool")]
    Bool,
    #[component(name = "u8")]
    U8,
    #[component(name = "u16")]
    U16,
    #[component(name = "u32")]
    U32,
    #[component(name = "u64")]
    U64,
    #[component(name = "i8")]
    I8,
    #[component(name = "i16")]
    I16,
    #[component(name = "i32")]
    I32,
    #[component(name = "i64")]
    I64,
    #[component(name = "f16")]
    F16,
    #[component(name = "bf16")]
    Bf16,
    #[component(name = "f32")]
    F32,
    #[component(name = "f64")]
    F64,
}

/// A tensor on its way into the guest.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(record)]
pub(crate) struct TensorIn<'a> {
    #[component(name = "datum-type")]
    datum_type: DatumType,
    dims: &'a [u32],
    data: &'a [u8],
}

/// A named tensor on its way into the guest.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(record)]
pub(crate) struct NamedTensorIn<'a> {
    name: &'a str,
    tensor: TensorIn<'a>,
}

/// A tensor that the guest claims to have computed.
#[derive(ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct TensorOut {
    #[component(name = "datum-type")]
    datum_type: DatumType,
    dims: Vec<u32>,
    data: Vec<u8>,
}

/// A named tensor that the guest claims to have computed, or that is given to a guest as if another had.
#[derive(ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct NamedTensorOut {
    name: String,
    tensor: TensorOut,
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(crate) enum Dim {
    #[component(name = "fixed")]
    Fixed(u32),
    #[component(name = "symbol")]
    Symbol(String),
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct TensorSpec {
    name: String,
    #[component(name = "datum-type")]
    datum_type: DatumType,
    dims: Vec<Dim>,
}

/// What the guest claims to be.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct DescriptionOut {
    name: String,
    version: String,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
    #[component(name = "batch-symbol")]
    batch_symbol: Option<String>,
    metadata: Vec<(String, String)>,
}

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct InvalidInput {
    input: String,
    expected: String,
    found: String,
}

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
pub(crate) enum PredictError {
    #[component(name = "invalid-input")]
    InvalidInput(InvalidInput),
    #[component(name = "failed")]
    Failed(String),
}

/// What `predict` returns.
pub(crate) type PredictResult = Result<Vec<NamedTensorOut>, PredictError>;

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct LabelScore {
    label: String,
    score: f32,
    #[component(name = "instead-of")]
    instead_of: Option<String>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct SpeechSegment {
    start: f64,
    end: f64,
    peak: f32,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Speech {
    segments: Vec<SpeechSegment>,
    scores: Vec<f32>,
}

/// What a model says about a file.
#[derive(ComponentType, Lift)]
#[component(variant)]
pub(crate) enum Verdict {
    #[component(name = "labels")]
    Labels(Vec<LabelScore>),
    #[component(name = "speech")]
    Speech(Speech),
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct InvalidFile {
    pub(crate) expected: String,
    pub(crate) found: String,
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(crate) enum AnswerError {
    #[component(name = "invalid-file")]
    InvalidFile(InvalidFile),
    #[component(name = "failed")]
    Failed(String),
    #[component(name = "undeclared")]
    Undeclared,
}

/// What `answer` returns.
pub(crate) type AnswerResult = Result<Verdict, AnswerError>;

impl From<Verdict> for Answer {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Labels(labels) => {
                let label = |LabelScore {
                                 label,
                                 score,
                                 instead_of,
                             }| answer::LabelScore {
                    label,
                    score,
                    instead_of,
                };
                Self::Labels(labels.into_iter().map(label).collect())
            }
            Verdict::Speech(Speech { segments, scores }) => {
                let segment = |SpeechSegment { start, end, peak }| answer::Segment {
                    start_s: start,
                    end_s: end,
                    peak,
                };
                let segments = segments.into_iter().map(segment).collect();
                Self::Speech(answer::Speech { segments, scores })
            }
        }
    }
}

impl<'a> NamedTensorIn<'a> {
    pub(crate) fn new((name, tensor): &'a NamedTensor) -> Self {
        let tensor = TensorIn {
            datum_type: datum_type_to_wit(tensor.datum_type()),
            dims: tensor.dims(),
            data: tensor.data(),
        };
        Self { name, tensor }
    }
}

impl NamedTensorOut {
    pub(crate) fn of((name, tensor): NamedTensor) -> Self {
        let (datum_type, dims, data) = tensor.into_parts();
        let datum_type = datum_type_to_wit(datum_type);
        let tensor = TensorOut {
            datum_type,
            dims,
            data,
        };
        Self { name, tensor }
    }

    /// Checks that the bytes fit the dims.
    pub(crate) fn check(self) -> Result<NamedTensor, String> {
        let TensorOut {
            datum_type,
            dims,
            data,
        } = self.tensor;
        let tensor = ours::Tensor::new(datum_type_from_wit(datum_type), dims, data)
            .map_err(|error| format!("`{}`: {error}", self.name))?;
        Ok((self.name, tensor))
    }
}

impl DescriptionOut {
    /// Checks that the description can be true.
    pub(crate) fn check(self) -> Result<Description, String> {
        let specs = |specs: Vec<TensorSpec>| {
            specs
                .into_iter()
                .map(TensorSpec::check)
                .collect::<Result<Vec<_>, _>>()
        };
        let signature = Signature::new(specs(self.inputs)?, specs(self.outputs)?);
        if signature.batch_symbol != self.batch_symbol {
            let symbol = |symbol: Option<String>| {
                symbol.map_or("none".into(), |symbol| format!("`{symbol}`"))
            };
            return Err(format!(
                "expected the batch symbol to be {}, as the signature has it, found {}",
                symbol(signature.batch_symbol),
                symbol(self.batch_symbol),
            ));
        }
        Ok(Description {
            name: self.name,
            version: self.version,
            signature,
            metadata: self.metadata.into_iter().collect(),
        })
    }
}

impl TensorSpec {
    fn check(self) -> Result<ours::TensorSpec, String> {
        if self.dims.len() > ours::MAX_RANK {
            return Err(format!(
                "`{}`: expected at most {} dims, found {}",
                self.name,
                ours::MAX_RANK,
                self.dims.len()
            ));
        }
        let dims = self.dims.into_iter().map(|dim| match dim {
            Dim::Fixed(size) => ours::Dim::Fixed(size),
            Dim::Symbol(symbol) => ours::Dim::Symbol(symbol),
        });
        Ok(ours::TensorSpec {
            name: self.name,
            datum_type: datum_type_from_wit(self.datum_type),
            dims: dims.collect(),
        })
    }
}

impl PredictError {
    /// Returns the error that the executor in the guest had.
    pub(crate) fn into_message(self) -> (bool, String) {
        match self {
            Self::InvalidInput(InvalidInput {
                input,
                expected,
                found,
            }) => (
                true,
                ours::InvalidInput {
                    input,
                    expected,
                    found,
                }
                .to_string(),
            ),
            Self::Failed(reason) => (false, reason),
        }
    }
}

macro_rules! datum_types {
    ($($name:ident),+ $(,)?) => {
        fn datum_type_from_wit(datum_type: DatumType) -> ours::DatumType {
            match datum_type {
                $(DatumType::$name => ours::DatumType::$name,)+
            }
        }

        fn datum_type_to_wit(datum_type: ours::DatumType) -> DatumType {
            match datum_type {
                $(ours::DatumType::$name => DatumType::$name,)+
            }
        }
    };
}

datum_types!(
    Bool, U8, U16, U32, U64, I8, I16, I32, I64, F16, Bf16, F32, F64
);
