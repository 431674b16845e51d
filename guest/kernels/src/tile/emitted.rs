//! The functions that the compiler writes for products, and which it is asked for.

use tensorlet_plan::TileSpec;
use tensorlet_plan::kernel::Activation;

use crate::tensor_type::BLOCK;
use crate::tile::functions::Machine;
use crate::tile::product::Shape;
use crate::tile::split::{self, Group};
use crate::tile::{EmittedTile, TileFunction};

/// The widest tiles that the compiler is asked for, in half blocks.
const MAX_HALVES: usize = 2;

/// The highest tiles that the compiler is asked for.
const MAX_ROWS: usize = 6;

/// The functions for tiles of one product, by width in half blocks and number of rows, both less one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EmittedTiles([[Option<TileFunction>; MAX_ROWS]; MAX_HALVES]);

impl EmittedTiles {
    /// Looks for functions that compute a product of a given shape.
    pub(crate) fn find(shape: &Shape, tiles: &[EmittedTile]) -> Self {
        let mut found = Self::default();
        let is_possible = shape.scale == 1.0
            && shape.weights_step == BLOCK
            && !shape.segments.is_empty()
            && shape.segments.iter().all(|segment| segment.len > 0);
        let Some(wanted) = spec(shape).filter(|_| is_possible) else {
            return found;
        };
        for tile in tiles {
            let TileSpec { rows, channels, .. } = tile.spec;
            let is_wanted = tile.spec
                == TileSpec {
                    rows,
                    channels,
                    ..wanted
                };
            let (halves, rest) = (
                channels as usize / (BLOCK / 2),
                channels as usize % (BLOCK / 2),
            );
            if is_wanted
                && rest == 0
                && (1..=MAX_HALVES).contains(&halves)
                && (1..=MAX_ROWS).contains(&(rows as usize))
            {
                found.0[halves - 1][rows as usize - 1] = Some(tile.function);
            }
        }
        found
    }

    /// Reports whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().flatten().all(Option::is_none)
    }

    /// Returns the function for tiles of some size, which has so many columns at least.
    pub(crate) fn function(
        &self,
        rows: usize,
        halves: usize,
        columns: usize,
    ) -> Option<TileFunction> {
        if columns < halves * (BLOCK / 2) {
            return None;
        }
        *self.0.get(halves - 1)?.get(rows - 1)?
    }
}

/// Returns what functions for a product have in common; `None` if distances are too large for one.
fn spec(shape: &Shape) -> Option<TileSpec> {
    let bytes = |elements: usize| u32::try_from(elements.checked_mul(size_of::<f32>())?).ok();
    Some(TileSpec {
        lhs_stride_bytes: bytes(shape.lhs_stride)?,
        out_stride_bytes: bytes(shape.out_stride)?,
        rows: 0,
        channels: 0,
        residual: shape.residual,
        clamp: matches!(shape.activation, Activation::Clamp { .. }),
    })
}

/// Which functions a product wants.
#[derive(Debug, Default)]
pub(crate) struct Wanted(Vec<TileSpec>);

impl Wanted {
    /// Adds the functions for a product that is prepared for `rows[0]` rows and computed for each of `rows`; `None` stands for any
    /// number.
    pub(crate) fn add(&mut self, shape: &Shape, rows: &[Option<usize>]) {
        let len = shape.segments.iter().map(|segment| segment.len).sum();
        let halves = shape.columns.div_ceil(BLOCK / 2);
        let Some(common) = spec(shape).filter(|_| shape.scale == 1.0 && len > 0) else {
            return;
        };
        let machine = Machine::WASM;
        let groups = match rows.first() {
            Some(Some(rows)) => split::split(&machine, *rows, len, halves),
            _ => machine
                .widths
                .iter()
                .take(1)
                .map(|&(halves, rows)| Group {
                    first: 0,
                    halves,
                    rows,
                })
                .collect(),
        };
        for group in groups {
            for rows in rows {
                let heights = match *rows {
                    Some(0) => continue,
                    Some(rows) => {
                        let (tiles, higher) = split::tiles(rows, group.rows);
                        let low = rows / tiles;
                        low..low + 1 + usize::from(higher > 0)
                    }
                    // Many rows are divided into tiles that are about as high as can be.
                    None => group.rows.saturating_sub(2).max(1)..group.rows + 1,
                };
                for rows in heights {
                    let spec = TileSpec {
                        rows: rows as u32,
                        channels: (group.halves * (BLOCK / 2)) as u32,
                        ..common
                    };
                    // The last columns may not fill a tile.
                    let is_whole = (group.first + group.halves) * (BLOCK / 2) <= shape.columns;
                    if (is_whole || shape.whole_blocks) && !self.0.contains(&spec) {
                        self.0.push(spec);
                    }
                }
            }
        }
    }

    /// Returns the functions.
    pub(crate) fn into_specs(self) -> Vec<TileSpec> {
        self.0
    }
}
