//! Calls and answers of the Open Inference Protocol, version 2, as bytes.
//!
//! Tensors are JSON numbers, or raw bytes behind the JSON (the extension "binary tensor data"):
//!
//! ```text
//! Inference-Header-Content-Length: 123
//!
//! {"inputs":[{"name":…,"parameters":{"binary_data_size":N}},…],…}   123 bytes
//! elements of the first input, row-major, little-endian             N bytes
//! …
//! ```

use anyhow::{Context as _, Result, bail, ensure};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::inputs::{Datatype, Input};

/// The header that says how much of a body is JSON.
pub(super) const JSON_LEN: &str = "inference-header-content-length";

/// How tensors are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Encoding {
    Json,
    Binary,
}

/// The body of a call.
#[derive(Clone, Debug)]
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    /// How many of the bytes are JSON, if tensors follow.
    pub(super) json_len: Option<usize>,
}

/// One output of an answer, as numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Output {
    name: String,
    datatype: Datatype,
    shape: Vec<u64>,
    numbers: Vec<f64>,
}

/// Writes a call. `parameters` are those of the whole call.
pub(super) fn write(
    inputs: &[Input],
    encoding: Encoding,
    parameters: &Map<String, Value>,
) -> Result<Body> {
    let mut parameters = parameters.clone();
    if encoding == Encoding::Binary {
        parameters.insert("binary_data_output".into(), true.into());
    }
    let mut raw = Vec::new();
    let mut tensors = Vec::new();
    for input in inputs {
        let mut tensor = CallTensor {
            name: &input.name,
            shape: &input.shape,
            datatype: input.datatype,
            data: None,
            parameters: None,
        };
        match encoding {
            Encoding::Json => tensor.data = Some(elements(input)),
            Encoding::Binary => {
                tensor.parameters = Some(json!({ "binary_data_size": input.data.len() }));
                raw.extend_from_slice(&input.data);
            }
        }
        tensors.push(tensor);
    }
    let mut bytes = serde_json::to_vec(&Call {
        inputs: tensors,
        parameters,
    })?;
    let json_len = (encoding == Encoding::Binary).then_some(bytes.len());
    bytes.extend(raw);
    Ok(Body { bytes, json_len })
}

#[derive(Serialize)]
struct Call<'a> {
    inputs: Vec<CallTensor<'a>>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    parameters: Map<String, Value>,
}

#[derive(Serialize)]
struct CallTensor<'a> {
    name: &'a str,
    shape: &'a [u64],
    datatype: Datatype,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Vec<Element>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Value>,
}

/// An element in JSON. An f32 has fewer digits than the same number as f64.
#[derive(Serialize)]
#[serde(untagged)]
enum Element {
    Bool(bool),
    Integer(i64),
    Single(f32),
    Double(f64),
}

fn elements(input: &Input) -> Vec<Element> {
    let element = |bytes| {
        let number = input.datatype.number(bytes);
        match input.datatype {
            Datatype::Bool => Element::Bool(number != 0.0),
            Datatype::Fp32 => Element::Single(number as f32),
            Datatype::Fp16 | Datatype::Bf16 | Datatype::Fp64 => Element::Double(number),
            // Integers that are made up are 0 or 1.
            _ => Element::Integer(number as i64),
        }
    };
    input
        .data
        .chunks(input.datatype.width())
        .map(element)
        .collect()
}

/// An answer, read no further than needed: `D` is what becomes of the elements in JSON.
#[derive(Deserialize)]
struct Answer<D> {
    outputs: Vec<RawOutput<D>>,
}

#[derive(Deserialize)]
struct RawOutput<D> {
    name: String,
    datatype: Datatype,
    shape: Vec<u64>,
    data: Option<D>,
    #[serde(default)]
    parameters: OutputParameters,
}

#[derive(Default, Deserialize)]
struct OutputParameters {
    binary_data_size: Option<usize>,
}

/// Checks that an answer has outputs and that their sizes fit, without reading their elements.
pub(super) fn check(body: &[u8], json_len: Option<usize>) -> Result<()> {
    let (json, raw) = split(body, json_len)?;
    // A list of what is ignored takes no memory, and knows how long it is.
    let answer: Answer<Vec<IgnoredAny>> = serde_json::from_slice(json).context("no answer")?;
    for_each_output(answer, raw, |output, elements| {
        if let Elements::Json(data) = elements {
            // Each element may be a list: the protocol allows nested ones.
            ensure!(
                data.len() as u64 == product(&output.shape)
                    || Some(&(data.len() as u64)) == output.shape.first(),
                "{}: expected {:?} elements, found {}",
                output.name,
                output.shape,
                data.len()
            );
        }
        Ok(())
    })
}

/// Reads the outputs of an answer.
pub(super) fn read(body: &[u8], json_len: Option<usize>) -> Result<Vec<Output>> {
    let (json, raw) = split(body, json_len)?;
    let answer: Answer<Value> = serde_json::from_slice(json).context("no answer")?;
    let mut outputs = Vec::new();
    for_each_output(answer, raw, |output, elements| {
        let mut numbers = Vec::new();
        match elements {
            Elements::Json(data) => flatten(&data, &mut numbers)?,
            Elements::Raw(data) => {
                let elements = data.chunks_exact(output.datatype.width());
                numbers.extend(elements.map(|bytes| output.datatype.number(bytes)));
            }
        }
        ensure!(
            numbers.len() as u64 == product(&output.shape),
            "{}: expected {:?} elements, found {}",
            output.name,
            output.shape,
            numbers.len()
        );
        outputs.push(Output {
            name: output.name,
            datatype: output.datatype,
            shape: output.shape,
            numbers,
        });
        Ok(())
    })?;
    Ok(outputs)
}

/// Tells whether two answers are the same, but for differences of numbers up to `tolerance`.
pub(super) fn agree(one: &[Output], other: &[Output], tolerance: f64) -> bool {
    let same = |a: f64, b: f64| a == b || (a - b).abs() <= tolerance || a.is_nan() && b.is_nan();
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| {
            (&one.name, one.datatype, &one.shape) == (&other.name, other.datatype, &other.shape)
                && one
                    .numbers
                    .iter()
                    .zip(&other.numbers)
                    .all(|(&one, &other)| same(one, other))
        })
}

enum Elements<'a, D> {
    Json(D),
    Raw(&'a [u8]),
}

fn split(body: &[u8], json_len: Option<usize>) -> Result<(&[u8], &[u8])> {
    body.split_at_checked(json_len.unwrap_or(body.len()))
        .context("expected a body as long as its JSON")
}

fn for_each_output<D>(
    answer: Answer<D>,
    mut raw: &[u8],
    mut visit: impl FnMut(RawOutput<()>, Elements<'_, D>) -> Result<()>,
) -> Result<()> {
    ensure!(!answer.outputs.is_empty(), "expected outputs");
    for output in answer.outputs {
        let RawOutput {
            name,
            datatype,
            shape,
            data,
            parameters,
        } = output;
        let elements = match (data, parameters.binary_data_size) {
            (Some(data), None) => Elements::Json(data),
            (None, Some(size)) => {
                let bytes = product(&shape).saturating_mul(datatype.width() as u64);
                ensure!(
                    size as u64 == bytes,
                    "{name}: expected {bytes} bytes of dims {shape:?}, found {size}"
                );
                let (data, rest) = raw
                    .split_at_checked(size)
                    .with_context(|| format!("{name}: expected {size} bytes"))?;
                raw = rest;
                Elements::Raw(data)
            }
            _ => bail!("{name}: expected elements in JSON or behind it"),
        };
        let output = RawOutput {
            name,
            datatype,
            shape,
            data: None,
            parameters: OutputParameters::default(),
        };
        visit(output, elements)?;
    }
    ensure!(raw.is_empty(), "expected no bytes after the outputs");
    Ok(())
}

fn product(shape: &[u64]) -> u64 {
    shape
        .iter()
        .fold(1, |product: u64, &size| product.saturating_mul(size))
}

fn flatten(value: &Value, numbers: &mut Vec<f64>) -> Result<()> {
    match value {
        Value::Array(values) => values
            .iter()
            .try_for_each(|value| flatten(value, numbers))?,
        Value::Bool(value) => numbers.push(f64::from(u8::from(*value))),
        // JSON has no word for it; servers write null.
        Value::Null => numbers.push(f64::NAN),
        Value::Number(number) => numbers.push(number.as_f64().context("expected a number")?),
        Value::String(_) | Value::Object(_) => bail!("expected numbers"),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
