//! Tensors in files, for the tests: just enough of `.npy`.

use std::fs;
use std::path::Path;

/// Returns a `.npy` with a header as numpy writes it.
pub(crate) fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    npy_in_order("False", descr, shape, data)
}

/// As [`npy`], with the value of `fortran_order`.
pub(crate) fn npy_in_order(fortran_order: &str, descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header =
        format!("{{'descr': '{descr}', 'fortran_order': {fortran_order}, 'shape': {shape}, }}\n");
    let len = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &len[..], header.as_bytes(), data].concat()
}

/// Returns a `.npy` of f32.
pub(crate) fn npy_f32(shape: &str, values: &[f32]) -> Vec<u8> {
    npy("<f4", shape, &bytes(values))
}

/// Returns little-endian bytes.
pub(crate) fn bytes(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// Returns the header's text and the elements' bytes of a `.npy` of version 1.
pub(crate) fn split_npy(path: &Path) -> (String, Vec<u8>) {
    let mut file = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(
        file.starts_with(b"\x93NUMPY\x01\x00"),
        "{} must be a .npy",
        path.display()
    );
    let begin = 10 + usize::from(u16::from_le_bytes([file[8], file[9]]));
    let data = file.split_off(begin);
    (String::from_utf8_lossy(&file[10..]).into_owned(), data)
}

/// Returns the elements of a `.npy` of f32.
pub(crate) fn read_f32(path: &Path) -> Vec<f32> {
    let (header, data) = split_npy(path);
    assert!(
        header.contains("'descr': '<f4', 'fortran_order': False"),
        "{header}"
    );
    data.chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect()
}
