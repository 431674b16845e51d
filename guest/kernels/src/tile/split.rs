//! How the columns of a product are divided into tiles.

use crate::isa::{Isa, Kind};
use crate::tile::functions;

/// Some neighbouring columns, counted in half blocks of 8.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Group {
    /// The first half block.
    pub(crate) first: usize,
    /// How many.
    pub(crate) halves: usize,
    /// How many rows its tiles have at most.
    pub(crate) rows: usize,
}

/// Divides columns into groups, each as wide as a tile.
///
/// Of all ways it takes the one that is fastest by an estimate, for that many rows of that many elements side by side. What the
/// groups have in common with blocks: a group of more than a half block begins where a block does.
pub(crate) fn split(isa: Isa, rows: usize, len: usize, halves: usize) -> Vec<Group> {
    let best = best(isa, rows, len, halves);
    let mut groups = Vec::new();
    let mut first = 0;
    while first < halves {
        let (halves, rows) = best[first].1;
        groups.push(Group {
            first,
            halves,
            rows,
        });
        first += halves;
    }
    groups
}

/// Estimates how many cycles so many rows side by side take.
pub(crate) fn estimate(isa: Isa, rows: usize, len: usize, halves: usize) -> f32 {
    best(isa, rows, len, halves)[0].0
}

/// Returns for each half block what the columns from there on cost, and the size of the tiles of their first group: half
/// blocks and rows.
fn best(isa: Isa, rows: usize, len: usize, halves: usize) -> Vec<(f32, (usize, usize))> {
    let widths = functions::widths(isa);
    let costs: Vec<f32> = widths
        .iter()
        .map(|&(width, most)| cost(isa, rows, len, width, most))
        .collect();
    let mut best = vec![(0.0, (0, 0)); halves + 1];
    for first in (0..halves).rev() {
        best[first] = widths
            .iter()
            .zip(&costs)
            .filter(|((width, _), _)| *width <= halves - first)
            .filter(|((width, _), _)| first % 2 == 0 || *width == 1)
            .map(|(size, cost)| (cost + best[first + size.0].0, *size))
            .min_by(|(a, _), (b, _)| a.total_cmp(b))
            .expect("there are tiles of one half block");
    }
    best
}

/// Returns how many tiles cover rows, if a tile has so many at most, and how many of them have one row more than the others.
/// They are about equal, since a narrow one keeps the processor waiting.
pub(crate) fn tiles(rows: usize, most: usize) -> (usize, usize) {
    let tiles = rows.div_ceil(most);
    (tiles, rows - rows / tiles * tiles)
}

/// Estimates how many cycles a group takes.
fn cost(isa: Isa, rows: usize, len: usize, width: usize, most: usize) -> f32 {
    if rows == 0 {
        return width as f32;
    }
    let (tiles, higher) = tiles(rows, most);
    let low = rows / tiles;
    (tiles - higher) as f32 * cost_of_tile(isa, low, len, width)
        + higher as f32 * cost_of_tile(isa, low + 1, len, width)
}

fn cost_of_tile(isa: Isa, rows: usize, len: usize, width: usize) -> f32 {
    /// A sum is ready for the next product after so many cycles.
    const LATENCY: f32 = 4.0;
    /// What it takes to read a byte, when nothing else keeps the processor.
    const BYTE: f32 = 0.01;
    /// What it takes to begin and end a tile, and for each half vector of results.
    const TILE: f32 = 16.0;
    let lanes_a_cycle = match isa.0 {
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 | Kind::Avx512 => 16.0,
        _ => 8.0,
    };
    let sums = (rows * width) as f32;
    let element =
        f32::max(sums * 8.0 / lanes_a_cycle, LATENCY) + BYTE * (rows * 4 + width * 32) as f32;
    element * len as f32 + TILE + sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_cover_all_columns_in_order() {
        for isa in Isa::available() {
            for rows in [0, 1, 2, 3, 7, 12, 49, 1000] {
                for halves in 0..40 {
                    let groups = split(isa, rows, 64, halves);
                    let mut next = 0;
                    for group in groups {
                        assert_eq!(group.first, next);
                        assert!(group.first.is_multiple_of(2) || group.halves == 1);
                        assert!(functions::function(isa, 1, group.halves).is_some());
                        next += group.halves;
                    }
                    assert_eq!(next, halves);
                }
            }
        }
    }

    #[test]
    fn tiles_differ_by_one_row_at_most() {
        for most in 1..15 {
            for rows in 1..100 {
                let (tiles, higher) = tiles(rows, most);
                let low = rows / tiles;
                assert_eq!(low * tiles + higher, rows);
                assert!(higher < tiles);
                assert!(low + usize::from(higher > 0) <= most);
            }
        }
    }

    #[test]
    fn every_height_up_to_the_most_has_a_function() {
        for isa in Isa::available() {
            for &(halves, most) in functions::widths(isa) {
                for rows in 1..=most {
                    assert!(functions::function(isa, rows, halves).is_some());
                }
                assert!(functions::function(isa, most + 1, halves).is_none());
                assert!(functions::function(isa, 0, halves).is_none());
            }
        }
    }
}
