//! Rewrites a graph into one that computes the same faster.
//!
//! ```text
//! ┌ fold, simplify, recognise patterns ┐ ─► ┌ the same, and fuse epilogues ┐
//! └──── again, while anything changes ─┘    └─ again, while anything changes ┘
//! ```
//!
//! Each pass is one file, with a graph's text before and after as its test. A pass makes one kind of change and leaves what
//! it makes possible to others; what nothing reads any more disappears by itself.
//!
//! Results may differ by roundings: sums are taken in another order, a division by a constant becomes a product. NaN stays NaN,
//! but for ReLU and other clamps in an epilogue, which give their lower bound.

mod activations;
mod affine;
mod arithmetic;
mod attention;
mod duplicates;
mod epilogues;
mod expands;
mod fold_constants;
mod gelu;
mod identities;
mod joins;
mod matmul;
mod normalise;
mod one_hot;
mod padding;
mod product;
mod reductions;
mod reshapes;
mod softmax;
mod splits;
mod tables;
mod transposes;

use crate::graph::Graph;

/// Rewrites a graph; tells whether it changed anything.
type Pass = fn(&mut Graph) -> bool;

/// What makes graphs simpler. The order decides only how soon they are done.
const SIMPLIFY: &[Pass] = &[
    fold_constants::fold_constants,
    identities::remove_identities,
    arithmetic::simplify_arithmetic,
    reshapes::sink_reshapes,
    transposes::sink_transposes,
    expands::drop_expands,
    reductions::simplify_reductions,
    joins::simplify_joins,
    duplicates::merge_duplicates,
    activations::find_activations,
    gelu::find_gelu,
    softmax::find_softmax,
    normalise::find_normalisations,
    one_hot::find_look_ups,
    tables::fold_into_tables,
    padding::fold_padding,
    matmul::simplify_products,
    affine::fold_affine,
    attention::find_attention,
    splits::split_producers,
];

/// What hides a computation in the one before it, and so from the patterns of the others.
const FUSE: &[Pass] = &[epilogues::fuse_epilogues];

/// The most times that passes are repeated. Each change makes a graph smaller or brings it nearer to a fixed form, so that
/// this is never reached; it is here lest a mistake becomes an endless loop.
const MAX_ROUNDS: usize = 100;

/// Applies all passes until none changes anything.
pub(crate) fn optimise(graph: &mut Graph) {
    repeat(graph, &[SIMPLIFY]);
    repeat(graph, &[SIMPLIFY, FUSE]);
}

fn repeat(graph: &mut Graph, groups: &[&[Pass]]) {
    for _ in 0..MAX_ROUNDS {
        let mut changed = false;
        for pass in groups.iter().copied().flatten() {
            changed |= pass(graph);
        }
        if !changed {
            break;
        }
    }
}
