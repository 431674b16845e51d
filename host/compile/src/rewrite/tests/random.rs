//! Shapes that are computed in random ways.

use super::*;

/// How many graphs are made.
const GRAPHS: u64 = 80;

/// How many steps the shape of one takes.
const STEPS: u64 = 6;

/// Numbers that depend on the seed alone.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z ^= z >> 27;
        (z >> 20) as usize % limit
    }

    fn choose<'a>(&mut self, names: &'a [String]) -> &'a str {
        &names[self.below(names.len())]
    }
}

/// Makes a graph that fills a vector whose length is computed from the sizes of `x: f32[N, T]`.
fn random_graph(seed: u64) -> GraphProto {
    let mut random = Random(seed);
    let sizes = [1, 2, 3, 5].map(|size| vector(&format!("k{size}"), &[size]));
    let mut constants: Vec<TensorProto> = sizes.into();
    constants.extend([
        vector("i0", &[0]),
        vector("limit", &[40]),
        ramp("fill", &[1]),
    ]);
    let divisors: Vec<String> = ["k1", "k2", "k3", "k5"].map(str::to_owned).into();
    let mut nodes = vec![
        node("Shape", &["x"], &["s"]),
        node("Gather", &["s", "i0"], &["n"]),
        node("Gather", &["s", "k1"], &["t"]),
    ];
    let mut pool: Vec<String> = ["n", "t", "k2", "k3"].map(str::to_owned).into();
    for step in 0..STEPS {
        let (left, right) = (
            random.choose(&pool).to_owned(),
            random.choose(&pool).to_owned(),
        );
        let name = format!("v{step}");
        let result = match random.below(8) {
            0 => node("Add", &[&left, &right], &[&name]),
            1 => node("Mul", &[&left, &right], &[&name]),
            2 => node("Div", &[&left, random.choose(&divisors)], &[&name]),
            3 => node("Min", &[&left, &right], &[&name]),
            4 => node("Max", &[&left, &right], &[&name]),
            5 => {
                nodes.push(node("Sub", &[&left, &right], &[&format!("d{step}")]));
                node("Max", &[&format!("d{step}"), "k1"], &[&name])
            }
            6 => {
                nodes.push(with_int(
                    node("Cast", &[&left], &[&format!("c{step}")]),
                    "to",
                    I32,
                ));
                with_int(node("Cast", &[&format!("c{step}")], &[&name]), "to", I64)
            }
            _ => {
                nodes.push(node("Less", &[&left, &right], &[&format!("l{step}")]));
                node("Where", &[&format!("l{step}"), &left, &right], &[&name])
            }
        };
        nodes.push(result);
        pool.push(name);
    }
    nodes.extend([
        node("Max", &[&pool[pool.len() - 1], "k1"], &["at_least"]),
        node("Min", &["at_least", "limit"], &["length"]),
        node("Expand", &["fill", "length"], &["y"]),
    ]);
    graph(&["x:f32[N,T]"], nodes, constants, &["y"])
}

/// A rewritten graph gives outputs of the right shape, or is refused because tract cannot follow it; what is
/// compared by symbols cannot be known before the call.
#[test]
fn shapes_are_right_or_refused() {
    let mut taken = 0;
    for seed in 0..GRAPHS {
        let original = model(13, random_graph(seed));
        let Ok(rewritten) = rewrite(original.clone()) else {
            continue;
        };
        taken += 1;
        for sizes in [
            [("N", 1), ("T", 1)],
            [("N", 2), ("T", 7)],
            [("N", 9), ("T", 4)],
        ] {
            let sizes = HashMap::from(sizes);
            let inputs = [ascending(&rewritten.inputs[0], &sizes)];
            let expected = run(
                &rewrite(with_sizes(&original, &sizes)).unwrap().model,
                &inputs,
            );
            let found = run(&rewritten.model, &inputs);
            let text = print(rewritten.model.graph.as_ref().unwrap());
            assert_eq!(
                found[0].shape(),
                expected[0].shape(),
                "graph {seed}, {sizes:?}:\n{text}"
            );
            if let Ok(by_tract) = super::try_run(&with_sizes(&original, &sizes), &inputs) {
                assert_eq!(
                    expected[0].shape(),
                    by_tract[0].shape(),
                    "graph {seed}, {sizes:?}, fixed"
                );
            }
        }
    }
    assert!(taken > GRAPHS / 2, "{taken} graphs were taken");
}
