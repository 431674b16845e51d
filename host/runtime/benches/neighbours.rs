//! How long a model's calls take beside a hostile one in the same engine, on a thread of its own.
//!
//! `cargo bench --package tensorlet-runtime --bench neighbours` prints the median and the 99th percentile of the times of calls: alone, beside a model
//! that computes as it should, and beside one that does what the line says, again and again. A neighbour takes memory bandwidth, caches and
//! locks; what the first two lines differ by is the machine's share.

#![expect(clippy::print_stdout, reason = "prints a table")]
#![expect(clippy::unwrap_used, reason = "a bench may fail")]
#![expect(
    clippy::disallowed_methods,
    reason = "what is measured is the time that calls take"
)]

#[path = "../../../guest/executor/tests/it/builder.rs"]
#[expect(dead_code, reason = "the executor's tests use more of it")]
mod builder;
#[path = "../tests/it/neighbour.rs"]
#[expect(dead_code, reason = "tests use more of it")]
mod neighbour;
#[path = "../tests/it/plans.rs"]
#[expect(dead_code, reason = "tests use more of it")]
mod plans;
#[path = "../tests/it/puppet.rs"]
#[expect(dead_code, reason = "tests use more of it")]
mod puppet;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tensorlet_runtime::{CallOptions, Engine, Instance, LoadOptions, Reuse};

use neighbour::{engine, input, predictor};
use puppet::{Puppet, STAGE, Script};

/// How long each line is measured.
const TIME: Duration = Duration::from_secs(4);

/// The good model multiplies matrices of this size, so many times a call.
const SIZE: usize = 128;
const STEPS: usize = 16;

/// Where a puppet's arguments lie.
const LISTS: u32 = STAGE + 0x1_0000;
const X: u32 = LISTS + 0x100;
const Y: u32 = STAGE + 0x10_0000;

/// What a neighbour does again and again; returns how many calls to its host that are.
type Deed<'a> = Box<dyn FnMut() -> u64 + Send + 'a>;

fn main() {
    let engine = engine();
    println!(
        "{:<44}{:>10}{:>10}{:>9}{:>16}",
        "beside", "p50 µs", "p99 µs", "calls", "neighbour/s"
    );
    line(&engine, "nobody", Box::new(|| 0), false);
    line(&engine, "a model like it", good(&engine), true);
    line(&engine, "garbage, loaded", garbage(&engine), true);
    line(&engine, "runs that do not fit", misfits(&engine), true);
    line(&engine, "runs of four numbers", small_runs(&engine), true);
    line(
        &engine,
        "runs with sizes that are always new",
        new_sizes(&engine),
        true,
    );
    line(
        &engine,
        "models loaded, a megabyte copied for each",
        copies(&engine),
        true,
    );
    line(&engine, "instances that trap", traps(&engine), true);
}

/// Measures the good model beside a neighbour, and prints a line.
fn line(engine: &Engine, name: &str, mut deed: Deed<'_>, is_there: bool) {
    let mut model = predictor(engine, &plans::powers(SIZE, STEPS));
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut times = vec![];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while is_there && !stop.load(Ordering::Relaxed) {
                done.fetch_add(deed(), Ordering::Relaxed);
            }
        });
        let begin = Instant::now();
        while begin.elapsed() < TIME {
            let start = Instant::now();
            call(&mut model);
            times.push(start.elapsed());
        }
        stop.store(true, Ordering::Relaxed);
    });
    let calls = times.len();
    let counts = model.offloaded().unwrap();
    assert_eq!((counts.runs, counts.fallbacks.total()), (calls as u64, 0));
    times.sort();
    let micros = |part: usize| times[calls * part / 100].as_secs_f64() * 1e6;
    let rate = done.into_inner() as f64 / TIME.as_secs_f64();
    println!(
        "{name:<44}{:>10.0}{:>10.0}{calls:>9}{rate:>16.0}",
        micros(50),
        micros(99)
    );
}

fn call(model: &mut Instance) {
    let size = SIZE as u32;
    let x: Vec<f32> = (0..SIZE * SIZE).map(|at| (at % 7) as f32 / 64.0).collect();
    let inputs = [input(&[size, size], &x)];
    model.predict(&inputs, &CallOptions::default()).unwrap();
}

fn good(engine: &Engine) -> Deed<'_> {
    let mut model = predictor(engine, &plans::powers(SIZE, STEPS));
    Box::new(move || {
        call(&mut model);
        1
    })
}

fn garbage(engine: &Engine) -> Deed<'_> {
    let noise: Vec<u8> = (0..60_000u32).map(|at| (at * at % 251) as u8).collect();
    let header = plans::powers(4, 1000).write_header().unwrap();
    let script = Script::new()
        .poke(STAGE, &noise)
        .poke(STAGE + 0x1_0000, &header);
    let script = (0..250).fold(script, |script, segment| match segment % 2 {
        0 => script.load(segment, [STAGE, 60_000], [STAGE, 60_000]),
        // A plan that is cut short, and much that it does not need.
        _ => script.load(
            segment,
            [STAGE + 0x1_0000, header.len() as u32 - 64],
            [STAGE, 1 << 20],
        ),
    });
    Box::new(move || {
        let puppet = Puppet::load(engine);
        puppet.play(&script).unwrap();
        250
    })
}

/// A script that has offered a plan of four numbers and is to run it.
fn ready() -> Script {
    Script::new()
        .offer_plan(0, &plans::negation())
        .poke_words(LISTS, &[X, 16])
        .poke_words(LISTS + 64, &[1])
}

fn misfits(engine: &Engine) -> Deed<'_> {
    let puppet = Puppet::load(engine);
    let script = ready()
        .run(0, [LISTS, 0], [LISTS, 1])
        .run(1, [LISTS + 64, 1], [LISTS, 1])
        .places(&[LISTS + 128, X])
        .run(0, [LISTS + 64, 1], [LISTS, 1])
        .repeat(1000);
    Box::new(move || {
        puppet.play(&script).unwrap();
        3000
    })
}

fn small_runs(engine: &Engine) -> Deed<'_> {
    let puppet = Puppet::load(engine);
    let script = ready()
        .places(&[LISTS + 128, Y])
        .run(0, [LISTS + 64, 1], [LISTS, 1])
        .repeat(1000);
    Box::new(move || {
        puppet.play(&script).unwrap();
        1000
    })
}

fn new_sizes(engine: &Engine) -> Deed<'_> {
    let puppet = Puppet::load(engine);
    let script = (1..1000).fold(ready(), |script, size| {
        script
            .poke_words(LISTS, &[X, 16 * size])
            .poke_words(LISTS + 64, &[size])
            .places(&[LISTS + 128, Y])
            .run(0, [LISTS + 64, 1], [LISTS, 1])
    });
    Box::new(move || {
        puppet.play(&script).unwrap();
        1000
    })
}

fn copies(engine: &Engine) -> Deed<'_> {
    let header = plans::sum(1.0).write_header().unwrap();
    let script = Script::new().poke(STAGE, &header).fill(Y, 1, 1 << 20).load(
        0,
        [STAGE, header.len() as u32],
        [Y, 1 << 20],
    );
    Box::new(move || {
        Puppet::load(engine).play(&script).unwrap();
        1
    })
}

fn traps(engine: &Engine) -> Deed<'_> {
    let options = LoadOptions {
        reuse: Reuse::Fresh,
        ..LoadOptions::default()
    };
    let puppet = Puppet::load_with(engine, options);
    let script = ready().run(0, [u32::MAX, 1], [LISTS, 1]);
    Box::new(move || {
        puppet.play(&script).unwrap_err();
        1
    })
}
