//! What components share, and what they must not.

use tensorlet_runtime::{LoadOptions, Reuse};

use crate::neighbour::{Neighbour, engine};
use crate::plans::{self, bytes};
use crate::puppet::{Answer, LOADED, Puppet, STAGE, Script, WANTED};

const LISTS: u32 = STAGE + 0x1_0000;
const X: u32 = LISTS + 0x100;
const Y: u32 = LISTS + 0x200;

/// Runs a segment of four numbers.
fn run(script: Script, segment: u32) -> Script {
    script
        .poke(X, &bytes(&[1.0, 2.0, 3.0, 4.0]))
        .poke_words(LISTS, &[X, 16])
        .places(&[LISTS + 64, Y])
        .run(segment, [LISTS, 0], [LISTS, 1])
        .peek(Y, 16)
}

#[test]
fn components_see_their_own_segments_alone() {
    let engine = engine();
    let mut neighbour = Neighbour::new(&engine);
    let puppets: Vec<Puppet> = (0..3).map(|_| Puppet::load(&engine)).collect();
    for (constant, puppet) in [10f32, 20.0, 30.0].into_iter().zip(&puppets) {
        let script = Script::new().find(0).offer_plan(0, &plans::sum(constant));
        let mut answers = puppet.play(&script).unwrap();
        assert_eq!(answers.word(), WANTED, "the same file, loaded another time");
        assert_eq!(answers.load(), Answer::Ok);
    }
    for _ in 0..2 {
        for (constant, puppet) in [10f32, 20.0, 30.0].into_iter().zip(&puppets) {
            let mut answers = puppet.play(&run(Script::new().find(0), 0)).unwrap();
            assert_eq!(answers.word(), LOADED);
            assert_eq!(answers.run().0, Answer::Ok);
            let expected: Vec<f32> = (1..5).map(|x| x as f32 + constant).collect();
            assert_eq!(answers.bytes(16), bytes(&expected));
        }
        neighbour.check();
    }
    for puppet in &puppets {
        let counts = puppet.counts();
        assert_eq!((counts.segments_loaded, counts.runs), (1, 2));
    }
}

#[test]
fn instances_of_a_component_share_segments() {
    let options = LoadOptions {
        reuse: Reuse::Fresh,
        ..LoadOptions::default()
    };
    let puppet = Puppet::load_with(&engine(), options);
    let script = Script::new().offer_plan(0, &plans::sum(0.5));
    assert_eq!(puppet.play(&script).unwrap().load(), Answer::Ok);
    for _ in 0..3 {
        let mut answers = puppet.play(&run(Script::new().find(0), 0)).unwrap();
        assert_eq!(answers.word(), LOADED);
        assert_eq!(answers.run().0, Answer::Ok);
        assert_eq!(answers.bytes(16), bytes(&[1.5, 2.5, 3.5, 4.5]));
    }
    assert_eq!(puppet.counts().segments_loaded, 1);
}

#[test]
fn segments_with_one_index_each_are_told_apart() {
    let puppet = Puppet::load(&engine());
    let mut script = Script::new();
    for segment in 0..8 {
        script = script.offer_plan(segment, &plans::sum(segment as f32));
    }
    for segment in (0..8).rev() {
        script = run(script, segment);
    }
    let mut answers = puppet.play(&script).unwrap();
    (0..8).for_each(|_| assert_eq!(answers.load(), Answer::Ok));
    for segment in (0..8).rev() {
        assert_eq!(answers.run().0, Answer::Ok);
        let expected: Vec<f32> = (1..5).map(|x| (x + segment) as f32).collect();
        assert_eq!(answers.bytes(16), bytes(&expected));
    }
}

#[test]
fn threads_call_and_load_at_the_same_time() {
    let engine = engine();
    let puppet = Puppet::load(&engine);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let puppet = &puppet;
            scope.spawn(move || {
                for round in 0..50 {
                    let plan = plans::sum(7.0);
                    let segment = round % 10;
                    let script = Script::new().offer_plan(segment, &plan);
                    let script = match thread % 2 {
                        0 => script.offer(20 + segment, b"garbage", b""),
                        _ => script,
                    };
                    let mut answers = puppet.play(&run(script, segment)).unwrap();
                    assert_eq!(answers.load(), Answer::Ok);
                    if thread % 2 == 0 {
                        assert_eq!(answers.load(), Answer::Declined);
                    }
                    assert_eq!(answers.run().0, Answer::Ok);
                    assert_eq!(answers.bytes(16), bytes(&[8.0, 9.0, 10.0, 11.0]));
                }
            });
        }
    });
    assert_eq!(puppet.counts().runs, 200);
    assert_eq!(puppet.fallbacks()[3], 0);
}
