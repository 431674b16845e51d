//! What is evaluated here is what tract computes.

use tract_onnx::pb::{AttributeProto, NodeProto, TensorProto};
use tract_onnx::prelude::SymbolScope;

use super::*;
use crate::rewrite::fold_constants::compute;
use crate::rewrite::guard::guarded;
use crate::rewrite::tensors::{from_tract, to_value};
use crate::rewrite::text::testing::{graph, model, node, scalar, vector, with_int, with_ints};

const OPSET: i64 = 13;

/// Evaluates a node on constants, by us and by tract.
fn both(
    node: &NodeProto,
    inputs: &[TensorProto],
) -> (Vec<Option<Value>>, Result<Vec<Value>, String>) {
    let known = Inputs {
        values: inputs.iter().map(to_value).collect(),
        shapes: inputs
            .iter()
            .map(|tensor| Some(tensor.dims.iter().map(|&dim| Some(dim.into())).collect()))
            .collect(),
    };
    let ours = evaluate(node, OPSET, &known);
    let model = model(OPSET, graph(&[], vec![], vec![], &[]));
    let inputs: Vec<&TensorProto> = inputs.iter().collect();
    let theirs = guarded(|| compute(&model, node, &inputs));
    let theirs = theirs.map(|tensors| {
        tensors
            .iter()
            .map(|tensor| to_value(&from_tract("", tensor, None).unwrap()).unwrap())
            .collect()
    });
    (ours, theirs)
}

/// Names the inputs of a node `a`, `b`, … and the outputs `y`, `y1`, ….
fn case(op_type: &str, inputs: Vec<TensorProto>, outputs: usize) -> (NodeProto, Vec<TensorProto>) {
    let names = ["a", "b", "c", "d", "e"];
    let inputs: Vec<TensorProto> = inputs
        .into_iter()
        .zip(names)
        .map(|(tensor, name)| TensorProto {
            name: name.into(),
            ..tensor
        })
        .collect();
    let outputs = &["y", "y1", "y2"][..outputs];
    (node(op_type, &names[..inputs.len()], outputs), inputs)
}

fn square() -> TensorProto {
    TensorProto {
        dims: vec![2, 3],
        ..vector("", &[5, -1, 4, 0, 7, 2])
    }
}

fn flags(elements: &[bool]) -> TensorProto {
    TensorProto {
        data_type: DataType::Bool as i32,
        raw_data: elements.iter().map(|&flag| flag.into()).collect(),
        ..vector("", &vec![0; elements.len()])
    }
}

fn cases() -> Vec<(NodeProto, Vec<TensorProto>)> {
    let v = |elements: &[i64]| vector("", elements);
    let s = |element: i64| scalar("", element);
    let (left, right) = (v(&[7, -7, 3, 0]), v(&[2, 3, 5, 9]));
    let mut cases = vec![];
    for op_type in [
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Mod",
        "Min",
        "Max",
        "Equal",
        "Greater",
        "Less",
        "GreaterOrEqual",
        "LessOrEqual",
    ] {
        cases.push(case(op_type, vec![left.clone(), right.clone()], 1));
        cases.push(case(op_type, vec![square(), s(2)], 1));
    }
    for op_type in ["And", "Or", "Xor"] {
        cases.push(case(
            op_type,
            vec![
                flags(&[true, true, false, false]),
                flags(&[true, false, true, false]),
            ],
            1,
        ));
    }
    for op_type in ["Neg", "Abs", "Identity", "Shape", "Size", "Transpose"] {
        cases.push(case(op_type, vec![square()], 1));
    }
    cases.push(case("Not", vec![flags(&[true, false])], 1));
    for op_type in ["ReduceProd", "ReduceMin", "ReduceMax"] {
        let (node, inputs) = case(op_type, vec![square()], 1);
        cases.push((
            with_ints(with_int(node.clone(), "keepdims", 0), "axes", &[-1]),
            inputs.clone(),
        ));
        cases.push((with_ints(node.clone(), "axes", &[0]), inputs.clone()));
        cases.push((node, inputs));
    }
    cases.push(case("ReduceSum", vec![square(), v(&[1])], 1));
    let with_axis = |(node, inputs): (NodeProto, _), axis| (with_int(node, "axis", axis), inputs);
    cases.push(with_axis(case("Gather", vec![square(), v(&[1, -1])], 1), 1));
    cases.push(with_axis(case("Gather", vec![square(), s(0)], 1), 0));
    cases.push(with_axis(case("Concat", vec![square(), square()], 1), 1));
    cases.push(with_axis(
        case("Concat", vec![v(&[1]), v(&[2, 3]), v(&[])], 1),
        0,
    ));
    cases.push(with_axis(
        case("Split", vec![v(&[1, 2, 3]), v(&[1, 2])], 2),
        0,
    ));
    cases.push(with_axis(case("Split", vec![v(&[1, 2, 3, 4])], 2), 0));
    cases.push(with_axis(case("Flatten", vec![square()], 1), 0));
    cases.push(case("Squeeze", vec![v(&[4])], 1));
    cases.push(case("Squeeze", vec![v(&[4]), v(&[0])], 1));
    cases.push(case("Unsqueeze", vec![square(), v(&[0, -1])], 1));
    cases.push(case("Reshape", vec![square(), v(&[0, -1, 1])], 1));
    cases.push(case("Expand", vec![v(&[1, 2]), v(&[3, 1])], 1));
    cases.push(case("Tile", vec![v(&[1, 2]), v(&[2])], 1));
    cases.push(case("Range", vec![s(1), s(8), s(3)], 1));
    cases.push(case(
        "Where",
        vec![flags(&[true, false]), v(&[1, 2]), s(9)],
        1,
    ));
    let fill = AttributeProto {
        name: "value".into(),
        r#type: 4,
        t: Some(v(&[6])),
        ..AttributeProto::default()
    };
    let (mut node, inputs) = case("ConstantOfShape", vec![v(&[2, 2])], 1);
    node.attribute.push(fill);
    cases.push((node, inputs));
    for (start, end, step) in [
        (0, 2, 1),
        (1, i64::MAX, 1),
        (-2, -1, 1),
        (-1, i64::MIN, -1),
        (3, 0, -2),
        (0, 4, 3),
        (2, 2, 1),
    ] {
        cases.push(case(
            "Slice",
            vec![left.clone(), v(&[start]), v(&[end]), v(&[0]), v(&[step])],
            1,
        ));
    }
    for to in [DataType::Int32, DataType::Float, DataType::Bool] {
        let (node, inputs) = case("Cast", vec![left.clone()], 1);
        cases.push((with_int(node, "to", to as i64), inputs));
    }
    cases
}

#[test]
fn numbers_are_what_tract_computes() {
    for (node, inputs) in cases() {
        let describe = format!(
            "{} {:?}",
            node.op_type,
            inputs
                .iter()
                .filter_map(to_value)
                .map(|value| value.integers())
                .collect::<Vec<_>>()
        );
        let (ours, theirs) = both(&node, &inputs);
        let theirs = theirs.unwrap_or_else(|error| panic!("{describe}: {error}"));
        let ours: Vec<Value> = ours
            .into_iter()
            .collect::<Option<_>>()
            .unwrap_or_else(|| panic!("{describe}: not evaluated"));
        assert_eq!(ours, theirs, "{describe}");
    }
}

/// tract counts six.
#[test]
fn a_range_may_go_down() {
    let (node, inputs) = case(
        "Range",
        [4, 0, -1].map(|number| scalar("", number)).into(),
        1,
    );
    let (ours, _) = both(&node, &inputs);
    assert_eq!(
        ours[0].as_ref().and_then(Value::integers),
        Some(vec![4, 3, 2, 1])
    );
}

#[test]
fn what_is_unknown_stays_unknown() {
    let scope = SymbolScope::default().with_assertion("N>=1").unwrap();
    let n = Number::dim(scope.sym("N").into());
    let shape = Value::new(
        DataType::Int64,
        vec![3],
        vec![Some(n.clone()), None, Some(Number::integer(3))],
    )
    .unwrap();
    let one = to_value(&scalar("", 1)).unwrap();
    let inputs = Inputs {
        values: vec![Some(shape), Some(one)],
        shapes: vec![None, None],
    };
    let evaluated = |op_type: &str| {
        evaluate(&node(op_type, &["a", "b"], &["y"]), OPSET, &inputs)[0]
            .clone()
            .unwrap()
            .elements()
            .to_vec()
    };

    let plus = |number: &Number| number.add(&Number::integer(1));
    assert_eq!(evaluated("Add"), [plus(&n), None, Some(Number::integer(4))]);
    assert_eq!(
        evaluated("Equal"),
        [None, None, Some(Number::bool(false))],
        "N may be 1"
    );
    assert_eq!(
        evaluated("GreaterOrEqual"),
        [Some(Number::bool(true)), None, Some(Number::bool(true))]
    );
}

#[test]
fn bounds_are_cut_to_the_axis() {
    let scope = SymbolScope::default().with_assertion("N>=1").unwrap();
    let number = |text: &str| Number::dim(scope.parse_tdim(text).unwrap().simplify());
    let cases = [
        ("0", "1000000000", "N", "0", "N"),
        ("1", "-1", "N", "1", "N-1"),
        ("-1", "9223372036854775807", "N", "N-1", "N"),
        ("0", "4", "N", "0", "min(N,4)"),
        ("0", "1", "N", "0", "1"),
        ("0", "N", "16", "0", "N"),
        ("0", "99", "16", "0", "16"),
        ("-99", "-1", "16", "0", "15"),
        ("2", "1", "16", "2", "2"),
    ];
    for (start, end, size, expected_start, expected_end) in cases {
        let range = resolve_range(&number(start), &number(end), &number(size));
        let expected = Range {
            start: number(expected_start),
            end: number(expected_end),
        };
        assert_eq!(range, Some(expected), "{start}..{end} of {size}");
    }
}
