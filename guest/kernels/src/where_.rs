//! A choice between two tensors.

use bytemuck::Pod;
use tensorlet_plan::Layout;
use tensorlet_tensor::DatumType;

use crate::binary::broadcast::Nest;
use crate::bind::Types;
use crate::crew::Crew;
use crate::run::{BindError, Run, RunError};

/// Binds a choice: the condition of bool, the others of any one datum type, all plain.
pub(crate) fn bind(types: Types<'_>) -> Result<Box<dyn Run>, BindError> {
    let ([condition, a, b], [y]) = (types.inputs, types.outputs) else {
        return Err(BindError::new(format!(
            "expected a condition, two inputs and one output of a choice, found {} inputs and {} outputs",
            types.inputs.len(),
            types.outputs.len()
        )));
    };
    let same = a.datum_type == y.datum_type && b.datum_type == y.datum_type;
    if condition.datum_type != DatumType::Bool || !same || y.layout != Layout::Plain {
        return Err(BindError::new(format!(
            "expected a condition of bool and plain tensors of one datum type, found {condition}, {a}, {b} and {y}"
        )));
    }
    Ok(Box::new(Choice {
        width_bytes: y.datum_type.width_bytes(),
        nest: Nest::new([condition, a, b], y)?,
    }))
}

/// How many elements are chosen at a time.
const LANES: usize = 16;

/// How much work 16 choices are.
const WORK: usize = 8;

struct Choice {
    width_bytes: usize,
    nest: Nest,
}

impl Run for Choice {
    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        _scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let (condition, a, b) = (inputs[0], inputs[1], inputs[2]);
        let y = &mut *outputs[0];
        match self.width_bytes {
            1 => self.choose::<u8>(condition, a, b, y, crew),
            2 => self.choose::<u16>(condition, a, b, y, crew),
            4 => self.choose::<u32>(condition, a, b, y, crew),
            _ => self.choose::<u64>(condition, a, b, y, crew),
        }
    }
}

impl Choice {
    fn choose<T: Pod + Send + Sync>(
        &self,
        condition: &[u8],
        a: &[u8],
        b: &[u8],
        y: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let (a, b): (&[T], &[T]) = (bytemuck::cast_slice(a), bytemuck::cast_slice(b));
        let y: &mut [T] = bytemuck::cast_slice_mut(y);
        let [step, a_step, b_step] = self.nest.row.strides;
        self.nest.share_rows((y, 1), WORK, crew, |begin, y| {
            let [begin, a_begin, b_begin] = begin;
            let last = y.len() - 1;
            let condition = &condition[begin..][..last * step + 1];
            let a = &a[a_begin..][..last * a_step + 1];
            let b = &b[b_begin..][..last * b_step + 1];
            choose_row((condition, step), (a, a_step), (b, b_step), y);
            Ok(())
        })
    }
}

/// Chooses the elements of a row.
#[inline(always)]
fn choose_row<T: Pod>(
    (condition, condition_step): (&[u8], usize),
    (a, a_step): (&[T], usize),
    (b, b_step): (&[T], usize),
    y: &mut [T],
) {
    let mut done = 0;
    // What is most frequent is worth vectors: without branches, so many at a time that compilers see them.
    if size_of::<T>() == size_of::<u32>() && condition_step == 1 {
        for y in y.chunks_exact_mut(LANES) {
            choose_lanes(
                &condition[done..],
                (&a[done * a_step..], a_step),
                (&b[done * b_step..], b_step),
                y,
            );
            done += LANES;
        }
    }
    for (i, y) in y.iter_mut().enumerate().skip(done) {
        *y = if condition[i * condition_step] != 0 {
            a[i * a_step]
        } else {
            b[i * b_step]
        };
    }
}

/// Chooses [`LANES`] elements; an operand without step stands still.
fn choose_lanes<T: Pod>(
    condition: &[u8],
    (a, a_step): (&[T], usize),
    (b, b_step): (&[T], usize),
    y: &mut [T],
) {
    let lanes = |from: &[T], step: usize| {
        let mut lanes = [from[0]; LANES];
        if step != 0 {
            lanes.copy_from_slice(&from[..LANES]);
        }
        lanes
    };
    let (a, b) = (lanes(a, a_step), lanes(b, b_step));
    let condition = &condition[..LANES];
    for i in 0..LANES {
        y[i] = if condition[i] != 0 { a[i] } else { b[i] };
    }
}

#[cfg(test)]
mod tests {
    use tensorlet_plan::Kernel;

    use super::*;
    use crate::{Target, TensorType};

    fn run<T: Pod>(
        datum_type: DatumType,
        condition: (&[usize], &[u8]),
        a: (&[usize], &[T]),
        b: (&[usize], &[T]),
        dims: &[usize],
    ) -> Vec<T> {
        let types = [
            TensorType::plain(DatumType::Bool, condition.0),
            TensorType::plain(datum_type, a.0),
            TensorType::plain(datum_type, b.0),
        ];
        let output = [TensorType::plain(datum_type, dims)];
        let kernel = crate::bind(&Kernel::Where, &types, &output, &Target::detect()).unwrap();
        let mut y = vec![T::zeroed(); dims.iter().product()];
        let inputs = [
            condition.1,
            bytemuck::cast_slice(a.1),
            bytemuck::cast_slice(b.1),
        ];
        kernel
            .run(
                &inputs,
                &mut [bytemuck::cast_slice_mut(&mut y)],
                &mut [],
                Crew::default(),
            )
            .unwrap();
        y
    }

    #[test]
    fn elements_are_chosen_one_by_one() {
        let condition: Vec<u8> = (0..150).map(|i| i % 3).collect();
        let a: Vec<u16> = (0..150).collect();
        let b: Vec<u16> = (1000..1150).collect();
        let y = run(
            DatumType::F16,
            (&[150], &condition),
            (&[150], &a),
            (&[150], &b),
            &[150],
        );
        for (i, y) in (0u16..).zip(y) {
            assert_eq!(y, if i % 3 == 0 { 1000 + i } else { i });
        }
    }

    #[test]
    fn operands_are_repeated() {
        let y = run::<i64>(
            DatumType::I64,
            (&[2, 1, 3], &[1, 0, 1, 0, 1, 1]),
            (&[], &[7]),
            (&[2, 1], &[8, 9]),
            &[2, 2, 3],
        );
        assert_eq!(y, [7, 8, 7, 7, 9, 7, 8, 7, 7, 9, 7, 7]);
        let y = run::<u8>(
            DatumType::U8,
            (&[2, 1], &[0, 1]),
            (&[3], &[1, 2, 3]),
            (&[1], &[9]),
            &[2, 3],
        );
        assert_eq!(y, [9, 9, 9, 1, 2, 3]);
        let y = run::<u32>(DatumType::F32, (&[], &[1]), (&[], &[5]), (&[], &[6]), &[]);
        assert_eq!(y, [5]);
        let y = run::<u32>(DatumType::F32, (&[0], &[]), (&[0], &[]), (&[1], &[6]), &[0]);
        assert!(y.is_empty());
    }

    #[test]
    fn types_that_do_not_fit_are_refused() {
        let plain = TensorType::plain;
        let (bool, f32) = (plain(DatumType::Bool, &[2]), plain(DatumType::F32, &[2]));
        let i64 = plain(DatumType::I64, &[2]);
        let three = plain(DatumType::F32, &[3]);
        let cases = [
            (vec![bool.clone(), f32.clone()], f32.clone()),
            (vec![f32.clone(), f32.clone(), f32.clone()], f32.clone()),
            (vec![bool.clone(), f32.clone(), i64], f32.clone()),
            (vec![bool.clone(), f32.clone(), three], f32.clone()),
            (vec![bool, f32.clone(), f32], plain(DatumType::F32, &[1])),
        ];
        for (inputs, output) in cases {
            let bound = crate::bind(&Kernel::Where, &inputs, &[output], &Target::detect());
            let error = bound.err().unwrap().to_string();
            assert!(error.contains("expected"), "{error}");
        }
    }
}
