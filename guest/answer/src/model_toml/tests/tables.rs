//! The mistakes in each sort of table.

use expect_test::{Expect, expect};

use super::{PICTURE, TOP_K, check};

const BYTES: &str = r#"
[preprocess]
kind = "bytes"
input = "x"
begin = 2
end = 0
block = 8
padding = -1
"#;

const AUDIO: &str = r#"
[preprocess]
kind = "audio"
input = "x"
sample_rate = 8000
chunk = 4
"#;

/// Checks the errors of a table after one of its fields was replaced or, by nothing, taken out.
fn check_fields(table: &str, fields: &[&str], expected: &Expect) {
    let replaced = |field: &str| {
        let name = field.split_once(" =").map_or(field, |(name, _)| name);
        let old = table
            .lines()
            .find(|line| line.split_once(" =").is_some_and(|(old, _)| old == name));
        let new = if field == name { "" } else { field };
        match old {
            Some(old) => table.replacen(&format!("\n{old}\n"), &format!("\n{new}\n"), 1),
            None => format!("{table}{new}"),
        }
    };
    let rests: Vec<String> = fields.iter().map(|field| replaced(field)).collect();
    let rests: Vec<&str> = rests.iter().map(String::as_str).collect();
    check(&rests, expected);
}

#[test]
fn picture_fields() {
    check_fields(
        PICTURE,
        &[
            "kind",
            "kind = \"video\"",
            "kind = 1",
            "input",
            "width",
            "width = \"wide\"",
            "width = 0",
            "height = 4097",
            "height = 4.0",
            "crop = 0",
            "crop = 1.01",
            "crop = nan",
            "filter = \"lanczos\"",
            "channels = \"rgba\"",
            "layout = \"chw\"",
            "mean = 127",
            "mean = [1, 2]",
            "mean = [1, 2, \"3\"]",
            "scale = [1, 2, 1e39]",
            "scales = [1, 2, 3]",
        ],
        &expect![[r#"
            model.toml line 7, field `preprocess.kind`: expected `"picture"`, `"bytes"` or `"audio"`, found nothing
            model.toml line 8, field `preprocess.kind`: expected `"picture"`, `"bytes"` or `"audio"`, found `"video"`
            model.toml line 8, field `preprocess.kind`: expected `"picture"`, `"bytes"` or `"audio"`, found `1`
            model.toml line 7, field `preprocess.input`: expected a text that is not empty, found nothing
            model.toml line 7, field `preprocess.width`: expected a whole number from 1 to 4096, found nothing
            model.toml line 10, field `preprocess.width`: expected a whole number from 1 to 4096, found `"wide"`
            model.toml line 10, field `preprocess.width`: expected a whole number from 1 to 4096, found `0`
            model.toml line 11, field `preprocess.height`: expected a whole number from 1 to 4096, found `4097`
            model.toml line 11, field `preprocess.height`: expected a whole number from 1 to 4096, found `4.0`
            model.toml line 12, field `preprocess.crop`: expected a number above 0 and at most 1, found `0`
            model.toml line 12, field `preprocess.crop`: expected a number above 0 and at most 1, found `1.01`
            model.toml line 12, field `preprocess.crop`: expected a number above 0 and at most 1, found `nan`
            model.toml line 12, field `preprocess.filter`: expected `"nearest"`, `"bilinear"` or `"bicubic"`, found `"lanczos"`
            model.toml line 12, field `preprocess.channels`: expected `"rgb"` or `"bgr"`, found `"rgba"`
            model.toml line 12, field `preprocess.layout`: expected `"nchw"` or `"nhwc"`, found `"chw"`
            model.toml line 12, field `preprocess.mean`: expected an array of 3 numbers, found `127`
            model.toml line 12, field `preprocess.mean`: expected an array of 3 numbers, found an array of 2 values
            model.toml line 12, field `preprocess.mean[2]`: expected a finite number in the range of f32, found `"3"`
            model.toml line 12, field `preprocess.scale[2]`: expected a finite number in the range of f32, found `1e39`
            model.toml line 12, field `preprocess.scales`: expected one of `kind`, `input`, `width`, `height`, `crop`, `filter`, `channels`, `layout`, `mean`, `scale`, found `scales`
        "#]],
    );
}

#[test]
fn bytes_fields() {
    check_fields(
        BYTES,
        &[
            "begin",
            "begin = 9",
            "begin = 0",
            "end = -1",
            "block = 0",
            "block = 8388609",
            "padding = 2147483648",
            "width = 1",
        ],
        &expect![[r#"
            model.toml line 7, field `preprocess.begin`: expected a whole number from 0 to 8, found nothing
            model.toml line 10, field `preprocess.begin`: expected a whole number from 0 to 8, found `9`
            model.toml line 11, field `preprocess.end`: expected a whole number from 1 to 8, found `0`
            model.toml line 11, field `preprocess.end`: expected a whole number from 0 to 8, found `-1`
            model.toml line 12, field `preprocess.block`: expected a whole number from 1 to 8388608, found `0`
            model.toml line 12, field `preprocess.block`: expected a whole number from 1 to 8388608, found `8388609`
            model.toml line 13, field `preprocess.padding`: expected a whole number from -2147483648 to 2147483647, found `2147483648`
            model.toml line 14, field `preprocess.width`: expected one of `kind`, `input`, `begin`, `end`, `block`, `padding`, found `width`
        "#]],
    );
}

#[test]
fn audio_fields() {
    check_fields(
        AUDIO,
        &[
            "sample_rate = 0",
            "chunk = 16777217",
            "context = 16777213",
            "state = 1",
            "state = { s = 1 }",
            "state = { s = \"t\" }",
            "state = { x = \"t\" }\nstate_dims = { x = [1] }",
            "state = { s = \"t\" }\nstate_dims = { t = [1] }",
            "state = { s = \"t\" }\nstate_dims = { }",
            "state = { s = \"t\" }\nstate_dims = { s = [4096, 4097] }",
            "state = { s = \"t\" }\nstate_dims = { s = [1, 0] }",
            "state_dims = { s = [1] }",
        ],
        &expect![[r#"
            model.toml line 10, field `preprocess.sample_rate`: expected a whole number from 1 to 1000000, found `0`
            model.toml line 11, field `preprocess.chunk`: expected a whole number from 1 to 16777216, found `16777217`
            model.toml line 12, field `preprocess.context`: expected a whole number from 0 to 16777212, found `16777213`
            model.toml line 12, field `preprocess.state`: expected a table, found `1`
            model.toml line 7, field `preprocess.state_dims`: expected a table, found nothing
            model.toml line 7, field `preprocess.state_dims`: expected a table, found nothing
            model.toml line 12, field `preprocess.state.x`: expected an input other than `x`, found `"t"`
            model.toml line 13, field `preprocess.state_dims.t`: expected one of `s`, found `t`
            model.toml line 13, field `preprocess.state_dims.s`: expected at most 16 dims of at least 1 whose product is at most 16777216, found nothing
            model.toml line 13, field `preprocess.state_dims.s`: expected at most 16 dims of at least 1 whose product is at most 16777216, found an array of 2 values
            model.toml line 13, field `preprocess.state_dims.s[1]`: expected a whole number from 1 to 16777216, found `0`
            model.toml line 12, field `preprocess.state_dims`: expected nothing without `state`, found a table
        "#]],
    );
}

#[test]
fn top_k_fields() {
    let table = format!("{BYTES}{}", TOP_K.replace("kind", "kind "));
    check_fields(
        &table,
        &[
            "output",
            "labels = \"../labels.txt\"",
            "k = 0",
            "k = 1001",
            "softmax = 1",
            "threshold = 1",
            "default_threshold = \"high\"",
            "default_threshold = 0.5",
            "default_threshold = 0.5\nfallback_text = \"txt\"",
            "fallback_text = \"txt\"",
            "thresholds = { a = inf }\nfallback_text = \"txt\"\nfallback_bytes = \"unknown\"",
            "rename = { a = \"\" }",
        ],
        &expect![[r#"
            model.toml line 15, field `postprocess.output`: expected a text that is not empty, found nothing
            model.toml line 18, field `postprocess.labels`: expected a relative path without `.`, `..`, `:` and `\`, found `"../labels.txt"`
            model.toml line 19, field `postprocess.k`: expected a whole number from 1 to 1000, found `0`
            model.toml line 19, field `postprocess.k`: expected a whole number from 1 to 1000, found `1001`
            model.toml line 20, field `postprocess.softmax`: expected true or false, found `1`
            model.toml line 20, field `postprocess.threshold`: expected one of `kind`, `output`, `labels`, `k`, `softmax`, `default_threshold`, `fallback_text`, `fallback_bytes`, `thresholds`, `rename`, found `threshold`
            model.toml line 20, field `postprocess.default_threshold`: expected a finite number in the range of f32, found `"high"`
            model.toml line 15, field `postprocess.fallback_text`: expected a text that is not empty, found nothing
            model.toml line 15, field `postprocess.fallback_bytes`: expected a text that is not empty, found nothing
            model.toml line 20, field `postprocess.fallback_text`: expected nothing without `default_threshold` or `thresholds`, found `"txt"`
            model.toml line 20, field `postprocess.thresholds.a`: expected a finite number in the range of f32, found `inf`
            model.toml line 20, field `postprocess.rename.a`: expected a text that is not empty, found `""`
        "#]],
    );
    let confident = "default_threshold = 0.5\nfallback_text = \"t\"\nfallback_bytes = \"b\"";
    check(
        &[&format!("{PICTURE}{TOP_K}{confident}")],
        &expect![[r#"
        model.toml line 18, field `postprocess.default_threshold`: expected nothing, as `preprocess.kind` is not `"bytes"`, found `0.5`
    "#]],
    );
}

#[test]
fn speech_fields() {
    let speech = "[postprocess]\nkind = \"speech\"\noutput = \"y\"\n";
    check(
        &[
            &format!("{AUDIO}{speech}"),
            &format!("{AUDIO}{speech}threshold = 0.5\nlabels = \"l\""),
            &format!("{AUDIO}{TOP_K}"),
            &format!("{PICTURE}{speech}"),
            &format!("{AUDIO}[postprocess]\nkind = \"text\""),
            speech,
        ],
        &expect![[r#"
            model.toml line 12, field `postprocess.threshold`: expected a finite number in the range of f32, found nothing
            model.toml line 16, field `postprocess.labels`: expected one of `kind`, `output`, `threshold`, found `labels`
            model.toml line 14, field `postprocess.kind`: expected `"speech"`, as `preprocess.kind` is `"audio"`, found `"top-k"`
            model.toml line 13, field `postprocess.kind`: expected `"top-k"`, as `preprocess.kind` is not `"audio"`, found `"speech"`
            model.toml line 13, field `postprocess.kind`: expected `"top-k"` or `"speech"`, found `"text"`
            model.toml line 6, field `postprocess`: expected nothing without [preprocess], found a table
        "#]],
    );
}
