//! A Spin component that asks a model, as one of yours would.
//!
//! It imports `tensorlet:model/predict`. `spin.toml` names the component that `tensorlet build` made, and Spin joins the two.

use spin_sdk::http::{IntoResponse, Request, Response};
use spin_sdk::http_component;

mod model {
    wit_bindgen::generate!({
        inline: "
            package example:handler;
            world handler { import tensorlet:model/predict@0.1.0; }
        ",
        path: "../../wit",
        generate_all,
    });

    pub(crate) use self::tensorlet::model::predict::{PredictError, describe, predict};
    pub(crate) use self::tensorlet::model::tensor::{Dim, NamedTensor, Tensor};
}

use model::{Dim, NamedTensor, PredictError, Tensor};

/// Answers which class the model finds best for a row, whose elements are the request's body, little-endian.
#[http_component]
fn handle(request: Request) -> impl IntoResponse {
    match best_class(request.body()) {
        Ok((class, score)) => {
            Response::new(200, format!("{{\"class\": {class}, \"score\": {score}}}\n"))
        }
        Err(reason) => Response::new(400, reason),
    }
}

/// Returns the index of the highest score in the model's first output, and the score.
fn best_class(row: &[u8]) -> Result<(usize, f32), String> {
    let description = model::describe();
    let [input] = description.inputs.as_slice() else {
        return Err(format!(
            "expected a model with one input, found {}",
            description.inputs.len()
        ));
    };
    let size = |dim: &Dim| match dim {
        Dim::Fixed(size) => *size,
        Dim::Symbol(_) => 1,
    };
    let tensor = Tensor {
        datum_type: input.datum_type,
        dims: input.dims.iter().map(size).collect(),
        data: row.to_vec(),
    };
    let row = NamedTensor {
        name: input.name.clone(),
        tensor,
    };
    let outputs = model::predict(&[row]).map_err(|error| match error {
        PredictError::InvalidInput(error) => {
            format!(
                "input `{}`: expected {}, found {}",
                error.input, error.expected, error.found
            )
        }
        PredictError::Failed(reason) => reason,
    })?;
    let scores = outputs
        .first()
        .ok_or("expected a model with an output, found none")?;
    let scores = scores.tensor.data.chunks_exact(4);
    let scores = scores.map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    let best = scores.enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
    best.ok_or_else(|| "expected scores, found none".into())
}
