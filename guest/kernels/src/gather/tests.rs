//! Each look-up against an oracle that goes element by element.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{Gather, OutOfRange};
use tensorlet_tensor::DatumType;

use crate::arrange::testing::{Random, Tensor, check_moved, error, flat, plain, random, run};

const WIDTHS: [DatumType; 4] = [
    DatumType::I8,
    DatumType::Bf16,
    DatumType::F32,
    DatumType::F64,
];

/// A tensor of indices, as i32 or i64.
fn index_tensor(dims: &[usize], indices: &[i64], wide: bool) -> Tensor {
    if wide {
        return Tensor::new(dims, indices);
    }
    let narrow: Vec<i32> = indices.iter().map(|&index| index as i32).collect();
    Tensor::new(dims, &narrow)
}

fn slices(axis: usize) -> Kernel {
    Kernel::Gather(Gather::Slices {
        axis: axis as u32,
        out_of_range: OutOfRange::Fail,
    })
}

fn slices_or_last(axis: usize) -> Kernel {
    Kernel::Gather(Gather::Slices {
        axis: axis as u32,
        out_of_range: OutOfRange::Last,
    })
}

fn elements(axis: usize) -> Kernel {
    Kernel::Gather(Gather::Elements { axis: axis as u32 })
}

fn nd(batch_dims: usize) -> Kernel {
    Kernel::Gather(Gather::Nd {
        batch_dims: batch_dims as u32,
    })
}

/// Some indices, half of them negative.
fn any_indices(random: &mut Random, count: usize, len: usize) -> Vec<i64> {
    (0..count)
        .map(|_| random.below(2 * len) as i64 - len as i64)
        .collect()
}

fn from_end(index: i64, len: usize) -> usize {
    (if index < 0 { index + len as i64 } else { index }) as usize
}

#[test]
fn looks_up_slices_along_any_axis() {
    let mut random_numbers = Random(1);
    for datum_type in WIDTHS {
        for round in 0..80 {
            let rank = 1 + round % 5;
            let dims: Vec<usize> = (0..rank).map(|_| 1 + random_numbers.below(5)).collect();
            let axis = random_numbers.below(rank);
            let index_dims: Vec<usize> = (0..random_numbers.below(3))
                .map(|_| random_numbers.below(4))
                .collect();
            let count = index_dims.iter().product();
            let indices = any_indices(&mut random_numbers, count, dims[axis]);
            let y = [&dims[..axis], &index_dims, &dims[axis + 1..]].concat();
            let inputs = [
                random(datum_type, &dims),
                index_tensor(&index_dims, &indices, round % 2 == 0),
            ];
            check_moved(
                &slices(axis),
                &inputs,
                &plain(datum_type, &y),
                &[],
                |index| {
                    let end = axis + index_dims.len();
                    let looked_up = indices[flat(&index_dims, &index[axis..end])];
                    let looked_up = from_end(looked_up, dims[axis]);
                    Some([&index[..axis], &[looked_up], &index[end..]].concat())
                },
            );
        }
    }
}

#[test]
fn looks_up_the_last_slice_instead() {
    let table = Tensor::new(&[3, 2], &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let indices = Tensor::new(&[5], &[0i64, 1, 2, -1, i64::MAX]);
    let y = plain(DatumType::F32, &[5, 2]);
    let y = run(&slices_or_last(0), &[table.clone(), indices], &y).unwrap();
    let expected = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 5.0, 6.0, 5.0, 6.0];
    assert_eq!(y.elements::<f32>(), expected);
    let column = Tensor::new(&[2], &[i32::MIN, 7]);
    let y = run(
        &slices_or_last(1),
        &[table, column],
        &plain(DatumType::F32, &[3, 2]),
    )
    .unwrap();
    assert_eq!(y.elements::<f32>(), [2.0, 2.0, 4.0, 4.0, 6.0, 6.0]);
}

#[test]
fn looks_up_nothing_in_nothing() {
    let none = Tensor::new::<i64>(&[0], &[]);
    let empty = random(DatumType::F32, &[0, 3]);
    for kernel in [slices(0), slices_or_last(0)] {
        let y = plain(DatumType::F32, &[0, 3]);
        assert!(run(&kernel, &[empty.clone(), none.clone()], &y).is_ok());
        let one = Tensor::new(&[1], &[0i64]);
        let found = error(
            &kernel,
            &[empty.clone(), one],
            &plain(DatumType::F32, &[1, 3]),
        );
        assert!(found.contains("elements to look up"), "{found}");
    }
    // An empty row needs no element.
    let rows = random(DatumType::F32, &[2, 0]);
    let y = plain(DatumType::F32, &[1, 0]);
    assert!(run(&slices(0), &[rows, Tensor::new(&[1], &[1i64])], &y).is_ok());
}

#[test]
fn an_index_out_of_range_is_named() {
    let x = random(DatumType::F32, &[2, 3]);
    for index in [3, -4, i64::MAX, i64::MIN] {
        let indices = Tensor::new(&[1, 1], &[index]);
        let expected = format!("expected an index of an axis of size 3, found {index}");
        let found = error(
            &slices(1),
            &[x.clone(), indices.clone()],
            &plain(DatumType::F32, &[2, 1, 1]),
        );
        assert_eq!(found, expected);
        let found = error(
            &elements(1),
            &[x.clone(), indices],
            &plain(DatumType::F32, &[1, 1]),
        );
        assert_eq!(found, expected);
        let tuple = Tensor::new(&[2], &[1, index]);
        let found = error(&nd(0), &[x.clone(), tuple], &plain(DatumType::F32, &[]));
        assert_eq!(found, expected);
    }
}

#[test]
fn refuses_slices_that_contradict_each_other() {
    let x = random(DatumType::F32, &[2, 3]);
    let indices = Tensor::new(&[2], &[0i64, 1]);
    let y = plain(DatumType::F32, &[2, 2]);
    let both = [x.clone(), indices.clone()];
    assert!(error(&slices(2), &both, &y).contains("expected an axis of"));
    assert!(error(&slices(0), &both, &y).contains("expected dims [2, 3]"));
    let y = plain(DatumType::F64, &[2, 2]);
    assert!(error(&slices(1), &both, &y).contains("same datum type"));
    let y = plain(DatumType::F32, &[2, 2]);
    let found = error(&slices(1), &[x.clone(), x.clone()], &y);
    assert!(found.contains("indices as i32 or i64"), "{found}");
    assert!(error(&slices(1), &[x], &y).contains("2 inputs"));
}

#[test]
fn looks_up_elements_along_any_axis() {
    let mut random_numbers = Random(2);
    for datum_type in WIDTHS {
        for round in 0..80 {
            let rank = 1 + round % 5;
            let dims: Vec<usize> = (0..rank).map(|_| 1 + random_numbers.below(5)).collect();
            let axis = random_numbers.below(rank);
            let y: Vec<usize> = dims
                .iter()
                .enumerate()
                .map(|(i, &dim)| random_numbers.below(if i == axis { 8 } else { dim + 1 }))
                .collect();
            let count = y.iter().product();
            let indices = any_indices(&mut random_numbers, count, dims[axis]);
            let inputs = [
                random(datum_type, &dims),
                index_tensor(&y, &indices, round % 2 == 0),
            ];
            check_moved(
                &elements(axis),
                &inputs,
                &plain(datum_type, &y),
                &[],
                |index| {
                    let mut source = index.to_vec();
                    source[axis] = from_end(indices[flat(&y, index)], dims[axis]);
                    Some(source)
                },
            );
        }
    }
}

#[test]
fn looks_up_elements_as_the_examples_of_onnx_do() {
    let x = Tensor::new(&[2, 2], &[1.0f32, 2.0, 3.0, 4.0]);
    let indices = Tensor::new(&[2, 2], &[0i64, 0, 1, 0]);
    let y = run(&elements(1), &[x, indices], &plain(DatumType::F32, &[2, 2])).unwrap();
    assert_eq!(y.elements::<f32>(), [1.0, 1.0, 4.0, 3.0]);
    let x = Tensor::new(&[3, 3], &[1i32, 2, 3, 4, 5, 6, 7, 8, 9]);
    let indices = Tensor::new(&[2, 3], &[-1i32, -2, 0, -2, 0, 0]);
    let y = run(&elements(0), &[x, indices], &plain(DatumType::I32, &[2, 3])).unwrap();
    assert_eq!(y.elements::<i32>(), [7, 5, 3, 4, 2, 3]);
}

#[test]
fn refuses_elements_that_contradict_each_other() {
    let x = random(DatumType::F32, &[2, 3]);
    let y = plain(DatumType::F32, &[3, 1]);
    let indices = Tensor::new(&[3, 1], &[0i64, 0, 0]);
    let found = error(&elements(1), &[x.clone(), indices.clone()], &y);
    assert!(found.contains("do not exceed f32[2, 3]"), "{found}");
    assert!(run(&elements(0), &[x.clone(), indices.clone()], &y).is_ok());
    let found = error(&elements(2), &[x.clone(), indices], &y);
    assert!(found.contains("expected an axis of"), "{found}");
    let flat = Tensor::new(&[3], &[0i64, 0, 0]);
    let found = error(&elements(0), &[x, flat], &plain(DatumType::F32, &[3]));
    assert!(found.contains("do not exceed"), "{found}");
    let empty = random(DatumType::F32, &[0]);
    let one = Tensor::new(&[1], &[0i64]);
    let found = error(&elements(0), &[empty, one], &plain(DatumType::F32, &[1]));
    assert_eq!(found, "expected an index of an axis of size 0, found 0");
}

#[test]
fn looks_up_tuples() {
    let mut random_numbers = Random(3);
    for datum_type in WIDTHS {
        for round in 0..120 {
            let rank = 1 + round % 5;
            let dims: Vec<usize> = (0..rank).map(|_| 1 + random_numbers.below(4)).collect();
            let batch = random_numbers.below(rank);
            let len = random_numbers.below(rank - batch + 1);
            let mut index_dims = dims[..batch].to_vec();
            for _ in 0..random_numbers.below(3) {
                index_dims.push(random_numbers.below(4));
            }
            let y = [&index_dims, &dims[batch + len..]].concat();
            let leading = index_dims.len();
            index_dims.push(len);
            let indices: Vec<i64> = (0..index_dims.iter().product::<usize>())
                .map(|place| {
                    let dim = dims[batch + place % len.max(1)];
                    random_numbers.below(2 * dim) as i64 - dim as i64
                })
                .collect();
            let inputs = [
                random(datum_type, &dims),
                index_tensor(&index_dims, &indices, round % 2 == 0),
            ];
            check_moved(&nd(batch), &inputs, &plain(datum_type, &y), &[], |index| {
                let mut source = index[..batch].to_vec();
                for i in 0..len {
                    let tuple = [&index[..leading], &[i]].concat();
                    let looked_up = indices[flat(&index_dims, &tuple)];
                    source.push(from_end(looked_up, dims[batch + i]));
                }
                source.extend_from_slice(&index[leading..]);
                Some(source)
            });
        }
    }
}

#[test]
fn refuses_tuples_that_contradict_each_other() {
    let x = random(DatumType::F32, &[2, 3]);
    let tuples = |dims: &[usize]| Tensor::filled(&plain(DatumType::I64, dims), 0);
    let y = plain(DatumType::F32, &[2]);
    let cases = [
        (nd(0), tuples(&[2, 3]), "at most all axes"),
        (nd(0), tuples(&[]), "at least one axis"),
        (nd(0), tuples(&[2, 1]), "expected dims [2, 3]"),
        (nd(1), tuples(&[3, 1]), "same first 1 axes"),
        (nd(2), tuples(&[2, 3]), "same first 2 axes"),
        (nd(3), tuples(&[2, 1]), "same first 3 axes"),
        (nd(u32::MAX as usize), tuples(&[2, 1]), "same first"),
        (nd(1), tuples(&[1]), "same first 1 axes"),
    ];
    for (kernel, indices, expected) in cases {
        let found = error(&kernel, &[x.clone(), indices], &y);
        assert!(found.contains(expected), "{kernel:?}: {found}");
    }
}
