//! Tests of request bodies.

use expect_test::expect;
use tensorlet_tensor::DatumType;

use super::*;
use crate::InvalidRequestKind;

/// A body of JSON and binary tensors.
fn body(json: &str, binary: &[u8]) -> (Vec<u8>, Option<usize>) {
    ([json.as_bytes(), binary].concat(), Some(json.len()))
}

fn parse(json: &str) -> Result<InferRequest<'_>, InvalidRequest> {
    InferRequest::parse(json.as_bytes(), None)
}

fn floats(dims: &[u32], values: &[f32]) -> Tensor {
    Tensor::from_values(dims.to_vec(), values).unwrap()
}

fn tensors(request: &InferRequest<'_>) -> Vec<NamedTensor> {
    let inputs = request.inputs.iter().cloned();
    inputs.map(Input::into_tensor).collect()
}

#[test]
fn reads_json() {
    let request = parse(
        r#"{
            "id": "42", "unknown": [{"x": [[]]}],
            "parameters": {"timeout": 1500, "priority": 2, "other": {"a": 1}},
            "inputs": [
                {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [[0.5, -2]]},
                {"data": [true, false], "shape": [2], "datatype": "BOOL", "name": "\u0079", "parameters": {"q": 1}}
            ],
            "outputs": [{"name": "b", "parameters": null}, {"name": "a", "parameters": {"binary_data": true}}]
        }"#,
    )
    .unwrap();
    let bools = Tensor::new(DatumType::Bool, vec![2], vec![1, 0]).unwrap();
    let expected = [
        ("x".into(), floats(&[1, 2], &[0.5, -2.0])),
        ("y".into(), bools),
    ];
    assert_eq!(tensors(&request), expected);
    let output = |name: &str, is_binary| RequestedOutput {
        name: name.into(),
        is_binary,
    };
    let expected = InferOptions {
        id: Some("42".into()),
        outputs: vec![output("b", false), output("a", true)],
        binary_outputs: false,
        timeout: Some(Duration::from_micros(1500)),
        priority: 2,
    };
    assert_eq!(request.options, expected);
}

#[test]
fn reads_the_least_there_can_be() {
    let request = parse(r#"{"inputs": []}"#).unwrap();
    assert_eq!(request.inputs, []);
    assert_eq!(request.options, InferOptions::default());
    let zero = parse(r#"{"inputs": [], "outputs": [], "id": null, "parameters": {"timeout": 0}}"#)
        .unwrap();
    assert_eq!(zero.options, InferOptions::default());
}

#[test]
fn reads_binary_among_json() {
    let json = r#"{"inputs": [
        {"name": "a", "shape": [2], "datatype": "FP32", "parameters": {"binary_data_size": 8}},
        {"name": "b", "shape": [1], "datatype": "INT64", "data": [-1]},
        {"name": "c", "shape": [0, 4], "datatype": "FP64", "parameters": {"binary_data_size": 0}},
        {"name": "d", "shape": [], "datatype": "UINT16", "parameters": {"binary_data_size": 2}}
    ]}"#;
    let (body, len) = body(json, &[0, 0, 128, 63, 0, 0, 0, 64, 7, 1]);
    let request = InferRequest::parse(&body, len).unwrap();
    let expected = [
        ("a".to_owned(), floats(&[2], &[1.0, 2.0])),
        (
            "b".to_owned(),
            Tensor::from_values(vec![1], &[-1i64]).unwrap(),
        ),
        (
            "c".to_owned(),
            Tensor::zeros(DatumType::F64, vec![0, 4]).unwrap(),
        ),
        (
            "d".to_owned(),
            Tensor::from_values(vec![], &[263u16]).unwrap(),
        ),
    ];
    assert_eq!(tensors(&request), expected);
    let json_alone = r#"{"inputs": []}"#;
    let request = InferRequest::parse(json_alone.as_bytes(), Some(json_alone.len()));
    assert!(
        request.is_ok(),
        "a header without binary tensors is no error"
    );
}

#[test]
fn what_is_in_binary_is_not_copied() {
    let json = r#"{"inputs": [
        {"name": "a", "shape": [2], "datatype": "UINT8", "parameters": {"binary_data_size": 2}}
    ]}"#;
    let (body, len) = body(json, &[7, 8]);
    let request = InferRequest::parse(&body, len).unwrap();
    let input = &request.inputs[0];
    assert_eq!(
        (input.name(), input.datum_type(), input.dims()),
        ("a", DatumType::U8, [2].as_slice())
    );
    assert!(std::ptr::eq(input.data(), &raw const body[json.len()..]));
}

#[test]
fn every_datum_type_is_read_from_binary_and_json() {
    for datum_type in DatumType::ALL {
        let (name, width) = (datatype::name(datum_type), datum_type.width_bytes());
        let json = format!(
            r#"{{"inputs": [
                {{"name": "a", "shape": [2], "datatype": "{name}", "parameters": {{"binary_data_size": {}}}}},
                {{"name": "b", "shape": [2], "datatype": "{name}", "data": [0, 0]}}
            ]}}"#,
            2 * width
        );
        let (body, len) = body(&json, &vec![0; 2 * width]);
        let request = InferRequest::parse(&body, len).unwrap();
        let zeros = Tensor::zeros(datum_type, vec![2]).unwrap();
        assert_eq!(
            tensors(&request),
            [("a".into(), zeros.clone()), ("b".into(), zeros)]
        );
    }
}

#[test]
fn outputs_are_binary_as_the_request_says_unless_they_say_it() {
    let request = parse(
        r#"{"inputs": [], "parameters": {"binary_data_output": true},
            "outputs": [{"name": "a"}, {"name": "b", "parameters": {"binary_data": false, "classification": 0}}]}"#,
    )
    .unwrap();
    let outputs = ["b", "a", "c"].map(|name| (name.to_owned(), floats(&[1], &[0.0])));
    let selected = |request: &InferRequest<'_>| {
        let selected = request.options.select(&outputs);
        Vec::from_iter(
            selected
                .into_iter()
                .map(|((name, _), is_binary)| (name.clone(), is_binary)),
        )
    };
    assert_eq!(
        selected(&request),
        [("a".into(), true), ("b".into(), false)]
    );
    let all = parse(r#"{"inputs": [], "parameters": {"binary_data_output": true}}"#).unwrap();
    let expected = ["b", "a", "c"].map(|name| (name.into(), true));
    assert_eq!(
        selected(&all),
        expected,
        "all outputs, in the model's order"
    );
}

#[test]
fn an_output_that_the_model_does_not_have_is_an_error() {
    let request = parse(r#"{"inputs": [], "outputs": [{"name": "a"}, {"name": "z"}]}"#).unwrap();
    let outputs = ["a", "b"].map(|name| (name.to_owned(), floats(&[1], &[0.0])));
    let error = request.options.check_outputs(&outputs).unwrap_err();
    expect!["output `z`: expected one of `a`, `b`, found an output that the model does not have"]
        .assert_eq(&error.to_string());
}

#[track_caller]
fn check_errors(bodies: &[&str], kind: InvalidRequestKind, expected: &expect_test::Expect) {
    let errors = bodies.iter().map(|body| {
        let error = parse(body).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        error.to_string()
    });
    expected.assert_eq(&errors.collect::<Vec<_>>().join("\n"));
}

#[test]
fn says_what_is_wrong_with_a_body() {
    let deep = format!(r#"{{"inputs": {}"#, "[".repeat(100_000));
    let many = vec![r#"{"name":""}"#; MAX_TENSORS + 1].join(",");
    let many = format!(r#"{{"inputs": [{many}]}}"#);
    let bodies = [
        "",
        "{",
        "[]",
        r#"{"inputs": []} {}"#,
        "{}",
        r#"{"inputs": {}}"#,
        r#"{"inputs": [{}]}"#,
        r#"{"inputs": [["x", "FP32", [1], null, [1]]]}"#,
        r#"{"inputs": [], "inputs": []}"#,
        r#"{"inputs": [], "id": 7}"#,
        r#"{"inputs": [], "parameters": {"timeout": -1}}"#,
        r#"{"inputs": [], "parameters": {"priority": 4294967296}}"#,
        r#"{"inputs": [], "parameters": {"binary_data_output": "yes"}}"#,
        r#"{"inputs": [], "outputs": [{"name": "y", "parameters": {"binary_data": 1}}]}"#,
        r#"{"inputs": [], "outputs": [{"name": "y"}, {"name": "y"}]}"#,
        &deep,
        &many,
    ];
    check_errors(
        &bodies,
        InvalidRequestKind::Malformed,
        &expect![[r#"
            request: EOF while parsing a value at line 1 column 0
            request: EOF while parsing an object at line 1 column 1
            request: invalid type: sequence, expected an object at line 1 column 0
            request: trailing characters at line 1 column 16
            request: missing field `inputs` at line 1 column 2
            request: invalid type: map, expected a list of at most 1024 at line 1 column 11
            request: missing field `name` at line 1 column 14
            request: invalid type: sequence, expected an object at line 1 column 12
            request: duplicate field `inputs` at line 1 column 23
            request: invalid type: integer `7`, expected a string at line 1 column 22
            parameter `timeout`: expected microseconds, an integer from 0, found `-1`
            parameter `priority`: expected an integer from 0 to 4294967295, found `4294967296`
            parameter `binary_data_output`: expected true or false, found `"yes"`
            output `y`: expected a binary_data of true or false, found `1`
            output `y`: expected it once, found it more than once
            request: invalid type: sequence, expected an object at line 1 column 12
            request: expected a list of at most 1024, found more at line 1 column 12312"#]],
    );
}

#[test]
fn says_what_is_wrong_with_an_input() {
    let inputs = [
        r#""shape": [1], "data": [1]"#,
        r#""datatype": "FP32", "data": [1]"#,
        r#""datatype": "FP32", "shape": [1]"#,
        r#""datatype": "fp32", "shape": [1], "data": [1]"#,
        r#""datatype": "FP32", "shape": [-1], "data": [1]"#,
        r#""datatype": "FP32", "shape": [1.5], "data": [1]"#,
        r#""datatype": "FP32", "shape": [4294967295, 4294967295, 2], "data": [1]"#,
        r#""datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3]"#,
        r#""datatype": "INT8", "shape": [1], "data": [128]"#,
        r#""datatype": "FP32", "shape": [1], "data": [1], "parameters": {"binary_data_size": 4}"#,
        r#""datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": 4}"#,
        r#""datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": -4}"#,
        r#""datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": 18446744073709551615}"#,
        r#""datatype": "FP32", "shape": [1], "data": [NaN]"#,
        r#""datatype": "FP32", "shape": [1], "data": [1, -Infinity]"#,
        r#""datatype": "FP32", "shape": [2], "data": [Infinity, 1]"#,
        r#""datatype": "FP32", "shape": [1], "data": [nope]"#,
        r#""datatype": "FP32", "shape": [1], "data": [01]"#,
    ];
    let bodies = inputs.map(|input| format!(r#"{{"inputs": [{{"name": "x", {input}}}]}}"#));
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    check_errors(
        &bodies,
        InvalidRequestKind::Malformed,
        &expect![[r#"
        input `x`: expected a datatype, found none
        input `x`: expected a shape, found none
        input `x`: expected data or a binary_data_size, found none
        input `x`: expected a datatype (BOOL, UINT8 to UINT64, INT8 to INT64, FP16, BF16, FP32 or FP64), found `fp32`
        input `x`: expected dims that are integers from 0 to 4294967295, found `-1`
        input `x`: expected dims that are integers from 0 to 4294967295, found `1.5`
        input `x`: expected dims whose product fits in memory, found FP32[4294967295, 4294967295, 2]
        input `x`: expected 4 elements of data, found 3
        input `x`: expected data of INT8, which are integers from -128 to 127, found `128`
        input `x`: expected either data or a binary_data_size, found both
        input `x`: expected a header that tells the length of the JSON, as its data is binary, found none
        input `x`: expected a binary_data_size that is an integer from 0, found `-4`
        input `x`: expected 4 bytes for FP32[1], found a binary_data_size of 18446744073709551615
        request: expected JSON, which has no NaN and no infinities (binary data has), found `NaN` at line 1 column 70
        request: expected JSON, which has no NaN and no infinities (binary data has), found `-Infinity` at line 1 column 74
        request: expected JSON, which has no NaN and no infinities (binary data has), found `Infinity` at line 1 column 70
        request: expected ident at line 1 column 71
        request: invalid number at line 1 column 71"#]],
    );
    let twice = r#"{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}"#;
    let twice = format!(r#"{{"inputs": [{twice}, {twice}]}}"#);
    check_errors(
        &[&twice],
        InvalidRequestKind::Malformed,
        &expect!["input `x`: expected it once, found it more than once"],
    );
}

#[test]
fn says_what_is_not_supported() {
    let bodies = [
        r#"{"inputs": [{"name": "x", "datatype": "BYTES", "shape": [1], "data": ["a"]}]}"#,
        r#"{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "parameters": {"shared_memory_region": "r"}}]}"#,
        r#"{"inputs": [], "outputs": [{"name": "y", "parameters": {"classification": 3}}]}"#,
        r#"{"inputs": [], "outputs": [{"name": "y", "parameters": {"shared_memory_region": "r"}}]}"#,
    ];
    check_errors(
        &bodies,
        InvalidRequestKind::Unsupported,
        &expect![[r#"
        input `x`: BYTES are not supported, as models have no strings
        input `x`: shared memory is not supported
        output `y`: classification is not supported
        output `y`: shared memory is not supported"#]],
    );
    let error = InferRequest::parse(&[0; 8], Some(0)).unwrap_err();
    assert_eq!(error.kind(), InvalidRequestKind::Unsupported);
}

#[test]
fn says_what_is_wrong_with_binary() {
    let input = |name: &str, shape: &str, size: u32| {
        let parameters = format!(r#"{{"binary_data_size": {size}}}"#);
        format!(
            r#"{{"name": "{name}", "shape": {shape}, "datatype": "INT16", "parameters": {parameters}}}"#
        )
    };
    let [a, b, huge] = [
        input("a", "[2]", 4),
        input("b", "[3]", 6),
        input("c", "[1073741823]", 2_147_483_646),
    ];
    let bools =
        r#"{"name": "t", "shape": [1], "datatype": "BOOL", "parameters": {"binary_data_size": 1}}"#;
    let cases: [(&[&str], usize); 6] = [
        (&[&a, &b], 9),
        (&[&a, &b], 3),
        (&[&a, &b], 11),
        (&[], 1),
        (&[&huge], 100),
        (&[bools], 1),
    ];
    let errors = cases.map(|(inputs, binary_len)| {
        let json = format!(r#"{{"inputs": [{}]}}"#, inputs.join(", "));
        let (body, len) = body(&json, &vec![2; binary_len]);
        InferRequest::parse(&body, len).unwrap_err().to_string()
    });
    expect![[r#"
        input `b`: expected 6 bytes behind the JSON and earlier inputs, found 5
        input `a`: expected 4 bytes behind the JSON and earlier inputs, found 3
        request: expected as many bytes behind the JSON as its inputs have, found 1 bytes more
        request: expected as many bytes behind the JSON as its inputs have, found 1 bytes more
        input `c`: expected 2147483646 bytes behind the JSON and earlier inputs, found 100
        input `t`: expected bytes of BOOL that are 0 or 1, found 2"#]]
    .assert_eq(&errors.join("\n"));
    let error = InferRequest::parse(b"{}", Some(3)).unwrap_err();
    expect!["request: expected 3 bytes of JSON, as its header says, found a body of 2"]
        .assert_eq(&error.to_string());
}

/// Changes bodies at random places: no change makes anything panic, and what is read fits itself.
#[test]
fn mutated_bodies_do_not_panic() {
    let json = r#"{"id": "é\n", "parameters": {"timeout": 5, "priority": 1, "binary_data_output": true}, "inputs": [
        {"name": "a", "shape": [2, 2], "datatype": "FP32", "data": [[1.5, -2e3], [0, 1e-9]]},
        {"name": "b", "shape": [3], "datatype": "INT64", "parameters": {"binary_data_size": 24}},
        {"name": "c", "shape": [1], "datatype": "BOOL", "data": [true]}],
        "outputs": [{"name": "y", "parameters": {"binary_data": true}}]}"#;
    let (original, len) = body(json, &[0; 24]);
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut accepted = 0;
    for _ in 0..50_000 {
        let body = random.mutated(&original);
        let json_len = match random.below(8) {
            0 => None,
            1 => Some(random.below(2 * original.len())),
            _ => len,
        };
        let Ok(request) = InferRequest::parse(&body, json_len) else {
            continue;
        };
        accepted += 1;
        let tensors = tensors(&request);
        let outputs = Vec::from_iter(tensors.iter().map(|tensor| (tensor, false)));
        let response = crate::InferResponse {
            model_name: "m",
            model_version: "1",
            id: request.options.id.as_deref(),
            outputs: &outputs,
        };
        let body = String::from_utf8(response.encode().body).unwrap();
        let body = body.replacen("\"outputs\"", "\"inputs\"", 1);
        let again = parse(&body).unwrap();
        assert_eq!(
            again.inputs, request.inputs,
            "what was read is written and read again"
        );
    }
    assert!(
        accepted > 250,
        "expected many mutations that are still requests, found {accepted}"
    );
}

/// Changes bodies with long lists, which are cut out before the rest is parsed: what is read is what is read of the whole.
#[test]
fn cutting_lists_out_changes_nothing() {
    let list = ["1.5", "-2e3", "0", "1e-9", "7"].repeat(16).join(", ");
    let json = format!(
        r#"{{"inputs": [{{"name": "data", "shape": [80], "data": [{list}], "datatype": "FP32"}},
        {{"name": "b", "shape": [2, 80], "datatype": "FP32", "data": [[{list}],
        [{list}]]}}], "x": {{"data": [{list}]}}}}"#
    );
    let without = json.replace("\"x\": {\"data\"", "\"x\": {\"d\"");
    for original in [json, without] {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let mut accepted = 0;
        for _ in 0..20_000 {
            let body = random.mutated(original.as_bytes());
            let whole = InferRequest::parse_json(&body, None, None);
            accepted += usize::from(whole.is_ok());
            assert_eq!(
                InferRequest::parse(&body, None),
                whole,
                "{}",
                String::from_utf8_lossy(&body)
            );
        }
        assert!(
            accepted > 250,
            "expected many mutations that are still requests, found {accepted}"
        );
    }
}

/// Numbers that are random enough, and the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    /// Returns a body with up to three changes.
    fn mutated(&mut self, original: &[u8]) -> Vec<u8> {
        let pieces: [&[u8]; 14] = [
            b"[",
            b"]",
            b"[[",
            b"{",
            b"}",
            b"\"",
            b",",
            b"-",
            b"4294967295",
            b"1e999",
            b"NaN",
            b"null",
            b"0",
            b"\xff",
        ];
        let mut body = original.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(body.len() + 1);
            let end = (at + self.below(8)).min(body.len());
            match self.below(4) {
                0 => body[at..end]
                    .iter_mut()
                    .for_each(|byte| *byte ^= 1 << self.below(8)),
                1 => drop(body.drain(at..end)),
                2 => {
                    let piece = pieces[self.below(pieces.len())];
                    drop(body.splice(at..at, piece.iter().copied()));
                }
                _ => body.truncate(at),
            }
        }
        body
    }
}
