//! Walks through the values of nested arrays, without recursion.

/// Walks through a JSON text that is known to be valid, as that of a `RawValue` is.
///
/// What separates values has been checked, so it is skipped.
pub(super) struct Scanner<'a> {
    text: &'a str,
    position: usize,
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

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, position: 0 }
    }
}

impl<'a> Iterator for Scanner<'a> {
    type Item = Token<'a>;

    #[inline]
    fn next(&mut self) -> Option<Token<'a>> {
        let bytes = self.text.as_bytes();
        while matches!(
            bytes.get(self.position),
            Some(b',' | b' ' | b'\n' | b'\t' | b'\r')
        ) {
            self.position += 1;
        }
        let start = self.position;
        match bytes.get(start)? {
            b'[' => {
                self.position += 1;
                Some(Token::Open)
            }
            b']' => {
                self.position += 1;
                Some(Token::Close)
            }
            b'"' => Some(self.end(Token::Other("a string"))),
            b'{' => Some(self.end(Token::Other("an object"))),
            _ => {
                let len = bytes[start..]
                    .iter()
                    .position(|byte| matches!(byte, b',' | b']' | b' ' | b'\n' | b'\t' | b'\r'));
                self.position = len.map_or(bytes.len(), |len| start + len);
                Some(Token::Scalar(&self.text[start..self.position]))
            }
        }
    }
}

impl<'a> Scanner<'a> {
    fn end(&mut self, token: Token<'a>) -> Token<'a> {
        self.position = self.text.len();
        token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_values_and_brackets() {
        use Token::{Close, Open, Other, Scalar};
        let tokens: Vec<Token<'_>> = Scanner::new("[ [1,-2.5e3 ],\n[true,\"]\", 7]]").collect();
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
        assert_eq!(tokens, expected);
        assert_eq!(Scanner::new("42").collect::<Vec<_>>(), [Scalar("42")]);
    }
}
