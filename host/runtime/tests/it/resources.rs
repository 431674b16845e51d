//! Memory that the host takes on behalf of a component: it is held to the component's limit, over all that stays from one call to the next.

use tensorlet_plan::kernel::{Pool, PoolKind};
use tensorlet_plan::{Kernel, Plan, ValueId};
use tensorlet_runtime::{Limits, LoadOptions};

use crate::builder::Builder;
use crate::neighbour::engine;
use crate::plans;
use crate::puppet::{Answer, Puppet, STAGE, Script};

const MEGABYTE: u32 = 1 << 20;

fn limited(memory_bytes: u64) -> Puppet {
    let limits = Limits {
        memory_bytes,
        ..Limits::default()
    };
    let options = LoadOptions {
        limits,
        ..LoadOptions::default()
    };
    Puppet::load_with(&engine(), options)
}

#[test]
fn constants_that_are_copied_are_limited() {
    let limit = 8 * u64::from(MEGABYTE);
    let puppet = limited(limit);
    let header = plans::sum(1.0).write_header().unwrap();
    let constants = [STAGE + MEGABYTE / 2, MEGABYTE];
    let mut script = Script::new()
        .poke(STAGE, &header)
        .fill(constants[0], 1, constants[1]);
    for segment in 0..32 {
        script = script.load(segment, [STAGE, header.len() as u32], constants);
    }
    let mut answers = puppet.play(&script).unwrap();
    let answers: Vec<Answer> = (0..32).map(|_| answers.load()).collect();
    let copied = puppet.counts().constants_copied_bytes;
    assert!(copied <= limit, "expected at most {limit}, found {copied}");
    assert_eq!(answers[0], Answer::Ok);
    assert!(answers.contains(&Answer::OutOfMemory), "{answers:?}");
}

/// A pooling of one element to `N`.
fn wide_pool() -> Plan<'static> {
    let mut builder = Builder::new(&["x:u8[1,1,1]", "n:u8[N,0]"]);
    let pool = Kernel::Pool(Pool {
        kind: PoolKind::Max,
        kernel: vec![1],
        strides: vec![1],
        dilations: vec![1],
        pads_before: vec![0],
        pads_after: vec![0],
    });
    let y = builder.step("y:u8[1,1,N]", pool, &[ValueId(0)]);
    builder.finish(&[y])
}

#[test]
fn tables_are_limited() {
    let puppet = limited(64 * u64::from(MEGABYTE));
    let plan = wide_pool();
    let lists = STAGE + MEGABYTE;
    let script = Script::new()
        .grow(512)
        .offer_plan(0, &plan)
        .poke_words(lists, &[STAGE, 1, STAGE, 0])
        .poke_words(lists + 64, &[32 << 20])
        .places(&[lists + 128, STAGE + 2 * MEGABYTE])
        .run(0, [lists + 64, 1], [lists, 2]);
    let mut answers = puppet.play(&script).unwrap();
    answers.word();
    assert_eq!(answers.load(), Answer::Ok);
    // A table for it has 24 bytes for each of the 32 million outputs.
    assert_ne!(answers.run().0, Answer::Ok);
}
