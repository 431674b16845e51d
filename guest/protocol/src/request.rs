//! The body of an infer request.

mod json;

use std::borrow::Cow;
use std::time::Duration;

use tensorlet_tensor::{DatumType, NamedTensor, Tensor};

use self::json::{RawInput, RawOutput, RawRequest};
use super::cut::Cut;
use super::data;
use super::datatype::{self, type_text};
use super::error::{InvalidRequest, Quoted};
use super::shape::{self, Mismatch};
use super::strict::Object;

/// The most inputs, and the most requested outputs, of a request.
pub const MAX_TENSORS: usize = 1024;

/// What an infer request asks for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct InferRequest<'a> {
    /// The inputs in the order of the request; no name is there twice.
    pub inputs: Vec<Input<'a>>,
    /// Everything else.
    pub options: InferOptions,
}

/// An input, whose bytes are those of the body where it has them in binary.
///
/// Invariant: `data.len()` is the product of `dims` times the width of `datum_type`, and the rank is at most
/// [`MAX_RANK`](tensorlet_tensor::MAX_RANK).
#[derive(Clone, Debug, PartialEq)]
pub struct Input<'a> {
    name: String,
    datum_type: DatumType,
    dims: Vec<u32>,
    data: Cow<'a, [u8]>,
}

/// How an infer request is to be answered.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct InferOptions {
    /// What the response repeats.
    pub id: Option<String>,
    /// The outputs that are wanted, in the order of the response, no name twice. Empty for all, in the model's order.
    pub outputs: Vec<RequestedOutput>,
    /// Whether outputs are wanted in binary, where nothing else is said of one.
    pub binary_outputs: bool,
    /// How long an answer is of use. `None` when nothing was said, or 0.
    pub timeout: Option<Duration>,
    /// The level, from 1 for the first; 0 for the default one.
    pub priority: u32,
}

/// An output that is wanted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestedOutput {
    /// Its name.
    pub name: String,
    /// Whether it is wanted in binary.
    pub is_binary: bool,
}

impl<'a> InferRequest<'a> {
    /// Reads a body, whose first `json_len` bytes are JSON and the others binary tensors; without it, all is JSON.
    ///
    /// Memory is taken in proportion to the body, whatever shapes it states: each value of a tensor comes from one
    /// byte of binary or two of text, and takes 8 bytes at most.
    ///
    /// # Errors
    /// If the body breaks the protocol or does not fit itself, or asks for what is not supported.
    pub fn parse(body: &'a [u8], json_len: Option<usize>) -> Result<Self, InvalidRequest> {
        let (json, binary) = match json_len {
            None => (body, None),
            Some(0) => {
                return Err(InvalidRequest::unsupported(
                    "requests without JSON, whose header length is 0, are not supported",
                ));
            }
            Some(len) => {
                let (json, binary) = body.split_at_checked(len).ok_or_else(|| {
                    let expected = format!("{len} bytes of JSON, as its header says");
                    InvalidRequest::of_body(expected, format!("a body of {}", body.len()))
                })?;
                (json, Some(binary))
            }
        };
        if let Some(cut) = Cut::new(json)
            && let Ok(request) = Self::parse_json(cut.text(), Some(&cut), binary)
            && cut.is_found()
        {
            return Ok(request);
        }
        // Errors tell places in the whole text.
        Self::parse_json(json, None, binary)
    }

    fn parse_json(
        json: &[u8],
        cut: Option<&Cut<'_>>,
        mut binary: Option<&'a [u8]>,
    ) -> Result<Self, InvalidRequest> {
        let raw = RawRequest::parse(json)?;
        let parameters = raw.parameters();
        let binary_outputs = parameters.binary_data_output()?;
        let mut inputs: Vec<Input<'a>> = Vec::with_capacity(raw.inputs.0.len());
        for Object(input) in raw.inputs.0 {
            if inputs.iter().any(|earlier| *earlier.name == *input.name) {
                let name = &input.name;
                return Err(InvalidRequest::of_input(
                    name,
                    "it once",
                    "it more than once",
                ));
            }
            inputs.push(read_input(input, cut, &mut binary)?);
        }
        match binary {
            Some(rest) if !rest.is_empty() => {
                let found = format!("{} bytes more", rest.len());
                let expected = "as many bytes behind the JSON as its inputs have";
                return Err(InvalidRequest::of_body(expected, found));
            }
            _ => {}
        }
        let outputs = raw.outputs.map_or_else(Vec::new, |list| list.0);
        let options = InferOptions {
            id: raw.id.map(String::from),
            outputs: read_outputs(outputs, binary_outputs)?,
            binary_outputs,
            timeout: parameters.timeout()?,
            priority: parameters.priority()?,
        };
        Ok(Self { inputs, options })
    }

    /// Reads the header that tells how many bytes of a body are JSON: [`JSON_LEN_HEADER`](crate::JSON_LEN_HEADER).
    ///
    /// # Errors
    /// If it is no number of bytes.
    pub fn json_len(header: &[u8]) -> Result<usize, InvalidRequest> {
        let text = str::from_utf8(header).unwrap_or_default();
        text.parse().map_err(|_| {
            let found = Quoted(text);
            InvalidRequest::malformed(format!(
                "header Inference-Header-Content-Length: expected a number of bytes, found {found}"
            ))
        })
    }
}

impl<'a> Input<'a> {
    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the type of the elements.
    pub fn datum_type(&self) -> DatumType {
        self.datum_type
    }

    /// Returns the sizes, outermost first; empty for a scalar.
    pub fn dims(&self) -> &[u32] {
        &self.dims
    }

    /// Returns the elements' bytes.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Makes a tensor of it, and copies the bytes that are in the body.
    pub fn into_tensor(self) -> NamedTensor {
        let tensor = Tensor::new(self.datum_type, self.dims, self.data.into_owned());
        let tensor = tensor.expect("rank and length were checked when the input was read");
        (self.name, tensor)
    }
}

impl InferOptions {
    /// Checks that all outputs that are wanted are among those of a model.
    ///
    /// # Errors
    /// If they are not; the error names the first such output.
    pub fn check_outputs(&self, outputs: &[NamedTensor]) -> Result<(), InvalidRequest> {
        let is_there = |name: &str| outputs.iter().any(|(other, _)| other == name);
        let Some(unknown) = self.outputs.iter().find(|output| !is_there(&output.name)) else {
            return Ok(());
        };
        let names: Vec<String> = outputs
            .iter()
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        let expected = format!("one of {}", names.join(", "));
        let found = "an output that the model does not have";
        Err(InvalidRequest::of_output(&unknown.name, expected, found))
    }

    /// Returns the outputs that are wanted and whether in binary, of all `outputs` of a model.
    ///
    /// One that is wanted and not there is left out: see [`InferOptions::check_outputs`].
    pub fn select<'a>(&self, outputs: &'a [NamedTensor]) -> Vec<(&'a NamedTensor, bool)> {
        if self.outputs.is_empty() {
            return outputs
                .iter()
                .map(|output| (output, self.binary_outputs))
                .collect();
        }
        let find = |wanted: &RequestedOutput| {
            let output = outputs.iter().find(|(name, _)| *name == wanted.name)?;
            Some((output, wanted.is_binary))
        };
        self.outputs.iter().filter_map(find).collect()
    }
}

fn read_outputs(
    raw: Vec<Object<RawOutput<'_>>>,
    binary_outputs: bool,
) -> Result<Vec<RequestedOutput>, InvalidRequest> {
    let mut outputs: Vec<RequestedOutput> = Vec::with_capacity(raw.len());
    for Object(output) in raw {
        if outputs.iter().any(|other| other.name == output.name) {
            let name = &output.name;
            return Err(InvalidRequest::of_output(
                name,
                "it once",
                "it more than once",
            ));
        }
        let is_binary = output.parameters().binary_data(&output.name)?;
        outputs.push(RequestedOutput {
            name: output.name.into_owned(),
            is_binary: is_binary.unwrap_or(binary_outputs),
        });
    }
    Ok(outputs)
}

/// Reads an input; takes its bytes from the front of `binary` if they are there.
fn read_input<'a>(
    input: RawInput<'_>,
    cut: Option<&Cut<'_>>,
    binary: &mut Option<&'a [u8]>,
) -> Result<Input<'a>, InvalidRequest> {
    let name = &*input.name;
    let invalid = |Mismatch { expected, found }| InvalidRequest::of_input(name, expected, found);
    let missing = |field: &str| InvalidRequest::of_input(name, field, "none");

    let datum_type = input
        .datatype
        .as_deref()
        .ok_or_else(|| missing("a datatype"))?;
    let datum_type = match datatype::from_name(datum_type) {
        Some(datum_type) => datum_type,
        None if datum_type == "BYTES" => {
            let name = Quoted(name);
            let message =
                format!("input {name}: BYTES are not supported, as models have no strings");
            return Err(InvalidRequest::unsupported(message));
        }
        None => {
            let expected =
                "a datatype (BOOL, UINT8 to UINT64, INT8 to INT64, FP16, BF16, FP32 or FP64)";
            return Err(InvalidRequest::of_input(name, expected, Quoted(datum_type)));
        }
    };
    let dims = input.shape.ok_or_else(|| missing("a shape"))?;
    let dims = shape::read(dims.get()).map_err(invalid)?;
    let width_bytes = datum_type.width_bytes();
    let elements = shape::elements(&dims, width_bytes).ok_or_else(|| {
        let found = type_text(datum_type, &dims);
        InvalidRequest::of_input(name, "dims whose product fits in memory", found)
    })?;

    let binary_len = input.parameters().binary_data_size(name)?;
    let data = match (input.data, binary_len) {
        (Some(json), None) => {
            let list = cut.and_then(|cut| cut.find(json.get()));
            let json = list.unwrap_or(json.get());
            Cow::Owned(data::read(json, datum_type, &dims, elements).map_err(invalid)?)
        }
        (None, Some(len)) => {
            let expected_len = elements * width_bytes;
            if len != expected_len as u64 {
                let expected = format!("{expected_len} bytes for {}", type_text(datum_type, &dims));
                let found = format!("a binary_data_size of {len}");
                return Err(InvalidRequest::of_input(name, expected, found));
            }
            Cow::Borrowed(take(name, expected_len, binary)?)
        }
        (None, None) => return Err(missing("data or a binary_data_size")),
        (Some(_), Some(_)) => {
            let expected = "either data or a binary_data_size";
            return Err(InvalidRequest::of_input(name, expected, "both"));
        }
    };
    if datum_type == DatumType::Bool
        && let Some(byte) = data.iter().find(|&&byte| byte > 1)
    {
        let found = byte.to_string();
        return Err(InvalidRequest::of_input(
            name,
            "bytes of BOOL that are 0 or 1",
            found,
        ));
    }
    Ok(Input {
        name: input.name.into_owned(),
        datum_type,
        dims,
        data,
    })
}

fn take<'a>(
    name: &str,
    len: usize,
    binary: &mut Option<&'a [u8]>,
) -> Result<&'a [u8], InvalidRequest> {
    let Some(rest) = binary else {
        let expected = "a header that tells the length of the JSON, as its data is binary";
        return Err(InvalidRequest::of_input(name, expected, "none"));
    };
    let Some((taken, left)) = rest.split_at_checked(len) else {
        let expected = format!("{len} bytes behind the JSON and earlier inputs");
        return Err(InvalidRequest::of_input(name, expected, rest.len()));
    };
    *binary = Some(left);
    Ok(taken)
}

#[cfg(test)]
mod tests;
