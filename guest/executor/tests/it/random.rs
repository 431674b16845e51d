//! Random plans against plain loops.

use tensorlet_executor::State;
use tensorlet_plan::kernel::{Slice, UnaryOp};
use tensorlet_plan::{DimExpr, DimOp, Kernel, Plan, SymbolId, ValueId};

use crate::builder::{Builder, Random, Shifted, load};

/// What a value is: columns, and where each of its columns comes from.
#[derive(Clone)]
pub(crate) struct Expected {
    id: ValueId,
    /// For each column, which column of the input it is and what it is multiplied with.
    columns: Vec<(usize, f32)>,
}

pub(crate) const INPUT_COLUMNS: usize = 5;

/// A plan over rows of `INPUT_COLUMNS` numbers that negates, cuts, joins, copies and renames.
pub(crate) fn random_plan(random: &mut Random) -> (Plan<'static>, Vec<Expected>) {
    let mut builder = Builder::new(&["x:f32[N,5]"]);
    let mut values = vec![Expected {
        id: ValueId(0),
        columns: (0..INPUT_COLUMNS).map(|column| (column, 1.0)).collect(),
    }];
    for index in 0..3 + random.below(30) {
        let from = values[random.below(values.len())].clone();
        let spec = |columns: usize| format!("v{index}:f32[N,{columns}]");
        let width = from.columns.len();
        let next = match random.below(5) {
            0 => Expected {
                id: builder.step(&spec(width), Kernel::Unary(UnaryOp::Neg), &[from.id]),
                columns: from.columns.iter().map(|&(c, f)| (c, -f)).collect(),
            },
            1 => {
                let begin = random.below(width);
                let len = 1 + random.below(width - begin);
                let slice = Kernel::Slice(Slice {
                    starts: vec![0, begin as i64],
                    steps: vec![1, 1],
                });
                Expected {
                    id: builder.step(&spec(len), slice, &[from.id]),
                    columns: from.columns[begin..][..len].to_vec(),
                }
            }
            2 if width < 200 => {
                let other = values[random.below(values.len())].clone();
                let columns = [&from.columns[..], &other.columns[..], &from.columns[..]].concat();
                let inputs = [from.id, other.id, from.id];
                let concat = Kernel::Concat { axis: 1 };
                Expected {
                    id: builder.step(&spec(columns.len()), concat, &inputs),
                    columns,
                }
            }
            3 => {
                let mut value = builder.value(&spec(1), tensorlet_plan::Storage::Alias(from.id));
                value.dims = Some(vec![flat(width)]);
                let alias = ValueId(builder.plan.values.len() as u32);
                builder.plan.values.push(value);
                Expected {
                    id: builder.step(&spec(width), Kernel::Copy, &[alias]),
                    columns: from.columns,
                }
            }
            _ => Expected {
                id: builder.alias(&spec(width), from.id),
                columns: from.columns,
            },
        };
        values.push(next);
    }
    let outputs: Vec<Expected> = (0..1 + random.below(4))
        .map(|_| values[random.below(values.len())].clone())
        .collect();
    let ids: Vec<ValueId> = outputs.iter().map(|output| output.id).collect();
    (builder.finish(&ids), outputs)
}

/// `N × width`.
fn flat(width: usize) -> DimExpr {
    DimExpr(vec![
        DimOp::Symbol(SymbolId(0)),
        DimOp::Number(width as i64),
        DimOp::Multiply,
    ])
}

fn expected_bytes(output: &Expected, input: &[f32]) -> Vec<u8> {
    let rows = input.chunks(INPUT_COLUMNS);
    let elements = rows.flat_map(|row| output.columns.iter().map(|&(c, f)| row[c] * f));
    elements.flat_map(f32::to_le_bytes).collect()
}

#[test]
fn values_keep_their_bytes_until_they_are_read() {
    let mut random = Random(7);
    for round in 0..300 {
        let (mut plan, outputs) = random_plan(&mut random);
        if random.below(3) == 0 {
            plan.row_symbol = Some(SymbolId(0));
        }
        let executor = load(&plan);
        let mut state = State::new();
        for _ in 0..4 {
            let rows = 1 + random.below(40);
            let input = random.floats(rows * INPUT_COLUMNS);
            let bytes = Shifted::new(bytemuck::cast_slice(&input), 4 * random.below(16));
            let expected: Vec<Vec<u8>> = outputs
                .iter()
                .map(|output| expected_bytes(output, &input))
                .collect();
            let mut found: Vec<Shifted> = expected
                .iter()
                .map(|bytes| Shifted::new(&vec![0xee; bytes.len()], 4 * random.below(16)))
                .collect();
            let mut slices: Vec<&mut [u8]> = found.iter_mut().map(Shifted::bytes_mut).collect();
            executor
                .run(&mut state, &[rows as u32], &[bytes.bytes()], &mut slices)
                .unwrap();
            for (found, expected) in found.iter().zip(&expected) {
                assert!(
                    found.bytes() == expected,
                    "round {round}, {rows} rows of\n{plan}"
                );
                assert!(found.is_intact(), "round {round} wrote around an output");
            }
        }
    }
}
