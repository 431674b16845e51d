//! How the columns of a product are divided into tiles.

use crate::tile::functions::Machine;

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
pub(crate) fn split(machine: &Machine, rows: usize, len: usize, halves: usize) -> Vec<Group> {
    divide(machine, rows, len, halves).0
}

/// Estimates how many cycles so many rows side by side take.
pub(crate) fn estimate(machine: &Machine, rows: usize, len: usize, halves: usize) -> f32 {
    divide(machine, rows, len, halves).1
}

/// Divides columns into groups, and estimates how many cycles they take.
fn divide(machine: &Machine, rows: usize, len: usize, halves: usize) -> (Vec<Group>, f32) {
    /// The best way is looked for only near the end: all before it is of the width that is best by itself.
    const END: usize = 48;
    let costs: Vec<f32> = machine
        .widths
        .iter()
        .map(|&(width, most)| cost(machine, rows, len, width, most))
        .collect();
    let sizes = || machine.widths.iter().copied().zip(costs.iter().copied());
    let (widest, cost_of_widest) = sizes()
        .min_by(|((a, _), a_cost), ((b, _), b_cost)| {
            (a_cost / *a as f32).total_cmp(&(b_cost / *b as f32))
        })
        .expect("there are tiles of one half block");
    let alike = halves.saturating_sub(END) / (2 * widest.0) * 2;
    let left = halves - alike * widest.0;
    // For each half block at the end, what the columns from there on cost, and the size of the tiles of their first group.
    let mut best = vec![(0.0f32, (0, 0)); left + 1];
    for first in (0..left).rev() {
        best[first] = sizes()
            .filter(|((width, _), _)| *width <= left - first && (first % 2 == 0 || *width == 1))
            .map(|(size, cost)| (cost + best[first + size.0].0, size))
            .min_by(|(a, _), (b, _)| a.total_cmp(b))
            .expect("there are tiles of one half block");
    }
    let mut groups = Vec::new();
    let mut push = |first: usize, (halves, rows): (usize, usize)| {
        groups.push(Group {
            first,
            halves,
            rows,
        });
        first + halves
    };
    let mut first = 0;
    for _ in 0..alike {
        first = push(first, widest);
    }
    while first < halves {
        first = push(first, best[first + left - halves].1);
    }
    (groups, best[0].0 + alike as f32 * cost_of_widest)
}

/// Returns how many tiles cover rows, if a tile has so many at most, and how many of them have one row more than the others.
/// They are about equal, since a narrow one keeps the processor waiting.
pub(crate) fn tiles(rows: usize, most: usize) -> (usize, usize) {
    let tiles = rows.div_ceil(most);
    (tiles, rows - rows / tiles * tiles)
}

/// Estimates how many cycles a group takes.
fn cost(machine: &Machine, rows: usize, len: usize, width: usize, most: usize) -> f32 {
    if rows == 0 {
        return width as f32;
    }
    let (tiles, higher) = tiles(rows, most);
    let low = rows / tiles;
    (tiles - higher) as f32 * cost_of_tile(machine, low, len, width)
        + higher as f32 * cost_of_tile(machine, low + 1, len, width)
}

fn cost_of_tile(machine: &Machine, rows: usize, len: usize, width: usize) -> f32 {
    /// A sum is ready for the next product after so many cycles.
    const LATENCY: f32 = 4.0;
    /// What it takes to read a byte, when nothing else keeps the processor.
    const BYTE: f32 = 0.01;
    /// What it takes to begin and end a tile, and for each half vector of results.
    const TILE: f32 = 16.0;
    let sums = (rows * width) as f32;
    let element = f32::max(sums * 8.0 / machine.lanes_a_cycle as f32, LATENCY)
        + BYTE * (rows * 4 + width * 32) as f32;
    element * len as f32 + TILE + sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;
    use crate::tile::functions;

    fn machines() -> impl Iterator<Item = Machine> {
        Isa::available()
            .into_iter()
            .map(Machine::of)
            .chain([Machine::WASM])
    }

    #[test]
    fn groups_cover_all_columns_in_order() {
        for machine in machines() {
            for rows in [0, 1, 2, 3, 7, 12, 49, 1000] {
                for halves in (0..70).chain([201, 1000]) {
                    let mut next = 0;
                    for group in split(&machine, rows, 64, halves) {
                        assert_eq!(group.first, next);
                        assert!(group.first.is_multiple_of(2) || group.halves == 1);
                        assert!(machine.widths.contains(&(group.halves, group.rows)));
                        next += group.halves;
                    }
                    assert_eq!(next, halves);
                }
            }
        }
    }

    #[test]
    fn more_columns_or_rows_take_longer() {
        for machine in machines() {
            for rows in [1, 5, 14, 49] {
                for halves in 1..100 {
                    let few = estimate(&machine, rows, 64, halves);
                    assert!(few < estimate(&machine, rows, 64, halves + 16));
                    assert!(few < estimate(&machine, 2 * rows, 64, halves));
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
            for &(halves, most) in Machine::of(isa).widths {
                for rows in 1..=most {
                    assert!(functions::function(isa, rows, halves).is_some());
                }
                assert!(functions::function(isa, most + 1, halves).is_none());
                assert!(functions::function(isa, 0, halves).is_none());
            }
        }
    }

    #[test]
    #[cfg(target_arch = "wasm32")]
    fn the_tiles_of_webassembly_are_known_everywhere() {
        assert_eq!(Machine::of(Isa::detect()).widths, Machine::WASM.widths);
    }
}
