//! Numbers of any datum type, read and written one at a time.

use half::{bf16, f16};
use tensorlet_tensor::DatumType;

use super::by_width::by_width;
use super::bytes::copy_bytes;

/// Returns the bytes of a number converted to a datum type: the first ones, as many as the type is wide. From float to integer
/// it truncates and saturates; to bool, any number but zero is true.
pub(crate) fn to_bytes(number: f64, datum_type: DatumType) -> [u8; 8] {
    let mut bytes = [0; 8];
    let mut put = |converted: &[u8]| bytes[..converted.len()].copy_from_slice(converted);
    match datum_type {
        DatumType::Bool => put(&[u8::from(number != 0.0)]),
        DatumType::U8 => put(&(number as u8).to_le_bytes()),
        DatumType::U16 => put(&(number as u16).to_le_bytes()),
        DatumType::U32 => put(&(number as u32).to_le_bytes()),
        DatumType::U64 => put(&(number as u64).to_le_bytes()),
        DatumType::I8 => put(&(number as i8).to_le_bytes()),
        DatumType::I16 => put(&(number as i16).to_le_bytes()),
        DatumType::I32 => put(&(number as i32).to_le_bytes()),
        DatumType::I64 => put(&(number as i64).to_le_bytes()),
        DatumType::F16 => put(&f16::from_f64(number).to_le_bytes()),
        DatumType::Bf16 => put(&bf16::from_f64(number).to_le_bytes()),
        DatumType::F32 => put(&(number as f32).to_le_bytes()),
        DatumType::F64 => put(&number.to_le_bytes()),
    }
    bytes
}

/// Returns an element of a tensor as an index: truncated, or saturated where it does not fit; `None` for NaN.
///
/// # Panics
/// If there is no such element.
pub(crate) fn index_at(bytes: &[u8], datum_type: DatumType, element: usize) -> Option<i64> {
    let width = datum_type.width_bytes();
    let mut read = [0; 8];
    read[..width].copy_from_slice(&bytes[element * width..][..width]);
    let bits = u64::from_le_bytes(read);
    let from_float = |number: f64| (!number.is_nan()).then_some(number as i64);
    match datum_type {
        DatumType::Bool | DatumType::U8 | DatumType::U16 | DatumType::U32 => {
            Some(bits.cast_signed())
        }
        DatumType::U64 => Some(i64::try_from(bits).unwrap_or(i64::MAX)),
        DatumType::I8 => Some(i64::from(bits as i8)),
        DatumType::I16 => Some(i64::from(bits as i16)),
        DatumType::I32 => Some(i64::from(bits as i32)),
        DatumType::I64 => Some(bits.cast_signed()),
        DatumType::F16 => from_float(f16::from_bits(bits as u16).to_f64()),
        DatumType::Bf16 => from_float(bf16::from_bits(bits as u16).to_f64()),
        DatumType::F32 => from_float(f64::from(f32::from_bits(bits as u32))),
        DatumType::F64 => from_float(f64::from_bits(bits)),
    }
}

/// Returns an index that counts from the end if it is negative; `None` if it is out of range.
pub(crate) fn from_either_end(index: i64, len: usize) -> Option<usize> {
    let len_signed = i64::try_from(len).ok()?;
    let index = if index < 0 { index + len_signed } else { index };
    usize::try_from(index).ok().filter(|&index| index < len)
}

/// Copies one element of a datum type's width. Places count elements.
///
/// # Panics
/// If there is no such element.
pub(crate) fn copy_element(
    width_bytes: usize,
    from: &[u8],
    from_at: usize,
    to: &mut [u8],
    to_at: usize,
) {
    let from = &from[from_at * width_bytes..][..width_bytes];
    copy_bytes(from, &mut to[to_at * width_bytes..][..width_bytes]);
}

/// Fills memory with one element.
///
/// # Panics
/// If the memory does not hold whole elements, aligned to their width.
pub(crate) fn fill(bytes: &mut [u8], element: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    by_width!(element.len(), T => {
        let element: T = bytemuck::pod_read_unaligned(element);
        bytemuck::cast_slice_mut(bytes).fill(element);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_truncated_and_saturated() {
        let cases: [(f64, DatumType, &[u8]); 10] = [
            (2.9, DatumType::U8, &[2]),
            (-3.0, DatumType::U8, &[0]),
            (1e9, DatumType::I8, &[127]),
            (f64::NAN, DatumType::I16, &[0, 0]),
            (-1.0, DatumType::I32, &[255; 4]),
            (-1.0, DatumType::I64, &[255; 8]),
            (0.5, DatumType::Bool, &[1]),
            (1.0, DatumType::F16, &[0, 0x3c]),
            (1.0, DatumType::Bf16, &[0x80, 0x3f]),
            (1.0, DatumType::F32, &[0, 0, 0x80, 0x3f]),
        ];
        for (number, datum_type, bytes) in cases {
            let found = to_bytes(number, datum_type);
            assert_eq!(&found[..bytes.len()], bytes, "{number} as {datum_type}");
        }
    }

    #[test]
    fn every_datum_type_gives_indices() {
        for datum_type in DatumType::ALL {
            let mut bytes = vec![0; datum_type.width_bytes()];
            bytes.extend_from_slice(&to_bytes(1.0, datum_type)[..datum_type.width_bytes()]);
            assert_eq!(index_at(&bytes, datum_type, 1), Some(1), "{datum_type}");
        }
        let nan = f32::NAN.to_le_bytes();
        assert_eq!(index_at(&nan, DatumType::F32, 0), None);
        let large = u64::MAX.to_le_bytes();
        assert_eq!(index_at(&large, DatumType::U64, 0), Some(i64::MAX));
        assert_eq!(index_at(&[0xfe], DatumType::I8, 0), Some(-2));
    }

    #[test]
    fn memory_is_filled_with_elements() {
        let mut memory = [u64::MAX; 3];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut memory);
        fill(&mut bytes[2..6], &[1, 2]);
        assert_eq!(bytes[..8], [255, 255, 1, 2, 1, 2, 255, 255]);
        fill(&mut bytes[8..], &[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(bytes[8..], [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
        fill(&mut [], &[1, 2, 3, 4]);
    }
}
