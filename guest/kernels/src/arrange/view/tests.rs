//! Each kernel against an oracle that tells where each element comes from.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::Slice;
use tensorlet_tensor::DatumType;

use crate::arrange::testing::{
    Random, Tensor, WIDTHS, check_moved, error, f32s, plain, random, random_dims, run,
};
use crate::tensor_type::TensorType;

fn shuffled(random: &mut Random, rank: usize) -> Vec<u32> {
    let mut permutation: Vec<u32> = (0..rank as u32).collect();
    for axis in (1..rank).rev() {
        permutation.swap(axis, random.below(axis + 1));
    }
    permutation
}

fn check_transpose(datum_type: DatumType, dims: &[usize], permutation: &[u32]) {
    let x = random(datum_type, dims);
    let y: Vec<usize> = permutation
        .iter()
        .map(|&axis| dims[axis as usize])
        .collect();
    let kernel = Kernel::Transpose {
        permutation: permutation.to_vec(),
    };
    check_moved(&kernel, &[x], &plain(datum_type, &y), &[], |index| {
        let mut source = vec![0; index.len()];
        for (&axis, &index) in permutation.iter().zip(index) {
            source[axis as usize] = index;
        }
        Some(source)
    });
}

#[test]
fn transposes_any_rank_and_width() {
    let mut random = Random(1);
    for datum_type in WIDTHS {
        for rank in 0..6 {
            for _ in 0..20 {
                let dims = random_dims(&mut random, rank, 5);
                let permutation = shuffled(&mut random, rank);
                check_transpose(datum_type, &dims, &permutation);
            }
        }
    }
}

#[test]
fn transposes_matrices_around_the_size_of_tiles() {
    for datum_type in WIDTHS {
        let tile = 64 / datum_type.width_bytes();
        for rows in [1, 7, 8, tile - 1, tile, tile + 1, 2 * tile + 1] {
            for columns in [1, 7, 9, tile - 1, tile, tile + 1, 2 * tile] {
                check_transpose(datum_type, &[rows, columns], &[1, 0]);
            }
        }
        check_transpose(datum_type, &[2, 3, tile + 3, tile], &[0, 1, 3, 2]);
        check_transpose(datum_type, &[tile, 3, 2, tile + 3], &[3, 1, 0, 2]);
    }
}

#[test]
fn transposes_short_runs_as_wider_units() {
    for run in [2, 3, 4, 8, 16] {
        for datum_type in WIDTHS {
            check_transpose(datum_type, &[9, 17, run], &[1, 0, 2]);
            check_transpose(datum_type, &[3, 5, 7, run], &[2, 0, 1, 3]);
        }
    }
}

#[test]
fn transposes_sixteen_axes() {
    let dims = [2; 16];
    let permutation: Vec<u32> = (0..16).rev().collect();
    check_transpose(DatumType::U8, &dims, &permutation);
    let x = random(DatumType::U8, &[1; 17]);
    let kernel = Kernel::Transpose {
        permutation: (0..17).collect(),
    };
    let found = error(&kernel, std::slice::from_ref(&x), &x.of);
    assert!(found.contains("at most 16 axes"), "{found}");
}

#[test]
fn refuses_what_is_no_permutation() {
    for permutation in [
        vec![0, 0],
        vec![0],
        vec![0, 2],
        vec![0, 1, 1],
        vec![u32::MAX, 0],
    ] {
        let kernel = Kernel::Transpose { permutation };
        let found = error(&kernel, &[random(DatumType::F32, &[2, 2])], &f32s(&[2, 2]));
        assert!(
            found.starts_with("expected a permutation of 2 axes"),
            "{found}"
        );
    }
    let kernel = Kernel::Transpose {
        permutation: vec![1, 0],
    };
    let x = [random(DatumType::F32, &[2, 3])];
    assert_eq!(
        error(&kernel, &x, &f32s(&[2, 3])),
        "expected dims [3, 2], found f32[2, 3]"
    );
    let found = error(&kernel, &x, &plain(DatumType::I32, &[3, 2]));
    assert!(found.contains("same datum type"), "{found}");
}

#[test]
fn copies_between_dims_of_equal_size() {
    for datum_type in WIDTHS {
        let x = random(datum_type, &[2, 3, 4]);
        let y = run(
            &Kernel::Copy,
            std::slice::from_ref(&x),
            &plain(datum_type, &[24]),
        )
        .unwrap();
        assert_eq!(y.bytes(), x.bytes());
    }
    let blocked = Tensor::random(&TensorType::blocked(&[1, 3, 5]));
    let y = run(&Kernel::Copy, std::slice::from_ref(&blocked), &blocked.of).unwrap();
    assert_eq!(y.bytes(), blocked.bytes());
    let empty = random(DatumType::F32, &[0, 3]);
    assert!(run(&Kernel::Copy, &[empty], &f32s(&[7, 0])).is_ok());
}

#[test]
fn refuses_to_copy_between_sizes_and_layouts() {
    let x = [random(DatumType::F32, &[1, 16, 4])];
    let found = error(&Kernel::Copy, &x, &f32s(&[63]));
    assert!(found.contains("as many elements"), "{found}");
    let found = error(&Kernel::Copy, &x, &TensorType::blocked(&[1, 16, 4]));
    assert!(found.contains("row-major"), "{found}");
    let found = error(&Kernel::Copy, &[x[0].clone(), x[0].clone()], &x[0].of);
    assert!(found.contains("1 inputs and 1 outputs"), "{found}");
}

#[test]
fn takes_parts_with_any_steps() {
    let mut random_numbers = Random(3);
    for datum_type in WIDTHS {
        for round in 0..150 {
            let rank = round % 6;
            let dims = random_dims(&mut random_numbers, rank, 7);
            let mut y = Vec::new();
            let mut slice = Slice {
                starts: Vec::new(),
                steps: Vec::new(),
            };
            for &dim in &dims {
                let start = random_numbers.below(dim.max(1));
                let step = [1i64, 1, 2, 3, -1, -2][random_numbers.below(6)];
                let most = match (dim, step) {
                    (0, _) => 0,
                    (_, 1..) => (dim - start).div_ceil(step as usize),
                    _ => start / step.unsigned_abs() as usize + 1,
                };
                y.push(random_numbers.below(most + 1));
                let from_end = random_numbers.below(2) == 1 && dim > 0;
                let start = start as i64 - if from_end { dim as i64 } else { 0 };
                slice.starts.push(start);
                slice.steps.push(step);
            }
            let x = random(datum_type, &dims);
            let kernel = Kernel::Slice(slice.clone());
            check_moved(&kernel, &[x], &plain(datum_type, &y), &[], |index| {
                let source = index.iter().enumerate().map(|(axis, &index)| {
                    let start = slice.starts[axis];
                    let start = if start < 0 {
                        start + dims[axis] as i64
                    } else {
                        start
                    };
                    (start + index as i64 * slice.steps[axis]) as usize
                });
                Some(source.collect())
            });
        }
    }
}

fn slice(starts: &[i64], steps: &[i64]) -> Kernel {
    Kernel::Slice(Slice {
        starts: starts.to_vec(),
        steps: steps.to_vec(),
    })
}

#[test]
fn starts_beyond_an_axis_are_limited_to_it() {
    let x = [Tensor::new(&[4], &[0i32, 1, 2, 3])];
    let cases: [(i64, i64, &[i32]); 5] = [
        (i64::MAX, -1, &[3, 2, 1, 0]),
        (i64::MIN, 1, &[0, 1]),
        (-9, 2, &[0, 2]),
        (9, 1, &[]),
        (2, i64::MAX, &[2]),
    ];
    for (start, step, expected) in cases {
        let y = plain(DatumType::I32, &[expected.len()]);
        let y = run(&slice(&[start], &[step]), &x, &y).unwrap();
        assert_eq!(y.elements::<i32>(), expected, "from {start} by {step}");
    }
}

#[test]
fn refuses_slices_that_leave_an_axis() {
    let x = [Tensor::new(&[4], &[0i32, 1, 2, 3])];
    let y = plain(DatumType::I32, &[3]);
    let cases = [
        (2, 1),
        (0, 2),
        (1, -1),
        (0, 0),
        (0, i64::MAX),
        (3, i64::MIN),
        (4, 1),
    ];
    for (start, step) in cases {
        let found = error(&slice(&[start], &[step]), &x, &y);
        assert!(found.starts_with("expected elements of axis 0"), "{found}");
    }
    let found = error(&slice(&[0, 0], &[1, 1]), &x, &y);
    assert!(found.contains("a start, a step"), "{found}");
}

#[test]
fn broadcasts_to_more_and_larger_axes() {
    let mut random_numbers = Random(5);
    for datum_type in WIDTHS {
        for round in 0..120 {
            let y = random_dims(&mut random_numbers, round % 6, 5);
            let added = random_numbers.below(y.len() + 1);
            let x: Vec<usize> = y[added..]
                .iter()
                .map(|&dim| if random_numbers.below(2) == 0 { 1 } else { dim })
                .collect();
            let tensor = random(datum_type, &x);
            check_moved(
                &Kernel::Expand,
                &[tensor],
                &plain(datum_type, &y),
                &[],
                |index| {
                    let pairs = index[added..].iter().zip(&x);
                    Some(pairs.map(|(index, dim)| index % dim).collect())
                },
            );
        }
    }
    let x = [random(DatumType::F32, &[2, 3])];
    for y in [&[3usize][..], &[3, 3], &[2, 1], &[2, 3, 4]] {
        let found = error(&Kernel::Expand, &x, &f32s(y));
        assert!(found.contains("broadcasts to"), "{found}");
    }
}

#[test]
fn repeats_whole_tensors() {
    let mut random_numbers = Random(6);
    for datum_type in WIDTHS {
        for round in 0..120 {
            let x = random_dims(&mut random_numbers, round % 6, 4);
            let y: Vec<usize> = x.iter().map(|dim| dim * random_numbers.below(4)).collect();
            let tensor = random(datum_type, &x);
            check_moved(
                &Kernel::Tile,
                &[tensor],
                &plain(datum_type, &y),
                &[],
                |index| {
                    Some(
                        index
                            .iter()
                            .zip(&x)
                            .map(|(index, dim)| index % dim)
                            .collect(),
                    )
                },
            );
        }
    }
    let x = [random(DatumType::F32, &[2, 3])];
    for y in [&[3usize, 3][..], &[2, 4], &[6], &[1, 2, 3]] {
        let found = error(&Kernel::Tile, &x, &f32s(y));
        assert!(found.contains("multiples of"), "{found}");
    }
    let empty = [random(DatumType::F32, &[0])];
    let found = error(&Kernel::Tile, &empty, &f32s(&[3]));
    assert!(found.contains("multiples of"), "{found}");
}
