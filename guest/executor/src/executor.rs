//! Loads a plan and answers calls.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tensorlet_kernels::tile::EmittedTile;
use tensorlet_kernels::{Crew, Isa};
use tensorlet_plan::{Description, Plan};
use tensorlet_tensor::{NamedTensor, Tensor};

use crate::binding::{Binding, BoundOutput, Cache};
use crate::constants::SharedConstants;
use crate::error::{LoadError, PredictError};
use crate::offload::{self, Offload};
use crate::program::Program;
use crate::slices::Rows;
use crate::state::State;

/// The most states that wait for calls.
const MAX_STATES: usize = 64;

/// A plan, loaded and ready to predict.
///
/// Calls leave no trace in it: equal inputs give equal outputs. Several threads may call at the same time.
pub struct Executor {
    description: Description,
    program: Program,
    bindings: Cache,
    states: Mutex<Vec<State>>,
}

/// How a plan is executed.
#[derive(Clone)]
pub struct LoadOptions {
    /// The instruction set of the kernels. Default: the best that this machine has.
    pub isa: Isa,
    /// Functions that the compiler wrote for the plan. Default: none.
    pub tiles: Vec<EmittedTile>,
    /// The most bytes that each thread of a call may take for buffers between steps. Calls that would need more fail. Default:
    /// 4 GiB, and all that there is in WebAssembly.
    pub max_arena_bytes: usize,
    /// The plan's constants, if they can be used where they are. Default: they are copied.
    pub constants: Option<SharedConstants>,
    /// Who computes segments in place of the kernels here. Default: nobody.
    pub offload: Option<&'static dyn Offload>,
    /// The plans of the plan's segments, for `offload`. Default: none, so that nothing is offloaded.
    pub segments: Vec<Vec<u8>>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            isa: Isa::detect(),
            tiles: Vec::new(),
            max_arena_bytes: usize::try_from(4u64 << 30).unwrap_or(usize::MAX),
            constants: None,
            offload: None,
            segments: Vec::new(),
        }
    }
}

impl Executor {
    /// Loads a plan: copies its constants, loads its sub-graphs, and binds it if no sizes are missing.
    ///
    /// # Errors
    /// If the plan is invalid, a sub-graph cannot be loaded, there is no kernel for a step, or memory is short.
    pub fn load(plan: &Plan<'_>, options: LoadOptions) -> Result<Self, LoadError> {
        plan.verify()
            .map_err(|error| LoadError::new(error.to_string()))?;
        Self::load_verified(plan, options)
    }

    /// As [`load`](Self::load), of a [segment](tensorlet_plan::segments) of another plan. It is run with [`run`](Self::run): its inputs may not
    /// tell the sizes of its symbols.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_segment(plan: &Plan<'_>, options: LoadOptions) -> Result<Self, LoadError> {
        plan.verify_segment()
            .map_err(|error| LoadError::new(error.to_string()))?;
        Self::load_verified(plan, options)
    }

    fn load_verified(plan: &Plan<'_>, options: LoadOptions) -> Result<Self, LoadError> {
        let executor = Self {
            description: plan.description.clone(),
            program: Program::load(plan, options)?,
            bindings: Cache::default(),
            states: Mutex::default(),
        };
        let symbols = executor.program.symbols.len();
        if (0..symbols).all(|symbol| executor.program.counts_rows(symbol)) {
            executor
                .binding(&vec![1; symbols])
                .map_err(|error| LoadError::new(error.to_string()))?;
        }
        Ok(executor)
    }

    /// Returns about how many bytes the bindings take that are remembered, with what kernels have worked out for them.
    pub fn bound_bytes(&self) -> usize {
        self.bindings.bytes()
    }

    /// Forgets all bindings. Those in use stay until their calls are over.
    pub fn forget_bindings(&self) {
        self.bindings.clear();
    }

    /// Offers segments to who may compute them, so that the first call need not wait for it.
    pub fn offer_segments(&self) {
        if let Some(offloaded) = &self.program.offloaded {
            offloaded.offer(&self.program);
        }
    }

    /// Returns what the model says about itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Returns the names of the sizes that a call decides, in the order of the plan.
    pub fn symbols(&self) -> &[String] {
        &self.program.symbols
    }

    /// Gets ready for a call of these sizes, one for each of the [`symbols`](Self::symbols): binds the plan to them, and allocates what the call works
    /// in.
    ///
    /// # Errors
    /// If the model has no such sizes, or memory is short.
    pub fn make_ready(&self, sizes: &[u32]) -> Result<(), PredictError> {
        let binding = self.binding(sizes)?;
        let mut state = self.take_state();
        state.first(binding.arena_bytes(1)?)?;
        self.return_state(state);
        Ok(())
    }

    /// Returns the dims of the outputs for given sizes of the symbols; `None` where only the data decides them.
    ///
    /// # Errors
    /// If the model has no such sizes.
    pub fn output_dims(&self, sizes: &[u32]) -> Result<Vec<Option<Vec<u32>>>, PredictError> {
        let binding = self.binding(sizes)?;
        let rows = self.program.rows(sizes);
        let dims = |output: &BoundOutput| self.dims_of(output, rows);
        Ok(binding.outputs().iter().map(dims).collect())
    }

    /// Returns how many bytes each output has for given sizes of the symbols; none where only the data decides.
    ///
    /// # Errors
    /// If the model has no such sizes.
    pub fn output_bytes(&self, sizes: &[u32]) -> Result<Vec<usize>, PredictError> {
        let binding = self.binding(sizes)?;
        let rows = self.program.rows(sizes);
        let bytes = |index| match binding.output_bytes(index).checked_mul(rows) {
            Some(bytes) => Ok(bytes),
            None => Err(PredictError::OutOfMemory {
                expected_bytes: usize::MAX,
            }),
        };
        (0..binding.outputs().len()).map(bytes).collect()
    }

    /// Computes the outputs, in the signature's order, on the calling thread.
    ///
    /// # Errors
    /// If an input does not fit the signature, a step fails, or memory is short.
    pub fn predict(&self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>, PredictError> {
        self.predict_with(inputs, Crew::default())
    }

    /// As [`predict`](Self::predict), with a crew: see [`run_with`](Self::run_with).
    ///
    /// # Errors
    /// As [`predict`](Self::predict), and if the call is interrupted.
    pub fn predict_with(
        &self,
        inputs: &[NamedTensor],
        crew: Crew<'_>,
    ) -> Result<Vec<NamedTensor>, PredictError> {
        let signature = &self.description.signature;
        let symbols = signature.bind(inputs)?;
        let sizes: Vec<u32> = self
            .program
            .symbols
            .iter()
            .map(|symbol| symbols[symbol])
            .collect();
        let slices: Vec<&[u8]> = signature
            .inputs
            .iter()
            .map(|spec| {
                let named = inputs.iter().find(|(name, _)| *name == spec.name);
                named.expect("`bind` found every input").1.data()
            })
            .collect();

        if let Some(outputs) = self.predict_whole(&sizes, &slices)? {
            return Ok(outputs);
        }
        let binding = self.binding(&sizes)?;
        let rows = self.program.rows(&sizes);
        let mut buffers = self.allocate_outputs(&binding, rows)?;
        let mut outputs: Vec<&mut [u8]> = buffers.iter_mut().map(Vec::as_mut_slice).collect();
        let mut state = self.take_state();
        let result = self
            .rows(&binding, rows, &slices, &mut outputs)
            .and_then(|rows| self.run_rows(&binding, &mut state, rows, crew, &mut |_| ()))
            .and_then(|()| self.name_outputs(&binding, &mut state, rows, buffers));
        state.forget();
        self.return_state(state);
        result
    }

    /// Has a host compute the whole plan. Returns `None` if it does not.
    fn predict_whole(
        &self,
        sizes: &[u32],
        inputs: &[&[u8]],
    ) -> Result<Option<Vec<NamedTensor>>, PredictError> {
        let Some(types) = offload::whole_outputs(&self.program, sizes) else {
            return Ok(None);
        };
        let offloaded = self.program.offloaded.as_ref();
        let offloaded = offloaded.expect("`whole_outputs` found it");
        let mut buffers = Vec::with_capacity(types.len());
        for tensor in &types {
            buffers.push(allocate(tensor.stored_bytes().unwrap_or(usize::MAX))?);
        }
        let mut outputs: Vec<&mut [u8]> = buffers.iter_mut().map(Vec::as_mut_slice).collect();
        if !offloaded.run(&self.program, 0, sizes, inputs, &mut outputs) {
            return Ok(None);
        }
        let specs = &self.description.signature.outputs;
        let tensors = specs.iter().zip(types).zip(buffers);
        let tensors = tensors.map(|((spec, tensor), data)| {
            // Dims were `u32` before they were evaluated.
            let dims = tensor.dims.iter().map(|&dim| dim as u32).collect();
            let tensor = Tensor::new(tensor.datum_type, dims, data);
            let tensor = tensor.expect("the buffer is as long as the dims say");
            (spec.name.clone(), tensor)
        });
        Ok(Some(tensors.collect()))
    }

    /// Computes the outputs into the caller's memory, on the calling thread.
    ///
    /// There is one size for each of the [`symbols`](Self::symbols), and one slice for each input and output of the signature, in
    /// its order, as long as their dims say; an output whose dims only the data decides has none, and is lost. Slices that begin at
    /// multiples of 64 bytes are used in place, others are copied. In a `state` that has served such sizes before, nothing is
    /// allocated, unless there are tract steps.
    ///
    /// # Errors
    /// If a slice has another length, a step fails, or memory is short.
    pub fn run(
        &self,
        state: &mut State,
        sizes: &[u32],
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<(), PredictError> {
        self.run_with(state, sizes, inputs, outputs, Crew::default())
    }

    /// As [`run`](Self::run), with a crew. Its threads compute rows of their own where steps run once a row and there are enough
    /// of them, else each step together; the outputs are the same. It is asked between steps, and between the parts of a step,
    /// whether to go on, so that an interruption ends a call within milliseconds, but for steps that tract executes.
    ///
    /// # Errors
    /// As [`run`](Self::run), and if the call is interrupted. Outputs hold any bytes then.
    pub fn run_with(
        &self,
        state: &mut State,
        sizes: &[u32],
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        crew: Crew<'_>,
    ) -> Result<(), PredictError> {
        let binding = self.binding(sizes)?;
        let rows = self.program.rows(sizes);
        let rows = self.rows(&binding, rows, inputs, outputs)?;
        let result = self.run_rows(&binding, state, rows, crew, &mut |_| ());
        state.forget();
        result
    }

    /// As [`run`](Self::run), and calls `after_step` with the index of each step that has run.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_observed(
        &self,
        state: &mut State,
        sizes: &[u32],
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        after_step: &mut dyn FnMut(usize),
    ) -> Result<(), PredictError> {
        let binding = self.binding(sizes)?;
        let rows = self.program.rows(sizes);
        let rows = self.rows(&binding, rows, inputs, outputs)?;
        let result = self.run_rows(&binding, state, rows, Crew::default(), after_step);
        state.forget();
        result
    }

    fn binding(&self, sizes: &[u32]) -> Result<Arc<Binding>, PredictError> {
        let symbols = self.program.symbols.len();
        if sizes.len() != symbols {
            return Err(PredictError::Mismatch(format!(
                "expected sizes of {symbols} symbols, found {}",
                sizes.len()
            )));
        }
        self.bindings.bind(&self.program, sizes)
    }

    /// Checks that the caller's tensors hold so many rows.
    fn rows<'a>(
        &self,
        binding: &Binding,
        rows: usize,
        inputs: &'a [&'a [u8]],
        outputs: &'a mut [&mut [u8]],
    ) -> Result<Rows<'a>, PredictError> {
        let specs = &self.description.signature;
        let input_bytes = binding.input_bytes().iter().copied();
        let input_specs = specs.inputs.iter().map(|spec| spec.name.as_str());
        let found = inputs.iter().map(|input| input.len());
        check_lengths("input", input_specs, input_bytes, found, rows)?;
        let output_bytes = (0..binding.outputs().len()).map(|index| binding.output_bytes(index));
        let output_specs = specs.outputs.iter().map(|spec| spec.name.as_str());
        let found = outputs.iter().map(|output| output.len());
        check_lengths("output", output_specs, output_bytes, found, rows)?;
        Ok(Rows::new(inputs, outputs, rows))
    }

    /// Computes rows: as many as there are threads at a time, each by one of them, and those that are left one by one, by all of them.
    fn run_rows(
        &self,
        binding: &Binding,
        state: &mut State,
        #[cfg_attr(
            target_arch = "wasm32",
            expect(unused_mut, reason = "all rows come one by one")
        )]
        mut rows: Rows<'_>,
        crew: Crew<'_>,
        after_step: &mut dyn FnMut(usize),
    ) -> Result<(), PredictError> {
        #[cfg(not(target_arch = "wasm32"))]
        self.share_rows(binding, state, &mut rows, crew)?;
        if rows.len() > 0 {
            let workplace = state.first(binding.arena_bytes(crew.size())?)?;
            for row in rows {
                binding.run(&self.program, workplace, row, crew, after_step)?;
            }
        }
        Ok(())
    }

    /// Computes rows, each by one thread, as long as there is one for every thread.
    #[cfg(not(target_arch = "wasm32"))]
    fn share_rows(
        &self,
        binding: &Binding,
        state: &mut State,
        rows: &mut Rows<'_>,
        crew: Crew<'_>,
    ) -> Result<(), PredictError> {
        let threads = crew.size();
        let shared = rows.len() / threads * threads;
        if threads == 1 || shared == 0 {
            return Ok(());
        }
        if shared < rows.len() {
            // The longest arena is asked for first, so that none is allocated twice.
            state.first(binding.arena_bytes(threads)?)?;
        }
        let workplaces = state.workplaces(threads, binding.arena_bytes(1)?)?;
        crew.share(rows.take(shared), workplaces, |row, workplace| {
            binding.run(&self.program, workplace, row, crew.alone(), &mut |_| ())
        })
    }

    fn allocate_outputs(
        &self,
        binding: &Binding,
        rows: usize,
    ) -> Result<Vec<Vec<u8>>, PredictError> {
        let allocate = |index: usize| allocate(binding.output_bytes(index).saturating_mul(rows));
        (0..binding.outputs().len()).map(allocate).collect()
    }

    /// Makes tensors of the bytes that a call left.
    fn name_outputs(
        &self,
        binding: &Binding,
        state: &mut State,
        rows: usize,
        buffers: Vec<Vec<u8>>,
    ) -> Result<Vec<NamedTensor>, PredictError> {
        let specs = &self.description.signature.outputs;
        let outputs = binding.outputs().iter().zip(specs).zip(buffers);
        outputs
            .map(|((output, spec), data)| {
                let tensor = match (&output.tensor, self.dims_of(output, rows)) {
                    (Some(tensor), Some(dims)) => Tensor::new(tensor.datum_type, dims, data)
                        .map_err(|error| error.to_string()),
                    _ => dynamic_output(state, output),
                };
                let named =
                    |reason| PredictError::Failed(format!("output `{}`: {reason}", spec.name));
                Ok((spec.name.clone(), tensor.map_err(named)?))
            })
            .collect()
    }

    fn dims_of(&self, output: &BoundOutput, rows: usize) -> Option<Vec<u32>> {
        let tensor = output.tensor.as_ref()?;
        // Dims were `u32` before they were bound, and rows come from one.
        let mut dims: Vec<u32> = tensor.dims.iter().map(|&dim| dim as u32).collect();
        if let (Some(_), Some(first)) = (self.program.row_symbol, dims.first_mut()) {
            *first = rows as u32;
        }
        Some(dims)
    }

    fn take_state(&self) -> State {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.pop().unwrap_or_default()
    }

    fn return_state(&self, state: State) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        if states.len() < MAX_STATES {
            states.push(state);
        }
    }
}

impl fmt::Debug for LoadOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadOptions")
            .field("isa", &self.isa)
            .field("tiles", &self.tiles)
            .field("max_arena_bytes", &self.max_arena_bytes)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Executor({}, {} steps)",
            self.description.name,
            self.program.steps.len()
        )
    }
}

fn allocate(expected_bytes: usize) -> Result<Vec<u8>, PredictError> {
    bytemuck::try_zeroed_vec(expected_bytes)
        .map_err(|()| PredictError::OutOfMemory { expected_bytes })
}

fn check_lengths<'a>(
    what: &str,
    names: impl ExactSizeIterator<Item = &'a str>,
    row_bytes: impl Iterator<Item = usize>,
    found: impl ExactSizeIterator<Item = usize>,
    rows: usize,
) -> Result<(), PredictError> {
    if names.len() != found.len() {
        return Err(PredictError::Mismatch(format!(
            "expected {} {what}s, found {}",
            names.len(),
            found.len()
        )));
    }
    for ((name, row_bytes), found) in names.zip(row_bytes).zip(found) {
        if row_bytes.checked_mul(rows) != Some(found) {
            return Err(PredictError::Mismatch(format!(
                "{what} `{name}`: expected {rows} × {row_bytes} bytes, found {found}"
            )));
        }
    }
    Ok(())
}

#[cfg(feature = "tract")]
fn dynamic_output(state: &mut State, output: &BoundOutput) -> Result<Tensor, String> {
    state.dynamic_output(output.value)
}

#[cfg(not(feature = "tract"))]
fn dynamic_output(_: &mut State, _: &BoundOutput) -> Result<Tensor, String> {
    unreachable!("only tract steps write values of unknown dims")
}
