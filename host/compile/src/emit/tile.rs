//! Functions that compute tiles of a product.
//!
//! `tensorlet_kernels::tile` says what such a function is given and what it computes.

use tensorlet_plan::TileSpec;
use wasm_encoder::{BlockType, Function, InstructionSink, ValType};

use super::inner_loop::{self, Form, InnerLoop, TURNS, VECTOR_BYTES, at, segment};

/// The most rows of a tile: more would not leave a register for anything else.
pub const MAX_ROWS: u32 = 14;

/// The fields of `tensorlet_kernels::tile::TileRun`, by offset in bytes.
mod run {
    pub(super) const LHS: u32 = 0;
    pub(super) const SEGMENTS: u32 = 4;
    pub(super) const SEGMENT_COUNT: u32 = 8;
    pub(super) const WEIGHTS: u32 = 12;
    pub(super) const BIAS: u32 = 16;
    pub(super) const RESIDUAL: u32 = 20;
    pub(super) const OUT: u32 = 24;
    pub(super) const TILES: u32 = 28;
    pub(super) const LOW: u32 = 32;
    pub(super) const HIGH: u32 = 36;
}

/// Writes the function that computes tiles of this kind: `fn(*const TileRun)`.
///
/// Fastest are 8 channels by 6 or 5 rows, and 16 channels where there is but one row. With more sums than 12 (rows × channels / 4)
/// registers run out.
///
/// # Errors
/// If there can be no such tile: of no rows or more than [`MAX_ROWS`], of other than 4, 8, 12 or 16 channels, or larger than memory.
pub fn tile_function(spec: &TileSpec) -> Result<Function, String> {
    check(spec)?;
    let form = Form::new(spec.rows, spec.lhs_stride_bytes, spec.channels / 4);
    let locals = Locals::new(&form);
    let mut function = Function::new([
        (locals.integer_count, ValType::I32),
        (locals.vector_count, ValType::V128),
    ]);
    let mut writer = Writer {
        code: function.instructions(),
        spec,
        form,
        locals,
    };
    writer.write();
    Ok(function)
}

fn check(spec: &TileSpec) -> Result<(), String> {
    let TileSpec { rows, channels, .. } = *spec;
    if !(1..=MAX_ROWS).contains(&rows) || !matches!(channels, 4 | 8 | 12 | 16) {
        return Err(format!(
            "expected a tile of 1 to {MAX_ROWS} rows and 4, 8, 12 or 16 channels, found {rows} rows and {channels} channels"
        ));
    }
    let stride_bytes = spec.lhs_stride_bytes.max(spec.out_stride_bytes);
    // Leaves room for the offset within a row, so that no offset exceeds 32 bits.
    let row_bytes = u64::from(stride_bytes) + u64::from(TURNS[0] * 4);
    if row_bytes * u64::from(rows) > u64::from(u32::MAX) {
        return Err(format!(
            "expected a tile that fits in memory, found {rows} rows {stride_bytes} bytes apart"
        ));
    }
    Ok(())
}

/// The variables of the function.
#[derive(Clone, Copy)]
struct Locals {
    /// The parameter.
    run: u32,
    residual: u32,
    out: u32,
    tiles: u32,
    /// How many elements all segments have.
    elements: u32,
    /// Not a multiple of a turn if a segment is not.
    all_lens: u32,
    low: u32,
    high: u32,
    inner: inner_loop::Locals,
    integer_count: u32,
    vector_count: u32,
}

impl Locals {
    fn new(form: &Form) -> Self {
        let mut next = 0;
        let mut take = |count: u32| {
            next += count;
            next - count
        };
        let run = take(1);
        let [residual, out, tiles, elements, all_lens] = [(); 5].map(|()| take(1));
        let [lhs, segment, segments_end] = [(); 3].map(|()| take(1));
        let [x, x_again, x_end, turns, weights] = [(); 5].map(|()| take(1));
        let row_elements = take(form.rows);
        let factors = take(form.vectors);
        let sums = take(form.sets * form.sums());
        let [low, high] = [(); 2].map(|()| take(1));
        Self {
            run,
            residual,
            out,
            tiles,
            elements,
            all_lens,
            low,
            high,
            inner: inner_loop::Locals {
                multiple_of_4: run,
                lhs,
                segment,
                segments_end,
                x,
                x_again,
                x_end,
                turns,
                weights,
                elements: row_elements,
                factors,
                sums,
            },
            integer_count: factors - 1,
            vector_count: next - factors,
        }
    }
}

struct Writer<'a> {
    code: InstructionSink<'a>,
    spec: &'a TileSpec,
    form: Form,
    locals: Locals,
}

impl Writer<'_> {
    fn write(&mut self) {
        for (local, field) in [
            (self.locals.inner.lhs, run::LHS),
            (self.locals.residual, run::RESIDUAL),
            (self.locals.out, run::OUT),
            (self.locals.tiles, run::TILES),
        ] {
            self.read(field);
            self.code.local_set(local);
        }
        self.write_count_elements();
        for turn in TURNS {
            self.code.local_get(self.locals.all_lens);
            self.code.i32_const((turn - 1).cast_signed()).i32_and();
            self.code.i32_eqz().if_(BlockType::Empty);
            self.write_tiles(turn, |inner| inner.write_turns(turn));
            self.code.else_();
        }
        self.write_tiles(1, |inner| inner.write_any());
        for _ in TURNS {
            self.code.end();
        }
        self.code.end();
    }

    /// Counts the elements of all segments.
    fn write_count_elements(&mut self) {
        let Locals {
            elements,
            all_lens,
            inner,
            ..
        } = self.locals;
        for local in [elements, all_lens] {
            self.code.i32_const(0).local_set(local);
        }
        self.write_first_segment();
        self.code.loop_(BlockType::Empty);
        self.code.local_get(inner.segment);
        self.code.i32_load(at(segment::LEN)).local_tee(inner.turns);
        self.code.local_get(all_lens).i32_or().local_set(all_lens);
        self.code.local_get(inner.turns);
        self.code.local_get(elements).i32_add();
        self.code.local_set(elements);
        self.code.local_get(inner.segment);
        self.code.i32_const(segment::BYTES.cast_signed()).i32_add();
        self.code.local_tee(inner.segment);
        self.code.local_get(inner.segments_end);
        self.code.i32_ne().br_if(0).end();
    }

    fn write_first_segment(&mut self) {
        let inner = self.locals.inner;
        self.read(run::SEGMENTS);
        self.code.local_tee(inner.segment);
        self.read(run::SEGMENT_COUNT);
        self.code.i32_const(segment::BYTES.cast_signed()).i32_mul();
        self.code.i32_add().local_set(inner.segments_end);
    }

    /// Writes the loop over tiles, of which `write_loop` writes the inner one, each of whose turns takes so many elements.
    fn write_tiles(&mut self, turn: u32, write_loop: impl FnOnce(&mut InnerLoop<'_, '_>)) {
        let Locals {
            tiles,
            elements,
            residual,
            out,
            inner,
            ..
        } = self.locals;
        self.code.loop_(BlockType::Empty);
        self.write_begin();
        self.read(run::WEIGHTS);
        self.code.local_set(inner.weights);
        self.write_first_segment();
        self.code.local_get(elements);
        self.code.i32_const(turn.ilog2().cast_signed()).i32_shr_u();
        self.code.local_set(inner.turns);
        write_loop(&mut InnerLoop {
            code: &mut self.code,
            form: self.form,
            locals: inner,
        });
        self.write_end();
        for (local, stride_bytes) in [
            (inner.lhs, self.spec.lhs_stride_bytes),
            (residual, self.spec.out_stride_bytes),
            (out, self.spec.out_stride_bytes),
        ] {
            if local == residual && !self.spec.residual {
                continue;
            }
            // `check` keeps the product within 32 bits.
            let bytes = self.spec.rows * stride_bytes;
            self.code.local_get(local).i32_const(bytes.cast_signed());
            self.code.i32_add().local_set(local);
        }
        self.code.local_get(tiles).i32_const(1).i32_sub();
        self.code.local_tee(tiles).br_if(0).end();
    }

    /// Sets the sums to the bias, further sets of them to zero.
    fn write_begin(&mut self) {
        let Form { vectors, sets, .. } = self.form;
        let (first, count) = (self.locals.inner.sums, self.form.sums());
        for vector in 0..vectors {
            self.read(run::BIAS);
            self.code.v128_load(at(vector * VECTOR_BYTES));
            self.code.local_set(first + vector);
        }
        for sum in vectors..count {
            self.code.local_get(first + sum % vectors);
            self.code.local_set(first + sum);
        }
        for sum in count..sets * count {
            self.code.v128_const(0).local_set(first + sum);
        }
    }

    /// Adds the residual, clamps and stores.
    fn write_end(&mut self) {
        let Locals { low, high, .. } = self.locals;
        let (first, count) = (self.locals.inner.sums, self.form.sums());
        for set in 1..self.form.sets {
            for sum in first..first + count {
                self.code.local_get(sum).local_get(sum + set * count);
                self.code.f32x4_add().local_set(sum);
            }
        }
        if self.spec.clamp {
            for (local, field) in [(low, run::LOW), (high, run::HIGH)] {
                self.code.local_get(self.locals.run);
                self.code.v128_load32_splat(at(field)).local_set(local);
            }
        }
        for sum in 0..count {
            let (row, vector) = (sum / self.form.vectors, sum % self.form.vectors);
            let address = at(row * self.spec.out_stride_bytes + vector * VECTOR_BYTES);
            self.code.local_get(self.locals.out);
            if self.spec.clamp {
                // `pmax(low, sum)` is `low` unless `low < sum`, so for NaN too.
                self.code.local_get(high).local_get(low);
            }
            self.code.local_get(first + sum);
            if self.spec.residual {
                self.code.local_get(self.locals.residual);
                self.code.v128_load(address).f32x4_add();
            }
            if self.spec.clamp {
                self.code.f32x4_pmax().f32x4_pmin();
            }
            self.code.v128_store(address);
        }
    }

    /// Writes the reading of a field of the run.
    fn read(&mut self, field: u32) {
        self.code.local_get(self.locals.run).i32_load(at(field));
    }
}
