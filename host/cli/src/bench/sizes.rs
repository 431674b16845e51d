//! Gives every dim of the inputs a number: from `--input`, from `--batch`, or 1 for the batch.

use tensorlet_tensor::{Bindings, Dim, InvalidInput, Signature, TensorSpec};

use crate::exit::Failure;

/// Returns the inputs with all dims fixed.
///
/// # Errors
/// If what was given does not fit the signature, or a dim is left open.
pub(super) fn resolve(
    signature: &Signature,
    batch: Option<u32>,
    given: &[TensorSpec],
) -> Result<Vec<TensorSpec>, Failure> {
    let mut bindings = Bindings::new();
    for (index, spec) in given.iter().enumerate() {
        if given[..index]
            .iter()
            .any(|earlier| earlier.name == spec.name)
        {
            return Err(misfit(&spec.name, "it once", "it more than once"));
        }
        let Some(declared) = signature
            .inputs
            .iter()
            .find(|input| input.name == spec.name)
        else {
            let names: Vec<&str> = signature
                .inputs
                .iter()
                .map(|input| input.name.as_str())
                .collect();
            return Err(misfit(
                &spec.name,
                format!("one of the inputs `{}`", names.join("`, `")),
                "another name",
            ));
        };
        bind(declared, spec, &mut bindings)?;
    }
    bind_batch(signature, batch, &mut bindings)?;
    signature
        .inputs
        .iter()
        .map(|declared| fixed(declared, &bindings))
        .collect()
}

fn bind(declared: &TensorSpec, given: &TensorSpec, bindings: &mut Bindings) -> Result<(), Failure> {
    let differs = || misfit(&declared.name, declared.type_text(), given.type_text());
    if declared.datum_type != given.datum_type || declared.dims.len() != given.dims.len() {
        return Err(differs());
    }
    for (declared_dim, dim) in declared.dims.iter().zip(&given.dims) {
        match (declared_dim, dim) {
            (declared, given) if declared == given => {}
            (Dim::Symbol(symbol), Dim::Fixed(size)) if *size > 0 => {
                let bound = *bindings.entry(symbol.clone()).or_insert(*size);
                if bound != *size {
                    let expected = format!(
                        "{} with {symbol} = {bound}, as before it",
                        declared.type_text()
                    );
                    return Err(misfit(&declared.name, expected, given.type_text()));
                }
            }
            _ => return Err(differs()),
        }
    }
    Ok(())
}

/// Gives the symbol of the rows its size: of the batch axis, or where there is none, of the first input's axis 0.
fn bind_batch(
    signature: &Signature,
    batch: Option<u32>,
    bindings: &mut Bindings,
) -> Result<(), Failure> {
    let first_axis = |spec: &TensorSpec| Some(spec.dims.first()?.symbol()?.to_owned());
    let symbol = signature
        .batch_symbol
        .clone()
        .or_else(|| signature.inputs.iter().find_map(first_axis));
    match (symbol, batch) {
        (Some(symbol), Some(batch)) => {
            let bound = *bindings.entry(symbol.clone()).or_insert(batch);
            if bound != batch {
                return Err(Failure::input(format!(
                    "--batch: expected {symbol} = {bound}, as --input has it, found {batch}"
                )));
            }
        }
        (Some(symbol), None) => {
            bindings.entry(symbol).or_insert(1);
        }
        (None, Some(batch)) => {
            let inputs: Vec<String> = signature.inputs.iter().map(TensorSpec::to_string).collect();
            let found = format!("{batch} for inputs of fixed rows: {}", inputs.join("; "));
            return Err(Failure::input(format!(
                "--batch: expected an input whose axis 0 is free, found {found}"
            )));
        }
        (None, None) => {}
    }
    Ok(())
}

fn fixed(declared: &TensorSpec, bindings: &Bindings) -> Result<TensorSpec, Failure> {
    let dim = |dim: &Dim| match dim {
        Dim::Fixed(size) => Ok(Dim::Fixed(*size)),
        Dim::Symbol(symbol) => bindings
            .get(symbol)
            .map(|&size| Dim::Fixed(size))
            .ok_or_else(|| {
                let expected = format!("a size for {symbol} of {}", declared.type_text());
                let example = example(declared, bindings);
                misfit(
                    &declared.name,
                    expected,
                    format!("none; give one, such as --input '{example}'"),
                )
            }),
    };
    let dims: Result<Vec<Dim>, Failure> = declared.dims.iter().map(dim).collect();
    Ok(TensorSpec {
        dims: dims?,
        ..declared.clone()
    })
}

/// Returns what could be typed for an input, with 64 for what is not known.
fn example(declared: &TensorSpec, bindings: &Bindings) -> String {
    let dims = declared.dims.iter().map(|dim| match dim {
        Dim::Fixed(size) => size.to_string(),
        Dim::Symbol(symbol) => bindings.get(symbol).copied().unwrap_or(64).to_string(),
    });
    format!(
        "{}:{}[{}]",
        declared.name,
        declared.datum_type,
        dims.collect::<Vec<_>>().join(",")
    )
}

fn misfit(input: &str, expected: impl Into<String>, found: impl Into<String>) -> Failure {
    Failure::input(InvalidInput::new(input, expected, found).to_string())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn specs(texts: &[&str]) -> Vec<TensorSpec> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn resolved(inputs: &[&str], batch: Option<u32>, given: &[&str]) -> String {
        let signature = Signature::new(specs(inputs), specs(&["y:f32[N]"]));
        match resolve(&signature, batch, &specs(given)) {
            Ok(inputs) => inputs
                .iter()
                .map(TensorSpec::to_string)
                .collect::<Vec<_>>()
                .join("; "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn every_dim_becomes_a_number() {
        let cases = [
            resolved(&["x:f32[N,3,W]"], None, &["x:f32[2,3,192]"]),
            resolved(&["x:f32[N,3,W]"], Some(4), &["x:f32[N,3,192]"]),
            resolved(&["x:f32[N,4]", "m:i64[N]"], None, &[]),
            resolved(&["x:f32[N,4]", "m:i64[N]"], Some(8), &[]),
            resolved(
                &["s:f32[2,3]", "x:f32[rows,4]", "z:f32[rows]"],
                Some(3),
                &[],
            ),
            resolved(&["x:f32[]"], None, &[]),
        ];
        expect![[r#"
            x: f32[2, 3, 192]
            x: f32[4, 3, 192]
            x: f32[1, 4]; m: i64[1]
            x: f32[8, 4]; m: i64[8]
            s: f32[2, 3]; x: f32[3, 4]; z: f32[3]
            x: f32[]"#]]
        .assert_eq(&cases.join("\n"));
    }

    #[test]
    fn says_what_is_wrong() {
        let cases = [
            resolved(&["x:f32[N,3,W]"], Some(2), &[]),
            resolved(&["x:f32[N,3,W]"], None, &["x:f32[1,4,192]"]),
            resolved(&["x:f32[N,3,W]"], None, &["x:f32[1,3,0]"]),
            resolved(&["x:f32[N,3,W]"], None, &["x:f32[1,3,V]"]),
            resolved(&["x:f32[N,3,W]"], None, &["x:u8[1,3,192]"]),
            resolved(&["x:f32[N,3,W]"], None, &["x:f32[1,3]"]),
            resolved(&["x:f32[N]"], None, &["q:f32[1]"]),
            resolved(&["x:f32[N]"], None, &["x:f32[1]", "x:f32[1]"]),
            resolved(&["x:f32[N]", "z:f32[N]"], None, &["x:f32[1]", "z:f32[2]"]),
            resolved(&["x:f32[N]"], Some(2), &["x:f32[1]"]),
            resolved(&["x:f32[4]"], Some(2), &[]),
        ];
        expect![[r#"
            input `x`: expected a size for W of f32[N, 3, W], found none; give one, such as --input 'x:f32[2,3,64]'
            input `x`: expected f32[N, 3, W], found f32[1, 4, 192]
            input `x`: expected f32[N, 3, W], found f32[1, 3, 0]
            input `x`: expected f32[N, 3, W], found f32[1, 3, V]
            input `x`: expected f32[N, 3, W], found u8[1, 3, 192]
            input `x`: expected f32[N, 3, W], found f32[1, 3]
            input `q`: expected one of the inputs `x`, found another name
            input `x`: expected it once, found it more than once
            input `z`: expected f32[N] with N = 1, as before it, found f32[2]
            --batch: expected N = 1, as --input has it, found 2
            --batch: expected an input whose axis 0 is free, found 2 for inputs of fixed rows: x: f32[4]"#]]
        .assert_eq(&cases.join("\n"));
    }
}
