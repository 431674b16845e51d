//! A model that is a few instructions, good or hostile: `toy.wat`.

use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// What a toy does before it answers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Behaviour {
    #[default]
    Good,
    /// Computes so many turns of a loop, each of some nanoseconds.
    Slow(u64),
    /// Never answers.
    Loop,
    /// Takes memory until there is no more, and then traps.
    Grow,
    Trap,
    /// Traps if it is given more than one row.
    TrapIfJoined,
    /// Says that there are more rows than there are.
    WrongShape,
    /// Never says what it is.
    LoopInDescribe,
}

/// Returns a component that answers `value` for each row. `wit` is the folder of that name.
pub(crate) fn toy(value: u32, behaviour: Behaviour, wit: &Path) -> Vec<u8> {
    let spin = |turns: u64| {
        format!(
            "(loop $spin
              (local.set $i (i64.add (local.get $i) (i64.const 1)))
              (br_if $spin (i64.lt_u (local.get $i) (i64.const {turns}))))"
        )
    };
    let does = match behaviour {
        Behaviour::Good | Behaviour::LoopInDescribe => String::new(),
        Behaviour::Slow(turns) => spin(turns),
        Behaviour::Loop => "(loop $spin (br $spin))".into(),
        Behaviour::Grow => "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable".into(),
        Behaviour::Trap => "unreachable".into(),
        Behaviour::TrapIfJoined => "(if (i32.gt_u (local.get $rows) (i32.const 1)) (then unreachable))".into(),
        Behaviour::WrongShape => "(i32.store (i32.const 0x840) (i32.add (local.get $rows) (i32.const 1)))".into(),
    };
    let describes = match behaviour {
        Behaviour::LoopInDescribe => "(loop $spin (br $spin))",
        _ => "",
    };
    let text = include_str!("toy.wat")
        .split_once("(module")
        .map(|(_, module)| format!("(module{module}"))
        .unwrap()
        .replace("VALUE", &value.to_string())
        .replace("BEHAVIOUR", &does)
        .replace("DESCRIBE", describes)
        .replace("F32", "11");
    component(&text, wit)
}

fn component(text: &str, wit: &Path) -> Vec<u8> {
    let mut module = wat::parse_str(text).unwrap();
    let mut resolve = Resolve::default();
    resolve.push_path(wit).unwrap();
    let world = "package test:toy; world toy { include tensorlet:model/model@0.1.0; }";
    let package = resolve.push_str("toy.wit", world).unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(&module).unwrap();
    encoder.encode().unwrap()
}
