//! What `tensorlet inspect` shows.

use std::fs;

use expect_test::expect;
use serde_json::json;

use crate::program::{component, folder, repository, run};

#[test]
fn json_says_what_a_component_is() {
    let path = component("tests/fixtures/matmul-symbols.onnx");
    let mut json = run([&"inspect".into(), &path, &"--json".into()]).json();
    let sizes = json["sizes"].take();
    let metadata = json["metadata"].take();
    let bytes = |json: &mut serde_json::Value| json["bytes"].take().as_u64().unwrap();
    let parts = json["parts"].as_array_mut().unwrap();
    let part_bytes: Vec<u64> = parts.iter_mut().map(bytes).collect();
    assert_eq!(
        json,
        json!({
            "name": "matmul-symbols",
            "version": "1",
            "inputs": [{"name": "x", "datum_type": "f32", "dims": ["batch", "sequence", 8]}],
            "outputs": [{"name": "y", "datum_type": "f32", "dims": ["batch", "sequence", 4]}],
            "batch_symbol": "batch",
            "metadata": null,
            "sizes": null,
            "imports": [],
            "exports": ["tensorlet:model/tensor@0.1.0", "tensorlet:model/predict@0.1.0"],
            "parts": [
                {
                    "role": "no-offload",
                    "bytes": null,
                    "imports": [],
                    "exports": ["tensorlet:model/offload@0.1.0"],
                },
                {
                    "role": "predictor",
                    "bytes": null,
                    "imports": ["tensorlet:model/offload@0.1.0"],
                    "exports": ["tensorlet:model/tensor@0.1.0", "tensorlet:model/predict@0.1.0"],
                },
            ],
            "steps": 1,
            "tract_operators": {},
        })
    );
    assert_eq!(sizes["total_bytes"], fs::metadata(&path).unwrap().len());
    assert!(
        part_bytes[0] < 4096,
        "a stub does next to nothing: {part_bytes:?}"
    );
    assert!(part_bytes.iter().sum::<u64>() < sizes["total_bytes"].as_u64().unwrap());
    let parts = ["code", "data", "custom", "other"]
        .map(|part| sizes[format!("{part}_bytes")].as_u64().unwrap());
    assert_eq!(
        parts.iter().sum::<u64>(),
        sizes["total_bytes"],
        "the parts are all there is"
    );
    assert!(
        sizes["memory_bytes"].as_u64().unwrap() >= parts[1],
        "the image fits in memory: {sizes}"
    );
    assert_eq!(metadata["onnx.opset"], "ai.onnx 17");
    assert_eq!(metadata["tensorlet.version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn metadata_travels_whole() {
    let path = component("models/silero-vad");
    let json = run([&"inspect".into(), &path, &"--json".into()]).json();
    let toml = fs::read_to_string(repository("models/silero-vad/model.toml")).unwrap();
    assert_eq!(json["metadata"]["model.toml"], toml);
    assert_eq!(json["metadata"]["licence"], "MIT");
    let table = run([&"inspect".into(), &path]).stdout().to_owned();
    assert!(
        table.contains("model.toml") && !table.contains("[preprocess]"),
        "a table shows the beginning:\n{table}"
    );
    for expected in [
        "silero-vad 1",
        "input: f32[1, 576]",
        "code",
        "memory image, with the weights",
        "import",
        "none",
        "lean",
        "no-offload",
        "predictor",
    ] {
        // Columns are padded, so the words of a row are looked for one by one.
        for word in expected.split(": ") {
            assert!(table.contains(word), "expected `{word}` in\n{table}");
        }
    }
}

#[test]
fn a_plan_is_shown_as_text() {
    let path = component("tests/fixtures/add.onnx");
    let text = run([&"inspect".into(), &path, &"--plan".into()])
        .stdout()
        .to_owned();
    expect![[r#"
        plan add 1
          symbol N
          input  %0 a: f32[N, 4]
          input  %1 b: f32[N, 4]
          output %2 sum: f32[N, 4]
          0 sum
              %2 sum: f32[N, 4] until end = binary add (%0 a, %1 b)
    "#]]
    .assert_eq(&text);
}

#[test]
fn what_is_no_component_of_ours() {
    let dir = folder();
    let message = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        let shown = path.to_str().unwrap();
        let inspected = run(["inspect", shown]).error(3).replace(shown, name);
        let predicted = run(["predict", shown]).error(3).replace(shown, name);
        format!("{inspected}\n{predicted}")
    };
    let messages = [
        message("empty.wasm", b""),
        message("text.wasm", b"hello"),
        message("module.wasm", b"\0asm\x01\0\0\0"),
        message("component.wasm", b"\0asm\x0d\0\x01\0"),
    ];
    expect![[r#"
        error: empty.wasm: expected a WebAssembly component, found an empty file
        error: empty.wasm: expected a WebAssembly component, found an empty file
        error: text.wasm: expected a WebAssembly component, found other bytes
        error: text.wasm: expected a WebAssembly component, found other bytes
        error: module.wasm: expected a WebAssembly component, found a core module
        error: module.wasm: expected a WebAssembly component, found a core WebAssembly module
        error: component.wasm: expected a component that `tensorlet build` made, found one without a `tensorlet:plan`
        error: component.wasm: expected a component that exports tensorlet:model/predict@0.1.0 and imports nothing or tensorlet:model/offload@0.1.0, found exports: none"#]].assert_eq(&messages.join("\n"));
    let nowhere = run(["inspect", "nowhere.wasm"]).error(1);
    assert!(
        nowhere.starts_with("error: cannot read nowhere.wasm: "),
        "{nowhere}"
    );
}
