//! Walks through the values of nested arrays, without recursion.

/// Walks through a JSON text, and finds out where it is none. Whether brackets match is for others to see.
pub(super) struct Scanner<'a> {
    text: &'a str,
    position: usize,
    place: Place,
}

/// What a [`Scanner`] finds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token<'a> {
    /// An array begins.
    Open,
    /// An array ends.
    Close,
    /// A number, `true`, `false` or `null`.
    Scalar(&'a str),
    /// What no tensor is made of; there is nothing to scan behind it.
    Other(&'static str),
}

/// Where a [`Scanner`] is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// Where a list begins, or the text.
    Begin,
    /// Behind a value.
    Value,
    /// Behind a comma.
    Comma,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            position: 0,
            place: Place::Begin,
        }
    }

    /// Returns the next value if `read` can tell it, and its length, from the beginning of the text; or else leaves it to
    /// [`Scanner::next`].
    #[inline]
    pub(super) fn next_short<T>(
        &mut self,
        read: impl Fn(&[u8]) -> Option<(T, usize)>,
    ) -> Option<T> {
        self.skip_comma();
        let rest = &self.text.as_bytes()[self.position..];
        let (value, len) = read(rest).filter(|_| self.place != Place::Value)?;
        if rest.get(len).is_some_and(|&byte| !ends_scalar(byte)) {
            return None;
        }
        self.position += len;
        self.place = Place::Value;
        Some(value)
    }

    /// Goes on to the next value or bracket.
    #[inline]
    fn skip_comma(&mut self) {
        self.skip_white();
        if self.place == Place::Value && self.text.as_bytes().get(self.position) == Some(&b',') {
            self.position += 1;
            self.place = Place::Comma;
            self.skip_white();
        }
    }

    #[inline]
    fn skip_white(&mut self) {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = bytes.get(self.position) {
            self.position += 1;
        }
    }

    fn end(&mut self, token: Token<'a>) -> Token<'a> {
        self.position = self.text.len();
        token
    }
}

impl<'a> Iterator for Scanner<'a> {
    type Item = Token<'a>;

    #[inline]
    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_comma();
        let rest = &self.text[self.position..];
        let (token, place) = match (rest.as_bytes().first()?, self.place) {
            (b']', Place::Begin | Place::Value) => (Token::Close, Place::Value),
            (b']', Place::Comma) | (_, Place::Value) => {
                return Some(self.end(Token::Other("what is not JSON")));
            }
            (b'[', _) => (Token::Open, Place::Begin),
            (b'"', _) => return Some(self.end(Token::Other("a string"))),
            (b'{', _) => return Some(self.end(Token::Other("an object"))),
            _ => {
                let len = rest.bytes().position(ends_scalar);
                let scalar = &rest[..len.unwrap_or(rest.len())];
                if !is_scalar(scalar.as_bytes()) {
                    return Some(self.end(Token::Other("what is not JSON")));
                }
                self.position += scalar.len();
                self.place = Place::Value;
                return Some(Token::Scalar(scalar));
            }
        };
        self.position += 1;
        self.place = place;
        Some(token)
    }
}

#[inline]
fn ends_scalar(byte: u8) -> bool {
    matches!(byte, b',' | b']' | b' ' | b'\n' | b'\t' | b'\r')
}

/// Reports whether a text is a number, `true`, `false` or `null` in JSON.
fn is_scalar(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if matches!(text, b"true" | b"false" | b"null") {
        return true;
    }
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let integer = digits(text);
    if integer == 0 || (integer > 1 && text[0] == b'0') {
        return false;
    }
    let mut rest = &text[integer..];
    if let [b'.', fraction @ ..] = rest {
        let len = digits(fraction);
        if len == 0 {
            return false;
        }
        rest = &fraction[len..];
    }
    match rest {
        [] => true,
        [b'e' | b'E', b'+' | b'-', exponent @ ..] | [b'e' | b'E', exponent @ ..] => {
            !exponent.is_empty() && digits(exponent) == exponent.len()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Token::{Close, Open, Other, Scalar};
    use super::*;

    fn tokens(text: &str) -> Vec<Token<'_>> {
        Scanner::new(text).collect()
    }

    #[test]
    fn finds_values_and_brackets() {
        let expected = [
            Open,
            Open,
            Scalar("1"),
            Scalar("-2.5e3"),
            Close,
            Open,
            Scalar("true"),
            Other("a string"),
        ];
        assert_eq!(tokens("[ [1,-2.5e3 ],\n[true,\"]\", 7]]"), expected);
        assert_eq!(tokens("42"), [Scalar("42")]);
        assert_eq!(tokens(" [ ] "), [Open, Close]);
    }

    #[test]
    fn finds_out_what_is_not_json() {
        let is_json = |text: &str| tokens(text).last() != Some(&Other("what is not JSON"));
        for text in [
            "[,1]", "[1,]", "[1,,2]", "[1 2]", "[[1][2]]", "[1][", "[[1],]", "[nul]", "[nulll]",
        ] {
            assert!(!is_json(text), "{text}");
        }
    }

    /// Takes texts of a few characters that numbers are made of, all of them.
    #[test]
    fn scalars_are_what_serde_json_says() {
        let alphabet = ["", "0", "1", "9", "-", "+", ".", "e", "E", "x", "\u{7f}"];
        let mut texts = vec![String::new()];
        for _ in 0..5 {
            let longer = texts
                .iter()
                .flat_map(|text| alphabet.map(|more| format!("{text}{more}")));
            texts = longer.collect();
            texts.sort_unstable();
            texts.dedup();
        }
        for text in texts {
            let expected = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
            assert_eq!(is_scalar(text.as_bytes()), expected, "{text}");
            let mut short = Scanner::new(&text);
            if short
                .next_short(|text| crate::number::Decimal::read(text).map(|n| ((), n.len())))
                .is_some()
            {
                assert!(expected, "{text} is read as a short number");
            }
        }
    }
}
