//! A model whose weights are mostly zeros: hosts that do not know Tensorlet map its memory all the same, rather than copying it for each request.

use std::fs;

use tensorlet_compile::image::{copied_bytes, memory_images};

use crate::program::{folder, run};
use crate::tensors::{npy_f32, read_f32};

/// How many weights there are: 32 MiB of them, twice what is mapped however little of it is data.
const WEIGHTS: usize = 8 << 20;

/// A message of protobuf, as ONNX files are.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(mut self, field: u8, value: u64) -> Self {
        self.0.push(field << 3);
        self.raw_varint(value)
    }

    fn bytes(mut self, field: u8, bytes: &[u8]) -> Self {
        self.0.push(field << 3 | 2);
        self = self.raw_varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn message(self, field: u8, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }

    fn raw_varint(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }
}

/// `y = x + w`, where all weights but the first and the last are zero.
fn model() -> Vec<u8> {
    let dims = Message::default().message(1, &Message::default().varint(1, WEIGHTS as u64));
    let tensor = Message::default().varint(1, 1).message(2, &dims);
    let value = |name: &str| {
        let is_tensor = Message::default().message(1, &tensor);
        Message::default()
            .bytes(1, name.as_bytes())
            .message(2, &is_tensor)
    };
    let mut weights = vec![0; WEIGHTS * 4];
    weights[..4].copy_from_slice(&1.5f32.to_le_bytes());
    weights[WEIGHTS * 4 - 4..].copy_from_slice(&2.5f32.to_le_bytes());
    let weights = Message::default()
        .varint(1, WEIGHTS as u64)
        .varint(2, 1)
        .bytes(8, b"w")
        .bytes(9, &weights);
    let node = Message::default()
        .bytes(1, b"x")
        .bytes(1, b"w")
        .bytes(2, b"y")
        .bytes(4, b"Add");
    let graph = Message::default()
        .message(1, &node)
        .bytes(2, b"zeros")
        .message(5, &weights)
        .message(11, &value("x"))
        .message(12, &value("y"));
    let opset = Message::default().varint(2, 17);
    Message::default()
        .varint(1, 8)
        .message(7, &graph)
        .message(8, &opset)
        .0
}

#[test]
fn zeros_are_written_down_where_hosts_would_copy_all_else() {
    let dir = folder();
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::write(path("zeros.onnx"), model()).unwrap();
    let component = path("zeros.wasm");
    // A warning would be on standard error, and is none.
    run(["build", "--http", &path("zeros.onnx"), "-o", &component]).stdout();

    let bytes = fs::read(&component).unwrap();
    assert_eq!(copied_bytes(&bytes), Ok(0));
    let largest = memory_images(&bytes)
        .unwrap()
        .into_iter()
        .map(|image| image.range_bytes)
        .max();
    assert!(largest.unwrap() > WEIGHTS as u64 * 4, "{largest:?}");
    assert!(
        bytes.len() < WEIGHTS * 3,
        "no more zeros than are needed: {} bytes",
        bytes.len()
    );

    fs::write(
        path("x.npy"),
        npy_f32(&format!("({WEIGHTS},)"), &vec![1.0; WEIGHTS]),
    )
    .unwrap();
    let (input, output) = (format!("--input=x={}", path("x.npy")), path("out"));
    fs::create_dir(&output).unwrap();
    for offload in [&[][..], &["--no-offload"]] {
        let args = [
            &["predict", &component, &input, "--output-dir", &output],
            offload,
        ]
        .concat();
        run(args).stdout();
        let y = read_f32(&dir.path().join("out/y.npy"));
        let ends = [y[0], y[1], y[WEIGHTS - 2], y[WEIGHTS - 1]];
        assert_eq!(ends, [2.5, 1.0, 1.0, 3.5]);
    }
}
