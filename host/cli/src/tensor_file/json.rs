//! Tensors as JSON: nested lists, or `{"dims": [2, 3], "data": [1, 2, 3, 4, 5, 6]}`.
//!
//! JSON has no datum types: numbers take the one that is asked for, if it holds them. The strings `NaN`, `inf` and `-inf`
//! are floats, as `tensorlet predict --json` writes them.

use half::{bf16, f16};
use serde_json::Value;
use tensorlet_tensor::{DatumType, Tensor};

use crate::exit::Failure;

/// Reads a tensor of this datum type.
///
/// # Errors
/// If the text is no JSON of a form above, or has values that the datum type does not hold.
pub(super) fn read(text: &[u8], datum_type: DatumType) -> Result<Tensor, Failure> {
    let value: Value = serde_json::from_slice(text)
        .map_err(|error| Failure::input(format!("expected JSON, found other text: {error}")))?;
    let (dims, scalars) = match &value {
        Value::Object(object) => flat(object)?,
        nested => {
            let mut scalars = vec![];
            let dims = dims(nested)?;
            flatten(nested, &dims, &mut scalars)?;
            (dims, scalars)
        }
    };
    let mut data = Vec::with_capacity(scalars.len() * datum_type.width_bytes());
    for scalar in scalars {
        push(&mut data, datum_type, scalar).ok_or_else(|| {
            Failure::input(format!(
                "expected values of {datum_type}, found {}",
                shown(scalar)
            ))
        })?;
    }
    Tensor::new(datum_type, dims, data).map_err(|error| Failure::input(error.to_string()))
}

/// Returns the dims and scalars of the form with both.
fn flat(object: &serde_json::Map<String, Value>) -> Result<(Vec<u32>, Vec<&Value>), Failure> {
    let form = || {
        Failure::input(
            "expected nested lists, or an object with lists `dims` and `data` and nothing else",
        )
    };
    let (Some(Value::Array(dims)), Some(Value::Array(data)), 2) =
        (object.get("dims"), object.get("data"), object.len())
    else {
        return Err(form());
    };
    let dims: Option<Vec<u32>> = dims
        .iter()
        .map(|dim| u32::try_from(dim.as_u64()?).ok())
        .collect();
    let dims = dims.ok_or_else(|| {
        Failure::input(format!(
            "expected `dims` from 0 to {}, found others",
            u32::MAX
        ))
    })?;
    Ok((dims, data.iter().collect()))
}

/// Returns the lengths of the first list on each level.
fn dims(mut value: &Value) -> Result<Vec<u32>, Failure> {
    let mut dims = vec![];
    while let Value::Array(items) = value {
        dims.push(
            u32::try_from(items.len()).map_err(|_| Failure::input("expected shorter lists"))?,
        );
        let Some(first) = items.first() else { break };
        value = first;
    }
    Ok(dims)
}

/// Collects the scalars, checking that the lists of one level are equally long.
fn flatten<'a>(
    value: &'a Value,
    dims: &[u32],
    scalars: &mut Vec<&'a Value>,
) -> Result<(), Failure> {
    match (value, dims.split_first()) {
        (Value::Array(items), Some((&len, rest))) if items.len() == len as usize => items
            .iter()
            .try_for_each(|item| flatten(item, rest, scalars)),
        (Value::Array(items), Some((len, _))) => Err(Failure::input(format!(
            "expected a list of {len}, as before it, found one of {}",
            items.len()
        ))),
        (other, Some((len, _))) => Err(Failure::input(format!(
            "expected a list of {len}, as before it, found {}",
            shown(other)
        ))),
        (other, None) => {
            scalars.push(other);
            Ok(())
        }
    }
}

/// Appends a value; `None` if the datum type does not hold it.
fn push(data: &mut Vec<u8>, datum_type: DatumType, value: &Value) -> Option<()> {
    macro_rules! unsigned {
        ($type:ty) => {
            data.extend(<$type>::try_from(value.as_u64()?).ok()?.to_le_bytes())
        };
    }
    macro_rules! signed {
        ($type:ty) => {
            data.extend(<$type>::try_from(value.as_i64()?).ok()?.to_le_bytes())
        };
    }
    let float = || match value {
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "inf" => Some(f64::INFINITY),
            "-inf" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        value => value.as_f64(),
    };
    // A finite number must not become infinite.
    let fits = |float: f64, rounded: f64| (rounded.is_finite() || !float.is_finite()).then_some(());
    match datum_type {
        DatumType::Bool => data.push(u8::from(value.as_bool()?)),
        DatumType::U8 => unsigned!(u8),
        DatumType::U16 => unsigned!(u16),
        DatumType::U32 => unsigned!(u32),
        DatumType::U64 => unsigned!(u64),
        DatumType::I8 => signed!(i8),
        DatumType::I16 => signed!(i16),
        DatumType::I32 => signed!(i32),
        DatumType::I64 => signed!(i64),
        DatumType::F16 => {
            let rounded = f16::from_f64(float()?);
            fits(float()?, rounded.into())?;
            data.extend(rounded.to_le_bytes());
        }
        DatumType::Bf16 => {
            let rounded = bf16::from_f64(float()?);
            fits(float()?, rounded.into())?;
            data.extend(rounded.to_le_bytes());
        }
        DatumType::F32 => {
            let rounded = float()? as f32;
            fits(float()?, rounded.into())?;
            data.extend(rounded.to_le_bytes());
        }
        DatumType::F64 => data.extend(float()?.to_le_bytes()),
    }
    Some(())
}

/// Returns a value as it may stand in a message.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
        scalar => scalar.to_string().chars().take(60).collect(),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn read_text(text: &str, datum_type: DatumType) -> Result<Tensor, Failure> {
        read(text.as_bytes(), datum_type)
    }

    #[test]
    fn dims_follow_from_nesting() {
        let tensor = |text, datum_type| read_text(text, datum_type).unwrap();
        assert_eq!(tensor("3", DatumType::F32).type_text(), "f32[]");
        assert_eq!(tensor("[]", DatumType::F32).type_text(), "f32[0]");
        assert_eq!(tensor("[[], []]", DatumType::F32).type_text(), "f32[2, 0]");
        let nested = tensor("[[1, 2.5, -3], [4, 5, 6e-1]]", DatumType::F32);
        assert_eq!(nested.type_text(), "f32[2, 3]");
        assert_eq!(
            nested.to_values(),
            Some(vec![1.0f32, 2.5, -3.0, 4.0, 5.0, 0.6])
        );
        assert_eq!(
            tensor(r#"{"dims": [3, 1], "data": [1, 2, 3]}"#, DatumType::U8).type_text(),
            "u8[3, 1]"
        );
    }

    #[test]
    fn numbers_take_the_datum_type_that_is_asked_for() {
        let data = |text, datum_type| read_text(text, datum_type).unwrap();
        assert_eq!(
            data("[9007199254740993]", DatumType::I64).to_values(),
            Some(vec![9007199254740993i64])
        );
        assert_eq!(
            data("[18446744073709551615]", DatumType::U64).to_values(),
            Some(vec![u64::MAX])
        );
        assert_eq!(
            data("[0.5]", DatumType::F16).to_values(),
            Some(vec![f16::from_f32(0.5)])
        );
        assert_eq!(
            data("[1]", DatumType::Bf16).to_values(),
            Some(vec![bf16::from_f32(1.0)])
        );
        assert_eq!(data("[true, false]", DatumType::Bool).data(), [1, 0]);
        let floats = data(r#"["NaN", "inf", "-inf"]"#, DatumType::F32)
            .to_values::<f32>()
            .unwrap();
        assert!(floats[0].is_nan() && floats[1] == f32::INFINITY && floats[2] == f32::NEG_INFINITY);
    }

    #[test]
    fn says_what_is_wrong() {
        let error = |text: &str, datum_type| read_text(text, datum_type).unwrap_err().to_string();
        let errors = [
            error("[1,", DatumType::F32),
            error("[[1, 2], [3]]", DatumType::F32),
            error("[[1, 2], 3]", DatumType::F32),
            error("[1, [2]]", DatumType::F32),
            error("[256]", DatumType::U8),
            error("[-1]", DatumType::U64),
            error("[1.5]", DatumType::I32),
            error("[1]", DatumType::Bool),
            error("[true]", DatumType::F32),
            error("[\"1\"]", DatumType::F32),
            error("[null]", DatumType::F32),
            error("[1e39]", DatumType::F32),
            error("[65520]", DatumType::F16),
            error(r#"{"dims": [2]}"#, DatumType::F32),
            error(r#"{"dims": [-1], "data": []}"#, DatumType::F32),
            error(r#"{"dims": [2], "data": [1]}"#, DatumType::F32),
            error(
                &format!("{}1{}", "[".repeat(17), "]".repeat(17)),
                DatumType::U8,
            ),
        ];
        expect![[r#"
            expected JSON, found other text: EOF while parsing a value at line 1 column 3
            expected a list of 2, as before it, found one of 1
            expected a list of 2, as before it, found 3
            expected values of f32, found a list
            expected values of u8, found 256
            expected values of u64, found -1
            expected values of i32, found 1.5
            expected values of bool, found 1
            expected values of f32, found true
            expected values of f32, found "1"
            expected values of f32, found null
            expected values of f32, found 1e+39
            expected values of f16, found 65520
            expected nested lists, or an object with lists `dims` and `data` and nothing else
            expected `dims` from 0 to 4294967295, found others
            expected 8 bytes for f32[2], found 4
            expected at most 16 dims, found 17"#]]
        .assert_eq(&errors.join("\n"));
        assert!(error(&"[".repeat(100_000), DatumType::F32).contains("recursion limit"));
    }
}
