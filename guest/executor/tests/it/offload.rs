//! Segments that somebody else computes: here a second executor, in place of a host.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;

use tensorlet_executor::{Executor, LoadOptions, Offload, SegmentBytes, State};
use tensorlet_plan::Plan;
use tensorlet_tensor::NamedTensor;

use crate::builder::{Random, load};
use crate::fuzz::samples;

/// A host that computes each segment with an executor of its own, unless it refuses.
struct Host {
    state: Mutex<HostState>,
    /// Of a hundred runs, how many it refuses.
    refused_percent: usize,
}

struct HostState {
    random: Random,
    executors: BTreeMap<u32, Executor>,
    offers: usize,
    runs: usize,
    refusals: usize,
}

impl Host {
    /// Makes one that lives as long as the tests.
    fn new(seed: u64, refused_percent: usize) -> &'static Self {
        Box::leak(Box::new(Self {
            state: Mutex::new(HostState {
                random: Random(seed),
                executors: BTreeMap::new(),
                offers: 0,
                runs: 0,
                refusals: 0,
            }),
            refused_percent,
        }))
    }

    /// Returns how many runs it has computed, and how many it has refused.
    fn counts(&self) -> (usize, usize) {
        let state = self.state.lock().unwrap();
        (state.runs, state.refusals)
    }
}

impl HostState {
    /// Reads a segment as a host does, from its bytes alone.
    fn executor(&mut self, segment: &SegmentBytes<'_>) -> &Executor {
        self.executors.entry(segment.index).or_insert_with(|| {
            let mut plan = Plan::read_header(segment.plan).unwrap();
            assert!(plan.constants.is_empty());
            plan.constants = Cow::Borrowed(segment.constants);
            plan.verify_segment()
                .unwrap_or_else(|error| panic!("{error}\n{plan}"));
            Executor::load_segment(&plan, LoadOptions::default()).unwrap()
        })
    }
}

impl Offload for Host {
    fn offer(&self, segment: &SegmentBytes<'_>) {
        let mut state = self.state.lock().unwrap();
        state.offers += 1;
        state.executor(segment);
    }

    fn run(
        &self,
        segment: &SegmentBytes<'_>,
        sizes: &[u32],
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> bool {
        let mut state = self.state.lock().unwrap();
        check_apart(inputs, outputs);
        if state.random.below(100) < self.refused_percent {
            state.refusals += 1;
            // What is in the outputs then does not matter.
            outputs.iter_mut().for_each(|output| output.fill(0x5a));
            return false;
        }
        let executor = state.executor(segment);
        let lens: Vec<usize> = outputs.iter().map(|output| output.len()).collect();
        assert_eq!(executor.output_bytes(sizes).unwrap(), lens);
        executor
            .run(&mut State::new(), sizes, inputs, outputs)
            .unwrap();
        state.runs += 1;
        true
    }
}

/// Checks that no output shares a byte with an input or another output.
fn check_apart(inputs: &[&[u8]], outputs: &[&mut [u8]]) {
    let range = |bytes: &[u8]| {
        let begin = bytes.as_ptr().addr();
        begin..begin + bytes.len()
    };
    let apart = |a: &Range<usize>, b: &Range<usize>| {
        a.is_empty() || b.is_empty() || a.end <= b.start || b.end <= a.start
    };
    let inputs: Vec<Range<usize>> = inputs.iter().map(|input| range(input)).collect();
    let outputs: Vec<Range<usize>> = outputs.iter().map(|output| range(output)).collect();
    for (index, output) in outputs.iter().enumerate() {
        let others = inputs.iter().chain(&outputs[..index]);
        assert!(others.clone().all(|other| apart(output, other)));
    }
}

/// Loads a plan whose segments are left to a host.
fn offloading(plan: &Plan<'_>, host: &'static Host) -> Executor {
    let layout = plan.constant_layout();
    let segments = plan.segments();
    let segments = segments
        .iter()
        .map(|segment| plan.segment_plan(segment, &layout).write_header().unwrap());
    let options = LoadOptions {
        offload: Some(host),
        segments: segments.collect(),
        ..LoadOptions::default()
    };
    Executor::load(plan, options).unwrap()
}

/// Reports whether all bytes are the same.
fn same(a: &[NamedTensor], b: &[NamedTensor]) -> bool {
    let bytes = |(name, tensor): &NamedTensor| (name.clone(), tensor.clone());
    a.iter().map(bytes).eq(b.iter().map(bytes))
}

/// Returns inputs of a plan for a size of all its symbols: small numbers of any type.
fn inputs(plan: &Plan<'_>, size: u32, random: &mut Random) -> Vec<NamedTensor> {
    let specs = plan.description.signature.inputs.iter();
    specs
        .map(|spec| {
            let dims = spec.dims.iter().map(|dim| match dim {
                tensorlet_tensor::Dim::Fixed(size) => *size,
                tensorlet_tensor::Dim::Symbol(_) => size,
            });
            let dims: Vec<u32> = dims.collect();
            let len = dims.iter().product::<u32>() as usize * spec.datum_type.width_bytes();
            let data = (0..len).map(|_| random.below(2) as u8).collect();
            let tensor = tensorlet_tensor::Tensor::new(spec.datum_type, dims, data).unwrap();
            (spec.name.clone(), tensor)
        })
        .collect()
}

/// Compares what a plan gives with a host and without; returns how many runs the host computed and refused.
#[track_caller]
fn check(plan: &Plan<'_>, host: &'static Host, random: &mut Random) -> (usize, usize) {
    let (alone, offloading) = (load(plan), offloading(plan, host));
    for size in [1, 3, 2, 3] {
        let inputs = inputs(plan, size, random);
        let (expected, found) = (alone.predict(&inputs), offloading.predict(&inputs));
        let (expected, found) = (expected.unwrap(), found.unwrap());
        assert!(same(&expected, &found), "size {size}\n{plan}");
    }
    host.counts()
}

#[test]
fn whole_plans_are_one_segment() {
    let mut random = Random(1);
    for plan in samples::all() {
        assert_eq!(check(&plan, Host::new(1, 0), &mut random), (4, 0), "{plan}");
        assert_eq!(
            check(&plan, Host::new(1, 100), &mut random),
            (0, 4),
            "{plan}"
        );
        let (runs, refusals) = check(&plan, Host::new(2, 50), &mut random);
        assert_eq!(runs + refusals, 4, "{plan}");
    }
}

#[test]
fn segments_are_offered_once_each() {
    let host = Host::new(1, 0);
    let plan = &samples::all()[0];
    let executor = offloading(plan, host);
    executor.offer_segments();
    assert_eq!(host.state.lock().unwrap().offers, 1);
    assert_eq!(host.counts(), (0, 0));
}

#[test]
fn plans_of_other_segments_are_an_error() {
    let plan = &samples::all()[0];
    let options = LoadOptions {
        offload: Some(Host::new(1, 0)),
        segments: vec![vec![], vec![]],
        ..LoadOptions::default()
    };
    let error = Executor::load(plan, options).unwrap_err().to_string();
    assert_eq!(error, "expected plans of 1 segments, found 2");
}

#[cfg(feature = "tract")]
mod between_tract_steps {
    use tensorlet_plan::kernel::UnaryOp;
    use tensorlet_plan::{Kernel, Storage, SubgraphFormat, SymbolId, TractStep, Value, ValueId};

    use super::*;
    use crate::builder::{Builder, Shifted};
    use crate::random::{INPUT_COLUMNS, random_plan};
    use crate::tract_steps::{F32, between_kernels, info, model, tract_step};

    #[test]
    fn kernels_around_a_tract_step_are_two_segments() {
        let mut random = Random(3);
        for (one_row, row_symbol) in [(false, None), (true, None), (true, Some(SymbolId(0)))] {
            let mut plan = between_kernels(one_row);
            plan.row_symbol = row_symbol;
            assert_eq!(plan.segments().len(), 2);
            // With a row symbol each row is a run.
            let calls = if row_symbol.is_some() {
                1 + 3 + 2 + 3
            } else {
                4
            };
            assert_eq!(check(&plan, Host::new(1, 0), &mut random), (2 * calls, 0));
            assert_eq!(check(&plan, Host::new(1, 100), &mut random), (0, 2 * calls));
            let (runs, refusals) = check(&plan, Host::new(4, 50), &mut random);
            assert_eq!(runs + refusals, 2 * calls);
        }
    }

    #[test]
    fn segments_stand_beside_values_of_unknown_dims() {
        let find = model(
            &[("NonZero", &["x"], "found")],
            info("x", F32, &["N"]),
            &[("found", 7)],
        );
        let mut builder = Builder::new(&["x:f32[N]"]);
        let neg = Kernel::Unary(UnaryOp::Neg);
        let y = builder.step("y:f32[N]", neg.clone(), &[ValueId(0)]);
        let found = Value {
            dims: None,
            ..builder.value("found:i64[]", Storage::Buffer)
        };
        let found = tract_step(&mut builder, &find, false, &[y], vec![found]);
        let z = builder.step("z:f32[N]", neg, &[y]);
        let plan = builder.finish(&[found[0], z, y]);
        let mut random = Random(5);
        assert_eq!(check(&plan, Host::new(1, 0), &mut random), (8, 0));
        check(&plan, Host::new(6, 50), &mut random);
    }

    /// Leaves some of a plan's negations to tract; returns how many.
    fn leave_to_tract(plan: &mut Plan<'static>, random: &mut Random) -> usize {
        let mut left = 0;
        for index in 0..plan.steps.len() {
            let is_negation = plan.steps[index].kernel == Kernel::Unary(UnaryOp::Neg);
            if !is_negation || random.below(2) == 0 {
                continue;
            }
            let output = plan.steps[index].outputs[0];
            let dims = plan.values[output.index()].dims.as_ref().unwrap();
            let width = dims[1].as_number().unwrap().to_string();
            let one_row = plan.row_symbol.is_some();
            let rows = if one_row { "1" } else { "N" };
            let negation = model(
                &[("Neg", &["x"], "y")],
                info("x", F32, &[rows, &width]),
                &[("y", F32)],
            );
            let constants = plan.constants.to_mut();
            let begin = constants.len() as u64;
            constants.extend_from_slice(&negation);
            plan.steps[index].kernel = Kernel::Tract(TractStep {
                format: SubgraphFormat::Onnx,
                subgraph: begin..begin + negation.len() as u64,
                one_row,
                operators: [("Neg".into(), 1)].into(),
            });
            left += 1;
        }
        left
    }

    #[test]
    fn random_plans_give_what_they_give_alone() {
        let mut random = Random(11);
        let (mut tract_steps, mut runs, mut refusals) = (0, 0, 0);
        for round in 0..60 {
            let (mut plan, _) = random_plan(&mut random);
            if random.below(3) == 0 {
                plan.row_symbol = Some(SymbolId(0));
            }
            tract_steps += leave_to_tract(&mut plan, &mut random);
            let host = Host::new(round, 30);
            let (alone, offloading) = (load(&plan), offloading(&plan, host));
            let mut states = [State::new(), State::new()];
            for _ in 0..4 {
                let rows = 1 + random.below(20) as u32;
                let input = random.floats(rows as usize * INPUT_COLUMNS);
                let shift = 4 * random.below(16);
                let input = Shifted::new(bytemuck::cast_slice(&input), shift);
                let lens = alone.output_bytes(&[rows]).unwrap();
                let [expected, found] = [&alone, &offloading].map(|executor| {
                    let shifts = lens.iter().map(|&len| (len, 4 * random.below(16)));
                    let outputs = shifts.map(|(len, shift)| Shifted::new(&vec![0xee; len], shift));
                    let mut outputs: Vec<Shifted> = outputs.collect();
                    let mut slices: Vec<&mut [u8]> =
                        outputs.iter_mut().map(Shifted::bytes_mut).collect();
                    let state = &mut states[usize::from(std::ptr::eq(executor, &offloading))];
                    let inputs = [input.bytes()];
                    executor.run(state, &[rows], &inputs, &mut slices).unwrap();
                    outputs
                });
                for (expected, found) in expected.iter().zip(&found) {
                    assert!(expected.bytes() == found.bytes(), "round {round}\n{plan}");
                    assert!(found.is_intact(), "round {round} wrote around an output");
                }
            }
            let counts = host.counts();
            (runs, refusals) = (runs + counts.0, refusals + counts.1);
        }
        assert!(tract_steps > 60 && runs > 200 && refusals > 100);
    }
}
