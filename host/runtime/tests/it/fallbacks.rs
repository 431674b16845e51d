//! Accelerators that do not compute: the component does, and the host tells why.

use std::sync::Arc;
use std::time::Instant;

use tensorlet_plan::Plan;
use tensorlet_runtime::accelerator::{LoadedSegment, MemoryBudget, SegmentError, SharedConstants};
use tensorlet_runtime::{Accelerator, CallOptions, Cpu, Instance, OffloadCounts, PredictErrorKind};
use tensorlet_tensor::NamedTensor;
use tracing::Level;

use crate::logs::{Observed, observe};
use crate::neighbour::{engine_with, input, predictor};
use crate::plans;
use crate::puppet::reasons;

/// How often a model is called.
const CALLS: u64 = 3;

/// What goes wrong.
#[derive(Clone, Debug, Default)]
enum Fault {
    #[default]
    Nothing,
    Load(SegmentError),
    LoadPanics,
    Sizes(SegmentError),
    SizesPanic,
    /// The lengths of outputs are others than the plan's.
    Lengths(Vec<usize>),
    Run(SegmentError),
    /// Everything is computed, overwritten, and called a failure.
    RunScribbles,
    RunPanics,
}

/// The processor, with a fault.
#[derive(Debug, Default)]
struct Faulty {
    cpu: Cpu,
    fault: Fault,
}

struct FaultySegment {
    segment: Arc<dyn LoadedSegment>,
    fault: Fault,
}

impl Accelerator for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn load(
        &self,
        plan: &Plan<'_>,
        constants: SharedConstants,
        budget: &MemoryBudget,
    ) -> Result<Arc<dyn LoadedSegment>, SegmentError> {
        match &self.fault {
            Fault::Load(error) => Err(error.clone()),
            Fault::LoadPanics => panic!("as the test wants"),
            fault => Ok(Arc::new(FaultySegment {
                segment: self.cpu.load(plan, constants, budget)?,
                fault: fault.clone(),
            })),
        }
    }
}

impl LoadedSegment for FaultySegment {
    fn output_bytes(&self, sizes: &[u32]) -> Result<Vec<usize>, SegmentError> {
        match &self.fault {
            Fault::Sizes(error) => Err(error.clone()),
            Fault::SizesPanic => panic!("as the test wants"),
            Fault::Lengths(lens) => Ok(lens.clone()),
            _ => self.segment.output_bytes(sizes),
        }
    }

    fn run(
        &self,
        sizes: &[u32],
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        deadline: Option<Instant>,
    ) -> Result<(), SegmentError> {
        let scribble = |outputs: &mut [&mut [u8]]| {
            outputs.iter_mut().for_each(|output| output.fill(0x5a));
        };
        match &self.fault {
            Fault::Run(error) => Err(error.clone()),
            Fault::RunPanics => {
                scribble(outputs);
                panic!("as the test wants")
            }
            Fault::RunScribbles => {
                self.segment.run(sizes, inputs, outputs, deadline)?;
                scribble(outputs);
                Err(SegmentError::Failed("it was overwritten".into()))
            }
            Fault::Lengths(_) => {
                scribble(outputs);
                Ok(())
            }
            _ => self.segment.run(sizes, inputs, outputs, deadline),
        }
    }
}

/// A product of matrices and a sum, so that there is something to compute.
fn plan() -> Plan<'static> {
    plans::powers(4, 3)
}

fn call(instance: &mut Instance) -> Result<Vec<NamedTensor>, PredictErrorKind> {
    let x: Vec<f32> = (0..16u8).map(|number| f32::from(number) / 16.0).collect();
    let outputs = instance.predict(&[input(&[4, 4], &x)], &CallOptions::default());
    outputs.map_err(|error| error.kind())
}

/// Calls a model whose host has this fault. The answers must be those of a host without an accelerator.
#[track_caller]
fn counts_and_logs(fault: Fault) -> (OffloadCounts, Observed) {
    let mut alone = predictor(&engine_with(None), &plan());
    let expected = call(&mut alone).unwrap();
    assert_eq!(alone.offloaded(), None);
    observe(|| {
        let faulty = Faulty {
            fault: fault.clone(),
            ..Faulty::default()
        };
        let mut instance = predictor(&engine_with(Some(Arc::new(faulty))), &plan());
        for _ in 0..CALLS {
            let found = call(&mut instance).unwrap();
            assert!(found == expected, "{fault:?}");
        }
        instance.offloaded().unwrap()
    })
}

/// Checks how often what was left to the guest for which reason, and what of it is logged.
#[track_caller]
fn falls_back(fault: Fault, expected: [u64; 4], message: &str) {
    let (counts, observed) = counts_and_logs(fault.clone());
    assert_eq!(counts.runs, 0, "{fault:?}");
    assert_eq!(reasons(&counts), expected, "{fault:?}");

    let total: u64 = expected.iter().sum();
    for (reason, count) in ["declined", "invalid", "out_of_memory", "failed"]
        .iter()
        .zip(expected)
    {
        let name =
            format!("tensorlet_offload_fallbacks_total{{accelerator=faulty,reason={reason}}}");
        let counted = observed.counters.get(&name).copied().unwrap_or(0);
        assert_eq!(counted, count, "{fault:?}: {name}");
    }
    let warnings = observed.warnings();
    assert_eq!(warnings.len(), 1, "{fault:?}: {warnings:?}");
    assert!(warnings[0].contains(message), "{fault:?}: {warnings:?}");
    assert!(
        warnings[0].contains(r#"accelerator="faulty""#),
        "{warnings:?}"
    );
    let refusals = observed
        .events
        .iter()
        .filter(|(_, fields)| fields.contains("the model computes by itself"));
    assert_eq!(refusals.count() as u64, total, "{fault:?}");
}

#[test]
fn without_a_fault_the_host_computes() {
    let (counts, observed) = counts_and_logs(Fault::Nothing);
    assert_eq!((counts.segments_loaded, counts.runs), (1, CALLS));
    assert_eq!(reasons(&counts), [0; 4]);
    let expected = [
        ("tensorlet_offload_runs_total{accelerator=faulty}", CALLS),
        (
            "tensorlet_offload_segments_loaded_total{accelerator=faulty}",
            1,
        ),
    ];
    let expected = expected.map(|(name, count)| (name.to_owned(), count));
    assert_eq!(observed.counters, expected.into());
    assert_eq!(observed.warnings(), [""; 0]);
    assert!(
        observed
            .events
            .iter()
            .all(|(level, _)| *level == Level::DEBUG)
    );
}

#[test]
fn what_is_declined_is_asked_for_once() {
    let declined = || SegmentError::Declined("not today".into());
    for fault in [
        Fault::Load(declined()),
        Fault::Sizes(declined()),
        Fault::Run(declined()),
    ] {
        falls_back(fault, [1, 0, 0, 0], "declined: not today");
    }
}

#[test]
fn what_fails_when_it_is_loaded_is_not_loaded_again() {
    let failed = SegmentError::Failed("it broke".into());
    falls_back(Fault::Load(failed), [0, 0, 0, 1], "failed: it broke");
    let invalid = SegmentError::Invalid("it is odd".into());
    falls_back(Fault::Load(invalid), [0, 1, 0, 0], "invalid: it is odd");
    falls_back(Fault::LoadPanics, [0, 0, 0, 1], "a bug in it");
    falls_back(
        Fault::Load(SegmentError::Interrupted),
        [0, 0, 0, 1],
        "interrupted",
    );
}

#[test]
fn memory_may_be_there_later() {
    let short = || SegmentError::OutOfMemory("it is full".into());
    // It is offered when the model is described, and again at each call.
    let loads = Fault::Load(short());
    falls_back(loads, [0, 0, CALLS + 1, 0], "out of memory: it is full");
    for fault in [Fault::Sizes(short()), Fault::Run(short())] {
        falls_back(fault, [0, 0, CALLS, 0], "out of memory: it is full");
    }
}

#[test]
fn runs_that_fail_are_tried_again() {
    let failed = || SegmentError::Failed("it broke".into());
    for fault in [Fault::Sizes(failed()), Fault::Run(failed())] {
        falls_back(fault, [0, 0, 0, CALLS], "failed: it broke");
    }
    for fault in [Fault::SizesPanic, Fault::RunPanics] {
        falls_back(fault, [0, 0, 0, CALLS], "a bug in it");
    }
    falls_back(Fault::RunScribbles, [0, 0, 0, CALLS], "it was overwritten");
    let invalid = SegmentError::Invalid("it is odd".into());
    falls_back(Fault::Run(invalid), [0, CALLS, 0, 0], "invalid: it is odd");
}

#[test]
fn outputs_of_other_lengths_are_not_believed() {
    for lens in [
        vec![],
        vec![63],
        vec![65],
        vec![64, 0],
        vec![64, 64],
        vec![0],
    ] {
        let (counts, observed) = counts_and_logs(Fault::Lengths(lens.clone()));
        assert_eq!(counts.runs, CALLS, "{lens:?}: for all that the host knows");
        assert_eq!(observed.warnings(), [""; 0]);
    }
}

#[test]
fn an_interruption_ends_the_call() {
    for fault in [
        Fault::Sizes(SegmentError::Interrupted),
        Fault::Run(SegmentError::Interrupted),
    ] {
        let faulty = Faulty {
            fault,
            ..Faulty::default()
        };
        let mut instance = predictor(&engine_with(Some(Arc::new(faulty))), &plan());
        assert_eq!(
            call(&mut instance).unwrap_err(),
            PredictErrorKind::DeadlineExceeded
        );
        assert!(instance.is_broken());
        assert_eq!(reasons(&instance.offloaded().unwrap()), [0; 4]);
    }
}
