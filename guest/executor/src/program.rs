//! What is the same for all sizes: the parts of a plan that calls need.

use tensorlet_kernels::{Isa, Target, tile::EmittedTile};
use tensorlet_plan::{Kernel, Lifetimes, Plan, Segment, Step, SymbolId, Value, ValueId};

use crate::constants::Constants;
use crate::error::LoadError;
use crate::executor::LoadOptions;
use crate::offload::Offloaded;
#[cfg(feature = "tract")]
use crate::tract_step::LoadedTractStep;

/// A verified plan without what its steps no longer need.
pub(crate) struct Program {
    /// The names of symbols, by [`SymbolId`].
    pub(crate) symbols: Vec<String>,
    /// The symbol that is bound to 1, while steps run once a row.
    pub(crate) row_symbol: Option<SymbolId>,
    pub(crate) values: Vec<Value>,
    pub(crate) steps: Vec<Step>,
    pub(crate) inputs: usize,
    pub(crate) outputs: Vec<ValueId>,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) constants: Constants,
    /// What a host may compute.
    pub(crate) offloaded: Option<Offloaded>,
    /// The sub-graph of each step that is a tract step.
    #[cfg(feature = "tract")]
    pub(crate) tract_steps: Vec<Option<std::sync::Arc<LoadedTractStep>>>,
    pub(crate) max_arena_bytes: usize,
    isa: Isa,
    tiles: Vec<EmittedTile>,
}

impl Program {
    pub(crate) fn load(plan: &Plan<'_>, options: LoadOptions) -> Result<Self, LoadError> {
        #[cfg(not(feature = "tract"))]
        refuse_tract_steps(plan)?;
        #[cfg(feature = "tract")]
        let tract_steps = load_tract_steps(plan)?;
        let LoadOptions {
            isa,
            tiles,
            max_arena_bytes,
            constants,
            offload,
            segments,
        } = options;
        Ok(Self {
            symbols: plan.symbols.clone(),
            row_symbol: plan.row_symbol,
            values: plan.values.clone(),
            steps: plan.steps.clone(),
            inputs: plan.description.signature.inputs.len(),
            outputs: plan.outputs.clone(),
            lifetimes: plan.lifetimes(),
            constants: match constants {
                Some(shared) => Constants::share(plan, shared)?,
                None => Constants::copy(plan)?,
            },
            offloaded: Offloaded::new(plan, offload, segments)?,
            #[cfg(feature = "tract")]
            tract_steps,
            max_arena_bytes,
            isa,
            tiles,
        })
    }

    /// Returns what kernels are bound for.
    pub(crate) fn target(&self) -> Target<'_> {
        Target {
            isa: self.isa,
            tiles: &self.tiles,
        }
    }

    /// Returns the segments between tract steps that a host may compute.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Segment> {
        self.offloaded.iter().flat_map(Offloaded::parts)
    }

    /// Reports whether a symbol counts rows.
    pub(crate) fn counts_rows(&self, symbol: usize) -> bool {
        self.row_symbol
            .is_some_and(|row_symbol| row_symbol.0 as usize == symbol)
    }

    /// Returns how many rows a call has that steps run for one by one.
    pub(crate) fn rows(&self, sizes: &[u32]) -> usize {
        self.row_symbol
            .map_or(1, |symbol| sizes[symbol.0 as usize] as usize)
    }
}

#[cfg(feature = "tract")]
fn load_tract_steps(
    plan: &Plan<'_>,
) -> Result<Vec<Option<std::sync::Arc<LoadedTractStep>>>, LoadError> {
    let load = |step: &Step| match &step.kernel {
        Kernel::Tract(tract) => {
            let loaded = LoadedTractStep::load(plan, step, tract)
                .map_err(|error| LoadError::new(format!("step `{}`: {error}", step.name)))?;
            Ok(Some(std::sync::Arc::new(loaded)))
        }
        _ => Ok(None),
    };
    plan.steps.iter().map(load).collect()
}

#[cfg(not(feature = "tract"))]
fn refuse_tract_steps(plan: &Plan<'_>) -> Result<(), LoadError> {
    let Some(step) = plan
        .steps
        .iter()
        .find(|step| matches!(step.kernel, Kernel::Tract(_)))
    else {
        return Ok(());
    };
    let operators: Vec<String> = plan.tract_operators().into_keys().collect();
    Err(LoadError::new(format!(
        "expected a plan of kernels alone, as tract is not here, found step `{}` and the operators {}",
        step.name,
        operators.join(", ")
    )))
}
