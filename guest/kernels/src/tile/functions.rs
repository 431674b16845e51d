//! The tile functions of each instruction set.
//!
//! Widths are counted in half blocks, of 8 columns.

use crate::isa::{Isa, Kind, Vectorised};
use crate::simd;
use crate::tile::microkernel::{Job, Tiles};

/// Computes the tiles of a job.
///
/// # Safety
/// The pointers, counts and distances of the job must be those of memory that can be read, or written for the output.
pub(crate) type RustTiles = unsafe fn(&Job);

/// Writes a table: for each width, as so many vectors of a function's, the rows that there are tiles of.
macro_rules! table {
    ($($halves:literal = $function:ident $v:literal: $($rows:literal)*;)*) => {
        const TABLE: Table = (
            &[$(($halves, [$($rows),*].len())),*],
            |rows, halves| match (halves, rows) {
                $($(($halves, $rows) => Some($function::<$rows, $v>),)*)*
                _ => None,
            },
        );
        TABLE
    };
}

type Table = (
    &'static [(usize, usize)],
    fn(rows: usize, halves: usize) -> Option<RustTiles>,
);

/// The tiles that a machine is fast with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    /// The widths that there are tiles of, ascending, each with the most rows. There are tiles of all numbers of rows up to it.
    pub(crate) widths: &'static [(usize, usize)],
    /// How many products of one number with another it computes in a cycle.
    pub(crate) lanes_a_cycle: usize,
}

impl Machine {
    /// WebAssembly with 128-bit vectors, whatever machine this is.
    pub(crate) const WASM: Self = Self {
        widths: &[(1, 6), (2, 1)],
        lanes_a_cycle: 8,
    };

    /// The machine that has an instruction set.
    pub(crate) fn of(isa: Isa) -> Self {
        let lanes_a_cycle = match isa.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 | Kind::Avx512 => 16,
            _ => 8,
        };
        Self {
            widths: table(isa).0,
            lanes_a_cycle,
        }
    }
}

/// Returns the function for tiles of some size.
pub(crate) fn function(isa: Isa, rows: usize, halves: usize) -> Option<RustTiles> {
    table(isa).1(rows, halves)
}

fn table(isa: Isa) -> Table {
    match isa.0 {
        #[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
        Kind::Scalar => {
            table! {
                1 = scalar 8: 1 2 3 4 5 6;
            }
        }
        // Sums, weights and one element of a row: 32 registers.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => {
            table! {
                1 = avx512_half 1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14;
                2 = avx512 1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14;
                4 = avx512 2: 1 2 3 4 5 6 7 8 9 10 11 12 13 14;
                6 = avx512 3: 1 2 3 4 5 6 7 8 9;
                8 = avx512 4: 1 2 3 4 5 6;
                12 = avx512 6: 1 2 3 4;
                16 = avx512 8: 1 2;
            }
        }
        // 16 registers.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => {
            table! {
                1 = avx2 1: 1 2 3 4 5 6;
                2 = avx2 2: 1 2 3 4 5 6;
                4 = avx2 4: 1 2;
                8 = avx2 8: 1;
            }
        }
        // 32 registers.
        #[cfg(target_arch = "aarch64")]
        Kind::Neon => {
            table! {
                1 = neon 2: 1 2 3 4 5 6;
                2 = neon 4: 1 2 3 4 5 6;
                4 = neon 8: 1 2;
            }
        }
        // The same as `Machine::WASM`.
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        Kind::Wasm => {
            table! {
                1 = wasm 2: 1 2 3 4 5 6;
                2 = wasm 4: 1;
            }
        }
    }
}

/// Writes the function that compiles tiles for an instruction set.
macro_rules! compiled {
    ($(#[$attribute:meta])* $name:ident, $simd:expr) => {
        $(#[$attribute])*
        unsafe fn $name<const R: usize, const V: usize>(job: &Job) {
            // SAFETY: the job is the caller's; `table` gives this function only to those who have an `Isa`, and that is
            // proof of the instructions.
            unsafe { Tiles::<R, V>::new(job).run($simd) }
        }
    };
}

#[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
compiled!(scalar, simd::Scalar);
#[cfg(target_arch = "x86_64")]
compiled!(
    #[target_feature(enable = "avx2,fma,f16c")]
    avx2,
    simd::Avx2::new()
);
#[cfg(target_arch = "x86_64")]
compiled!(
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512dq,avx512bw,avx512vl")]
    avx512,
    simd::Avx512::new()
);
// Vectors of half the size, with twice the registers that they have without AVX-512.
#[cfg(target_arch = "x86_64")]
compiled!(
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512dq,avx512bw,avx512vl")]
    avx512_half,
    simd::Avx2::new()
);
#[cfg(target_arch = "aarch64")]
compiled!(neon, simd::Neon::new());
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
compiled!(wasm, simd::Wasm);
