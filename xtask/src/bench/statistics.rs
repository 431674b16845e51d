//! What stands for many figures.

/// Returns the middle value, or the mean of the two in the middle; NaN of none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match (values.len(), values.len() / 2) {
        (0, _) => f64::NAN,
        (len, middle) if len % 2 == 1 => values[middle],
        (_, middle) => values[middle - 1].midpoint(values[middle]),
    }
}

/// Writes how many times one figure is another.
pub(crate) fn ratio(one: f64, other: f64) -> String {
    match one / other {
        ratio if ratio.is_nan() => "–".to_owned(),
        ratio => format!("{ratio:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn writes_no_ratio_of_nothing() {
        assert_eq!(ratio(1.0, 3.0), "0.33");
        assert_eq!(ratio(f64::NAN, 3.0), "–");
    }
}
