//! Leaves a whole model to tract.

use std::borrow::Cow;
use std::collections::BTreeMap;

use prost::Message;
use tensorlet_plan::{
    Description, DimExpr, Kernel, Layout, Plan, Step, Storage, SubgraphFormat, SymbolId, TractStep,
    Value, ValueId,
};
use tensorlet_tensor::{Dim, TensorSpec};
use tract_onnx::pb::{GraphProto, ModelProto};

use super::partition::count_operator;

/// Makes a plan of one tract step, the whole model.
pub(crate) fn lower_whole(
    description: Description,
    model: &ModelProto,
    one_row: bool,
    operators: BTreeMap<String, u32>,
) -> Plan<'static> {
    let signature = &description.signature;
    let dims = signature.inputs.iter().flat_map(|spec| &spec.dims);
    let mut symbols: Vec<String> = vec![];
    for dim in dims {
        match dim {
            Dim::Symbol(name) if !symbols.contains(name) => symbols.push(name.clone()),
            _ => {}
        }
    }
    let inputs = signature
        .inputs
        .iter()
        .map(|spec| value(spec, &symbols, Storage::Input));
    let outputs = signature
        .outputs
        .iter()
        .map(|spec| value(spec, &symbols, Storage::Buffer));
    let ids = |begin: usize, len: usize| -> Vec<ValueId> {
        (begin..begin + len)
            .map(|index| ValueId(index as u32))
            .collect()
    };
    let outputs_ids = ids(signature.inputs.len(), signature.outputs.len());
    let values: Vec<Value> = inputs.chain(outputs).collect();
    let constants = model.encode_to_vec();
    let step = Step {
        name: "model".into(),
        kernel: Kernel::Tract(TractStep {
            format: SubgraphFormat::Onnx,
            subgraph: 0..constants.len() as u64,
            one_row,
            operators,
        }),
        inputs: ids(0, signature.inputs.len()),
        outputs: outputs_ids.clone(),
    };
    Plan {
        description,
        symbols,
        row_symbol: None,
        values,
        steps: vec![step],
        outputs: outputs_ids,
        tiles: vec![],
        constants: Cow::Owned(constants),
    }
}

/// Makes a value of an input or output. What is no symbol of the inputs is left to the data.
fn value(spec: &TensorSpec, symbols: &[String], storage: Storage) -> Value {
    let dim = |dim: &Dim| match dim {
        Dim::Fixed(size) => Some(DimExpr::number(i64::from(*size))),
        Dim::Symbol(name) => {
            let id = symbols.iter().position(|symbol| symbol == name)?;
            Some(DimExpr::symbol(SymbolId(id as u32)))
        }
    };
    Value {
        name: spec.name.clone(),
        datum_type: spec.datum_type,
        dims: spec.dims.iter().map(dim).collect(),
        layout: Layout::Plain,
        storage,
    }
}

/// Counts the operators of a model, those of its sub-graphs included.
///
/// Operators outside of ONNX's default domain are counted as `domain.Operator`.
pub(crate) fn count_operators(model: &ModelProto) -> BTreeMap<String, u32> {
    let mut operators = BTreeMap::new();
    let nodes = model
        .graph
        .iter()
        .flat_map(|graph: &GraphProto| &graph.node);
    nodes.for_each(|node| count_operator(node, &mut operators));
    operators
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use tensorlet_tensor::Signature;

    use super::*;

    #[test]
    fn the_whole_model_is_one_step() {
        let specs = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let description = Description {
            name: "model".into(),
            version: "1".into(),
            signature: Signature::new(specs(&["x:f32[N,W]"]), specs(&["y:f32[N,4]", "z:f32[K]"])),
            metadata: BTreeMap::new(),
        };
        let plan = lower_whole(
            description,
            &ModelProto::default(),
            true,
            BTreeMap::from([("Det".into(), 1)]),
        );
        plan.verify().unwrap();
        expect![[r#"
            plan model 1
              symbol N
              symbol W
              input  %0 x: f32[N, W]
              output %1 y: f32[N, 4]
              output %2 z: f32[?]
              0 model
                  %1 y: f32[N, 4] until end, %2 z: f32[?] until end = tract for each row, Onnx of 0 bytes: Det (%0 x)
        "#]].assert_eq(&plan.to_string());
    }
}
