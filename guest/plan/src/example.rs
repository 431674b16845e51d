//! A small plan that has one of everything, for tests.

use std::borrow::Cow;
use std::collections::BTreeMap;

use tensorlet_tensor::{DatumType, Signature};

use crate::kernel::{
    Activation, Conv, ConvWeights, Epilogue, MatMul, MatMulRhs, Pool, PoolKind, TopK,
};
use crate::{
    Description, DimExpr, DimOp, Kernel, Layout, Plan, Step, Storage, SubgraphFormat, SymbolId,
    TileSpec, TractStep, Value, ValueId,
};

const N: DimOp = DimOp::Symbol(SymbolId(0));

/// A convolutional network for pictures of 8 × 8, with an output whose size the data decides.
pub(crate) fn example() -> Plan<'static> {
    let number = DimExpr::number;
    let n = || DimExpr(vec![N]);
    let twice = || DimExpr(vec![N, DimOp::Number(2), DimOp::Multiply]);
    let values = vec![
        value(
            "image",
            &[n(), number(3), number(8), number(8)],
            Storage::Input,
        ),
        value(
            "other",
            &[n(), DimExpr::symbol(SymbolId(1))],
            Storage::Input,
        ),
        value(
            "weights",
            &[number(2), number(3), number(3), number(3), number(16)],
            Storage::Constant(0..3456),
        ),
        value("bias", &[number(32)], Storage::Constant(3456..3584)),
        blocked("conv", &[n(), number(20), number(4), number(4)]),
        blocked("pooled", &[n(), number(20), number(2), number(2)]),
        value(
            "plain",
            &[n(), number(20), number(2), number(2)],
            Storage::Buffer,
        ),
        value("flat", &[twice(), number(40)], Storage::Alias(ValueId(6))),
        value(
            "matrix",
            &[number(1), number(40), number(16)],
            Storage::Constant(3584..6144),
        ),
        value("product", &[twice(), number(10)], Storage::Buffer),
        value("scores", &[twice(), number(3)], Storage::Buffer),
        Value {
            datum_type: DatumType::I64,
            ..value("ranks", &[twice(), number(3)], Storage::Buffer)
        },
        Value {
            dims: None,
            ..value("found", &[], Storage::Buffer)
        },
    ];
    let specs = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    Plan {
        description: Description {
            name: "example".into(),
            version: "1".into(),
            signature: Signature::new(
                specs(&["image:f32[N,3,8,8]", "other:f32[N,W]"]),
                specs(&["scores:f32[M,3]", "found:f32[K]"]),
            ),
            metadata: BTreeMap::from([("licence".into(), "MIT".into())]),
        },
        symbols: vec!["N".into(), "W".into()],
        row_symbol: None,
        values,
        steps: steps(),
        outputs: vec![ValueId(10), ValueId(12)],
        tiles: vec![TileSpec {
            lhs_stride_bytes: 160,
            out_stride_bytes: 40,
            rows: 6,
            channels: 8,
            residual: false,
            clamp: true,
        }],
        constants: Cow::Owned((0..6208u32).map(|byte| (byte % 13) as u8).collect()),
    }
}

/// Returns the value of this name.
pub(crate) fn id(plan: &Plan<'_>, name: &str) -> ValueId {
    let index = plan.values.iter().position(|value| value.name == name);
    ValueId(index.unwrap() as u32)
}

fn value(name: &str, dims: &[DimExpr], storage: Storage) -> Value {
    Value {
        name: name.into(),
        datum_type: DatumType::F32,
        dims: Some(dims.to_vec()),
        layout: Layout::Plain,
        storage,
    }
}

fn blocked(name: &str, dims: &[DimExpr]) -> Value {
    Value {
        layout: Layout::Blocked,
        ..value(name, dims, Storage::Buffer)
    }
}

fn steps() -> Vec<Step> {
    let step = |name: &str, kernel, inputs: &[u32], outputs: &[u32]| Step {
        name: name.into(),
        kernel,
        inputs: inputs.iter().copied().map(ValueId).collect(),
        outputs: outputs.iter().copied().map(ValueId).collect(),
    };
    let conv = Conv {
        weights: ConvWeights::PlainInput,
        group: 1,
        kernel: vec![3, 3],
        strides: vec![2, 2],
        dilations: vec![1, 1],
        pads_before: vec![0, 0],
        pads_after: vec![1, 1],
        epilogue: Epilogue {
            bias: true,
            residual: false,
            activation: Activation::Clamp {
                low: 0.0,
                high: 6.0,
            },
        },
    };
    let pool = Pool {
        kind: PoolKind::Average {
            count_padding: false,
        },
        kernel: vec![2, 2],
        strides: vec![2, 2],
        dilations: vec![1, 1],
        pads_before: vec![0, 0],
        pads_after: vec![0, 0],
    };
    let matmul = MatMul {
        rhs: MatMulRhs::Packed,
        scale: 1.0,
        epilogue: Epilogue::default(),
    };
    let tract = TractStep {
        format: SubgraphFormat::Onnx,
        subgraph: 6144..6208,
        one_row: false,
        operators: BTreeMap::from([("Add".into(), 1), ("NonZero".into(), 2)]),
    };
    vec![
        step("conv", Kernel::Conv(conv), &[0, 2, 3], &[4]),
        step("pool", Kernel::Pool(pool), &[4], &[5]),
        step("unblock", Kernel::FromBlocked, &[5], &[6]),
        step("dense", Kernel::MatMul(matmul), &[7, 8], &[9]),
        step(
            "best",
            Kernel::TopK(TopK {
                axis: 1,
                largest: true,
            }),
            &[9],
            &[10, 11],
        ),
        step("rest", Kernel::Tract(tract), &[9, 1], &[12]),
    ]
}
