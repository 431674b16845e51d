//! How long bodies take: a picture of 3×224×224, which is 150 528 numbers, read and written as JSON and in binary.
//!
//! `cargo bench -p tensorlet-protocol --bench codec` prints medians.

#![expect(clippy::print_stdout, reason = "a bench prints what it measures")]
#![expect(clippy::unwrap_used, reason = "a bench may fail")]
#![expect(
    clippy::disallowed_methods,
    reason = "a bench measures with the real clock"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use tensorlet_protocol::{InferRequest, InferResponse};
use tensorlet_tensor::{NamedTensor, Tensor};

const DIMS: [u32; 4] = [1, 3, 224, 224];
/// Measurements, of which the median counts.
const RUNS: usize = 31;

fn main() {
    let pixels = 0..DIMS.iter().product::<u32>();
    let pixels =
        Vec::from_iter(pixels.map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as f32 / 255.0));
    let image = (
        "image".to_owned(),
        Tensor::from_values(DIMS.to_vec(), &pixels).unwrap(),
    );

    let numbers = |text: fn(f32) -> String| Vec::from_iter(pixels.iter().map(|&pixel| text(pixel)));
    read_json(
        "JSON, flat, shortest f32",
        &numbers(|pixel| pixel.to_string()),
    );
    // What Python writes of the elements of a `float32` array.
    let doubles = numbers(|pixel| f64::from(pixel).to_string());
    read_json("JSON, flat, digits of f64", &doubles);
    let rows = doubles
        .chunks(224)
        .map(|row| format!("[{}]", row.join(", ")));
    let rows = Vec::from_iter(rows);
    let planes = rows
        .chunks(224)
        .map(|plane| format!("[{}]", plane.join(", ")));
    let planes = Vec::from_iter(planes).join(", ");
    read_json("JSON, nested, digits of f64", &[format!("[{planes}]")]);

    let json = format!(
        r#"{{"inputs":[{{"name":"image","datatype":"FP32","shape":{DIMS:?},"parameters":{{"binary_data_size":{}}}}}]}}"#,
        image.1.data().len()
    );
    let body = [json.as_bytes(), image.1.data()].concat();
    report("read binary", body.len(), || {
        InferRequest::parse(&body, Some(json.len())).unwrap()
    });
    write("write JSON", &image, false);
    write("write binary", &image, true);
}

fn read_json(what: &str, data: &[String]) {
    let body = format!(
        r#"{{"inputs":[{{"name":"image","datatype":"FP32","shape":{DIMS:?},"data":[{}]}}]}}"#,
        data.join(", ")
    );
    report(&format!("read {what}"), body.len(), || {
        InferRequest::parse(body.as_bytes(), None).unwrap()
    });
}

fn write(what: &str, output: &NamedTensor, is_binary: bool) {
    let response = InferResponse {
        model_name: "m",
        model_version: "1",
        id: None,
        outputs: &[(output, is_binary)],
    };
    report(what, response.encode().body.len(), || response.encode());
}

fn report<T>(what: &str, bytes: usize, run: impl Fn() -> T) {
    let mut times: [Duration; RUNS] = std::array::from_fn(|_| {
        let start = Instant::now();
        black_box(run());
        start.elapsed()
    });
    times.sort();
    let millis = times[RUNS / 2].as_secs_f64() * 1e3;
    let rate = bytes as f64 / millis / 1e3;
    println!("{what:32} {bytes:9} bytes {millis:7.2} ms {rate:7.0} MB/s");
}
