//! An infer request as JSON, before anything in it is believed.
//!
//! What a caller may get wrong of a tensor is left as text, so that the error can name the tensor.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::MAX_TENSORS;
use crate::error::{InvalidRequest, Quoted};
use crate::strict::{List, Object};

#[derive(Debug, Deserialize)]
pub(super) struct RawRequest<'a> {
    pub(super) id: Option<Box<str>>,
    #[serde(borrow)]
    parameters: Option<Object<RawRequestParameters<'a>>>,
    #[serde(borrow)]
    pub(super) inputs: List<Object<RawInput<'a>>, MAX_TENSORS>,
    #[serde(borrow)]
    pub(super) outputs: Option<List<Object<RawOutput<'a>>, MAX_TENSORS>>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct RawRequestParameters<'a> {
    #[serde(borrow)]
    binary_data_output: Option<&'a RawValue>,
    #[serde(borrow)]
    timeout: Option<&'a RawValue>,
    #[serde(borrow)]
    priority: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RawInput<'a> {
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    pub(super) datatype: Option<Box<str>>,
    #[serde(borrow)]
    pub(super) shape: Option<&'a RawValue>,
    #[serde(borrow)]
    parameters: Option<Object<RawTensorParameters<'a>>>,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RawOutput<'a> {
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    #[serde(borrow)]
    parameters: Option<Object<RawTensorParameters<'a>>>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct RawTensorParameters<'a> {
    #[serde(borrow)]
    binary_data_size: Option<&'a RawValue>,
    #[serde(borrow)]
    binary_data: Option<&'a RawValue>,
    #[serde(borrow)]
    classification: Option<&'a RawValue>,
    #[serde(borrow)]
    shared_memory_region: Option<&'a RawValue>,
}

impl<'a> RawRequest<'a> {
    pub(super) fn parameters(&self) -> RawRequestParameters<'a> {
        self.parameters
            .as_ref()
            .map_or_else(Default::default, |parameters| parameters.0)
    }

    pub(super) fn parse(json: &'a [u8]) -> Result<Self, InvalidRequest> {
        let request: Result<Object<Self>, _> = serde_json::from_slice(json);
        request.map(|request| request.0).map_err(|error| {
            let message = match word_at(json, error.line(), error.column()) {
                Some(word) => format!(
                    "request: expected JSON, which has no NaN and no infinities (binary data has), found `{word}` at line {} column {}",
                    error.line(),
                    error.column(),
                ),
                None => format!("request: {error}"),
            };
            InvalidRequest::malformed(message)
        })
    }
}

impl<'a> RawInput<'a> {
    pub(super) fn parameters(&self) -> RawTensorParameters<'a> {
        self.parameters
            .as_ref()
            .map_or_else(Default::default, |parameters| parameters.0)
    }
}

impl<'a> RawOutput<'a> {
    pub(super) fn parameters(&self) -> RawTensorParameters<'a> {
        self.parameters
            .as_ref()
            .map_or_else(Default::default, |parameters| parameters.0)
    }
}

impl RawRequestParameters<'_> {
    pub(super) fn binary_data_output(&self) -> Result<bool, InvalidRequest> {
        let found = parameter(
            "binary_data_output",
            "true or false",
            self.binary_data_output,
        )?;
        Ok(found.unwrap_or(false))
    }

    pub(super) fn timeout(&self) -> Result<Option<Duration>, InvalidRequest> {
        let micros: Option<u64> =
            parameter("timeout", "microseconds, an integer from 0", self.timeout)?;
        Ok(micros
            .filter(|&micros| micros > 0)
            .map(Duration::from_micros))
    }

    pub(super) fn priority(&self) -> Result<u32, InvalidRequest> {
        let priority = parameter("priority", "an integer from 0 to 4294967295", self.priority)?;
        Ok(priority.unwrap_or(0))
    }
}

fn parameter<'a, T: Deserialize<'a>>(
    name: &str,
    expected: &str,
    found: Option<&'a RawValue>,
) -> Result<Option<T>, InvalidRequest> {
    let Some(found) = found else { return Ok(None) };
    serde_json::from_str(found.get()).map(Some).map_err(|_| {
        let found = Quoted(found.get());
        InvalidRequest::malformed(format!(
            "parameter `{name}`: expected {expected}, found {found}"
        ))
    })
}

impl RawTensorParameters<'_> {
    /// Returns the `binary_data_size` of the input of that name.
    pub(super) fn binary_data_size(&self, name: &str) -> Result<Option<u64>, InvalidRequest> {
        if self.shared_memory_region.is_some() {
            let name = Quoted(name);
            let message = format!("input {name}: shared memory is not supported");
            return Err(InvalidRequest::unsupported(message));
        }
        let Some(found) = self.binary_data_size else {
            return Ok(None);
        };
        serde_json::from_str(found.get()).map(Some).map_err(|_| {
            let expected = "a binary_data_size that is an integer from 0";
            InvalidRequest::of_input(name, expected, Quoted(found.get()))
        })
    }

    /// Returns the `binary_data` of the output of that name.
    pub(super) fn binary_data(&self, name: &str) -> Result<Option<bool>, InvalidRequest> {
        let unsupported = |what: &str| {
            let name = Quoted(name);
            InvalidRequest::unsupported(format!("output {name}: {what} is not supported"))
        };
        if self.shared_memory_region.is_some() {
            return Err(unsupported("shared memory"));
        }
        if self.classification.is_some_and(|count| count.get() != "0") {
            return Err(unsupported("classification"));
        }
        let Some(found) = self.binary_data else {
            return Ok(None);
        };
        serde_json::from_str(found.get()).map(Some).map_err(|_| {
            let expected = "a binary_data of true or false";
            InvalidRequest::of_output(name, expected, Quoted(found.get()))
        })
    }
}

/// Returns the word for a float that JSON does not have, if an error that is told to be here is about one.
fn word_at(json: &[u8], line: usize, column: usize) -> Option<&'static str> {
    let lines = json.split(|&byte| byte == b'\n');
    let line = lines.into_iter().nth(line.checked_sub(1)?)?;
    // Some errors are told at the byte itself, others behind it.
    let near = &line[column.saturating_sub(2).min(line.len())..];
    let words = ["NaN", "nan", "-Infinity", "Infinity", "-inf", "inf"];
    let begins = |word: &&str| {
        let word = word.as_bytes();
        (0..=1).any(|skip| near.get(skip..).is_some_and(|near| near.starts_with(word)))
    };
    words.into_iter().find(begins)
}
