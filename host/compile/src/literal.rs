//! Values that a user gives to an input, to make it a constant.

use std::fmt;
use std::str::FromStr;

use tensorlet_tensor::DatumType;

/// A number, a bool, or a nested list of them, such as `16000` or `[[1, 2], [3, 4]]`.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// A whole number.
    Int(i64),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// Values of one axis.
    List(Vec<Literal>),
}

impl Literal {
    /// Returns the dims and the little-endian bytes of the value as a tensor of `datum_type`.
    ///
    /// # Errors
    /// If lists of one axis differ in length, or a value does not fit the datum type.
    pub(crate) fn to_bytes(&self, datum_type: DatumType) -> Result<(Vec<i64>, Vec<u8>), String> {
        let dims = self.dims();
        let mut bytes = Vec::new();
        self.append(&dims, datum_type, &mut bytes)?;
        Ok((dims.iter().map(|&dim| dim as i64).collect(), bytes))
    }

    fn dims(&self) -> Vec<usize> {
        match self {
            Self::List(items) => {
                let mut dims = vec![items.len()];
                dims.extend(items.first().map(Self::dims).unwrap_or_default());
                dims
            }
            _ => vec![],
        }
    }

    fn append(
        &self,
        dims: &[usize],
        datum_type: DatumType,
        bytes: &mut Vec<u8>,
    ) -> Result<(), String> {
        match (self, dims.split_first()) {
            (Self::List(items), Some((&len, rest))) if items.len() == len => items
                .iter()
                .try_for_each(|item| item.append(rest, datum_type, bytes)),
            (Self::List(_), _) | (_, Some(_)) => {
                Err("expected lists of equal length, found others".into())
            }
            (scalar, None) => {
                let scalar_bytes = scalar.scalar_bytes(datum_type);
                bytes.extend(scalar_bytes.ok_or_else(|| {
                    format!("expected a value of {datum_type}, found `{scalar}`")
                })?);
                Ok(())
            }
        }
    }

    fn scalar_bytes(&self, datum_type: DatumType) -> Option<Vec<u8>> {
        let float = match *self {
            Self::Int(int) => int as f64,
            Self::Float(float) => float,
            Self::Bool(bool) => {
                return (datum_type == DatumType::Bool).then(|| vec![u8::from(bool)]);
            }
            Self::List(_) => return None,
        };
        match datum_type {
            DatumType::F64 => return Some(float.to_le_bytes().to_vec()),
            DatumType::F32 => return Some((float as f32).to_le_bytes().to_vec()),
            _ => {}
        }
        let Self::Int(int) = *self else { return None };
        Some(match datum_type {
            DatumType::U8 => u8::try_from(int).ok()?.to_le_bytes().to_vec(),
            DatumType::U16 => u16::try_from(int).ok()?.to_le_bytes().to_vec(),
            DatumType::U32 => u32::try_from(int).ok()?.to_le_bytes().to_vec(),
            DatumType::U64 => u64::try_from(int).ok()?.to_le_bytes().to_vec(),
            DatumType::I8 => i8::try_from(int).ok()?.to_le_bytes().to_vec(),
            DatumType::I16 => i16::try_from(int).ok()?.to_le_bytes().to_vec(),
            DatumType::I32 => i32::try_from(int).ok()?.to_le_bytes().to_vec(),
            DatumType::I64 => int.to_le_bytes().to_vec(),
            _ => return None,
        })
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(int) => write!(f, "{int}"),
            Self::Float(float) => write!(f, "{float}"),
            Self::Bool(bool) => write!(f, "{bool}"),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
        }
    }
}

/// A text that is no [`Literal`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected a number, `true`, `false` or a list such as `[1, 2]`, found `{found}`")]
pub struct InvalidLiteral {
    found: String,
}

impl FromStr for Literal {
    type Err = InvalidLiteral;

    fn from_str(text: &str) -> Result<Self, InvalidLiteral> {
        match parse(text, 0) {
            Some((literal, rest)) if rest.trim().is_empty() => Ok(literal),
            _ => Err(InvalidLiteral { found: text.into() }),
        }
    }
}

/// The deepest nesting of lists: a tensor has no more axes.
const MAX_DEPTH: usize = tensorlet_tensor::MAX_RANK;

/// Parses one literal at the beginning of `text`; returns it and what follows.
fn parse(text: &str, depth: usize) -> Option<(Literal, &str)> {
    let text = text.trim_start();
    let Some(mut rest) = text.strip_prefix('[') else {
        return parse_scalar(text);
    };
    let mut items = vec![];
    if let Some(rest) = rest.trim_start().strip_prefix(']') {
        return Some((Literal::List(items), rest));
    }
    if depth == MAX_DEPTH {
        return None;
    }
    loop {
        let (item, after) = parse(rest, depth + 1)?;
        items.push(item);
        let after = after.trim_start();
        if let Some(after) = after.strip_prefix(']') {
            return Some((Literal::List(items), after));
        }
        rest = after.strip_prefix(',')?;
    }
}

fn parse_scalar(text: &str) -> Option<(Literal, &str)> {
    let end = text
        .find(|c: char| ",[]".contains(c) || c.is_whitespace())
        .unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let literal = match word {
        "true" => Literal::Bool(true),
        "false" => Literal::Bool(false),
        _ => match word.parse() {
            Ok(int) => Literal::Int(int),
            Err(_) => Literal::Float(word.parse().ok().filter(|float: &f64| float.is_finite())?),
        },
    };
    Some((literal, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str, datum_type: DatumType) -> Result<(Vec<i64>, Vec<u8>), String> {
        text.parse::<Literal>().unwrap().to_bytes(datum_type)
    }

    #[test]
    fn takes_the_datum_type_of_the_input() {
        assert_eq!(
            bytes("16000", DatumType::I64).unwrap(),
            (vec![], 16000i64.to_le_bytes().to_vec())
        );
        assert_eq!(
            bytes("16000", DatumType::F32).unwrap(),
            (vec![], 16000f32.to_le_bytes().to_vec())
        );
        assert_eq!(
            bytes("[[1, 2, 3], [4, 5, 6]]", DatumType::U8).unwrap(),
            (vec![2, 3], vec![1, 2, 3, 4, 5, 6])
        );
        assert_eq!(
            bytes("[true, false]", DatumType::Bool).unwrap(),
            (vec![2], vec![1, 0])
        );
    }

    #[test]
    fn values_that_do_not_fit_are_refused() {
        assert_eq!(
            bytes("300", DatumType::U8).unwrap_err(),
            "expected a value of u8, found `300`"
        );
        assert_eq!(
            bytes("1.5", DatumType::I32).unwrap_err(),
            "expected a value of i32, found `1.5`"
        );
        assert_eq!(
            bytes("true", DatumType::F32).unwrap_err(),
            "expected a value of f32, found `true`"
        );
        assert!(
            bytes("[[1], [2, 3]]", DatumType::U8)
                .unwrap_err()
                .contains("equal length")
        );
        assert!(bytes("[1, [2]]", DatumType::U8).is_err());
        assert!(
            "sixteen"
                .parse::<Literal>()
                .unwrap_err()
                .to_string()
                .contains("`sixteen`")
        );
    }
}
