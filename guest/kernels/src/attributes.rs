//! How errors show the attributes of a kernel.

use std::fmt;

/// Shows attributes as they are; in WebAssembly, that there are some. Formatting them takes more code there than a kernel, and whoever compiled
/// the plan was told by the same kernel, natively.
#[cfg_attr(
    target_arch = "wasm32",
    expect(dead_code, reason = "nothing of it is shown")
)]
pub(crate) struct Attributes<'a, T>(pub(crate) &'a T);

#[cfg(not(target_arch = "wasm32"))]
impl<T: fmt::Debug> fmt::Display for Attributes<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(target_arch = "wasm32")]
impl<T> fmt::Display for Attributes<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("other attributes")
    }
}
