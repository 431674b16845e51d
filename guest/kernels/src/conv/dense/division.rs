//! How the outputs of a convolution are divided into pieces, which threads compute.
//!
//! A piece is of some units and some columns of one group of one image. What of the input goes to scratch memory is copied for each
//! piece, so there it is units that are divided; where nothing is copied, it is columns, as the weights of each are then read once.

use std::ops::Range;

use super::Dense;
use crate::crew::Crew;

/// Some outputs of one group of one image.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// The first unit.
    pub(super) first: usize,
    /// How many.
    pub(super) units: usize,
    /// Which groups of columns of the product.
    pub(super) columns: Range<usize>,
}

/// How many pieces there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Division<'a> {
    dense: &'a Dense,
    /// How many units a piece has, but for the last one.
    units: usize,
    /// How many pieces the columns are divided into.
    #[cfg(not(target_arch = "wasm32"))]
    columns: usize,
}

impl<'a> Division<'a> {
    /// A piece is a chunk with all columns.
    #[cfg(target_arch = "wasm32")]
    pub(super) fn of(dense: &'a Dense, _crew: Crew<'_>) -> Self {
        Self {
            dense,
            units: dense.distances.chunk,
        }
    }

    /// Divides chunks if there are too few of them for the crew.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) fn of(dense: &'a Dense, crew: Crew<'_>) -> Self {
        use super::distances::Source;
        use crate::tensor_type::BLOCK;
        use crate::unary;
        use tensorlet_plan::kernel::Activation;

        /// A piece has so many rows at least, for the sake of tiles.
        const ROWS: usize = 12;
        let (sizes, distances) = (&dense.sizes, &dense.distances);
        let mut division = Self {
            dense,
            units: distances.chunk,
            columns: 1,
        };
        let (is_divisible, has_columns) = match sizes.activation {
            Activation::Unary(op) => (!unary::sees_others(op), distances.out_row == BLOCK),
            _ => (true, true),
        };
        let chunks = distances.units.div_ceil(distances.chunk);
        let parts = distances.images * sizes.groups * chunks;
        let rows = |units: usize| distances.area(sizes, units).count();
        let work = dense.product.work(rows(distances.chunk));
        let pieces = crew.pieces(parts, work);
        if pieces == 1 || !is_divisible {
            return division;
        }
        let most_columns = if has_columns {
            dense.product.groups()
        } else {
            1
        };
        let most_units = (rows(distances.chunk) / ROWS).clamp(1, distances.chunk);
        let (columns, units) = if distances.source == Source::Input {
            let columns = pieces.min(most_columns);
            (columns, pieces.div_ceil(columns).min(most_units))
        } else {
            let units = pieces.min(most_units);
            (pieces.div_ceil(units).min(most_columns), units)
        };
        division.columns = columns;
        division.units = distances.chunk.div_ceil(units);
        division
    }

    /// Returns how many pieces a group of an image has.
    pub(super) fn pieces(&self) -> usize {
        self.dense.distances.units.div_ceil(self.units) * self.columns()
    }

    /// Returns which group of which image a piece belongs to, and the piece.
    pub(super) fn find(&self, index: usize) -> (usize, Piece) {
        let units = self.dense.distances.units;
        let (part, index) = (index / self.pieces(), index % self.pieces());
        let first = index / self.columns() * self.units;
        let piece = Piece {
            first,
            units: self.units.min(units - first),
            columns: self.columns_of(index),
        };
        (part, piece)
    }

    #[cfg(target_arch = "wasm32")]
    fn columns(&self) -> usize {
        1
    }

    #[cfg(target_arch = "wasm32")]
    fn columns_of(&self, _index: usize) -> Range<usize> {
        0..self.dense.product.groups()
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn columns(&self) -> usize {
        self.columns
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn columns_of(&self, index: usize) -> Range<usize> {
        self.dense.product.piece(index % self.columns, self.columns)
    }
}
