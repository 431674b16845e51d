//! Runs the functions in Wasmtime and compares them with plain loops.

use tensorlet_plan::TileSpec;
use wasm_encoder::{
    BlockType, CodeSection, Component, ComponentSection, ConstExpr, CustomSection, DataSection,
    ElementSection, Elements, EntityType, ExportKind, ExportSection, Function, FunctionSection,
    ImportSection, MemorySection, MemoryType, Module, ModuleSection, RefType, TableSection,
    TableType, TypeSection, ValType,
};
use wasmtime::{Engine, Instance, Memory, Store, TypedFunc};

use super::{MAX_ROWS, append_functions, append_tiles, table_size, tile_function};

const PAGE: usize = 64 << 10;
const RUN: usize = 1024;
const SEGMENTS: usize = 2048;
const BIAS: usize = 4096;
const WEIGHTS: usize = PAGE;
const LHS: usize = 8 * PAGE;
const RESIDUAL: usize = 32 * PAGE;
const OUT: usize = 40 * PAGE;
const PAGES: u64 = 48;

/// What the memory of outputs holds before, and between rows afterwards.
const UNTOUCHED: f32 = -777.0;

/// Functions in a component, and a memory to run them over.
struct Machine {
    store: Store<()>,
    memory: Memory,
    call: TypedFunc<(u32, u32), ()>,
    first: u32,
}

impl Machine {
    fn new(functions: &[Function]) -> Self {
        let component = component(&core_module(Elements::Functions((&[0, 0]).into()), true));
        let first = table_size(&component).unwrap();
        assert_eq!(first, 5);
        let appended = append_functions(&component, functions).unwrap();
        wasmparser::validate(&appended).unwrap();
        assert_eq!(
            table_size(&appended).unwrap(),
            first + functions.len() as u32
        );

        let engine = Engine::default();
        let module = wasmtime::Module::new(&engine, core(&appended)).unwrap();
        let mut store = Store::new(&engine, ());
        let import = wasmtime::Func::wrap(&mut store, || 3_i32);
        let instance = Instance::new(&mut store, &module, &[import.into()]).unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        let call = instance.get_typed_func(&mut store, "call").unwrap();
        Self {
            store,
            memory,
            call,
            first,
        }
    }

    fn write(&mut self, at: usize, words: impl IntoIterator<Item = u32>) {
        let memory = self.memory.data_mut(&mut self.store);
        for (word, bytes) in words.into_iter().zip(memory[at..].chunks_exact_mut(4)) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
    }

    fn read(&self, at: usize, count: usize) -> Vec<f32> {
        self.memory.data(&self.store)[at..at + 4 * count]
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
            .collect()
    }
}

/// A module like the predictor's: an import, a table with a maximum, elements, data and names.
fn core_module(elements: Elements<'_>, has_elements: bool) -> Module {
    let mut types = TypeSection::new();
    types.ty().function([], [ValType::I32]);
    types.ty().rec([]);
    types.ty().function([ValType::I32; 2], []);
    types.ty().function([ValType::I32], []);
    let mut imports = ImportSection::new();
    imports.import("host", "three", EntityType::Function(0));
    let mut functions = FunctionSection::new();
    functions.function(1);
    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: 5,
        maximum: Some(5),
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
    exports.export("call", ExportKind::Func, 1);
    let mut segments = ElementSection::new();
    segments.active(None, &ConstExpr::i32_const(1), elements);
    let mut call = Function::new([]);
    call.instructions().local_get(1).local_get(0);
    call.instructions().call_indirect(0, 2).end();
    let mut code = CodeSection::new();
    code.function(&call);
    let mut data = DataSection::new();
    data.active(0, &ConstExpr::i32_const(16), *b"data");

    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions);
    module.section(&tables).section(&memories).section(&exports);
    if has_elements {
        module.section(&segments);
    }
    module.section(&code).section(&data).section(&note());
    module
}

fn note() -> CustomSection<'static> {
    CustomSection {
        name: "note".into(),
        data: b"kept".into(),
    }
}

fn component(module: &Module) -> Vec<u8> {
    let mut component = Component::new();
    component.section(&note());
    component.section(&ModuleSection(module));
    component.section(&note());
    component.finish()
}

/// Returns the bytes of a component's core module.
fn core(component: &[u8]) -> &[u8] {
    for payload in wasmparser::Parser::new(0).parse_all(component) {
        if let wasmparser::Payload::ModuleSection {
            unchecked_range, ..
        } = payload.unwrap()
        {
            return &component[unchecked_range];
        }
    }
    panic!("a component with a core module");
}

/// What to compute.
struct Case {
    spec: TileSpec,
    /// Offset in numbers, and length.
    segments: Vec<(usize, usize)>,
    tiles: usize,
    low: f32,
    high: f32,
}

impl Case {
    fn rows(&self) -> usize {
        self.spec.rows as usize * self.tiles
    }

    fn k(&self) -> usize {
        self.segments.iter().map(|(_, len)| len).sum()
    }

    /// Returns what `tensorlet_kernels::tile::TileRun` says, computed in double precision, and how large its terms are together.
    fn expected(&self, memory: &Inputs) -> Vec<(f64, f64)> {
        let spec = &self.spec;
        let mut results = vec![];
        for row in 0..self.rows() {
            let x = &memory.lhs[row * spec.lhs_stride_bytes as usize / 4..];
            for channel in 0..spec.channels as usize {
                let mut terms = vec![f64::from(memory.bias[channel])];
                if spec.residual {
                    let row = row * spec.out_stride_bytes as usize / 4;
                    terms.push(memory.residual[row + channel].into());
                }
                let elements = self
                    .segments
                    .iter()
                    .flat_map(|&(offset, len)| &x[offset..offset + len]);
                for (k, x) in elements.enumerate() {
                    let weight = memory.weights[16 * k + channel];
                    terms.push(f64::from(*x) * f64::from(weight));
                }
                let mut sum: f64 = terms.iter().sum();
                if spec.clamp {
                    let above_low = sum > self.low.into();
                    sum = if above_low { sum } else { self.low.into() };
                    sum = sum.min(self.high.into());
                }
                results.push((sum, terms.iter().map(|term| term.abs()).sum()));
            }
        }
        results
    }
}

/// What the functions read.
struct Inputs {
    lhs: Vec<f32>,
    weights: Vec<f32>,
    bias: Vec<f32>,
    residual: Vec<f32>,
}

impl Inputs {
    fn new() -> Self {
        let mut seed = 1_u32;
        let mut numbers = |count: usize| -> Vec<f32> {
            let mut number = || {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 8) as f32 / (1 << 23) as f32 - 1.0
            };
            (0..count).map(|_| number()).collect()
        };
        Self {
            lhs: numbers((RESIDUAL - LHS) / 4),
            weights: numbers((LHS - WEIGHTS) / 4),
            bias: numbers(16),
            residual: numbers((OUT - RESIDUAL) / 4),
        }
    }
}

/// Runs a function over memory and returns its outputs, without what lies between them.
fn compute(machine: &mut Machine, function: usize, case: &Case, inputs: &Inputs) -> Vec<f32> {
    let bits = |numbers: &[f32]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    machine.write(LHS, bits(&inputs.lhs));
    machine.write(WEIGHTS, bits(&inputs.weights));
    machine.write(BIAS, bits(&inputs.bias));
    machine.write(RESIDUAL, bits(&inputs.residual));
    let segments = case.segments.iter();
    let segments: Vec<u32> = segments
        .flat_map(|&(offset, len)| [4 * offset as u32, len as u32])
        .collect();
    machine.write(SEGMENTS, segments);
    let run = [
        LHS,
        SEGMENTS,
        case.segments.len(),
        WEIGHTS,
        BIAS,
        RESIDUAL,
        OUT,
        case.tiles,
    ];
    let run = run.map(|field| field as u32).into_iter();
    machine.write(RUN, run.chain([case.low.to_bits(), case.high.to_bits()]));
    let stride = case.spec.out_stride_bytes as usize / 4;
    let count = case.rows() * stride + 16;
    machine.write(OUT, vec![UNTOUCHED.to_bits(); count]);
    let index = machine.first + function as u32;
    machine
        .call
        .call(&mut machine.store, (index, RUN as u32))
        .unwrap();

    let all = machine.read(OUT, count);
    let channels = case.spec.channels as usize;
    for (index, number) in all.iter().enumerate() {
        let is_output = index % stride < channels && index / stride < case.rows();
        assert!(
            is_output || *number == UNTOUCHED,
            "{:?} wrote {number} at {index}",
            case.spec
        );
    }
    (0..case.rows())
        .flat_map(|row| &all[row * stride..row * stride + channels])
        .copied()
        .collect()
}

fn spec(rows: u32, channels: u32) -> TileSpec {
    TileSpec {
        lhs_stride_bytes: 64,
        out_stride_bytes: 64,
        rows,
        channels,
        residual: false,
        clamp: false,
    }
}

fn case(spec: TileSpec) -> Case {
    Case {
        spec,
        segments: vec![(0, 16)],
        tiles: 2,
        low: f32::NEG_INFINITY,
        high: f32::INFINITY,
    }
}

fn functions(specs: &[TileSpec]) -> Vec<Function> {
    specs
        .iter()
        .map(|spec| tile_function(spec).unwrap())
        .collect()
}

fn check(machine: &mut Machine, function: usize, case: &Case, inputs: &Inputs) {
    let found = compute(machine, function, case, inputs);
    for (index, (found, (expected, size))) in found.iter().zip(case.expected(inputs)).enumerate() {
        let tolerance = size * f64::from(f32::EPSILON) * (4.0 + case.k() as f64).sqrt();
        assert!(
            (f64::from(*found) - expected).abs() <= tolerance,
            "{:?} with {:?}: expected {expected} in place {index}, found {found}",
            case.spec,
            case.segments,
        );
    }
}

#[test]
fn every_shape_computes_the_product() {
    let mut specs = vec![];
    for rows in 1..=6 {
        for channels in [4, 8, 12, 16] {
            specs.push(spec(rows, channels));
            specs.push(TileSpec {
                residual: true,
                clamp: true,
                ..spec(rows, channels)
            });
        }
    }
    specs.extend([spec(12, 4), spec(MAX_ROWS, 4), spec(7, 8)]);
    let mut machine = Machine::new(&functions(&specs));
    let inputs = Inputs::new();
    for (function, spec) in specs.iter().enumerate() {
        for segments in [
            vec![(0, 1)],
            vec![(3, 2), (1, 3)],
            vec![(0, 8)],
            vec![(0, 16)],
            vec![(512, 24), (64, 8)],
            vec![(1024, 16), (0, 32), (512, 16)],
            vec![(0, 16), (700, 23), (64, 1), (99, 12)],
            vec![(5, 31)],
            vec![(0, 301)],
        ] {
            for tiles in [1, 3] {
                let case = Case {
                    segments: segments.clone(),
                    tiles,
                    low: -0.5,
                    high: 1.5,
                    ..case(*spec)
                };
                check(&mut machine, function, &case, &inputs);
            }
        }
    }
}

#[test]
fn rows_may_be_any_distance_apart() {
    let apart = |lhs_stride_bytes, out_stride_bytes, rows, channels| TileSpec {
        lhs_stride_bytes,
        out_stride_bytes,
        residual: true,
        ..spec(rows, channels)
    };
    let specs = [
        apart(4, 32, 6, 8),
        apart(8, 64, 5, 8),
        apart(128, 192, 6, 8),
        apart(0, 48, 3, 12),
        apart(27 * 4, 1000 * 4, 2, 16),
        apart(40_000, 2000 * 4, 6, 8),
    ];
    let mut machine = Machine::new(&functions(&specs));
    let inputs = Inputs::new();
    for (function, spec) in specs.iter().enumerate() {
        let case = Case {
            segments: vec![(0, 16), (40, 9)],
            ..case(*spec)
        };
        check(&mut machine, function, &case, &inputs);
    }
}

#[test]
fn clamping_makes_nan_the_least() {
    let clamped = |rows, channels| TileSpec {
        clamp: true,
        ..spec(rows, channels)
    };
    let specs = [clamped(6, 8), clamped(1, 16), clamped(2, 4)];
    let mut machine = Machine::new(&functions(&specs));
    let mut inputs = Inputs::new();
    inputs.bias[..4].copy_from_slice(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX]);
    for (function, spec) in specs.iter().enumerate() {
        for (low, high) in [(0.0, 6.0), (-1.0, f32::INFINITY), (f32::NEG_INFINITY, 0.5)] {
            let case = Case {
                low,
                high,
                ..case(*spec)
            };
            let found = compute(&mut machine, function, &case, &inputs);
            for row in found.chunks_exact(spec.channels as usize) {
                let finite_high = high.min(f32::MAX);
                assert_eq!(row[0], low, "of NaN");
                assert_eq!(row[1], high, "of infinity");
                assert_eq!(row[2], low, "of minus infinity");
                assert_eq!(row[3], finite_high, "of the largest number");
            }
        }
    }
}

#[test]
fn without_clamping_nan_and_infinity_remain() {
    let spec = TileSpec {
        residual: true,
        ..spec(6, 8)
    };
    let mut machine = Machine::new(&functions(&[spec]));
    let mut inputs = Inputs::new();
    inputs.lhs[0] = f32::NAN;
    inputs.residual[16] = f32::INFINITY;
    inputs.lhs[32] = 1e-40;
    let found = compute(&mut machine, 0, &case(spec), &inputs);
    assert!(found[..8].iter().all(|number| number.is_nan()));
    assert_eq!(found[8], f32::INFINITY);
    assert!(found[9..].iter().all(|number| number.is_finite()));
}

#[test]
fn impossible_tiles_are_refused() {
    let huge = TileSpec {
        lhs_stride_bytes: u32::MAX / 4,
        ..spec(4, 8)
    };
    for spec in [
        spec(0, 8),
        spec(MAX_ROWS + 1, 4),
        spec(6, 0),
        spec(6, 10),
        spec(1, 20),
        spec(u32::MAX, 4),
        huge,
    ] {
        let error = tile_function(&spec).unwrap_err();
        assert!(error.starts_with("expected a tile"), "{error}");
    }
    let large = TileSpec {
        lhs_stride_bytes: u32::MAX / 5,
        ..spec(4, 8)
    };
    assert!(tile_function(&large).is_ok());
}

/// A function that stores its parameter plus what the host's function returns at its parameter.
fn storing() -> Function {
    let mut function = Function::new([(1, ValType::I32)]);
    let mut code = function.instructions();
    code.block(BlockType::Empty);
    code.local_get(0).local_get(0).call(0).i32_add();
    code.i32_store(super::inner_loop::at(0)).end().end();
    function
}

#[test]
fn functions_keep_their_order_and_call_others() {
    let mut machine = Machine::new(&[tile_function(&spec(1, 4)).unwrap(), storing(), storing()]);
    for index in [1, 2] {
        let index = machine.first + index;
        machine.call.call(&mut machine.store, (index, 64)).unwrap();
        assert_eq!(machine.read(64, 1)[0].to_bits(), 67);
        machine.write(64, [0]);
    }
    machine
        .call
        .call(&mut machine.store, (machine.first + 3, 64))
        .expect_err("the table ends there");
}

#[test]
fn all_else_stays_as_it_was() {
    let module = core_module(Elements::Functions((&[0, 1]).into()), true);
    let before = component(&module);
    let after = append_functions(&before, &[storing()]).unwrap();
    let sections = |module: &[u8]| -> Vec<(u8, Vec<u8>)> {
        crate::sections::sections(module)
            .unwrap()
            .into_iter()
            .map(|section| (section.id, module[section.content].to_vec()))
            .collect()
    };
    let (outer_before, outer_after) = (sections(&before), sections(&after));
    assert_eq!(outer_before.len(), outer_after.len());
    assert_eq!(outer_before[0], outer_after[0]);
    assert_eq!(outer_before[2], outer_after[2]);
    for ((id, before), (id_after, after)) in
        sections(core(&before)).iter().zip(sections(core(&after)))
    {
        assert_eq!(*id, id_after);
        // Types, functions, tables, elements and code.
        let is_extended = [1, 3, 4, 9, 10].contains(id);
        assert_eq!(*before != after, is_extended, "section {id}");
        if is_extended && *id != 4 {
            assert!(after[1..].starts_with(&before[1..]), "section {id}");
        }
    }
}

#[test]
fn a_module_without_elements_gets_some() {
    let module = core_module(Elements::Functions((&[]).into()), false);
    let appended = append_functions(&component(&module), &[storing()]).unwrap();
    wasmparser::validate(&appended).unwrap();
    let ids = crate::sections::sections(core(&appended)).unwrap();
    let ids: Vec<u8> = ids.iter().map(|section| section.id).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 7, 9, 10, 11, 0]);
}

#[test]
fn no_functions_are_no_change_but_a_type() {
    let component = component(&core_module(Elements::Functions((&[0]).into()), true));
    let appended = append_functions(&component, &[]).unwrap();
    wasmparser::validate(&appended).unwrap();
    assert_eq!(table_size(&appended), Ok(5));
}

#[test]
fn tiles_are_appended_in_order() {
    let component = component(&core_module(Elements::Functions((&[0]).into()), true));
    assert_eq!(append_tiles(component.clone(), &[]).unwrap(), component);
    let specs = [spec(6, 8), spec(1, 16)];
    assert_eq!(
        append_tiles(component.clone(), &specs).unwrap(),
        append_functions(&component, &functions(&specs)).unwrap()
    );
    assert!(append_tiles(component, &[spec(0, 8)]).is_err());
}

#[test]
fn modules_that_follow_stay_as_they_are() {
    let module = core_module(Elements::Functions((&[0]).into()), true);
    let one = component(&module);
    let mut two = one.clone();
    ModuleSection(&module).append_to_component(&mut two);
    let second = &two[one.len()..];
    let appended = append_functions(&two, &[storing()]).unwrap();
    wasmparser::validate(&appended).unwrap();
    assert!(appended.ends_with(second));
    assert_eq!(
        appended[..appended.len() - second.len()],
        append_functions(&one, &[storing()]).unwrap()
    );
}

#[test]
fn other_bytes_are_refused() {
    let module = core_module(Elements::Functions((&[0]).into()), true);
    let valid = component(&module);
    for (bytes, expected) in [
        (vec![], "expected WebAssembly, found other bytes"),
        (b"\0asm".to_vec(), "unexpected end"),
        (Component::new().finish(), "with a core module, found none"),
        (
            component(&Module::new()),
            "expected a core module with a section Code, found none",
        ),
        (valid[..valid.len() - 1].to_vec(), "unexpected end"),
    ] {
        let error = append_functions(&bytes, &[storing()]).unwrap_err();
        assert!(
            error.contains(expected),
            "expected {expected}, found {error}"
        );
    }
    // Whatever a byte becomes, nothing panics.
    for index in 0..valid.len() {
        for byte in [0, 1, 0x7f, 0x80, 0xff] {
            let mut changed = valid.clone();
            changed[index] = byte;
            let _result = append_functions(&changed, &[storing()]);
            let _result = table_size(&changed);
        }
    }
}
