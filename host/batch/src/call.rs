//! What is pushed into a batcher, and how it is named from then on.

use std::hash::{Hash, Hasher};
use std::num::NonZeroU32;
use std::time::Instant;

use tensorlet_tensor::{Bindings, Signature};

use crate::batcher::group::GroupId;

/// One call, as the batcher sees it.
#[derive(Clone, Debug)]
pub struct Call<C> {
    /// What comes back with the batch.
    pub carried: C,
    /// How many rows it has.
    pub rows: NonZeroU32,
    /// All other sizes; only calls with equal ones are joined.
    pub free_dims: FreeDims,
    /// When an answer is of no use any more.
    pub deadline: Option<Instant>,
    /// Its level, from 1 for the first; 0 is the default one, as is a level that there is not.
    pub priority: u32,
}

/// The sizes that a call chose for all symbols of a model but the batch symbol, in the order of their names.
///
/// Names and datum types of inputs and all other dims are equal in all calls that fit one signature.
#[derive(Clone, Debug, Default, Eq)]
pub struct FreeDims(Vec<u32>);

/// One by one: vectors without elements have no memory, and `memcmp` by masked loads is slow to find out that it may not look there.
impl PartialEq for FreeDims {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().eq(&other.0)
    }
}

impl Hash for FreeDims {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl FreeDims {
    /// Makes free dims of sizes in an order of the caller's.
    pub fn new(sizes: Vec<u32>) -> Self {
        Self(sizes)
    }

    /// Returns the rows and the free dims of a call with these `bindings`; one row if the model has no batch symbol.
    pub fn of(signature: &Signature, bindings: &Bindings) -> (NonZeroU32, Self) {
        let batch_symbol = signature.batch_symbol.as_deref();
        let rows = batch_symbol.and_then(|symbol| bindings.get(symbol));
        let free = bindings
            .iter()
            .filter(|(symbol, _)| Some(symbol.as_str()) != batch_symbol);
        // A symbol of size 0 does not bind.
        let rows = rows.and_then(|&rows| NonZeroU32::new(rows));
        (
            rows.unwrap_or(NonZeroU32::MIN),
            Self(free.map(|(_, &size)| size).collect()),
        )
    }
}

/// Names a call that was pushed, for as long as its batcher lives.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Ticket {
    pub(crate) place: Place,
    pub(crate) group: GroupId,
}

/// Where a call stands among those of its group: first the one that counts as queued first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Place {
    /// When it was queued, and later for a lower priority.
    pub(crate) rank: Instant,
    /// Tells calls of equal rank apart, in order of arrival; unlike any other call's.
    pub(crate) number: u64,
}

/// A call that was not let in.
#[derive(Clone, Debug)]
pub struct Shed<C> {
    /// What the call carried.
    pub carried: C,
    /// Why.
    pub reason: ShedReason,
}

/// Why a call was not let in.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ShedReason {
    /// As many calls wait as may.
    Full,
    /// More calls come than can be answered, and enough wait for now.
    Overloaded,
    /// The batcher drains.
    Draining,
    /// The deadline had passed.
    DeadlineExceeded,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_batch_symbol_and_all_other_symbols_are_free() {
        let spec = |text: &str| vec![text.parse().unwrap()];
        let bindings = [("H", 8), ("N", 3), ("W", 9)].map(|(name, size)| (name.into(), size));
        let bindings = Bindings::from(bindings);
        let batched = Signature::new(spec("x:f32[N,H,W]"), spec("y:f32[N]"));
        let (rows, free_dims) = FreeDims::of(&batched, &bindings);
        assert_eq!((rows.get(), free_dims), (3, FreeDims(vec![8, 9])));
        let unbatched = Signature::new(spec("x:f32[N,H,W]"), spec("y:f32[1]"));
        let (rows, free_dims) = FreeDims::of(&unbatched, &bindings);
        assert_eq!((rows.get(), free_dims), (1, FreeDims(vec![8, 3, 9])));
    }
}
