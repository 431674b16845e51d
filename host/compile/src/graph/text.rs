//! A graph as text, for tests and for people who look for a mistake.
//!
//! One line a node: `y: f32[N, 8, 4, 4] = conv(3x3 p1 relu)(x, w: f32[8, 3, 3, 3], b: f32[8])`. Constants of few elements
//! stand there as these.

mod kernel;

use std::fmt;

use tensorlet_plan::Layout;
use tensorlet_tensor::DatumType;

use super::{Graph, Op, Value, ValueId};

/// The most elements of a constant that are written out.
const MAX_ELEMENTS: usize = 4;

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let typed = |ids: &[ValueId]| join(ids.iter().map(|&id| self.typed_text(id)));
        writeln!(f, "inputs {}", typed(&self.inputs))?;
        for node in &self.nodes {
            let op = match &node.op {
                Op::Kernel(kernel) => kernel::text(kernel),
                Op::Reshape => "reshape".into(),
                Op::Onnx(node) => format!("onnx {}", node.op_type),
                Op::Subgraph(subgraph) => {
                    let operators = subgraph.operators.iter();
                    let operators = operators.map(|(name, count)| format!("{name}×{count}"));
                    format!("tract {}", operators.collect::<Vec<_>>().join(" "))
                }
            };
            let inputs = join(node.inputs.iter().map(|&id| self.operand_text(id)));
            writeln!(f, "{} = {op}({inputs})", typed(&node.outputs))?;
        }
        let outputs = join(self.outputs.iter().map(|&id| self.operand_text(id)));
        write!(f, "outputs {outputs}")
    }
}

impl Graph {
    /// Returns a value's name and type.
    pub(crate) fn typed_text(&self, id: ValueId) -> String {
        let value = self.value(id);
        format!("{}: {}", value.name, self.type_text(value))
    }

    fn operand_text(&self, id: ValueId) -> String {
        let value = self.value(id);
        if value.constant.is_none() {
            return value.name.clone();
        }
        elements_text(value).unwrap_or_else(|| self.typed_text(id))
    }

    fn type_text(&self, value: &Value) -> String {
        let dims = match &value.dims {
            Some(dims) => join(dims.iter().map(|dim| dim.text(&self.symbols))),
            None => "?".into(),
        };
        let layout = match value.layout {
            Layout::Plain => "",
            Layout::Blocked => " blocked",
        };
        format!("{}[{dims}]{layout}", value.datum_type)
    }
}

/// Writes out the elements of a small constant: one of any dims, or a few of rank 1.
fn elements_text(value: &Value) -> Option<String> {
    let bytes = value.constant.as_ref()?;
    let rank = value.dims.as_ref()?.len();
    let len = bytes.len() / value.datum_type.width_bytes();
    if len == 0 || len > MAX_ELEMENTS || (rank > 1 && len > 1) {
        return None;
    }
    let element = |bytes: &[u8]| {
        Some(match value.datum_type {
            DatumType::F32 => format!("{:?}", f32::from_le_bytes(bytes.try_into().ok()?)),
            DatumType::I64 => i64::from_le_bytes(bytes.try_into().ok()?).to_string(),
            DatumType::I32 => i32::from_le_bytes(bytes.try_into().ok()?).to_string(),
            DatumType::U8 => bytes[0].to_string(),
            DatumType::Bool => (bytes[0] != 0).to_string(),
            _ => return None,
        })
    };
    let elements = bytes.chunks_exact(value.datum_type.width_bytes());
    let elements: Vec<String> = elements.map(element).collect::<Option<_>>()?;
    Some(match len {
        1 => elements.concat(),
        _ => format!("[{}]", elements.join(", ")),
    })
}

fn join(texts: impl Iterator<Item = String>) -> String {
    texts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use tensorlet_plan::Kernel;
    use tensorlet_plan::kernel::{BinaryOp, Reduce, ReduceOp};

    use super::super::testing::Builder;

    #[test]
    fn a_graph_is_one_line_a_node() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 4]");
        let w = graph.constant("w", &[2, 4]);
        let half = graph.scalar(0.5);
        let y = graph.binary("y", BinaryOp::Mul, x, half, "f32[N, 4]");
        let z = graph.binary("z", BinaryOp::Add, y, w, "f32[N, 4]");
        let reduce = Kernel::Reduce(Reduce {
            op: ReduceOp::Mean,
            axes: vec![1],
        });
        let m = graph.kernel("m", reduce, &[z], "f32[N, 1]");
        let r = graph.reshape("r", m, "f32[1, N*1]");
        expect![[r#"
            inputs x: f32[N, 4]
            y: f32[N, 4] = mul(x, 0.5)
            z: f32[N, 4] = add(y, w: f32[2, 4])
            m: f32[N, 1] = reduce(mean 1)(z)
            r: f32[1, N*1] = reshape(m)
            outputs r"#]]
        .assert_eq(&graph.finish(&[r]).to_string());
    }
}
