//! Reads whole texts: what is taken, and what is said of each sort of mistake.

mod tables;

use expect_test::{Expect, expect};

use super::*;
use crate::testing::{model, model_toml};

const PICTURE: &str = r#"
[preprocess]
kind = "picture"
input = "x"
width = 6
height = 4
"#;

const TOP_K: &str = r#"
[postprocess]
kind = "top-k"
output = "y"
labels = "labels.txt"
k = 5
"#;

/// Checks the errors of texts put after the required fields, in which line 6 is the first.
fn check(rests: &[&str], expected: &Expect) {
    let errors: Vec<String> = rests
        .iter()
        .map(|rest| match model_toml(rest) {
            Ok(model) => format!("none: {model:?}"),
            Err(error) => error.to_string(),
        })
        .collect();
    expected.assert_eq(&(errors.join("\n") + "\n"));
}

#[test]
fn fields_that_are_not_there_have_their_defaults() {
    let model = model_toml("").unwrap();
    assert_eq!(
        (model.name.as_str(), model.file.as_str()),
        ("a", "model.onnx")
    );
    assert!(model.inputs.is_empty() && model.bind.is_empty() && model.description.is_none());
    assert_eq!((model.preprocess, model.postprocess), (None, None));

    let model = model_toml(&format!("{PICTURE}{TOP_K}")).unwrap();
    assert_eq!(model.labels_path(), Some("labels.txt"));
    assert_eq!(
        model.preprocess,
        Some(Preprocess::Picture(PictureInput {
            input: "x".into(),
            width: 6,
            height: 4,
            crop: None,
            filter: Filter::Bilinear,
            channels: Channels::Rgb,
            layout: Layout::Nchw,
            mean: [0.0; 3],
            scale: [1.0; 3],
        }))
    );
    assert_eq!(
        model.postprocess,
        Some(Postprocess::TopK(TopK {
            output: "y".into(),
            labels: "labels.txt".into(),
            k: 5,
            softmax: false,
            confidence: None,
            rename: BTreeMap::new(),
        }))
    );
}

#[test]
fn the_models_of_the_repository_are_read() {
    let silero = model("silero-vad");
    let Some(Preprocess::Audio(audio)) = silero.preprocess else {
        panic!("silero-vad listens");
    };
    assert_eq!((audio.chunk, audio.context), (512, 64));
    let state = State {
        input: "state".into(),
        output: "stateN".into(),
        dims: vec![2, 1, 128],
    };
    assert_eq!(audio.state, [state]);
    assert!(!silero.inputs.is_empty() && silero.bind.contains_key("sr"));

    let Some(Postprocess::TopK(top_k)) = model("magika").postprocess else {
        panic!("magika gives labels");
    };
    let confidence = top_k.confidence.unwrap();
    assert_eq!(confidence.default_threshold, Some(0.5));
    assert_eq!(confidence.thresholds["crt"], 0.9);
    assert_eq!(top_k.rename["randomtxt"], "txt");

    model("efficientnet-lite0");
    model("ppocr-cls");
}

#[test]
fn a_sha_256_is_made_lower_case() {
    let text = format!(
        "name = 'a'\nversion = '1'\nsource = 's'\nlicence = 'l'\nsha256 = '{}'",
        "AB".repeat(32)
    );
    assert_eq!(ModelToml::parse(&text).unwrap().sha256, "ab".repeat(32));
}

#[test]
fn text_that_is_no_toml() {
    check(
        &[
            "file = ",
            "inputs = [",
            "[preprocess",
            "file = \"a\"\nfile = \"b\"",
            "[bind]\n[bind]",
            "file = model.onnx",
            "\u{0}",
            &format!("bind = {}1{}", "[".repeat(5000), "]".repeat(5000)),
        ],
        &expect![[r#"
            model.toml line 6: expected TOML, found a mistake: string values must be quoted, expected literal string
            model.toml line 6: expected TOML, found a mistake: unclosed array, expected `]`
            model.toml line 6: expected TOML, found a mistake: unclosed table, expected `]`
            model.toml line 7: expected TOML, found a mistake: duplicate key
            model.toml line 7: expected TOML, found a mistake: duplicate key
            model.toml line 6: expected TOML, found a mistake: string values must be quoted, expected literal string
            model.toml line 6: expected TOML, found a mistake: key with no value, expected `=`
            model.toml line 6: expected TOML, found a mistake: cannot recurse further; max recursion depth met
        "#]],
    );
    let long = ModelToml::parse(&"#".repeat(MAX_LEN_BYTES + 1)).unwrap_err();
    expect!["model.toml line 1: expected at most 1048576 bytes, found 1048577 bytes"]
        .assert_eq(&long.to_string());
}

#[test]
fn fields_of_the_root() {
    let missing = ModelToml::parse("\n\nname = \"a\"").unwrap_err();
    expect!["model.toml line 1, field `version`: expected a text that is not empty, found nothing"]
        .assert_eq(&missing.to_string());
    let sha256 = ModelToml::parse(
        "name = 'a'\nversion = '1'\nsource = 's'\nlicence = 'l'\nsha256 = 'abcdef'",
    );
    expect!["model.toml line 5, field `sha256`: expected 64 hexadecimal digits, found `'abcdef'`"]
        .assert_eq(&sha256.unwrap_err().to_string());
    let names = ["", "a b", "..", "ä"].map(|name| {
        let error = ModelToml::parse(&format!("name = '{name}'")).unwrap_err();
        error.to_string()
    });
    expect![[r#"
        model.toml line 1, field `name`: expected letters, digits, `.`, `_` and `-`, and not only dots, found `''`
        model.toml line 1, field `name`: expected letters, digits, `.`, `_` and `-`, and not only dots, found `'a b'`
        model.toml line 1, field `name`: expected letters, digits, `.`, `_` and `-`, and not only dots, found `'..'`
        model.toml line 1, field `name`: expected letters, digits, `.`, `_` and `-`, and not only dots, found `'ä'`"#]].assert_eq(&names.join("\n"));

    check(
        &[
            "colour = 1\nauthor = 2",
            "\"a.b \\n c\" = 1",
            "description = 2026-01-01",
            "file = \"\"",
            "file = \"/model.onnx\"",
            "file = \"../model.onnx\"",
            "file = 'c:\\model.onnx'",
            "inputs = \"x:f32[1]\"",
            "inputs = [\n  \"x:f32[1]\",\n  \"y:float[1]\"]",
            "inputs = [1]",
            "inputs = [\"x:f32[1]\", \"x:f32[2]\"]",
            "preprocess = 1",
            "[[preprocess]]\nkind = \"bytes\"",
        ],
        &expect![[r#"
            model.toml line 6, field `colour`: expected one of `name`, `version`, `description`, `source`, `licence`, `file`, `sha256`, `inputs`, `bind`, `preprocess`, `postprocess`, found `colour`
            model.toml line 6, field `a.b …`: expected one of `name`, `version`, `description`, `source`, `licence`, `file`, `sha256`, `inputs`, `bind`, `preprocess`, `postprocess`, found `a.b …`
            model.toml line 6, field `description`: expected a text that is not empty, found `2026-01-01`
            model.toml line 6, field `file`: expected a relative path without `.`, `..`, `:` and `\`, found `""`
            model.toml line 6, field `file`: expected a relative path without `.`, `..`, `:` and `\`, found `"/model.onnx"`
            model.toml line 6, field `file`: expected a relative path without `.`, `..`, `:` and `\`, found `"../model.onnx"`
            model.toml line 6, field `file`: expected a relative path without `.`, `..`, `:` and `\`, found `'c:\model.onnx'`
            model.toml line 6, field `inputs`: expected an array of texts such as `images:f32[N,3,224,224]`, found `"x:f32[1]"`
            model.toml line 8, field `inputs[1]`: expected an input's name, type and dims, found tensor spec `y:float[1]`: expected a datum type (bool, u8 to u64, i8 to i64, f16, bf16, f32 or f64), found `float`
            model.toml line 6, field `inputs[0]`: expected a text that is not empty, found `1`
            model.toml line 6, field `inputs[1]`: expected each input once, found `"x:f32[2]"`
            model.toml line 6, field `preprocess`: expected a table, found `1`
            model.toml line 6, field `preprocess`: expected a table, found an array of 1 value
        "#]],
    );
}

#[test]
fn constants() {
    check(
        &[
            "bind = 1",
            "[bind]\nx = \"a\"",
            "[bind]\nx = 9223372036854775808",
            "[bind]\nx = [1, 2.0]",
            "[bind]\nx = [1.0, 2]",
            "[bind]\nx = [true, 2]",
            "[bind]\nx = [[1, 2], [3]]",
            "[bind]\nx = [[1, 2], 3]",
            "[bind]\nx = [1, [2]]",
            "[bind]\nx = [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]",
            "[bind]\nx.y = 1",
        ],
        &expect![[r#"
            model.toml line 6, field `bind`: expected a table, found `1`
            model.toml line 7, field `bind.x`: expected a number of at most 64 bits, true, false or an array, found `"a"`
            model.toml line 7, field `bind.x`: expected a number of at most 64 bits, true, false or an array, found `9223372036854775808`
            model.toml line 7, field `bind.x[1]`: expected a whole number of at most 64 bits, as before it, found `2.0`
            model.toml line 7, field `bind.x[1]`: expected a number with a point, as before it, found `2`
            model.toml line 7, field `bind.x[1]`: expected true or false, as before it, found `2`
            model.toml line 7, field `bind.x[1]`: expected an array of 2 values, as before it, found an array of 1 value
            model.toml line 7, field `bind.x[1]`: expected an array of 2 values, as before it, found `3`
            model.toml line 7, field `bind.x[1]`: expected a whole number of at most 64 bits, as before it, found an array of 1 value
            model.toml line 7, field `bind.x`: expected arrays nested at most 16 deep, found an array of 1 value
            model.toml line 7, field `bind.x`: expected a number of at most 64 bits, true, false or an array, found a table
        "#]],
    );
}

#[test]
fn no_text_makes_the_reader_panic() {
    let text = String::from_utf8(crate::testing::model_file("silero-vad/model.toml")).unwrap();
    crate::testing::damage(text.as_bytes(), |damaged| {
        let _ = ModelToml::parse(&String::from_utf8_lossy(damaged));
    });
}
