//! Segments that are none, and lists that are not where they are said to be.

use tensorlet_plan::segments::MAX_SEGMENTS;
use tensorlet_plan::{Kernel, SubgraphFormat, TractStep, ValueId};
use tensorlet_runtime::offload::{MAX_PLAN_BYTES, MAX_STEPS};

use crate::builder::{Builder, Random};
use crate::neighbour::{Neighbour, engine};
use crate::plans;
use crate::puppet::{Answer, DECLINED, LOADED, MEMORY_BYTES, Puppet, STAGE, Script, WANTED};

#[test]
fn a_valid_segment_is_taken_once() {
    let puppet = Puppet::load(&engine());
    let script = Script::new()
        .find(3)
        .offer_plan(3, &plans::sum(1.0))
        .find(3)
        .offer(3, b"garbage", b"")
        .find(3);
    let mut answers = puppet.play(&script).unwrap();
    assert_eq!(answers.word(), WANTED);
    assert_eq!(answers.load(), Answer::Ok);
    assert_eq!(answers.word(), LOADED);
    assert_eq!(
        answers.load(),
        Answer::Ok,
        "what is there is not looked at again"
    );
    assert_eq!(answers.word(), LOADED);
    assert_eq!(puppet.counts().segments_loaded, 1);
    assert_eq!(puppet.counts().constants_copied_bytes, 16);
    assert_eq!(puppet.fallbacks(), [0; 4]);
}

/// Offers bytes that are no segment; they must be declined, and counted so.
#[track_caller]
fn declined(what: &str, plan: &[u8], constants: &[u8]) {
    let puppet = Puppet::load(&engine());
    let script = Script::new()
        .offer(0, plan, constants)
        .find(0)
        .offer_plan(0, &plans::negation())
        .run(0, [STAGE, 0], [STAGE, 0]);
    let mut answers = puppet.play(&script).unwrap();
    assert_eq!(answers.load(), Answer::Declined, "{what}");
    assert_eq!(answers.word(), DECLINED, "{what}");
    assert_eq!(
        answers.load(),
        Answer::Declined,
        "{what}: there is no second chance"
    );
    assert_eq!(answers.run().0, Answer::Declined, "{what}");
    assert_eq!(
        puppet.fallbacks(),
        [2, 0, 0, 0],
        "{what}: one load and one run"
    );
    assert_eq!(puppet.counts().segments_loaded, 0, "{what}");
}

#[test]
fn garbage_is_declined() {
    let mut random = Random(1);
    let noise: Vec<u8> = (0..1000).map(|_| random.below(256) as u8).collect();
    let plan = plans::sum(1.0);
    let header = plan.write_header().unwrap();
    declined("nothing", b"", b"");
    declined("noise", &noise, &noise);
    declined("magic and noise", &[&header[..16], &noise].concat(), &noise);
    declined("a whole plan", &plan.write().unwrap(), &plan.constants);
    declined("no constants", &header, b"");
    declined("too few constants", &header, &plan.constants[..15]);
    for len in [15, 16, 19, 20, header.len() - 64, header.len() - 1] {
        declined("a part of a plan", &header[..len], &plan.constants);
    }
    let mut long = header.clone();
    long[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
    declined("a header that claims to be long", &long, &plan.constants);
}

#[test]
fn tract_steps_are_declined() {
    let mut plan = plans::negation();
    plan.steps[0].kernel = Kernel::Tract(TractStep {
        format: SubgraphFormat::Onnx,
        subgraph: 0..0,
        one_row: false,
        operators: [("Neg".into(), 1)].into(),
    });
    declined("a tract step", &plan.write_header().unwrap(), b"");
}

#[test]
fn segments_without_a_kernel_are_declined() {
    let mut plan = plans::sum(1.0);
    plan.steps[0].kernel = Kernel::Trilu {
        upper: true,
        diagonal: 0,
    };
    declined(
        "a kernel of other values",
        &plan.write_header().unwrap(),
        &plan.constants,
    );
}

#[test]
fn plans_are_limited() {
    let mut plan = plans::negation();
    plan.description.version = "1".repeat(MAX_PLAN_BYTES);
    let long = plan.write_header().unwrap();
    assert!(long.len() > MAX_PLAN_BYTES);
    let puppet = Puppet::load(&engine());
    let script = Script::new().grow(128).poke(STAGE, &long[..1 << 20]).load(
        0,
        [STAGE, long.len() as u32],
        [STAGE, 0],
    );
    let mut answers = puppet.play(&script).unwrap();
    answers.word();
    assert_eq!(answers.load(), Answer::Declined);

    let mut builder = Builder::new(&["x:u8[N]"]);
    let mut value = ValueId(0);
    for _ in 0..=MAX_STEPS {
        value = builder.step("y:u8[N]", Kernel::Copy, &[value]);
    }
    let many = builder.finish(&[value]).write_header().unwrap();
    assert!(many.len() < MAX_PLAN_BYTES);
    let puppet = Puppet::load(&engine());
    let script = (0..)
        .zip(many.chunks(1 << 20))
        .fold(Script::new().grow(128), |script, (index, part)| {
            script.poke(STAGE + (index << 20), part)
        });
    let script = script.load(0, [STAGE, many.len() as u32], [STAGE, 0]);
    let mut answers = puppet.play(&script).unwrap();
    answers.word();
    assert_eq!(answers.load(), Answer::Declined);
    assert_eq!(puppet.fallbacks(), [1, 0, 0, 0]);
}

#[test]
fn segments_are_limited() {
    let puppet = Puppet::load(&engine());
    let last = MAX_SEGMENTS as u32 - 1;
    let beyond = [last + 1, 1 << 16, i32::MAX as u32, u32::MAX];
    let plan = plans::negation();
    let script = beyond.iter().fold(Script::new(), |script, &index| {
        script
            .find(index)
            .offer_plan(index, &plan)
            .run(index, [0, 0], [0, 0])
    });
    let script = script.find(last).offer_plan(last, &plan);
    let mut answers = puppet.play(&script).unwrap();
    for index in beyond {
        assert_eq!(answers.word(), DECLINED, "{index}");
        assert_eq!(answers.load(), Answer::Declined, "{index}");
        assert_eq!(answers.run().0, Answer::NotLoaded, "{index}");
    }
    assert_eq!(answers.word(), WANTED);
    assert_eq!(answers.load(), Answer::Ok);
    let counts = puppet.counts();
    assert_eq!((counts.segments_loaded, counts.runs), (1, 0));
}

#[test]
fn lists_outside_of_memory_trap() {
    let engine = engine();
    let mut neighbour = Neighbour::new(&engine);
    let puppet = Puppet::load(&engine);
    let outside = [
        [MEMORY_BYTES, 1],
        [MEMORY_BYTES - 8, 9],
        [0, MEMORY_BYTES + 1],
        [u32::MAX, 1],
        [1, u32::MAX],
        [u32::MAX, u32::MAX],
    ];
    for list in outside {
        puppet.trap(&Script::new().load(0, list, [0, 0]));
        puppet.trap(&Script::new().load(0, [0, 0], list));
        puppet.trap(&Script::new().run(0, list, [0, 0]));
        puppet.trap(&Script::new().run(0, [0, 0], list));
        // A list of lists, of which one is outside.
        let script = Script::new().poke_words(STAGE, &[0, 0, list[0], list[1]]);
        let _ = puppet.play(&script.run(0, [0, 0], [STAGE, 2]));
        neighbour.check();
    }
    // As many elements as 32 bits count, of more than one byte each.
    for len in [1 << 30, 1 << 29, u32::MAX / 4 + 1, u32::MAX] {
        puppet.trap(&Script::new().run(0, [0, len], [0, 0]));
        puppet.trap(&Script::new().run(0, [0, 0], [0, len]));
    }
    assert_eq!(puppet.fallbacks()[3], 0);
    neighbour.check();
}

#[test]
fn lists_that_are_not_aligned_trap() {
    let puppet = Puppet::load(&engine());
    for shift in 1..4 {
        puppet.trap(&Script::new().run(0, [STAGE + shift, 1], [0, 0]));
        puppet.trap(&Script::new().run(0, [0, 0], [STAGE + shift, 1]));
        puppet.trap(
            &Script::new()
                .return_to(0x400 + shift)
                .run(0, [0, 0], [0, 0]),
        );
    }
    for address in [MEMORY_BYTES, MEMORY_BYTES - 1, u32::MAX] {
        puppet.trap(&Script::new().return_to(address).load(0, [0, 0], [0, 0]));
        puppet.trap(&Script::new().return_to(address).run(0, [0, 0], [0, 0]));
    }
    puppet.play(&Script::new().find(0)).unwrap();
}

#[test]
fn constants_are_what_they_were_when_they_were_handed_over() {
    let puppet = Puppet::load(&engine());
    let plan = plans::sum(1.0);
    let header = plan.write_header().unwrap();
    let constants = (STAGE + header.len() as u32).next_multiple_of(64);
    let input = STAGE + 0x1000;
    let script = Script::new()
        .offer(0, &header, &plan.constants)
        .fill(STAGE, 0xff, constants + 16 - STAGE)
        .poke(input, &plans::bytes(&[1.0, 2.0, 3.0, 4.0]))
        .poke_words(input + 64, &[input, 16])
        .places(&[input + 128, input + 192])
        .run(0, [0, 0], [input + 64, 1])
        .peek(input + 192, 16);
    let mut answers = puppet.play(&script).unwrap();
    assert_eq!(answers.load(), Answer::Ok);
    assert_eq!(answers.run().0, Answer::Ok);
    assert_eq!(answers.bytes(16), plans::bytes(&[2.0, 3.0, 4.0, 5.0]));
}
