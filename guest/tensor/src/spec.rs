//! What a tensor must look like: name, datum type, dims that are numbers or symbols.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{DatumType, MAX_RANK};

/// One size of a tensor that a model takes or gives.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dim {
    /// Always this size.
    Fixed(u32),
    /// A size that each call chooses; the same everywhere the symbol stands.
    Symbol(String),
}

impl Dim {
    /// Returns the symbol, if the dim is one.
    pub fn symbol(&self) -> Option<&str> {
        match self {
            Self::Fixed(_) => None,
            Self::Symbol(symbol) => Some(symbol),
        }
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Symbol(symbol) => f.write_str(symbol),
        }
    }
}

/// The name, datum type and dims of a tensor that a model takes or gives.
///
/// The text form is `name:f32[N,3,224,224]`; a name may itself hold colons, as the last one counts.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct TensorSpec {
    /// The name in the model.
    pub name: String,
    /// The type of the elements.
    pub datum_type: DatumType,
    /// The sizes, outermost first.
    ///
    /// In an output, a symbol that no input has is an expression over the inputs' symbols, or a name of
    /// its own for a size that only the data decides.
    pub dims: Vec<Dim>,
}

impl TensorSpec {
    /// Returns the text of datum type and dims, such as `f32[N, 3, 224, 224]`.
    pub fn type_text(&self) -> String {
        let dims: Vec<String> = self.dims.iter().map(Dim::to_string).collect();
        format!("{}[{}]", self.datum_type, dims.join(", "))
    }
}

impl fmt::Display for TensorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.type_text())
    }
}

impl FromStr for TensorSpec {
    type Err = InvalidSpec;

    fn from_str(text: &str) -> Result<Self, InvalidSpec> {
        let invalid = |reason: String| InvalidSpec {
            text: text.into(),
            reason,
        };
        let form = || invalid("expected NAME:TYPE[DIMS], such as images:f32[N,3,224,224]".into());

        let (name, typed) = text.rsplit_once(':').ok_or_else(form)?;
        let name = name.trim();
        let (datum_type, dims) = typed
            .trim()
            .strip_suffix(']')
            .and_then(|t| t.split_once('['))
            .ok_or_else(form)?;
        if name.is_empty() {
            return Err(form());
        }
        let datum_type = datum_type
            .trim()
            .parse::<DatumType>()
            .map_err(|error| invalid(error.to_string()))?;
        let dims = match dims.trim() {
            "" => vec![],
            dims => dims
                .split(',')
                .map(|dim| parse_dim(dim.trim()))
                .collect::<Result<_, _>>()
                .map_err(invalid)?,
        };
        if dims.len() > MAX_RANK {
            return Err(invalid(format!(
                "expected at most {MAX_RANK} dims, found {}",
                dims.len()
            )));
        }
        Ok(Self {
            name: name.into(),
            datum_type,
            dims,
        })
    }
}

/// A text that is not `name:type[dims]`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("tensor spec `{text}`: {reason}")]
pub struct InvalidSpec {
    text: String,
    reason: String,
}

fn parse_dim(text: &str) -> Result<Dim, String> {
    let mut chars = text.chars();
    let first = chars.next();
    if first.is_some_and(|c| c.is_ascii_digit()) {
        return text
            .parse()
            .map(Dim::Fixed)
            .map_err(|_| format!("expected a dim from 0 to {}, found `{text}`", u32::MAX));
    }
    if first.is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
    {
        return Ok(Dim::Symbol(text.into()));
    }
    Err(format!(
        "expected a dim (a number, or a symbol of letters, digits and `_`), found `{text}`"
    ))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn reads_numbers_and_symbols() {
        let spec: TensorSpec = "images:f32[N, 3,224,width_2]".parse().unwrap();
        assert_eq!(spec.to_string(), "images: f32[N, 3, 224, width_2]");
        assert_eq!(spec.dims[0].symbol(), Some("N"));
        assert_eq!(spec.dims[1], Dim::Fixed(3));
    }

    #[test]
    fn reads_scalars_and_names_with_colons() {
        let spec: TensorSpec = "a:0:i64[]".parse().unwrap();
        assert_eq!((spec.name.as_str(), spec.dims.len()), ("a:0", 0));
    }

    #[test]
    fn says_what_is_wrong() {
        let texts = [
            "x",
            "x:f32",
            ":f32[1]",
            "x:float[1]",
            "x:f32[-1]",
            "x:f32[1,,2]",
            "x:f32[99999999999]",
            "x:f32[N+1]",
            "x:u8[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]",
        ];
        let errors: Vec<String> = texts
            .iter()
            .map(|text| text.parse::<TensorSpec>().unwrap_err().to_string())
            .collect();
        expect![[r"
            tensor spec `x`: expected NAME:TYPE[DIMS], such as images:f32[N,3,224,224]
            tensor spec `x:f32`: expected NAME:TYPE[DIMS], such as images:f32[N,3,224,224]
            tensor spec `:f32[1]`: expected NAME:TYPE[DIMS], such as images:f32[N,3,224,224]
            tensor spec `x:float[1]`: expected a datum type (bool, u8 to u64, i8 to i64, f16, bf16, f32 or f64), found `float`
            tensor spec `x:f32[-1]`: expected a dim (a number, or a symbol of letters, digits and `_`), found `-1`
            tensor spec `x:f32[1,,2]`: expected a dim (a number, or a symbol of letters, digits and `_`), found ``
            tensor spec `x:f32[99999999999]`: expected a dim from 0 to 4294967295, found `99999999999`
            tensor spec `x:f32[N+1]`: expected a dim (a number, or a symbol of letters, digits and `_`), found `N+1`
            tensor spec `x:u8[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]`: expected at most 16 dims, found 17"]]
        .assert_eq(&errors.join("\n"));
    }
}
