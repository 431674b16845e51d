//! How a product is divided into pieces, which threads compute.
//!
//! A piece is of some rows and some columns of one slab of one product of two matrices. Columns are divided first: each is packed, or
//! its weights read, once.

use std::ops::Range;

use super::Sizes;
use super::tiles::{Columns, Part, Tiles};
use crate::crew::Crew;
use crate::tile::product::Product;

/// Some results.
pub(super) struct Piece<'a> {
    /// Which of the left-hand sides.
    pub(super) matrix: usize,
    pub(super) rows: Range<usize>,
    /// The columns of the slab; `slab` is how many.
    pub(super) columns: Columns,
    /// Computes the slab.
    pub(super) product: &'a Product,
    /// Which groups of its columns.
    pub(super) groups: Range<usize>,
}

/// How many pieces there are.
pub(super) struct Division<'a> {
    tiles: &'a Tiles,
    sizes: &'a Sizes,
    /// How many slabs there are.
    slabs: usize,
    /// How many pieces the columns of a slab, and the rows, are divided into.
    #[cfg(not(target_arch = "wasm32"))]
    pieces: [usize; 2],
}

impl<'a> Division<'a> {
    pub(super) fn of(tiles: &'a Tiles, sizes: &'a Sizes, crew: Crew<'_>) -> Self {
        let slabs = tiles.parts.iter().map(Part::slabs).sum();
        #[cfg(target_arch = "wasm32")]
        let _ = crew;
        Self {
            tiles,
            sizes,
            slabs,
            #[cfg(not(target_arch = "wasm32"))]
            pieces: pieces(tiles, sizes, slabs, crew),
        }
    }

    /// Returns how many pieces there are.
    pub(super) fn count(&self) -> usize {
        let [columns, rows] = self.pieces();
        self.sizes.matrices() * self.slabs * columns * rows
    }

    /// Reports whether all pieces have whole rows.
    pub(super) fn has_whole_rows(&self) -> bool {
        self.slabs == 1 && self.pieces()[0] == 1
    }

    /// Returns a piece.
    pub(super) fn find(&self, index: usize) -> Piece<'a> {
        let [columns, rows] = self.pieces();
        let (index, row) = (index / rows, index % rows);
        let (index, column) = (index / columns, index % columns);
        let (matrix, mut slab) = (index / self.slabs, index % self.slabs);
        let mut parts = self.tiles.parts.iter();
        let (part, columns) = loop {
            let part = parts.next().expect("there are so many slabs");
            if slab < part.slabs() {
                break (part, part.slab(slab));
            }
            slab -= part.slabs();
        };
        let product = part.product(columns.slab);
        let cut = |row: usize| self.sizes.rows * row / rows;
        Piece {
            matrix,
            rows: cut(row)..cut(row + 1),
            columns,
            product,
            groups: self.groups(product, column),
        }
    }

    #[cfg(target_arch = "wasm32")]
    fn pieces(&self) -> [usize; 2] {
        [1, 1]
    }

    #[cfg(target_arch = "wasm32")]
    fn groups(&self, product: &Product, _column: usize) -> Range<usize> {
        0..product.groups()
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn pieces(&self) -> [usize; 2] {
        self.pieces
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn groups(&self, product: &Product, column: usize) -> Range<usize> {
        product.piece(column, self.pieces[0])
    }
}

/// Returns how many pieces the columns of a slab, and the rows, are divided into.
#[cfg(not(target_arch = "wasm32"))]
fn pieces(tiles: &Tiles, sizes: &Sizes, slabs: usize, crew: Crew<'_>) -> [usize; 2] {
    /// A piece has so many rows at least, for the sake of tiles, or so many if columns are packed for each.
    const ROWS: [usize; 2] = [12, 64];
    let parts = sizes.matrices() * slabs;
    let work = tiles.parts[0].product.work(sizes.rows);
    let wanted = crew.pieces(parts, work);
    let groups = tiles.parts.iter().map(|part| part.product.groups()).max();
    let columns = wanted.min(groups.unwrap_or(1)).max(1);
    let is_packed = tiles.parts.iter().any(|part| part.columns.packed);
    let most_rows = (sizes.rows / ROWS[usize::from(is_packed)]).max(1);
    [columns, wanted.div_ceil(columns).min(most_rows)]
}
