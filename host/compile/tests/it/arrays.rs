//! Reads the arrays of `models/`: NPY files, and inputs that are generated.

use std::path::Path;

use tract_onnx::prelude::{DatumType, Tensor};

/// Reads an NPY file of version 1.0 with little-endian f32 or i32 in C order.
pub(crate) fn read_npy(path: &Path) -> Tensor {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00", "{}", path.display());
    let header_len = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let (header, data) = bytes[10..].split_at(header_len);
    let header = std::str::from_utf8(header).unwrap();
    let field = |name: &str| {
        header
            .split_once(name)
            .unwrap()
            .1
            .trim_start_matches([':', ' '])
    };
    let datum_type = match &field("'descr'")[1..4] {
        "<f4" => DatumType::F32,
        "<i4" => DatumType::I32,
        other => panic!("{}: unknown datum type {other}", path.display()),
    };
    let shape = field("'shape'").split_once(')').unwrap().0;
    let sizes = shape.trim_start_matches('(').split(',').map(str::trim);
    let sizes: Vec<usize> = sizes
        .filter(|size| !size.is_empty())
        .map(|size| size.parse().unwrap())
        .collect();
    from_bytes(datum_type, &sizes, data)
}

/// Makes a generated input, as `models/README.md` describes it.
pub(crate) fn generate(input: &serde_json::Value) -> Tensor {
    assert_eq!(
        (&input["generator"], &input["datum_type"]),
        (&"splitmix64".into(), &"f32".into())
    );
    let dims = input["dims"].as_array().unwrap().iter();
    let dims: Vec<usize> = dims.map(|dim| dim.as_u64().unwrap() as usize).collect();
    let (low, high) = (
        input["low"].as_f64().unwrap() as f32,
        input["high"].as_f64().unwrap() as f32,
    );
    splitmix(&dims, input["seed"].as_u64().unwrap(), low, high)
}

/// Makes a tensor of numbers from `low` to `high` that depend on the seed alone.
pub(crate) fn splitmix(dims: &[usize], seed: u64, low: f32, high: f32) -> Tensor {
    let element = |index: usize| {
        let mut z = seed.wrapping_add((index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        (z >> 40) as f32 / 16_777_216.0 * (high - low) + low
    };
    let elements: Vec<f32> = (0..dims.iter().product()).map(element).collect();
    Tensor::from_shape(dims, &elements).unwrap()
}

/// Returns the largest difference of two tensors of f32.
pub(crate) fn difference(found: &Tensor, expected: &Tensor) -> f32 {
    assert_eq!(found.shape(), expected.shape());
    let elements = |tensor: &Tensor| {
        let tensor = tensor.cast_to::<f32>().unwrap();
        tensor
            .try_as_plain_ram()
            .unwrap()
            .as_slice::<f32>()
            .unwrap()
            .to_vec()
    };
    let pairs = elements(found).into_iter().zip(elements(expected));
    pairs
        .map(|(found, expected)| (found - expected).abs())
        .fold(0.0, |a, b| if b.is_nan() { b } else { a.max(b) })
}

fn from_bytes(datum_type: DatumType, dims: &[usize], data: &[u8]) -> Tensor {
    let words = data.as_chunks().0;
    assert_eq!(words.len(), dims.iter().product::<usize>());
    match datum_type {
        DatumType::F32 => Tensor::from_shape(
            dims,
            &words
                .iter()
                .map(|word| f32::from_le_bytes(*word))
                .collect::<Vec<_>>(),
        ),
        _ => Tensor::from_shape(
            dims,
            &words
                .iter()
                .map(|word| i32::from_le_bytes(*word))
                .collect::<Vec<_>>(),
        ),
    }
    .unwrap()
}
