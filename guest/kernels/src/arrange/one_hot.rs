//! One-hot vectors.

use tensorlet_tensor::DatumType;

use super::check::{self, Split};
use super::number::{copy_element, fill, from_either_end, index_at};
use crate::bind::Types;
use crate::crew::{Crew, Pace};
use crate::run::{BindError, Run, RunError};

/// See [`Kernel::OneHot`](tensorlet_plan::Kernel::OneHot).
struct OneHot {
    indices: DatumType,
    width_bytes: usize,
    /// How the new axis divides the output.
    y: Split,
}

pub(super) fn bind(axis: u32, types: Types<'_>) -> Result<Box<dyn Run>, BindError> {
    check::counts(types, 2, 1)?;
    let [indices, values] = types.inputs else {
        unreachable!("`counts` found two inputs");
    };
    let y = &types.outputs[0];
    check::plain(&[indices, values, y])?;
    check::same_datum_type(values, y)?;
    check::dims(values, &[2])?;
    let axis = check::axis(axis, y)?;
    let mut dims = y.dims.clone();
    dims.remove(axis);
    check::dims(indices, &dims)?;
    let split = match y.is_empty() {
        true => Split {
            outer: 0,
            len: 0,
            inner: 0,
        },
        false => Split::new(&y.dims, axis),
    };
    Ok(Box::new(OneHot {
        indices: indices.datum_type,
        width_bytes: y.datum_type.width_bytes(),
        y: split,
    }))
}

impl Run for OneHot {
    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        _scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let (off, on) = inputs[1].split_at(self.width_bytes);
        fill(outputs[0], off);
        let Split { outer, len, inner } = self.y;
        let mut pace = Pace::of(crew);
        for element in 0..outer * inner {
            pace.count(8)?;
            let Some(index) = index_at(inputs[0], self.indices, element) else {
                continue;
            };
            let Some(index) = from_either_end(index, len) else {
                continue;
            };
            let place = (element / inner * len + index) * inner + element % inner;
            copy_element(self.width_bytes, on, 0, outputs[0], place);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tensorlet_plan::Kernel;
    use tensorlet_tensor::DatumType;

    use crate::arrange::number::to_bytes;
    use crate::arrange::testing::{Tensor, error, f32s, indices, plain, run};

    #[test]
    fn marks_the_class_along_a_new_axis() {
        let indices_i64 = Tensor::new(&[2, 2], &[1i64, -1, 3, -4]);
        let values = Tensor::new(&[2], &[5i32, 7]);
        let mut expected = [5; 12];
        expected[1] = 7;
        expected[5] = 7;
        for axis in 0..3 {
            let mut dims = vec![2, 2];
            dims.insert(axis, 3);
            let kernel = Kernel::OneHot { axis: axis as u32 };
            let y = plain(DatumType::I32, &dims);
            let y = run(&kernel, &[indices_i64.clone(), values.clone()], &y).unwrap();
            for mut index in indices(&[2, 2, 3]) {
                let expected = expected[(index[0] * 2 + index[1]) * 3 + index[2]];
                let class = index.pop().unwrap();
                index.insert(axis, class);
                assert_eq!(y.at(&index), i32::to_le_bytes(expected), "axis {axis}");
            }
        }
    }

    #[test]
    fn marks_classes_of_any_datum_type() {
        for datum_type in DatumType::ALL {
            let mut tensor = Tensor::filled(&plain(datum_type, &[1]), 0);
            let one = to_bytes(1.0, datum_type);
            let width = datum_type.width_bytes();
            tensor.bytes_mut().copy_from_slice(&one[..width]);
            let values = Tensor::new(&[2], &[0u8, 1]);
            let y = run(
                &Kernel::OneHot { axis: 1 },
                &[tensor, values],
                &plain(DatumType::U8, &[1, 3]),
            );
            assert_eq!(y.unwrap().elements::<u8>(), [0, 1, 0], "{datum_type}");
        }
        let nan = Tensor::new(&[1], &[f32::NAN]);
        let values = Tensor::new(&[2], &[0u8, 1]);
        let y = plain(DatumType::U8, &[1, 3]);
        let y = run(&Kernel::OneHot { axis: 1 }, &[nan, values], &y).unwrap();
        assert_eq!(y.elements::<u8>(), [0; 3], "no class is NaN");
    }

    #[test]
    fn one_hot_takes_empty_and_scalar_indices() {
        let values = Tensor::new(&[2], &[0.0f32, 1.0]);
        let kernel = Kernel::OneHot { axis: 0 };
        let scalar = Tensor::new(&[], &[2i64]);
        let y = run(&kernel, &[scalar.clone(), values.clone()], &f32s(&[3])).unwrap();
        assert_eq!(y.elements::<f32>(), [0.0, 0.0, 1.0]);
        assert!(run(&kernel, &[scalar.clone(), values.clone()], &f32s(&[0])).is_ok());
        let empty = Tensor::new::<i64>(&[0], &[]);
        assert!(run(&kernel, &[empty, values.clone()], &f32s(&[3, 0])).is_ok());
        for y in [f32s(&[]), f32s(&[3, 1]), plain(DatumType::I32, &[3])] {
            error(&kernel, &[scalar.clone(), values.clone()], &y);
        }
        let three = Tensor::new(&[3], &[0.0f32, 1.0, 2.0]);
        assert_eq!(
            error(&kernel, &[scalar, three], &f32s(&[3])),
            "expected dims [2], found f32[3]"
        );
    }
}
