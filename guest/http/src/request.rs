//! A request, wherever it comes from.

/// What a request wants to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// `GET`.
    Get,
    /// `HEAD`: what `GET` does, without the body of the answer.
    Head,
    /// `POST`.
    Post,
    /// Any other.
    Other,
}

/// A request, of which nothing is fetched that nobody asks for.
pub trait Request {
    /// Returns the method.
    fn method(&self) -> Method;

    /// Returns the path, with a query if there is one.
    fn path(&self) -> String;

    /// Returns the first value of a header, whose name is in lower case.
    fn header(&self, name: &str) -> Option<Vec<u8>>;

    /// Appends to `buffer` what has come of the body, at least one byte and at most as much as its capacity allows; waits until
    /// there is some. Returns `false` at the end of the body, and appends nothing then.
    ///
    /// # Errors
    /// If the rest of the body does not come.
    fn read(&mut self, buffer: &mut Vec<u8>) -> Result<bool, Truncated>;
}

/// A body that ends before its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Truncated;
