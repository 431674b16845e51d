//! Kernels as text.

use std::fmt::{Debug, Write as _};

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{
    Activation, Conv, ConvWeights, Epilogue, Gather, MatMul, MatMulRhs, NormaliseKind, OutOfRange,
    PadMode, Pool, PoolKind, Recurrent, Resize,
};

/// Returns a kernel's name, with attributes in parentheses if it has any.
pub(super) fn text(kernel: &Kernel) -> String {
    let (name, attributes) = parts(kernel);
    match attributes.trim() {
        "" => name,
        attributes => format!("{name}({attributes})"),
    }
}

fn parts(kernel: &Kernel) -> (String, String) {
    let (name, attributes) = match kernel {
        Kernel::Conv(conv) => ("conv", conv_text(conv)),
        Kernel::ConvTranspose(conv) => {
            let mut text = window(&conv.kernel, &conv.strides, &conv.dilations);
            text += &pads(&conv.pads_before, &[]);
            text += &group(conv.group);
            ("conv_transpose", text + &epilogue(&conv.epilogue))
        }
        Kernel::MatMul(matmul) => ("matmul", matmul_text(matmul)),
        Kernel::Attention(attention) => {
            let mask = if attention.mask { " mask" } else { "" };
            let transposed = if attention.transposed_k { " kT" } else { "" };
            let text = format!("scale {:?}{mask}{transposed}", attention.scale);
            ("attention", text)
        }
        Kernel::Recurrent(recurrent) => ("recurrent", recurrent_text(recurrent)),
        Kernel::Unary(op) => return named(op),
        Kernel::Binary(op) => return named(op),
        Kernel::Pool(pool) => ("pool", pool_text(pool)),
        Kernel::Reduce(reduce) => {
            let text = format!("{} {}", snake(&reduce.op), list(&reduce.axes));
            ("reduce", text)
        }
        Kernel::ArgReduce {
            minimum,
            axis,
            last,
        } => {
            let last = if *last { " last" } else { "" };
            let name = if *minimum { "arg_min" } else { "arg_max" };
            (name, format!("{axis}{last}"))
        }
        Kernel::Softmax { axis, log } => {
            let name = if *log { "log_softmax" } else { "softmax" };
            (name, axis.to_string())
        }
        Kernel::Normalise(normalise) => {
            let kind = match normalise.kind {
                NormaliseKind::Layer { axis } => format!("layer {axis}.."),
                NormaliseKind::Axis { axis } => format!("axis {axis}"),
                NormaliseKind::RootMeanSquare { axis } => format!("rms {axis}.."),
                NormaliseKind::Group { groups } => format!("groups {groups}"),
            };
            let scale = if normalise.scale { " +scale" } else { "" };
            let bias = if normalise.bias { " +bias" } else { "" };
            let text = format!("{kind} epsilon {:?}{scale}{bias}", normalise.epsilon);
            ("normalise", text)
        }
        Kernel::Resize(resize) => ("resize", resize_text(resize)),
        Kernel::Transpose { permutation } => ("transpose", list(permutation)),
        Kernel::Concat { axis } => ("concat", axis.to_string()),
        Kernel::Slice(slice) => {
            let steps = match slice.steps.iter().all(|&step| step == 1) {
                true => String::new(),
                false => format!(" by {}", list(&slice.steps)),
            };
            ("slice", format!("{}{steps}", list(&slice.starts)))
        }
        Kernel::Pad(pad) => {
            let mode = match pad.mode {
                PadMode::Constant(value) => format!("{value:?}"),
                mode => snake(&mode),
            };
            ("pad", format!("{mode} before {}", list(&pad.before)))
        }
        Kernel::Gather(gather) => ("gather", gather_text(gather)),
        other => return named(other),
    };
    (name.into(), attributes)
}

fn conv_text(conv: &Conv) -> String {
    let mut text = window(&conv.kernel, &conv.strides, &conv.dilations);
    text += &pads(&conv.pads_before, &conv.pads_after);
    text += &group(conv.group);
    text += match conv.weights {
        ConvWeights::Plain => "",
        ConvWeights::Blocked => " blocked",
        ConvWeights::PlainInput => " plain_input",
        ConvWeights::Depthwise => " depthwise",
    };
    text + &epilogue(&conv.epilogue)
}

fn matmul_text(matmul: &MatMul) -> String {
    let mut text = match matmul.rhs {
        MatMulRhs::Plain => String::new(),
        MatMulRhs::Packed => " packed".into(),
        MatMulRhs::Transposed => " transposed".into(),
    };
    if matmul.scale != 1.0 {
        _ = write!(text, " scale {:?}", matmul.scale);
    }
    text + &epilogue(&matmul.epilogue)
}

fn recurrent_text(recurrent: &Recurrent) -> String {
    let present = |names: &[&str], there: &[bool]| {
        let pairs = names.iter().zip(there).filter(|(_, there)| **there);
        pairs
            .map(|(name, _)| format!(" {name}"))
            .collect::<String>()
    };
    let inputs = ["+bias", "+lengths", "+h0", "+c0", "+peepholes"];
    format!(
        "{} {}{}{}{} to{}",
        snake(&recurrent.cell),
        recurrent.hidden,
        if recurrent.reverse { " reverse" } else { "" },
        if recurrent.bidirectional { " both" } else { "" },
        present(&inputs, &recurrent.inputs),
        present(&["y", "h", "c"], &recurrent.outputs),
    )
}

fn pool_text(pool: &Pool) -> String {
    let kind = match pool.kind {
        PoolKind::Max => "max".into(),
        PoolKind::Average { count_padding } => match count_padding {
            true => "average count_padding".into(),
            false => "average".into(),
        },
        PoolKind::Lp { p } => format!("l{p}"),
    };
    let window = window(&pool.kernel, &pool.strides, &pool.dilations);
    format!(
        "{kind} {window}{}",
        pads(&pool.pads_before, &pool.pads_after)
    )
}

fn resize_text(resize: &Resize) -> String {
    let mut text = format!("{} {}", snake(&resize.mode), snake(&resize.coordinates));
    if !resize.scales.is_empty() {
        _ = write!(text, " scales {}", list(&resize.scales));
    }
    text
}

fn gather_text(gather: &Gather) -> String {
    match gather {
        Gather::Slices { axis, out_of_range } => match out_of_range {
            OutOfRange::Fail => axis.to_string(),
            OutOfRange::Last => format!("{axis} or last"),
        },
        Gather::Elements { axis } => format!("elements {axis}"),
        Gather::Nd { batch_dims } => format!("nd {batch_dims}"),
    }
}

fn window(kernel: &[u32], strides: &[u32], dilations: &[u32]) -> String {
    let mut text = by(kernel);
    for (name, sizes) in [("s", strides), ("d", dilations)] {
        match sizes {
            [first, rest @ ..] if rest.iter().all(|size| size == first) => {
                if *first != 1 {
                    _ = write!(text, " {name}{first}");
                }
            }
            _ => _ = write!(text, " {name}{}", by(sizes)),
        }
    }
    text
}

fn pads(before: &[u32], after: &[u32]) -> String {
    let mut all = before.iter().chain(after);
    match all.next() {
        Some(first) if all.all(|pad| pad == first) => match first {
            0 => String::new(),
            first => format!(" p{first}"),
        },
        _ if after.is_empty() => format!(" p{}", by(before)),
        _ => format!(" p{}..{}", by(before), by(after)),
    }
}

fn group(group: u32) -> String {
    match group {
        1 => String::new(),
        group => format!(" g{group}"),
    }
}

fn epilogue(epilogue: &Epilogue) -> String {
    let mut text = String::new();
    for (name, there) in [("bias", epilogue.bias), ("residual", epilogue.residual)] {
        if there {
            _ = write!(text, " +{name}");
        }
    }
    match epilogue.activation {
        Activation::None => {}
        Activation::Clamp { low, high } if low == 0.0 && high == f32::INFINITY => text += " relu",
        Activation::Clamp { low, high } if low == 0.0 && high == 6.0 => text += " relu6",
        Activation::Clamp { low, high } => _ = write!(text, " clamp({low:?}, {high:?})"),
        Activation::Unary(op) => _ = write!(text, " {}", snake(&op)),
    }
    text
}

fn by(sizes: &[u32]) -> String {
    let sizes: Vec<String> = sizes.iter().map(u32::to_string).collect();
    sizes.join("x")
}

fn list(items: &[impl Debug]) -> String {
    let items: Vec<String> = items.iter().map(|item| format!("{item:?}")).collect();
    items.join(", ")
}

fn named(item: &impl Debug) -> (String, String) {
    let text = snake(item);
    match text.split_once('(') {
        Some((name, attributes)) => (name.into(), attributes.trim_end_matches(')').into()),
        None => (text, String::new()),
    }
}

/// Writes `HardSigmoid { alpha: 0.2, beta: 0.5 }` as `hard_sigmoid(alpha 0.2, beta 0.5)`.
fn snake(item: &impl Debug) -> String {
    let text = format!("{item:?}");
    let mut snake = String::new();
    for (index, letter) in text.chars().enumerate() {
        if letter.is_ascii_uppercase() {
            if index > 0 && snake.ends_with(|c: char| c.is_ascii_alphanumeric()) {
                snake.push('_');
            }
            snake.push(letter.to_ascii_lowercase());
        } else {
            snake.push(letter);
        }
    }
    snake
        .replace(" { ", "(")
        .replace(" }", ")")
        .replace(": ", " ")
}

#[cfg(test)]
mod tests {
    use tensorlet_plan::kernel::{Reduce, ReduceOp, UnaryOp};

    use super::*;

    #[test]
    fn attributes_are_short() {
        let conv = Conv {
            weights: ConvWeights::Blocked,
            group: 1,
            kernel: vec![3, 3],
            strides: vec![2, 2],
            dilations: vec![1, 1],
            pads_before: vec![0, 0],
            pads_after: vec![1, 1],
            epilogue: Epilogue {
                bias: true,
                residual: true,
                activation: Activation::Clamp {
                    low: 0.0,
                    high: 6.0,
                },
            },
        };
        let texts = [
            text(&Kernel::Conv(conv)),
            text(&Kernel::Unary(UnaryOp::HardSigmoid {
                alpha: 0.2,
                beta: 0.5,
            })),
            text(&Kernel::Unary(UnaryOp::GeluTanh)),
            text(&Kernel::Where),
            text(&Kernel::Reduce(Reduce {
                op: ReduceOp::SumSquare,
                axes: vec![0, 2],
            })),
            text(&Kernel::OneHot { axis: 1 }),
        ];
        expect_test::expect![[r#"
            conv(3x3 s2 p0x0..1x1 blocked +bias +residual relu6)
            hard_sigmoid(alpha 0.2, beta 0.5)
            gelu_tanh
            where
            reduce(sum_square 0, 2)
            one_hot(axis 1)"#]]
        .assert_eq(&texts.join("\n"));
    }
}
