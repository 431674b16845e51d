//! Outputs as people and programs read them.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use tensorlet_tensor::{NamedTensor, Tensor};

use crate::elements;
use crate::table::Table;

/// How many elements a table shows of each output.
const FIRST_VALUES: usize = 6;

/// The outputs of a call. As JSON, it is the output of `tensorlet predict --input … --json`.
#[derive(Serialize)]
pub(super) struct Outputs<'a> {
    #[serde(serialize_with = "by_name")]
    outputs: Vec<(&'a str, Output<'a>)>,
    latency_ms: f64,
}

#[derive(Serialize)]
struct Output<'a> {
    datum_type: &'static str,
    dims: &'a [u32],
    /// Row-major; left out if it was written to a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip)]
    tensor: &'a Tensor,
}

struct Data<'a>(&'a Tensor);

impl<'a> Outputs<'a> {
    /// Describes outputs, written to `files` of the same order if there are any.
    pub(super) fn new(
        outputs: &'a [NamedTensor],
        files: Option<&'a [String]>,
        latency_ms: f64,
    ) -> Self {
        let output = |(index, (name, tensor)): (usize, &'a NamedTensor)| {
            let file = files.map(|files| files[index].as_str());
            let data = file.is_none().then_some(Data(tensor));
            let output = Output {
                datum_type: tensor.datum_type().name(),
                dims: tensor.dims(),
                data,
                file,
                tensor,
            };
            (name.as_str(), output)
        };
        Self {
            outputs: outputs.iter().enumerate().map(output).collect(),
            latency_ms,
        }
    }

    /// Returns a table with a row an output.
    pub(super) fn table(&self) -> Table {
        let mut table = Table::new(&["output", "type", "min", "max", "mean", "values"]);
        for (name, output) in &self.outputs {
            let [min, max, mean] = statistics(output.tensor);
            let values = output
                .file
                .map_or_else(|| first_values(output.tensor), |file| format!("in {file}"));
            table.row([
                (*name).into(),
                output.tensor.type_text(),
                min,
                max,
                mean,
                values,
            ]);
        }
        table
    }
}

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(elements::of(self.0))
    }
}

fn by_name<S: Serializer>(
    outputs: &[(&str, Output<'_>)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let by_name: BTreeMap<&str, &Output<'_>> = outputs
        .iter()
        .map(|(name, output)| (*name, output))
        .collect();
    by_name.serialize(serializer)
}

/// Returns minimum, maximum and mean. The first two pass over NaN.
fn statistics(tensor: &Tensor) -> [String; 3] {
    if tensor.is_empty() {
        return [(); 3].map(|()| String::new());
    }
    let (mut min, mut max, mut sum) = (f64::INFINITY, f64::NEG_INFINITY, 0.0);
    for value in elements::of(tensor).map(elements::Element::to_f64) {
        (min, max, sum) = (min.min(value), max.max(value), sum + value);
    }
    [min, max, sum / tensor.len() as f64].map(|value| rounded(&format!("{value:.5}")))
}

fn first_values(tensor: &Tensor) -> String {
    let values: Vec<String> = elements::of(tensor)
        .take(FIRST_VALUES)
        .map(|element| element.to_string())
        .collect();
    let rest = if tensor.len() > FIRST_VALUES {
        ", …"
    } else {
        ""
    };
    format!("{}{rest}", values.join(", "))
}

/// Removes the zeros behind the point that say nothing.
fn rounded(text: &str) -> String {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use tensorlet_tensor::DatumType;

    use super::*;

    fn outputs() -> Vec<NamedTensor> {
        vec![
            (
                "y".into(),
                Tensor::from_values(vec![2, 4], &[0.5f32, -1.0, 2.0, 3.25, 0.1, 0.0, 7.0, 1e9])
                    .unwrap(),
            ),
            (
                "../out put".into(),
                Tensor::new(DatumType::Bool, vec![2], vec![1, 0]).unwrap(),
            ),
            (
                "none".into(),
                Tensor::zeros(DatumType::I64, vec![0, 3]).unwrap(),
            ),
            (
                "nan".into(),
                Tensor::from_values(vec![], &[f64::NAN]).unwrap(),
            ),
        ]
    }

    #[test]
    fn a_table_shows_the_first_values() {
        expect![[r#"
             output       type        min   max          mean              values
            ─────────────────────────────────────────────────────────────────────────────────────────────────
             y            f32[2, 4]   -1    1000000000   125000001.48125   0.5, -1.0, 2.0, 3.25, 0.1, 0.0, …
             ../out put   bool[2]     0     1            0.5               true, false
             none         i64[0, 3]
             nan          f64[]       inf   -inf         NaN               NaN
        "#]]
        .assert_eq(&Outputs::new(&outputs(), None, 1.5).table().to_string());
    }

    #[test]
    fn json_has_data_or_the_file_that_holds_it() {
        let all = outputs();
        let json = |files| serde_json::to_string(&Outputs::new(&all[1..2], files, 1.5)).unwrap();
        assert_eq!(
            json(None),
            r#"{"outputs":{"../out put":{"datum_type":"bool","dims":[2],"data":[true,false]}},"latency_ms":1.5}"#
        );
        assert_eq!(
            json(Some(&[".._out_put.npy".into()])),
            r#"{"outputs":{"../out put":{"datum_type":"bool","dims":[2],"file":".._out_put.npy"}},"latency_ms":1.5}"#
        );
    }
}
