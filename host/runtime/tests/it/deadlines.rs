//! Native work without end, and deadlines that pass in the middle of it.

use std::time::Duration;

use tensorlet_plan::Plan;
use tensorlet_runtime::{LoadOptions, PredictErrorKind};

use crate::neighbour::{Neighbour, engine};
use crate::plans;
use crate::puppet::{Answer, MEMORY_BYTES, Puppet, STAGE, Script};
use crate::steps;

/// Where the input of a segment lies, of at most half a megabyte, and where its output goes, which may be larger.
const INPUT: u32 = STAGE + 0x8_0000;
const LISTS: u32 = STAGE + 0x7_0000;
const OUTPUT: u32 = MEMORY_BYTES;

/// Runs a segment of one input and one output that would take minutes at least.
#[track_caller]
fn ends_soon(what: &str, plan: &Plan<'_>, input_bytes: u32) {
    plan.verify_segment().unwrap();
    let engine = engine();
    let mut neighbour = Neighbour::new(&engine);
    let puppet = Puppet::load_with(&engine, LoadOptions::default());
    let script = Script::new()
        .grow(0x1000)
        .offer_plan(0, plan)
        .poke_words(LISTS, &[INPUT, input_bytes])
        .places(&[LISTS + 64, OUTPUT])
        .run(0, [LISTS, 0], [LISTS, 1]);
    let error = puppet.play_within(Duration::from_millis(200), &script);
    let error = error.expect_err(what);
    assert_eq!(
        error.kind(),
        PredictErrorKind::DeadlineExceeded,
        "{what}: {error}"
    );
    let mut answers = puppet.play(&Script::new().find(0)).unwrap();
    assert_eq!(answers.word(), crate::puppet::LOADED, "{what}");
    assert_eq!(puppet.counts().runs, 0, "{what}");
    assert_eq!(puppet.fallbacks(), [0; 4], "{what}: the call has ended");
    neighbour.check();
}

#[test]
fn many_steps_end_at_the_deadline() {
    ends_soon("many products", &plans::powers(256, 20_000), 4 * 256 * 256);
}

#[test]
fn a_long_product_ends_at_the_deadline() {
    ends_soon("product", &steps::product(), 4);
}

#[test]
fn a_long_convolution_ends_at_the_deadline() {
    ends_soon("convolution", &steps::convolution(), 4);
}

#[test]
fn a_long_pooling_ends_at_the_deadline() {
    ends_soon("pooling", &steps::pool(), 4 * 256);
}

#[test]
fn a_long_normalisation_ends_at_the_deadline() {
    ends_soon("normalisation", &steps::lrn(), 4 << 17);
}

#[test]
fn a_long_attention_ends_at_the_deadline() {
    ends_soon("attention", &steps::attention(), 4 << 18);
}

#[test]
fn a_long_recurrence_ends_at_the_deadline() {
    ends_soon("recurrence", &steps::recurrence(), 4 << 18);
}

#[test]
fn a_deadline_breaks_the_instance_and_not_the_model() {
    let puppet = Puppet::load(&engine());
    let plan = plans::powers(256, 20_000);
    let run = Script::new()
        .grow(0x100)
        .offer_plan(0, &plan)
        .poke_words(LISTS, &[INPUT, 4 * 256 * 256])
        .places(&[LISTS + 64, OUTPUT])
        .run(0, [LISTS, 0], [LISTS, 1]);
    let mut instance = puppet.0.instantiate().unwrap();
    let error = run
        .predict_with(&mut instance, Duration::from_millis(20))
        .unwrap_err();
    assert_eq!(error.kind(), PredictErrorKind::DeadlineExceeded);
    assert!(instance.is_broken());
    let again = run
        .predict_with(&mut instance, Duration::from_secs(1))
        .unwrap_err();
    assert_eq!(again.kind(), PredictErrorKind::Trapped);
    let mut answers = puppet
        .play(&Script::new().find(0).offer_plan(1, &plans::negation()))
        .unwrap();
    assert_eq!(answers.word(), crate::puppet::LOADED);
    assert_eq!(answers.load(), Answer::Ok);
}

#[test]
fn a_guest_that_loops_between_runs_is_ended() {
    let puppet = Puppet::load(&engine());
    let script = Script::new().offer_plan(0, &plans::negation()).spin();
    let error = puppet
        .play_within(Duration::from_millis(20), &script)
        .unwrap_err();
    assert_eq!(error.kind(), PredictErrorKind::DeadlineExceeded);
    puppet.trap(&Script::new().find(0).trap());
}
