//! Makes up inputs, the same each time.
//!
//! Floats are uniform in [0, 1), integers and bools are 0 or 1: indices and lengths that any model can bear. Element `i` of
//! the input with index `s` follows from both alone, by splitmix64 as in `models/README.md` with `s` as seed.

use half::{bf16, f16};
use tensorlet_tensor::{DatumType, Dim, NamedTensor, Tensor, TensorSpec};

use crate::exit::Failure;

/// The most bytes of one input: what a component can address.
const MAX_DATA_BYTES: u64 = 4 << 30;

/// Makes a tensor for each spec. All dims must be fixed.
///
/// # Errors
/// If a tensor would be larger than a component can address.
pub(super) fn inputs(specs: &[TensorSpec]) -> Result<Vec<NamedTensor>, Failure> {
    specs
        .iter()
        .zip(0..)
        .map(|(spec, seed)| Ok((spec.name.clone(), tensor(spec, seed)?)))
        .collect()
}

fn tensor(spec: &TensorSpec, seed: u64) -> Result<Tensor, Failure> {
    let size = |dim: &Dim| match dim {
        Dim::Fixed(size) => *size,
        Dim::Symbol(symbol) => unreachable!("`sizes::resolve` gave {symbol} a size"),
    };
    let dims: Vec<u32> = spec.dims.iter().map(size).collect();
    let bytes = dims
        .iter()
        .try_fold(spec.datum_type.width_bytes() as u64, |len, &dim| {
            len.checked_mul(dim.into())
        });
    let Some(bytes) = bytes.filter(|&bytes| bytes <= MAX_DATA_BYTES) else {
        let message = format!("input {spec}: expected at most {MAX_DATA_BYTES} bytes, found more");
        return Err(Failure::input(message));
    };
    let mut data = Vec::with_capacity(bytes as usize);
    for index in 0..bytes / spec.datum_type.width_bytes() as u64 {
        push(&mut data, spec.datum_type, splitmix64(seed, index));
    }
    Tensor::new(spec.datum_type, dims, data).map_err(|error| Failure::input(error.to_string()))
}

fn push(data: &mut Vec<u8>, datum_type: DatumType, random: u64) {
    // 24 bits are what an f32 holds.
    let float = (random >> 40) as f32 / (1u32 << 24) as f32;
    let bit = (random >> 63) as u8;
    match datum_type {
        // Rounding must not make it 1.
        DatumType::F16 => data.extend(f16::from_f32(float * 0.999).to_le_bytes()),
        DatumType::Bf16 => data.extend(bf16::from_f32(float * 0.99).to_le_bytes()),
        DatumType::F32 => data.extend(float.to_le_bytes()),
        DatumType::F64 => data.extend(f64::from(float).to_le_bytes()),
        integer_or_bool => {
            data.push(bit);
            data.resize(data.len() + integer_or_bool.width_bytes() - 1, 0);
        }
    }
}

fn splitmix64(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elements;

    #[test]
    fn numbers_are_those_of_the_references() {
        let expected = [
            0x910a_2dec_8902_5cc1,
            0xbeeb_8da1_658e_ec67,
            0xf893_a2ee_fb32_555e,
            0x71c1_8690_ee42_c90b,
        ];
        assert_eq!([0, 1, 2, 3].map(|index| splitmix64(1, index)), expected);
    }

    #[test]
    fn values_are_in_their_range() {
        for datum_type in DatumType::ALL {
            let spec: TensorSpec = format!("x:{datum_type}[50,40]").parse().unwrap();
            let tensor = tensor(&spec, 7).unwrap();
            let values: Vec<f64> = elements::of(&tensor)
                .map(elements::Element::to_f64)
                .collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            assert!((0.45..0.55).contains(&mean), "{datum_type}: mean {mean}");
            let in_range = |&value: &f64| {
                if datum_type.is_float() {
                    (0.0..1.0).contains(&value)
                } else {
                    value == 0.0 || value == 1.0
                }
            };
            assert!(values.iter().all(in_range), "{datum_type}");
        }
    }

    #[test]
    fn the_same_specs_give_the_same_inputs() {
        let specs: Vec<TensorSpec> = ["x:f32[3]", "y:f32[3]", "s:i64[]"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        let once = inputs(&specs).unwrap();
        assert_eq!(once, inputs(&specs).unwrap());
        assert_ne!(once[0].1, once[1].1, "each input has a seed of its own");
    }

    #[test]
    fn an_input_that_nothing_could_hold_is_refused() {
        let spec: TensorSpec = "x:f32[4294967295,4294967295]".parse().unwrap();
        assert!(
            inputs(&[spec])
                .unwrap_err()
                .to_string()
                .starts_with("input x: f32[4294967295, 4294967295]: expected at most ")
        );
    }
}
