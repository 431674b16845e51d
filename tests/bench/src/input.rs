//! Inputs as they are given to all contenders: `NAME:TYPE[DIMS]` or `NAME:TYPE[DIMS]=VALUE`.

use std::str::FromStr;

use anyhow::{Context, Error, Result, bail};
use tensorlet_tensor::{DatumType, Dim, NamedTensor, Tensor, TensorSpec};

/// An input, and what it holds.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) spec: TensorSpec,
    /// What all elements are; random numbers if none.
    pub(crate) value: Option<f64>,
}

impl FromStr for Input {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (spec, value) = match text.rsplit_once("]=") {
            Some((spec, value)) => (format!("{spec}]"), Some(value.parse()?)),
            None => (text.to_owned(), None),
        };
        Ok(Self {
            spec: spec.parse()?,
            value,
        })
    }
}

impl Input {
    /// Reports whether the input becomes a constant of the model: it is a scalar with a value, such as a sample rate.
    pub(crate) fn is_bound(&self) -> bool {
        self.spec.dims.is_empty() && self.value.is_some()
    }

    /// Makes the tensor: floats in [-1, 1), integers from 0 to 255, unless there is a value.
    pub(crate) fn tensor(&self) -> Result<Tensor> {
        let dims: Option<Vec<u32>> = self
            .spec
            .dims
            .iter()
            .map(|dim| match dim {
                Dim::Fixed(size) => Some(*size),
                Dim::Symbol(_) => None,
            })
            .collect();
        let dims =
            dims.with_context(|| format!("expected dims without symbols, found {}", self.spec))?;
        let len: usize = dims.iter().map(|&dim| dim as usize).product();
        let mut state = 1u64;
        let mut random = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 40) as f64 / (1u64 << 24) as f64
        };
        let real = |random: f64| self.value.unwrap_or(random * 2.0 - 1.0);
        let integer = |random: f64| self.value.unwrap_or((random * 256.0).floor());
        let data: Vec<u8> = match self.spec.datum_type {
            DatumType::F32 => (0..len)
                .flat_map(|_| (real(random()) as f32).to_le_bytes())
                .collect(),
            DatumType::I32 => (0..len)
                .flat_map(|_| (integer(random()) as i32).to_le_bytes())
                .collect(),
            DatumType::I64 => (0..len)
                .flat_map(|_| (integer(random()) as i64).to_le_bytes())
                .collect(),
            other => bail!("expected an input of f32, i32 or i64, found {other}"),
        };
        Ok(Tensor::new(self.spec.datum_type, dims, data)?)
    }
}

/// Makes the tensors of the inputs that a component or its plan has: those that are bound are constants in it.
///
/// # Errors
/// As [`Input::tensor`].
pub(crate) fn tensors(inputs: &[Input]) -> Result<Vec<NamedTensor>> {
    inputs
        .iter()
        .filter(|input| !input.is_bound())
        .map(|input| Ok((input.spec.name.clone(), input.tensor()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_other_contenders_read() {
        let scalar: Input = "sr:i64[]=16000".parse().unwrap();
        assert!(scalar.is_bound());
        assert_eq!(
            scalar.tensor().unwrap().to_values::<i64>(),
            Some(vec![16000])
        );

        let ones: Input = "mask:i64[1,3]=1".parse().unwrap();
        assert!(!ones.is_bound());
        assert_eq!(ones.tensor().unwrap().to_values::<i64>(), Some(vec![1; 3]));

        let random: Input = "a:b/x:0:f32[2,3]".parse().unwrap();
        let values = random.tensor().unwrap().to_values::<f32>().unwrap();
        assert!(values.len() == 6 && values.iter().all(|x| (-1.0..1.0).contains(x)));
    }

    #[test]
    fn refuses_symbols_and_other_types() {
        let open: Input = "x:f32[N]".parse().unwrap();
        assert!(open.tensor().is_err());
        let text: Input = "x:u8[1]".parse().unwrap();
        assert!(text.tensor().is_err());
    }
}
