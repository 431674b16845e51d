//! Bodies of requests, within limits.

use crate::error::{HttpError, HttpErrorKind};
use crate::request::{Request, Truncated};

/// The longest body of a request, in bytes; a longer one is refused with 413.
pub const MAX_BODY_BYTES: usize = 64 << 20;

/// Where it is not said how long a body is, it gets so much memory at first, and twice as much whenever that is full.
const FIRST_BYTES: usize = 64 << 10;

/// Reads a body of at most `max_bytes`, straight to where it stays.
///
/// A body whose header says that it is longer is refused before it is read, another one when it turns out to be.
///
/// # Errors
/// If it is compressed or longer than it may be, or ends before its end.
pub fn read(request: &mut impl Request, max_bytes: usize) -> Result<Vec<u8>, HttpError> {
    check_encoding(request)?;
    let len = request
        .header("content-length")
        .and_then(|len| str::from_utf8(&len).ok()?.parse::<u64>().ok());
    match len {
        Some(len) if len > max_bytes as u64 => Err(too_large(max_bytes)),
        Some(len) => read_exactly(request, len as usize),
        None => read_to_end(request, max_bytes),
    }
}

fn read_exactly(request: &mut impl Request, len: usize) -> Result<Vec<u8>, HttpError> {
    let mut body = Vec::with_capacity(len);
    // Behind so many bytes there are none, so nobody has to wait for the end.
    while body.len() < len {
        if !request.read(&mut body)? {
            return Err(Truncated.into());
        }
    }
    Ok(body)
}

fn read_to_end(request: &mut impl Request, max_bytes: usize) -> Result<Vec<u8>, HttpError> {
    let mut body = Vec::new();
    loop {
        if body.len() == body.capacity() {
            // A byte more than there may be tells one that is too long.
            let room = body.len().max(FIRST_BYTES).min(max_bytes + 1 - body.len());
            body.reserve_exact(room);
        }
        if !request.read(&mut body)? {
            return Ok(body);
        }
        if body.len() > max_bytes {
            return Err(too_large(max_bytes));
        }
    }
}

fn check_encoding(request: &impl Request) -> Result<(), HttpError> {
    match request.header("content-encoding") {
        Some(encoding) if !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity") => {
            let encoding = String::from_utf8_lossy(&encoding);
            let message = format!("expected a body that is not compressed, found {encoding:?}");
            Err(HttpError::new(HttpErrorKind::ContentEncoding, message))
        }
        _ => Ok(()),
    }
}

fn too_large(max_bytes: usize) -> HttpError {
    let message = format!("expected a body of at most {max_bytes} bytes, found more");
    HttpError::new(HttpErrorKind::TooLarge, message)
}

impl From<Truncated> for HttpError {
    fn from(_: Truncated) -> Self {
        Self::new(HttpErrorKind::Malformed, "the body ends before its end")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Body, FakeRequest};

    const MAX_BYTES: usize = 200_000;

    fn read_in_chunks(len: usize, chunk: usize, header: Option<usize>) -> Result<usize, String> {
        let bytes = Vec::from_iter((0..len).map(|index| index as u8));
        let mut request = FakeRequest::post("/", bytes.clone());
        request.chunk = chunk;
        if let Some(header) = header {
            request = request.with("content-length", &header.to_string());
        }
        let body = read(&mut request, MAX_BYTES).map_err(|error| format!("{error:?}"))?;
        assert_eq!(
            body,
            bytes[..body.len()],
            "{len} bytes in chunks of {chunk}"
        );
        Ok(body.len())
    }

    #[test]
    fn bodies_are_read_whole() {
        for len in [0, 1, FIRST_BYTES, FIRST_BYTES + 1, MAX_BYTES - 1, MAX_BYTES] {
            for chunk in [1000, FIRST_BYTES, usize::MAX] {
                assert_eq!(read_in_chunks(len, chunk, None), Ok(len));
                assert_eq!(read_in_chunks(len, chunk, Some(len)), Ok(len));
            }
        }
    }

    #[test]
    fn longer_bodies_are_refused() {
        for chunk in [1000, usize::MAX] {
            let error = read_in_chunks(MAX_BYTES + 1, chunk, None).unwrap_err();
            assert!(error.contains("TooLarge"), "{error}");
            assert!(
                error.contains("expected a body of at most 200000 bytes, found more"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_body_that_says_to_be_longer_is_not_read() {
        for len in ["200001", "18446744073709551615"] {
            let mut request = FakeRequest::post("/", vec![0; 10]).with("content-length", len);
            let error = read(&mut request, MAX_BYTES).unwrap_err();
            assert_eq!(error.kind(), HttpErrorKind::TooLarge);
            assert_eq!(request.reads, 0);
        }
    }

    #[test]
    fn memory_is_taken_as_bytes_come_and_not_as_they_are_promised() {
        let mut request = FakeRequest::post("/", vec![7; 10]).with("content-length", "junk");
        let body = read(&mut request, MAX_BYTES).unwrap();
        assert_eq!((body.len(), body.capacity()), (10, FIRST_BYTES));
    }

    #[test]
    fn a_body_that_does_not_come_is_an_error() {
        let error = read_in_chunks(10, 4, Some(11)).unwrap_err();
        assert!(error.contains("the body ends before its end"), "{error}");
        let mut request = FakeRequest::post("/", vec![0; 10]);
        request.body = Body::Breaks(request.body.bytes());
        let error = read(&mut request, MAX_BYTES).unwrap_err();
        assert_eq!(error.kind(), HttpErrorKind::Malformed);
    }

    #[test]
    fn what_is_compressed_is_refused() {
        for (encoding, is_read) in [
            ("gzip", false),
            ("identity, gzip", false),
            ("identity", true),
            ("Identity", true),
            ("", true),
        ] {
            let mut request = FakeRequest::post("/", vec![]).with("content-encoding", encoding);
            let body = read(&mut request, MAX_BYTES);
            assert_eq!(body.is_ok(), is_read, "{encoding}");
        }
    }
}
