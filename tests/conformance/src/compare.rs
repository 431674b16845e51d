//! Says whether outputs are those expected.

use tensorlet_tensor::{DatumType, Tensor};

/// The relative tolerance, that of the ONNX backend tests.
const RELATIVE: f64 = 1e-3;

/// The absolute tolerance.
const ABSOLUTE: f64 = 1e-6;

/// Compares an output with what is expected.
///
/// Floats agree within `ABSOLUTE + RELATIVE × |expected|`, with one step of a shorter float beside; NaN agrees with
/// NaN. Everything else agrees when it is equal.
///
/// # Errors
/// If they differ; the message says where.
pub fn compare(found: &Tensor, expected: &Tensor) -> Result<(), String> {
    if (found.datum_type(), found.dims()) != (expected.datum_type(), expected.dims()) {
        return Err(format!(
            "expected {}, found {}",
            expected.type_text(),
            found.type_text()
        ));
    }
    if !expected.datum_type().is_float() {
        return if found.data() == expected.data() {
            Ok(())
        } else {
            Err("other values".into())
        };
    }
    let (found, expected) = (floats(found), floats(expected));
    let differs = |(&found, &expected): (&f64, &f64)| !agrees(found, expected);
    match found.iter().zip(&expected).position(differs) {
        None => Ok(()),
        Some(index) => Err(format!(
            "expected {} at {index}, found {}",
            expected[index], found[index]
        )),
    }
}

fn agrees(found: f64, expected: f64) -> bool {
    found == expected
        || (found.is_nan() && expected.is_nan())
        || (found - expected).abs() <= ABSOLUTE + RELATIVE * expected.abs()
}

fn floats(tensor: &Tensor) -> Vec<f64> {
    match tensor.datum_type() {
        DatumType::F64 => tensor.to_values::<f64>().unwrap_or_default(),
        DatumType::F32 => tensor
            .to_values::<f32>()
            .unwrap_or_default()
            .into_iter()
            .map(f64::from)
            .collect(),
        DatumType::F16 => halves(tensor).map(f16_to_f64).collect(),
        _ => halves(tensor)
            .map(|bits| f64::from(f32::from_bits(u32::from(bits) << 16)))
            .collect(),
    }
}

fn halves(tensor: &Tensor) -> impl Iterator<Item = u16> + '_ {
    tensor
        .data()
        .chunks_exact(2)
        .map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
}

fn f16_to_f64(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(values: &[f32]) -> Tensor {
        Tensor::from_values(vec![values.len() as u32], values).unwrap()
    }

    #[test]
    fn floats_agree_within_the_tolerance() {
        assert_eq!(
            compare(&tensor(&[1.0005, f32::NAN]), &tensor(&[1.0, f32::NAN])),
            Ok(())
        );
        assert_eq!(
            compare(&tensor(&[f32::INFINITY]), &tensor(&[f32::INFINITY])),
            Ok(())
        );
        assert!(compare(&tensor(&[1.002]), &tensor(&[1.0])).is_err());
        assert!(compare(&tensor(&[f32::INFINITY]), &tensor(&[1.0])).is_err());
        assert!(compare(&tensor(&[0.0]), &tensor(&[f32::NAN])).is_err());
    }

    #[test]
    fn types_and_dims_must_be_equal() {
        let error = compare(&tensor(&[1.0]), &tensor(&[1.0, 2.0])).unwrap_err();
        assert_eq!(error, "expected f32[2], found f32[1]");
    }

    #[test]
    fn halves_are_widened() {
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x0001, 2f64.powi(-24)),
            (0x7c00, f64::INFINITY),
        ] {
            assert_eq!(f16_to_f64(bits), value);
        }
        assert!(f16_to_f64(0x7e00).is_nan());
    }
}
