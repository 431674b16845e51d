//! A component that does what it is told, whatever that is: `puppet.wat`, and the scripts that it plays.
//!
//! A script is what a call passes, and what it returns are answers. So every hostile thing that a guest can do to `offload` is a few lines in a
//! test, and is done by a real guest.

use std::path::Path;
use std::time::Duration;

use tensorlet_plan::Plan;
use tensorlet_runtime::{
    CallOptions, Engine, Instance, LoadOptions, Model, OffloadCounts, PredictError,
    PredictErrorKind,
};
use tensorlet_tensor::{NamedTensor, Tensor};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Where scripts may put things.
pub(crate) const STAGE: u32 = 0x20_0000;

/// How many bytes the puppet's memory has, if it does not grow.
pub(crate) const MEMORY_BYTES: u32 = 0x40_0000;

/// As a place for what the host returns: a trap.
pub(crate) const TRAP: u32 = u32::MAX;

/// As a place for what the host returns: a loop without end.
pub(crate) const SPIN: u32 = u32::MAX - 1;

/// `availability`.
pub(crate) const LOADED: u32 = 0;
pub(crate) const WANTED: u32 = 1;
pub(crate) const DECLINED: u32 = 2;

/// What `load` and `run` answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    Ok,
    NotLoaded,
    Declined,
    Invalid,
    OutOfMemory,
    Failed,
}

/// Returns the puppet, a component.
pub(crate) fn component() -> Vec<u8> {
    encode(
        include_str!("puppet.wat"),
        "import tensorlet:model/offload@0.1.0; include tensorlet:model/model@0.1.0;",
    )
}

/// Makes a component of a module, given what it imports and exports.
pub(crate) fn encode(module: &str, world: &str) -> Vec<u8> {
    let mut module = wat::parse_str(module).unwrap();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let mut resolve = Resolve::default();
    resolve.push_path(wit).unwrap();
    let world = format!("package test:puppet; world puppet {{ {world} }}");
    let package = resolve.push_str("puppet.wit", &world).unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(&module).unwrap();
    encoder.encode().unwrap()
}

/// What a puppet is to do, thing by thing.
#[derive(Clone, Default)]
pub(crate) struct Script(Vec<u8>);

impl Script {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Puts bytes into memory.
    pub(crate) fn poke(self, to: u32, bytes: &[u8]) -> Self {
        let mut script = self.words(&[0, to, bytes.len() as u32]);
        script.0.extend_from_slice(bytes);
        script
    }

    /// Puts words into memory.
    pub(crate) fn poke_words(self, to: u32, words: &[u32]) -> Self {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.poke(to, &bytes)
    }

    /// Answers a word.
    pub(crate) fn find(self, segment: u32) -> Self {
        self.words(&[1, segment])
    }

    /// Hands a segment over, given where its plan and constants are and how long; answers as [`Answers::load`] reads it.
    pub(crate) fn load(self, segment: u32, plan: [u32; 2], constants: [u32; 2]) -> Self {
        self.words(&[2, segment, plan[0], plan[1], constants[0], constants[1]])
    }

    /// Runs a segment, given where sizes and inputs are and how many; answers as [`Answers::run`] reads it.
    pub(crate) fn run(self, segment: u32, sizes: [u32; 2], inputs: [u32; 2]) -> Self {
        self.words(&[3, segment, sizes[0], sizes[1], inputs[0], inputs[1]])
    }

    /// Says where the next results go: first a list of outputs, then each output.
    pub(crate) fn places(self, places: &[u32]) -> Self {
        self.words(&[4, places.len() as u32]).words(places)
    }

    /// Answers bytes of memory.
    pub(crate) fn peek(self, from: u32, len: u32) -> Self {
        self.words(&[5, from, len])
    }

    /// Takes more memory; answers a word.
    pub(crate) fn grow(self, pages: u32) -> Self {
        self.words(&[6, pages])
    }

    /// Does all that stands before so many times. The answers are those of the last time.
    pub(crate) fn repeat(self, times: u32) -> Self {
        self.words(&[7, times])
    }

    pub(crate) fn spin(self) -> Self {
        self.words(&[8])
    }

    pub(crate) fn trap(self) -> Self {
        self.words(&[9])
    }

    pub(crate) fn fill(self, to: u32, byte: u8, len: u32) -> Self {
        self.words(&[10, to, u32::from(byte), len])
    }

    /// Says where the host is to write the results of calls themselves.
    pub(crate) fn return_to(self, address: u32) -> Self {
        self.words(&[11, address])
    }

    /// Puts a segment on the stage and hands it over.
    pub(crate) fn offer(self, segment: u32, plan: &[u8], constants: &[u8]) -> Self {
        let at = (STAGE + plan.len() as u32).next_multiple_of(64);
        self.poke(STAGE, plan).poke(at, constants).load(
            segment,
            [STAGE, plan.len() as u32],
            [at, constants.len() as u32],
        )
    }

    /// Puts a plan on the stage and hands it over.
    pub(crate) fn offer_plan(self, segment: u32, plan: &Plan<'_>) -> Self {
        self.offer(segment, &plan.write_header().unwrap(), &plan.constants)
    }

    /// Has an instance play it.
    pub(crate) fn predict_with(
        &self,
        instance: &mut Instance,
        timeout: Duration,
    ) -> Result<Answers, PredictError> {
        let options = CallOptions {
            timeout: Some(timeout),
        };
        let outputs = instance.predict(&self.inputs(), &options);
        outputs.map(Answers::of)
    }

    fn inputs(&self) -> [NamedTensor; 1] {
        let tensor = Tensor::from_values(vec![self.0.len() as u32], &self.0).unwrap();
        [("script".into(), tensor)]
    }

    fn words(mut self, words: &[u32]) -> Self {
        self.0
            .extend(words.iter().flat_map(|word| word.to_le_bytes()));
        self
    }
}

/// What a puppet saw, in order.
#[derive(Debug)]
pub(crate) struct Answers {
    bytes: Vec<u8>,
    at: usize,
}

impl Answers {
    fn of(outputs: Vec<NamedTensor>) -> Self {
        Self {
            bytes: outputs[0].1.data().to_vec(),
            at: 0,
        }
    }

    pub(crate) fn bytes(&mut self, len: usize) -> &[u8] {
        let bytes = &self.bytes[self.at..][..len];
        self.at += len;
        bytes
    }

    pub(crate) fn word(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes(4).try_into().unwrap())
    }

    pub(crate) fn load(&mut self) -> Answer {
        let [is_error, refusal] = [self.word(), self.word()];
        answer(is_error, refusal)
    }

    /// Returns what `run` answered, and the list of outputs: where it is, and how long.
    pub(crate) fn run(&mut self) -> (Answer, [u32; 2]) {
        let [is_error, begin, len] = [self.word(), self.word(), self.word()];
        (answer(is_error, begin & 0xff), [begin, len])
    }
}

fn answer(is_error: u32, refusal: u32) -> Answer {
    match (is_error, refusal) {
        (0, _) => Answer::Ok,
        (1, 0) => Answer::NotLoaded,
        (1, 1) => Answer::Declined,
        (1, 2) => Answer::Invalid,
        (1, 3) => Answer::OutOfMemory,
        (1, 4) => Answer::Failed,
        other => panic!("expected a result, found {other:?}"),
    }
}

/// Returns what was left to a guest: declined, invalid, out of memory, failed.
pub(crate) fn reasons(counts: &OffloadCounts) -> [u64; 4] {
    let fallbacks = &counts.fallbacks;
    [
        fallbacks.declined,
        fallbacks.invalid,
        fallbacks.out_of_memory,
        fallbacks.failed,
    ]
}

/// A model that is a puppet.
pub(crate) struct Puppet(pub(crate) Model);

impl Puppet {
    pub(crate) fn load(engine: &Engine) -> Self {
        Self::load_with(engine, LoadOptions::default())
    }

    pub(crate) fn load_with(engine: &Engine, options: LoadOptions) -> Self {
        Self(engine.load_bytes(&component(), options).unwrap())
    }

    /// Plays a script. The timeout is there to end a test that would not end.
    pub(crate) fn play(&self, script: &Script) -> Result<Answers, PredictError> {
        self.play_within(Duration::from_secs(60), script)
    }

    pub(crate) fn play_within(
        &self,
        timeout: Duration,
        script: &Script,
    ) -> Result<Answers, PredictError> {
        let options = CallOptions {
            timeout: Some(timeout),
        };
        self.0.predict(&script.inputs(), &options).map(Answers::of)
    }

    /// Plays a script that must trap.
    #[track_caller]
    pub(crate) fn trap(&self, script: &Script) {
        let error = self.play(script).unwrap_err();
        assert_eq!(error.kind(), PredictErrorKind::Trapped, "{error}");
    }

    pub(crate) fn counts(&self) -> OffloadCounts {
        self.0.offloaded().unwrap()
    }

    /// Returns what was left to the guest: declined, invalid, out of memory, failed.
    pub(crate) fn fallbacks(&self) -> [u64; 4] {
        reasons(&self.counts())
    }
}
