//! Inputs that do not fit: each fails with status 4 and says what was expected and found.

use std::fs;

use expect_test::expect;

use crate::program::{component, folder, repository, run};
use crate::tensors::{npy, npy_f32};

#[test]
fn tensors_that_do_not_fit_the_signature() {
    let (model, dir) = (component("tests/fixtures/add.onnx"), folder());
    let shown = dir.path().to_str().unwrap().to_owned();
    let good = dir.path().join("good.npy");
    fs::write(&good, npy_f32("(1, 4)", &[0.0; 4])).unwrap();
    let good_b = format!("--input=b={}", good.display());

    let file = |file: &str, bytes: &[u8]| {
        let path = dir.path().join(file);
        fs::write(&path, bytes).unwrap();
        let a = format!("--input=a={}", path.display());
        run(["predict", model.to_str().unwrap(), &a, &good_b])
            .error(4)
            .replace(&shown, "DIR")
    };
    let with = |args: &[&str]| {
        let args = [&["predict", model.to_str().unwrap()], args].concat();
        run(args).error(4).replace(&shown, "DIR")
    };
    let good_a = format!("--input=a={}", good.display());
    let surplus = format!("--input=c={}", good.display());
    let messages = [
        with(&[]),
        with(&[&good_a]),
        with(&[&good_a, &good_b, &surplus]),
        with(&[&good_a, &good_a, &good_b]),
        file("type.npy", &npy("<f8", "(1, 4)", &[0; 32])),
        file("rank.npy", &npy_f32("(4,)", &[0.0; 4])),
        file("dim.npy", &npy_f32("(1, 5)", &[0.0; 5])),
        file("rows.npy", &npy_f32("(2, 4)", &[0.0; 8])),
        file("zero.npy", &npy_f32("(0, 4)", &[])),
        file("huge.npy", &npy_f32("(4294967295, 4)", &[])),
        file("short.npy", &npy("<f4", "(1, 4)", &[0; 15])),
        file("long.npy", &npy("<f4", "(1, 4)", &[0; 17])),
        file("ragged.json", b"[[1, 2], [3]]"),
        file("words.json", b"[[\"one\", 2, 3, 4]]"),
        file("dims.json", b"{\"dims\": [1, 4], \"data\": [1, 2, 3]}"),
        file("broken.json", b"[[1, 2"),
        file("zip.npz", b"no zip"),
        file("table.csv", b"1,2,3,4"),
    ];
    expect![[r#"
        error: input `a`: expected f32[N, 4], found nothing; give it with --input 'a=FILE', or give a FILE
        error: input `b`: expected f32[N, 4], found nothing
        error: input `c`: expected one of `a`, `b`, found an input that the model does not have
        error: input `a`: expected it once, found it more than once
        error: input `a`: expected f32[N, 4], found f64[1, 4]
        error: input `a`: expected f32[N, 4], found f32[4]
        error: input `a`: expected f32[N, 4], found f32[1, 5]
        error: input `b`: expected f32[N, 4] with N = 2, as before it, found f32[1, 4]
        error: input `a`: expected f32[N, 4] with N of at least 1, found f32[0, 4]
        error: input `a`: DIR/huge.npy: expected elements of at most 4294967296 bytes, found f32[4294967295, 4]
        error: input `a`: DIR/short.npy: expected 16 bytes for f32[1, 4], found 15
        error: input `a`: DIR/long.npy: expected 16 bytes for f32[1, 4], found more
        error: input `a`: DIR/ragged.json: expected a list of 2, as before it, found one of 1
        error: input `a`: DIR/words.json: expected values of f32, found "one"
        error: input `a`: DIR/dims.json: expected 16 bytes for f32[1, 4], found 12
        error: input `a`: DIR/broken.json: expected JSON, found other text: EOF while parsing a list at line 1 column 6
        error: input `a`: DIR/zip.npz: expected a .npz of numpy, found no zip that can be read: invalid Zip archive: Could not find EOCD
        error: input `a`: DIR/table.csv: expected a .npy, .npz or .json file, found another extension"#]].assert_eq(&messages.join("\n"));

    let nowhere = run(["predict", model.to_str().unwrap(), "--input=a=nowhere.npy"]).error(1);
    assert!(
        nowhere.contains("cannot read nowhere.npy: No such file"),
        "{nowhere}"
    );
}

#[test]
fn files_that_a_model_does_not_take() {
    let add = component("tests/fixtures/add.onnx");
    let picture = repository("models/samples/coffee.png");
    let vad = component("models/silero-vad");
    let dir = folder();
    let empty = dir.path().join("empty.wav");
    fs::write(&empty, b"").unwrap();
    let shown = dir.path().to_str().unwrap();

    let messages = [
        run([&"predict".into(), &add, &picture])
            .error(4)
            .replace(add.to_str().unwrap(), "add.wasm"),
        run([&"predict".into(), &vad, &picture]).error(4),
        run([&"predict".into(), &vad, &empty])
            .error(4)
            .replace(shown, "DIR"),
    ];
    expect![[r#"
        error: add.wasm: expected a model that takes files, built of a folder with a model.toml, found one that takes tensors; give them with --input NAME=FILE
        error: models/samples/coffee.png: file: expected a WAV file, PCM or 32-bit float, found another format, or a damaged one: Ill-formed WAVE file: no RIFF tag found
        error: DIR/empty.wav: file: expected a WAV file, PCM or 32-bit float, found a damaged or cut one: Failed to read enough bytes."#]].assert_eq(&messages.join("\n"));
    let nowhere = run([&"predict".into(), &vad, &"nowhere.wav".into()]).error(1);
    assert!(
        nowhere.starts_with("error: nowhere.wav: cannot read the file: "),
        "{nowhere}"
    );
}
