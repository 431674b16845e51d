//! How outputs are divided among threads.

use super::Crew;
use crate::run::RunError;

// In tests, what is small is divided as well.

/// Less work is not shared. Work is counted in about the nanoseconds that one thread of a fast machine takes.
#[cfg(not(target_arch = "wasm32"))]
const LEAST_SHARED: usize = if cfg!(test) { 2 } else { 10_000 };

/// A part is of so much work at least, if there is so much; many times what it takes to claim it.
#[cfg(not(target_arch = "wasm32"))]
const LEAST: usize = if cfg!(test) { 1 } else { 2_500 };

/// A part is of so much work at most, so that an interruption is noticed soon.
#[cfg(not(target_arch = "wasm32"))]
const MOST: usize = if cfg!(test) { 100 } else { 500_000 };

/// So many numbers, whole vectors and lines of the cache, are the unit where numbers are computed one by one.
pub(crate) const LINE: usize = if cfg!(test) { 16 } else { 1024 };

/// How many parts a thread computes about, so that all of them end at about the same time.
#[cfg(not(target_arch = "wasm32"))]
const PARTS: usize = 6;

#[cfg(not(target_arch = "wasm32"))]
impl Crew<'_> {
    /// Returns how many units a part should have, if one is of so much work: all of them, if they are not to be divided.
    pub(crate) fn step(self, units: usize, work: usize) -> usize {
        let work = work.max(1);
        let total = units.saturating_mul(work);
        let threads = self.size();
        let balanced = if threads == 1 || total < LEAST_SHARED {
            units
        } else {
            (units / threads.saturating_mul(PARTS)).max(LEAST.div_ceil(work))
        };
        let soon = match self.interrupt {
            Some(_) => MOST / work,
            None => usize::MAX,
        };
        balanced.min(soon).clamp(1, units.max(1))
    }

    /// Returns the crew that so much work is shared by: one thread, if it is little.
    pub(crate) fn for_work(self, work: usize) -> Self {
        if work < LEAST_SHARED {
            self.alone()
        } else {
            self
        }
    }

    /// Returns how many pieces each of some parts should be divided into, if one is of so much work.
    pub(crate) fn pieces(self, parts: usize, work: usize) -> usize {
        let threads = self.size();
        if threads == 1 || parts.saturating_mul(work) < LEAST_SHARED {
            return 1;
        }
        let wanted = threads.saturating_mul(PARTS).div_ceil(parts.max(1));
        wanted.min(work / LEAST).max(1)
    }

    /// Returns the scratch memory of each thread: so many elements.
    pub(crate) fn places<S: Send>(
        self,
        scratch: &mut [S],
        len: usize,
    ) -> impl Iterator<Item = &mut [S]> + Send {
        let stride = (len * size_of::<S>()).next_multiple_of(64) / size_of::<S>().max(1);
        let (places, nothing) = match len {
            // As many places as there are threads to take one.
            0 => (&mut [][..], usize::MAX),
            _ => (scratch, 0),
        };
        places
            .chunks_mut(stride.max(1))
            .filter_map(move |place| place.get_mut(..len))
            .chain(std::iter::repeat_with(<&mut [S]>::default).take(nothing))
    }

    /// Divides an output into pieces of whole units of `unit` elements, the last of which may have fewer, and computes them: `compute`
    /// is given the index of a piece's first unit, and the piece. `work` is that of a unit.
    ///
    /// # Errors
    /// That of the first piece that fails, or that the call is interrupted.
    pub(crate) fn divide<T: Send>(
        self,
        out: &mut [T],
        unit: usize,
        work: usize,
        compute: impl Fn(usize, &mut [T]) -> Result<(), RunError> + Sync,
    ) -> Result<(), RunError> {
        let unit = unit.max(1);
        let step = self.step(out.len().div_ceil(unit), work);
        let pieces = out.chunks_mut(step.saturating_mul(unit)).enumerate();
        // One piece is not worth waking anyone.
        let crew = if pieces.len() > 1 { self } else { self.alone() };
        crew.share(pieces, std::iter::repeat(()), |(index, out), ()| {
            compute(index * step, out)
        })
    }
}

#[cfg(target_arch = "wasm32")]
impl Crew<'_> {
    /// Returns the one thread.
    pub(crate) fn for_work(self, _work: usize) -> Self {
        self
    }

    /// Returns the scratch memory of the one thread.
    pub(crate) fn places<S: Send>(
        self,
        scratch: &mut [S],
        len: usize,
    ) -> impl Iterator<Item = &mut [S]> + Send {
        std::iter::once(&mut scratch[..len])
    }

    /// Computes an output: `compute` is given 0, and all of it.
    ///
    /// # Errors
    /// That of `compute`.
    #[inline(always)]
    pub(crate) fn divide<T: Send>(
        self,
        out: &mut [T],
        _unit: usize,
        _work: usize,
        compute: impl Fn(usize, &mut [T]) -> Result<(), RunError> + Sync,
    ) -> Result<(), RunError> {
        compute(0, out)
    }
}

/// What counts the work of a loop, and asks now and then whether to go on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace<'a> {
    #[cfg(not(target_arch = "wasm32"))]
    crew: Crew<'a>,
    #[cfg(not(target_arch = "wasm32"))]
    left: usize,
    #[cfg(target_arch = "wasm32")]
    nothing: std::marker::PhantomData<&'a ()>,
}

impl<'a> Pace<'a> {
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn of(crew: Crew<'a>) -> Self {
        Self { crew, left: MOST }
    }

    #[cfg(target_arch = "wasm32")]
    pub(crate) fn of(_crew: Crew<'a>) -> Self {
        Self {
            nothing: std::marker::PhantomData,
        }
    }

    /// Counts work that has been done.
    ///
    /// # Errors
    /// If the call is interrupted.
    #[inline(always)]
    pub(crate) fn count(&mut self, work: usize) -> Result<(), RunError> {
        #[cfg(not(target_arch = "wasm32"))]
        {
            self.left = match self.left.checked_sub(work) {
                Some(left) => left,
                None => {
                    self.crew.check()?;
                    MOST
                }
            };
        }
        let _ = work;
        Ok(())
    }

    /// Takes as many of the units that are left as may be computed before it is asked again whether to go on: all of them, if there is
    /// nothing to ask. `work` is that of a unit.
    ///
    /// # Errors
    /// If the call is interrupted.
    #[inline(always)]
    pub(crate) fn take(&mut self, left: &mut usize, work: usize) -> Result<usize, RunError> {
        #[cfg(not(target_arch = "wasm32"))]
        let units = match self.crew.interrupt {
            Some(_) => (*left).min((MOST / work.max(1)).max(1)),
            None => *left,
        };
        #[cfg(target_arch = "wasm32")]
        let units = *left;
        self.count(units.saturating_mul(work))?;
        *left -= units;
        Ok(units)
    }
}
