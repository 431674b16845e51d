//! What a server and its models say of themselves.

use serde::Serialize;
use tensorlet_tensor::{Dim, TensorSpec};

use crate::datatype;

/// What a server is.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ServerMetadata<'a> {
    /// The server's name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// The extensions of the protocol that it implements; clients go by them.
    pub extensions: &'a [&'a str],
}

/// What a model takes and gives.
#[derive(Clone, Debug, Serialize)]
pub struct ModelMetadata<'a> {
    name: &'a str,
    versions: &'a [String],
    platform: &'static str,
    inputs: Vec<TensorMetadata<'a>>,
    outputs: Vec<TensorMetadata<'a>>,
}

#[derive(Clone, Debug, Serialize)]
struct TensorMetadata<'a> {
    name: &'a str,
    datatype: &'static str,
    /// A size that a call chooses is -1.
    shape: Vec<i64>,
}

/// `{"live":true}`, of a server that runs.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Live {
    /// Always true: who does not run says nothing.
    pub live: bool,
}

/// `{"ready":true}`, of a server that takes calls.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Ready {
    /// Whether it does.
    pub ready: bool,
}

/// `{"name":"m","ready":true}`, of a model that takes calls.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ModelReady<'a> {
    /// The model's name.
    pub name: &'a str,
    /// Whether it does.
    pub ready: bool,
}

impl<'a> ModelMetadata<'a> {
    /// Describes a model of this name, of which there are these versions.
    pub fn new(
        name: &'a str,
        versions: &'a [String],
        inputs: &'a [TensorSpec],
        outputs: &'a [TensorSpec],
    ) -> Self {
        Self {
            name,
            versions,
            platform: "wasm_component",
            inputs: inputs.iter().map(TensorMetadata::new).collect(),
            outputs: outputs.iter().map(TensorMetadata::new).collect(),
        }
    }
}

impl<'a> TensorMetadata<'a> {
    fn new(spec: &'a TensorSpec) -> Self {
        let size = |dim: &Dim| match dim {
            Dim::Fixed(size) => i64::from(*size),
            Dim::Symbol(_) => -1,
        };
        Self {
            name: &spec.name,
            datatype: datatype::name(spec.datum_type),
            shape: spec.dims.iter().map(size).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::to_json;

    #[test]
    fn says_what_a_model_is() {
        let inputs = ["image:u8[N,224,3]".parse().unwrap()];
        let versions = ["1".to_owned(), "7".to_owned()];
        let metadata = ModelMetadata::new("m", &versions, &inputs, &[]);
        expect![[r#"{"name":"m","versions":["1","7"],"platform":"wasm_component","inputs":[{"name":"image","datatype":"UINT8","shape":[-1,224,3]}],"outputs":[]}"#]]
            .assert_eq(str::from_utf8(&to_json(&metadata)).unwrap());
    }

    #[test]
    fn says_what_a_server_is() {
        let server = ServerMetadata {
            name: "s",
            version: "1.2",
            extensions: &["parameters"],
        };
        expect![[r#"{"name":"s","version":"1.2","extensions":["parameters"]}"#]]
            .assert_eq(str::from_utf8(&to_json(&server)).unwrap());
    }
}
