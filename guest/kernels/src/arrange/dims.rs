//! The dims of a tensor.

use tensorlet_tensor::DatumType;

use super::check;
use crate::bind::Types;
use crate::crew::Crew;
use crate::run::{BindError, Run, RunError};

/// See [`Kernel::Dims`](tensorlet_plan::Kernel::Dims).
struct Dims(Vec<i64>);

pub(super) fn bind(begin: u32, types: Types<'_>) -> Result<Box<dyn Run>, BindError> {
    check::counts(types, 1, 1)?;
    let (x, y) = (&types.inputs[0], &types.outputs[0]);
    check::plain(&[y])?;
    if y.datum_type != DatumType::I64 {
        return Err(check::mismatch("dims as i64", y));
    }
    let begin = begin as usize;
    let end = begin.checked_add(y.len());
    let Some(dims) = end.and_then(|end| x.dims.get(begin..end)) else {
        return Err(BindError::new(format!(
            "expected {y} to be dims of {x} from axis {begin} on, found fewer"
        )));
    };
    Ok(Box::new(Dims(dims.iter().map(|&dim| dim as i64).collect())))
}

impl Run for Dims {
    fn run(
        &self,
        _inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        _scratch: &mut [u8],
        _crew: Crew<'_>,
    ) -> Result<(), RunError> {
        outputs[0].copy_from_slice(bytemuck::cast_slice(&self.0));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tensorlet_plan::{Kernel, Layout};
    use tensorlet_tensor::DatumType;

    use crate::arrange::testing::{Tensor, error, f32s, plain, random, run};
    use crate::tensor_type::TensorType;

    #[test]
    fn tells_the_dims_of_any_layout() {
        let plain_x = random(DatumType::U8, &[2, 3, 4, 0]);
        let i64s = |dims: &[usize]| plain(DatumType::I64, dims);
        let y = run(
            &Kernel::Dims { begin: 1 },
            std::slice::from_ref(&plain_x),
            &i64s(&[3]),
        )
        .unwrap();
        assert_eq!(y.elements::<i64>(), [3, 4, 0]);
        let blocked = [Tensor::random(&TensorType::blocked(&[1, 3, 5]))];
        assert_eq!(blocked[0].of.layout, Layout::Blocked);
        let y = run(&Kernel::Dims { begin: 0 }, &blocked, &i64s(&[2])).unwrap();
        assert_eq!(y.elements::<i64>(), [1, 3]);
        assert!(run(&Kernel::Dims { begin: 3 }, &blocked, &i64s(&[0])).is_ok());
        for (begin, y) in [(1, i64s(&[3])), (4, i64s(&[0])), (u32::MAX, i64s(&[1]))] {
            let found = error(&Kernel::Dims { begin }, &blocked, &y);
            assert!(found.contains("found fewer"), "{found}");
        }
        let found = error(&Kernel::Dims { begin: 0 }, &blocked, &f32s(&[3]));
        assert!(found.contains("as i64"), "{found}");
    }
}
