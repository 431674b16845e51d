//! Mutated segments, and mutated calls of them, handed over by a guest: nothing panics, not even where it is caught; what the verifier refuses is
//! declined, and what runs gives what the executor gives.
//!
//! The variable `TENSORLET_FUZZ_SECONDS` makes it go on for longer, with new mutations.

#[path = "../../../../guest/executor/tests/it/fuzz/mutate.rs"]
mod mutate;
#[path = "../../../../guest/executor/tests/it/fuzz/samples.rs"]
mod samples;

use std::borrow::Cow;
use std::time::{Duration, Instant};

use tensorlet_executor::{Executor, State};
use tensorlet_kernels::TensorType;
use tensorlet_plan::Plan;
use tensorlet_plan::segments::MAX_SEGMENTS;
use tensorlet_runtime::{Engine, Limits, LoadOptions, PredictErrorKind, Reuse};

use crate::builder::Random;
use crate::logs::observe;
use crate::neighbour::engine;
use crate::puppet::{Answer, MEMORY_BYTES, Puppet, STAGE, Script};
use mutate::mutate;

/// How many mutations of each sample are tried.
const ROUNDS: usize = 400;

/// What a puppet may have, and the host for its calls.
const LIMIT_BYTES: u64 = 8 << 20;

/// Where things lie: sizes, the list of inputs, inputs, the list of outputs, and outputs.
const SIZES: u32 = STAGE + 0x8_0000;
const LIST: u32 = STAGE + 0x8_8000;
const INPUTS: u32 = STAGE + 0x9_0000;
const ANSWER: u32 = STAGE + 0x14_0000;
const OUTPUTS: u32 = STAGE + 0x15_0000;

/// Values that lengths and addresses are changed to.
const ODD: [u32; 12] = [
    0,
    1,
    2,
    63,
    STAGE,
    INPUTS + 1,
    OUTPUTS,
    MEMORY_BYTES - 1,
    MEMORY_BYTES,
    1 << 30,
    1 << 31,
    u32::MAX,
];

#[test]
fn mutations_are_refused_or_run() {
    let samples = samples::all();
    let engine = engine();
    let mut seed = 0;
    fuzz_all(&engine, &samples, seed);
    let Some(seconds) = std::env::var_os("TENSORLET_FUZZ_SECONDS") else {
        return;
    };
    let seconds = seconds.to_str().and_then(|text| text.parse().ok()).unwrap();
    let end = now() + Duration::from_secs(seconds);
    while now() < end {
        seed += 1;
        fuzz_all(&engine, &samples, seed);
    }
    println!("{seed} rounds of {} mutations", ROUNDS * samples.len());
}

#[expect(
    clippy::disallowed_methods,
    reason = "only the length of the test depends on it"
)]
fn now() -> Instant {
    Instant::now()
}

fn fuzz_all(engine: &Engine, samples: &[Plan<'static>], seed: u64) {
    let mut random = Random(seed);
    let mut stage = Stage::new(engine);
    let mut ran = 0;
    for (index, sample) in samples.iter().enumerate() {
        let header = sample.write_header().unwrap();
        for round in 0..ROUNDS {
            let what = format!("seed {seed}, sample {index}, round {round}");
            let header = match round {
                // As it is, so that calls are mutated alone.
                0..10 => header.clone(),
                _ => mutate(&header, &mut random),
            };
            let constants = mutate_constants(&sample.constants, &mut random);
            let (count, observed) = observe(|| stage.play(&what, &header, &constants, &mut random));
            ran += count;
            for (_, fields) in observed.events {
                assert!(!fields.contains("panicked"), "{what}: {fields}");
            }
        }
    }
    assert!(
        ran > samples.len() * 10,
        "expected many mutations to run, found {ran}"
    );
}

fn mutate_constants<'a>(constants: &'a [u8], random: &mut Random) -> Cow<'a, [u8]> {
    match random.below(10) {
        0 => Cow::Borrowed(&constants[..random.below(constants.len() + 1)]),
        1 => Cow::Owned([constants, &[0xa5; 100]].concat()),
        2..4 => Cow::Owned(constants.iter().map(|_| random.below(256) as u8).collect()),
        _ => Cow::Borrowed(constants),
    }
}

/// A puppet, and how many of its segments have been used.
struct Stage<'e> {
    engine: &'e Engine,
    puppet: Puppet,
    used: u32,
}

impl<'e> Stage<'e> {
    fn new(engine: &'e Engine) -> Self {
        let limits = Limits {
            memory_bytes: LIMIT_BYTES,
            ..Limits::default()
        };
        let options = LoadOptions {
            limits,
            // Results may go anywhere, also over what the puppet says of itself.
            reuse: Reuse::Fresh,
            ..LoadOptions::default()
        };
        Self {
            engine,
            puppet: Puppet::load_with(engine, options),
            used: 0,
        }
    }

    /// Hands a segment over and calls it several times; returns how many calls were computed.
    fn play(&mut self, what: &str, header: &[u8], constants: &[u8], random: &mut Random) -> usize {
        if self.used == MAX_SEGMENTS as u32 {
            *self = Self::new(self.engine);
        }
        let segment = self.used;
        self.used += 1;
        let mut answers = self
            .puppet
            .play(&Script::new().offer(segment, header, constants))
            .unwrap();
        let answer = answers.load();
        let Some(plan) = verified(header, constants) else {
            assert_eq!(answer, Answer::Declined, "{what}: it breaks a rule");
            return 0;
        };
        let executor = Executor::load_segment(&plan, options());
        assert_eq!(
            answer == Answer::Ok,
            executor.is_ok(),
            "{what}: {answer:?}\n{plan}"
        );
        let Ok(executor) = executor else {
            return 0;
        };
        (1..4)
            .filter(|&size| {
                let call = Call::new(&plan, &executor, size, random);
                let done = call.is_some_and(|call| call.check(what, &self.puppet, segment));
                self.check_odd_call(what, &plan, segment, size, random);
                done
            })
            .count()
    }

    /// Calls a segment with arguments that need not fit: there must be an answer, or a trap of the guest's.
    fn check_odd_call(
        &self,
        what: &str,
        plan: &Plan<'_>,
        segment: u32,
        size: u32,
        random: &mut Random,
    ) {
        let odd = |value: u32, random: &mut Random| match random.below(12) {
            0 => ODD[random.below(ODD.len())],
            1 => value.wrapping_add(1),
            2 => value.wrapping_sub(1),
            _ => value,
        };
        let mut sizes = vec![size; plan.symbols.len()];
        for size in &mut sizes {
            *size = odd(*size, random);
        }
        let mut at = INPUTS;
        let mut list = vec![];
        for bytes in input_bytes(plan, &sizes).unwrap_or_default() {
            list.push(odd(at, random));
            list.push(odd(bytes, random));
            at = (at + bytes).next_multiple_of(64).min(ANSWER);
        }
        let places: Vec<u32> = (0..random.below(4) as u32)
            .map(|index| odd(ANSWER + (index << 12), random))
            .collect();
        let counts = [sizes.len() as u32, list.len() as u32 / 2];
        let [sizes_len, inputs_len] = counts.map(|count| odd(count, random));
        let script = Script::new()
            .poke_words(SIZES, &sizes)
            .poke_words(LIST, &list)
            .places(&places)
            .run(segment, [SIZES, sizes_len], [LIST, inputs_len]);
        match self.puppet.play(&script) {
            Ok(mut answers) => assert_ne!(answers.run().0, Answer::NotLoaded, "{what}"),
            Err(error) => {
                let kinds = [PredictErrorKind::Trapped, PredictErrorKind::InvalidOutput];
                assert!(kinds.contains(&error.kind()), "{what}: {error}");
            }
        }
    }
}

/// A call that fits.
struct Call {
    sizes: Vec<u32>,
    inputs: Vec<Vec<u8>>,
    /// What the executor computes, if it does.
    expected: Option<Vec<Vec<u8>>>,
}

impl Call {
    /// Makes a call, unless there is no room for it on the stage.
    fn new(plan: &Plan<'_>, executor: &Executor, size: u32, random: &mut Random) -> Option<Self> {
        let sizes = vec![size; plan.symbols.len()];
        let lens = input_bytes(plan, &sizes)?;
        let inputs: Vec<Vec<u8>> = lens.iter().map(|&len| noise(len, random)).collect();
        let lens = executor.output_bytes(&sizes).ok()?;
        let room = |lens: &mut dyn Iterator<Item = usize>| lens.map(|len| len + 64).sum::<usize>();
        let has_room = room(&mut inputs.iter().map(Vec::len)) < (ANSWER - INPUTS) as usize
            && room(&mut lens.iter().copied()) < (MEMORY_BYTES - OUTPUTS) as usize
            && room(&mut lens.iter().copied()) < 0xf000;
        if !has_room {
            return None;
        }
        let mut outputs: Vec<Vec<u8>> = lens.iter().map(|&len| vec![0; len]).collect();
        let mut slices: Vec<&mut [u8]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
        let slices_in: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
        let result = executor.run(&mut State::new(), &sizes, &slices_in, &mut slices);
        Some(Self {
            sizes,
            inputs,
            expected: result.is_ok().then_some(outputs),
        })
    }

    /// Has a puppet make the call, and compares; returns whether it was computed.
    fn check(&self, what: &str, puppet: &Puppet, segment: u32) -> bool {
        let mut script = Script::new().poke_words(SIZES, &self.sizes);
        let (mut list, mut at) = (vec![], INPUTS);
        for input in &self.inputs {
            script = script.poke(at, input);
            list.extend([at, input.len() as u32]);
            at = (at + input.len() as u32).next_multiple_of(64);
        }
        let (mut places, mut at) = (vec![ANSWER], OUTPUTS);
        let outputs = self.expected.iter().flatten();
        for output in outputs.clone() {
            places.push(at);
            at = (at + output.len() as u32).next_multiple_of(64);
        }
        let counts = [self.sizes.len() as u32, self.inputs.len() as u32];
        script = script.poke_words(LIST, &list).places(&places).run(
            segment,
            [SIZES, counts[0]],
            [LIST, counts[1]],
        );
        for (output, &place) in outputs.zip(&places[1..]) {
            script = script.peek(place, output.len() as u32);
        }
        let mut answers = puppet.play(&script).unwrap();
        let (answer, [_, len]) = answers.run();
        let Some(expected) = &self.expected else {
            let refused = matches!(
                answer,
                Answer::Failed | Answer::Invalid | Answer::OutOfMemory
            );
            assert!(refused, "{what}: {answer:?}");
            return false;
        };
        assert_eq!(
            (answer, len as usize),
            (Answer::Ok, expected.len()),
            "{what}"
        );
        for output in expected {
            assert!(answers.bytes(output.len()) == output, "{what}");
        }
        true
    }
}

fn options() -> tensorlet_executor::LoadOptions {
    tensorlet_executor::LoadOptions {
        max_arena_bytes: LIMIT_BYTES as usize,
        ..Default::default()
    }
}

/// Returns a plan if it is one of a segment.
fn verified<'a>(header: &'a [u8], constants: &'a [u8]) -> Option<Plan<'a>> {
    let mut plan = Plan::read_header(header).ok()?;
    if !plan.constants.is_empty() {
        return None;
    }
    plan.constants = Cow::Borrowed(constants);
    plan.verify_segment().ok()?;
    Some(plan)
}

/// Returns how many bytes each input has, if there are such.
fn input_bytes(plan: &Plan<'_>, sizes: &[u32]) -> Option<Vec<u32>> {
    let inputs = plan.description.signature.inputs.len();
    let values = plan.values[..inputs].iter();
    let bytes = values.map(|value| {
        let dims = value.dims.iter().flatten();
        let dims: Option<Vec<usize>> = dims
            .map(|dim| dim.evaluate(sizes).ok().map(|size| size as usize))
            .collect();
        let tensor = TensorType {
            datum_type: value.datum_type,
            dims: dims?,
            layout: value.layout,
        };
        u32::try_from(tensor.stored_bytes()?).ok()
    });
    let bytes: Option<Vec<u32>> = bytes.collect();
    bytes.filter(|bytes| bytes.iter().all(|&bytes| bytes < ANSWER - INPUTS))
}

/// Small numbers of any type, and now and then anything.
fn noise(len: u32, random: &mut Random) -> Vec<u8> {
    let mut data: Vec<u8> = (0..len).map(|_| random.below(3) as u8).collect();
    for _ in 0..len.min(2) {
        data[random.below(len as usize)] = random.below(256) as u8;
    }
    data
}
