//! Each kind against an oracle that goes update by update.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{Scatter, ScatterReduction};
use tensorlet_tensor::{DatumType, Element};

use crate::arrange::testing::{Random, Tensor, error, flat, indices, run};
use crate::tensor_type::TensorType;

use ScatterReduction::{Add, Maximum, Minimum, Multiply, Replace};

fn scatter(axis: Option<u32>, reduction: ScatterReduction) -> Kernel {
    Kernel::Scatter(Scatter { axis, reduction })
}

fn combined(reduction: ScatterReduction, there: f64, update: f64) -> f64 {
    match reduction {
        Replace => update,
        Add => there + update,
        Multiply => there * update,
        Maximum => there.max(update),
        Minimum => there.min(update),
    }
}

/// Small whole numbers, whose sums and products are exact in every datum type.
fn numbers(random: &mut Random, count: usize) -> Vec<f64> {
    (0..count).map(|_| random.below(7) as f64 - 3.0).collect()
}

fn tensor<T: Element>(dims: &[usize], numbers: &[f64], convert: fn(f64) -> T) -> Tensor {
    let elements: Vec<T> = numbers.iter().map(|&number| convert(number)).collect();
    Tensor::new(dims, &elements)
}

fn check<T: Element + PartialEq + std::fmt::Debug>(convert: fn(f64) -> T) {
    let mut random = Random(1);
    for round in 0..150 {
        let reduction = [Replace, Add, Multiply, Maximum, Minimum][round % 5];
        let rank = 1 + random.below(4);
        let dims: Vec<usize> = (0..rank).map(|_| 1 + random.below(4)).collect();
        let len = dims.iter().product();
        let mut expected = numbers(&mut random, len);
        let x = tensor(&dims, &expected, convert);
        let axis = random.below(rank);
        let by_element = random.below(2) == 0;
        let index_dims: Vec<usize> = if by_element {
            let most = |(i, dim): (usize, &usize)| if i == axis { 6 } else { dim + 1 };
            dims.iter()
                .enumerate()
                .map(most)
                .map(|most| random.below(most))
                .collect()
        } else {
            vec![random.below(5), random.below(rank + 1)]
        };
        let looked_up: Vec<i64> = (0..index_dims.iter().product())
            .map(|place| {
                let dim = match by_element {
                    true => dims[axis],
                    false => dims[place % index_dims[1]],
                };
                random.below(2 * dim) as i64 - dim as i64
            })
            .collect();
        let update_dims = match by_element {
            true => index_dims.clone(),
            false => [&index_dims[..1], &dims[index_dims[1]..]].concat(),
        };
        let updates = numbers(&mut random, update_dims.iter().product());
        for index in indices(&update_dims) {
            let from_end = |index: i64, dim: usize| index.rem_euclid(dim as i64) as usize;
            let mut place = index.clone();
            if by_element {
                place[axis] = from_end(looked_up[flat(&index_dims, &index)], dims[axis]);
            } else {
                let tuple = &looked_up[index[0] * index_dims[1]..][..index_dims[1]];
                let rows = tuple
                    .iter()
                    .zip(&dims)
                    .map(|(&index, &dim)| from_end(index, dim));
                place.splice(..1, rows);
            }
            let there = &mut expected[flat(&dims, &place)];
            *there = combined(reduction, *there, updates[flat(&update_dims, &index)]);
        }
        let narrow: Vec<i32> = looked_up.iter().map(|&index| index as i32).collect();
        let looked_up = match round % 2 {
            0 => Tensor::new(&index_dims, &looked_up),
            _ => Tensor::new(&index_dims, &narrow),
        };
        let kernel = scatter(by_element.then_some(axis as u32), reduction);
        let updates = tensor(&update_dims, &updates, convert);
        let y = x.of.clone();
        let y = run(&kernel, &[x, looked_up, updates], &y).unwrap();
        let expected: Vec<T> = expected.into_iter().map(convert).collect();
        assert_eq!(
            y.elements::<T>(),
            expected,
            "{kernel:?} {dims:?} {index_dims:?}"
        );
    }
}

#[test]
fn changes_elements_and_rows() {
    check::<f32>(|number| number as f32);
    check::<f64>(|number| number);
    check::<i32>(|number| number as i32);
    check::<i64>(|number| number as i64);
}

#[test]
fn replaces_any_width_and_combines_few() {
    for datum_type in DatumType::ALL {
        let of = TensorType::plain(datum_type, &[3]);
        let x = Tensor::filled(&of, 1);
        let indices = Tensor::new(&[1], &[-1i64]);
        let updates = Tensor::filled(&TensorType::plain(datum_type, &[1]), 0);
        let inputs = [x.clone(), indices, updates];
        let y = run(&scatter(Some(0), Replace), &inputs, &of).unwrap();
        let width = datum_type.width_bytes();
        assert_eq!(
            y.bytes()[..2 * width],
            x.bytes()[..2 * width],
            "{datum_type}"
        );
        assert_eq!(y.bytes()[2 * width..], vec![0; width], "{datum_type}");
        if !["f32", "f64", "i32", "i64"].contains(&datum_type.name()) {
            let found = error(&scatter(Some(0), Add), &inputs, &of);
            assert!(
                found.starts_with("expected f32, f64, i32 or i64"),
                "{found}"
            );
        }
    }
}

#[test]
fn maximum_and_minimum_are_nan_if_any_operand_is() {
    let x = Tensor::new(&[2], &[f32::NAN, 1.0]);
    let indices = Tensor::new(&[2], &[0i64, 1]);
    let updates = Tensor::new(&[2], &[1.0, f32::NAN]);
    let of = x.of.clone();
    for reduction in [Maximum, Minimum] {
        let inputs = [x.clone(), indices.clone(), updates.clone()];
        let y = run(&scatter(Some(0), reduction), &inputs, &of).unwrap();
        assert!(y.elements::<f32>().iter().all(|number| number.is_nan()));
    }
}

#[test]
fn sums_of_integers_wrap_around() {
    let x = Tensor::new(&[1], &[i32::MAX]);
    let indices = Tensor::new(&[1, 1], &[0i64]);
    let two = Tensor::new(&[1], &[2i32]);
    let of = x.of.clone();
    let y = run(&scatter(None, Add), &[x, indices, two], &of).unwrap();
    assert_eq!(y.elements::<i32>(), [i32::MIN + 1]);
}

#[test]
fn an_index_out_of_range_is_named() {
    let x = Tensor::new(&[2, 2], &[1.0f32, 2.0, 3.0, 4.0]);
    let of = x.of.clone();
    let one = Tensor::new(&[1, 1], &[0.0f32]);
    let inputs = [x.clone(), Tensor::new(&[1, 1], &[-3i32]), one];
    let found = error(&scatter(Some(0), Replace), &inputs, &of);
    assert_eq!(found, "expected an index of an axis of size 2, found -3");
    let row = Tensor::new(&[1, 2], &[0.0f32, 0.0]);
    let inputs = [x, Tensor::new(&[1, 1], &[2i64]), row];
    let found = error(&scatter(None, Replace), &inputs, &of);
    assert_eq!(found, "expected an index of an axis of size 2, found 2");
}

#[test]
fn refuses_tensors_that_contradict_each_other() {
    let f32s = |dims: &[usize]| Tensor::filled(&TensorType::plain(DatumType::F32, dims), 0);
    let i64s = |dims: &[usize]| Tensor::filled(&TensorType::plain(DatumType::I64, dims), 0);
    let elements = scatter(Some(0), Replace);
    let rows = scatter(None, Replace);
    let y = f32s(&[2, 3]).of;
    let cases = [
        (
            &elements,
            i64s(&[1, 3]),
            f32s(&[1, 2]),
            "expected dims [1, 3]",
        ),
        (&elements, i64s(&[1, 4]), f32s(&[1, 4]), "do not exceed"),
        (
            &elements,
            f32s(&[1, 3]),
            f32s(&[1, 3]),
            "indices as i32 or i64",
        ),
        (&elements, i64s(&[1, 3]), i64s(&[1, 3]), "same datum type"),
        (&rows, i64s(&[]), f32s(&[2, 3]), "at least one axis"),
        (&rows, i64s(&[1, 3]), f32s(&[1]), "at most all axes"),
        (&rows, i64s(&[1, 1]), f32s(&[1, 2]), "expected dims [1, 3]"),
    ];
    for (kernel, indices, updates, expected) in cases {
        let found = error(kernel, &[f32s(&[2, 3]), indices, updates], &y);
        assert!(found.contains(expected), "{kernel:?}: {found}");
    }
    let inputs = [f32s(&[2, 3]), i64s(&[1, 3]), f32s(&[1, 3])];
    let found = error(&elements, &inputs, &f32s(&[3, 2]).of);
    assert!(found.contains("expected dims [2, 3]"), "{found}");
    let found = error(&scatter(Some(2), Replace), &inputs, &y);
    assert!(found.contains("expected an axis of"), "{found}");
    assert!(error(&elements, &inputs[..2], &y).contains("3 inputs"));
}
