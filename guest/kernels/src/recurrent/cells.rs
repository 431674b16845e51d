//! What cells make of the sums of their gates.

#![expect(
    unsafe_code,
    reason = "vectors are read and written at pointers, having checked the slice"
)]

use crate::isa::{Isa, Vectorised};
use crate::simd::Simd;
use crate::unary;

/// The rows of a step, one for each of the batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    pub(super) hidden: usize,
    pub(super) batch: usize,
    /// The distance between rows of gates.
    pub(super) width: usize,
    /// What gates make of the inputs.
    pub(super) inputs: &'a [f32],
    pub(super) lengths: Option<&'a [i32]>,
    pub(super) step: usize,
}

impl Rows<'_> {
    /// Reports whether a sequence has this step.
    #[inline(always)]
    fn has_step(&self, row: usize) -> bool {
        match self.lengths {
            Some(lengths) => self.step < lengths[row].max(0) as usize,
            None => true,
        }
    }
}

/// Reads `count ≤ LANES` numbers.
#[inline(always)]
fn read<S: Simd>(simd: S, from: &[f32], at: usize, count: usize) -> S::F32 {
    let from = &from[at..][..count];
    // SAFETY: the slice has `count` numbers.
    unsafe {
        if count == S::LANES {
            simd.load(from.as_ptr())
        } else {
            simd.load_first(from.as_ptr(), count)
        }
    }
}

/// Writes `count ≤ LANES` numbers.
#[inline(always)]
fn write<S: Simd>(simd: S, to: &mut [f32], at: usize, count: usize, numbers: S::F32) {
    let to = &mut to[at..][..count];
    // SAFETY: the slice has `count` numbers.
    unsafe {
        if count == S::LANES {
            simd.store(to.as_mut_ptr(), numbers);
        } else {
            simd.store_first(to.as_mut_ptr(), numbers, count);
        }
    }
}

/// The simple cell: `h = tanh(sum)`.
pub(super) fn tanh(isa: Isa, rows: &Rows<'_>, states: &[f32], h: &mut [f32]) {
    isa.run(Tanh { rows, states, h });
}

struct Tanh<'a> {
    rows: &'a Rows<'a>,
    states: &'a [f32],
    h: &'a mut [f32],
}

impl Vectorised for Tanh<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let &Rows { hidden, width, .. } = self.rows;
        for row in 0..self.rows.batch {
            if !self.rows.has_step(row) {
                continue;
            }
            for i in (0..hidden).step_by(S::LANES) {
                let count = (hidden - i).min(S::LANES);
                let input = read(simd, self.rows.inputs, row * width + i, count);
                let state = read(simd, self.states, row * width + i, count);
                let h = unary::tanh(simd, simd.add(input, state));
                write(simd, self.h, row * hidden + i, count, h);
            }
        }
    }
}

/// The LSTM cell, with gates input, output, forget, cell and peepholes for the first three.
pub(super) fn lstm(
    isa: Isa,
    rows: &Rows<'_>,
    states: &[f32],
    peepholes: Option<&[f32]>,
    h: &mut [f32],
    c: &mut [f32],
) {
    isa.run(Lstm {
        rows,
        states,
        peepholes,
        h,
        c,
    });
}

struct Lstm<'a> {
    rows: &'a Rows<'a>,
    states: &'a [f32],
    peepholes: Option<&'a [f32]>,
    h: &'a mut [f32],
    c: &'a mut [f32],
}

impl Lstm<'_> {
    /// Returns a gate's sum, with a peephole to `c` if it has one.
    #[inline(always)]
    fn gate<S: Simd>(
        &self,
        simd: S,
        at: usize,
        count: usize,
        peephole: usize,
        c: S::F32,
    ) -> S::F32 {
        let input = read(simd, self.rows.inputs, at, count);
        let sum = simd.add(input, read(simd, self.states, at, count));
        match self.peepholes {
            Some(weights) => simd.mul_add(read(simd, weights, peephole, count), c, sum),
            None => sum,
        }
    }
}

impl Vectorised for Lstm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let &Rows { hidden, width, .. } = self.rows;
        for row in 0..self.rows.batch {
            if !self.rows.has_step(row) {
                continue;
            }
            for i in (0..hidden).step_by(S::LANES) {
                let count = (hidden - i).min(S::LANES);
                let at = row * width + i;
                let c = read(simd, self.c, row * hidden + i, count);
                let input = self.gate(simd, at, count, i, c);
                let forget = self.gate(simd, at + 2 * hidden, count, 2 * hidden + i, c);
                let cell_at = at + 3 * hidden;
                let cell = read(simd, self.rows.inputs, cell_at, count);
                let cell = simd.add(cell, read(simd, self.states, cell_at, count));
                let kept = simd.mul(unary::sigmoid(simd, forget), c);
                let cell = unary::tanh(simd, cell);
                let c = simd.mul_add(unary::sigmoid(simd, input), cell, kept);
                let output = self.gate(simd, at + hidden, count, hidden + i, c);
                let h = simd.mul(unary::sigmoid(simd, output), unary::tanh(simd, c));
                write(simd, self.c, row * hidden + i, count, c);
                write(simd, self.h, row * hidden + i, count, h);
            }
        }
    }
}

/// The first half of a GRU cell that applies the reset gate to the state: makes the update gate, in its place in `states`, and
/// what the reset gate leaves of the state.
///
/// `states` comes with the distance between its rows.
pub(super) fn reset_state(
    isa: Isa,
    rows: &Rows<'_>,
    (states, states_width): (&mut [f32], usize),
    h: &[f32],
    reset: &mut [f32],
) {
    isa.run(Gates {
        rows,
        states,
        states_width,
        reset: Reset::State { h, reset },
    });
}

/// The first half of a GRU cell that applies the reset gate to a product: makes the update gate and what the reset gate leaves of the
/// product, in their places in `states`.
pub(super) fn reset_product(isa: Isa, rows: &Rows<'_>, states: &mut [f32], bias: Option<&[f32]>) {
    isa.run(Gates {
        rows,
        states,
        states_width: rows.width,
        reset: Reset::Product { bias },
    });
}

/// What a reset gate is applied to.
enum Reset<'a> {
    State { h: &'a [f32], reset: &'a mut [f32] },
    Product { bias: Option<&'a [f32]> },
}

struct Gates<'a> {
    rows: &'a Rows<'a>,
    states: &'a mut [f32],
    states_width: usize,
    reset: Reset<'a>,
}

impl Vectorised for Gates<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let &Rows { hidden, width, .. } = self.rows;
        for row in 0..self.rows.batch {
            for i in (0..hidden).step_by(S::LANES) {
                let count = (hidden - i).min(S::LANES);
                let (input_at, at) = (row * width + i, row * self.states_width + i);
                let update = read(simd, self.rows.inputs, input_at, count);
                let update = simd.add(update, read(simd, self.states, at, count));
                write(simd, self.states, at, count, unary::sigmoid(simd, update));
                let gate = read(simd, self.rows.inputs, input_at + hidden, count);
                let gate = simd.add(gate, read(simd, self.states, at + hidden, count));
                let gate = unary::sigmoid(simd, gate);
                match &mut self.reset {
                    Reset::State { h, reset } => {
                        let state = read(simd, h, row * hidden + i, count);
                        write(simd, reset, row * hidden + i, count, simd.mul(gate, state));
                    }
                    Reset::Product { bias } => {
                        let mut product = read(simd, self.states, at + 2 * hidden, count);
                        if let Some(bias) = bias {
                            product = simd.add(product, read(simd, bias, i, count));
                        }
                        let product = simd.mul(gate, product);
                        write(simd, self.states, at + 2 * hidden, count, product);
                    }
                }
            }
        }
    }
}

/// The second half of a GRU cell: `h = (1 - update) × tanh(candidate) + update × h`.
///
/// `updates` come with the distance between their rows, `candidates` also with where the first one begins.
pub(super) fn update(
    isa: Isa,
    rows: &Rows<'_>,
    updates: (&[f32], usize),
    candidates: (&[f32], usize, usize),
    h: &mut [f32],
) {
    isa.run(Update {
        rows,
        updates,
        candidates,
        h,
    });
}

struct Update<'a> {
    rows: &'a Rows<'a>,
    updates: (&'a [f32], usize),
    candidates: (&'a [f32], usize, usize),
    h: &'a mut [f32],
}

impl Vectorised for Update<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let &Rows { hidden, width, .. } = self.rows;
        let (updates, updates_width) = self.updates;
        let (candidates, candidates_width, candidates_begin) = self.candidates;
        for row in 0..self.rows.batch {
            if !self.rows.has_step(row) {
                continue;
            }
            for i in (0..hidden).step_by(S::LANES) {
                let count = (hidden - i).min(S::LANES);
                let update = read(simd, updates, row * updates_width + i, count);
                let at = candidates_begin + row * candidates_width + i;
                let input = read(simd, self.rows.inputs, row * width + 2 * hidden + i, count);
                let candidate = simd.add(input, read(simd, candidates, at, count));
                let candidate = unary::tanh(simd, candidate);
                let h = read(simd, self.h, row * hidden + i, count);
                let fresh = simd.mul(simd.sub(simd.splat(1.0), update), candidate);
                let h = simd.mul_add(update, h, fresh);
                write(simd, self.h, row * hidden + i, count, h);
            }
        }
    }
}
