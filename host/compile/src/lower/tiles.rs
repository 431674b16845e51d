//! Lists the functions that the compiler writes for a plan.

use tensorlet_kernels::tile::tile_specs;
use tensorlet_plan::verify::MAX_TILES;
use tensorlet_plan::{DimExpr, Plan, TileSpec, ValueId};

/// Returns the functions that the steps of a plan are faster with, each once.
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
    let mut tiles: Vec<TileSpec> = vec![];
    for step in &plan.steps {
        let inputs: Vec<Vec<Option<usize>>> = step.inputs.iter().map(sizes).collect();
        let inputs: Vec<&[Option<usize>]> = inputs.iter().map(Vec::as_slice).collect();
        let Some(output) = step.outputs.first().map(sizes) else {
            continue;
        };
        for tile in tile_specs(&step.kernel, &inputs, &output) {
            if !tiles.contains(&tile) && tiles.len() < MAX_TILES {
                tiles.push(tile);
            }
        }
    }
    tiles
}
