//! Tiles of elements of four bytes, by vectors of four.

/// Whether this target has such vectors.
pub(super) const AVAILABLE: bool = cfg!(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    all(target_arch = "wasm32", target_feature = "simd128")
));

/// Copies 16 × 16 elements: `to[c × to_stride + r] = from[r × from_stride + c]`.
///
/// # Panics
/// If a slice is too short, or there are no such vectors.
#[expect(unsafe_code, reason = "unchecked access and vectors of the target")]
pub(super) fn copy_tile(from: &[u32], from_stride: usize, to: &mut [u32], to_stride: usize) {
    let holds = |len: usize, stride: usize| {
        let needed = stride.checked_mul(15).and_then(|last| last.checked_add(16));
        needed.is_some_and(|needed| needed <= len)
    };
    assert!(
        AVAILABLE && holds(from.len(), from_stride) && holds(to.len(), to_stride),
        "a tile lies within both matrices"
    );
    let (from, to) = (from.as_ptr(), to.as_mut_ptr());
    for column in (0..16).step_by(4) {
        for row in (0..16).step_by(4) {
            // SAFETY: the assertion above found that lines 0 to 15 of both sides hold 16 elements each; the last line and the last
            // element of one that are reached here are 15. The instructions belong to every target with `AVAILABLE`.
            unsafe {
                let from = from.add(row * from_stride + column);
                let to = to.add(column * to_stride + row);
                vectors::copy_quad(from, from_stride, to, to_stride);
            }
        }
    }
}

#[cfg(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    all(target_arch = "wasm32", target_feature = "simd128")
))]
#[expect(unsafe_code, reason = "vector instructions that every such target has")]
mod vectors {
    use named::{Vector, high_halves, high_pairs, low_halves, low_pairs};

    /// Copies 4 × 4 elements.
    ///
    /// # Safety
    /// Four elements can be read from each of four lines of the source, and written to the same of the destination.
    #[inline(always)]
    pub(super) unsafe fn copy_quad(
        from: *const u32,
        from_stride: usize,
        to: *mut u32,
        to_stride: usize,
    ) {
        // SAFETY: the caller promises as much. The instructions belong to the target.
        unsafe {
            let load = |line: usize| {
                from.add(line * from_stride)
                    .cast::<Vector>()
                    .read_unaligned()
            };
            let store = |line: usize, quad: Vector| {
                to.add(line * to_stride)
                    .cast::<Vector>()
                    .write_unaligned(quad);
            };
            let [a, b, c, d] = [load(0), load(1), load(2), load(3)];
            let (ab, cd) = (low_pairs(a, b), low_pairs(c, d));
            store(0, low_halves(ab, cd));
            store(1, high_halves(ab, cd));
            let (ab, cd) = (high_pairs(a, b), high_pairs(c, d));
            store(2, low_halves(ab, cd));
            store(3, high_halves(ab, cd));
        }
    }

    /// Shuffles under the names of what they do.
    #[cfg(target_arch = "x86_64")]
    mod named {
        pub(super) use std::arch::x86_64::{
            __m128i as Vector, _mm_unpackhi_epi32 as high_pairs, _mm_unpackhi_epi64 as high_halves,
            _mm_unpacklo_epi32 as low_pairs, _mm_unpacklo_epi64 as low_halves,
        };
    }

    /// Shuffles under the names of what they do.
    #[cfg(target_arch = "aarch64")]
    mod named {
        pub(super) use std::arch::aarch64::{
            uint32x4_t as Vector, vzip1q_u32 as low_pairs, vzip2q_u32 as high_pairs,
        };
        use std::arch::aarch64::{
            vreinterpretq_u32_u64, vreinterpretq_u64_u32, vzip1q_u64, vzip2q_u64,
        };

        #[inline]
        #[target_feature(enable = "neon")]
        pub(super) fn low_halves(a: Vector, b: Vector) -> Vector {
            let (a, b) = (vreinterpretq_u64_u32(a), vreinterpretq_u64_u32(b));
            vreinterpretq_u32_u64(vzip1q_u64(a, b))
        }

        #[inline]
        #[target_feature(enable = "neon")]
        pub(super) fn high_halves(a: Vector, b: Vector) -> Vector {
            let (a, b) = (vreinterpretq_u64_u32(a), vreinterpretq_u64_u32(b));
            vreinterpretq_u32_u64(vzip2q_u64(a, b))
        }
    }

    /// Shuffles under the names of what they do.
    #[cfg(target_arch = "wasm32")]
    mod named {
        pub(super) use std::arch::wasm32::v128 as Vector;
        use std::arch::wasm32::{u32x4_shuffle, u64x2_shuffle};

        #[inline]
        pub(super) fn low_pairs(a: Vector, b: Vector) -> Vector {
            u32x4_shuffle::<0, 4, 1, 5>(a, b)
        }

        #[inline]
        pub(super) fn high_pairs(a: Vector, b: Vector) -> Vector {
            u32x4_shuffle::<2, 6, 3, 7>(a, b)
        }

        #[inline]
        pub(super) fn low_halves(a: Vector, b: Vector) -> Vector {
            u64x2_shuffle::<0, 2>(a, b)
        }

        #[inline]
        pub(super) fn high_halves(a: Vector, b: Vector) -> Vector {
            u64x2_shuffle::<1, 3>(a, b)
        }
    }
}

#[cfg(not(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    all(target_arch = "wasm32", target_feature = "simd128")
)))]
#[expect(unsafe_code, reason = "the same function as where there are vectors")]
mod vectors {
    /// # Safety
    /// Is not called where there are no vectors.
    pub(super) unsafe fn copy_quad(_: *const u32, _: usize, _: *mut u32, _: usize) {}
}
