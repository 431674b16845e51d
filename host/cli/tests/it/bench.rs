//! What `tensorlet bench` measures.

use crate::program::{component, run};

#[test]
fn json_has_the_fields_that_were_promised() {
    let model = component("tests/fixtures/add.onnx");
    let json = run([
        "bench",
        model.to_str().unwrap(),
        "--json",
        "--iterations",
        "20",
        "--batch",
        "3",
    ])
    .json();
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "first_ms",
            "instantiate_ms",
            "load_ms",
            "median_ms",
            "min_ms",
            "offloaded",
            "p99_ms",
            "rss_bytes"
        ]
    );
    let value = |key: &str| json[key].as_f64().unwrap();
    assert!(
        0.0 < value("min_ms")
            && value("min_ms") <= value("median_ms")
            && value("median_ms") <= value("p99_ms"),
        "{json}"
    );
    // A hundred times what is meant, so that a busy machine does not fail this.
    assert!(
        value("load_ms") < 1000.0 && value("instantiate_ms") < 15.0,
        "{json}"
    );
    assert!(value("rss_bytes") > 1e6, "{json}");
    assert_eq!(json["offloaded"], true);
}

#[test]
fn the_host_computes_unless_told_otherwise() {
    let model = component("tests/fixtures/add.onnx");
    let model = model.to_str().unwrap();
    let bench = |flags: &[&str]| {
        let args = [&["bench", model, "--iterations", "3"], flags].concat();
        run(args).stdout().to_owned()
    };
    for flags in [&[][..], &["--threads", "2"], &["--fresh"]] {
        let table = bench(flags);
        assert!(table.contains("computed by the host"), "{flags:?}: {table}");
    }
    assert!(bench(&["--fresh"]).contains("of 3 calls, an instance each"));
    let table = bench(&["--no-offload"]);
    assert!(table.contains("computed in the component"), "{table}");
}

#[test]
fn a_table_names_the_inputs() {
    let model = component("tests/fixtures/matmul-symbols.onnx");
    let args = [
        "bench",
        model.to_str().unwrap(),
        "--iterations",
        "1",
        "--input",
        "x:f32[2,3,8]",
    ];
    let run = run(args);
    let table = run.stdout();
    assert!(
        table.contains("x: f32[2, 3, 8]") && table.contains("of 1 calls"),
        "{table}"
    );
}

#[test]
fn dims_that_are_left_open_are_named() {
    let model = component("tests/fixtures/matmul-symbols.onnx");
    let message = run(["bench", model.to_str().unwrap(), "--batch", "2"]).error(4);
    assert_eq!(
        message,
        "error: input `x`: expected a size for sequence of f32[batch, sequence, 8], found none; give one, such as --input \
         'x:f32[2,64,8]'"
    );
}
