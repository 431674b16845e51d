//! Tests of `.npy`, with files as numpy writes them.

use expect_test::expect;
use half::f16;

use super::*;

/// Returns a file of version 1 with this header.
pub(in crate::tensor_file) fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let len = (header.len() as u16).to_le_bytes();
    [MAGIC, &[1, 0][..], &len, header.as_bytes(), data].concat()
}

fn header(descr: &str, fortran_order: &str, shape: &str) -> String {
    format!("{{'descr': '{descr}', 'fortran_order': {fortran_order}, 'shape': {shape}, }}")
}

fn error(bytes: &[u8]) -> String {
    let error = read(bytes).unwrap_err();
    assert_eq!(
        crate::exit::of(&error),
        crate::exit::Exit::Input,
        "{error:#}"
    );
    format!("{error:#}")
}

#[test]
fn every_datum_type_comes_back() {
    for datum_type in DatumType::ALL {
        for dims in [vec![], vec![3], vec![2, 0], vec![1, 2, 3]] {
            let len = dims.iter().product::<u32>() as usize * datum_type.width_bytes();
            let tensor = Tensor::new(datum_type, dims, (0..len as u8).collect()).unwrap();
            let bytes = write(&tensor);
            assert_eq!((bytes.len() - len) % ALIGN_BYTES, 0, "elements are aligned");
            assert_eq!(read(&bytes[..]).unwrap(), tensor);
        }
    }
}

#[test]
fn headers_are_as_numpy_writes_them() {
    let tensor = Tensor::from_values(vec![2, 3], &[1.0f32; 6]).unwrap();
    let bytes = write(&tensor);
    let text = str::from_utf8(&bytes[10..bytes.len() - 24]).unwrap();
    assert_eq!(
        text.trim_end(),
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3,), }"
    );
    assert!(text.ends_with('\n'));
}

#[test]
fn fortran_order_is_undone() {
    // np.asfortranarray(np.arange(24, dtype=np.int16).reshape(2, 3, 4))
    let stored: Vec<i16> = (0..4)
        .flat_map(|k| (0..3).flat_map(move |j| (0..2).map(move |i| i * 12 + j * 4 + k)))
        .collect();
    let data: Vec<u8> = stored
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let tensor = read(&file(&header("<i2", "True", "(2, 3, 4)"), &data)[..]).unwrap();
    assert_eq!(tensor.dims(), [2, 3, 4]);
    assert_eq!(
        tensor.to_values::<i16>().unwrap(),
        (0..24).collect::<Vec<i16>>()
    );

    for shape in ["()", "(1,)", "(0, 5)"] {
        let data = if shape.contains('0') {
            &[][..]
        } else {
            &[7, 0]
        };
        assert!(
            read(&file(&header("<i2", "True", shape), data)[..]).is_ok(),
            "{shape}"
        );
    }
}

#[test]
fn big_endian_is_undone() {
    let data: Vec<u8> = [1.5f32, -2.0]
        .iter()
        .flat_map(|value| value.to_be_bytes())
        .collect();
    let tensor = read(&file(&header(">f4", "False", "(2,)"), &data)[..]).unwrap();
    assert_eq!(tensor.to_values(), Some(vec![1.5f32, -2.0]));
    let data = f16::from_f32(0.5).to_be_bytes();
    let tensor = read(&file(&header(">f2", "False", "()"), &data)[..]).unwrap();
    assert_eq!(tensor.to_values(), Some(vec![f16::from_f32(0.5)]));
}

#[test]
fn later_versions_and_old_pythons_are_read() {
    let text = "{\"shape\": (2L, 1L), \"fortran_order\": False, \"descr\": \"|b1\"}";
    let bytes = [
        MAGIC,
        &[3, 0][..],
        &(text.len() as u32).to_le_bytes(),
        text.as_bytes(),
        &[1, 0],
    ]
    .concat();
    let tensor = read(&bytes[..]).unwrap();
    assert_eq!(
        (tensor.type_text().as_str(), tensor.data()),
        ("bool[2, 1]", &[1, 0][..])
    );
}

#[test]
fn says_what_is_wrong() {
    let errors = [
        error(b""),
        error(b"PK\x03\x04 and so on"),
        error(&[MAGIC, &[9, 0, 0, 0][..]].concat()),
        error(&[MAGIC, &[2, 0, 255, 255, 255, 255][..]].concat()),
        error(&file("[]", b"")),
        error(&file("{'descr': '<f4'}", b"")),
        error(&file(&header("<c8", "False", "(1,)"), b"")),
        error(&file("{'descr': [('a', '<f4')], }", b"")),
        error(&file(&header("<f4", "False", "(-1,)"), b"")),
        error(&file(&header("<f4", "False", "(9999999999,)"), b"")),
        error(&file(
            &header("<f4", "False", "(4294967295, 4294967295, 4294967295)"),
            b"",
        )),
        error(&file(&header("<f4", "False", "(3,)"), &[0; 11])),
        error(&file(&header("<f4", "False", "(3,)"), &[0; 13])),
        error(&file(
            &header(
                "|u1",
                "False",
                "(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)",
            ),
            &[0],
        )),
    ];
    expect![[r#"
        expected a .npy of numpy, found the end of the file
        expected a .npy of numpy, found other bytes
        expected a .npy of version 1 to 3, found 9
        expected a header of at most 65536 bytes, found 4294967295
        expected a header with the form {'descr': …, 'fortran_order': …, 'shape': …}, found `[]`
        expected a header with the keys descr, fortran_order and shape, found `{'descr': '<f4'}`
        expected a header with elements of b1, u1 to u8, i1 to i8, f2, f4 or f8, found `{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }`
        expected a header with plain elements, no records, found `{'descr': [('a', '<f4')], }`
        expected a header with a shape of dims from 0 to 4294967295, found `{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }`
        expected a header with a shape of dims from 0 to 4294967295, found `{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999,), }`
        expected elements of at most 4294967296 bytes, found f32[4294967295, 4294967295, 4294967295]
        expected 12 bytes for f32[3], found 11
        expected 12 bytes for f32[3], found more
        expected at most 16 dims, found 17"#]]
    .assert_eq(&errors.join("\n"));
}

#[test]
fn no_prefix_and_no_flipped_bit_panics() {
    let bytes = write(&Tensor::from_values(vec![2, 2], &[1i32, 2, 3, 4]).unwrap());
    for len in 0..bytes.len() {
        assert!(read(&bytes[..len]).is_err(), "a file cut to {len} bytes");
    }
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        // An error or another tensor.
        let _ = read(&bytes[..]);
    }
}
