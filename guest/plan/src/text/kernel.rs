//! The text form of kernels.
//!
//! The attributes that matter most are spelled out: `conv 3x3 s2 g8 depthwise + bias, relu6`. All others are printed as
//! their fields, without those that are false: `top-k axis 1 largest`.

use std::fmt::{self, Debug};

use crate::Kernel;
use crate::kernel::{
    Activation, Conv, ConvTranspose, Epilogue, MatMul, Pool, PoolKind, Recurrent, RecurrentCell,
};
use crate::plan::TractStep;

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conv(conv) => write!(f, "{conv}"),
            Self::ConvTranspose(conv) => write!(f, "{conv}"),
            Self::MatMul(matmul) => write!(f, "{matmul}"),
            Self::Pool(pool) => write!(f, "{pool}"),
            Self::Recurrent(recurrent) => write!(f, "{recurrent}"),
            Self::Tract(tract) => write!(f, "{tract}"),
            other => f.write_str(&fields(other)),
        }
    }
}

impl fmt::Display for Conv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "conv {}", times(&self.kernel))?;
        write_unless(f, "s", &self.strides, 1)?;
        write_unless(f, "d", &self.dilations, 1)?;
        write_pads(f, &self.pads_before, &self.pads_after)?;
        if self.group != 1 {
            write!(f, " g{}", self.group)?;
        }
        write!(f, " {}{}", fields(&self.weights), self.epilogue)
    }
}

impl fmt::Display for ConvTranspose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "conv-transpose {}", times(&self.kernel))?;
        write_unless(f, "s", &self.strides, 1)?;
        write_unless(f, "d", &self.dilations, 1)?;
        write_unless(f, "p", &self.pads_before, 0)?;
        if self.group != 1 {
            write!(f, " g{}", self.group)?;
        }
        write!(f, "{}", self.epilogue)
    }
}

impl fmt::Display for MatMul {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mat-mul {}", fields(&self.rhs))?;
        if self.scale != 1.0 {
            write!(f, " × {:?}", self.scale)?;
        }
        write!(f, "{}", self.epilogue)
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            PoolKind::Max => "max-pool".into(),
            PoolKind::Average {
                count_padding: false,
            } => "average-pool".into(),
            PoolKind::Average {
                count_padding: true,
            } => "average-pool (padding counts)".into(),
            PoolKind::Lp { p } => format!("l{p}-pool"),
        };
        write!(f, "{kind} {}", times(&self.kernel))?;
        write_unless(f, "s", &self.strides, 1)?;
        write_unless(f, "d", &self.dilations, 1)?;
        write_pads(f, &self.pads_before, &self.pads_after)
    }
}

impl fmt::Display for Recurrent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.cell {
            RecurrentCell::Lstm => "lstm",
            RecurrentCell::Gru {
                linear_before_reset: false,
            } => "gru",
            RecurrentCell::Gru {
                linear_before_reset: true,
            } => "gru (linear before reset)",
            RecurrentCell::Tanh => "rnn",
        })?;
        write!(f, " of {}", self.hidden)?;
        if self.reverse {
            f.write_str(" reverse")?;
        }
        if self.bidirectional {
            f.write_str(" bidirectional")?;
        }
        let names = ["bias", "lengths", "h0", "c0", "peepholes"];
        for (name, _) in names
            .iter()
            .zip(self.inputs)
            .filter(|(_, is_there)| *is_there)
        {
            write!(f, " + {name}")?;
        }
        let names = ["y", "y_h", "y_c"];
        let there: Vec<&str> = names
            .into_iter()
            .zip(self.outputs)
            .filter_map(|(name, is_there)| is_there.then_some(name))
            .collect();
        write!(f, " → {}", there.join(" "))
    }
}

impl fmt::Display for TractStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = if self.one_row { " for each row" } else { "" };
        // A header that was not verified may say anything.
        let bytes = self.subgraph.end.saturating_sub(self.subgraph.start);
        write!(f, "tract{rows}, {:?} of {bytes} bytes:", self.format)?;
        for (name, count) in &self.operators {
            match count {
                1 => write!(f, " {name}")?,
                _ => write!(f, " {name}×{count}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Epilogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bias {
            f.write_str(" + bias")?;
        }
        if self.residual {
            f.write_str(" + residual")?;
        }
        match self.activation {
            Activation::None => Ok(()),
            activation => write!(f, ", {activation}"),
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Clamp { low: 0.0, high } if *high == f32::INFINITY => f.write_str("relu"),
            Self::Clamp {
                low: 0.0,
                high: 6.0,
            } => f.write_str("relu6"),
            Self::Clamp { low, high } => write!(f, "clamp {low:?} to {high:?}"),
            Self::Unary(op) => f.write_str(&fields(op)),
        }
    }
}

fn times(sizes: &[u32]) -> String {
    let texts: Vec<String> = sizes.iter().map(u32::to_string).collect();
    texts.join("x")
}

/// Writes ` s2`, or ` s2x1` if not all are equal; nothing if all are `usual`.
fn write_unless(
    f: &mut fmt::Formatter<'_>,
    letter: &str,
    sizes: &[u32],
    usual: u32,
) -> fmt::Result {
    if sizes.iter().all(|&size| size == usual) {
        return Ok(());
    }
    write!(f, " {letter}{}", shortened(sizes))
}

fn write_pads(f: &mut fmt::Formatter<'_>, before: &[u32], after: &[u32]) -> fmt::Result {
    if before == after {
        return write_unless(f, "p", before, 0);
    }
    write!(f, " p{}..{}", shortened(before), shortened(after))
}

fn shortened(sizes: &[u32]) -> String {
    match sizes {
        [first, rest @ ..] if rest.iter().all(|size| size == first) => first.to_string(),
        _ => times(sizes),
    }
}

/// Turns what `Debug` says into words: `TopK(TopK { axis: 1, largest: true })` becomes `top-k axis 1 largest`.
fn fields(value: &dyn Debug) -> String {
    let text = format!("{value:?}");
    let mut words: Vec<String> = Vec::new();
    let mut brackets = 0usize;
    let separators = [' ', '(', ')', '{', '}'];
    for item in text.split(separators).filter(|item| !item.is_empty()) {
        let is_in_list = brackets > 0;
        brackets += item.matches('[').count();
        brackets = brackets.saturating_sub(item.matches(']').count());
        // Commas stay within lists.
        let word = match brackets {
            0 => item.trim_end_matches([',', ':']),
            _ => item,
        };
        match (word, words.last_mut()) {
            (_, Some(list)) if is_in_list => {
                list.push(' ');
                list.push_str(word);
            }
            ("false", _) => drop(words.pop()),
            ("true" | "" | "kind" | "mode" | "op", _) => {}
            (_, last) => {
                let word = kebab(word);
                // A variant and the struct in it have the same name.
                if last.is_none_or(|last| *last != word) {
                    words.push(word);
                }
            }
        }
    }
    words.join(" ")
}

/// Returns a name with dashes: `LeakyRelu` and `leaky_relu` become `leaky-relu`. Numbers and lists stay.
fn kebab(word: &str) -> String {
    if !word.starts_with(|c: char| c.is_ascii_alphabetic()) || word == "inf" || word == "NaN" {
        return word.into();
    }
    let mut text = String::new();
    for (index, c) in word.chars().enumerate() {
        if c.is_ascii_uppercase() && index > 0 {
            text.push('-');
        }
        text.push(if c == '_' {
            '-'
        } else {
            c.to_ascii_lowercase()
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::kernel::{
        Attention, BinaryOp, ConvWeights, Gather, MatMulRhs, Normalise, NormaliseKind, OutOfRange,
        Pad, PadMode, Reduce, ReduceOp, Slice, TopK, UnaryOp,
    };

    fn epilogue(bias: bool, residual: bool, activation: Activation) -> Epilogue {
        Epilogue {
            bias,
            residual,
            activation,
        }
    }

    fn conv(strides: [u32; 2], pads_after: [u32; 2], epilogue: Epilogue) -> Kernel {
        Kernel::Conv(Conv {
            weights: ConvWeights::Depthwise,
            group: 32,
            kernel: vec![3, 5],
            strides: strides.to_vec(),
            dilations: vec![2, 2],
            pads_before: vec![1, 1],
            pads_after: pads_after.to_vec(),
            epilogue,
        })
    }

    #[test]
    fn spells_out_what_matters() {
        let clamp = |low, high| Activation::Clamp { low, high };
        let lstm = Recurrent {
            cell: RecurrentCell::Lstm,
            hidden: 64,
            reverse: false,
            bidirectional: true,
            inputs: [true, false, true, false, false],
            outputs: [true, false, true],
        };
        let kernels = [
            conv([2, 2], [1, 1], epilogue(true, true, clamp(0.0, 6.0))),
            conv([2, 1], [1, 2], epilogue(false, false, Activation::None)),
            Kernel::ConvTranspose(ConvTranspose {
                group: 1,
                kernel: vec![2, 2],
                strides: vec![2, 2],
                dilations: vec![1, 1],
                pads_before: vec![0, 0],
                epilogue: epilogue(true, false, clamp(0.0, f32::INFINITY)),
            }),
            Kernel::MatMul(MatMul {
                rhs: MatMulRhs::Packed,
                scale: 0.125,
                epilogue: epilogue(true, false, Activation::Unary(UnaryOp::GeluTanh)),
            }),
            Kernel::MatMul(MatMul {
                rhs: MatMulRhs::Transposed,
                scale: 1.0,
                epilogue: epilogue(false, true, clamp(-1.0, 1.0)),
            }),
            Kernel::Pool(Pool {
                kind: PoolKind::Max,
                kernel: vec![3, 3],
                strides: vec![2, 2],
                dilations: vec![1, 1],
                pads_before: vec![1, 1],
                pads_after: vec![1, 1],
            }),
            Kernel::Recurrent(lstm),
        ];
        let texts = kernels.map(|kernel| kernel.to_string());
        expect![[r#"
            conv 3x5 s2 d2 p1 g32 depthwise + bias + residual, relu6
            conv 3x5 s2x1 d2 p1..1x2 g32 depthwise
            conv-transpose 2x2 s2 + bias, relu
            mat-mul packed × 0.125 + bias, gelu-tanh
            mat-mul transposed + residual, clamp -1.0 to 1.0
            max-pool 3x3 s2 p1
            lstm of 64 bidirectional + bias + h0 → y y_c"#]]
        .assert_eq(&texts.join("\n"));
    }

    #[test]
    fn prints_the_fields_of_all_others() {
        let kernels = [
            Kernel::Copy,
            Kernel::Unary(UnaryOp::LeakyRelu { alpha: 0.01 }),
            Kernel::Unary(UnaryOp::Clip {
                low: f32::NEG_INFINITY,
                high: f32::INFINITY,
            }),
            Kernel::Unary(UnaryOp::IsInf {
                negative: false,
                positive: true,
            }),
            Kernel::Binary(BinaryOp::LessOrEqual),
            Kernel::Attention(Attention {
                scale: 0.125,
                mask: true,
                transposed_k: false,
            }),
            Kernel::Reduce(Reduce {
                op: ReduceOp::LogSumExp,
                axes: vec![1, 2],
            }),
            Kernel::Softmax {
                axis: 1,
                log: false,
            },
            Kernel::Normalise(Normalise {
                kind: NormaliseKind::Layer { axis: 2 },
                epsilon: 1e-5,
                scale: true,
                bias: false,
            }),
            Kernel::Transpose {
                permutation: vec![0, 2, 1],
            },
            Kernel::Slice(Slice {
                starts: vec![0, -1],
                steps: vec![1, -1],
            }),
            Kernel::Pad(Pad {
                mode: PadMode::Constant(0.5),
                before: vec![1],
            }),
            Kernel::Gather(Gather::Slices {
                axis: 0,
                out_of_range: OutOfRange::Last,
            }),
            Kernel::TopK(TopK {
                axis: 1,
                largest: true,
            }),
        ];
        let texts = kernels.map(|kernel| kernel.to_string());
        expect![[r#"
            copy
            unary leaky-relu alpha 0.01
            unary clip low -inf high inf
            unary is-inf positive
            binary less-or-equal
            attention scale 0.125 mask
            reduce log-sum-exp axes [1, 2]
            softmax axis 1
            normalise layer axis 2 epsilon 1e-5 scale
            transpose permutation [0, 2, 1]
            slice starts [0, -1] steps [1, -1]
            pad constant 0.5 before [1]
            gather slices axis 0 out-of-range last
            top-k axis 1 largest"#]]
        .assert_eq(&texts.join("\n"));
    }
}
