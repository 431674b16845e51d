//! Mutated plans: reading, verifying, binding and running one never panics, whatever it says.
//!
//! The variable `TENSORLET_FUZZ_SECONDS` makes it go on for longer, with new mutations.

mod mutate;
pub(crate) mod samples;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use tensorlet_executor::{Executor, LoadOptions, State};
use tensorlet_plan::{Plan, Storage};
use tensorlet_tensor::Dim;

use crate::builder::{Random, Shifted};
use mutate::mutate;

/// How many mutations of each sample are tried.
const ROUNDS: usize = 300;

/// The most bytes of buffers that are worth running with.
const MAX_ARENA_BYTES: usize = 1 << 16;

#[test]
fn samples_run_as_they_are() {
    let mut missing = Vec::new();
    for plan in samples::all() {
        plan.verify()
            .unwrap_or_else(|error| panic!("{error}\n{plan}"));
        match exercise(&plan.write().unwrap(), &mut Random(1)) {
            Outcome::Ran => {}
            outcome => missing.push(format!("{outcome:?}: {plan}")),
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn mutations_never_panic() {
    let samples: Vec<Vec<u8>> = samples::all()
        .iter()
        .map(|plan| plan.write().unwrap())
        .collect();
    let mut seed = 0;
    fuzz_all(&samples, seed);
    let Some(seconds) = std::env::var_os("TENSORLET_FUZZ_SECONDS") else {
        return;
    };
    let seconds = seconds.to_str().and_then(|text| text.parse().ok()).unwrap();
    let end = now() + Duration::from_secs(seconds);
    while now() < end {
        seed += 1;
        fuzz_all(&samples, seed);
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

fn fuzz_all(samples: &[Vec<u8>], seed: u64) {
    let mut random = Random(seed);
    let mut ran = 0;
    for bytes in samples {
        for _ in 0..ROUNDS {
            let mutated = mutate(bytes, &mut random);
            let mut random = Random(seed);
            let result = catch_unwind(AssertUnwindSafe(|| exercise(&mutated, &mut random)));
            match result {
                Ok(Outcome::Ran) => ran += 1,
                Ok(_) => {}
                Err(_) => {
                    let plan = Plan::read(&mutated).map(|plan| plan.to_string());
                    panic!("seed {seed}: a panic with {plan:#?}");
                }
            }
        }
    }
    assert!(
        ran > samples.len(),
        "expected many mutations to run, found {ran}"
    );
}

#[derive(Debug)]
enum Outcome {
    /// The bytes are no plan.
    Refused,
    /// The plan cannot be loaded.
    NotLoaded(#[expect(dead_code, reason = "for people")] String),
    /// The plan cannot be computed for such sizes or data.
    Failed(#[expect(dead_code, reason = "for people")] String),
    Ran,
}

fn exercise(bytes: &[u8], random: &mut Random) -> Outcome {
    if let Ok(header) = Plan::read_header(bytes) {
        let _ = (header.to_string(), header.lifetimes());
    }
    let Ok(plan) = Plan::read(bytes) else {
        return Outcome::Refused;
    };
    assert_eq!(plan.verify(), Ok(()), "what was read is verified");
    let options = LoadOptions {
        max_arena_bytes: MAX_ARENA_BYTES,
        ..LoadOptions::default()
    };
    let executor = match Executor::load(&plan, options) {
        Ok(executor) => executor,
        Err(error) => return Outcome::NotLoaded(error.to_string()),
    };
    let mut outcome = Outcome::Ran;
    for size in 1..4 {
        let sizes = vec![size; executor.symbols().len()];
        if let Err(error) = run(&plan, &executor, &sizes, random) {
            outcome = Outcome::Failed(error);
        }
    }
    outcome
}

fn run(
    plan: &Plan<'_>,
    executor: &Executor,
    sizes: &[u32],
    random: &mut Random,
) -> Result<(), String> {
    let dims = executor
        .output_dims(sizes)
        .map_err(|error| error.to_string())?;
    let signature = &plan.description.signature;
    let mut inputs = Vec::new();
    for (value, spec) in plan.values.iter().zip(&signature.inputs) {
        assert_eq!(value.storage, Storage::Input);
        let dims = spec.dims.iter().map(|dim| match dim {
            Dim::Fixed(size) => *size,
            Dim::Symbol(_) => sizes[0],
        });
        let len = bytes(spec.datum_type, &dims.collect::<Vec<_>>())?;
        // Small numbers of any type, and now and then anything.
        let mut data: Vec<u8> = (0..len).map(|_| random.below(3) as u8).collect();
        for _ in 0..len.min(2) {
            data[random.below(len)] = random.below(256) as u8;
        }
        inputs.push(Shifted::new(&data, 0));
    }
    let mut outputs = Vec::new();
    for (dims, spec) in dims.iter().zip(&signature.outputs) {
        let len = dims
            .as_ref()
            .map_or(Ok(0), |dims| bytes(spec.datum_type, dims))?;
        outputs.push(Shifted::new(&vec![0; len], 0));
    }
    let input_slices: Vec<&[u8]> = inputs.iter().map(Shifted::bytes).collect();
    let mut output_slices: Vec<&mut [u8]> = outputs.iter_mut().map(Shifted::bytes_mut).collect();
    let mut state = State::new();
    let result = executor
        .run(&mut state, sizes, &input_slices, &mut output_slices)
        .map_err(|error| error.to_string());
    assert!(
        outputs.iter().all(Shifted::is_intact),
        "wrote around an output"
    );
    assert!(
        inputs.iter().all(Shifted::is_intact),
        "wrote around an input"
    );
    result
}

/// Returns the bytes of a tensor, unless it is large.
fn bytes(datum_type: tensorlet_tensor::DatumType, dims: &[u32]) -> Result<usize, String> {
    let len = dims.iter().try_fold(datum_type.width_bytes(), |len, &dim| {
        len.checked_mul(dim as usize)
    });
    len.filter(|&len| len <= MAX_ARENA_BYTES)
        .ok_or_else(|| "expected a small tensor".into())
}
