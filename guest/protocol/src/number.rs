//! Numbers in JSON, as long as they are short.
//!
//! Nearly all numbers that are sent have at most 19 digits, and the value of such a one can be told from integers and one operation on `f64`.
//! What is longer, or so near to the middle between two floats that the operation's rounding could decide, is left to `str::parse`.

/// A number: `mantissa` times 10 to the power of `exponent`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Decimal {
    is_negative: bool,
    mantissa: u64,
    exponent: i32,
    /// How many bytes of text it takes.
    len: usize,
}

/// So many digits fit a `u64`.
const MAX_DIGITS: usize = 19;

/// The largest exponent that is read. Few with more than two digits make a short number.
const MAX_EXPONENT: u64 = 999;

/// The powers of 10 that are values of `f64`.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Every integer up to this is a value of `f64`.
const MAX_EXACT: u64 = 1 << f64::MANTISSA_DIGITS;

/// The bits of an `f64` that an `f32` has no room for.
const REST_BITS: u32 = f64::MANTISSA_DIGITS - f32::MANTISSA_DIGITS;

/// Twice as far as two roundings can lead astray, in units of the last place of `f64`.
const MARGIN: u64 = 4;

impl Decimal {
    /// Reads the number that a text begins with; `None` if it is long, or none in JSON.
    #[inline(always)]
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let is_negative = text.first() == Some(&b'-');
        let begin = usize::from(is_negative);
        let mut digits = Digits::default();
        let mut len = digits.read(text, begin);
        if !is_integer(text, begin, len) {
            return None;
        }
        let mut exponent = 0;
        if text.get(len) == Some(&b'.') {
            let point = len;
            len = digits.read(text, point + 1);
            exponent = -((len - point - 1) as i32);
            if exponent == 0 {
                return None;
            }
        }
        if let Some(b'e' | b'E') = text.get(len) {
            let (value, end) = read_exponent(text, len + 1)?;
            exponent = exponent.saturating_add(value);
            len = end;
        }
        let number = Self {
            is_negative,
            mantissa: digits.value,
            exponent,
            len,
        };
        (digits.count <= MAX_DIGITS).then_some(number)
    }

    /// As [`Decimal::read`], for integers; of other numbers the part before the point.
    #[inline(always)]
    pub(super) fn read_integer(text: &[u8]) -> Option<Self> {
        let is_negative = text.first() == Some(&b'-');
        let begin = usize::from(is_negative);
        let mut digits = Digits::default();
        let len = digits.read(text, begin);
        let number = Self {
            is_negative,
            mantissa: digits.value,
            exponent: 0,
            len,
        };
        (is_integer(text, begin, len) && digits.count <= MAX_DIGITS).then_some(number)
    }

    /// Returns how many bytes of text it takes.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns the integer, if there is no doubt.
    #[inline]
    pub(super) fn to_integer<T: TryFrom<u64> + TryFrom<i64>>(self) -> Option<T> {
        match self.is_negative {
            false => T::try_from(self.mantissa).ok(),
            // Zero has no sign, and unsigned types know none.
            true if self.mantissa == 0 => None,
            true => T::try_from(-i64::try_from(self.mantissa).ok()?).ok(),
        }
    }

    /// Returns the nearest value, if there is no doubt.
    #[inline]
    pub(super) fn to_f64(self) -> Option<f64> {
        (self.mantissa <= MAX_EXACT)
            .then(|| self.nearly())
            .flatten()
    }

    /// Returns the nearest value, if there is no doubt.
    #[inline]
    pub(super) fn to_f32(self) -> Option<f32> {
        let nearly = self.nearly()?;
        if nearly == 0.0 {
            return Some(nearly as f32);
        }
        let middle = 1 << (REST_BITS - 1);
        let rest = nearly.to_bits() & ((1 << REST_BITS) - 1);
        let value = nearly as f32;
        (rest.abs_diff(middle) > MARGIN && value.is_normal()).then_some(value)
    }

    /// Returns the value after at most two roundings: of the mantissa to `f64`, and of the product or quotient.
    #[inline]
    fn nearly(self) -> Option<f64> {
        let power = POWERS.get(self.exponent.unsigned_abs() as usize)?;
        let mantissa = self.mantissa as f64;
        let value = match self.exponent < 0 {
            true => mantissa / power,
            false => mantissa * power,
        };
        Some(if self.is_negative { -value } else { value })
    }
}

/// Digits that have been read.
#[derive(Clone, Copy, Default)]
struct Digits {
    /// The number that they make, if they are not too many.
    value: u64,
    /// How many there are, without zeros that lead.
    count: usize,
}

impl Digits {
    /// Reads digits from `begin` on, and returns where they end.
    #[inline(always)]
    fn read(&mut self, text: &[u8], begin: usize) -> usize {
        let mut end = begin;
        while let Some(eight) = text.get(end..).and_then(<[u8]>::first_chunk) {
            let (value, len) = up_to_eight_digits(eight);
            self.push(value, len);
            end += len;
            if len < 8 {
                return end;
            }
        }
        while let Some(digit @ b'0'..=b'9') = text.get(end) {
            self.push(u64::from(digit - b'0'), 1);
            end += 1;
        }
        end
    }

    #[inline(always)]
    fn push(&mut self, value: u64, len: usize) {
        const POWERS: [u64; 9] = [
            1,
            10,
            100,
            1000,
            10_000,
            100_000,
            1_000_000,
            10_000_000,
            100_000_000,
        ];
        // Too many digits make it wrong, and are found out by their number.
        self.value = self.value.wrapping_mul(POWERS[len]).wrapping_add(value);
        self.count += if self.count > 0 || value > 0 { len } else { 0 };
    }
}

/// Reports whether these bytes of a text, of which all but the last are digits, are an integer in JSON.
#[inline(always)]
fn is_integer(text: &[u8], begin: usize, end: usize) -> bool {
    match end - begin {
        0 => false,
        1 => true,
        _ => text[begin] != b'0',
    }
}

/// Reads what is behind an `e`, and returns where it ends.
#[cold]
fn read_exponent(text: &[u8], begin: usize) -> Option<(i32, usize)> {
    let sign = text.get(begin).filter(|byte| b"+-".contains(byte));
    let begin = begin + usize::from(sign.is_some());
    let mut digits = Digits::default();
    let end = digits.read(text, begin);
    if end == begin || digits.count > MAX_DIGITS || digits.value > MAX_EXPONENT {
        return None;
    }
    let value = digits.value as i32;
    Some((if sign == Some(&b'-') { -value } else { value }, end))
}

/// Returns the number that the digits make with which a text begins, and how many they are.
#[inline(always)]
fn up_to_eight_digits(text: &[u8; 8]) -> (u64, usize) {
    const fn each(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }
    // Digits become 0 to 9, and adding to these does not reach the highest bit. It may do so beyond the first byte that
    // is none, which does not matter.
    let text = u64::from_le_bytes(*text) ^ each(b'0');
    let others = (text | text.wrapping_add(each(0x76))) & each(0x80);
    let len = others.trailing_zeros() / 8;
    // Zeros come to stand before the digits, so that there are eight. The first is in the lowest byte and counts most:
    // neighbours are joined to numbers of 2, 4 and 8 digits.
    let digits = text.checked_shl(64 - 8 * len).unwrap_or(0);
    let pairs = (digits.wrapping_mul(10) + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100) + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    let eight = (fours.wrapping_mul(10_000) + (fours >> 32)) & 0xffff_ffff;
    (eight, len as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A walk through bits, as odd as numbers get.
    fn bits(count: u64) -> impl Iterator<Item = u64> {
        (0..count).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17) ^ n << 7)
    }

    #[test]
    fn reads_what_is_there_and_no_further() {
        let read = |text: &str| {
            let number = Decimal::read(text.as_bytes())?;
            Some((
                number.mantissa,
                number.exponent,
                number.is_negative,
                number.len,
            ))
        };
        assert_eq!(read("0"), Some((0, 0, false, 1)));
        assert_eq!(read("-12.50,7"), Some((1250, -2, true, 6)));
        assert_eq!(read("1e5]"), Some((1, 5, false, 3)));
        assert_eq!(read("1.5E-07 "), Some((15, -8, false, 7)));
        assert_eq!(
            read("0.00000000000000000000001234]"),
            Some((1234, -26, false, 28))
        );
        assert_eq!(
            read("12345678.12345678"),
            Some((1_234_567_812_345_678, -8, false, 17))
        );
        assert_eq!(
            read("9999999999999999999"),
            Some((9_999_999_999_999_999_999, 0, false, 19))
        );
        assert_eq!(read("10000000000000000000"), None, "twenty digits");
        assert_eq!(read("0.12345678901234567891"), None, "twenty digits");
        assert_eq!(read("1e999999999999999999999"), None);
        assert_eq!(read("1e18446744073709551616"), None);
        for text in ["", "-", "true", "null", "[1]", "\"1\"", "]"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn digits_are_a_number_up_to_what_is_none() {
        for number in bits(10_000).map(|bits| bits % 100_000_000) {
            let text = format!("{number:08}");
            assert_eq!(
                up_to_eight_digits(text.as_bytes().try_into().unwrap()),
                (number, 8)
            );
        }
        let digits = b"12345678";
        for byte in (0..=255u8).filter(|byte| !byte.is_ascii_digit()) {
            for behind in [b'0', b'9', byte, 0xff] {
                for len in 0..8 {
                    let mut text = [behind; 8];
                    text[..len].copy_from_slice(&digits[..len]);
                    text[len] = byte;
                    let number = str::from_utf8(&digits[..len]).unwrap().parse().unwrap_or(0);
                    assert_eq!(up_to_eight_digits(&text), (number, len), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_told_is_what_parsing_says() {
        let mut told = 0;
        let mut check = |text: &str| {
            let Some(number) = Decimal::read(text.as_bytes()) else {
                return;
            };
            if let Some(value) = number.to_f32() {
                let expected: f32 = text.parse().unwrap();
                assert_eq!(value.to_bits(), expected.to_bits(), "{text}: {value}");
                told += 1;
            }
            if let Some(value) = number.to_f64() {
                let expected: f64 = text.parse().unwrap();
                assert_eq!(value.to_bits(), expected.to_bits(), "{text}: {value}");
            }
        };
        for bits in bits(200_000) {
            let single = f32::from_bits((bits >> 32) as u32);
            let near = f32::from_bits(0x3f80_0000 | (bits & 0x7f_ffff) as u32);
            let middle = f64::midpoint(near.into(), near.next_up().into());
            for value in [
                f64::from(single),
                near.into(),
                middle,
                middle.next_up(),
                middle.next_down(),
            ] {
                if value.is_finite() {
                    check(&value.to_string());
                    check(&format!("{value:e}"));
                }
            }
            check(&single.to_string());
            check(&format!("{:.19}", near - 1.0));
            check(&format!("{}e{}", bits >> 1, bits as i8 / 4));
        }
        assert!(told > 500_000, "most numbers are short, found {told}");
    }

    #[test]
    fn the_middle_between_two_values_is_doubtful() {
        let doubtful = |text: &str| Decimal::read(text.as_bytes()).unwrap().to_f32().is_none();
        assert!(doubtful("1.000000059604644775"));
        assert!(doubtful("16777217"), "exactly in the middle");
        assert!(!doubtful("16777218"));
        assert!(doubtful("1e-45"), "not normal");
        assert!(doubtful("3.5e38"), "infinite");
        assert!(!doubtful("-0.0"));
    }
}
