//! Numbers with their units, for people.

use std::time::Duration;

/// Returns a size in bytes, kB or MB (powers of ten).
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// Returns a duration in milliseconds.
pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Returns milliseconds with three digits at least, or three after the point.
pub(crate) fn ms_text(ms: f64) -> String {
    let decimals = match ms {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{ms:.decimals$} ms")
}

/// Returns bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_digit_after_the_point() {
        assert_eq!(
            [0, 999, 1_000, 20_345_678].map(size),
            ["0 B", "999 B", "1.0 kB", "20.3 MB"]
        );
    }

    #[test]
    fn milliseconds_keep_three_digits() {
        assert_eq!(
            [0.0714, 4.2, 32.06, 586.4].map(ms_text),
            ["0.071 ms", "4.20 ms", "32.1 ms", "586 ms"]
        );
    }
}
