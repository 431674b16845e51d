//! What a model takes and gives, and the check of a call against it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::tensor::check_len;
use crate::{DatumType, Dim, NamedTensor, TensorSpec};

/// The value of each symbol in one call.
pub type Bindings = BTreeMap<String, u32>;

/// The named inputs and outputs of a model.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Signature {
    /// What a call must give, in the model's order.
    pub inputs: Vec<TensorSpec>,
    /// What a call returns, in the model's order.
    pub outputs: Vec<TensorSpec>,
    /// The symbol that counts rows: axis 0 of every input and output, and nowhere else.
    ///
    /// `None` when there is no such symbol; then calls cannot be joined to batches.
    pub batch_symbol: Option<String>,
}

impl Signature {
    /// Makes a signature, finding the batch symbol.
    pub fn new(inputs: Vec<TensorSpec>, outputs: Vec<TensorSpec>) -> Self {
        let batch_symbol = find_batch_symbol(&inputs, &outputs);
        Self {
            inputs,
            outputs,
            batch_symbol,
        }
    }

    /// Checks the inputs of a call and returns the value of each symbol.
    ///
    /// # Errors
    /// If an input is missing, unknown or given twice, or differs from its spec in datum type, rank or a
    /// dim; the error names the first such input.
    pub fn bind(&self, inputs: &[NamedTensor]) -> Result<Bindings, InvalidInput> {
        let claims: Vec<Claim<'_>> = inputs
            .iter()
            .map(|(name, tensor)| Claim {
                name,
                datum_type: tensor.datum_type(),
                dims: tensor.dims(),
                data_len: tensor.data().len(),
            })
            .collect();
        self.bind_claims(&claims)
    }

    /// As [`Signature::bind`], for inputs that are not known to be tensors.
    ///
    /// # Errors
    /// As [`Signature::bind`], and if the length of the bytes does not fit datum type and dims.
    pub fn bind_claims(&self, claims: &[Claim<'_>]) -> Result<Bindings, InvalidInput> {
        for (index, claim) in claims.iter().enumerate() {
            if !self.inputs.iter().any(|spec| spec.name == claim.name) {
                return Err(InvalidInput::new(
                    claim.name,
                    self.input_names(),
                    "an input that the model does not have",
                ));
            }
            if claims[..index]
                .iter()
                .any(|earlier| earlier.name == claim.name)
            {
                return Err(InvalidInput::new(
                    claim.name,
                    "it once",
                    "it more than once",
                ));
            }
        }
        let mut bindings = Bindings::new();
        for spec in &self.inputs {
            let Some(claim) = claims.iter().find(|claim| claim.name == spec.name) else {
                return Err(InvalidInput::new(&spec.name, spec.type_text(), "nothing"));
            };
            claim.bind(spec, &mut bindings)?;
        }
        Ok(bindings)
    }

    fn input_names(&self) -> String {
        if self.inputs.is_empty() {
            return "no inputs".into();
        }
        let names: Vec<String> = self
            .inputs
            .iter()
            .map(|spec| format!("`{}`", spec.name))
            .collect();
        format!("one of {}", names.join(", "))
    }
}

/// An input as a caller states it, before anything is believed.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The name of the input.
    pub name: &'a str,
    /// The stated type of its elements.
    pub datum_type: DatumType,
    /// The stated sizes.
    pub dims: &'a [u32],
    /// How many bytes came.
    pub data_len: usize,
}

impl Claim<'_> {
    fn bind(&self, spec: &TensorSpec, bindings: &mut Bindings) -> Result<(), InvalidInput> {
        let found = || {
            let dims: Vec<String> = self.dims.iter().map(u32::to_string).collect();
            format!("{}[{}]", self.datum_type, dims.join(", "))
        };
        if self.datum_type != spec.datum_type || self.dims.len() != spec.dims.len() {
            return Err(InvalidInput::new(&spec.name, spec.type_text(), found()));
        }
        for (dim, &size) in spec.dims.iter().zip(self.dims) {
            match dim {
                Dim::Fixed(fixed) if *fixed == size => {}
                Dim::Fixed(_) => {
                    return Err(InvalidInput::new(&spec.name, spec.type_text(), found()));
                }
                Dim::Symbol(symbol) if size == 0 => {
                    let expected = format!("{} with {symbol} of at least 1", spec.type_text());
                    return Err(InvalidInput::new(&spec.name, expected, found()));
                }
                Dim::Symbol(symbol) => {
                    let bound = *bindings.entry(symbol.clone()).or_insert(size);
                    if bound != size {
                        let expected =
                            format!("{} with {symbol} = {bound}, as before it", spec.type_text());
                        return Err(InvalidInput::new(&spec.name, expected, found()));
                    }
                }
            }
        }
        check_len(self.datum_type, self.dims, self.data_len).map_err(|error| {
            let found = format!("{} bytes", self.data_len);
            match error {
                crate::InvalidTensor::Length {
                    type_text,
                    expected,
                    ..
                } => InvalidInput::new(
                    &spec.name,
                    format!("{expected} bytes for {type_text}"),
                    found,
                ),
                other => InvalidInput::new(
                    &spec.name,
                    "dims whose product fits in memory",
                    other.to_string(),
                ),
            }
        })
    }
}

/// An input that does not fit the signature.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("input `{input}`: expected {expected}, found {found}")]
pub struct InvalidInput {
    /// The name of the input.
    pub input: String,
    /// What the signature asks for.
    pub expected: String,
    /// What the call gave.
    pub found: String,
}

impl InvalidInput {
    /// Makes the error from its three parts.
    pub fn new(
        input: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self {
            input: input.into(),
            expected: expected.into(),
            found: found.into(),
        }
    }
}

fn find_batch_symbol(inputs: &[TensorSpec], outputs: &[TensorSpec]) -> Option<String> {
    let symbol = inputs.first()?.dims.first()?.symbol()?;
    let rows_only = |spec: &TensorSpec| {
        let elsewhere = |dim: &Dim| dim.symbol().is_some_and(|other| mentions(other, symbol));
        matches!(spec.dims.split_first(), Some((Dim::Symbol(first), rest))
            if first == symbol && !rest.iter().any(elsewhere))
    };
    (!outputs.is_empty() && inputs.iter().chain(outputs).all(rows_only)).then(|| symbol.to_owned())
}

/// Reports whether `expression` uses `symbol` as a whole word.
fn mentions(expression: &str, symbol: &str) -> bool {
    expression
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .any(|word| word == symbol)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::Tensor;

    fn signature(inputs: &[&str], outputs: &[&str]) -> Signature {
        let specs = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Signature::new(specs(inputs), specs(outputs))
    }

    fn zeros(name: &str, datum_type: DatumType, dims: &[u32]) -> NamedTensor {
        (
            name.into(),
            Tensor::zeros(datum_type, dims.to_vec()).unwrap(),
        )
    }

    #[test]
    fn binds_symbols() {
        let signature = signature(&["x:f32[N,3,W]", "y:i64[N]"], &["z:f32[N,2]"]);
        let inputs = [
            zeros("y", DatumType::I64, &[4]),
            zeros("x", DatumType::F32, &[4, 3, 9]),
        ];
        let bindings = signature.bind(&inputs).unwrap();
        assert_eq!(bindings, Bindings::from([("N".into(), 4), ("W".into(), 9)]));
        assert_eq!(signature.batch_symbol.as_deref(), Some("N"));
    }

    #[test]
    fn says_what_is_wrong_with_a_call() {
        let signature = signature(&["image:f32[N,3,8,8]", "sizes:i64[N]"], &["y:f32[N]"]);
        let image = || zeros("image", DatumType::F32, &[2, 3, 8, 8]);
        let sizes = || zeros("sizes", DatumType::I64, &[2]);
        let calls = [
            vec![],
            vec![image()],
            vec![image(), sizes(), zeros("other", DatumType::U8, &[])],
            vec![image(), sizes(), sizes()],
            vec![zeros("image", DatumType::U8, &[1, 3, 8, 8]), sizes()],
            vec![zeros("image", DatumType::F32, &[3, 8, 8]), sizes()],
            vec![zeros("image", DatumType::F32, &[1, 3, 8, 9]), sizes()],
            vec![zeros("image", DatumType::F32, &[0, 3, 8, 8]), sizes()],
            vec![image(), zeros("sizes", DatumType::I64, &[3])],
        ];
        let errors: Vec<String> = calls
            .iter()
            .map(|call| signature.bind(call).unwrap_err().to_string())
            .collect();
        expect![[r#"
            input `image`: expected f32[N, 3, 8, 8], found nothing
            input `sizes`: expected i64[N], found nothing
            input `other`: expected one of `image`, `sizes`, found an input that the model does not have
            input `sizes`: expected it once, found it more than once
            input `image`: expected f32[N, 3, 8, 8], found u8[1, 3, 8, 8]
            input `image`: expected f32[N, 3, 8, 8], found f32[3, 8, 8]
            input `image`: expected f32[N, 3, 8, 8], found f32[1, 3, 8, 9]
            input `image`: expected f32[N, 3, 8, 8] with N of at least 1, found f32[0, 3, 8, 8]
            input `sizes`: expected i64[N] with N = 2, as before it, found i64[3]"#]]
        .assert_eq(&errors.join("\n"));
    }

    #[test]
    fn claims_with_other_bytes_than_dims_are_refused() {
        let signature = signature(&["x:f32[N]"], &["y:f32[N]"]);
        let claim = |dims: &'static [u32], data_len| Claim {
            name: "x",
            datum_type: DatumType::F32,
            dims,
            data_len,
        };
        let error = signature.bind_claims(&[claim(&[2], 7)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "input `x`: expected 8 bytes for f32[2], found 7 bytes"
        );
        assert!(signature.bind_claims(&[claim(&[u32::MAX], 8)]).is_err());
    }

    #[test]
    fn a_fixed_zero_dim_is_taken_as_the_model_says() {
        let signature = signature(&["x:f32[2,0]"], &["y:f32[0]"]);
        assert!(
            signature
                .bind(&[zeros("x", DatumType::F32, &[2, 0])])
                .is_ok()
        );
    }

    #[test]
    fn the_batch_symbol_is_axis_0_everywhere_and_nowhere_else() {
        let batch = |inputs: &[&str], outputs: &[&str]| signature(inputs, outputs).batch_symbol;
        assert_eq!(batch(&["x:f32[B,4]"], &["y:f32[B]"]).as_deref(), Some("B"));
        assert_eq!(
            batch(&["x:f32[B,4]", "s:f32[2,B]"], &["y:f32[B]"]),
            None,
            "axis 1 of an input"
        );
        assert_eq!(
            batch(&["x:f32[B,4]"], &["y:f32[1,B]"]),
            None,
            "axis 1 of an output"
        );
        assert_eq!(batch(&["x:f32[B,B]"], &["y:f32[B]"]), None, "two axes");
        assert_eq!(batch(&["x:f32[4]"], &["y:f32[4]"]), None, "no symbols");
        assert_eq!(batch(&[], &["y:f32[4]"]), None, "no inputs");
    }

    #[test]
    fn expressions_are_searched_for_whole_words() {
        assert!(mentions("2*N+1", "N") && !mentions("Nx*2", "N"));
    }
}
