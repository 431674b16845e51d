//! Inputs that `model.toml` makes constants.

use half::{bf16, f16};
use tensorlet_tensor::{DatumType, MAX_RANK, Tensor};
use toml::de::DeValue;

use super::InvalidModelToml;
use super::reader::{Value, to_f64, to_i64};

/// The value of an input that is the same at every call.
///
/// It has dims, but no datum type before it meets the model's: `16000` fits an `i64` as well as an `f32`.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Invariant: the product is the number of values.
    dims: Vec<u32>,
    values: Values,
}

/// The values, row-major.
#[derive(Clone, Debug, PartialEq)]
enum Values {
    Bool(Vec<bool>),
    Integer(Vec<i64>),
    Float(Vec<f64>),
}

impl Constant {
    /// Returns the sizes, outermost first; empty for a single value.
    pub fn dims(&self) -> &[u32] {
        &self.dims
    }

    /// Makes a tensor of the datum type that the model asks for.
    ///
    /// Whole numbers become integers or floats, other numbers only floats, `true` and `false` only bools.
    /// Floats are rounded to the nearest that the type has.
    ///
    /// # Errors
    /// If a value is not one of the type.
    pub fn to_tensor(&self, datum_type: DatumType) -> Result<Tensor, InvalidConstant> {
        let invalid = |found: String| InvalidConstant { datum_type, found };
        let mut data = vec![];
        match &self.values {
            Values::Bool(values) if datum_type == DatumType::Bool => {
                data.extend(values.iter().map(|&value| u8::from(value)));
            }
            Values::Bool(values) => {
                if let Some(value) = values.first() {
                    return Err(invalid(value.to_string()));
                }
            }
            Values::Integer(values) => {
                for &value in values {
                    push_integer(&mut data, datum_type, value)
                        .ok_or_else(|| invalid(value.to_string()))?;
                }
            }
            Values::Float(values) => {
                for &value in values {
                    push_float(&mut data, datum_type, value)
                        .ok_or_else(|| invalid(format!("{value:?}")))?;
                }
            }
        }
        Tensor::new(datum_type, self.dims.clone(), data).map_err(|error| invalid(error.to_string()))
    }

    pub(super) fn read(value: &Value<'_>) -> Result<Self, InvalidModelToml> {
        let mut constant = Self {
            dims: vec![],
            values: Values::Integer(vec![]),
        };
        let mut first = value.raw();
        while let Some(DeValue::Array(items)) = first {
            let len = u32::try_from(items.len()).map_err(|_| value.fail("a shorter array"))?;
            constant.dims.push(len);
            first = items.first().map(toml::Spanned::get_ref);
        }
        if constant.dims.len() > MAX_RANK {
            return Err(value.fail(&format!("arrays nested at most {MAX_RANK} deep")));
        }
        match first {
            Some(DeValue::Boolean(_)) => constant.values = Values::Bool(vec![]),
            Some(DeValue::Float(_)) => constant.values = Values::Float(vec![]),
            _ => {}
        }
        constant.values.extend(value, &constant.dims)?;
        Ok(constant)
    }
}

impl Values {
    /// Adds the values of an array of these dims.
    fn extend(&mut self, value: &Value<'_>, dims: &[u32]) -> Result<(), InvalidModelToml> {
        if let Some((&len, inner)) = dims.split_first() {
            let expected = format!("an array of {len} values, as before it");
            let items = value.items(&expected)?;
            if items.len() != len as usize {
                return Err(value.fail(&expected));
            }
            return items.iter().try_for_each(|item| self.extend(item, inner));
        }
        let raw = value.raw();
        match self {
            Self::Bool(values) => match raw {
                Some(DeValue::Boolean(value)) => values.push(*value),
                _ => return Err(value.fail("true or false, as before it")),
            },
            Self::Integer(values) => match raw.and_then(to_i64) {
                Some(value) => values.push(value),
                None if values.is_empty() => {
                    return Err(value.fail("a number of at most 64 bits, true, false or an array"));
                }
                None => return Err(value.fail("a whole number of at most 64 bits, as before it")),
            },
            Self::Float(values) => match raw {
                Some(raw @ DeValue::Float(_)) => values.extend(to_f64(raw)),
                _ => return Err(value.fail("a number with a point, as before it")),
            },
        }
        Ok(())
    }
}

/// A constant that the model's datum type cannot hold.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected values of {datum_type}, found {found}")]
pub struct InvalidConstant {
    datum_type: DatumType,
    found: String,
}

fn push_integer(data: &mut Vec<u8>, datum_type: DatumType, value: i64) -> Option<()> {
    match datum_type {
        DatumType::Bool => return None,
        DatumType::U8 => data.extend(u8::try_from(value).ok()?.to_le_bytes()),
        DatumType::U16 => data.extend(u16::try_from(value).ok()?.to_le_bytes()),
        DatumType::U32 => data.extend(u32::try_from(value).ok()?.to_le_bytes()),
        DatumType::U64 => data.extend(u64::try_from(value).ok()?.to_le_bytes()),
        DatumType::I8 => data.extend(i8::try_from(value).ok()?.to_le_bytes()),
        DatumType::I16 => data.extend(i16::try_from(value).ok()?.to_le_bytes()),
        DatumType::I32 => data.extend(i32::try_from(value).ok()?.to_le_bytes()),
        DatumType::I64 => data.extend(value.to_le_bytes()),
        DatumType::F16 | DatumType::Bf16 | DatumType::F32 | DatumType::F64 => {
            return push_float(data, datum_type, value as f64);
        }
    }
    Some(())
}

fn push_float(data: &mut Vec<u8>, datum_type: DatumType, value: f64) -> Option<()> {
    match datum_type {
        DatumType::F16 => data.extend(f16::from_f64(value).to_le_bytes()),
        DatumType::Bf16 => data.extend(bf16::from_f64(value).to_le_bytes()),
        DatumType::F32 => data.extend((value as f32).to_le_bytes()),
        DatumType::F64 => data.extend(value.to_le_bytes()),
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::model_toml;

    fn constant(text: &str) -> Constant {
        model_toml(&format!("[bind]\nx = {text}")).unwrap().bind["x"].clone()
    }

    #[test]
    fn a_whole_number_takes_the_models_datum_type() {
        let rate = constant("16_000");
        let tensor = |datum_type| rate.to_tensor(datum_type).unwrap();
        assert_eq!(tensor(DatumType::I64).to_values(), Some(vec![16000i64]));
        assert_eq!(tensor(DatumType::F32).to_values(), Some(vec![16000f32]));
        assert_eq!(
            tensor(DatumType::Bf16).to_values(),
            Some(vec![bf16::from_f32(16000.0)])
        );
        assert_eq!(rate.dims(), [0u32; 0]);
    }

    #[test]
    fn nested_arrays_have_dims() {
        let tensor = constant("[[1.5, 2.0], [3.0, -inf]]")
            .to_tensor(DatumType::F64)
            .unwrap();
        assert_eq!(tensor.type_text(), "f64[2, 2]");
        assert_eq!(
            tensor.to_values(),
            Some(vec![1.5, 2.0, 3.0, f64::NEG_INFINITY])
        );
        let empty = constant("[]");
        assert_eq!(empty.dims(), [0]);
        assert!(empty.to_tensor(DatumType::F32).unwrap().is_empty());
        let bools = constant("[true, false]");
        assert_eq!(bools.to_tensor(DatumType::Bool).unwrap().data(), [1, 0]);
    }

    #[test]
    fn a_value_that_does_not_fit_is_refused() {
        let refused = |text, datum_type| {
            let error = constant(text).to_tensor(datum_type).unwrap_err();
            error.to_string()
        };
        assert_eq!(
            refused("[1, 256]", DatumType::U8),
            "expected values of u8, found 256"
        );
        assert_eq!(
            refused("2.0", DatumType::I64),
            "expected values of i64, found 2.0"
        );
        assert_eq!(
            refused("true", DatumType::U8),
            "expected values of u8, found true"
        );
        assert_eq!(
            refused("1", DatumType::Bool),
            "expected values of bool, found 1"
        );
    }
}
