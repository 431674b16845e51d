//! Tests of data in JSON.

use expect_test::expect;
use tensorlet_tensor::{Element as TensorElement, Tensor};

use super::super::shape;
use super::*;

fn read_tensor(json: &str, datum_type: DatumType, dims: &[u32]) -> Result<Tensor, Mismatch> {
    let elements = shape::elements(dims, datum_type.width_bytes()).unwrap();
    let data = read(json, datum_type, dims, elements)?;
    Ok(Tensor::new(datum_type, dims.to_vec(), data).expect("data was checked against the dims"))
}

#[track_caller]
fn check<T: TensorElement + PartialEq + std::fmt::Debug>(json: &str, dims: &[u32], values: &[T]) {
    let tensor = read_tensor(json, T::DATUM_TYPE, dims).unwrap();
    assert_eq!(tensor.to_values::<T>().unwrap(), values, "{json}");
}

fn errors(cases: &[(&str, DatumType, &[u32])]) -> String {
    let errors = cases.iter().map(|&(json, datum_type, dims)| {
        let Mismatch { expected, found } = read_tensor(json, datum_type, dims).unwrap_err();
        format!("{json}: expected {expected}, found {found}")
    });
    errors.collect::<Vec<_>>().join("\n")
}

#[test]
fn reads_flat_and_nested_lists() {
    let values = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0];
    check("[1, 2, 3, 4, 5, 6]", &[2, 3], &values);
    check("[[1, 2, 3], [4, 5, 6]]", &[2, 3], &values);
    check("[[[1],[2],[3]],[[4],[5],[6]]]", &[2, 3, 1], &values);
    check("[\n1,2 ,\t3\r\n,4,5,6]", &[6], &values);
    check("[7]", &[], &[7i64]);
    check("7", &[], &[7i64]);
}

#[test]
fn reads_no_elements() {
    check::<f32>("[]", &[0], &[]);
    check::<f32>("[]", &[0, 3], &[]);
    check::<f32>("[]", &[3, 0], &[]);
    check::<f32>("[[], [], []]", &[3, 0], &[]);
}

#[test]
fn reads_the_ends_of_every_range() {
    check("[0, 255]", &[2], &[u8::MIN, u8::MAX]);
    check("[0, 65535]", &[2], &[u16::MIN, u16::MAX]);
    check("[0, 4294967295]", &[2], &[u32::MIN, u32::MAX]);
    check("[0, 18446744073709551615]", &[2], &[u64::MIN, u64::MAX]);
    check("[-128, 127]", &[2], &[i8::MIN, i8::MAX]);
    check("[-32768, 32767]", &[2], &[i16::MIN, i16::MAX]);
    check("[-2147483648, 2147483647]", &[2], &[i32::MIN, i32::MAX]);
    check(
        "[-9223372036854775808, 9223372036854775807]",
        &[2],
        &[i64::MIN, i64::MAX],
    );
    check("[-65504, 65504.0]", &[2], &[f16::MIN, f16::MAX]);
    check(
        "[-3.3895314e38, 3.3895314e38]",
        &[2],
        &[bf16::MIN, bf16::MAX],
    );
    check("[-3.4028235e38, 3.4028235e38]", &[2], &[f32::MIN, f32::MAX]);
    check(
        "[-1.7976931348623157e308, 1.7976931348623157E+308]",
        &[2],
        &[f64::MIN, f64::MAX],
    );
    check(
        "[1e-45, 5e-324, -0.0]",
        &[3],
        &[f32::from_bits(1), 0.0, -0.0],
    );
}

#[test]
fn reads_bools_as_words_and_numbers() {
    let tensor = read_tensor("[true, false, 1, 0]", DatumType::Bool, &[4]).unwrap();
    assert_eq!(tensor.data(), [1, 0, 1, 0]);
}

#[test]
fn floats_are_rounded_once() {
    // Halfway between two values of f32 but for a digit that f64 does not hold: by way of f64 it would become 1.
    let json = "[1.000000059604644775390625000000000001]";
    check(json, &[1], &[1.0f32 + f32::EPSILON]);
    check(
        "[0.1, 123456789012345680]",
        &[2],
        &[0.1f64, 123_456_789_012_345_680.0],
    );
    check("[9007199254740993]", &[1], &[9_007_199_254_740_992.0f64]);
}

#[test]
fn says_which_value_is_out_of_range() {
    use DatumType::*;
    let errors = errors(&[
        ("[256]", U8, &[1]),
        ("[-1]", U16, &[1]),
        ("[4294967296]", U32, &[1]),
        ("[18446744073709551616]", U64, &[1]),
        ("[-129]", I8, &[1]),
        ("[40000]", I16, &[1]),
        ("[1.0]", I32, &[1]),
        ("[1e3]", I64, &[1]),
        ("[65520]", F16, &[1]),
        ("[3.4e38]", Bf16, &[1]),
        ("[0, 1e39]", F32, &[2]),
        ("[-1e999]", F64, &[1]),
        ("[2]", Bool, &[1]),
        ("[null]", F32, &[1]),
        ("[true]", F32, &[1]),
        ("[\"1\"]", F32, &[1]),
        ("[{}]", F32, &[1]),
        ("\"AAAA\"", F32, &[1]),
        ("{}", I8, &[1]),
    ]);
    expect![[r#"
        [256]: expected data of UINT8, which are integers from 0 to 255, found `256`
        [-1]: expected data of UINT16, which are integers from 0 to 65535, found `-1`
        [4294967296]: expected data of UINT32, which are integers from 0 to 4294967295, found `4294967296`
        [18446744073709551616]: expected data of UINT64, which are integers from 0 to 18446744073709551615, found `18446744073709551616`
        [-129]: expected data of INT8, which are integers from -128 to 127, found `-129`
        [40000]: expected data of INT16, which are integers from -32768 to 32767, found `40000`
        [1.0]: expected data of INT32, which are integers from -2147483648 to 2147483647, found `1.0`
        [1e3]: expected data of INT64, which are integers from -9223372036854775808 to 9223372036854775807, found `1e3`
        [65520]: expected data of FP16, which are numbers up to 65504, found `65520`
        [3.4e38]: expected data of BF16, which are numbers up to 3.3895314e38, found `3.4e38`
        [0, 1e39]: expected data of FP32, which are numbers up to 3.4028235e38, found `1e39`
        [-1e999]: expected data of FP64, which are numbers up to 1.7976931348623157e308, found `-1e999`
        [2]: expected data of BOOL, which are true, false, 1 or 0, found `2`
        [null]: expected data of FP32, which are numbers up to 3.4028235e38, found `null`
        [true]: expected data of FP32, which are numbers up to 3.4028235e38, found `true`
        ["1"]: expected data of FP32, which are numbers up to 3.4028235e38, found a string
        [{}]: expected data of FP32, which are numbers up to 3.4028235e38, found an object
        "AAAA": expected data of FP32, which are numbers up to 3.4028235e38, found a string
        {}: expected data of INT8, which are integers from -128 to 127, found an object"#]].assert_eq(&errors);
}

#[test]
fn says_which_list_is_not_as_the_shape_says() {
    let f32 = DatumType::F32;
    let errors = errors(&[
        ("[1, 2, 3]", f32, &[2, 2]),
        ("[1, 2, 3, 4, 5]", f32, &[2, 2]),
        ("[]", f32, &[2]),
        ("[1]", f32, &[0, 2]),
        ("[[1, 2], [3]]", f32, &[2, 2]),
        ("[[1, 2], [3, 4, 5]]", f32, &[2, 2]),
        ("[[1, 2]]", f32, &[2, 2]),
        ("[[1, 2], [3, 4], [5, 6]]", f32, &[2, 2]),
        ("[[1, 2, 3, 4]]", f32, &[2, 2]),
        ("[[1, 2], 3, 4]", f32, &[2, 2]),
        ("[1, [2]]", f32, &[2, 1]),
        ("[[[1]]]", f32, &[1, 1]),
        ("[[1]]", f32, &[1]),
        ("[[1]]", f32, &[]),
        ("1", f32, &[1]),
        ("[1, 2]", f32, &[]),
        ("[[1], [2]]", f32, &[1, 2]),
        ("[1]", f32, &[1 << 20, 1 << 20]),
    ]);
    expect![[r#"
        [1, 2, 3]: expected 4 elements of data, found 3
        [1, 2, 3, 4, 5]: expected 4 elements of data, found 5
        []: expected 2 elements of data, found 0
        [1]: expected 0 elements of data, found 1
        [[1, 2], [3]]: expected lists of 2 along axis 1 of the data, found one of 1
        [[1, 2], [3, 4, 5]]: expected lists of 2 along axis 1 of the data, found one of 3
        [[1, 2]]: expected lists of 2 along axis 0 of the data, found one of 1
        [[1, 2], [3, 4], [5, 6]]: expected lists of 2 along axis 0 of the data, found one of 3
        [[1, 2, 3, 4]]: expected lists of 2 along axis 1 of the data, found one of 4
        [[1, 2], 3, 4]: expected data that is a flat list, or lists nested 2 deep, found `3` less deep
        [1, [2]]: expected data that is a list of numbers, found lists nested deeper
        [[[1]]]: expected data that is a flat list, or lists nested 2 deep, found lists nested deeper
        [[1]]: expected data that is a list of numbers, found lists nested deeper
        [[1]]: expected data that is a number, found lists nested deeper
        1: expected data that is a list of numbers, found `1` less deep
        [1, 2]: expected 1 elements of data, found 2
        [[1], [2]]: expected lists of 2 along axis 1 of the data, found one of 1
        [1]: expected 1099511627776 elements of data, found 1"#]].assert_eq(&errors);
}

#[test]
fn a_long_list_for_a_small_shape_takes_no_memory() {
    let json = format!("[{}]", ["[1]"; 1000].join(","));
    let sizes = Sizes::new(&json, &[1000, 1], 1000);
    assert_eq!(sizes.read::<u64>(&json).unwrap().capacity(), 8000);
    let error = read_tensor(&json, DatumType::U64, &[2, 1]).unwrap_err();
    assert_eq!(error.found, "one of 1000");
}
