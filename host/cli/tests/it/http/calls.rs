//! Calls with tensors, as JSON and in binary: the answers are those of ONNX Runtime.

use serde_json::{Value, json};
use tensorlet_tensor::{DatumType, Tensor};

use super::host::{Answer, Host, JSON_LEN, on_each};
use crate::references::{agree, case_folder, read_npy};

/// A call of a model under `models/` with one input and one output, and what it is to answer.
pub(super) struct Call {
    model: &'static str,
    input: (&'static str, Tensor),
    output: (&'static str, Tensor),
}

impl Call {
    pub(super) fn new(
        model: &'static str,
        case: &str,
        input: &'static str,
        output: &'static str,
    ) -> Self {
        let folder = case_folder(model, case);
        Self {
            model,
            input: (input, read_npy(&folder.join(format!("inputs/{input}.npy")))),
            output: (
                output,
                read_npy(&folder.join(format!("outputs/{output}.npy"))),
            ),
        }
    }

    pub(super) fn magika(case: &str) -> Self {
        Self::new("magika", case, "bytes", "target_label")
    }

    fn efficientnet(case: &str) -> Self {
        Self::new("efficientnet-lite0", case, "input", "probabilities")
    }

    fn path(&self) -> String {
        format!("/v2/models/{}/infer", self.model)
    }

    fn input(&self, more: &Value) -> Value {
        let (name, tensor) = &self.input;
        let mut input = json!({"name": name, "datatype": datatype(tensor), "shape": tensor.dims()});
        for (key, value) in more.as_object().unwrap() {
            input[key] = value.clone();
        }
        input
    }

    /// Sends and is sent JSON.
    pub(super) fn by_json(&self, host: &Host) {
        let tensor = &self.input.1;
        let data = match tensor.datum_type() {
            DatumType::I32 => json!(tensor.to_values::<i32>().unwrap()),
            _ => json!(tensor.to_values::<f32>().unwrap()),
        };
        let body = json!({"id": "7", "inputs": [self.input(&json!({"data": data}))]});
        let answer = host.post(&self.path(), &[], body.to_string().as_bytes());
        let json = answer.json(200);
        assert_eq!(
            (&json["model_name"], &json["id"]),
            (&json!(self.model), &json!("7"))
        );
        let output = &json["outputs"][0];
        let data = output["data"].as_array().unwrap().iter();
        let data: Vec<f32> = data.map(|value| value.as_f64().unwrap() as f32).collect();
        self.check(output, &data, host);
    }

    /// Sends and is sent bytes.
    pub(super) fn by_binary(&self, host: &Host) {
        let data = self.input.1.data();
        let size = json!({"parameters": {"binary_data_size": data.len()}});
        let json =
            json!({"inputs": [self.input(&size)], "parameters": {"binary_data_output": true}});
        let json = json.to_string();
        let body = [json.as_bytes(), data].concat();
        let headers = [(JSON_LEN, &*json.len().to_string())];
        let answer: Answer = host.post(&self.path(), &headers, &body);
        let json = answer.json(200);
        let data = &answer.body[answer.json_len.expect("the answer is binary")..];
        let output = &json["outputs"][0];
        assert_eq!(output["parameters"]["binary_data_size"], data.len());
        let data = data
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
        self.check(output, &data.collect::<Vec<f32>>(), host);
    }

    fn check(&self, output: &Value, data: &[f32], host: &Host) {
        let (name, expected) = &self.output;
        assert_eq!(output["name"], *name);
        let dims = output["shape"].as_array().unwrap().iter();
        let dims = dims.map(|dim| dim.as_u64().unwrap() as u32).collect();
        let found = Tensor::from_values(dims, data).unwrap();
        agree(&found, expected, &format!("{name} on {:?}", host.kind));
    }
}

fn datatype(tensor: &Tensor) -> &'static str {
    match tensor.datum_type() {
        DatumType::I32 => "INT32",
        DatumType::F32 => "FP32",
        other => panic!("no reference has {other:?}"),
    }
}

#[test]
fn magika_answers_as_onnx_runtime_does() {
    on_each("models/magika", |host| {
        for case in ["batch-1", "batch-3"] {
            Call::magika(case).by_json(host);
            Call::magika(case).by_binary(host);
        }
    });
}

#[test]
fn efficientnet_lite0_answers_as_onnx_runtime_does() {
    on_each("models/efficientnet-lite0", |host| {
        Call::efficientnet("coffee").by_binary(host);
        Call::efficientnet("coffee").by_json(host);
        Call::efficientnet("rocket").by_binary(host);
    });
}

#[test]
fn a_model_says_what_it_is_wherever_it_is_mounted() {
    on_each("models/magika", |host| {
        let server = host.get("/v2").json(200);
        assert_eq!(server["name"], "tensorlet");
        assert_eq!(host.get("/v2/health/live").json(200), json!({"live": true}));
        assert_eq!(
            host.get("/v2/health/ready").json(200),
            json!({"ready": true})
        );
        for path in [
            "/v2/models/magika",
            "/some/route/v2/models/magika/versions/1",
        ] {
            let model = host.get(path).json(200);
            assert_eq!(model["inputs"][0]["shape"], json!([-1, 2048]), "{path}");
            assert_eq!(model["versions"], json!(["1"]), "{path}");
        }
    });
}
