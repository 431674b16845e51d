//! What is mapped, what is copied, and what Wasmtime says of it.

use wasm_encoder::{MemorySection, MemoryType, ModuleSection};

use super::*;

/// A component whose core module has data at these places; each byte is the length's lowest.
fn component(segments: &[(u32, usize)]) -> Vec<u8> {
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 4096,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut data = DataSection::new();
    // What code refers to by number.
    data.passive([7; 5]);
    for &(offset, len) in segments {
        let offset = ConstExpr::i32_const(offset.cast_signed());
        data.active(0, &offset, vec![len as u8 | 1; len]);
    }
    let mut module = Module::new();
    let count = segments.len() as u32 + 1;
    module
        .section(&memories)
        .section(&DataCountSection { count })
        .section(&data);
    let mut component = Component::new();
    component.section(&ModuleSection(&module));
    component.finish()
}

/// Returns the memory that an instance begins with, as far as data reaches.
fn memory(component: &[u8]) -> Vec<u8> {
    let mut memory = vec![];
    for payload in Parser::new(0).parse_all(component) {
        let Payload::DataSection(section) = payload.unwrap() else {
            continue;
        };
        for data in section {
            let data = data.unwrap();
            if matches!(data.kind, DataKind::Passive) {
                continue;
            }
            let (_, Some(range)) = place(&data).unwrap() else {
                panic!("data must have a place")
            };
            let range = range.start as usize..range.end as usize;
            memory.resize(memory.len().max(range.end), 0);
            memory[range].copy_from_slice(data.data);
        }
    }
    memory
}

/// Reports whether Wasmtime maps a component's memory: then what it compiled holds the whole image.
fn is_mapped_by_wasmtime(component: &[u8]) -> bool {
    let engine = wasmtime::Engine::default();
    let compiled = engine.precompile_component(component).unwrap();
    let range_bytes = memory_images(component).unwrap()[0].range_bytes;
    compiled.len() as u64 >= range_bytes
}

const MIB: usize = 1 << 20;

#[test]
fn wasmtime_maps_what_is_dense_or_small() {
    for (segments, is_mapped) in [
        (&[(64, 20 * MIB)][..], true),
        (&[(0, 11 * MIB), (19 << 20, MIB)], true),
        (&[(0, MIB), (15 << 20, MIB / 2)], true),
        (&[(0, MIB), (16 << 20, 1)], false),
        (&[(4096, 5 * MIB), (19 << 20, 5 * MIB)], false),
    ] {
        let component = component(segments);
        let images = memory_images(&component).unwrap();
        assert_eq!(images.len(), 1);
        assert_eq!(images[0].is_mapped(), is_mapped, "{segments:?}: {images:?}");
        assert_eq!(is_mapped_by_wasmtime(&component), is_mapped, "{segments:?}");
        let copied = copied_bytes(&component).unwrap();
        assert_eq!(copied > 0, !is_mapped, "{segments:?}");
    }
}

#[test]
fn what_would_be_copied_is_made_dense() {
    let sparse = component(&[
        (4096, MIB),
        (3 << 20, 1000),
        ((3 << 20) + 1003, 1000),
        (20 << 20, MIB),
        (64 << 20, 17),
    ]);
    let dense = densify(sparse.clone()).unwrap();
    wasmparser::validate(&dense).unwrap();
    assert!(is_mapped_by_wasmtime(&dense));
    assert!(memory(&dense) == memory(&sparse), "memory begins as it did");
    let image = memory_images(&dense).unwrap()[0];
    assert_eq!(
        image.data_bytes,
        image.range_bytes / 2 + 1,
        "no more zeros than are needed"
    );
}

#[test]
fn what_is_mapped_stays_as_it_is() {
    let small = component(&[(0, MIB), (15 << 20, 1)]);
    assert_eq!(densify(small.clone()).unwrap(), small);
}

#[test]
fn data_that_is_placed_at_run_time_is_copied() {
    let image = MemoryImage {
        range_bytes: 100,
        data_bytes: 100,
        is_placed: false,
    };
    assert!(!image.is_mapped());
}

#[test]
fn what_is_no_component_is_refused() {
    assert!(copied_bytes(b"not wasm").is_err());
    assert!(densify(b"\0asm".to_vec()).is_err());
    assert_eq!(copied_bytes(&Component::new().finish()).unwrap(), 0);
}
