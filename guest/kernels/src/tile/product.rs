//! Products of rows that lie anywhere with packed weights: what convolutions and products of matrices come down to.

use std::ops::Range;

use tensorlet_plan::kernel::Activation;

use crate::crew::{Crew, Pace};
use crate::isa::Isa;
use crate::run::{BindError, RunError, Target};
use crate::tensor_type::BLOCK;
use crate::tile::emitted::EmittedTiles;
use crate::tile::functions::{self, Machine};
use crate::tile::microkernel::Job;
use crate::tile::output::Output;
use crate::tile::split::{self, Group};
use crate::tile::{Segment, TileRun};

/// How the operands of a product lie in memory, and what is done with each sum. Distances are in elements.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// Where the elements of a row lie, from where the row begins.
    pub(crate) segments: Vec<Segment>,
    /// Between rows of the left-hand side.
    pub(crate) lhs_stride: usize,
    /// Between the weights of one element of a row and of the next; 16 if they are packed.
    pub(crate) weights_step: usize,
    /// Between blocks of 16 columns of weights.
    pub(crate) weights_block: usize,
    /// How many columns there are.
    pub(crate) columns: usize,
    /// Between rows of the output.
    pub(crate) out_stride: usize,
    /// Between blocks of 16 columns of the output.
    pub(crate) out_block: usize,
    /// Whether the last block of the output is written as a whole, with zeros beyond the last column.
    pub(crate) whole_blocks: bool,
    /// What sums are multiplied with before bias and residual are added.
    pub(crate) scale: f32,
    /// Whether a residual is added.
    pub(crate) residual: bool,
    /// What is done last, if it is a clamp; other functions are the caller's business.
    pub(crate) activation: Activation,
}

/// Some lines of rows, all as far apart within a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Area {
    /// How many lines.
    pub(crate) lines: usize,
    /// How many rows a line.
    pub(crate) rows: usize,
    /// Between lines of the left-hand side, in elements.
    pub(crate) lhs_line: usize,
    /// Between lines of the output, in elements.
    pub(crate) out_line: usize,
}

impl Area {
    /// Returns how many rows there are.
    pub(crate) fn count(&self) -> usize {
        self.lines.saturating_mul(self.rows)
    }

    /// One line.
    pub(crate) fn line(rows: usize) -> Self {
        Self {
            lines: 1,
            rows,
            lhs_line: 0,
            out_line: 0,
        }
    }
}

/// What a product is computed of, from where the first line begins.
#[derive(Debug)]
pub(crate) struct Operands<'a> {
    /// The rows.
    pub(crate) lhs: &'a [f32],
    /// The weights, packed or at least with every block of 8 columns whole.
    pub(crate) weights: &'a [f32],
    /// One number a column, with zeros up to a multiple of 8.
    pub(crate) bias: Option<&'a [f32]>,
    /// Laid out as the output.
    pub(crate) residual: Option<&'a [f32]>,
    /// Where the results go.
    pub(crate) out: Output<'a>,
}

/// A product whose shape has been checked, with the functions that compute it.
#[derive(Clone, Debug)]
pub(crate) struct Product {
    shape: Shape,
    isa: Isa,
    emitted: EmittedTiles,
    groups: Vec<Group>,
    parts: Vec<Part>,
    /// How many elements a row reaches over.
    reach: usize,
    /// How many elements a row has.
    len: usize,
}

/// Some neighbouring elements of rows. Sums of long rows are computed in parts, each adding to what the one before has written, so
/// that a part's weights stay in a cache while many rows are multiplied with them.
#[derive(Clone, Debug)]
struct Part {
    /// Where the elements lie.
    segments: Range<usize>,
    /// How many elements there are in front of them.
    first: usize,
}

/// Rows of more elements are computed in parts, of about so many or fewer.
pub(crate) const PART: usize = 1024;

/// Fewer rows are computed at once: their weights are used too rarely for a cache to matter.
const ROWS_OF_PARTS: usize = 8;

/// The bias of those that have none, as long as the widest tile.
static ZEROS: [f32; 128] = [0.0; 128];

impl Product {
    /// Prepares a product for lines of about so many rows.
    ///
    /// # Errors
    /// If a size overflows, or the rows are not of 8 columns at least where they must be.
    pub(crate) fn new(
        mut shape: Shape,
        rows: usize,
        target: &Target<'_>,
    ) -> Result<Self, BindError> {
        let overflow =
            || BindError::new("expected a product that fits in memory, found a larger one");
        let mut len = 0usize;
        let mut reach = 0usize;
        for segment in &shape.segments {
            len = len.checked_add(segment.len).ok_or_else(overflow)?;
            let end = (segment.offset_bytes / size_of::<f32>())
                .checked_add(segment.len)
                .ok_or_else(overflow)?;
            reach = reach.max(end);
        }
        let emitted = EmittedTiles::find(&shape, target.tiles);
        let parts = if rows < ROWS_OF_PARTS || len <= PART || !emitted.is_empty() {
            1
        } else {
            len.div_ceil(PART)
        };
        let product = Self {
            isa: target.isa,
            emitted,
            groups: split::split(
                &Machine::of(target.isa),
                rows,
                len,
                shape.columns.div_ceil(BLOCK / 2),
            ),
            parts: divide(&mut shape.segments, len.div_ceil(parts)),
            reach,
            len,
            shape,
        };
        product.weights_len().ok_or_else(overflow)?;
        Ok(product)
    }

    /// Returns how many elements of weights are read.
    fn weights_len(&self) -> Option<usize> {
        let Some(last) = self.shape.columns.checked_sub(1) else {
            return Some(0);
        };
        let Some(steps) = self.len.checked_sub(1) else {
            return Some(0);
        };
        let columns = (last % BLOCK + 1).next_multiple_of(BLOCK / 2);
        (last / BLOCK)
            .checked_mul(self.shape.weights_block)?
            .checked_add(steps.checked_mul(self.shape.weights_step)?)?
            .checked_add(columns)
    }

    /// Returns how many elements of the left-hand side are read.
    pub(crate) fn lhs_len(&self, area: &Area) -> Option<usize> {
        let (Some(lines), Some(rows)) = (area.lines.checked_sub(1), area.rows.checked_sub(1))
        else {
            return Some(0);
        };
        if self.len == 0 {
            return Some(0);
        }
        lines
            .checked_mul(area.lhs_line)?
            .checked_add(rows.checked_mul(self.shape.lhs_stride)?)?
            .checked_add(self.reach)
    }

    /// Returns how many elements the output reaches over.
    pub(crate) fn out_len(&self, area: &Area) -> Option<usize> {
        let (Some(lines), Some(rows), Some(last)) = (
            area.lines.checked_sub(1),
            area.rows.checked_sub(1),
            self.shape.columns.checked_sub(1),
        ) else {
            return Some(0);
        };
        let columns = if self.shape.whole_blocks {
            BLOCK
        } else {
            last % BLOCK + 1
        };
        lines
            .checked_mul(area.out_line)?
            .checked_add(rows.checked_mul(self.shape.out_stride)?)?
            .checked_add((last / BLOCK).checked_mul(self.shape.out_block)?)?
            .checked_add(columns)
    }

    /// Computes, in parts that the crew divides among its threads.
    ///
    /// # Errors
    /// If the call is interrupted.
    /// # Panics
    /// If an operand is not as long as it must be.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn share(
        &self,
        area: &Area,
        operands: Operands<'_>,
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let groups = self.groups.len();
        let work = self.work(area.count()) / groups.max(1);
        let pieces = groups.div_ceil(crew.step(groups, work));
        if pieces <= 1 {
            return self.run(area, operands, 0..groups, crew);
        }
        let out = &operands.out;
        crew.share(0..pieces, std::iter::repeat(()), |piece, ()| {
            let operands = Operands {
                // SAFETY: each part writes other columns.
                out: unsafe { out.another(0) },
                ..operands
            };
            self.run(area, operands, self.piece(piece, pieces), crew)
        })
    }

    /// Returns the groups of columns that are one of so many pieces. It begins and ends where a block does.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn piece(&self, piece: usize, pieces: usize) -> Range<usize> {
        let cut = |piece: usize| {
            let at = self.groups.len() * piece / pieces;
            let in_block = |group: &&Group| group.first % 2 == 1;
            at + self.groups[at..].iter().take_while(in_block).count()
        };
        cut(piece)..cut(piece + 1)
    }

    /// Returns the blocks of columns that groups are in.
    pub(crate) fn blocks(&self, groups: &Range<usize>) -> Range<usize> {
        let Some(groups) = self.groups.get(groups.clone()) else {
            return 0..0;
        };
        match (groups.first(), groups.last()) {
            (Some(first), Some(last)) => first.first / 2..(last.first + last.halves).div_ceil(2),
            _ => 0..0,
        }
    }

    /// Computes.
    ///
    /// # Errors
    /// None.
    /// # Panics
    /// If an operand is not as long as it must be.
    #[cfg(target_arch = "wasm32")]
    #[inline(always)]
    pub(crate) fn share(
        &self,
        area: &Area,
        operands: Operands<'_>,
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        self.run(area, operands, 0..self.groups.len(), crew)
    }

    /// Returns how many groups of columns there are.
    pub(crate) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Returns how much work so many rows are; see [`Crew::step`].
    pub(crate) fn work(&self, rows: usize) -> usize {
        work(rows, self.len, self.shape.columns)
    }

    /// Computes some groups of columns, on this thread.
    ///
    /// # Errors
    /// If the call is interrupted.
    /// # Panics
    /// If an operand is not as long as it must be.
    pub(crate) fn run(
        &self,
        area: &Area,
        mut operands: Operands<'_>,
        groups: Range<usize>,
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let shape = &self.shape;
        let fits = |len: Option<usize>, found: usize| len.is_some_and(|len| len <= found);
        assert!(
            fits(self.lhs_len(area), operands.lhs.len()),
            "the left-hand side is too short"
        );
        assert!(
            fits(self.weights_len(), operands.weights.len()),
            "the weights are too short"
        );
        assert!(
            fits(self.out_len(area), operands.out.len()),
            "the output is too short"
        );
        let columns = shape.columns.next_multiple_of(BLOCK / 2);
        assert!(
            operands.bias.is_none_or(|bias| columns <= bias.len()),
            "the bias is too short"
        );
        assert_eq!(
            operands.residual.is_some(),
            shape.residual,
            "whether there is a residual"
        );
        assert!(
            operands
                .residual
                .is_none_or(|residual| fits(self.out_len(area), residual.len())),
            "the residual is too short"
        );
        if area.rows == 0 || area.lines == 0 {
            return Ok(());
        }
        // Many small products are as long as a large one.
        crew.check()?;
        let mut pace = Pace::of(crew);
        for part in 0..self.parts.len() {
            for group in &self.groups[groups.clone()] {
                let mut job = self.job(group, part, &mut operands);
                let (lhs, residual, out) = (job.run.lhs, job.run.residual, job.run.out);
                for line in 0..area.lines {
                    job.run.lhs = lhs.wrapping_add(line * area.lhs_line);
                    job.run.out = out.wrapping_add(line * area.out_line);
                    if !residual.is_null() {
                        job.run.residual = residual.wrapping_add(line * area.out_line);
                    }
                    // SAFETY: the operands are as long as the shape and the area demand, as checked above.
                    unsafe { self.run_line(group, area.rows, &mut job, &mut pace)? };
                }
            }
        }
        Ok(())
    }

    /// Computes a group of columns of a line.
    ///
    /// # Safety
    /// What the job says about memory must be true for so many rows.
    unsafe fn run_line(
        &self,
        group: &Group,
        rows: usize,
        job: &mut Job,
        pace: &mut Pace<'_>,
    ) -> Result<(), RunError> {
        let (tiles, higher) = split::tiles(rows, group.rows);
        let low = rows / tiles;
        for (rows, tiles) in [(low + 1, higher), (low, tiles - higher)] {
            let work = work(rows, self.len, group.halves * (BLOCK / 2));
            let mut left = tiles;
            while left > 0 {
                let tiles = pace.take(&mut left, work)?;
                job.run.tiles = tiles;
                // SAFETY: the caller's.
                unsafe {
                    match self.emitted.function(rows, group.halves, job.columns) {
                        Some(function) => function(&job.run),
                        None => {
                            let function = functions::function(self.isa, rows, group.halves)
                                .expect("there are tiles of all heights up to the group's");
                            function(job);
                        }
                    }
                    if self.is_filled_after(group) {
                        fill(job, rows * tiles, group.halves);
                    }
                }
                let done = rows * tiles;
                job.run.lhs = job.run.lhs.wrapping_add(done * job.lhs_stride);
                job.run.out = job.run.out.wrapping_add(done * job.out_stride);
                if !job.run.residual.is_null() {
                    job.run.residual = job.run.residual.wrapping_add(done * job.out_stride);
                }
            }
        }
        Ok(())
    }

    /// Returns what the tiles of a group have in common.
    fn job(&self, group: &Group, part: usize, operands: &mut Operands<'_>) -> Job {
        let shape = &self.shape;
        let is_first = part == 0;
        let is_last = part + 1 == self.parts.len();
        let part = &self.parts[part];
        let (block, column) = (group.first / 2, group.first % 2 * (BLOCK / 2));
        let (clamp, low, high) = match shape.activation {
            Activation::Clamp { low, high } if is_last => (true, low, high),
            _ => (false, 0.0, 0.0),
        };
        let at = block * shape.out_block + column;
        let weights = block * shape.weights_block + column + part.first * shape.weights_step;
        let bias = operands
            .bias
            .filter(|_| is_first)
            .map_or(ZEROS.as_ptr(), |bias| {
                bias[group.first * (BLOCK / 2)..].as_ptr()
            });
        let out = operands.out.as_mut_ptr().wrapping_add(at);
        let residual = if is_first {
            operands.residual.map_or(std::ptr::null(), |residual| {
                residual.as_ptr().wrapping_add(at)
            })
        } else {
            out.cast_const()
        };
        Job {
            run: TileRun {
                lhs: operands.lhs.as_ptr(),
                segments: shape.segments[part.segments.clone()].as_ptr(),
                segment_count: part.segments.len(),
                weights: operands.weights.as_ptr().wrapping_add(weights),
                bias,
                residual,
                out,
                tiles: 0,
                low,
                high,
            },
            lhs_stride: shape.lhs_stride,
            weights_step: shape.weights_step,
            weights_block: shape.weights_block,
            out_stride: shape.out_stride,
            out_block: shape.out_block,
            scale: shape.scale,
            clamp,
            columns: if shape.whole_blocks {
                group.halves * (BLOCK / 2)
            } else {
                shape.columns - group.first * (BLOCK / 2)
            },
        }
    }

    /// Reports whether a group ends the columns in the middle of a block, and the rest of it is to be written.
    fn is_filled_after(&self, group: &Group) -> bool {
        let end = (group.first + group.halves) * (BLOCK / 2);
        self.shape.whole_blocks && end >= self.shape.columns && !end.is_multiple_of(BLOCK)
    }
}

/// Returns how much work so many sums of so many products are.
fn work(rows: usize, len: usize, columns: usize) -> usize {
    /// How many products a fast machine adds in a nanosecond.
    const PRODUCTS: usize = 32;
    let sums = rows.saturating_mul(columns);
    sums.saturating_mul(len.saturating_add(PRODUCTS)) / PRODUCTS
}

/// Divides rows into parts of so many elements, the last one excepted, which may have fewer.
fn divide(segments: &mut Vec<Segment>, len: usize) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut part = Part {
        segments: 0..0,
        first: 0,
    };
    let mut left = len;
    let mut rest = std::mem::take(segments).into_iter();
    let mut next = rest.next();
    while let Some(segment) = next {
        let taken = segment.len.min(left);
        segments.push(Segment {
            len: taken,
            ..segment
        });
        left -= taken;
        next = if taken < segment.len {
            Some(Segment {
                offset_bytes: segment.offset_bytes + taken * size_of::<f32>(),
                len: segment.len - taken,
            })
        } else {
            rest.next()
        };
        if left == 0 && next.is_some() {
            part.segments.end = segments.len();
            parts.push(part.clone());
            part = Part {
                segments: segments.len()..segments.len(),
                first: part.first + len,
            };
            left = len;
        }
    }
    part.segments.end = segments.len();
    parts.push(part);
    parts
}

/// Writes zeros to the 8 columns beyond a group.
///
/// # Safety
/// There must be so many rows with so many columns.
unsafe fn fill(job: &Job, rows: usize, halves: usize) {
    let columns = halves * (BLOCK / 2);
    let from = job
        .run
        .out
        .wrapping_add(columns / BLOCK * job.out_block + columns % BLOCK);
    for row in 0..rows {
        // SAFETY: the caller's.
        unsafe {
            from.wrapping_add(row * job.out_stride)
                .write_bytes(0, BLOCK / 2);
        }
    }
}
