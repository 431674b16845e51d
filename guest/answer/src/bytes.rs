//! Makes the input of a model that looks at the two ends of any file.

use std::iter;

use tensorlet_tensor::{NamedTensor, Tensor};

use crate::InvalidFile;
use crate::model_toml::BytesInput;

impl BytesInput {
    pub(crate) fn inputs(&self, file: &[u8]) -> Result<Vec<NamedTensor>, InvalidFile> {
        let (first, last) = self.blocks(file);
        let begin = trim_start(first);
        let begin = &begin[..begin.len().min(self.begin as usize)];
        let end = trim_end(last);
        let end = &end[end.len().saturating_sub(self.end as usize)..];

        let padding = |missing: usize| iter::repeat_n(self.padding, missing);
        let values: Vec<i32> = begin
            .iter()
            .map(|&byte| i32::from(byte))
            .chain(padding(self.begin as usize - begin.len()))
            .chain(padding(self.end as usize - end.len()))
            .chain(end.iter().map(|&byte| i32::from(byte)))
            .collect();
        let tensor = Tensor::from_values(vec![1, self.begin + self.end], &values)
            .expect("`begin` and `end` values were collected");
        Ok(vec![(self.input.clone(), tensor)])
    }

    /// Reports whether the bytes that are looked at are valid UTF-8, but for characters cut by a block's edge.
    pub(crate) fn is_text(&self, file: &[u8]) -> bool {
        let (first, last) = self.blocks(file);
        let is_cut = file.len() > first.len();

        let first_is_text = match str::from_utf8(first) {
            Ok(_) => true,
            Err(error) => is_cut && error.error_len().is_none(),
        };
        let rest_of_character = last
            .iter()
            .take(3)
            .take_while(|&&byte| is_cut && byte & 0b1100_0000 == 0b1000_0000);
        first_is_text && str::from_utf8(&last[rest_of_character.count()..]).is_ok()
    }

    /// Returns the first and the last `block` bytes, which may overlap.
    fn blocks<'a>(&self, file: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let len = file.len().min(self.block as usize);
        (&file[..len], &file[file.len() - len..])
    }
}

/// What Python's `bytes.strip` takes off: with the vertical tab, other than `u8::is_ascii_whitespace`.
fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn trim_start(bytes: &[u8]) -> &[u8] {
    let white = bytes.iter().take_while(|&&byte| is_white_space(byte));
    &bytes[white.count()..]
}

fn trim_end(bytes: &[u8]) -> &[u8] {
    let white = bytes.iter().rev().take_while(|&&byte| is_white_space(byte));
    &bytes[..bytes.len() - white.count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDS: (u32, u32) = (4, 3);

    fn bytes_input(block: u32) -> BytesInput {
        BytesInput {
            input: "bytes".into(),
            begin: ENDS.0,
            end: ENDS.1,
            block,
            padding: -1,
        }
    }

    fn values(block: u32, file: &[u8]) -> Vec<i32> {
        let inputs = bytes_input(block).inputs(file).unwrap();
        assert_eq!(inputs[0].0, "bytes");
        assert_eq!(inputs[0].1.type_text(), "i32[1, 7]");
        inputs[0].1.to_values().unwrap()
    }

    #[test]
    fn takes_both_ends() {
        assert_eq!(values(8, b"abcdefghijkl"), b"abcdjkl".map(i32::from));
    }

    #[test]
    fn white_space_is_stripped_within_the_block_only() {
        assert_eq!(
            values(6, b" \t\n\x0b\x0cabcdef\r      "),
            [i32::from(b'a'), -1, -1, -1, -1, -1, -1],
            "five of the first six bytes and all of the last six are white"
        );
    }

    #[test]
    fn short_files_are_padded_inside() {
        let (a, b) = (i32::from(b'a'), i32::from(b'b'));
        assert_eq!(values(8, b"\nab\n"), [a, b, 10, -1, 10, a, b]);
        assert_eq!(values(8, b""), [-1; 7]);
    }

    #[test]
    fn text_is_what_is_valid_utf_8_where_it_is_looked_at() {
        let is_text = |file: &[u8]| bytes_input(5).is_text(file);
        assert!(is_text(b""));
        assert!(is_text("äöü…äöü".as_bytes()), "cut at both edges");
        assert!(is_text(b"12345\xff12345"), "a byte that is not looked at");
        assert!(!is_text(b"1\xff345 and more"));
        assert!(!is_text(b"and more 12\xff45"));
        assert!(!is_text(b"12\xc3"), "the file ends within a character");
        assert!(!is_text(b"\xa412"), "the file starts within a character");
        assert!(
            !is_text(b"more \x80\x80\x80\x80."),
            "no character is so long"
        );
    }
}
