//! `.npy`, versions 1 to 3: a header that is a Python dict, then the elements.
//!
//! ```text
//! \x93NUMPY 1 0    magic and version
//! 118 0            length of the header: two bytes, from version 2 on four
//! {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }       \n
//! elements         until the end of the file
//! ```

use std::io::Read;

use anyhow::Result;
use tensorlet_tensor::{DatumType, Tensor};

use super::MAX_DATA_BYTES;
use crate::exit::Failure;

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// The longest header that is read; numpy's own limit is 10 000.
const MAX_HEADER_BYTES: usize = 1 << 16;

/// Where the elements begin is a multiple of this.
const ALIGN_BYTES: usize = 64;

/// What the header says.
#[derive(Debug, Eq, PartialEq)]
struct Header {
    datum_type: DatumType,
    big_endian: bool,
    fortran_order: bool,
    dims: Vec<u32>,
}

/// Reads a tensor, whatever the order of bytes and elements.
///
/// # Errors
/// If the bytes are no `.npy`, have elements that tensors do not have, or end early or late.
pub(super) fn read(mut reader: impl Read) -> Result<Tensor> {
    let header = read_header(&mut reader)?;
    let Header {
        datum_type, dims, ..
    } = &header;
    let (width, type_text) = (datum_type.width_bytes(), type_text(*datum_type, dims));
    let expected = dims
        .iter()
        .try_fold(width as u64, |len, &dim| len.checked_mul(dim.into()));
    // A zero dim makes nothing of the largest others.
    let expected = if dims.contains(&0) { Some(0) } else { expected };
    let Some(expected) = expected.filter(|&expected| expected <= MAX_DATA_BYTES) else {
        return Err(Failure::input(format!(
            "expected elements of at most {MAX_DATA_BYTES} bytes, found {type_text}"
        ))
        .into());
    };
    let mut data = vec![];
    reader.take(expected + 1).read_to_end(&mut data)?;
    if data.len() as u64 != expected {
        let found = if data.len() as u64 > expected {
            "more".to_owned()
        } else {
            data.len().to_string()
        };
        return Err(Failure::input(format!(
            "expected {expected} bytes for {type_text}, found {found}"
        ))
        .into());
    }
    if header.big_endian {
        data.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    }
    if header.fortran_order {
        data = to_row_major(&data, dims, width);
    }
    Ok(Tensor::new(*datum_type, header.dims, data)?)
}

/// Returns the tensor as a `.npy` of version 1.
///
/// bf16 is what numpy lacks: it is written as `V2`, which the package `ml_dtypes` can view as its own.
pub(crate) fn write(tensor: &Tensor) -> Vec<u8> {
    let dims: Vec<String> = tensor.dims().iter().map(|dim| format!("{dim},")).collect();
    let (descr, shape) = (descr(tensor.datum_type()), dims.join(" "));
    // What follows the magic: two bytes of version, two of length.
    let begin = MAGIC.len() + 4;
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
    let padding =
        (begin + header.len() + 1).next_multiple_of(ALIGN_BYTES) - (begin + header.len() + 1);
    header.extend(std::iter::repeat_n(' ', padding));
    header.push('\n');
    let header_len = u16::try_from(header.len()).expect("a header has at most 16 dims");
    [
        MAGIC,
        &[1, 0][..],
        &header_len.to_le_bytes(),
        header.as_bytes(),
        tensor.data(),
    ]
    .concat()
}

fn read_header(reader: &mut impl Read) -> Result<Header> {
    let mut begin = [0; 8];
    read_exact(reader, &mut begin)?;
    if !begin.starts_with(MAGIC) {
        return Err(Failure::input("expected a .npy of numpy, found other bytes").into());
    }
    let mut len = [0; 4];
    match begin[6] {
        1 => read_exact(reader, &mut len[..2])?,
        2 | 3 => read_exact(reader, &mut len)?,
        version => {
            return Err(Failure::input(format!(
                "expected a .npy of version 1 to 3, found {version}"
            ))
            .into());
        }
    }
    let len = u32::from_le_bytes(len) as usize;
    if len > MAX_HEADER_BYTES {
        return Err(Failure::input(format!(
            "expected a header of at most {MAX_HEADER_BYTES} bytes, found {len}"
        ))
        .into());
    }
    let mut text = vec![0; len];
    read_exact(reader, &mut text)?;
    let text = String::from_utf8_lossy(&text);
    parse_header(&text).map_err(|error| error.in_header(&text).into())
}

fn read_exact(reader: &mut impl Read, bytes: &mut [u8]) -> Result<()> {
    reader
        .read_exact(bytes)
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                Failure::input("expected a .npy of numpy, found the end of the file").into()
            }
            _ => error.into(),
        })
}

fn parse_header(text: &str) -> Result<Header, Expected> {
    let mut scanner = Scanner { rest: text };
    let (mut descr, mut fortran_order, mut dims) = (None, None, None);
    scanner.expect("{")?;
    while !scanner.eat("}") {
        let key = scanner.string()?;
        scanner.expect(":")?;
        match key {
            "descr" => descr = Some(parse_descr(scanner.string()?)?),
            "fortran_order" => fortran_order = Some(scanner.bool()?),
            "shape" => dims = Some(scanner.tuple()?),
            _ => return Err(Expected("the keys descr, fortran_order and shape")),
        }
        if !scanner.eat(",") {
            scanner.expect("}")?;
            break;
        }
    }
    match (descr, fortran_order, dims) {
        (Some((datum_type, big_endian)), Some(fortran_order), Some(dims)) => Ok(Header {
            datum_type,
            big_endian,
            fortran_order,
            dims,
        }),
        _ => Err(Expected("the keys descr, fortran_order and shape")),
    }
}

/// Returns the datum type of a descr, and whether it is big-endian.
fn parse_descr(text: &str) -> Result<(DatumType, bool), Expected> {
    let big_endian = text.starts_with('>');
    let plain = text.trim_start_matches(['<', '>', '|', '=']);
    let matches = |datum_type: &DatumType| descr(*datum_type)[1..] == *plain;
    let datum_type = DatumType::ALL.into_iter().find(matches);
    Ok((
        datum_type.ok_or(Expected("elements of b1, u1 to u8, i1 to i8, f2, f4 or f8"))?,
        big_endian,
    ))
}

/// Returns how numpy writes a datum type.
fn descr(datum_type: DatumType) -> &'static str {
    match datum_type {
        DatumType::Bool => "|b1",
        DatumType::U8 => "|u1",
        DatumType::U16 => "<u2",
        DatumType::U32 => "<u4",
        DatumType::U64 => "<u8",
        DatumType::I8 => "|i1",
        DatumType::I16 => "<i2",
        DatumType::I32 => "<i4",
        DatumType::I64 => "<i8",
        DatumType::F16 => "<f2",
        DatumType::Bf16 => "<V2",
        DatumType::F32 => "<f4",
        DatumType::F64 => "<f8",
    }
}

/// What a header should have had.
#[derive(Debug, Eq, PartialEq)]
struct Expected(&'static str);

impl Expected {
    fn in_header(&self, text: &str) -> Failure {
        let found: String = text.trim_end().chars().take(200).collect();
        Failure::input(format!(
            "expected a header with {}, found `{found}`",
            self.0
        ))
    }
}

/// Reads the few Python literals of a header.
struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn eat(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start();
        match rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &'static str) -> Result<(), Expected> {
        if self.eat(token) {
            Ok(())
        } else {
            Err(Expected(
                "the form {'descr': …, 'fortran_order': …, 'shape': …}",
            ))
        }
    }

    fn string(&mut self) -> Result<&'a str, Expected> {
        for quote in ["'", "\""] {
            if self.eat(quote)
                && let Some((text, rest)) = self.rest.split_once(quote)
            {
                self.rest = rest;
                return Ok(text);
            }
        }
        Err(Expected("plain elements, no records"))
    }

    fn bool(&mut self) -> Result<bool, Expected> {
        if self.eat("True") {
            return Ok(true);
        }
        if self.eat("False") {
            Ok(false)
        } else {
            Err(Expected("a fortran_order of True or False"))
        }
    }

    fn tuple(&mut self) -> Result<Vec<u32>, Expected> {
        let mut dims = vec![];
        self.expect("(")?;
        while !self.eat(")") {
            dims.push(self.dim()?);
            if !self.eat(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(dims)
    }

    fn dim(&mut self) -> Result<u32, Expected> {
        let rest = self.rest.trim_start();
        let len = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let dim = rest[..len]
            .parse()
            .map_err(|_| Expected("a shape of dims from 0 to 4294967295"))?;
        // Python 2 wrote long integers so.
        self.rest = rest[len..].trim_start_matches('L');
        Ok(dim)
    }
}

/// Returns elements that were stored with the first index running fastest so that the last one does.
fn to_row_major(data: &[u8], dims: &[u32], width: usize) -> Vec<u8> {
    let mut strides = Vec::with_capacity(dims.len());
    let mut stride = width;
    for &dim in dims {
        strides.push(stride);
        stride = stride.saturating_mul(dim as usize);
    }
    let mut row_major = Vec::with_capacity(data.len());
    let (mut index, mut offset) = (vec![0; dims.len()], 0);
    while row_major.len() < data.len() {
        row_major.extend_from_slice(&data[offset..offset + width]);
        for axis in (0..dims.len()).rev() {
            index[axis] += 1;
            offset += strides[axis];
            if index[axis] < dims[axis] {
                break;
            }
            offset -= strides[axis] * dims[axis] as usize;
            index[axis] = 0;
        }
    }
    row_major
}

fn type_text(datum_type: DatumType, dims: &[u32]) -> String {
    let dims: Vec<String> = dims.iter().map(u32::to_string).collect();
    format!("{datum_type}[{}]", dims.join(", "))
}

#[cfg(test)]
pub(super) mod tests;
