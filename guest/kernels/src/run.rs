//! What a bound kernel is.

use crate::crew::{Crew, Interrupted};
use crate::isa::Isa;
use crate::tile::EmittedTile;

/// What a kernel is bound for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The instruction set to use.
    pub isa: Isa,
    /// Functions that the compiler wrote for this plan; empty natively.
    pub tiles: &'a [EmittedTile],
}

impl Target<'static> {
    /// The best that this machine has.
    pub fn detect() -> Self {
        Self::of(Isa::detect())
    }

    /// A given instruction set.
    pub fn of(isa: Isa) -> Self {
        Self { isa, tiles: &[] }
    }
}

/// A kernel that knows the sizes of its tensors.
///
/// Running allocates nothing.
pub trait Run: Send + Sync {
    /// How many bytes of memory a thread needs for its own use.
    fn scratch_bytes(&self) -> usize {
        0
    }

    /// Computes the outputs.
    ///
    /// Slices hold the stored bytes of the types that the kernel was bound to, begin at multiples of 64 bytes (the caller's
    /// tensors too: the executor copies those that do not) and outputs overlap nothing. Outputs and scratch hold any bytes before;
    /// every byte of the outputs is written.
    ///
    /// Of `scratch`, each thread takes as many bytes as it needs, from a multiple of 64 on; no more threads work than that suffices
    /// for. The outputs are the same for all crews.
    ///
    /// # Errors
    /// If the data makes it impossible, such as an index out of range, or the call is interrupted. Outputs hold any bytes then.
    /// # Panics
    /// If a slice is not as long as it must be.
    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError>;
}

/// What computes outputs without elements.
#[derive(Debug)]
pub(crate) struct Nothing;

impl Run for Nothing {
    fn run(
        &self,
        _inputs: &[&[u8]],
        _outputs: &mut [&mut [u8]],
        _scratch: &mut [u8],
        _crew: Crew<'_>,
    ) -> Result<(), RunError> {
        Ok(())
    }
}

/// Why a kernel cannot be bound: there is none for these types, or they contradict each other.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub struct BindError {
    reason: String,
}

impl BindError {
    /// An error that says what was expected and what was found.
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
        }
    }
}

/// Why a kernel has not computed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The data makes it impossible.
    #[error("{0}")]
    Impossible(String),
    /// The call was interrupted.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl RunError {
    /// An error that says what was expected and what was found.
    pub fn new(reason: impl Into<String>) -> Self {
        Self::Impossible(reason.into())
    }
}
