//! The elements of a tensor, one by one, for people and JSON.

use std::fmt;

use half::{bf16, f16};
use serde::{Serialize, Serializer};
use tensorlet_tensor::{DatumType, Tensor};

/// One element of a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Element {
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    /// Of at most 32 bits; shown with as many digits as tell it from others of them.
    Single(f32),
    Double(f64),
}

impl Element {
    /// Returns the number, a bool being 0 or 1. Large integers are rounded.
    pub(crate) fn to_f64(self) -> f64 {
        match self {
            Self::Bool(bool) => f64::from(u8::from(bool)),
            Self::Unsigned(int) => int as f64,
            Self::Signed(int) => int as f64,
            Self::Single(float) => float.into(),
            Self::Double(float) => float,
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(bool) => bool.fmt(f),
            Self::Unsigned(int) => int.fmt(f),
            Self::Signed(int) => int.fmt(f),
            Self::Single(float) => write!(f, "{float:?}"),
            Self::Double(float) => write!(f, "{float:?}"),
        }
    }
}

/// Numbers and bools. JSON has no other numbers than finite ones, so those are the strings `NaN`, `inf` and `-inf`.
impl Serialize for Element {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Bool(bool) => serializer.serialize_bool(bool),
            Self::Unsigned(int) => serializer.serialize_u64(int),
            Self::Signed(int) => serializer.serialize_i64(int),
            Self::Single(float) if float.is_finite() => serializer.serialize_f32(float),
            Self::Double(float) if float.is_finite() => serializer.serialize_f64(float),
            Self::Single(_) | Self::Double(_) => serializer.collect_str(self),
        }
    }
}

/// Returns the elements of a tensor, row-major.
pub(crate) fn of(tensor: &Tensor) -> impl Iterator<Item = Element> {
    let datum_type = tensor.datum_type();
    tensor
        .data()
        .chunks_exact(datum_type.width_bytes())
        .map(move |bytes| element(datum_type, bytes))
}

fn element(datum_type: DatumType, bytes: &[u8]) -> Element {
    macro_rules! read {
        ($type:ty) => {
            <$type>::from_le_bytes(
                bytes
                    .try_into()
                    .expect("an element is as wide as its datum type"),
            )
        };
    }
    match datum_type {
        DatumType::Bool => Element::Bool(read!(u8) != 0),
        DatumType::U8 => Element::Unsigned(read!(u8).into()),
        DatumType::U16 => Element::Unsigned(read!(u16).into()),
        DatumType::U32 => Element::Unsigned(read!(u32).into()),
        DatumType::U64 => Element::Unsigned(read!(u64)),
        DatumType::I8 => Element::Signed(read!(i8).into()),
        DatumType::I16 => Element::Signed(read!(i16).into()),
        DatumType::I32 => Element::Signed(read!(i32).into()),
        DatumType::I64 => Element::Signed(read!(i64)),
        DatumType::F16 => Element::Single(read!(f16).to_f32()),
        DatumType::Bf16 => Element::Single(read!(bf16).to_f32()),
        DatumType::F32 => Element::Single(read!(f32)),
        DatumType::F64 => Element::Double(read!(f64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: tensorlet_tensor::Element>(values: &[T], expected: &str) {
        let tensor = Tensor::from_values(vec![values.len() as u32], values).unwrap();
        let elements: Vec<Element> = of(&tensor).collect();
        assert_eq!(serde_json::to_string(&elements).unwrap(), expected);
    }

    #[test]
    fn every_datum_type_keeps_its_digits() {
        check(&[0.1f32, -0.0, 1e30, f32::NAN], "[0.1,-0.0,1e+30,\"NaN\"]");
        check(
            &[0.1f64, f64::INFINITY, f64::NEG_INFINITY],
            "[0.1,\"inf\",\"-inf\"]",
        );
        check(&[f16::from_f32(0.1)], "[0.099975586]");
        check(&[bf16::from_f32(1.5)], "[1.5]");
        check(&[u64::MAX, 0], "[18446744073709551615,0]");
        check(&[i64::MIN], "[-9223372036854775808]");
        check(&[-1i8], "[-1]");
        let bools = Tensor::new(DatumType::Bool, vec![3], vec![0, 1, 2]).unwrap();
        assert_eq!(of(&bools).map(Element::to_f64).sum::<f64>(), 2.0);
    }
}
