//! tract's optimiser, with an end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tract_onnx::prelude::{TractResult, TypedModel};
use tract_onnx::tract_core::internal::{TypedModelPatch, bail};
use tract_onnx::tract_core::optim::{Optimizer, OptimizerSession, TypedPass};

/// The most times that tract goes through its passes. Models that it takes need a few dozen; on some that
/// contradict themselves it never comes to an end.
const MAX_ROUNDS: usize = 256;

/// Optimises a model as `into_optimized` does.
///
/// # Errors
/// If tract fails, or goes on for more than [`MAX_ROUNDS`].
pub(super) fn optimise(mut model: TypedModel) -> TractResult<TypedModel> {
    for mut optimizer in [Optimizer::declutter(), Optimizer::codegen()] {
        optimizer.add_pass(0, Box::<RoundLimit>::default());
        optimizer.optimize(&mut model)?;
    }
    Ok(model)
}

/// A pass that changes nothing and counts how often it is run.
///
/// tract clones its passes for each round; the clones count together.
#[derive(Clone, Debug, Default)]
struct RoundLimit {
    rounds: Arc<AtomicUsize>,
}

impl TypedPass for RoundLimit {
    fn reset(&mut self) -> TractResult<()> {
        if self.rounds.fetch_add(1, Ordering::Relaxed) >= MAX_ROUNDS {
            bail!("the optimiser does not come to an end");
        }
        Ok(())
    }

    fn next(
        &mut self,
        _session: &mut OptimizerSession<'_>,
        _model: &TypedModel,
    ) -> TractResult<Option<TypedModelPatch>> {
        Ok(None)
    }
}
