//! The functions of `wit/offload.wit`, by the canonical ABI.
//!
//! Generated code would copy each list that a guest passes and each that it is given. Here a list that a guest passes is a [`Claim`], checked to be
//! within its memory and read in place; and results are computed while they are lowered, straight into the memory that the guest's `realloc` gives
//! for them. Lowering is also when all of the guest's memory is at hand, for reading and for writing.

#![expect(
    unsafe_code,
    reason = "the fence around Wasmtime's traits for values that cross into a guest"
)]

mod memory;

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use tensorlet_plan::verify::MAX_SYMBOLS;
use wasmtime::component::__internal::{
    CanonicalAbiInfo, InstanceType, InterfaceType, LiftContext, LowerContext,
};
use wasmtime::component::{ComponentType, Lift, Linker, Lower};
use wasmtime::{StoreContextMut, ValRaw};

use super::{Availability, Refused, Segments};
use crate::accelerator::SegmentError;
use crate::instance::{DeadlinePassed, StoreState};
use crate::wit::OFFLOAD_INTERFACE;

/// Defines the functions: those of the store's segments, or such that decline if it has none.
pub(crate) fn add_to_linker(linker: &mut Linker<StoreState>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(OFFLOAD_INTERFACE)?;
    interface.func_wrap(
        "find",
        |store: StoreContextMut<'_, StoreState>, (segment,): (u32,)| {
            let segments = store.data().segments.as_ref();
            let found = segments.map_or(Availability::Declined, |segments| segments.find(segment));
            Ok((AvailabilityOut::from(found),))
        },
    )?;
    interface.func_wrap(
        "load",
        |store: StoreContextMut<'_, StoreState>,
         (segment, plan, constants): (u32, Claim<u8>, Claim<u8>)| {
            Ok((Load {
                segments: store.data().segments.clone(),
                segment,
                plan,
                constants,
            },))
        },
    )?;
    interface.func_wrap(
        "run",
        |store: StoreContextMut<'_, StoreState>,
         (segment, sizes, inputs): (u32, Claim<u32>, Claim<Vec<u8>>)| {
            Ok((Run {
                segments: store.data().segments.clone(),
                segment,
                sizes,
                inputs,
                deadline: store.data().deadline,
            },))
        },
    )
}

#[derive(Clone, ComponentType, Copy, Lower)]
#[component(enum)]
#[repr(u8)]
enum AvailabilityOut {
    #[component(name = "loaded")]
    Loaded,
    #[component(name = "wanted")]
    Wanted,
    #[component(name = "declined")]
    Declined,
}

impl From<Availability> for AvailabilityOut {
    fn from(availability: Availability) -> Self {
        match availability {
            Availability::Loaded => Self::Loaded,
            Availability::Wanted => Self::Wanted,
            Availability::Declined => Self::Declined,
        }
    }
}

#[derive(Clone, Copy, ComponentType, Debug, Eq, Lower, PartialEq)]
#[component(enum)]
#[repr(u8)]
enum Refusal {
    #[component(name = "not-loaded")]
    NotLoaded,
    #[component(name = "declined")]
    Declined,
    #[component(name = "invalid")]
    Invalid,
    #[component(name = "out-of-memory")]
    OutOfMemory,
    #[component(name = "failed")]
    Failed,
}

impl From<&Refused> for Refusal {
    fn from(refused: &Refused) -> Self {
        match refused {
            Refused::NotLoaded => Self::NotLoaded,
            Refused::Error(SegmentError::Declined(_)) => Self::Declined,
            Refused::Error(SegmentError::Invalid(_)) => Self::Invalid,
            Refused::Error(SegmentError::OutOfMemory(_)) => Self::OutOfMemory,
            Refused::Error(_) => Self::Failed,
        }
    }
}

/// A list that a guest passes. It lies within the guest's memory, which never shrinks; nothing else is known of it.
struct Claim<T> {
    begin: usize,
    len: usize,
    element: PhantomData<fn() -> T>,
}

impl<T: ComponentType> Claim<T> {
    fn new(cx: &LiftContext<'_>, begin: u32, len: u32) -> wasmtime::Result<Self> {
        let (begin, len) = (begin as usize, len as usize);
        let end = len
            .checked_mul(T::SIZE32)
            .and_then(|bytes| begin.checked_add(bytes));
        if end.is_none_or(|end| end > cx.memory().len()) {
            wasmtime::bail!("list pointer/length out of bounds of memory");
        }
        if !begin.is_multiple_of(T::ALIGN32 as usize) {
            wasmtime::bail!("list pointer is not aligned");
        }
        Ok(Self {
            begin,
            len,
            element: PhantomData,
        })
    }

    /// Returns where its bytes are.
    fn bytes(&self) -> Range<usize> {
        self.begin..self.begin + self.len * T::SIZE32
    }
}

// SAFETY: a claim crosses as a list does, two numbers, and is checked to be one by the list's own check.
unsafe impl<T: ComponentType> ComponentType for Claim<T> {
    type Lower = [ValRaw; 2];

    const ABI: CanonicalAbiInfo = CanonicalAbiInfo::POINTER_PAIR;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> wasmtime::Result<()> {
        <[T] as ComponentType>::typecheck(ty, types)
    }
}

// SAFETY: the two numbers are read from where a list has them, and believed after they are checked.
unsafe impl<T: ComponentType> Lift for Claim<T> {
    fn linear_lift_from_flat(
        cx: &mut LiftContext<'_>,
        _: InterfaceType,
        src: &Self::Lower,
    ) -> wasmtime::Result<Self> {
        Self::new(cx, src[0].get_u32(), src[1].get_u32())
    }

    fn linear_lift_from_memory(
        cx: &mut LiftContext<'_>,
        _: InterfaceType,
        bytes: &[u8],
    ) -> wasmtime::Result<Self> {
        let (begin, len) = memory::pair(bytes);
        Self::new(cx, begin, len)
    }
}

/// The result of `load`, which comes to be while it is lowered.
struct Load {
    segments: Option<Arc<Segments>>,
    segment: u32,
    plan: Claim<u8>,
    constants: Claim<u8>,
}

/// What it is then.
type LoadResult = Result<(), Refusal>;

// SAFETY: it crosses as a `LoadResult` does.
unsafe impl ComponentType for Load {
    type Lower = <LoadResult as ComponentType>::Lower;

    const ABI: CanonicalAbiInfo = LoadResult::ABI;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> wasmtime::Result<()> {
        LoadResult::typecheck(ty, types)
    }
}

// SAFETY: it is lowered as a `LoadResult`.
unsafe impl Lower for Load {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        dst: &mut MaybeUninit<Self::Lower>,
    ) -> wasmtime::Result<()> {
        self.load(cx.as_slice_mut())
            .linear_lower_to_flat(cx, ty, dst)
    }

    fn linear_lower_to_memory<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        offset: usize,
    ) -> wasmtime::Result<()> {
        self.load(cx.as_slice_mut())
            .linear_lower_to_memory(cx, ty, offset)
    }
}

impl Load {
    fn load(&self, memory: &mut [u8]) -> LoadResult {
        let segments = self.segments.as_ref().ok_or(Refusal::Declined)?;
        let (plan, constants) = (self.plan.bytes(), self.constants.bytes());
        segments
            .load(self.segment, memory, plan, constants)
            .map_err(|error| Refusal::from(&Refused::Error(error)))
    }
}

/// The result of `run`, which comes to be while it is lowered.
struct Run {
    segments: Option<Arc<Segments>>,
    segment: u32,
    sizes: Claim<u32>,
    inputs: Claim<Vec<u8>>,
    deadline: Option<Instant>,
}

/// What it is then.
type RunResult = Result<Vec<Vec<u8>>, Refusal>;

/// Where in a `RunResult` the list is.
const LIST_OFFSET: usize = 4;

// SAFETY: it crosses as a `RunResult` does.
unsafe impl ComponentType for Run {
    type Lower = <RunResult as ComponentType>::Lower;

    const ABI: CanonicalAbiInfo = RunResult::ABI;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> wasmtime::Result<()> {
        RunResult::typecheck(ty, types)
    }
}

// SAFETY: a refusal is lowered as a `RunResult`. Otherwise what is written is what the canonical ABI says of one: zero for `ok`, and a list of
// lists, all in memory that the guest's `realloc` gave.
unsafe impl Lower for Run {
    fn linear_lower_to_flat<T>(
        &self,
        _: &mut LowerContext<'_, T>,
        _: InterfaceType,
        _: &mut MaybeUninit<Self::Lower>,
    ) -> wasmtime::Result<()> {
        unreachable!("a result of more than one number is lowered to memory")
    }

    fn linear_lower_to_memory<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        offset: usize,
    ) -> wasmtime::Result<()> {
        let Some(segments) = &self.segments else {
            return RunResult::Err(Refusal::Declined).linear_lower_to_memory(cx, ty, offset);
        };
        match self.run(segments, cx)? {
            Ok(outputs) => {
                segments.counters.ran();
                let [list, len] = outputs;
                *cx.get::<1>(offset) = [0];
                *cx.get::<4>(offset + LIST_OFFSET) = list.to_le_bytes();
                *cx.get::<4>(offset + LIST_OFFSET + 4) = len.to_le_bytes();
                Ok(())
            }
            Err(Refused::Error(SegmentError::Interrupted)) => Err(DeadlinePassed.into()),
            Err(refused) => {
                segments.counters.fell_back(self.segment, &refused);
                let refusal = Refusal::from(&refused);
                RunResult::Err(refusal).linear_lower_to_memory(cx, ty, offset)
            }
        }
    }
}

impl Run {
    /// Computes the outputs into the guest's memory; returns where the list of them begins, and how long it is. The outer error is a trap
    /// of the guest's `realloc`.
    fn run<T>(
        &self,
        segments: &Segments,
        cx: &mut LowerContext<'_, T>,
    ) -> wasmtime::Result<Result<[u32; 2], Refused>> {
        let started = segments.loaded(self.segment).and_then(|segment| {
            let (sizes, inputs) = self.arguments(cx.as_slice_mut())?;
            let lens = super::output_bytes(&*segment, &sizes)?;
            Ok((segment, sizes, inputs, lens))
        });
        let (segment, sizes, inputs, lens) = match started {
            Ok(started) => started,
            Err(refused) => return Ok(Err(refused)),
        };
        let list = cx.realloc(0, 0, 4, lens.len() * 8)?;
        let mut outputs = Vec::with_capacity(lens.len());
        for len in lens {
            let begin = cx.realloc(0, 0, 1, len)?;
            outputs.push(begin..begin + len);
        }
        let memory = cx.as_slice_mut();
        let Some((inputs, mut slices)) = memory::split(memory, &inputs, &outputs) else {
            let reason = "the guest's realloc gave memory that overlaps an input or another output";
            return Ok(Err(SegmentError::Invalid(reason.into()).into()));
        };
        if let Err(error) = super::run(&*segment, &sizes, &inputs, &mut slices, self.deadline) {
            return Ok(Err(error.into()));
        }
        for (index, output) in outputs.iter().enumerate() {
            // The guest's addresses are 32 bits wide.
            let at = list + index * 8;
            *cx.get::<4>(at) = (output.start as u32).to_le_bytes();
            *cx.get::<4>(at + 4) = (output.len() as u32).to_le_bytes();
        }
        Ok(Ok([list as u32, outputs.len() as u32]))
    }

    /// Reads the sizes, and where the inputs are.
    fn arguments(&self, memory: &[u8]) -> Result<(Vec<u32>, Vec<Range<usize>>), SegmentError> {
        let limits = [
            ("sizes", self.sizes.len, MAX_SYMBOLS),
            ("inputs", self.inputs.len, MAX_INPUTS),
        ];
        for (what, found, limit) in limits {
            if found > limit {
                let reason = format!("expected at most {limit} {what}, found {found}");
                return Err(SegmentError::Invalid(reason));
            }
        }
        let sizes = memory[self.sizes.bytes()].chunks_exact(4);
        let sizes = sizes.map(|size| u32::from_le_bytes([size[0], size[1], size[2], size[3]]));
        let inputs = memory[self.inputs.bytes()].chunks_exact(8);
        let inputs = inputs.map(|input| {
            let (begin, len) = memory::pair(input);
            let begin = begin as usize;
            begin..begin + len as usize
        });
        Ok((sizes.collect(), inputs.collect()))
    }
}

/// The most inputs that a segment is run with.
const MAX_INPUTS: usize = 1 << 16;
