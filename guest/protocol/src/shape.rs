//! The `shape` of an input.

use tensorlet_tensor::MAX_RANK;

use super::error::Quoted;
use super::scan::{Scanner, Token};

/// What was expected and what was found, of an input whose name the caller of this module knows.
#[derive(Debug)]
pub(super) struct Mismatch {
    pub(super) expected: String,
    pub(super) found: String,
}

impl Mismatch {
    pub(super) fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            found: found.into(),
        }
    }
}

/// Reads dims from valid JSON.
pub(super) fn read(json: &str) -> Result<Vec<u32>, Mismatch> {
    let list = || "a shape, which is a list of dims";
    let mut tokens = Scanner::new(json);
    match tokens.next() {
        Some(Token::Open) => {}
        Some(Token::Other(other)) => return Err(Mismatch::new(list(), other)),
        _ => return Err(Mismatch::new(list(), Quoted(json).to_string())),
    }
    let mut dims = Vec::new();
    for token in tokens {
        let dim = match token {
            Token::Close => break,
            Token::Scalar(dim) => dim,
            Token::Open => return Err(Mismatch::new(list(), "a list in it")),
            Token::Other(other) => return Err(Mismatch::new(list(), format!("{other} in it"))),
        };
        if dims.len() == MAX_RANK {
            return Err(Mismatch::new(format!("at most {MAX_RANK} dims"), "more"));
        }
        let dim = dim.parse().map_err(|_| {
            let expected = format!("dims that are integers from 0 to {}", u32::MAX);
            Mismatch::new(expected, Quoted(dim).to_string())
        })?;
        dims.push(dim);
    }
    Ok(dims)
}

/// Returns how many elements a tensor has, or `None` if their bytes do not fit the address space.
pub(super) fn elements(dims: &[u32], width_bytes: usize) -> Option<usize> {
    if dims.contains(&0) {
        return Some(0);
    }
    let elements = dims.iter().try_fold(1usize, |elements, &dim| {
        elements.checked_mul(usize::try_from(dim).ok()?)
    })?;
    let bytes = elements.checked_mul(width_bytes)?;
    isize::try_from(bytes).is_ok().then_some(elements)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn reads_dims() {
        assert_eq!(read("[ 1, 3,0,4294967295 ]").unwrap(), [1, 3, 0, u32::MAX]);
        assert!(read("[]").unwrap().is_empty(), "a scalar has no dims");
        let longest = format!("[{}]", ["1"; MAX_RANK].join(","));
        assert_eq!(read(&longest).unwrap().len(), MAX_RANK);
    }

    #[test]
    fn says_what_is_wrong() {
        let longer = format!("[{}]", ["1"; MAX_RANK + 1].join(","));
        let shapes = [
            "3",
            "\"3\"",
            "{}",
            "null",
            "[-1, 3]",
            "[1.0]",
            "[1e2]",
            "[4294967296]",
            "[null]",
            "[[1]]",
            "[\"3\"]",
            &longer,
        ];
        let errors = shapes.map(|json| {
            let Mismatch { expected, found } = read(json).unwrap_err();
            format!("expected {expected}, found {found}")
        });
        expect![[r"
            expected a shape, which is a list of dims, found `3`
            expected a shape, which is a list of dims, found a string
            expected a shape, which is a list of dims, found an object
            expected a shape, which is a list of dims, found `null`
            expected dims that are integers from 0 to 4294967295, found `-1`
            expected dims that are integers from 0 to 4294967295, found `1.0`
            expected dims that are integers from 0 to 4294967295, found `1e2`
            expected dims that are integers from 0 to 4294967295, found `4294967296`
            expected dims that are integers from 0 to 4294967295, found `null`
            expected a shape, which is a list of dims, found a list in it
            expected a shape, which is a list of dims, found a string in it
            expected at most 16 dims, found more"]]
        .assert_eq(&errors.join("\n"));
    }

    #[test]
    fn products_that_overflow_are_none() {
        assert_eq!(elements(&[], 4), Some(1));
        assert_eq!(elements(&[2, 3], 8), Some(6));
        assert_eq!(elements(&[0, u32::MAX, u32::MAX, u32::MAX], 8), Some(0));
        assert_eq!(elements(&[u32::MAX, u32::MAX], 1), None, "an isize is less");
        assert_eq!(elements(&[u32::MAX, 1 << 30], 4), None);
        assert_eq!(elements(&[u32::MAX; 3], 1), None);
    }
}
