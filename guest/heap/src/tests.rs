//! Tests of the allocator beside that of the tests.

use super::*;

const SPARE_BYTES: usize = 1 << 20;
const ROOM_BYTES: usize = 256 << 10;

/// Makes a heap of its own for a test, which leaks.
fn heap(room_bytes: usize) -> (&'static Heap, &'static Spare<SPARE_BYTES>) {
    let spare = Box::leak(Box::new(Spare::new()));
    let heap = Box::leak(Box::new(Heap::with_room(spare, room_bytes)));
    (heap, spare)
}

fn bytes(spare: &Spare<SPARE_BYTES>) -> &[u8] {
    // SAFETY: the tests look while they allocate nothing.
    unsafe { &*ptr::from_ref(spare).cast::<[u8; SPARE_BYTES]>() }
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// A block of a heap, filled with a number.
struct Block {
    heap: &'static Heap,
    block: *mut u8,
    layout: Layout,
    fill: u8,
}

impl Block {
    fn new(heap: &'static Heap, layout: Layout, fill: u8) -> Self {
        // SAFETY: the layout is not empty, and the block as long as it says.
        let block = unsafe {
            let block = heap.alloc(layout);
            assert!(!block.is_null());
            block.write_bytes(fill, layout.size());
            block
        };
        assert_eq!(block.addr() % layout.align(), 0);
        Self {
            heap,
            block,
            layout,
            fill,
        }
    }

    fn is_intact(&self) -> bool {
        // SAFETY: as in `new`.
        let bytes = unsafe { std::slice::from_raw_parts(self.block, self.layout.size()) };
        bytes.iter().all(|&byte| byte == self.fill)
    }
}

impl Clone for Block {
    fn clone(&self) -> Self {
        Self::new(self.heap, self.layout, self.fill)
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: the block is allocated with this layout.
        unsafe { self.heap.dealloc(self.block, self.layout) };
    }
}

#[test]
fn blocks_keep_what_is_written_until_they_are_freed() {
    let (heap, _) = heap(0);
    let mut state = 1u32;
    let mut random = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let mut blocks: Vec<Block> = vec![];
    for turn in 0..20_000 {
        let size = 1 + random(2000);
        match random(3) {
            0 if blocks.len() > 100 => {
                let block = blocks.swap_remove(random(blocks.len()));
                assert!(block.is_intact(), "turn {turn}");
            }
            1 if !blocks.is_empty() => {
                let len = blocks.len();
                let block = &mut blocks[random(len)];
                // SAFETY: the block is allocated with this layout.
                block.block = unsafe { heap.realloc(block.block, block.layout, size) };
                let kept = size.min(block.layout.size());
                block.layout = layout(size, block.layout.align());
                // SAFETY: the block is as long as `size`.
                let bytes = unsafe { std::slice::from_raw_parts_mut(block.block, size) };
                assert!(bytes[..kept].iter().all(|&byte| byte == block.fill));
                bytes.fill(block.fill);
            }
            _ if blocks.len() < 200 => {
                let layout = layout(size, 1 << random(8));
                blocks.push(Block::new(heap, layout, turn as u8));
            }
            _ => {}
        }
    }
    assert!(blocks.iter().all(Block::is_intact));
}

#[test]
fn memory_that_is_asked_to_be_zero_is() {
    let (heap, _) = heap(0);
    drop(Block::new(heap, layout(1000, 8), 0xff));
    // SAFETY: the layout is not empty, and the block as long as it says.
    let bytes = unsafe { std::slice::from_raw_parts(heap.alloc_zeroed(layout(1000, 8)), 1000) };
    assert!(bytes.iter().all(|&byte| byte == 0));
}

#[test]
fn without_more_memory_there_is_none() {
    let (heap, _) = heap(0);
    // SAFETY: the layouts are not empty.
    unsafe {
        assert!(heap.alloc(layout(SPARE_BYTES + 1, 1)).is_null());
        assert!(!heap.alloc(layout(SPARE_BYTES / 2, 1)).is_null());
    }
}

#[test]
fn what_is_kept_lies_side_by_side_and_all_else_is_wiped() {
    let (heap, spare) = heap(ROOM_BYTES);
    let passed = Block::new(heap, layout(5000, 1), 1);
    let mut value = Vec::new();
    for fill in 2..12 {
        drop(Block::new(heap, layout(3000, 4), 0xff));
        value.push(Block::new(heap, layout(7, 1), fill));
    }
    drop(passed);
    let kept = heap.keep(value);
    let expected = Vec::from_iter((2..12).flat_map(|fill| [fill; 7]));
    assert_eq!(bytes(spare)[..70], expected);
    assert!(bytes(spare)[70..].iter().all(|&byte| byte == 0));

    let next = Block::new(heap, layout(100, 16), 0xee);
    let offset = next.block.addr() - bytes(spare).as_ptr().addr();
    assert!(offset < 200, "what is free of the room is used: {offset}");
    drop(kept);
    assert_eq!(bytes(spare)[..70], expected, "what is kept is never freed");
    assert!(next.is_intact());
}

#[test]
fn what_does_not_fit_the_room_is_kept_elsewhere() {
    let (heap, spare) = heap(1000);
    let big = Block::new(heap, layout(1001, 1), 3);
    let kept = heap.keep(vec![big.clone(), Block::new(heap, layout(9, 1), 4)]);
    drop(big);
    assert!(kept.iter().all(Block::is_intact));
    assert_eq!(bytes(spare)[..9], [4; 9]);
}
