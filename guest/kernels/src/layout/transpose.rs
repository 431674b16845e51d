//! The transpose of four by four numbers, by shuffles where the target always has them.

#![expect(
    unsafe_code,
    reason = "arrays of numbers are seen as vectors, and some shuffles are unsafe to call"
)]

/// Returns the columns as rows.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn transpose(rows: [[f32; 4]; 4]) -> [[f32; 4]; 4] {
    use core::arch::x86_64::{
        __m128, _mm_movehl_ps, _mm_movelh_ps, _mm_unpackhi_ps, _mm_unpacklo_ps,
    };
    // SAFETY: both types are sixteen numbers; x86-64 has SSE.
    unsafe {
        let [a, b, c, d]: [__m128; 4] = core::mem::transmute(rows);
        let (ab, cd) = (_mm_unpacklo_ps(a, b), _mm_unpacklo_ps(c, d));
        let (ab_high, cd_high) = (_mm_unpackhi_ps(a, b), _mm_unpackhi_ps(c, d));
        core::mem::transmute::<[__m128; 4], [[f32; 4]; 4]>([
            _mm_movelh_ps(ab, cd),
            _mm_movehl_ps(cd, ab),
            _mm_movelh_ps(ab_high, cd_high),
            _mm_movehl_ps(cd_high, ab_high),
        ])
    }
}

/// Returns the columns as rows.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub(super) fn transpose(rows: [[f32; 4]; 4]) -> [[f32; 4]; 4] {
    use core::arch::aarch64::{float32x4_t, vzip1q_f32, vzip2q_f32};
    // SAFETY: both types are sixteen numbers; the target has NEON.
    unsafe {
        let [a, b, c, d]: [float32x4_t; 4] = core::mem::transmute(rows);
        // Interleaving twice what is two rows apart transposes.
        let (ac, bd) = (vzip1q_f32(a, c), vzip1q_f32(b, d));
        let (ac_high, bd_high) = (vzip2q_f32(a, c), vzip2q_f32(b, d));
        core::mem::transmute::<[float32x4_t; 4], [[f32; 4]; 4]>([
            vzip1q_f32(ac, bd),
            vzip2q_f32(ac, bd),
            vzip1q_f32(ac_high, bd_high),
            vzip2q_f32(ac_high, bd_high),
        ])
    }
}

/// Returns the columns as rows.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[inline(always)]
pub(super) fn transpose(rows: [[f32; 4]; 4]) -> [[f32; 4]; 4] {
    use core::arch::wasm32::{i32x4_shuffle, i64x2_shuffle, v128};
    // SAFETY: both types are sixteen numbers.
    unsafe {
        let [a, b, c, d]: [v128; 4] = core::mem::transmute(rows);
        let (ab, cd) = (
            i32x4_shuffle::<0, 4, 1, 5>(a, b),
            i32x4_shuffle::<0, 4, 1, 5>(c, d),
        );
        let (ab_high, cd_high) = (
            i32x4_shuffle::<2, 6, 3, 7>(a, b),
            i32x4_shuffle::<2, 6, 3, 7>(c, d),
        );
        core::mem::transmute::<[v128; 4], [[f32; 4]; 4]>([
            i64x2_shuffle::<0, 2>(ab, cd),
            i64x2_shuffle::<1, 3>(ab, cd),
            i64x2_shuffle::<0, 2>(ab_high, cd_high),
            i64x2_shuffle::<1, 3>(ab_high, cd_high),
        ])
    }
}

/// Returns the columns as rows.
#[cfg(not(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    all(target_arch = "wasm32", target_feature = "simd128")
)))]
#[inline(always)]
pub(super) fn transpose(rows: [[f32; 4]; 4]) -> [[f32; 4]; 4] {
    std::array::from_fn(|column| std::array::from_fn(|row| rows[row][column]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let rows = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]];
        let columns = [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15]];
        assert_eq!(
            transpose(rows.map(|row| row.map(|i| i as f32))),
            columns.map(|row| row.map(|i| i as f32))
        );
    }
}
