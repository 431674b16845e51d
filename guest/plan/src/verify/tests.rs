//! Tests of the verifier: each rule is broken once.

use expect_test::expect;
use tensorlet_tensor::{DatumType, MAX_RANK};

use super::*;
use crate::example::{example, id};
use crate::{DimOp, Kernel, Storage, TractStep, ValueId};

fn broken(change: impl FnOnce(&mut Plan<'static>)) -> String {
    let mut plan = example();
    change(&mut plan);
    let error = plan.verify().unwrap_err().to_string();
    error.strip_prefix("invalid plan: ").unwrap().into()
}

fn change_value(name: &str, change: impl FnOnce(&mut Value)) -> String {
    broken(|plan| {
        let id = id(plan, name);
        change(&mut plan.values[id.index()]);
    })
}

fn tract<'a>(plan: &'a mut Plan<'static>) -> &'a mut TractStep {
    match &mut plan.steps[5].kernel {
        Kernel::Tract(tract) => tract,
        other => panic!("expected the tract step, found {other}"),
    }
}

#[test]
fn the_example_is_valid() {
    example().verify().unwrap();
}

#[test]
fn counts_are_limited() {
    let errors = [
        broken(|plan| plan.outputs = vec![ValueId(0); MAX_ITEMS + 1]),
        broken(|plan| plan.symbols = vec![String::new(); MAX_SYMBOLS + 1]),
        broken(|plan| plan.tiles = vec![plan.tiles[0]; MAX_TILES + 1]),
    ];
    expect![[r#"
        expected at most 1048576 outputs, found 1048577
        expected at most 1024 symbols, found 1025
        expected at most 1024 tiles, found 1025"#]]
    .assert_eq(&errors.join("\n"));
}

#[test]
fn inputs_are_those_of_the_signature() {
    let errors = [
        broken(|plan| plan.values.clear()),
        broken(|plan| plan.values.swap(0, 1)),
        change_value("image", |value| value.name = "picture".into()),
        change_value("image", |value| value.datum_type = DatumType::I32),
        change_value("image", |value| value.layout = Layout::Blocked),
        change_value("image", |value| value.storage = Storage::Buffer),
        change_value("conv", |value| value.storage = Storage::Input),
        change_value("image", |value| {
            value.dims.as_mut().unwrap()[1] = DimExpr::number(4);
        }),
        change_value("other", |value| {
            value.dims.as_mut().unwrap()[1] = DimExpr::symbol(SymbolId(0));
        }),
        broken(|plan| {
            let again = plan.description.signature.inputs[0].clone();
            plan.description.signature.inputs.push(again);
        }),
        broken(|plan| plan.symbols.push("K".into())),
        broken(|plan| plan.symbols[1] = "N".into()),
    ];
    expect![[r#"
        expected the signature's 2 inputs first, found 0 values
        expected value 0 to be the input image: f32[N, 3, 8, 8], found other: f32[N, W]
        expected value 0 to be the input image: f32[N, 3, 8, 8], found picture: f32[N, 3, 8, 8]
        expected value 0 to be the input image: f32[N, 3, 8, 8], found image: i32[N, 3, 8, 8]
        expected value 0 to be the input image: f32[N, 3, 8, 8], found image: f32[N, 3, 8, 8] blocked
        value 0 `image`: expected the signature's 2 inputs first, found no input
        value 4 `conv`: expected the signature's 2 inputs first, found a further input
        expected value 0 to be the input image: f32[N, 3, 8, 8], found image: f32[N, 4, 8, 8]
        expected value 1 to be the input other: f32[N, W], found other: f32[N, N]
        two inputs are named `image`
        expected symbol `K` to be a dim of an input, found it in none
        two symbols are named `N`"#]].assert_eq(&errors.join("\n"));
}

#[test]
fn outputs_are_those_of_the_signature() {
    let errors = [
        broken(|plan| plan.outputs.truncate(1)),
        broken(|plan| plan.outputs[0] = ValueId(99)),
        broken(|plan| plan.outputs[0] = id(plan, "ranks")),
        broken(|plan| plan.outputs[0] = id(plan, "product")),
        broken(|plan| plan.outputs[0] = id(plan, "pooled")),
        broken(|plan| plan.description.signature.outputs[1].datum_type = DatumType::U8),
        broken(|plan| plan.description.signature.outputs[1].name = "scores".into()),
    ];
    expect![[r#"
        expected the signature's 2 outputs, found 1
        expected a value for output scores: f32[M, 3], found %99, which does not exist
        expected a value for output scores: f32[M, 3], found i64[N*2, 3]
        expected a value for output scores: f32[M, 3], found f32[N*2, 10]
        expected a value for output scores: f32[M, 3], found f32[N, 20, 2, 2] blocked
        expected a value for output found: u8[K], found f32[?]
        two outputs are named `scores`"#]]
    .assert_eq(&errors.join("\n"));
}

#[test]
fn steps_read_what_was_written() {
    let errors = [
        broken(|plan| plan.steps[0].inputs[0] = ValueId(99)),
        broken(|plan| plan.steps[0].inputs[0] = id(plan, "pooled")),
        broken(|plan| plan.steps[0].inputs[0] = id(plan, "conv")),
        broken(|plan| plan.steps[0].inputs[0] = id(plan, "flat")),
        broken(|plan| plan.steps[0].outputs[0] = ValueId(99)),
        broken(|plan| plan.steps[0].outputs[0] = id(plan, "weights")),
        broken(|plan| plan.steps[0].outputs[0] = id(plan, "image")),
        broken(|plan| plan.steps[0].outputs[0] = id(plan, "flat")),
        broken(|plan| {
            let again = plan.steps[0].outputs[0];
            plan.steps[0].outputs.push(again);
        }),
        broken(|plan| plan.steps[1].outputs.clear()),
        broken(|plan| drop(plan.steps.pop())),
    ];
    expect![[r#"
        step 0 `conv`: reads %99, which does not exist
        step 0 `conv`: reads %5 before it is written
        step 0 `conv`: reads %4 before it is written
        step 0 `conv`: reads %7 before it is written
        step 0 `conv`: writes %99, which does not exist
        step 0 `conv`: writes %2, which is no buffer
        step 0 `conv`: writes %0, which is no buffer
        step 0 `conv`: writes %7, which is no buffer
        step 0 `conv`: writes %4 a second time
        step 2 `unblock`: reads %5 before it is written
        value 12 `found`: no step writes it"#]]
    .assert_eq(&errors.join("\n"));
}

#[test]
fn aliases_name_earlier_values_of_equal_size() {
    let alias = |target: u32| {
        change_value("flat", |value| {
            value.storage = Storage::Alias(ValueId(target));
        })
    };
    let bias_as = |dims: &[i64], datum_type| {
        broken(|plan| {
            let mut value = plan.values[id(plan, "bias").index()].clone();
            value.name = "again".into();
            value.datum_type = datum_type;
            value.dims = Some(dims.iter().copied().map(DimExpr::number).collect());
            value.storage = Storage::Alias(id(plan, "bias"));
            plan.values.push(value);
        })
    };
    let errors = [
        alias(7),
        alias(8),
        alias(99),
        alias(5),
        bias_as(&[4, 7], DatumType::F32),
        bias_as(&[32], DatumType::F64),
        change_value("plain", |value| value.layout = Layout::Blocked),
    ];
    expect![[r#"
        value 7 `flat`: expected an alias of an earlier value, found one of %7
        value 7 `flat`: expected an alias of an earlier value, found one of %8
        value 7 `flat`: expected an alias of an earlier value, found one of %99
        value 7 `flat`: expected an alias between row-major values of known dims, found f32[N*2, 40] of f32[N, 20, 2, 2] blocked
        value 13 `again`: expected an alias of equally many bytes, found f32[4, 7] of `bias`: f32[32]
        value 13 `again`: expected an alias of equally many bytes, found f64[32] of `bias`: f32[32]
        value 7 `flat`: expected an alias between row-major values of known dims, found f32[N*2, 40] of f32[N, 20, 2, 2] blocked"#]].assert_eq(&errors.join("\n"));
}

#[test]
fn an_alias_may_hold_for_some_sizes_only() {
    let quarter = DimExpr(vec![
        DimOp::Symbol(SymbolId(0)),
        DimOp::Number(4),
        DimOp::Divide,
    ]);
    let mut plan = example();
    let flat = id(&plan, "flat");
    plan.values[flat.index()].dims = Some(vec![quarter, DimExpr::number(320)]);
    plan.verify().unwrap();
}

#[test]
fn aliases_of_aliases_are_aliases() {
    let mut plan = example();
    let flat = id(&plan, "flat");
    let mut again = plan.values[flat.index()].clone();
    again.storage = Storage::Alias(flat);
    again.datum_type = DatumType::I32;
    plan.values.push(again);
    plan.verify().unwrap();
}

#[test]
fn constants_are_as_long_as_their_dims_say() {
    let range = |range: std::ops::Range<u64>| {
        change_value("bias", |value| value.storage = Storage::Constant(range))
    };
    let errors = [
        range(3456..3580),
        range(3460..3588),
        #[expect(clippy::reversed_empty_ranges, reason = "that is the mistake")]
        range(3456..3328),
        range(6208..6336),
        change_value("bias", |value| value.datum_type = DatumType::F16),
        change_value("bias", |value| {
            value.dims = Some(vec![DimExpr::symbol(SymbolId(0))]);
        }),
        change_value("bias", |value| value.dims = None),
        change_value("bias", |value| {
            value.dims = Some(vec![DimExpr::number(i64::from(u32::MAX)); 3]);
        }),
    ];
    expect![[r#"
        value 3 `bias`: expected 128 bytes for f32[32], found 124
        value 3 `bias`: expected a multiple of 64 and a range within the 6208 bytes of constants, found 3460..3588
        value 3 `bias`: expected a multiple of 64 and a range within the 6208 bytes of constants, found 3456..3328
        value 3 `bias`: expected a multiple of 64 and a range within the 6208 bytes of constants, found 6208..6336
        value 3 `bias`: expected 64 bytes for f16[32], found 128
        value 3 `bias`: expected a constant of known dims: expected one of 0 symbols, found symbol 0
        value 3 `bias`: expected a row-major buffer, as only the data decides its dims, found another value
        value 3 `bias`: expected a constant of known dims: expected sizes from 0 to 2^32 - 1, found 17179869180 bytes × 4294967295"#]].assert_eq(&errors.join("\n"));
}

#[test]
fn blocked_constants_are_rounded_up() {
    let blocked = |channels| {
        let mut plan = example();
        let weights = id(&plan, "weights");
        let value = &mut plan.values[weights.index()];
        value.layout = Layout::Blocked;
        value.dims = Some([2, channels, 27].map(DimExpr::number).to_vec());
        value.storage = Storage::Constant(0..3456);
        plan.verify()
    };
    assert!(blocked(15).is_ok());
    assert!(blocked(17).is_err());
}

#[test]
fn dims_are_well_formed() {
    let dims = |dims: Vec<DimExpr>| change_value("conv", |value| value.dims = Some(dims));
    let errors = [
        dims(vec![DimExpr(vec![]); 4]),
        dims(vec![DimExpr::symbol(SymbolId(2)); 4]),
        dims(vec![DimExpr::number(-1); 4]),
        dims(vec![DimExpr::number(1); MAX_RANK + 1]),
        dims(vec![DimExpr::number(1); 2]),
        change_value("conv", |value| value.datum_type = DatumType::F16),
        change_value("conv", |value| value.dims = None),
    ];
    expect![[r#"
        value 4 `conv`: axis 0: expected an expression that leaves one number, found another
        value 4 `conv`: axis 0: expected one of 2 symbols, found symbol 2
        value 4 `conv`: axis 0: expected sizes from 0 to 2^32 - 1, found -1
        value 4 `conv`: expected at most 16 dims, found 17
        value 4 `conv`: expected f32 of rank 3 or more in blocks, found f32 of rank 2
        value 4 `conv`: expected f32 of rank 3 or more in blocks, found f16 of rank 4
        value 4 `conv`: expected a row-major buffer, as only the data decides its dims, found another value"#]].assert_eq(&errors.join("\n"));
}

#[test]
fn only_tract_steps_touch_dims_that_data_decides() {
    let errors = [
        change_value("product", |value| value.dims = None),
        change_value("found", |value| value.storage = Storage::Alias(ValueId(0))),
        broken(|plan| {
            let kernel = plan.steps[2].kernel.clone();
            plan.steps[5].kernel = kernel;
        }),
    ];
    expect![[r#"
        step 3 `dense`: touches %9, whose dims only the data decides, but is no tract step
        value 12 `found`: expected a row-major buffer, as only the data decides its dims, found another value
        step 5 `rest`: touches %12, whose dims only the data decides, but is no tract step"#]].assert_eq(&errors.join("\n"));
}

#[test]
fn tract_steps_have_a_subgraph_and_plain_values() {
    let errors = [
        broken(|plan| tract(plan).subgraph.end = 6209),
        #[expect(clippy::reversed_empty_ranges, reason = "that is the mistake")]
        broken(|plan| tract(plan).subgraph = 3..1),
        broken(|plan| {
            let pooled = id(plan, "pooled");
            plan.steps[5].inputs.push(pooled);
        }),
    ];
    expect![[r#"
        step 5 `rest`: its sub-graph lies at 6144..6209, outside the 6208 bytes of constants
        step 5 `rest`: its sub-graph lies at 3..1, outside the 6208 bytes of constants
        step 5 `rest`: touches %5, which is in blocks, but is a tract step"#]]
    .assert_eq(&errors.join("\n"));
}

/// A plan whose only step adds rows to themselves.
fn rows() -> Plan<'static> {
    let mut plan = example();
    plan.description.signature = tensorlet_tensor::Signature::new(
        vec!["x:f32[N,4]".parse().unwrap()],
        vec!["y:f32[N,4]".parse().unwrap()],
    );
    let dims = Some(vec![DimExpr::symbol(SymbolId(0)), DimExpr::number(4)]);
    plan.values.truncate(2);
    for (value, name) in plan.values.iter_mut().zip(["x", "y"]) {
        value.name = name.into();
        value.dims = dims.clone();
    }
    plan.values[1].storage = Storage::Buffer;
    plan.symbols.truncate(1);
    plan.steps.truncate(1);
    plan.steps[0].kernel = Kernel::Copy;
    plan.steps[0].inputs = vec![ValueId(0)];
    plan.steps[0].outputs = vec![ValueId(1)];
    plan.outputs = vec![ValueId(1)];
    plan.row_symbol = Some(SymbolId(0));
    plan
}

#[test]
fn the_row_symbol_is_axis_0_everywhere() {
    rows().verify().unwrap();

    let broken = |change: &dyn Fn(&mut Plan<'static>)| {
        let mut plan = rows();
        change(&mut plan);
        plan.verify().unwrap_err().to_string()
    };
    let n = DimExpr::symbol(SymbolId(0));
    let errors = [
        broken(&|plan| plan.row_symbol = Some(SymbolId(1))),
        broken(&|plan| plan.values[1].dims = Some(vec![DimExpr::number(4)])),
        broken(&|plan| plan.values[1].dims = Some(vec![DimExpr::number(4), n.clone()])),
        broken(&|plan| plan.values[1].dims = Some(vec![n.clone(), n.clone()])),
    ];
    expect![[r#"
        invalid plan: expected one of 1 symbols to count rows, found symbol 1
        invalid plan: expected a value for output y: f32[N, 4], found f32[4]
        invalid plan: expected `N`, which counts rows, at axis 0 of every input and output and nowhere else, found y: f32[4, N]
        invalid plan: expected `N`, which counts rows, at axis 0 of every input and output and nowhere else, found y: f32[N, N]"#]].assert_eq(&errors.join("\n"));
}

#[test]
fn tiles_have_whole_numbers() {
    let errors = [
        broken(|plan| plan.tiles[0].channels = 5),
        broken(|plan| plan.tiles[0].rows = 0),
        broken(|plan| plan.tiles[0].out_stride_bytes = 6),
    ];
    expect![[r#"
        expected rows of whole numbers and 4, 8, 12 or 16 channels in tile 0, found TileSpec { lhs_stride_bytes: 160, out_stride_bytes: 40, rows: 6, channels: 5, residual: false, clamp: true }
        expected rows of whole numbers and 4, 8, 12 or 16 channels in tile 0, found TileSpec { lhs_stride_bytes: 160, out_stride_bytes: 40, rows: 0, channels: 8, residual: false, clamp: true }
        expected rows of whole numbers and 4, 8, 12 or 16 channels in tile 0, found TileSpec { lhs_stride_bytes: 160, out_stride_bytes: 6, rows: 6, channels: 8, residual: false, clamp: true }"#]].assert_eq(&errors.join("\n"));
}
