//! Outputs of a batch to outputs of its calls.

use tensorlet_tensor::{NamedTensor, Tensor};

/// Splits `outputs` along axis 0 into calls of so many `rows`, and drops what is padded after them.
///
/// Each row is copied once, into memory of exactly the size of its call's output.
///
/// # Shapes
/// Axis 0 of every output is `padded_rows`, and `padded_rows` at least the sum of `rows`.
/// # Errors
/// If an output has other rows.
pub fn split(
    outputs: &[NamedTensor],
    rows: &[u32],
    padded_rows: u32,
) -> Result<Vec<Vec<NamedTensor>>, SplitError> {
    let used_rows: u64 = rows.iter().copied().map(u64::from).sum();
    for (name, tensor) in outputs {
        let found = tensor.dims().first();
        if found != Some(&padded_rows) || used_rows > u64::from(padded_rows) {
            return Err(SplitError {
                output: name.clone(),
                rows: u64::from(padded_rows).max(used_rows),
                found: tensor.type_text(),
            });
        }
    }
    let mut calls: Vec<Vec<NamedTensor>> = rows
        .iter()
        .map(|_| Vec::with_capacity(outputs.len()))
        .collect();
    for (name, tensor) in outputs {
        let mut left = tensor.data();
        let row_bytes = left.len() / usize_of(padded_rows).max(1);
        for (&rows, call) in rows.iter().zip(&mut calls) {
            let (own, rest) = left.split_at(row_bytes * usize_of(rows));
            left = rest;
            let mut dims = tensor.dims().to_vec();
            dims[0] = rows;
            let own = Tensor::new(tensor.datum_type(), dims, own.to_vec());
            call.push((name.clone(), own.expect("whole rows fit their dims")));
        }
    }
    Ok(calls)
}

/// An output that does not have a row for each row of the batch.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("output `{output}`: expected {rows} rows along axis 0, found {found}")]
pub struct SplitError {
    output: String,
    rows: u64,
    found: String,
}

fn usize_of(rows: u32) -> usize {
    usize::try_from(rows).expect("a host has at least 32 bits")
}

#[cfg(test)]
mod tests {
    use tensorlet_tensor::{DatumType, Signature};

    use super::*;
    use crate::config::Padding;
    use crate::join::join;

    fn zeros(name: &str, dims: &[u32]) -> NamedTensor {
        let tensor = Tensor::zeros(DatumType::F32, dims.to_vec()).unwrap();
        (name.into(), tensor)
    }

    #[test]
    fn refuses_outputs_with_other_rows() {
        let cases: [(&[u32], u32, &str); 4] = [
            (
                &[4, 2],
                3,
                "output `y`: expected 3 rows along axis 0, found f32[4, 2]",
            ),
            (
                &[2, 3],
                3,
                "output `y`: expected 3 rows along axis 0, found f32[2, 3]",
            ),
            (
                &[],
                3,
                "output `y`: expected 3 rows along axis 0, found f32[]",
            ),
            (
                &[2],
                2,
                "output `y`: expected 3 rows along axis 0, found f32[2]",
            ),
        ];
        for (dims, padded_rows, expected) in cases {
            let outputs = [zeros("y", dims)];
            let error = split(&outputs, &[1, 2], padded_rows).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn rows_without_elements_are_split_too() {
        let calls = split(&[zeros("y", &[3, 0])], &[2, 1], 3).unwrap();
        let dims: Vec<&[u32]> = calls.iter().map(|call| call[0].1.dims()).collect();
        assert_eq!(dims, [[2, 0], [1, 0]]);
    }

    /// Numbers without a pattern, the same in each run.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, bound: u32) -> u32 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            u32::try_from(self.0 % u64::from(bound)).unwrap()
        }

        fn tensor(&mut self, datum_type: DatumType, dims: Vec<u32>) -> Tensor {
            let elements: u32 = dims.iter().product();
            let len_bytes = usize_of(elements) * datum_type.width_bytes();
            let data = (0..len_bytes).map(|_| u8::try_from(self.below(256)).unwrap());
            Tensor::new(datum_type, dims, data.collect()).unwrap()
        }
    }

    #[test]
    fn what_was_joined_is_split_into_the_same() {
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        for case in 0..500 {
            let types: Vec<(DatumType, Vec<u32>)> = (0..1 + numbers.below(3))
                .map(|_| {
                    let datum_type = DatumType::ALL[usize_of(numbers.below(13))];
                    let rank = numbers.below(4);
                    (datum_type, (0..rank).map(|_| numbers.below(5)).collect())
                })
                .collect();
            let rows: Vec<u32> = (0..1 + numbers.below(6))
                .map(|_| 1 + numbers.below(4))
                .collect();
            let calls: Vec<Vec<NamedTensor>> = rows
                .iter()
                .map(|&rows| {
                    let inputs = types.iter().enumerate().map(|(index, (datum_type, dims))| {
                        let dims = [&[rows], dims.as_slice()].concat();
                        (format!("x{index}"), numbers.tensor(*datum_type, dims))
                    });
                    inputs.collect()
                })
                .collect();
            let inputs = types.iter().enumerate().map(|(index, (datum_type, dims))| {
                let dims: String = dims.iter().map(|dim| format!(",{dim}")).collect();
                format!("x{index}:{datum_type}[N{dims}]").parse().unwrap()
            });
            let signature = Signature::new(inputs.collect(), vec!["y:f32[N]".parse().unwrap()]);
            let padded_rows = rows.iter().sum::<u32>() + numbers.below(4);
            let padding = [Padding::RepeatLast, Padding::Zeros][usize_of(numbers.below(2))];

            let borrowed: Vec<&[NamedTensor]> = calls.iter().map(Vec::as_slice).collect();
            let joined = join(&borrowed, &signature, padded_rows, padding).unwrap();
            let apart = split(&joined, &rows, padded_rows).unwrap();
            assert_eq!(
                apart, calls,
                "case {case}: {rows:?} padded to {padded_rows}"
            );
        }
    }

    #[test]
    fn allocates_exactly_what_a_call_needs() {
        let calls = split(&[zeros("y", &[5, 3])], &[1, 2], 5).unwrap();
        for (call, rows) in calls.into_iter().zip([1, 2]) {
            let (_, _, data) = call.into_iter().next().unwrap().1.into_parts();
            assert_eq!((data.len(), data.capacity()), (rows * 12, rows * 12));
        }
    }
}
