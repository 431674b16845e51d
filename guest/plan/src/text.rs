//! The text form of a plan.

use std::fmt;

use crate::{Plan, Step, ValueId};

impl fmt::Display for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signature = &self.description.signature;
        writeln!(
            f,
            "plan {} {}",
            self.description.name, self.description.version
        )?;
        for input in &signature.inputs {
            writeln!(f, "  input  {input}")?;
        }
        for output in &signature.outputs {
            writeln!(f, "  output {output}")?;
        }
        for step in &self.steps {
            let Step::Tract(tract) = step;
            let rows = if tract.one_row { " for each row" } else { "" };
            // A header that was not verified may say anything.
            let bytes = tract.subgraph.end.saturating_sub(tract.subgraph.start);
            let operators: Vec<String> = tract
                .operators
                .iter()
                .map(|(name, n)| format!("{name}×{n}"))
                .collect();
            let (inputs, outputs) = (self.list(step.inputs()), self.list(step.outputs()));
            writeln!(
                f,
                "  {outputs} = tract{rows}({inputs})  {:?}, {bytes} bytes",
                tract.format
            )?;
            writeln!(f, "    {}", operators.join(" "))?;
        }
        Ok(())
    }
}

impl Plan<'_> {
    fn list(&self, ids: &[ValueId]) -> String {
        let texts: Vec<String> = ids
            .iter()
            .map(|id| match self.values.get(id.index()) {
                Some(value) => format!("%{} {}", id.0, value.name),
                None => format!("%{}", id.0),
            })
            .collect();
        texts.join(", ")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::borrow::Cow;
    use std::collections::BTreeMap;

    use expect_test::expect;
    use tensorlet_tensor::{Signature, TensorSpec};

    use crate::{Description, Plan, Step, SubgraphFormat, TractStep, ValueId};

    pub(crate) fn example() -> Plan<'static> {
        let x: TensorSpec = "x:f32[N,4]".parse().unwrap();
        let y: TensorSpec = "y:f32[N,2]".parse().unwrap();
        Plan {
            description: Description {
                name: "example".into(),
                version: "1".into(),
                signature: Signature::new(vec![x.clone()], vec![y.clone()]),
                metadata: BTreeMap::from([("licence".into(), "MIT".into())]),
            },
            values: vec![x, y],
            steps: vec![Step::Tract(TractStep {
                format: SubgraphFormat::Onnx,
                subgraph: 0..3,
                one_row: true,
                inputs: vec![ValueId(0)],
                outputs: vec![ValueId(1)],
                operators: BTreeMap::from([("Add".into(), 1), ("MatMul".into(), 2)]),
            })],
            constants: Cow::Borrowed(&[1, 2, 3]),
        }
    }

    #[test]
    fn prints_signature_and_steps() {
        expect![[r#"
            plan example 1
              input  x: f32[N, 4]
              output y: f32[N, 2]
              %1 y = tract for each row(%0 x)  Onnx, 3 bytes
                Add×1 MatMul×2
        "#]]
        .assert_eq(&example().to_string());
    }
}
