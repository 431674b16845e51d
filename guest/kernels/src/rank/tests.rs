//! Each kernel against an oracle that compares or adds one element after the other.

use std::cmp::Ordering;

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::TopK;
use tensorlet_tensor::{DatumType, Element};

use crate::arrange::testing::{Random, Tensor, error, flat, indices, plain, run, run_for};
use crate::run::Target;

/// Elements with many equal ones among them; floats with NaN, infinities, denormals and zeros of either sign too.
trait Sample: Element + PartialOrd {
    fn sample(random: &mut Random) -> Self;
}

impl Sample for f32 {
    fn sample(random: &mut Random) -> Self {
        match random.below(12) {
            0 => Self::NAN,
            1 => -Self::NAN,
            2 => Self::INFINITY,
            3 => Self::NEG_INFINITY,
            4 => 0.0,
            5 => -0.0,
            6 => 1e-40,
            7 => -1e-40,
            _ => random.below(5) as Self - 2.0,
        }
    }
}

impl Sample for f64 {
    fn sample(random: &mut Random) -> Self {
        f32::sample(random).into()
    }
}

macro_rules! sample_integers {
    ($($integer:ty),+) => {$(
        impl Sample for $integer {
            fn sample(random: &mut Random) -> Self {
                match random.below(8) {
                    0 => Self::MIN,
                    1 => Self::MAX,
                    _ => (random.below(9) as Self).wrapping_sub(4),
                }
            }
        }
    )+};
}

sample_integers!(i64, i32, i8, u8);

fn sample<T: Sample>(random: &mut Random, dims: &[usize]) -> Tensor {
    let len = dims.iter().product();
    let elements: Vec<T> = (0..len).map(|_| T::sample(random)).collect();
    Tensor::new(dims, &elements)
}

/// Dims of some rank, one of them (the axis) of a given size.
fn dims_around(random: &mut Random, rank: usize, axis: usize, size: usize) -> Vec<usize> {
    let mut dims: Vec<usize> = (0..rank).map(|_| 1 + random.below(4)).collect();
    dims[axis] = size;
    dims
}

fn line<T: Element>(x: &Tensor, axis: usize, index: &[usize]) -> Vec<T> {
    let mut index = index.to_vec();
    (0..x.of.dims[axis])
        .map(|i| {
            index[axis] = i;
            x.elements::<T>()[flat(&x.of.dims, &index)]
        })
        .collect()
}

fn is_nan<T: PartialOrd>(element: &T) -> bool {
    element.partial_cmp(element).is_none()
}

/// Where NumPy finds the largest or smallest element.
fn extreme<T: PartialOrd>(line: &[T], minimum: bool, last: bool) -> i64 {
    let mut found = 0;
    for (i, element) in line.iter().enumerate().skip(1) {
        let order = match (is_nan(element), is_nan(&line[found])) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            _ if minimum => line[found].partial_cmp(element).unwrap(),
            _ => element.partial_cmp(&line[found]).unwrap(),
        };
        if order == Ordering::Greater || (order == Ordering::Equal && last) {
            found = i;
        }
    }
    found as i64
}

fn check_extremes<T: Sample>() {
    let mut random = Random(1);
    let sizes = [1, 2, 3, 7, 15, 16, 17, 31, 33, 64, 65, 100];
    for round in 0..240 {
        let rank = 1 + round % 4;
        let axis = random.below(rank);
        let size = sizes[random.below(sizes.len())];
        let mut dims = dims_around(&mut random, rank, axis, size);
        if round % 5 == 0 && axis + 1 < rank {
            dims[rank - 1] = [63, 64, 65, 130][random.below(4)];
        }
        let x = sample::<T>(&mut random, &dims);
        let (minimum, last) = (random.below(2) == 0, random.below(2) == 0);
        let kernel = Kernel::ArgReduce {
            minimum,
            axis: axis as u32,
            last,
        };
        let mut kept = dims.clone();
        kept[axis] = 1;
        let mut left_out = dims.clone();
        left_out.remove(axis);
        let y = if round % 2 == 0 { &kept } else { &left_out };
        let y = run(&kernel, std::slice::from_ref(&x), &plain(DatumType::I64, y)).unwrap();
        for (index, found) in indices(&kept).zip(y.elements::<i64>()) {
            let line = line::<T>(&x, axis, &index);
            assert_eq!(
                *found,
                extreme(&line, minimum, last),
                "{kernel:?} of {} at {index:?}",
                x.of
            );
        }
    }
}

#[test]
fn finds_the_first_or_last_extreme_along_any_axis() {
    check_extremes::<f32>();
    check_extremes::<i64>();
    check_extremes::<i32>();
    check_extremes::<i8>();
    check_extremes::<u8>();
}

fn arg(minimum: bool, axis: u32, last: bool) -> Kernel {
    Kernel::ArgReduce {
        minimum,
        axis,
        last,
    }
}

#[test]
fn finds_extremes_as_the_examples_of_onnx_do() {
    let x = [Tensor::new(&[2, 2], &[2.0f32, 2.0, 3.0, 10.0])];
    let y = plain(DatumType::I64, &[2, 1]);
    let cases = [
        (arg(false, 1, false), [0, 1]),
        (arg(false, 1, true), [1, 1]),
        (arg(true, 1, false), [0, 0]),
        (arg(true, 1, true), [1, 0]),
    ];
    for (kernel, expected) in cases {
        let y = run(&kernel, &x, &y).unwrap();
        assert_eq!(y.elements::<i64>(), expected, "{kernel:?}");
    }
}

#[test]
fn finds_extremes_of_empty_tensors_where_there_are_none() {
    let empty = [Tensor::new::<f32>(&[0, 3], &[])];
    assert!(run(&arg(true, 1, true), &empty, &plain(DatumType::I64, &[0])).is_ok());
    let found = error(&arg(true, 0, true), &empty, &plain(DatumType::I64, &[3]));
    assert!(found.contains("at least one"), "{found}");
}

#[test]
fn refuses_extremes_that_do_not_fit() {
    let x = [Tensor::new(&[1, 2], &[2.0f32, 2.0])];
    let i64s = |dims: &[usize]| plain(DatumType::I64, dims);
    let cases = [
        (arg(true, 2, false), i64s(&[1]), "expected an axis of"),
        (arg(true, 1, false), i64s(&[2]), "expected dims [1]"),
        (arg(true, 1, false), i64s(&[1, 2]), "expected dims [1, 1]"),
        (
            arg(true, 1, false),
            i64s(&[1, 1, 1]),
            "expected dims [1, 1]",
        ),
        (arg(true, 1, false), plain(DatumType::I32, &[1]), "as i64"),
    ];
    for (kernel, y, expected) in cases {
        let found = error(&kernel, &x, &y);
        assert!(found.contains(expected), "{kernel:?}: {found}");
    }
    let x = [Tensor::new(&[1, 2], &[2u16, 2])];
    let found = error(&arg(true, 1, false), &x, &i64s(&[1]));
    assert_eq!(found, "expected f32, i64, i32, u8 or i8, found u16[1, 2]");
}

fn top(axis: usize, largest: bool) -> Kernel {
    Kernel::TopK(TopK {
        axis: axis as u32,
        largest,
    })
}

fn run_top(kernel: &Kernel, x: &Tensor, dims: &[usize]) -> Result<(Tensor, Tensor), String> {
    let types = [plain(x.of.datum_type, dims), plain(DatumType::I64, dims)];
    let mut outputs = run_for(kernel, std::slice::from_ref(x), &types, &Target::detect())?;
    let indices = outputs.pop().unwrap();
    Ok((outputs.pop().unwrap(), indices))
}

fn check_top<T: Sample>() {
    let mut random = Random(2);
    for round in 0..150 {
        let rank = 1 + round % 4;
        let axis = random.below(rank);
        let size = 1 + random.below(40);
        let dims = dims_around(&mut random, rank, axis, size);
        let mut taken = dims.clone();
        taken[axis] = match random.below(3) {
            0 => random.below(3).min(size),
            1 => size,
            _ => random.below(size + 1),
        };
        let largest = round % 2 == 0;
        let x = sample::<T>(&mut random, &dims);
        let (values, places) = run_top(&top(axis, largest), &x, &taken).unwrap();
        for index in indices(&taken) {
            let line = line::<T>(&x, axis, &index);
            let mut order: Vec<usize> = (0..size).collect();
            order.sort_by(|&a, &b| {
                let ascending = match (is_nan(&line[a]), is_nan(&line[b])) {
                    (false, false) => line[a].partial_cmp(&line[b]).unwrap(),
                    (a, b) => a.cmp(&b),
                };
                if largest {
                    ascending.reverse()
                } else {
                    ascending
                }
            });
            let place = order[index[axis]];
            let at = flat(&taken, &index);
            let context = format!("{largest} {taken:?} of {} at {index:?}", x.of);
            assert_eq!(places.elements::<i64>()[at], place as i64, "{context}");
            let value = bytemuck::bytes_of(&line[place]);
            assert_eq!(values.at(&index), value, "{context}");
        }
    }
}

#[test]
fn takes_the_largest_or_smallest_in_order() {
    check_top::<f32>();
    check_top::<f64>();
    check_top::<i64>();
    check_top::<i32>();
    check_top::<i8>();
    check_top::<u8>();
}

#[test]
fn takes_the_top_as_the_examples_of_onnx_do() {
    let numbers = [
        0.0f32, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 11.0, 10.0, 9.0, 8.0,
    ];
    let x = Tensor::new(&[3, 4], &numbers);
    let (values, places) = run_top(&top(1, true), &x, &[3, 3]).unwrap();
    let expected = [3.0, 2.0, 1.0, 7.0, 6.0, 5.0, 11.0, 10.0, 9.0];
    assert_eq!(values.elements::<f32>(), expected);
    assert_eq!(places.elements::<i64>(), [3, 2, 1, 3, 2, 1, 0, 1, 2]);
    let (values, places) = run_top(&top(1, false), &x, &[3, 3]).unwrap();
    let expected = [0.0, 1.0, 2.0, 4.0, 5.0, 6.0, 8.0, 9.0, 10.0];
    assert_eq!(values.elements::<f32>(), expected);
    assert_eq!(places.elements::<i64>(), [0, 1, 2, 0, 1, 2, 3, 2, 1]);
}

#[test]
fn a_long_line_is_sorted() {
    let mut random = Random(3);
    let numbers: Vec<f32> = (0..5000).map(|_| random.float()).collect();
    let x = Tensor::new(&[5000], &numbers);
    for count in [1, 5, 300, 5000] {
        let (values, places) = run_top(&top(0, true), &x, &[count]).unwrap();
        let mut expected = numbers.clone();
        expected.sort_by(|a, b| b.total_cmp(a));
        assert_eq!(values.elements::<f32>(), &expected[..count]);
        let looked_up = places
            .elements::<i64>()
            .iter()
            .map(|&place| numbers[place as usize]);
        assert!(looked_up.eq(values.elements::<f32>().iter().copied()));
    }
}

#[test]
fn refuses_a_top_that_does_not_fit() {
    let x = Tensor::new(&[2, 3], &[0.0f32; 6]);
    assert!(run_top(&top(1, true), &x, &[2, 0]).is_ok());
    let cases: [(usize, &[usize], &str); 4] = [
        (2, &[2, 3], "expected an axis of"),
        (1, &[2, 4], "at most all elements along axis 1"),
        (1, &[1, 3], "expected dims [2, 3]"),
        (1, &[2], "expected dims [2, 0]"),
    ];
    for (axis, dims, expected) in cases {
        let Err(found) = run_top(&top(axis, true), &x, dims) else {
            panic!("expected {dims:?} to be refused");
        };
        assert!(found.contains(expected), "{found}");
    }
    let types = [
        plain(DatumType::F32, &[2, 1]),
        plain(DatumType::I32, &[2, 1]),
    ];
    let found = run_for(&top(1, true), &[x], &types, &Target::detect());
    assert!(found.err().unwrap().contains("as i64"));
    let half = Tensor::filled(&plain(DatumType::F16, &[2]), 0);
    let Err(found) = run_top(&top(0, true), &half, &[1]) else {
        panic!("expected f16 to be refused");
    };
    assert_eq!(found, "expected f32, f64, i64, i32, u8 or i8, found f16[2]");
}

fn cum_sum(axis: usize, exclusive: bool, reverse: bool) -> Kernel {
    Kernel::CumSum {
        axis: axis as u32,
        exclusive,
        reverse,
    }
}

fn check_sums<T: Element + PartialEq + std::fmt::Debug>(convert: fn(i64) -> T) {
    let mut random = Random(4);
    for round in 0..120 {
        let rank = 1 + round % 4;
        let axis = random.below(rank);
        let size = random.below(9);
        let dims = dims_around(&mut random, rank, axis, size);
        let numbers: Vec<i64> = (0..dims.iter().product::<usize>())
            .map(|_| random.below(100) as i64 - 50)
            .collect();
        let elements: Vec<T> = numbers.iter().map(|&number| convert(number)).collect();
        let x = Tensor::new(&dims, &elements);
        let (exclusive, reverse) = (random.below(2) == 0, random.below(2) == 0);
        let kernel = cum_sum(axis, exclusive, reverse);
        let y = run(&kernel, std::slice::from_ref(&x), &x.of).unwrap();
        for index in indices(&dims) {
            let counts = |i: usize| match (reverse, exclusive) {
                (false, false) => i <= index[axis],
                (false, true) => i < index[axis],
                (true, false) => i >= index[axis],
                (true, true) => i > index[axis],
            };
            let sum = (0..size).filter(|&i| counts(i)).map(|i| {
                let mut source = index.clone();
                source[axis] = i;
                numbers[flat(&dims, &source)]
            });
            let expected = convert(sum.sum());
            let found = y.elements::<T>()[flat(&dims, &index)];
            assert_eq!(found, expected, "{kernel:?} of {} at {index:?}", x.of);
        }
    }
}

#[test]
fn sums_along_any_axis_in_either_direction() {
    check_sums::<f32>(|number| number as f32);
    check_sums::<f64>(|number| number as f64);
    check_sums::<i32>(|number| number as i32);
    check_sums::<i64>(|number| number);
}

#[test]
fn sums_of_integers_wrap_around() {
    let x = [Tensor::new(&[2], &[i64::MAX, 1])];
    let y = run(&cum_sum(0, false, false), &x, &x[0].of).unwrap();
    assert_eq!(y.elements::<i64>(), [i64::MAX, i64::MIN]);
}

#[test]
fn nan_stays_in_sums_from_where_it_stands() {
    let x = [Tensor::new(&[3], &[1.0, f32::NAN, 2.0])];
    let y = run(&cum_sum(0, false, false), &x, &x[0].of).unwrap();
    let nan: Vec<bool> = y.elements::<f32>().iter().map(|sum| sum.is_nan()).collect();
    assert_eq!(nan, [false, true, true]);
}

#[test]
fn refuses_sums_that_do_not_fit() {
    let x = [Tensor::new(&[2], &[1.0f32, 2.0])];
    let found = error(&cum_sum(1, false, false), &x, &x[0].of);
    assert!(found.contains("expected an axis of"), "{found}");
    let found = error(&cum_sum(0, false, false), &x, &plain(DatumType::F32, &[3]));
    assert!(found.contains("expected dims [2]"), "{found}");
    let found = error(&cum_sum(0, false, false), &x, &plain(DatumType::F64, &[2]));
    assert!(found.contains("same datum type"), "{found}");
    let x = [Tensor::new(&[2], &[1u8, 2])];
    let found = error(&cum_sum(0, false, false), &x, &x[0].of);
    assert_eq!(found, "expected f32, f64, i64 or i32, found u8[2]");
}
