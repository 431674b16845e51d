//! Tests of response bodies.

use expect_test::expect;

use super::*;

fn encode(outputs: &[(&NamedTensor, bool)]) -> EncodedResponse {
    let response = InferResponse {
        model_name: "m",
        model_version: "3",
        id: Some("a\"b"),
        outputs,
    };
    response.encode()
}

#[test]
fn writes_json() {
    let floats = Tensor::from_values(vec![1, 5], &[0.1f32, 1.0, -0.0, 1e-45, f32::MAX]).unwrap();
    let bools = Tensor::new(DatumType::Bool, vec![2], vec![1, 0]).unwrap();
    let outputs = [("y".to_owned(), floats), ("z".to_owned(), bools)];
    let encoded = encode(&[(&outputs[0], false), (&outputs[1], false)]);
    expect![[r#"{"model_name":"m","model_version":"3","id":"a\"b","outputs":[{"name":"y","datatype":"FP32","shape":[1,5],"data":[0.1,1.0,-0.0,1e-45,3.4028235e+38]},{"name":"z","datatype":"BOOL","shape":[2],"data":[true,false]}]}"#]].assert_eq(&String::from_utf8(encoded.body).unwrap());
    assert_eq!(encoded.json_len, None);
}

#[test]
fn writes_binary_behind_json() {
    let y = (
        "y".to_owned(),
        Tensor::from_values(vec![2], &[1i16, -2]).unwrap(),
    );
    let empty = (
        "e".to_owned(),
        Tensor::zeros(DatumType::F32, vec![0, 4]).unwrap(),
    );
    let encoded = encode(&[(&y, true), (&empty, true), (&y, false)]);
    let (json, binary) = encoded.body.split_at(encoded.json_len.unwrap());
    expect![[r#"{"model_name":"m","model_version":"3","id":"a\"b","outputs":[{"name":"y","datatype":"INT16","shape":[2],"parameters":{"binary_data_size":4}},{"name":"e","datatype":"FP32","shape":[0,4],"parameters":{"binary_data_size":0}},{"name":"y","datatype":"INT16","shape":[2],"data":[1,-2]}]}"#]].assert_eq(str::from_utf8(json).unwrap());
    assert_eq!(binary, [1, 0, 254, 255]);
    let encoded = encode(&[(&empty, true)]);
    assert_eq!(
        encoded.json_len,
        Some(encoded.body.len()),
        "a client looks for the header"
    );
}

#[test]
fn values_that_json_does_not_have_are_null() {
    let nan = [f64::NAN, f64::INFINITY, 1.5, f64::NEG_INFINITY];
    let y = ("y".to_owned(), Tensor::from_values(vec![4], &nan).unwrap());
    let body = String::from_utf8(encode(&[(&y, false)]).body).unwrap();
    assert!(
        body.ends_with(r#""data":[null,null,1.5,null]}]}"#),
        "{body}"
    );
}

#[test]
fn every_finite_value_is_read_back() {
    fn check<T: tensorlet_tensor::Element>(values: &[T]) {
        let tensor = Tensor::from_values(vec![values.len() as u32], values).unwrap();
        let y = ("y".to_owned(), tensor);
        let body = encode(&[(&y, false)]).body;
        let outputs = String::from_utf8(body)
            .unwrap()
            .replace("\"outputs\"", "\"inputs\"");
        let request = crate::InferRequest::parse(outputs.as_bytes(), None).unwrap();
        let inputs = request.inputs.into_iter().map(crate::Input::into_tensor);
        assert_eq!(Vec::from_iter(inputs), [y]);
    }
    // A walk through all exponents and both signs, as odd as numbers get.
    let bits = (0..100_000u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let halves = (0..=u16::MAX).map(f16::from_bits).filter(|x| x.is_finite());
    check(&halves.collect::<Vec<_>>());
    let brains = (0..=u16::MAX)
        .map(bf16::from_bits)
        .filter(|x| x.is_finite());
    check(&brains.collect::<Vec<_>>());
    let singles = bits.clone().map(|b| f32::from_bits((b >> 32) as u32));
    check(&singles.filter(|x| x.is_finite()).collect::<Vec<_>>());
    let doubles = bits.clone().map(f64::from_bits).filter(|x| x.is_finite());
    check(&doubles.collect::<Vec<_>>());
    check(&bits.clone().collect::<Vec<_>>());
    check(&bits.map(|b| b as i64).collect::<Vec<_>>());
    check(&[i8::MIN, i8::MAX]);
    check(&[u16::MAX]);
    check(&[i16::MIN]);
    check(&[u32::MAX]);
    check(&[i32::MIN]);
}
