//! A plan bound to sizes: numbers instead of symbols, places in memory, kernels that know both.

mod cache;
mod chunks;
mod joined;
mod places;
mod strips;

use tensorlet_kernels::{Crew, Run, RunError, TensorType};
use tensorlet_plan::kernel::ConvWeights;
use tensorlet_plan::{Kernel, Step, Value, ValueId};

pub(crate) use cache::Cache;
use chunks::{BoundChunks, Chunks};
use joined::Joined;
use places::Places;

use crate::error::PredictError;
use crate::memory::ALIGN_BYTES;
use crate::program::Program;
use crate::slices::{Frame, Operand, Operands, Place, Row};
use crate::state::Workplace;
#[cfg(feature = "tract")]
use crate::tract_step::TractCall;

/// A plan bound to sizes of its symbols. Running it allocates nothing, unless tract does.
pub(crate) struct Binding {
    /// The size of each symbol; 1 for the one that counts rows.
    sizes: Box<[u32]>,
    steps: Vec<BoundStep>,
    /// What a host may compute, in the order of steps.
    segments: Vec<BoundSegment>,
    /// The caller's inputs that steps read. Those that are not aligned are copied into the arena.
    inputs: Vec<Operand>,
    /// How many bytes a row of each of the caller's inputs has.
    input_bytes: Vec<usize>,
    /// The caller's outputs.
    outputs: Vec<BoundOutput>,
    /// For steps that one thread computes.
    arena_bytes: usize,
    /// About how many bytes it takes itself, with what kernels have worked out.
    bytes: usize,
    /// The most that a step needs for each further thread.
    scratch_bytes: usize,
}

enum BoundStep {
    Kernel(Box<dyn Run>, Operands),
    #[cfg(feature = "tract")]
    Tract(TractCall, Operands),
    /// Computed with the next one, or the one after it.
    WithNext,
    /// Computed with the one before, in chunks.
    Chunks(BoundChunks),
}

/// Steps that a host may compute.
struct BoundSegment {
    steps: std::ops::Range<usize>,
    operands: Operands,
}

/// What a step is bound to, before its operands have places.
enum Work {
    Kernel(Box<dyn Run>),
    #[cfg(feature = "tract")]
    Tract(TractCall),
    WithNext,
    /// The kernels of the step before and of this one.
    Chunks([Box<dyn Run>; 2], Chunks),
    /// The kernel of the two steps before and of this one.
    Strips(Box<dyn Run>),
}

impl Work {
    fn scratch_bytes(&self) -> usize {
        match self {
            Self::Kernel(kernel) | Self::Strips(kernel) => kernel.scratch_bytes(),
            Self::Chunks([first, second], _) => first.scratch_bytes().max(second.scratch_bytes()),
            Self::WithNext => 0,
            #[cfg(feature = "tract")]
            Self::Tract(_) => 0,
        }
    }
}

/// An output of the plan.
pub(crate) struct BoundOutput {
    /// Of one row; `None` if only the data decides the dims.
    pub(crate) tensor: Option<TensorType>,
    /// Which value it is.
    #[cfg(feature = "tract")]
    pub(crate) value: ValueId,
    /// Where it is after the last step; `None` if only the data decides the dims.
    operand: Option<Operand>,
}

impl Binding {
    /// Binds a plan to sizes. The one that counts rows is taken as 1.
    pub(crate) fn new(program: &Program, sizes: &[u32]) -> Result<Self, PredictError> {
        let sizes: Box<[u32]> = sizes
            .iter()
            .enumerate()
            .map(|(symbol, &size)| match program.counts_rows(symbol) {
                true => 1,
                false => size,
            })
            .collect();
        let types = types(program, &sizes)?;
        let bytes = bytes(program, &types)?;
        let (plans, joined) = join_steps(program, &types);
        let mut places = Places::assign(program, &types, &joined)?;
        // Not before it is known that the arena is not too long.
        let works = bind_steps(program, &types, plans)?;
        let scratch_bytes = works.iter().map(Work::scratch_bytes).max().unwrap_or(0);
        let scratch = places.allocate_scratch(scratch_bytes)?;
        let arena_bytes = places.arena_bytes();
        let steps = program
            .steps
            .iter()
            .zip(works)
            .enumerate()
            .map(|(index, (step, work))| {
                let scratch = (scratch, work.scratch_bytes());
                let operands = || {
                    let values = (step.inputs.as_slice(), step.outputs.as_slice());
                    places.operands(program, &types, &step.name, values, scratch)
                };
                Ok(match work {
                    Work::Kernel(kernel) => BoundStep::Kernel(kernel, operands()?),
                    #[cfg(feature = "tract")]
                    Work::Tract(call) => BoundStep::Tract(call, operands()?),
                    Work::WithNext => BoundStep::WithNext,
                    Work::Strips(kernel) => {
                        let operands = strips::operands(program, &types, &places, index, scratch)?;
                        BoundStep::Kernel(kernel, operands)
                    }
                    Work::Chunks([first, second], chunks) => {
                        let before = index - 1;
                        let operands =
                            chunks::operands(program, &types, &places, before, chunks, scratch)?;
                        BoundStep::Chunks(BoundChunks {
                            first,
                            second,
                            operands,
                        })
                    }
                })
            })
            .collect::<Result<_, PredictError>>()?;
        let segments = segments(program, &types, &places)?;
        Ok(Self {
            sizes,
            steps,
            segments,
            bytes,
            inputs: places.inputs_to_copy(program, &types),
            input_bytes: types[..program.inputs]
                .iter()
                .map(|tensor| {
                    tensor
                        .as_ref()
                        .and_then(TensorType::stored_bytes)
                        .unwrap_or(0)
                })
                .collect(),
            outputs: program
                .outputs
                .iter()
                .map(|&id| BoundOutput {
                    tensor: types[id.index()].clone(),
                    #[cfg(feature = "tract")]
                    value: id,
                    operand: places.operand(program, &types, id),
                })
                .collect(),
            arena_bytes,
            scratch_bytes: scratch_bytes.next_multiple_of(ALIGN_BYTES),
        })
    }

    /// Reports whether this is the binding to these sizes.
    fn is_for(&self, program: &Program, sizes: &[u32]) -> bool {
        let agrees = |(symbol, (bound, size)): (usize, (&u32, &u32))| {
            bound == size || program.counts_rows(symbol)
        };
        self.sizes.len() == sizes.len() && self.sizes.iter().zip(sizes).enumerate().all(agrees)
    }

    pub(crate) fn outputs(&self) -> &[BoundOutput] {
        &self.outputs
    }

    /// Returns how many bytes each of the caller's inputs has a row.
    pub(crate) fn input_bytes(&self) -> &[usize] {
        &self.input_bytes
    }

    /// Returns how many bytes an output of the caller has a row; none if only the data decides the dims.
    pub(crate) fn output_bytes(&self, output: usize) -> usize {
        self.outputs[output]
            .operand
            .map_or(0, |operand| operand.len)
    }

    /// Returns how long an arena must be where so many threads compute each step.
    ///
    /// # Errors
    /// If there is no memory of that length.
    pub(crate) fn arena_bytes(&self, threads: usize) -> Result<usize, PredictError> {
        let further = self.scratch_bytes.checked_mul(threads - 1);
        further
            .and_then(|further| further.checked_add(self.arena_bytes))
            .ok_or(PredictError::OutOfMemory {
                expected_bytes: isize::MAX as usize,
            })
    }

    /// Returns about how many bytes the binding takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Runs the steps for one row, in an arena that is long enough for the crew. The caller's tensors have the lengths that the
    /// binding says, times the rows.
    pub(crate) fn run(
        &self,
        program: &Program,
        workplace: &mut Workplace,
        row: Row<'_>,
        crew: Crew<'_>,
        after_step: &mut dyn FnMut(usize),
    ) -> Result<(), PredictError> {
        let Workplace {
            arena,
            lists,
            #[cfg(feature = "tract")]
            dynamic,
        } = workplace;
        let constants = program.constants.as_slice();
        let mut frame = Frame::new(constants, arena.as_mut_slice(), row, lists);
        for input in &self.inputs {
            frame.copy_in(input);
        }
        let mut segments = self.segments.iter().enumerate().peekable();
        let mut offloaded = 0..0;
        for (index, step) in self.steps.iter().enumerate() {
            crew.check()?;
            if let Some((segment, bound)) =
                segments.next_if(|(_, bound)| bound.steps.start == index)
                && self.run_segment(program, segment, &bound.operands, &mut frame)
            {
                offloaded = bound.steps.clone();
            }
            if offloaded.contains(&index) {
                continue;
            }
            let mut run = |index: usize, kernel: &dyn Run, operands: &Operands| {
                let (inputs, outputs, scratch) = frame.slices(operands, crew.size());
                let result = kernel.run(inputs, outputs, scratch, crew);
                result.map_err(|error| failed(&program.steps[index], error))
            };
            match step {
                BoundStep::Kernel(kernel, operands) => run(index, &**kernel, operands)?,
                #[cfg(feature = "tract")]
                BoundStep::Tract(call, operands) => {
                    let (inputs, outputs, _) = frame.slices(operands, crew.size());
                    call.run(inputs, outputs, dynamic).map_err(|error| {
                        PredictError::in_step(&program.steps[index].name, &error)
                    })?;
                }
                BoundStep::WithNext => {}
                BoundStep::Chunks(chunks) => {
                    for [first, second] in &chunks.operands {
                        run(index - 1, &*chunks.first, first)?;
                        run(index, &*chunks.second, second)?;
                    }
                }
            }
            after_step(index);
        }
        self.deliver(&mut frame);
        Ok(())
    }

    /// Has a host compute a segment; returns whether it did.
    fn run_segment(
        &self,
        program: &Program,
        segment: usize,
        operands: &Operands,
        frame: &mut Frame<'_>,
    ) -> bool {
        let offloaded = program.offloaded.as_ref();
        let offloaded = offloaded.expect("only a program with segments binds some");
        let (inputs, outputs, _) = frame.slices(operands, 1);
        offloaded.run(program, segment, &self.sizes, inputs, outputs)
    }

    /// Copies outputs that are not where the caller wants them.
    fn deliver(&self, frame: &mut Frame<'_>) {
        for (index, output) in self.outputs.iter().enumerate() {
            match &output.operand {
                None => {}
                Some(operand) => match operand.place {
                    Place::Output { index: at, .. } if at == index => frame.copy_out(operand),
                    _ => frame.copy_to(operand, index),
                },
            }
        }
    }
}

/// Returns the error of a step whose kernel has not computed.
fn failed(step: &Step, error: RunError) -> PredictError {
    match error {
        RunError::Interrupted(interrupted) => interrupted.into(),
        error => PredictError::in_step(&step.name, &error),
    }
}

/// What a step takes by itself.
const STEP_BYTES: usize = 1024;

/// What a kernel works out for each index of an axis, if it does: where it comes from, and what for.
const INDEX_BYTES: usize = 32;

/// Returns about how many bytes a binding takes.
///
/// # Errors
/// If that is more than an arena may have: dims may be large though there are few elements. In WebAssembly, memory itself is limited.
fn bytes(program: &Program, types: &[Option<TensorType>]) -> Result<usize, PredictError> {
    if cfg!(target_arch = "wasm32") {
        return Ok(0);
    }
    let mut bytes = program.steps.len().saturating_mul(STEP_BYTES);
    for step in program.steps.iter().filter(|step| has_tables(&step.kernel)) {
        let outputs = step
            .outputs
            .iter()
            .filter_map(|id| types[id.index()].as_ref());
        for &dim in outputs.flat_map(|tensor| &tensor.dims) {
            bytes = bytes.saturating_add(dim.saturating_mul(INDEX_BYTES));
        }
    }
    if bytes > program.max_arena_bytes.max(MIN_BYTES) {
        return Err(PredictError::OutOfMemory {
            expected_bytes: bytes,
        });
    }
    Ok(bytes)
}

/// A binding may take so many bytes even if an arena may not.
const MIN_BYTES: usize = 1 << 20;

/// Reports whether a kernel keeps something for each index of an axis.
fn has_tables(kernel: &Kernel) -> bool {
    match kernel {
        Kernel::Pool(_) | Kernel::Resize(_) => true,
        Kernel::Conv(conv) => conv.weights == ConvWeights::Depthwise,
        _ => false,
    }
}

/// Evaluates the dims of all values. `None` where only the data decides them.
fn types(program: &Program, sizes: &[u32]) -> Result<Vec<Option<TensorType>>, PredictError> {
    let mut types: Vec<Option<TensorType>> = Vec::with_capacity(program.values.len());
    for (id, value) in program.values.iter().enumerate() {
        let tensor = tensor_type(value, sizes)
            .map_err(|reason| PredictError::Failed(format!("value `{}`: {reason}", value.name)))?;
        let root = program.lifetimes.root(ValueId(id as u32)).index();
        if root != id {
            let bytes =
                |tensor: &Option<TensorType>| tensor.as_ref().and_then(TensorType::stored_bytes);
            let (expected, found) = (bytes(&types[root]), bytes(&tensor));
            if expected != found {
                return Err(PredictError::Failed(format!(
                    "value `{}`: expected {} bytes, as `{}` has, found {}",
                    value.name,
                    expected.unwrap_or(0),
                    program.values[root].name,
                    found.unwrap_or(0)
                )));
            }
        }
        types.push(tensor);
    }
    Ok(types)
}

pub(crate) fn tensor_type(value: &Value, sizes: &[u32]) -> Result<Option<TensorType>, String> {
    let Some(dims) = &value.dims else {
        return Ok(None);
    };
    let dims = dims
        .iter()
        .map(|dim| dim.evaluate(sizes).map(|size| size as usize))
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    let tensor = TensorType {
        datum_type: value.datum_type,
        dims,
        layout: value.layout,
    };
    match tensor.stored_bytes() {
        Some(bytes) if isize::try_from(bytes).is_ok() => Ok(Some(tensor)),
        _ => Err(format!(
            "expected a tensor that fits in memory, found {tensor}"
        )),
    }
}

/// Finds the operands of the segments between tract steps.
fn segments(
    program: &Program,
    types: &[Option<TensorType>],
    places: &Places,
) -> Result<Vec<BoundSegment>, PredictError> {
    program
        .parts()
        .map(|segment| {
            let first = &program.steps[segment.steps.start];
            let values = (segment.inputs.as_slice(), segment.outputs.as_slice());
            Ok(BoundSegment {
                steps: segment.steps.clone(),
                operands: places.operands(program, types, &first.name, values, (0, 0))?,
            })
        })
        .collect()
}

/// How a step is to be computed.
enum StepPlan {
    Alone,
    WithNext,
    /// With the step before.
    Chunks(Chunks),
    /// With the two steps before.
    Strips(Box<dyn Run>),
}

/// Finds out which steps are computed together.
fn join_steps(program: &Program, types: &[Option<TensorType>]) -> (Vec<StepPlan>, Vec<Joined>) {
    let target = program.target();
    let mut plans = Vec::with_capacity(program.steps.len());
    let mut joined = Vec::new();
    while plans.len() < program.steps.len() {
        let index = plans.len();
        if let Some((kernel, steps)) = strips::bind(program, types, index, &target) {
            joined.push(steps);
            plans.extend([
                StepPlan::WithNext,
                StepPlan::WithNext,
                StepPlan::Strips(kernel),
            ]);
        } else if let Some(chunks) = chunks::find(program, types, index) {
            joined.push(Joined {
                steps: index..index + 2,
                between: vec![(chunks.between, chunks.bytes)],
            });
            plans.extend([StepPlan::WithNext, StepPlan::Chunks(chunks)]);
        } else {
            plans.push(StepPlan::Alone);
        }
    }
    (plans, joined)
}

/// Binds all steps.
fn bind_steps(
    program: &Program,
    types: &[Option<TensorType>],
    plans: Vec<StepPlan>,
) -> Result<Vec<Work>, PredictError> {
    let target = program.target();
    let steps = program.steps.iter().zip(plans).enumerate();
    let bind = |(index, (step, plan)): (usize, (&Step, StepPlan))| {
        Ok(match plan {
            StepPlan::Alone => bind_step(program, index, step, types, &target)?,
            StepPlan::WithNext => Work::WithNext,
            StepPlan::Strips(kernel) => Work::Strips(kernel),
            StepPlan::Chunks(chunks) => {
                let kernels = chunks::bind(program, types, index - 1, chunks, &target)?;
                Work::Chunks(kernels, chunks)
            }
        })
    };
    steps.map(bind).collect()
}

fn bind_step(
    program: &Program,
    index: usize,
    step: &Step,
    types: &[Option<TensorType>],
    target: &tensorlet_kernels::Target<'_>,
) -> Result<Work, PredictError> {
    #[cfg(feature = "tract")]
    if let Some(loaded) = &program.tract_steps[index] {
        let call = TractCall::new(loaded.clone(), step, types);
        return Ok(Work::Tract(call));
    }
    #[cfg(not(feature = "tract"))]
    let _ = (program, index);
    let known = |ids: &[ValueId]| -> Vec<TensorType> {
        ids.iter()
            .map(|id| {
                let tensor = types[id.index()].clone();
                tensor.expect("`verify` lets only tract steps touch values of unknown dims")
            })
            .collect()
    };
    debug_assert!(!matches!(step.kernel, Kernel::Tract(_)));
    tensorlet_kernels::bind(
        &step.kernel,
        &known(&step.inputs),
        &known(&step.outputs),
        target,
    )
    .map(Work::Kernel)
    .map_err(|error| PredictError::in_step(&step.name, &error))
}
