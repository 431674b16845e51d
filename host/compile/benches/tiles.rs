//! How fast the compiler's functions for tiles are, beside the most that the core can do with vectors of 128 bits.
//!
//! `cargo bench --package tensorlet-compile --bench tiles` prints GFLOP/s, and what part of the most that is, for code that runs
//! to its end and for code that can be interrupted. Shapes are channels × rows. Of the times of many short runs the least counts.

#![expect(clippy::print_stdout, reason = "prints a table")]
#![expect(clippy::unwrap_used, reason = "a bench may fail")]

use std::time::Instant;

use tensorlet_compile::emit::tile_function;
use tensorlet_plan::TileSpec;
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, ElementSection, Elements, ExportKind, ExportSection,
    Function, FunctionSection, MemArg, MemorySection, MemoryType, Module, RefType, TableSection,
    TableType, TypeSection, ValType,
};
use wasmtime::{Config, Engine, Instance, Memory, Store, TypedFunc};

/// How often each case is measured.
const ROUNDS: usize = 30;

/// About how many operations a measurement is of.
const OPERATIONS: f64 = 2e6;

// Where things are in memory.
const RUN: u32 = 1 << 10;
const BIAS: u32 = 2 << 10;
const SEGMENTS: u32 = 4 << 10;
const LHS: u32 = 1 << 20;
const OUT: u32 = 16 << 20;
const WEIGHTS: u32 = 32 << 20;
const PAGES: u64 = 1024;

/// The turns of the loop that measures the most.
const PEAK_TURNS: u32 = 1000;

struct Case {
    name: String,
    function: Function,
    /// Segments and their length.
    segments: (u32, u32),
    lhs_stride_bytes: u32,
    rows: u32,
    tiles: u32,
    /// How many blocks of channels are computed one after the other, each with weights of its own.
    blocks: u32,
    operations: f64,
}

impl Case {
    fn peak() -> Self {
        Self {
            name: "multiplications alone".into(),
            function: peak(),
            segments: (1, 16),
            lhs_stride_bytes: 0,
            rows: 0,
            tiles: PEAK_TURNS,
            blocks: 1,
            operations: f64::from(PEAK_TURNS) * 120.0 * 8.0,
        }
    }

    /// A product: a pointwise convolution if there are several segments.
    fn tile(
        (channels, rows): (u32, u32),
        segments: (u32, u32),
        all_rows: u32,
        blocks: u32,
    ) -> Self {
        let lhs_stride_bytes = 4 * segments.1;
        let spec = TileSpec {
            lhs_stride_bytes,
            out_stride_bytes: 64,
            rows,
            channels,
            residual: false,
            clamp: true,
        };
        let tiles = all_rows / rows;
        let k = segments.0 * segments.1;
        let numbers = tiles * rows * channels * blocks;
        Self {
            name: format!(
                "{channels:2} × {rows}, K = {:2} × {:4}, {:3} rows, {blocks:3} blocks",
                segments.0,
                segments.1,
                tiles * rows
            ),
            function: tile_function(&spec).unwrap(),
            segments,
            lhs_stride_bytes,
            rows,
            tiles,
            blocks,
            operations: 2.0 * f64::from(numbers) * f64::from(k),
        }
    }
}

fn main() {
    let mut cases = vec![Case::peak()];
    let plain = Case {
        name: " 8 × 6, K = 16 ×   16,  96 rows, written plainly".into(),
        function: plain(),
        ..Case::tile((8, 6), (16, 16), 96, 1)
    };
    cases.push(plain);
    let shapes = [
        (8, 6),
        (8, 5),
        (8, 4),
        (8, 3),
        (8, 2),
        (8, 1),
        (12, 3),
        (16, 2),
        (16, 1),
        (4, 12),
        (4, 8),
    ];
    cases.extend(shapes.map(|shape| Case::tile(shape, (16, 16), 96, 1)));
    for segments in [
        (1, 16),
        (2, 16),
        (6, 16),
        (9, 16),
        (15, 16),
        (42, 16),
        (72, 16),
        (9, 3),
        (1, 27),
        (1, 64),
        (1, 256),
        (1, 768),
        (1, 1152),
    ] {
        cases.push(Case::tile((8, 6), segments, 96, 1));
    }
    // The same work in another order: few rows, all channels.
    for rows in [12, 24, 48, 192] {
        cases.push(Case::tile((8, 6), (16, 16), rows, 16));
    }
    // A vector times a matrix.
    for k in [64, 256, 1024] {
        for channels in [8, 16] {
            cases.push(Case::tile((channels, 1), (1, k), 1, 16));
            cases.push(Case::tile((channels, 1), (1, k), 1, 128));
        }
    }

    let uninterrupted = measure(&cases, false);
    let interruptible = measure(&cases, true);
    println!("{:52} GFLOP/s       interruptible", "");
    for (index, case) in cases.iter().enumerate() {
        let (speed, part) = (
            uninterrupted[index],
            uninterrupted[index] / uninterrupted[0],
        );
        println!(
            "{:52} {speed:5.1} {:4.0} % {:9.1}",
            case.name,
            100.0 * part,
            interruptible[index]
        );
    }
}

/// Returns the GFLOP/s of each case.
fn measure(cases: &[Case], interruptible: bool) -> Vec<f64> {
    let mut machine = Machine::new(cases, interruptible);
    let mut least_seconds = vec![f64::INFINITY; cases.len()];
    for _ in 0..ROUNDS {
        for (index, case) in cases.iter().enumerate() {
            let seconds = machine.seconds(index as u32, case);
            least_seconds[index] = least_seconds[index].min(seconds);
        }
    }
    let cases = cases.iter().zip(least_seconds);
    cases
        .map(|(case, seconds)| case.operations / seconds / 1e9)
        .collect()
}

/// The functions of all cases, ready to run.
struct Machine {
    store: Store<()>,
    memory: Memory,
    drive: TypedFunc<(u32, u32, u32, u32), ()>,
}

impl Machine {
    fn new(cases: &[Case], interruptible: bool) -> Self {
        let mut config = Config::new();
        config.epoch_interruption(interruptible);
        let engine = Engine::new(&config).unwrap();
        let module = wasmtime::Module::new(&engine, module(cases)).unwrap();
        let mut store = Store::new(&engine, ());
        store.set_epoch_deadline(u64::MAX / 2);
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        let drive = instance.get_typed_func(&mut store, "drive").unwrap();
        // Pages that were never written are all the same one, which the first cache cannot hold under several addresses.
        for (index, bytes) in memory.data_mut(&mut store).chunks_exact_mut(4).enumerate() {
            let number = (index % 1021) as f32 / 1021.0 - 0.5;
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        Self {
            store,
            memory,
            drive,
        }
    }

    /// Runs a case often enough to measure it, and returns how long it takes once.
    #[expect(clippy::disallowed_methods, reason = "measures time")]
    fn seconds(&mut self, function: u32, case: &Case) -> f64 {
        let (count, len) = case.segments;
        for segment in 0..count {
            let offset = segment * case.lhs_stride_bytes * case.rows * case.tiles;
            self.write(SEGMENTS + 8 * segment, &[offset, len]);
        }
        let repetitions = (OPERATIONS / case.operations).ceil() as u32;
        let weights_bytes = count * len * 64;
        let clamp = [0.0, 6.0].map(f32::to_bits);
        let fields = [LHS, SEGMENTS, count, WEIGHTS, BIAS, 0, OUT, case.tiles];
        let mut seconds = 0.0;
        for _ in 0..repetitions.div_ceil(8) {
            // The driver moves the weights on.
            self.write(RUN, &[&fields[..], &clamp].concat());
            let start = Instant::now();
            let drive = &self.drive;
            let params = (8, case.blocks, function, weights_bytes);
            drive.call(&mut self.store, params).unwrap();
            seconds += start.elapsed().as_secs_f64();
        }
        seconds / f64::from(8 * repetitions.div_ceil(8))
    }

    fn write(&mut self, at: u32, words: &[u32]) {
        let memory = &mut self.memory.data_mut(&mut self.store)[at as usize..];
        for (word, bytes) in words.iter().zip(memory.chunks_exact_mut(4)) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
    }
}

fn module(cases: &[Case]) -> Vec<u8> {
    let count = cases.len() as u32;
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], []);
    types.ty().function([ValType::I32; 4], []);
    let mut functions = FunctionSection::new();
    let mut code = CodeSection::new();
    for case in cases {
        functions.function(0);
        code.function(&case.function);
    }
    functions.function(1);
    code.function(&driver());
    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: count.into(),
        maximum: None,
        shared: false,
    });
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: PAGES,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0);
    exports.export("drive", ExportKind::Func, count);
    let mut elements = ElementSection::new();
    let indices: Vec<u32> = (0..count).collect();
    elements.active(
        None,
        &ConstExpr::i32_const(0),
        Elements::Functions(indices.into()),
    );
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&tables);
    module.section(&memories).section(&exports);
    module.section(&elements).section(&code);
    module.finish()
}

/// Some times, calls a function for each block of channels.
fn driver() -> Function {
    let (repetitions, blocks, function, weights_bytes, block) = (0, 1, 2, 3, 4);
    let weights = field(RUN + 12);
    let mut driver = Function::new([(1, ValType::I32)]);
    let mut code = driver.instructions();
    code.loop_(BlockType::Empty);
    code.i32_const(0).i32_const(WEIGHTS.cast_signed());
    code.i32_store(weights);
    code.local_get(blocks).local_set(block);
    code.loop_(BlockType::Empty);
    code.i32_const(RUN.cast_signed()).local_get(function);
    code.call_indirect(0, 0);
    code.i32_const(0).i32_const(0).i32_load(weights);
    code.local_get(weights_bytes).i32_add().i32_store(weights);
    code.local_get(block).i32_const(1).i32_sub();
    code.local_tee(block).br_if(0).end();
    code.local_get(repetitions).i32_const(1).i32_sub();
    code.local_tee(repetitions).br_if(0).end().end();
    driver
}

/// 120 multiplications and additions a turn, all in registers.
fn peak() -> Function {
    let (run, turns, x, y, sums) = (0, 1, 2, 3, 4..16);
    let mut function = Function::new([(1, ValType::I32), (14, ValType::V128)]);
    let mut code = function.instructions();
    code.local_get(run).i32_load(field(28)).local_set(turns);
    for local in [x, y] {
        code.local_get(run).v128_load(field(0)).local_set(local);
    }
    code.loop_(BlockType::Empty);
    for sum in (0..10).flat_map(|_| sums.clone()) {
        code.local_get(x).local_get(y).local_get(sum);
        code.f32x4_relaxed_madd().local_set(sum);
    }
    code.local_get(turns).i32_const(1).i32_sub();
    code.local_tee(turns).br_if(0).end();
    for sum in sums {
        code.i32_const(OUT.cast_signed()).local_get(sum);
        code.v128_store(field(16 * sum));
    }
    code.end();
    function
}

/// What one would write without knowing what becomes of it: tiles of 8 channels by 6 rows, with segments of 16 elements.
fn plain() -> Function {
    let (run, lhs, out, tiles, segment, segments_end, x, x_end, weights) =
        (0, 1, 2, 3, 4, 5, 6, 7, 8);
    let (w, element, sums) = (9, 11, 12);
    let mut function = Function::new([(8, ValType::I32), (15, ValType::V128)]);
    let mut code = function.instructions();
    for (local, offset) in [(lhs, 0), (out, 24), (tiles, 28)] {
        code.local_get(run).i32_load(field(offset)).local_set(local);
    }
    code.loop_(BlockType::Empty);
    for sum in 0..12 {
        code.i32_const(BIAS.cast_signed());
        code.v128_load(field(sum % 2 * 16)).local_set(sums + sum);
    }
    code.local_get(run).i32_load(field(12)).local_set(weights);
    code.local_get(run).i32_load(field(4)).local_tee(segment);
    code.local_get(run)
        .i32_load(field(8))
        .i32_const(3)
        .i32_shl();
    code.i32_add().local_set(segments_end);
    code.loop_(BlockType::Empty);
    code.local_get(segment).i32_load(field(0)).local_get(lhs);
    code.i32_add().local_tee(x);
    code.i32_const(64).i32_add().local_set(x_end);
    code.loop_(BlockType::Empty);
    for vector in 0..2 {
        code.local_get(weights).v128_load(field(16 * vector));
        code.local_set(w + vector);
    }
    for row in 0..6 {
        code.local_get(x).v128_load32_splat(field(64 * row));
        code.local_set(element);
        for vector in 0..2 {
            let sum = sums + 2 * row + vector;
            code.local_get(element).local_get(w + vector);
            code.local_get(sum).f32x4_relaxed_madd().local_set(sum);
        }
    }
    code.local_get(weights).i32_const(64).i32_add();
    code.local_set(weights);
    code.local_get(x).i32_const(4).i32_add().local_tee(x);
    code.local_get(x_end).i32_ne().br_if(0).end();
    code.local_get(segment).i32_const(8).i32_add();
    code.local_tee(segment).local_get(segments_end);
    code.i32_ne().br_if(0).end();
    for sum in 0..12 {
        code.local_get(out);
        for clamp in [36, 32] {
            code.local_get(run).v128_load32_splat(field(clamp));
        }
        code.local_get(sums + sum).f32x4_pmax().f32x4_pmin();
        code.v128_store(field(sum / 2 * 64 + sum % 2 * 16));
    }
    for local in [lhs, out] {
        code.local_get(local).i32_const(6 * 64).i32_add();
        code.local_set(local);
    }
    code.local_get(tiles).i32_const(1).i32_sub();
    code.local_tee(tiles).br_if(0).end().end();
    function
}

fn field(offset_bytes: u32) -> MemArg {
    MemArg {
        offset: offset_bytes.into(),
        align: 2,
        memory_index: 0,
    }
}
