//! Inputs of several calls to inputs of a batch.

use tensorlet_tensor::{InvalidTensor, NamedTensor, Signature, Tensor};

use crate::config::Padding;

/// Joins the inputs of `calls` along axis 0, in the signature's order, and pads them to `padded_rows`.
///
/// Each row is copied once, into memory of exactly the size of the batch that was not written before.
///
/// # Shapes
/// All calls agree on each input's datum type and all dims but axis 0. `padded_rows` below the sum of the calls' rows
/// means no padding.
/// # Errors
/// If an input is missing, has no axis 0, or differs from the first call's, or the rows do not fit in memory.
pub fn join(
    calls: &[&[NamedTensor]],
    signature: &Signature,
    padded_rows: u32,
    padding: Padding,
) -> Result<Vec<NamedTensor>, JoinError> {
    let joined = signature.inputs.iter().map(|spec| {
        let tensors: Vec<&Tensor> = calls
            .iter()
            .map(|inputs| find(inputs, &spec.name))
            .collect::<Result<_, _>>()?;
        let joined = join_input(&spec.name, &tensors, padded_rows, padding)?;
        Ok((spec.name.clone(), joined))
    });
    joined.collect()
}

/// Calls that cannot be joined.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// A call lacks an input.
    #[error("input `{input}`: expected it in every call, found a call without it")]
    Missing {
        /// The name of the input.
        input: String,
    },
    /// An input has no rows.
    #[error("input `{input}`: expected rows along axis 0, found {found}")]
    NoRows {
        /// The name of the input.
        input: String,
        /// Its datum type and dims.
        found: String,
    },
    /// An input differs from that of the first call.
    #[error("input `{input}`: expected {expected} but for axis 0, found {found}")]
    Differs {
        /// The name of the input.
        input: String,
        /// Datum type and dims of the first call's.
        expected: String,
        /// Datum type and dims of the one that differs.
        found: String,
    },
    /// The rows are too many.
    #[error("input `{input}`: expected a batch that fits in memory")]
    TooLarge {
        /// The name of the input.
        input: String,
        /// What is wrong with it.
        #[source]
        source: Option<InvalidTensor>,
    },
}

fn find<'a>(inputs: &'a [NamedTensor], name: &str) -> Result<&'a Tensor, JoinError> {
    let found = inputs.iter().find(|(other, _)| other == name);
    found
        .map(|(_, tensor)| tensor)
        .ok_or_else(|| JoinError::Missing { input: name.into() })
}

fn join_input(
    name: &str,
    tensors: &[&Tensor],
    padded_rows: u32,
    padding: Padding,
) -> Result<Tensor, JoinError> {
    let input = || name.to_owned();
    let too_large = |source| JoinError::TooLarge {
        input: name.into(),
        source,
    };
    let first = tensors
        .first()
        .ok_or_else(|| JoinError::Missing { input: input() })?;
    let mut rows = 0_u32;
    let mut len_bytes = 0;
    for tensor in tensors {
        let Some((&own_rows, row_dims)) =
            tensor.dims().split_first().filter(|(rows, _)| **rows > 0)
        else {
            let found = tensor.type_text();
            return Err(JoinError::NoRows {
                input: input(),
                found,
            });
        };
        if tensor.datum_type() != first.datum_type() || row_dims != &first.dims()[1..] {
            return Err(JoinError::Differs {
                input: input(),
                expected: first.type_text(),
                found: tensor.type_text(),
            });
        }
        rows = rows.checked_add(own_rows).ok_or_else(|| too_large(None))?;
        len_bytes += tensor.data().len();
    }
    let row_bytes = first.data().len() / usize::try_from(first.dims()[0]).unwrap_or(usize::MAX);
    let missing_rows = usize::try_from(padded_rows.saturating_sub(rows)).unwrap_or(usize::MAX);
    let padded_bytes = row_bytes
        .checked_mul(missing_rows)
        .and_then(|padding_bytes| padding_bytes.checked_add(len_bytes))
        .filter(|&bytes| isize::try_from(bytes).is_ok())
        .ok_or_else(|| too_large(None))?;

    let mut data = Vec::with_capacity(padded_bytes);
    for tensor in tensors {
        data.extend_from_slice(tensor.data());
    }
    match padding {
        Padding::Zeros => data.resize(padded_bytes, 0),
        Padding::RepeatLast => {
            for _ in 0..missing_rows {
                data.extend_from_within(data.len() - row_bytes..);
            }
        }
    }
    let mut dims = first.dims().to_vec();
    dims[0] = rows.max(padded_rows);
    Tensor::new(first.datum_type(), dims, data).map_err(|error| too_large(Some(error)))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use tensorlet_tensor::DatumType;

    use super::*;

    fn signature(inputs: &[&str]) -> Signature {
        let inputs = inputs.iter().map(|text| text.parse().unwrap()).collect();
        Signature::new(inputs, vec!["y:f32[N]".parse().unwrap()])
    }

    fn bytes(name: &str, dims: &[u32], values: &[u8]) -> NamedTensor {
        (
            name.into(),
            Tensor::from_values(dims.to_vec(), values).unwrap(),
        )
    }

    #[test]
    fn joins_by_name_in_the_order_of_the_signature() {
        let first = [bytes("b", &[1], &[7]), bytes("a", &[1, 2], &[1, 2])];
        let second = [
            bytes("a", &[2, 2], &[3, 4, 5, 6]),
            bytes("b", &[2], &[8, 9]),
        ];
        let signature = signature(&["a:u8[N,2]", "b:u8[N]"]);
        let joined = join(&[&first, &second], &signature, 0, Padding::Zeros).unwrap();
        let expected = [
            bytes("a", &[3, 2], &[1, 2, 3, 4, 5, 6]),
            bytes("b", &[3], &[7, 8, 9]),
        ];
        assert_eq!(joined, expected);
    }

    #[test]
    fn pads_with_the_last_row_or_zeros() {
        let call = [bytes("x", &[2, 2], &[1, 2, 3, 4])];
        let signature = signature(&["x:u8[N,2]"]);
        let data = |padded_rows, padding| {
            let joined = join(&[&call], &signature, padded_rows, padding).unwrap();
            joined[0].1.data().to_vec()
        };
        assert_eq!(data(4, Padding::RepeatLast), [1, 2, 3, 4, 3, 4, 3, 4]);
        assert_eq!(data(4, Padding::Zeros), [1, 2, 3, 4, 0, 0, 0, 0]);
        assert_eq!(data(2, Padding::RepeatLast), [1, 2, 3, 4]);
    }

    #[test]
    fn allocates_exactly_what_the_batch_needs() {
        let call = [bytes("x", &[3, 5], &[1; 15])];
        let signature = signature(&["x:u8[N,5]"]);
        for padding in [Padding::RepeatLast, Padding::Zeros] {
            let joined = join(&[&call, &call], &signature, 7, padding).unwrap();
            let (_, _, data) = joined.into_iter().next().unwrap().1.into_parts();
            assert_eq!((data.len(), data.capacity()), (35, 35));
        }
    }

    #[test]
    fn says_why_calls_cannot_be_joined() {
        let zeros = |datum_type, dims: &[u32]| {
            let tensor = Tensor::zeros(datum_type, dims.to_vec()).unwrap();
            vec![("x".to_owned(), tensor)]
        };
        let call = zeros(DatumType::U8, &[1, 2]);
        let many = zeros(DatumType::U8, &[u32::MAX, 0]);
        let cases = [
            [call.clone(), vec![]],
            [call.clone(), zeros(DatumType::U8, &[])],
            [call.clone(), zeros(DatumType::U8, &[0, 2])],
            [call.clone(), zeros(DatumType::U8, &[1, 3])],
            [call, zeros(DatumType::I8, &[1, 2])],
            [many.clone(), many],
        ];
        let errors = cases.map(|[first, second]| {
            let signature = signature(&["x:u8[N,2]"]);
            let joined = join(&[&first, &second], &signature, 0, Padding::Zeros);
            joined.unwrap_err().to_string()
        });
        expect![[r"
            input `x`: expected it in every call, found a call without it
            input `x`: expected rows along axis 0, found u8[]
            input `x`: expected rows along axis 0, found u8[0, 2]
            input `x`: expected u8[1, 2] but for axis 0, found u8[1, 3]
            input `x`: expected u8[1, 2] but for axis 0, found i8[1, 2]
            input `x`: expected a batch that fits in memory"]]
        .assert_eq(&errors.join("\n"));
    }
}
