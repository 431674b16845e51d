//! The types of a tensor's elements.

use std::fmt;
use std::str::FromStr;

use half::{bf16, f16};
use serde::{Deserialize, Serialize};

/// The type of a tensor's elements, which fixes their width.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DatumType {
    /// One byte, 0 or 1.
    Bool,
    /// Unsigned, 8 bits.
    U8,
    /// Unsigned, 16 bits.
    U16,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 64 bits.
    U64,
    /// Signed, 8 bits.
    I8,
    /// Signed, 16 bits.
    I16,
    /// Signed, 32 bits.
    I32,
    /// Signed, 64 bits.
    I64,
    /// IEEE 754 binary16.
    F16,
    /// The upper half of an `f32`.
    Bf16,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
}

impl DatumType {
    /// Every datum type, in the order of `wit/tensor.wit`.
    pub const ALL: [Self; 13] = [
        Self::Bool,
        Self::U8,
        Self::U16,
        Self::U32,
        Self::U64,
        Self::I8,
        Self::I16,
        Self::I32,
        Self::I64,
        Self::F16,
        Self::Bf16,
        Self::F32,
        Self::F64,
    ];

    /// Returns the width of one element in bytes.
    pub const fn width_bytes(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::Bf16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// Returns the name used in WIT, in specs and in messages, such as `f32`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }

    /// Reports whether elements are floating-point numbers.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::Bf16 | Self::F32 | Self::F64)
    }
}

impl fmt::Display for DatumType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DatumType {
    type Err = UnknownDatumType;

    fn from_str(text: &str) -> Result<Self, UnknownDatumType> {
        Self::ALL
            .into_iter()
            .find(|datum_type| datum_type.name() == text)
            .ok_or_else(|| UnknownDatumType { found: text.into() })
    }
}

/// A word that names no datum type.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "expected a datum type (bool, u8 to u64, i8 to i64, f16, bf16, f32 or f64), found `{found}`"
)]
pub struct UnknownDatumType {
    found: String,
}

/// A Rust type whose values are a tensor's elements.
///
/// `bool` is not among them, because a tensor's bytes come from outside and need not be 0 or 1: read such
/// tensors as `u8` through [`Tensor::data`](crate::Tensor::data).
pub trait Element: bytemuck::Pod {
    /// The datum type with this representation.
    const DATUM_TYPE: DatumType;
}

macro_rules! elements {
    ($($rust:ty => $datum_type:ident),+ $(,)?) => {
        $(impl Element for $rust {
            const DATUM_TYPE: DatumType = DatumType::$datum_type;
        })+
    };
}

elements! {
    u8 => U8, u16 => U16, u32 => U32, u64 => U64,
    i8 => I8, i16 => I16, i32 => I32, i64 => I64,
    f16 => F16, bf16 => Bf16, f32 => F32, f64 => F64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for datum_type in DatumType::ALL {
            assert_eq!(datum_type.name().parse(), Ok(datum_type));
        }
    }

    #[test]
    fn an_unknown_name_says_what_was_expected() {
        let error = "float32".parse::<DatumType>().unwrap_err().to_string();
        assert!(
            error.contains("f32") && error.contains("`float32`"),
            "{error}"
        );
    }

    #[test]
    fn elements_are_as_wide_as_their_datum_type() {
        fn check<T: Element>() {
            assert_eq!(size_of::<T>(), T::DATUM_TYPE.width_bytes());
        }
        check::<u8>();
        check::<u16>();
        check::<u32>();
        check::<u64>();
        check::<i8>();
        check::<i16>();
        check::<i32>();
        check::<i64>();
        check::<f16>();
        check::<bf16>();
        check::<f32>();
        check::<f64>();
    }
}
