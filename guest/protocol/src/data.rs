//! The `data` of an input: numbers in a flat list, or in lists nested as the shape says.

use half::{bf16, f16};
use tensorlet_tensor::{DatumType, MAX_RANK};

use super::datatype;
use super::error::Quoted;
use super::number::Decimal;
use super::scan::{Scanner, Token};
use super::shape::Mismatch;

/// Reads the elements of a tensor from valid JSON into bytes, as many as `dims` say.
///
/// `elements` is the product of `dims`. Memory is taken for no more elements than the text can hold.
pub(super) fn read(
    json: &str,
    datum_type: DatumType,
    dims: &[u32],
    elements: usize,
) -> Result<Vec<u8>, Mismatch> {
    let sizes = Sizes::new(json, dims, elements);
    match datum_type {
        DatumType::Bool => sizes.read::<bool>(json),
        DatumType::U8 => sizes.read::<u8>(json),
        DatumType::U16 => sizes.read::<u16>(json),
        DatumType::U32 => sizes.read::<u32>(json),
        DatumType::U64 => sizes.read::<u64>(json),
        DatumType::I8 => sizes.read::<i8>(json),
        DatumType::I16 => sizes.read::<i16>(json),
        DatumType::I32 => sizes.read::<i32>(json),
        DatumType::I64 => sizes.read::<i64>(json),
        DatumType::F16 => sizes.read::<f16>(json),
        DatumType::Bf16 => sizes.read::<bf16>(json),
        DatumType::F32 => sizes.read::<f32>(json),
        DatumType::F64 => sizes.read::<f64>(json),
    }
}

/// How long the lists must be, outermost first: the dims, or one list of all elements.
struct Sizes {
    sizes: Vec<usize>,
    elements: usize,
}

impl Sizes {
    fn new(json: &str, dims: &[u32], elements: usize) -> Self {
        let mut tokens = Scanner::new(json);
        let is_list = tokens.next() == Some(Token::Open);
        let is_nested = match tokens.next() {
            Some(Token::Open) => true,
            // An empty list is flat, unless it has the shape that it is to have.
            Some(Token::Close) => dims.first() == Some(&0),
            _ => !is_list,
        };
        let sizes = if is_nested {
            // What does not fit is the size of no list.
            let size = |&dim: &u32| usize::try_from(dim).unwrap_or(usize::MAX);
            dims.iter().map(size).collect()
        } else {
            vec![elements]
        };
        Self { sizes, elements }
    }

    fn read<T: Element>(&self, json: &str) -> Result<Vec<u8>, Mismatch> {
        // An element takes two bytes of text at least, with its comma or bracket, but for a lone digit.
        let fits = self.elements <= json.len() / 2 + 1;
        let stored = if fits { self.elements } else { 0 };
        let mut bytes = Vec::with_capacity(stored * size_of::<T>());
        // The list that is open at each depth has had so many values.
        let mut counts = [0usize; MAX_RANK];
        let mut depth = 0usize;
        let mut scanner = Scanner::new(json);
        loop {
            if depth == self.sizes.len() {
                // Almost everything is read here.
                let mut count = 0;
                while let Some(value) = scanner.next_short(T::read) {
                    count += 1;
                    if bytes.len() < stored * size_of::<T>() {
                        value.push_to(&mut bytes);
                    }
                }
                if let Some(outer) = depth.checked_sub(1) {
                    counts[outer] += count;
                }
            }
            let Some(token) = scanner.next() else {
                return Ok(bytes);
            };
            if let (Token::Open | Token::Scalar(_), Some(outer)) = (token, depth.checked_sub(1)) {
                counts[outer] += 1;
            }
            match token {
                Token::Scalar(text) => {
                    if depth != self.sizes.len() {
                        return Err(self.wrong_depth(format!("{} less deep", Quoted(text))));
                    }
                    if bytes.len() < stored * size_of::<T>() {
                        let value = T::parse(text).ok_or_else(|| out_of_range::<T>(text))?;
                        value.push_to(&mut bytes);
                    }
                }
                Token::Open if depth == self.sizes.len() => {
                    return Err(self.wrong_depth("lists nested deeper"));
                }
                Token::Open => {
                    counts[depth] = 0;
                    depth += 1;
                }
                Token::Close => {
                    depth -= 1;
                    self.check_len(depth, counts[depth])?;
                }
                Token::Other(other) => return Err(Mismatch::new(expected::<T>(), other)),
            }
        }
    }

    fn check_len(&self, depth: usize, found: usize) -> Result<(), Mismatch> {
        let expected = self.sizes[depth];
        if found == expected {
            return Ok(());
        }
        let elements = self.elements;
        Err(match self.sizes.len() {
            1 => Mismatch::new(format!("{elements} elements of data"), found.to_string()),
            _ => Mismatch::new(
                format!("lists of {expected} along axis {depth} of the data"),
                format!("one of {found}"),
            ),
        })
    }

    fn wrong_depth(&self, found: impl Into<String>) -> Mismatch {
        let expected = match self.sizes.len() {
            0 => "data that is a number".into(),
            1 => "data that is a list of numbers".into(),
            rank => format!("data that is a flat list, or lists nested {rank} deep"),
        };
        Mismatch::new(expected, found)
    }
}

/// A value of a tensor that is written in JSON.
trait Element: Sized {
    const DATUM_TYPE: DatumType;
    /// The values there are, for a message.
    const VALUES: &str;

    /// Reads the value that a text begins with, and returns it with its length, if that can be done fast.
    fn read(text: &[u8]) -> Option<(Self, usize)>;

    /// Reads the text of a JSON value; `None` if that is no value of the type.
    fn parse(text: &str) -> Option<Self>;

    fn push_to(self, bytes: &mut Vec<u8>);
}

fn expected<T: Element>() -> String {
    let name = datatype::name(T::DATUM_TYPE);
    format!("data of {name}, which are {}", T::VALUES)
}

#[cold]
fn out_of_range<T: Element>(text: &str) -> Mismatch {
    Mismatch::new(expected::<T>(), Quoted(text).to_string())
}

macro_rules! elements {
    ($($rust:ty => $datum_type:ident, $values:literal, $read:expr, $is_value:expr;)+) => {
        $(impl Element for $rust {
            const DATUM_TYPE: DatumType = DatumType::$datum_type;
            const VALUES: &str = $values;

            #[inline]
            fn read(text: &[u8]) -> Option<(Self, usize)> {
                let (value, len) = $read(text)?;
                Some(value).filter($is_value).map(|value| (value, len))
            }

            #[inline]
            fn parse(text: &str) -> Option<Self> {
                text.parse().ok().filter($is_value)
            }

            #[inline]
            fn push_to(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
        })+
    };
}

elements! {
    u8 => U8, "integers from 0 to 255", integer, |_| true;
    u16 => U16, "integers from 0 to 65535", integer, |_| true;
    u32 => U32, "integers from 0 to 4294967295", integer, |_| true;
    u64 => U64, "integers from 0 to 18446744073709551615", integer, |_| true;
    i8 => I8, "integers from -128 to 127", integer, |_| true;
    i16 => I16, "integers from -32768 to 32767", integer, |_| true;
    i32 => I32, "integers from -2147483648 to 2147483647", integer, |_| true;
    i64 => I64, "integers from -9223372036854775808 to 9223372036854775807", integer, |_| true;
    // What is too large is read as an infinity.
    f16 => F16, "numbers up to 65504", |text| half(text, f16::from_f32), |value: &f16| value.is_finite();
    bf16 => Bf16, "numbers up to 3.3895314e38", |text| half(text, bf16::from_f32), |value: &bf16| value.is_finite();
    f32 => F32, "numbers up to 3.4028235e38", single, |value: &f32| value.is_finite();
    f64 => F64, "numbers up to 1.7976931348623157e308", double, |value: &f64| value.is_finite();
}

impl Element for bool {
    const DATUM_TYPE: DatumType = DatumType::Bool;
    const VALUES: &str = "true, false, 1 or 0";

    fn read(_: &[u8]) -> Option<(Self, usize)> {
        None
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }

    fn push_to(self, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(self));
    }
}

fn integer<T: TryFrom<u64> + TryFrom<i64>>(text: &[u8]) -> Option<(T, usize)> {
    let number = Decimal::read_integer(text)?;
    Some((number.to_integer()?, number.len()))
}

fn single(text: &[u8]) -> Option<(f32, usize)> {
    let number = Decimal::read(text)?;
    Some((number.to_f32()?, number.len()))
}

fn double(text: &[u8]) -> Option<(f64, usize)> {
    let number = Decimal::read(text)?;
    Some((number.to_f64()?, number.len()))
}

fn half<T>(text: &[u8], round: impl Fn(f32) -> T) -> Option<(T, usize)> {
    let (value, len) = single(text)?;
    Some((round(value), len))
}

#[cfg(test)]
mod tests;
