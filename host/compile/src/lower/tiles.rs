//! Chooses the functions that the compiler writes for a plan.

use tensorlet_kernels::tile::tile_specs;
use tensorlet_plan::{DimExpr, Plan, TileSpec, ValueId};

/// The most functions: each takes about 5 KB of code, and what most of the work is done by comes to a few.
const MAX_FUNCTIONS: usize = 9;

/// What stands for a size that only a call decides, when work is estimated.
const USUAL_SIZE: usize = 32;

/// Returns the functions that the steps of a plan are faster with, each once; those that do the most work, if there are too
/// many.
pub(super) fn tiles(plan: &Plan<'_>) -> Vec<TileSpec> {
    let size = |dim: &DimExpr| match (dim.as_number(), dim.as_symbol()) {
        (Some(size), _) => usize::try_from(size).ok(),
        (_, Some(symbol)) if plan.row_symbol == Some(symbol) => Some(1),
        _ => None,
    };
    let sizes = |id: &ValueId| -> Vec<Option<usize>> {
        let dims = plan.values[id.index()].dims.iter().flatten();
        dims.map(size).collect()
    };
    let mut tiles: Vec<(TileSpec, f64)> = vec![];
    for step in &plan.steps {
        let inputs: Vec<Vec<Option<usize>>> = step.inputs.iter().map(sizes).collect();
        let inputs: Vec<&[Option<usize>]> = inputs.iter().map(Vec::as_slice).collect();
        let Some(output) = step.outputs.first().map(sizes) else {
            continue;
        };
        let work = inputs.get(1).map_or(0.0, |weights| work(weights, &output));
        for spec in tile_specs(&step.kernel, &inputs, &output) {
            match tiles.iter_mut().find(|(known, _)| *known == spec) {
                Some((_, sum)) => *sum += work,
                None => tiles.push((spec, work)),
            }
        }
    }
    // The sort is stable, so that equal plans give equal components.
    tiles.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    tiles.truncate(MAX_FUNCTIONS);
    tiles.into_iter().map(|(spec, _)| spec).collect()
}

/// Estimates how often a step multiplies: its weights, for each position of the output.
fn work(weights: &[Option<usize>], output: &[Option<usize>]) -> f64 {
    let product = |sizes: &[Option<usize>]| -> f64 {
        let sizes = sizes.iter().map(|size| size.unwrap_or(USUAL_SIZE) as f64);
        sizes.product()
    };
    let positions = match output {
        [rows, _channels, spatial @ ..] if !spatial.is_empty() => {
            product(&[*rows]) * product(spatial)
        }
        [leading @ .., _columns] => product(leading),
        [] => 1.0,
    };
    product(weights) * positions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_weights_times_positions() {
        let known =
            |sizes: &[usize]| -> Vec<Option<usize>> { sizes.iter().copied().map(Some).collect() };
        assert_eq!(
            work(&known(&[2, 9, 16]), &known(&[1, 32, 7, 5])),
            288.0 * 35.0
        );
        assert_eq!(work(&known(&[10]), &known(&[3, 4])), 30.0);
        assert_eq!(work(&[None], &known(&[3, 4])), 96.0);
    }
}
