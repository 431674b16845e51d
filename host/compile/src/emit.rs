//! Writes functions as WebAssembly, specialised to a plan.
//!
//! Compilers reorder what they are given, and the hottest loops suffer from it. This module writes them instruction by instruction,
//! in the order that Cranelift, Wasmtime's compiler, makes the best machine code of. The predictor calls them by their index in its
//! table of functions, which is what a function pointer is in WebAssembly.
//!
//! - `tile` writes the function of a [`TileSpec`](tensorlet_plan::TileSpec), `inner_loop` its innermost loop.
//! - `append` puts functions into a component.

mod append;
mod inner_loop;
mod tile;

pub use append::{append_functions, append_tiles, table_size};
pub use tile::{MAX_ROWS, tile_function};

#[cfg(test)]
mod tests;
