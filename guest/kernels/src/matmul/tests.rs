//! Tests of products of matrices: kernels against plain loops, at odd sizes.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::UnaryOp;

use super::*;
use crate::trial::{Samples, assert_close, plain, run_bytes};

/// Sizes of a product: leading dims of both sides, rows, elements, columns.
#[derive(Clone, Debug)]
struct Case {
    leading: Vec<usize>,
    rhs_leading: Vec<usize>,
    sizes: [usize; 3],
}

fn case(sizes: [usize; 3]) -> Case {
    Case {
        leading: Vec::new(),
        rhs_leading: Vec::new(),
        sizes,
    }
}

const SIGMOID: Activation = Activation::Unary(UnaryOp::Sigmoid);
const RELU: Activation = Activation::Clamp {
    low: 0.0,
    high: f32::INFINITY,
};

/// What is done with sums, and what they are multiplied with.
fn epilogues() -> [(f32, Epilogue); 4] {
    let epilogue = |bias, residual, activation| Epilogue {
        bias,
        residual,
        activation,
    };
    [
        (1.0, epilogue(false, false, Activation::None)),
        (1.0, epilogue(true, true, RELU)),
        (0.25, epilogue(true, false, SIGMOID)),
        (-2.0, epilogue(false, true, RELU)),
    ]
}

/// The right-hand sides of a case as `[K][N]`, one for each left-hand side, by plain loops.
fn expected(case: &Case, (scale, epilogue): (f32, Epilogue), numbers: &Numbers) -> Vec<f32> {
    let [rows, len, columns] = case.sizes;
    let matrices: usize = case.leading.iter().product();
    let mut y = Vec::new();
    for matrix in 0..matrices {
        // Which right-hand side it is, by its place along each axis.
        let (mut rest, mut rhs, mut distance) = (matrix, 0, 1);
        for (i, &dim) in case.leading.iter().enumerate().rev() {
            let missing = case.leading.len() - case.rhs_leading.len();
            let rhs_dim = if i < missing {
                1
            } else {
                case.rhs_leading[i - missing]
            };
            rhs += (rest % dim).min(rhs_dim - 1) * distance;
            distance *= rhs_dim;
            rest /= dim;
        }
        for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)))
        {
            let products = (0..len).map(|k| {
                f64::from(numbers.a[(matrix * rows + row) * len + k])
                    * f64::from(numbers.b[(rhs * len + k) * columns + column])
            });
            let mut sum = products.sum::<f64>() * f64::from(scale);
            if epilogue.bias {
                sum += f64::from(numbers.bias[column]);
            }
            if epilogue.residual {
                sum += f64::from(numbers.residual[y.len()]);
            }
            let sum = sum as f32;
            y.push(match epilogue.activation {
                Activation::None => sum,
                Activation::Clamp { low, high } => sum.max(low).min(high),
                Activation::Unary(_) => 1.0 / (1.0 + (-sum).exp()),
            });
        }
    }
    y
}

struct Numbers {
    a: Vec<f32>,
    b: Vec<f32>,
    bias: Vec<f32>,
    residual: Vec<f32>,
}

impl Numbers {
    fn new(case: &Case) -> Self {
        let [rows, len, columns] = case.sizes;
        let mut samples = Samples::new((rows * 7 + len * 3 + columns) as u32);
        let matrices: usize = case.leading.iter().product();
        let rhs: usize = case.rhs_leading.iter().product();
        let mut bias = samples.numbers(columns);
        bias.resize(columns.next_multiple_of(BLOCK), 0.0);
        let round = |number: f32| half::f16::from_f32(number).to_f32();
        Self {
            a: samples.numbers(matrices * rows * len),
            // So that packed weights of f16 are the same.
            b: samples
                .numbers(rhs * len * columns)
                .into_iter()
                .map(round)
                .collect(),
            bias,
            residual: samples.numbers(matrices * rows * columns),
        }
    }
}

/// How a test gives the right-hand side.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Given {
    Packed,
    PackedHalf,
    Plain,
    Transposed,
}

/// Type and bytes of the right-hand side.
fn given(case: &Case, numbers: &Numbers, given: Given) -> (TensorType, Vec<u8>) {
    let [_, len, columns] = case.sizes;
    let dims = |last: [usize; 2]| [case.rhs_leading.as_slice(), &last].concat();
    let packed = || pack_matmul(&numbers.b, len, columns);
    match given {
        Given::Packed => {
            let b = packed();
            (
                plain(&[columns.div_ceil(BLOCK), len, BLOCK]),
                bytemuck::cast_slice(&b).to_vec(),
            )
        }
        Given::PackedHalf => {
            let b: Vec<half::f16> = packed().iter().map(|&b| half::f16::from_f32(b)).collect();
            let dims = [columns.div_ceil(BLOCK), len, BLOCK];
            (
                TensorType::plain(DatumType::F16, &dims),
                bytemuck::cast_slice(&b).to_vec(),
            )
        }
        Given::Plain => (
            plain(&dims([len, columns])),
            bytemuck::cast_slice(&numbers.b).to_vec(),
        ),
        Given::Transposed => {
            let mut b = Vec::new();
            for matrix in numbers.b.chunks(if numbers.b.is_empty() {
                1
            } else {
                len * columns
            }) {
                for column in 0..columns {
                    b.extend((0..len).map(|k| matrix[k * columns + column]));
                }
            }
            (
                plain(&dims([columns, len])),
                bytemuck::cast_slice(&b).to_vec(),
            )
        }
    }
}

/// Compares with plain loops, for every instruction set and epilogue.
#[track_caller]
fn check(case: &Case, how: Given) {
    let [rows, len, columns] = case.sizes;
    let numbers = Numbers::new(case);
    let dims = |last: [usize; 2]| [case.leading.as_slice(), &last].concat();
    let (a_type, y_type) = (plain(&dims([rows, len])), plain(&dims([rows, columns])));
    let bias_type = plain(&[numbers.bias.len()]);
    let (b_type, b) = given(case, &numbers, how);
    for (scale, epilogue) in epilogues() {
        let matmul = MatMul {
            rhs: match how {
                Given::Packed | Given::PackedHalf => MatMulRhs::Packed,
                Given::Plain => MatMulRhs::Plain,
                Given::Transposed => MatMulRhs::Transposed,
            },
            scale,
            epilogue,
        };
        let mut inputs: Vec<(&TensorType, &[u8])> =
            vec![(&a_type, bytemuck::cast_slice(&numbers.a)), (&b_type, &b)];
        if epilogue.bias {
            inputs.push((&bias_type, bytemuck::cast_slice(&numbers.bias)));
        }
        if epilogue.residual {
            inputs.push((&y_type, bytemuck::cast_slice(&numbers.residual)));
        }
        let expected = expected(case, (scale, epilogue), &numbers);
        for isa in Isa::available() {
            let kernel = Kernel::MatMul(matmul.clone());
            let y = run_bytes(&kernel, isa, &inputs, std::slice::from_ref(&y_type)).unwrap();
            let y: Vec<f32> = bytemuck::pod_collect_to_vec(&y[0]);
            let context = format!("{} {case:?} {how:?} {scale} {epilogue:?}", isa.name());
            assert_close(&y, &expected, 2e-6 * (len + 1) as f32, &context);
        }
    }
}

const ALL: [Given; 4] = [
    Given::Packed,
    Given::PackedHalf,
    Given::Plain,
    Given::Transposed,
];

#[test]
fn small_products_of_all_sizes() {
    for how in ALL {
        for rows in [1, 2, 3, 5, 13, 15] {
            for len in [1, 2, 15, 33] {
                for columns in [1, 2, 5, 8, 9, 16, 17, 24, 40, 47] {
                    check(&case([rows, len, columns]), how);
                }
            }
        }
    }
}

#[test]
fn many_rows_and_columns() {
    for how in ALL {
        check(&case([117, 70, 129]), how);
        check(&case([29, 40, 328]), how);
        check(&case([1, 300, 1000]), how);
    }
}

#[test]
fn long_rows_are_computed_in_parts() {
    for how in ALL {
        check(&case([9, 2 * PART_OF_TILES + 5, 35]), how);
        check(&case([3, 3000, 20]), how);
    }
}

/// Rows of more elements are divided.
const PART_OF_TILES: usize = crate::tile::product::PART;

#[test]
fn rows_without_elements_are_all_zeros() {
    for how in ALL {
        check(&case([3, 0, 20]), how);
        check(&case([30, 0, 1]), how);
    }
}

#[test]
fn nothing_is_computed_where_nothing_is_asked_for() {
    for how in ALL {
        for sizes in [[0, 5, 20], [5, 5, 0], [0, 0, 0]] {
            check(&case(sizes), how);
        }
    }
}

#[test]
fn leading_dims_are_matched_or_repeated() {
    let cases: [(&[usize], &[usize]); 7] = [
        (&[3], &[3]),
        (&[3], &[1]),
        (&[3], &[]),
        (&[2, 3], &[2, 3]),
        (&[2, 3], &[1, 3]),
        (&[2, 3], &[2, 1]),
        (&[2, 2, 3], &[2, 1]),
    ];
    for (leading, rhs_leading) in cases {
        for sizes in [[5, 7, 19], [2, 40, 1], [20, 3, 33]] {
            for how in [Given::Plain, Given::Transposed] {
                let case = Case {
                    leading: leading.to_vec(),
                    rhs_leading: rhs_leading.to_vec(),
                    sizes,
                };
                check(&case, how);
            }
        }
    }
    for how in [Given::Packed, Given::PackedHalf] {
        let case = Case {
            leading: vec![2, 3],
            rhs_leading: Vec::new(),
            sizes: [4, 9, 21],
        };
        check(&case, how);
    }
}

#[test]
fn a_clamp_makes_its_least_number_of_nan() {
    for (how, columns) in [(Given::Packed, 20), (Given::Transposed, 1)] {
        let case = case([2, 3, columns]);
        let mut numbers = Numbers::new(&case);
        numbers.a[0] = f32::NAN;
        let (b_type, b) = given(&case, &numbers, how);
        let matmul = MatMul {
            rhs: if how == Given::Packed {
                MatMulRhs::Packed
            } else {
                MatMulRhs::Transposed
            },
            scale: 1.0,
            epilogue: Epilogue {
                activation: Activation::Clamp {
                    low: -0.5,
                    high: 0.5,
                },
                ..Epilogue::default()
            },
        };
        for isa in Isa::available() {
            let y = run_bytes(
                &Kernel::MatMul(matmul.clone()),
                isa,
                &[
                    (&plain(&[2, 3]), bytemuck::cast_slice(&numbers.a)),
                    (&b_type, &b),
                ],
                &[plain(&[2, columns])],
            );
            let y: Vec<f32> = bytemuck::pod_collect_to_vec(&y.unwrap()[0]);
            assert!(y[..columns].iter().all(|&y| y == -0.5), "{}", isa.name());
        }
    }
}

#[test]
fn refuses_types_that_contradict_each_other() {
    let bind = |rhs, a: &[usize], b: &[usize], y: &[usize]| {
        let matmul = MatMul {
            rhs,
            scale: 1.0,
            epilogue: Epilogue::default(),
        };
        let inputs = [plain(a), plain(b)];
        crate::bind(
            &Kernel::MatMul(matmul),
            &inputs,
            &[plain(y)],
            &Target::detect(),
        )
        .map(|_| ())
    };
    use MatMulRhs::{Packed, Plain, Transposed};
    assert_eq!(bind(Plain, &[2, 3], &[3, 4], &[2, 4]), Ok(()));
    for (rhs, a, b, y) in [
        (Plain, &[2, 3][..], &[4, 3][..], &[2, 4][..]),
        (Transposed, &[2, 3], &[3, 4], &[2, 4]),
        (Packed, &[2, 3], &[1, 3, 15], &[2, 4]),
        (Packed, &[2, 3], &[1, 3, 16], &[2, 17]),
        (Plain, &[2, 3], &[3, 4], &[3, 4]),
        (Plain, &[3], &[3, 4], &[4]),
        (Plain, &[2, 3], &[1, 3, 4], &[2, 4]),
        (Plain, &[2, 2, 3], &[3, 3, 4], &[2, 2, 4]),
        (Plain, &[2, 2, 3], &[2, 3, 4], &[1, 2, 4]),
    ] {
        let error = bind(rhs, a, b, y).unwrap_err().to_string();
        assert!(error.contains("expected"), "{error}");
    }
}

#[test]
fn refuses_sizes_that_overflow() {
    let huge = usize::MAX / 8;
    let matmul = MatMul {
        rhs: MatMulRhs::Transposed,
        scale: 1.0,
        epilogue: Epilogue::default(),
    };
    // There are no rows, or no elements, so that the tensors themselves are small.
    for (a, b, y) in [
        ([0, huge], [huge, huge], [0, huge]),
        ([huge, 0], [huge, 0], [huge, huge]),
    ] {
        let bound = crate::bind(
            &Kernel::MatMul(matmul.clone()),
            &[plain(&a), plain(&b)],
            &[plain(&y)],
            &Target::detect(),
        );
        assert!(bound.is_err());
    }
}
