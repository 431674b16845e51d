//! Runs that do not fit, and memory for results that is not to be had.

use crate::neighbour::{Neighbour, engine};
use crate::plans::{self, bytes};
use crate::puppet::{Answer, MEMORY_BYTES, Puppet, SPIN, STAGE, Script, TRAP};

/// Where things lie when `two_and_two` is run: the list of inputs, the size, the inputs, and room for results.
const INPUTS: u32 = STAGE + 0x10000;
const SIZES: u32 = INPUTS + 0x40;
const A: u32 = INPUTS + 0x80;
const B: u32 = INPUTS + 0xc0;
const LIST: u32 = INPUTS + 0x100;
const SUM: u32 = INPUTS + 0x140;
const DIFFERENCE: u32 = INPUTS + 0x180;

/// A script that has offered `two_and_two` and is about to run it for four numbers.
fn ready() -> Script {
    Script::new()
        .offer_plan(0, &plans::two_and_two())
        .poke(A, &bytes(&[1.0, 2.0, 3.0, 4.0]))
        .poke(B, &bytes(&[10.0, 20.0, 30.0, 40.0]))
        .poke_words(INPUTS, &[A, 16, B, 16])
        .poke_words(SIZES, &[4])
}

/// Runs it, and looks at what it has computed.
fn run_right(script: Script) -> Script {
    script
        .poke_words(INPUTS, &[A, 16, B, 16])
        .poke_words(SIZES, &[4])
        .places(&[LIST, SUM, DIFFERENCE])
        .run(0, [SIZES, 1], [INPUTS, 2])
        .peek(LIST, 16)
        .peek(SUM, 16)
        .peek(DIFFERENCE, 16)
}

#[track_caller]
fn check_right(answers: &mut crate::puppet::Answers) {
    assert_eq!(answers.run(), (Answer::Ok, [LIST, 2]));
    let list = [
        answers.word(),
        answers.word(),
        answers.word(),
        answers.word(),
    ];
    assert_eq!(list, [SUM, 16, DIFFERENCE, 16]);
    assert_eq!(answers.bytes(16), bytes(&[11.0, 22.0, 33.0, 44.0]));
    assert_eq!(answers.bytes(16), bytes(&[-9.0, -18.0, -27.0, -36.0]));
}

/// Runs a script that goes wrong, then the right thing: the guest and its segments must be as they were.
#[track_caller]
fn refused(what: &str, script: Script, expected: Answer) {
    let puppet = Puppet::load(&engine());
    let mut answers = puppet.play(&run_right(script)).unwrap();
    assert_eq!(answers.load(), Answer::Ok, "{what}");
    assert_eq!(answers.run().0, expected, "{what}");
    check_right(&mut answers);
    let counts = puppet.counts();
    assert_eq!((counts.segments_loaded, counts.runs), (1, 1), "{what}");
    let [declined, invalid, out_of_memory, failed] = puppet.fallbacks();
    let found = [declined, out_of_memory, invalid + failed];
    assert_eq!(
        found,
        [
            0,
            u64::from(expected == Answer::OutOfMemory),
            u64::from(expected != Answer::OutOfMemory)
        ],
        "{what}"
    );
}

/// Reports whether it is a refusal that tells the guest its arguments are wrong.
fn is_refusal(answer: Answer) -> bool {
    answer == Answer::Invalid
}

#[test]
fn results_go_where_realloc_says() {
    let puppet = Puppet::load(&engine());
    let mut answers = puppet.play(&run_right(ready())).unwrap();
    assert_eq!(answers.load(), Answer::Ok);
    check_right(&mut answers);
    assert_eq!((puppet.counts().runs, puppet.fallbacks()), (1, [0; 4]));
}

#[test]
fn what_was_not_loaded_does_not_run() {
    let puppet = Puppet::load(&engine());
    for index in [0, 1, 255, 256, u32::MAX] {
        let script = Script::new().run(index, [SIZES, 0], [INPUTS, 0]);
        let mut answers = puppet.play(&script).unwrap();
        assert_eq!(answers.run().0, Answer::NotLoaded, "{index}");
    }
    assert_eq!(puppet.fallbacks(), [0, 5, 0, 0]);
}

#[test]
fn sizes_and_inputs_that_do_not_fit_are_refused() {
    let cases = [
        ("no size", [SIZES, 0], [INPUTS, 2], vec![A, 16, B, 16]),
        ("two sizes", [SIZES, 2], [INPUTS, 2], vec![A, 16, B, 16]),
        ("1025 sizes", [SIZES, 1025], [INPUTS, 2], vec![A, 16, B, 16]),
        ("no input", [SIZES, 1], [INPUTS, 0], vec![A, 16, B, 16]),
        ("one input", [SIZES, 1], [INPUTS, 1], vec![A, 16, B, 16]),
        (
            "three inputs",
            [SIZES, 1],
            [INPUTS, 3],
            vec![A, 16, B, 16, B, 16],
        ),
        (
            "2^16 + 1 inputs",
            [SIZES, 1],
            [INPUTS, (1 << 16) + 1],
            vec![A, 16, B, 16],
        ),
        ("a short input", [SIZES, 1], [INPUTS, 2], vec![A, 16, B, 12]),
        ("a long input", [SIZES, 1], [INPUTS, 2], vec![A, 16, B, 20]),
        ("an empty input", [SIZES, 1], [INPUTS, 2], vec![A, 16, B, 0]),
        (
            "an input across the end",
            [SIZES, 1],
            [INPUTS, 2],
            vec![A, 16, MEMORY_BYTES - 15, 16],
        ),
        (
            "an input behind the end",
            [SIZES, 1],
            [INPUTS, 2],
            vec![A, 16, u32::MAX - 3, 16],
        ),
        (
            "an input of 4 GiB",
            [SIZES, 1],
            [INPUTS, 2],
            vec![A, 16, u32::MAX, u32::MAX],
        ),
    ];
    for (what, sizes, inputs, list) in cases {
        let puppet = Puppet::load(&engine());
        let script = ready()
            .poke_words(INPUTS, &list)
            .places(&[LIST, SUM, DIFFERENCE])
            .run(0, sizes, inputs);
        let mut answers = puppet.play(&run_right(script)).unwrap();
        assert_eq!(answers.load(), Answer::Ok, "{what}");
        let (answer, _) = answers.run();
        assert!(is_refusal(answer), "{what}: {answer:?}");
        check_right(&mut answers);
        let counts = puppet.counts();
        assert_eq!((counts.runs, counts.fallbacks.total()), (1, 1), "{what}");
    }
}

#[test]
fn sizes_without_memory_are_refused() {
    for size in [u32::MAX, 1 << 31, 1 << 30] {
        let puppet = Puppet::load(&engine());
        let script = ready()
            .poke_words(SIZES, &[size])
            .run(0, [SIZES, 1], [INPUTS, 2]);
        // Results of so many bytes do not fit in the guest, which is what its realloc is told.
        if let Ok(mut answers) = puppet.play(&run_right(script)) {
            assert_eq!(answers.load(), Answer::Ok, "{size}");
            let (answer, _) = answers.run();
            assert_ne!(answer, Answer::Ok, "{size}");
            check_right(&mut answers);
        }
        let mut answers = puppet.play(&run_right(ready())).unwrap();
        assert_eq!(answers.load(), Answer::Ok, "{size}");
        check_right(&mut answers);
    }
}

#[test]
fn inputs_may_overlap_each_other() {
    let puppet = Puppet::load(&engine());
    let script = ready()
        .poke_words(INPUTS, &[A, 16, A + 1, 16])
        .poke_words(INPUTS, &[A, 16, A, 16])
        .places(&[LIST, SUM, DIFFERENCE])
        .run(0, [SIZES, 1], [INPUTS, 2])
        .peek(SUM, 16)
        .poke_words(INPUTS, &[A + 1, 16, A + 1, 16])
        .places(&[LIST, SUM + 1, DIFFERENCE + 3])
        .run(0, [SIZES, 1], [INPUTS, 2])
        .peek(DIFFERENCE + 3, 16);
    let mut answers = puppet.play(&run_right(script)).unwrap();
    assert_eq!(answers.load(), Answer::Ok);
    assert_eq!(answers.run().0, Answer::Ok);
    assert_eq!(answers.bytes(16), bytes(&[2.0, 4.0, 6.0, 8.0]));
    assert_eq!(answers.run().0, Answer::Ok, "nothing need be aligned");
    assert_eq!(answers.bytes(16), bytes(&[0.0; 4]));
    check_right(&mut answers);
}

#[test]
fn results_that_overlap_are_refused() {
    let cases = [
        ("an input", [LIST, A, DIFFERENCE]),
        ("the end of an input", [LIST, A + 15, DIFFERENCE]),
        ("the begin of an input", [LIST, SUM, B - 15]),
        ("each other", [LIST, SUM, SUM]),
        ("each other by a byte", [LIST, SUM, SUM + 15]),
        ("each other by a byte, in front", [LIST, SUM, SUM - 15]),
    ];
    for (what, places) in cases {
        let script = ready().places(&places).run(0, [SIZES, 1], [INPUTS, 2]);
        refused(what, script, Answer::Invalid);
    }
}

#[test]
fn results_over_what_is_read_no_more_are_the_guests_own_affair() {
    let puppet = Puppet::load(&engine());
    // The list of results lies over a result, the list of inputs, the sizes, and the result of the call.
    for list in [SUM, INPUTS, SIZES, 0x400] {
        let script = ready()
            .places(&[list, SUM, DIFFERENCE])
            .run(0, [SIZES, 1], [INPUTS, 2]);
        let mut answers = puppet.play(&run_right(script)).unwrap();
        answers.load();
        answers.run();
        check_right(&mut answers);
    }
    for place in [INPUTS, SIZES, LIST, 0x3f8] {
        let script = ready()
            .places(&[LIST, place, DIFFERENCE])
            .run(0, [SIZES, 1], [INPUTS, 2]);
        let mut answers = puppet.play(&run_right(script)).unwrap();
        answers.load();
        answers.run();
        check_right(&mut answers);
    }
    assert_eq!(puppet.fallbacks(), [0; 4]);
}

#[test]
fn a_realloc_that_gives_no_memory_traps() {
    let engine = engine();
    let mut neighbour = Neighbour::new(&engine);
    let puppet = Puppet::load(&engine);
    let cases = [
        ("a list outside", vec![MEMORY_BYTES]),
        ("a list across the end", vec![MEMORY_BYTES - 8]),
        ("a list that is not aligned", vec![LIST + 2]),
        ("a result outside", vec![LIST, MEMORY_BYTES]),
        ("a result across the end", vec![LIST, MEMORY_BYTES - 15]),
        ("a second result outside", vec![LIST, SUM, u32::MAX - 16]),
        ("a trap for the list", vec![TRAP]),
        ("a trap for a result", vec![LIST, TRAP]),
        ("a trap for the second result", vec![LIST, SUM, TRAP]),
    ];
    for (index, (what, places)) in cases.iter().enumerate() {
        let script = ready().places(places).run(0, [SIZES, 1], [INPUTS, 2]);
        let error = puppet.play(&script).err();
        assert!(error.is_some(), "{what} must trap");
        neighbour.check();
        let mut answers = puppet.play(&run_right(ready())).unwrap();
        assert_eq!(answers.load(), Answer::Ok, "{what}");
        check_right(&mut answers);
        assert_eq!(puppet.counts().runs, index as u64 + 1, "{what}");
    }
    assert_eq!(
        puppet.counts().segments_loaded,
        1,
        "instances share segments"
    );
}

#[test]
fn a_realloc_that_loops_is_ended() {
    let engine = engine();
    let mut neighbour = Neighbour::new(&engine);
    let puppet = Puppet::load(&engine);
    for places in [vec![SPIN], vec![LIST, SPIN], vec![LIST, SUM, SPIN]] {
        let script = ready().places(&places).run(0, [SIZES, 1], [INPUTS, 2]);
        let timeout = std::time::Duration::from_millis(20);
        let error = puppet.play_within(timeout, &script).unwrap_err();
        assert_eq!(
            error.kind(),
            tensorlet_runtime::PredictErrorKind::DeadlineExceeded
        );
        neighbour.check();
    }
    check_right(&mut {
        let mut answers = puppet.play(&run_right(ready())).unwrap();
        answers.load();
        answers
    });
}

#[test]
fn data_that_is_impossible_fails() {
    let puppet = Puppet::load(&engine());
    let index = |number: i64| number.to_le_bytes();
    let mut script = Script::new()
        .offer_plan(7, &plans::look_up())
        .poke_words(SIZES, &[1])
        .poke_words(INPUTS, &[A, 8]);
    let wrong = [5, -6, i64::MAX, i64::MIN, 1 << 32];
    for number in wrong.into_iter().chain([-1]) {
        script =
            script
                .poke(A, &index(number))
                .places(&[LIST, SUM])
                .run(7, [SIZES, 1], [INPUTS, 1]);
    }
    let mut answers = puppet.play(&script.peek(SUM, 8)).unwrap();
    assert_eq!(answers.load(), Answer::Ok);
    for number in wrong {
        assert_eq!(answers.run().0, Answer::Failed, "{number}");
    }
    assert_eq!(answers.run().0, Answer::Ok);
    assert_eq!(answers.bytes(8), bytes(&[8.0, 9.0]));
    assert_eq!(puppet.fallbacks(), [0, 0, 0, wrong.len() as u64]);
}

#[test]
fn a_million_calls_are_answered() {
    let engine = engine();
    let mut neighbour = Neighbour::new(&engine);
    let puppet = Puppet::load(&engine);
    let rounds = 250_000;
    let script = run_right(ready().find(0)).run(1, [SIZES, 1], [INPUTS, 2]);
    let mut answers = puppet.play(&script.repeat(rounds)).unwrap();
    assert_eq!(answers.load(), Answer::Ok);
    answers.word();
    check_right(&mut answers);
    assert_eq!(answers.run().0, Answer::NotLoaded);
    let counts = puppet.counts();
    assert_eq!(
        (counts.segments_loaded, counts.runs),
        (1, u64::from(rounds))
    );
    assert_eq!(puppet.fallbacks(), [0, u64::from(rounds), 0, 0]);
    neighbour.check();
}
