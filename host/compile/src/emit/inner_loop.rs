//! The loop that multiplies and adds.
//!
//! Plain code for it runs at half of the speed (bench `tiles`), because of how Cranelift translates it for x86-64:
//!
//! 1. Loads keep their order, all else moves down to where its value is asked for, at the end of the block. A load joins the
//!    instruction that uses it (`vbroadcastss (mem)`) only if that is its one use, directly and indirectly, and if loads are used
//!    in the order they are written in.
//! 2. The fused multiply-add replaces one of its factors, never the sum. A factor that is used again must be copied, and each sum
//!    ends in another register than it began in: loops are full of sums that move back.
//! 3. Where calls can be interrupted, a loop looks at a counter each turn, and all sums are in memory when it does.
//!
//! So the loop is written like this, for two sums a row (`A` and `B` are the sums, `T` is one more register):
//!
//! ```text
//! loop
//!   if no turns are left: leave
//!   if always
//!     T  ← x[0].0 · w.0 + A0      x[0].0 is loaded for each sum anew, which costs no more than a copy
//!     A0 ← x[0].0 · w.1 + B0      and leaves A0 free …
//!     B0 ← x[1].0 · w.0 + A1
//!     …
//!   else                          never taken, but makes this the end of a block
//!     sums change places
//!   if always
//!     …
//!     B0 ← x[1].1 · w.0 + A1      backwards: each sum finds the register free that it began in
//!     A0 ← x[0].1 · w.1 + B0
//!   else
//!     sums change places
//!   …                             16 of these steps, or 8
//!   x, w ← x + 64, w + 1024
//! ```
//!
//! - The loop is left at its top, so that sums have one use in it.
//! - The condition that always holds is one that the compiler cannot know. Values that meet after an `if` are parameters of the
//!   block that follows. They get the register of the sum that they would be in the `else`: hence the change of places.
//! - Parameters are in the order in which they are first asked for, and the values for them are computed in that order: hence
//!   locals that are read and dropped.
//! - Two loads of one address are made one, unless their types differ or their address is another variable.
//! - Zen 4 loads two vectors a cycle, and two vectors are what the multiplications take: so one row is loaded once, as
//!   integers, which is another unit's work.
//! - Segments that are multiples of 16, such as blocks of channels, have a loop of their own, of half as many turns: what a turn takes by itself is
//!   a quarter of the time of 8 steps where calls can be interrupted. Segments that are no multiples of 8 have loops of their own as well. One for
//!   all would not find enough registers.

use wasm_encoder::{BlockType, InstructionSink, MemArg};

/// The bytes of a vector.
pub(super) const VECTOR_BYTES: u32 = 16;

/// How many elements of a row a turn takes in segments that are multiples of so many.
pub(super) const TURNS: [u32; 2] = [16, 8];

/// How many elements a turn takes in other segments.
const SHORT_TURN: u32 = 4;

/// The distance in bytes between the weights of one element of a row and those of the next.
const WEIGHTS_STRIDE_BYTES: u32 = 64;

/// The fields of `tensorlet_kernels::tile::Segment`, by offset in bytes.
pub(super) mod segment {
    pub(in super::super) const OFFSET: u32 = 0;
    pub(in super::super) const LEN: u32 = 4;
    pub(in super::super) const BYTES: u32 = 8;
}

/// How the loop is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// Rows of a tile.
    pub(super) rows: u32,
    /// The distance in bytes between rows.
    pub(super) row_stride_bytes: u32,
    /// Vectors of channels.
    pub(super) vectors: u32,
    /// How many sums there are of each number of the tile, added up in the end: few sums would wait for each other.
    pub(super) sets: u32,
    /// How many of the rows are loaded once, not once for each vector of channels.
    shared: u32,
}

impl Form {
    /// Returns the fastest form.
    pub(super) fn new(rows: u32, row_stride_bytes: u32, vectors: u32) -> Self {
        // A multiplication takes 4 cycles, and two begin in each.
        let sets = 8_u32.div_ceil(rows * vectors).next_power_of_two().min(4);
        Self {
            rows,
            row_stride_bytes,
            vectors,
            sets,
            shared: 1,
        }
    }

    /// Returns how many sums there are in a set.
    pub(super) fn sums(&self) -> u32 {
        self.rows * self.vectors
    }

    /// Whether an element is loaded more often than types tell its loads apart.
    fn needs_x_again(&self) -> bool {
        self.vectors > 2
    }
}

/// The variables of the loop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Locals {
    /// A number that is a multiple of 4.
    pub(super) multiple_of_4: u32,
    /// Where the first row begins.
    pub(super) lhs: u32,
    /// The next segment. Moves on.
    pub(super) segment: u32,
    /// Where segments end.
    pub(super) segments_end: u32,
    /// Where the next element of the first row is. Moves on.
    pub(super) x: u32,
    /// The same again.
    pub(super) x_again: u32,
    /// Where the elements of the segment end.
    pub(super) x_end: u32,
    /// How many turns are left, or where they end.
    pub(super) turns: u32,
    /// Where the next weights are. Moves on.
    pub(super) weights: u32,
    /// The first of `rows` integers.
    pub(super) elements: u32,
    /// The first of `vectors` vectors.
    pub(super) factors: u32,
    /// The first of `sets × rows × vectors` sums.
    pub(super) sums: u32,
}

/// Writes the loop: adds to the sums the products of the elements of all segments with their weights.
pub(super) struct InnerLoop<'a, 'b> {
    pub(super) code: &'a mut InstructionSink<'b>,
    pub(super) form: Form,
    pub(super) locals: Locals,
}

impl InnerLoop<'_, '_> {
    /// For segments that are multiples of `turn` elements; `turns` counts how many there are.
    ///
    /// `segment`, `turns` and `weights` are set.
    pub(super) fn write_turns(&mut self, turn: u32) {
        let Locals {
            x, x_end, turns, ..
        } = self.locals;
        for local in [x, x_end] {
            self.code.i32_const(0).local_set(local);
        }
        self.code.block(BlockType::Empty).loop_(BlockType::Empty);
        self.ask_as_computed(turn);
        self.code.local_get(turns).i32_eqz().br_if(1);
        self.code.local_get(x).local_get(x_end).i32_eq();
        self.code.if_(BlockType::Empty);
        self.write_next_segment();
        self.code.end();
        self.write_steps(turn);
        self.code.local_get(turns).i32_const(1).i32_sub();
        self.code.local_set(turns).br(0).end().end();
    }

    /// For segments of any length.
    ///
    /// `segment`, `segments_end` and `weights` are set.
    pub(super) fn write_any(&mut self) {
        let Locals {
            x, x_end, turns, ..
        } = self.locals;
        self.code.loop_(BlockType::Empty);
        self.write_next_segment();
        self.code.local_get(x);
        self.code.local_get(x_end).local_get(x).i32_sub();
        self.code.i32_const(-4 * SHORT_TURN.cast_signed()).i32_and();
        self.code.i32_add().local_set(turns);
        self.code.block(BlockType::Empty).loop_(BlockType::Empty);
        self.ask_as_computed(SHORT_TURN);
        self.code.local_get(x).local_get(turns).i32_eq().br_if(1);
        self.write_steps(SHORT_TURN);
        self.code.br(0).end().end();
        for steps in [2_u32, 1] {
            self.code.local_get(x_end).local_get(x).i32_sub();
            self.code.i32_const(4 * steps.cast_signed()).i32_and();
            self.code.if_(BlockType::Empty);
            self.write_steps(steps);
            self.code.end();
            self.ask_as_computed(steps);
        }
        self.code.local_get(self.locals.segment);
        self.code.local_get(self.locals.segments_end);
        self.code.i32_ne().br_if(0).end();
    }

    /// Goes on to the next segment.
    fn write_next_segment(&mut self) {
        let Locals { segment, x, .. } = self.locals;
        self.code.local_get(self.locals.lhs);
        self.code.local_get(segment).i32_load(at(segment::OFFSET));
        self.code.i32_add().local_tee(x);
        self.code.local_get(segment).i32_load(at(segment::LEN));
        self.code.i32_const(2).i32_shl();
        self.code.i32_add().local_set(self.locals.x_end);
        if self.form.needs_x_again() {
            self.code.local_get(x).local_set(self.locals.x_again);
        }
        self.move_on(segment, segment::BYTES);
    }

    /// Writes the multiplications of some elements of each row, a power of two of them, and moves on.
    fn write_steps(&mut self, steps: u32) {
        for step in 0..steps {
            let order = self.order(step);
            if step + 1 == steps {
                // The block ends here anyway.
                self.write_step(step, &order);
                break;
            }
            self.code.local_get(self.locals.multiple_of_4);
            self.code.i32_const(3).i32_and().i32_eqz();
            self.code.if_(BlockType::Empty);
            self.write_step(step, &order);
            self.code.else_();
            self.write_never(&order);
            self.code.end();
            self.ask_for(&order);
        }
        self.move_on(self.locals.weights, steps * WEIGHTS_STRIDE_BYTES);
        self.move_on(self.locals.x, 4 * steps);
        if self.form.needs_x_again() {
            self.move_on(self.locals.x_again, 4 * steps);
        }
    }

    /// Returns the sums of a step, by local, in the order in which it computes them. Sets take turns of two steps.
    fn order(&self, step: u32) -> Vec<u32> {
        let set = step / 2 % self.form.sets;
        let first = self.locals.sums + set * self.form.sums();
        let sums = first..first + self.form.sums();
        match step % 2 {
            0 => sums.collect(),
            _ => sums.rev().collect(),
        }
    }

    /// Writes the multiplications of one element of each row, in the order of these sums.
    fn write_step(&mut self, element: u32, order: &[u32]) {
        let Self { form, locals, .. } = *self;
        for vector in 0..form.vectors {
            self.code.local_get(locals.weights);
            self.code
                .v128_load(at(element * WEIGHTS_STRIDE_BYTES + vector * VECTOR_BYTES));
            self.code.local_set(locals.factors + vector);
        }
        let address = |row: u32| at(row * form.row_stride_bytes + 4 * element);
        for row in 0..form.shared {
            self.code.local_get(locals.x).i32_load(address(row));
            self.code.local_set(locals.elements + row);
        }
        for &sum in order {
            let index = (sum - locals.sums) % form.sums();
            let (row, vector) = (index / form.vectors, index % form.vectors);
            let x = if vector < 2 { locals.x } else { locals.x_again };
            if form.rows == 1 {
                // The first factor is replaced, and here weights are used but once.
                self.code.local_get(locals.factors + vector);
            }
            if row < form.shared {
                self.code.local_get(locals.elements + row).i32x4_splat();
            } else if vector % 2 == 0 {
                self.code.local_get(x).v128_load32_splat(address(row));
            } else {
                self.code.local_get(x).f32_load(address(row));
                self.code.f32x4_splat();
            }
            if form.rows > 1 {
                self.code.local_get(locals.factors + vector);
            }
            self.code.local_get(sum).f32x4_relaxed_madd();
            self.code.local_set(sum);
        }
    }

    /// Writes what never happens.
    fn write_never(&mut self, order: &[u32]) {
        if self.form.rows == 1 {
            // Sums end in the registers of weights. They may stay there.
            for &sum in order {
                self.code.v128_const(0).local_set(sum);
            }
            return;
        }
        for &sum in order {
            self.code.local_get(sum);
        }
        self.code.local_set(order[0]);
        for &sum in order[1..].iter().rev() {
            self.code.local_set(sum);
        }
    }

    /// Asks for the sums in the order in which these steps compute them last.
    fn ask_as_computed(&mut self, steps: u32) {
        for set in 0..self.form.sets.min(steps.div_ceil(2)) {
            self.ask_for(&self.order((2 * set + 1).min(steps - 1)));
        }
    }

    /// Makes block parameters of sums, in this order.
    fn ask_for(&mut self, order: &[u32]) {
        for &sum in order {
            self.code.local_get(sum).drop();
        }
    }

    fn move_on(&mut self, local: u32, bytes: u32) {
        self.code.local_get(local).i32_const(bytes.cast_signed());
        self.code.i32_add().local_set(local);
    }
}

/// The address of a number that is aligned to 4 bytes.
pub(super) fn at(offset_bytes: u32) -> MemArg {
    MemArg {
        offset: offset_bytes.into(),
        align: 2,
        memory_index: 0,
    }
}
