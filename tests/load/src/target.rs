//! What calls are made to, and what becomes of a call.

use std::borrow::Cow;

/// Something that answers calls.
///
/// Each thread of the generator makes a target of its own and calls it from tasks of its own, so neither a target nor
/// its futures need to be [`Send`]. The futures are polled inside of tokio, with a reactor and a timer, but need not know:
/// one that is woken from another thread fits as well.
///
/// A call that takes too long is dropped: whatever it holds must be given back by then.
pub(crate) trait Target: 'static {
    /// Makes a call, with the inputs that come round for call number `number`, and resolves when it has an outcome.
    fn call(&self, number: u64) -> impl Future<Output = Outcome>;

    /// Counts that only this target has, by name. Those of all threads are added. None by default.
    fn counts(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}

/// How a call ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// An answer came, and looked right.
    Answered,
    /// The call was refused, as those who are overloaded do. Says how.
    Refused(Kind),
    /// Anything else: no answer, a wrong one, or an error. Says which.
    Failed(Kind),
}

/// A few words that calls are counted by.
pub(crate) type Kind = Cow<'static, str>;

impl Outcome {
    /// A call without an answer in time.
    pub(crate) const TIMED_OUT: Self = Self::Failed(Cow::Borrowed("timeout"));

    /// Returns the words for a list of calls.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Answered => "answered".into(),
            Self::Refused(kind) => format!("refused: {kind}"),
            Self::Failed(kind) => format!("failed: {kind}"),
        }
    }
}
