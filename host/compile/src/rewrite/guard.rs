//! Calls into tract, which may panic.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use tract_onnx::prelude::TractResult;

thread_local! {
    /// Whether panics of this thread are answers of tract's, and not for stderr.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    static MESSAGE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Calls tract; errors and panics become messages.
///
/// Panics of other threads, and of this one outside of such calls, are reported as before.
pub(crate) fn guarded<T>(call: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |info| {
            if GUARDED.get() {
                MESSAGE.set(Some(describe(info)));
            } else {
                usual(info);
            }
        }));
    });
    let outer = GUARDED.replace(true);
    // What `call` changed may be half done, so callers give up what it had a hold of.
    let outcome = catch_unwind(AssertUnwindSafe(call));
    GUARDED.set(outer);
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(format!("{error:#}")),
        Err(_) => Err(MESSAGE.take().unwrap_or_else(|| "tract panicked".into())),
    }
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or("no message");
    match info.location() {
        Some(location) => format!(
            "tract panicked at {}:{}: {message}",
            file_name(location.file()),
            location.line()
        ),
        None => format!("tract panicked: {message}"),
    }
}

/// Leaves out the folders above a crate's, which differ from machine to machine.
fn file_name(path: &str) -> &str {
    let crates = path.find("/tract-").or_else(|| path.rfind('/'));
    crates.map_or(path, |start| &path[start + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_become_messages() {
        let message = guarded::<()>(|| panic!("no such axis")).unwrap_err();
        assert!(
            message.starts_with("tract panicked at ") && message.ends_with(": no such axis"),
            "{message}"
        );
        assert_eq!(guarded(|| Ok(1)), Ok(1));
    }
}
