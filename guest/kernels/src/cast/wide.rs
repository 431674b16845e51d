//! Numbers of any datum type, read and written as i64 or f64.
//!
//! What is rare is computed in these two types alone, a chunk at a time, so that it needs no code of its own for each datum type.

use bytemuck::Pod;
use half::{bf16, f16};
use tensorlet_tensor::DatumType;

/// How many numbers are read at a time.
pub(crate) const CHUNK: usize = 64;

fn read<T: Pod, W>(from: &[u8], to: &mut [W], widen: impl Fn(T) -> W) {
    for (to, from) in to.iter_mut().zip(bytemuck::cast_slice(from)) {
        *to = widen(*from);
    }
}

fn write<T: Pod, W: Copy>(from: &[W], to: &mut [u8], narrow: impl Fn(W) -> T) {
    for (to, from) in bytemuck::cast_slice_mut(to).iter_mut().zip(from) {
        *to = narrow(*from);
    }
}

/// Reads integers or truth values; those of u64 as the i64 with the same bits.
///
/// # Panics
/// If the datum type is one of floating-point numbers.
pub(crate) fn read_integers(datum_type: DatumType, from: &[u8], to: &mut [i64]) {
    match datum_type {
        DatumType::Bool => read(from, to, |x: u8| i64::from(x != 0)),
        DatumType::U8 => read(from, to, |x: u8| i64::from(x)),
        DatumType::U16 => read(from, to, |x: u16| i64::from(x)),
        DatumType::U32 => read(from, to, |x: u32| i64::from(x)),
        DatumType::I8 => read(from, to, |x: i8| i64::from(x)),
        DatumType::I16 => read(from, to, |x: i16| i64::from(x)),
        DatumType::I32 => read(from, to, |x: i32| i64::from(x)),
        DatumType::U64 | DatumType::I64 => read(from, to, |x: i64| x),
        DatumType::F16 | DatumType::Bf16 | DatumType::F32 | DatumType::F64 => {
            panic!("{datum_type} is no integer")
        }
    }
}

/// Reads numbers; integers of 64 bits are rounded.
pub(crate) fn read_floats(datum_type: DatumType, from: &[u8], to: &mut [f64]) {
    match datum_type {
        DatumType::F16 => read(from, to, f16::to_f64),
        DatumType::Bf16 => read(from, to, bf16::to_f64),
        DatumType::F32 => read(from, to, |x: f32| f64::from(x)),
        DatumType::F64 => read(from, to, |x: f64| x),
        DatumType::U64 => read(from, to, |x: u64| x as f64),
        _ => {
            let mut integers = [0; CHUNK];
            let width = datum_type.width_bytes();
            for (from, to) in from.chunks(CHUNK * width).zip(to.chunks_mut(CHUNK)) {
                read_integers(datum_type, from, &mut integers[..to.len()]);
                for (to, integer) in to.iter_mut().zip(integers) {
                    *to = integer as f64;
                }
            }
        }
    }
}

/// Writes integers, with `from` being of datum type `source`: to integers the lowest bits, to bool whether they are not 0, to floating-point
/// numbers the nearest.
pub(crate) fn write_integers(
    source: DatumType,
    from: &[i64],
    datum_type: DatumType,
    to: &mut [u8],
) {
    let unsigned = source == DatumType::U64;
    match datum_type {
        DatumType::Bool => write(from, to, |x| u8::from(x != 0)),
        DatumType::U8 | DatumType::I8 => write(from, to, |x| x as u8),
        DatumType::U16 | DatumType::I16 => write(from, to, |x| x as u16),
        DatumType::U32 | DatumType::I32 => write(from, to, |x| x as u32),
        DatumType::U64 | DatumType::I64 => write(from, to, |x| x),
        DatumType::F32 if unsigned => write(from, to, |x| x.cast_unsigned() as f32),
        DatumType::F32 => write(from, to, |x| x as f32),
        DatumType::F64 if unsigned => write(from, to, |x| x.cast_unsigned() as f64),
        DatumType::F64 => write(from, to, |x| x as f64),
        // Integers that f64 rounds are beyond f16, and beyond what two roundings could spoil but for a few of bf16's.
        DatumType::F16 | DatumType::Bf16 => {
            let mut floats = [0.0; CHUNK];
            for (from, to) in from.chunks(CHUNK).zip(to.chunks_mut(2 * CHUNK)) {
                for (float, from) in floats.iter_mut().zip(from) {
                    *float = if unsigned {
                        from.cast_unsigned() as f64
                    } else {
                        *from as f64
                    };
                }
                write_floats(&floats[..from.len()], datum_type, to);
            }
        }
    }
}

/// Writes numbers: to integers truncated and saturated (NaN as 0), to bool whether they are not 0, else the nearest.
pub(crate) fn write_floats(from: &[f64], datum_type: DatumType, to: &mut [u8]) {
    match datum_type {
        DatumType::Bool => write(from, to, |x| u8::from(x != 0.0)),
        DatumType::U8 => write(from, to, |x| x as u8),
        DatumType::U16 => write(from, to, |x| x as u16),
        DatumType::U32 => write(from, to, |x| x as u32),
        DatumType::U64 => write(from, to, |x| x as u64),
        DatumType::I8 => write(from, to, |x| x as i8),
        DatumType::I16 => write(from, to, |x| x as i16),
        DatumType::I32 => write(from, to, |x| x as i32),
        DatumType::I64 => write(from, to, |x| x as i64),
        DatumType::F16 => write(from, to, f16::from_f64),
        DatumType::Bf16 => write(from, to, bf16::from_f64),
        DatumType::F32 => write(from, to, |x| x as f32),
        DatumType::F64 => write(from, to, |x| x),
    }
}
