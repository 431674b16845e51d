//! Joints against an oracle that looks for the tensor that an element comes from.

use tensorlet_plan::Kernel;
use tensorlet_tensor::DatumType;

use crate::arrange::testing::{
    Random, Tensor, WIDTHS, error, f32s, indices, plain, random, random_dims, run,
};
use crate::tensor_type::TensorType;

fn check_concat(datum_type: DatumType, parts: &[Vec<usize>], axis: usize) {
    let inputs: Vec<Tensor> = parts.iter().map(|dims| random(datum_type, dims)).collect();
    let mut dims = parts[0].clone();
    dims[axis] = parts.iter().map(|dims| dims[axis]).sum();
    let kernel = Kernel::Concat { axis: axis as u32 };
    let y = run(&kernel, &inputs, &plain(datum_type, &dims)).unwrap();
    for index in indices(&dims) {
        let mut source = index.clone();
        let mut inputs = inputs.iter();
        let mut input = inputs.next().unwrap();
        while source[axis] >= input.of.dims[axis] {
            source[axis] -= input.of.dims[axis];
            input = inputs.next().unwrap();
        }
        assert_eq!(
            y.at(&index),
            input.at(&source),
            "{parts:?} {axis} {index:?}"
        );
    }
}

#[test]
fn joins_along_any_axis() {
    let mut random = Random(2);
    for datum_type in WIDTHS {
        for rank in 1..6 {
            for axis in 0..rank {
                let dims = random_dims(&mut random, rank, 4);
                let parts: Vec<Vec<usize>> = (0..1 + random.below(4))
                    .map(|_| {
                        let mut part = dims.clone();
                        part[axis] = random.below(4);
                        part
                    })
                    .collect();
                check_concat(datum_type, &parts, axis);
            }
        }
    }
}

/// The element of a blocked tensor at an index.
fn blocked_at(tensor: &Tensor, index: &[usize]) -> f32 {
    let dims = &tensor.of.dims;
    let spatial: usize = index[2..]
        .iter()
        .zip(&dims[2..])
        .fold(0, |place, (index, dim)| place * dim + index);
    let size: usize = dims[2..].iter().product();
    let block = index[0] * tensor.of.blocks() + index[1] / 16;
    tensor.elements::<f32>()[(block * size + spatial) * 16 + index[1] % 16]
}

#[test]
fn joins_blocked_tensors() {
    let cases: [(&[&[usize]], usize); 4] = [
        (&[&[2, 16, 3], &[2, 32, 3], &[2, 5, 3]], 1),
        (&[&[1, 5, 3, 2], &[2, 5, 3, 2]], 0),
        (&[&[2, 17, 3, 2], &[2, 17, 1, 2]], 2),
        (&[&[2, 17, 3, 2], &[2, 17, 3, 4]], 3),
    ];
    for (parts, axis) in cases {
        let inputs: Vec<Tensor> = parts
            .iter()
            .map(|dims| Tensor::random(&TensorType::blocked(dims)))
            .collect();
        let mut dims = parts[0].to_vec();
        dims[axis] = parts.iter().map(|dims| dims[axis]).sum();
        let kernel = Kernel::Concat { axis: axis as u32 };
        let y = run(&kernel, &inputs, &TensorType::blocked(&dims)).unwrap();
        for index in indices(&dims) {
            let mut source = index.clone();
            let mut inputs = inputs.iter();
            let mut input = inputs.next().unwrap();
            while source[axis] >= input.of.dims[axis] {
                source[axis] -= input.of.dims[axis];
                input = inputs.next().unwrap();
            }
            let (found, expected) = (blocked_at(&y, &index), blocked_at(input, &source));
            assert_eq!(found.to_bits(), expected.to_bits(), "{parts:?} {index:?}");
        }
    }
}

#[test]
fn refuses_to_join_what_does_not_fit() {
    let kernel = Kernel::Concat { axis: 1 };
    let x = random(DatumType::F32, &[2, 3]);
    let cases = [
        (random(DatumType::F32, &[3, 3]), "but for axis 1"),
        (random(DatumType::F32, &[2]), "but for axis 1"),
        (random(DatumType::I32, &[2, 3]), "same datum type"),
        (
            random(DatumType::F32, &[2, 4]),
            "those of the inputs together",
        ),
    ];
    for (second, expected) in cases {
        let found = error(&kernel, &[x.clone(), second], &f32s(&[2, 6]));
        assert!(found.contains(expected), "{found}");
    }
    let found = error(&Kernel::Concat { axis: 2 }, std::slice::from_ref(&x), &x.of);
    assert!(found.contains("expected an axis of"), "{found}");
    let part = Tensor::random(&TensorType::blocked(&[1, 8, 2]));
    let y = TensorType::blocked(&[1, 16, 2]);
    let found = error(&kernel, &[part.clone(), part], &y);
    assert!(found.contains("whole blocks"), "{found}");
}
