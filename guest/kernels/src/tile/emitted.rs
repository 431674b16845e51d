//! The functions that the compiler wrote for one product.

use tensorlet_plan::kernel::Activation;

use crate::tile::product::Shape;
use crate::tile::{EmittedTile, TileFunction};

/// The most rows of a tile that the compiler writes: 6 rows and 8 columns leave 16 registers for sums, weights and an element.
pub(crate) const MAX_ROWS: usize = 6;

/// How many half blocks of columns such a tile has: one.
const HALVES: usize = 1;

/// The functions for tiles of half a block, by their number of rows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EmittedTiles([Option<TileFunction>; MAX_ROWS + 1]);

impl EmittedTiles {
    /// Looks for functions that compute a product of a given shape.
    pub(crate) fn find(shape: &Shape, tiles: &[EmittedTile]) -> Self {
        let mut found = Self::default();
        if shape.scale != 1.0
            || shape.weights_step != crate::tensor_type::BLOCK
            || shape.segments.is_empty()
            || shape.segments.iter().any(|segment| segment.len == 0)
        {
            return found;
        }
        let bytes = |elements: usize| elements.checked_mul(size_of::<f32>());
        for tile in tiles {
            let spec = &tile.spec;
            let fits = bytes(shape.lhs_stride) == Some(spec.lhs_stride_bytes as usize)
                && bytes(shape.out_stride) == Some(spec.out_stride_bytes as usize)
                && spec.channels as usize == HALVES * 8
                && spec.residual == shape.residual
                && spec.clamp == matches!(shape.activation, Activation::Clamp { .. });
            if fits && let Some(function) = found.0.get_mut(spec.rows as usize) {
                *function = Some(tile.function);
            }
        }
        found
    }

    /// Reports whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Returns the function for tiles of some size, which has so many columns at least.
    pub(crate) fn function(
        &self,
        rows: usize,
        halves: usize,
        columns: usize,
    ) -> Option<TileFunction> {
        if halves != HALVES || columns < HALVES * 8 {
            return None;
        }
        *self.0.get(rows)?
    }
}
