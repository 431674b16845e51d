//! Who goes first.

use super::*;

fn levels(config: &mut BatchConfig) {
    max_batch_size(config, 1);
    config.priority_levels = 3;
    config.default_priority_level = 2;
    config.priority_step = Duration::from_millis(100);
}

fn level(name: &'static str, priority: u32) -> Call<&'static str> {
    Call {
        priority,
        ..call(name)
    }
}

#[test]
fn calls_leave_in_order_of_arrival() {
    let mut script = Script::new(|config| max_batch_size(config, 2));
    for name in ["a", "b", "c"] {
        script.push(0, call(name));
    }
    assert_eq!(script.poll(0, 1), "[a b]");
    assert_eq!(script.poll(0, 1), "[c]");
}

#[test]
fn nothing_overtakes_a_call_that_does_not_fit() {
    let mut script = Script::new(|_| ());
    script.push(0, rows("a", 3));
    script.push(0, rows("b", 2));
    script.push(0, rows("c", 1));
    assert_eq!(script.poll(0, 1), "[a]");
    assert_eq!(script.poll(0, 1), "[b c]");
}

#[test]
fn better_levels_go_first() {
    let mut script = Script::new(levels);
    script.push(0, level("low", 3));
    script.push(1, level("default", 0));
    script.push(2, level("high", 1));
    assert_eq!(script.poll(2, 3), "[high] [default] [low]");
}

#[test]
fn no_level_starves() {
    let mut script = Script::new(levels);
    script.push(0, level("low", 3));
    script.push(200, level("late", 1));
    script.push(199, level("early", 1));
    assert_eq!(
        script.poll(200, 3),
        "[early] [low] [late]",
        "two levels are worth 200 ms and no more"
    );
}

#[test]
fn a_better_level_goes_into_the_batch_first() {
    let mut script = Script::new(|config| {
        levels(config);
        max_batch_size(config, 2);
    });
    script.push(0, level("low", 3));
    script.push(0, level("default", 2));
    script.push(0, level("high", 1));
    assert_eq!(script.poll(0, 1), "[high default]");
}

#[test]
fn groups_take_turns_by_their_first_calls() {
    let mut script = Script::new(|config| max_batch_size(config, 2));
    for (at, name, dim) in [
        (0, "a", 1),
        (1, "b", 2),
        (2, "c", 1),
        (3, "d", 1),
        (4, "e", 2),
    ] {
        let free_dims = FreeDims::new(vec![dim]);
        script.push(
            at,
            Call {
                free_dims,
                ..call(name)
            },
        );
    }
    assert_eq!(script.poll(5, 1), "[a c]");
    assert_eq!(script.poll(5, 1), "[b e]");
    assert_eq!(script.poll(5, 1), "[d]");
}

#[test]
fn a_group_that_is_held_does_not_hold_others() {
    let mut script = Script::new(|config| config.max_queue_delay = at_most(100));
    script.push(0, call("a"));
    let free_dims = FreeDims::new(vec![1]);
    script.push(
        1,
        Call {
            free_dims,
            ..rows("b", 4)
        },
    );
    assert_eq!(script.poll(1, 2), "[b]");
    assert_eq!(script.poll(100, 2), "[a]");
}
