//! The body of the response to an infer request.

use half::{bf16, f16};
use serde::{Serialize, Serializer};
use tensorlet_tensor::{DatumType, NamedTensor, Tensor};

use super::datatype;

/// The outputs of a call.
#[derive(Clone, Debug)]
pub struct InferResponse<'a> {
    /// The name of the model that gave them.
    pub model_name: &'a str,
    /// Its version.
    pub model_version: &'a str,
    /// The `id` of the request, if it had one.
    pub id: Option<&'a str>,
    /// The outputs, and whether each is wanted in binary.
    pub outputs: &'a [(&'a NamedTensor, bool)],
}

/// The bytes of a response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EncodedResponse {
    /// The whole body.
    pub body: Vec<u8>,
    /// How many bytes of it are JSON, if tensors in binary follow.
    pub json_len: Option<usize>,
}

impl InferResponse<'_> {
    /// Writes the body.
    ///
    /// Values that JSON does not have are `null`: see [the crate](crate).
    pub fn encode(&self) -> EncodedResponse {
        let text_len = |&(output, is_binary): &(&NamedTensor, bool)| {
            let (name, tensor) = output;
            let data = if is_binary {
                tensor.data().len()
            } else {
                tensor.len() * 12
            };
            name.len() + data + 128
        };
        let mut body = Vec::with_capacity(256 + self.outputs.iter().map(text_len).sum::<usize>());
        serde_json::to_writer(&mut body, &RawResponse::new(self))
            .expect("a Vec takes all, and every key is a string");
        let mut json_len = None;
        for ((_, tensor), is_binary) in self.outputs {
            if *is_binary {
                json_len.get_or_insert(body.len());
                body.extend_from_slice(tensor.data());
            }
        }
        EncodedResponse { body, json_len }
    }
}

#[derive(Serialize)]
struct RawResponse<'a> {
    model_name: &'a str,
    model_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    outputs: Vec<RawOutput<'a>>,
}

#[derive(Serialize)]
struct RawOutput<'a> {
    name: &'a str,
    datatype: &'static str,
    shape: &'a [u32],
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<RawParameters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data<'a>>,
}

#[derive(Serialize)]
struct RawParameters {
    binary_data_size: usize,
}

impl<'a> RawResponse<'a> {
    fn new(response: &InferResponse<'a>) -> Self {
        let output = |&((name, tensor), is_binary): &(&'a NamedTensor, bool)| RawOutput {
            name,
            datatype: datatype::name(tensor.datum_type()),
            shape: tensor.dims(),
            parameters: is_binary.then(|| RawParameters {
                binary_data_size: tensor.data().len(),
            }),
            data: (!is_binary).then_some(Data(tensor)),
        };
        Self {
            model_name: response.model_name,
            model_version: response.model_version,
            id: response.id,
            outputs: response.outputs.iter().map(output).collect(),
        }
    }
}

/// The elements of a tensor as a flat list.
struct Data<'a>(&'a Tensor);

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = self.0.data();
        match self.0.datum_type() {
            DatumType::Bool => serializer.collect_seq(bytes.iter().map(|&byte| byte != 0)),
            DatumType::U8 => serializer.collect_seq(bytes),
            DatumType::U16 => list(serializer, bytes, u16::from_le_bytes),
            DatumType::U32 => list(serializer, bytes, u32::from_le_bytes),
            DatumType::U64 => list(serializer, bytes, u64::from_le_bytes),
            DatumType::I8 => list(serializer, bytes, i8::from_le_bytes),
            DatumType::I16 => list(serializer, bytes, i16::from_le_bytes),
            DatumType::I32 => list(serializer, bytes, i32::from_le_bytes),
            DatumType::I64 => list(serializer, bytes, i64::from_le_bytes),
            DatumType::F16 => list(serializer, bytes, |bytes| {
                f16::from_le_bytes(bytes).to_f32()
            }),
            DatumType::Bf16 => list(serializer, bytes, |bytes| {
                bf16::from_le_bytes(bytes).to_f32()
            }),
            DatumType::F32 => list(serializer, bytes, f32::from_le_bytes),
            DatumType::F64 => list(serializer, bytes, f64::from_le_bytes),
        }
    }
}

/// Writes the values that `read` makes of every `N` bytes.
fn list<S: Serializer, T: Serialize, const N: usize>(
    serializer: S,
    bytes: &[u8],
    read: impl Fn([u8; N]) -> T,
) -> Result<S::Ok, S::Error> {
    let (elements, _) = bytes.as_chunks::<N>();
    serializer.collect_seq(elements.iter().map(|&element| read(element)))
}

#[cfg(test)]
mod tests;
