//! Bodies as other implementations of the protocol write and read them.

use super::*;

fn inputs() -> Vec<Input> {
    let floats = [0.1f32, 0.25].map(f32::to_le_bytes).concat();
    vec![
        Input {
            name: "x".into(),
            datatype: Datatype::Fp32,
            shape: vec![1, 2],
            data: floats,
        },
        Input {
            name: "flags".into(),
            datatype: Datatype::Bool,
            shape: vec![2],
            data: vec![0, 1],
        },
    ]
}

#[test]
fn writes_json() {
    let body = write(&inputs(), Encoding::Json, &Map::new()).unwrap();
    assert_eq!(body.json_len, None);
    let expected = concat!(
        r#"{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[0.1,0.25]},"#,
        r#"{"name":"flags","shape":[2],"datatype":"BOOL","data":[false,true]}]}"#
    );
    assert_eq!(String::from_utf8(body.bytes).unwrap(), expected);
}

#[test]
fn writes_binary_tensor_data() {
    let parameters = Map::from_iter([("priority".into(), 1.into())]);
    let body = write(&inputs(), Encoding::Binary, &parameters).unwrap();
    let (json, raw) = body.bytes.split_at(body.json_len.unwrap());
    let json: Value = serde_json::from_slice(json).unwrap();
    let parameters = |size: u64| json!({ "binary_data_size": size });
    let expected = json!({
        "inputs": [
            { "name": "x", "shape": [1, 2], "datatype": "FP32", "parameters": parameters(8) },
            { "name": "flags", "shape": [2], "datatype": "BOOL", "parameters": parameters(2) },
        ],
        "parameters": { "priority": 1, "binary_data_output": true },
    });
    assert_eq!(json, expected);
    assert_eq!(raw, [&inputs()[0].data[..], &[0, 1]].concat());
}

fn json_answer(data: Value) -> Vec<u8> {
    let output = json!({ "name": "y", "datatype": "FP32", "shape": [2, 2], "data": data });
    json!({ "model_name": "m", "outputs": [output] })
        .to_string()
        .into_bytes()
}

fn binary_answer(size: usize, values: &[f32]) -> (Vec<u8>, usize) {
    let output = json!({
        "name": "y", "datatype": "FP32", "shape": [2, 2], "parameters": { "binary_data_size": size },
    });
    let mut body = json!({ "outputs": [output] }).to_string().into_bytes();
    let json_len = body.len();
    body.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    (body, json_len)
}

#[test]
fn reads_the_same_from_flat_nested_and_binary_answers() {
    let flat = json_answer(json!([1, 2, 3.5, 4]));
    let nested = json_answer(json!([[1, 2], [3.5, 4]]));
    let (binary, json_len) = binary_answer(16, &[1.0, 2.0, 3.5, 4.0]);
    let expected = read(&flat, None).unwrap();
    assert_eq!(expected[0].numbers, [1.0, 2.0, 3.5, 4.0]);
    assert_eq!(read(&nested, None).unwrap(), expected);
    assert_eq!(read(&binary, Some(json_len)).unwrap(), expected);
    for (body, json_len) in [(flat, None), (nested, None), (binary, Some(json_len))] {
        check(&body, json_len).unwrap();
    }
}

#[test]
fn finds_answers_that_do_not_fit() {
    let (short, json_len) = binary_answer(16, &[1.0, 2.0, 3.5]);
    let (long, _) = binary_answer(16, &[1.0; 5]);
    let (other, other_len) = binary_answer(8, &[1.0, 2.0]);
    let cases = [
        (b"<html>".to_vec(), None, "no answer"),
        (b"{\"error\":\"busy\"}".to_vec(), None, "no answer"),
        (b"{\"outputs\":[]}".to_vec(), None, "expected outputs"),
        (
            json_answer(json!([1, 2, 3])),
            None,
            "y: expected [2, 2] elements, found 3",
        ),
        (
            json_answer(Value::Null),
            None,
            "y: expected elements in JSON or behind it",
        ),
        (short, Some(json_len), "y: expected 16 bytes"),
        (long, Some(json_len), "expected no bytes after the outputs"),
        (
            other,
            Some(other_len),
            "y: expected 16 bytes of dims [2, 2], found 8",
        ),
        (
            b"{}".to_vec(),
            Some(3),
            "expected a body as long as its JSON",
        ),
    ];
    for (body, json_len, expected) in cases {
        for result in [check(&body, json_len), read(&body, json_len).map(drop)] {
            assert_eq!(result.unwrap_err().to_string(), expected);
        }
    }
}

#[test]
fn answers_agree_within_a_tolerance() {
    let read = |values: [f64; 4]| read(&json_answer(json!(values)), None).unwrap();
    let one = read([1.0, 2.0, 3.0, 4.0]);
    let other = read([1.0, 2.0, 3.0, 4.0 + 1e-6]);
    assert!(agree(&one, &one, 0.0));
    assert!(agree(&one, &other, 1e-5));
    assert!(!agree(&one, &other, 0.0));
    assert!(!agree(&one, &[], 1e-5));
    let missing = read([f64::NAN, 2.0, 3.0, 4.0]);
    assert!(agree(&missing, &missing, 0.0));
    assert!(!agree(&one, &missing, 1e-5));
}
