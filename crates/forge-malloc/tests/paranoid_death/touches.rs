//! Touching what is not a block's: beside it, after it, in what is empty, in what describes it.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::ptr;
use std::thread;

use forge_malloc::paranoid::ParanoidMalloc;

use crate::child::{End, ended};
use crate::{BEHIND, Bare, FRONT, SIZES, ends, give, layout, take};

const HEAP: ParanoidMalloc = ParanoidMalloc::new();

/// Writes the byte at a distance from a block, and one that was not there before.
fn spoil(block: *mut u8, distance: isize) {
    let target = block.wrapping_offset(distance);
    // SAFETY: none; that is the misuse.
    unsafe { target.write_volatile(target.read_volatile() ^ 0x41) };
}

#[test]
fn an_overflow_by_stores() {
    ends(
        |from, size| {
            let block = take(from, size);
            (0..32).for_each(|over| spoil(block, (size + over) as isize));
        },
        |_| End::Faults,
    );
    for over in [1, 8, 16, 32, 1 << 20] {
        for size in SIZES {
            let end = ended(|| {
                let block = take(&HEAP, size);
                // SAFETY: none; that is the misuse.
                (0..over).for_each(|byte| unsafe { block.add(size + byte).write_volatile(1) });
            });
            assert_eq!(end, End::Faults, "{over} over {size}");
        }
    }
}

#[test]
fn an_overflow_by_one_byte_alone_at_each_distance() {
    for over in [0, 7, 15, 31, 4095] {
        for size in SIZES {
            let end = ended(|| spoil(take(&HEAP, size), (size + over) as isize));
            assert_eq!(end, End::Faults, "{over} over {size}");
        }
    }
}

#[test]
fn an_overflow_by_copying_and_filling() {
    ends(
        // SAFETY: none; that is the misuse.
        |from, size| unsafe { black_box(take(from, size)).write_bytes(1, black_box(size + 32)) },
        |_| End::Faults,
    );
    ends(
        |from, size| {
            let source = vec![1; size + 32];
            // SAFETY: none; that is the misuse.
            unsafe { black_box(take(from, size)).copy_from(source.as_ptr(), black_box(size + 32)) };
        },
        |_| End::Faults,
    );
}

#[test]
fn an_overflow_into_what_the_alignment_leaves_over() {
    // SAFETY: none where that is the misuse.
    let attack = |from: &dyn GlobalAlloc, over: usize| unsafe {
        let layout = Layout::from_size_align(13, 16).unwrap();
        let block = from.alloc(layout);
        spoil(block, (13 + over) as isize);
        from.dealloc(block, layout);
    };
    for over in 0..3 {
        assert_eq!(ended(|| attack(&Bare::new(), over)), End::Survives);
        assert_eq!(ended(|| attack(&HEAP, over)), BEHIND, "{over}");
    }
    assert_eq!(ended(|| attack(&HEAP, 3)), End::Faults);
}

#[test]
fn an_underflow_that_stays_in_the_page() {
    // SAFETY: asks for a number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
    for under in [1, 8, 32, 100, 4000] {
        let attack = |from: &dyn GlobalAlloc, size| {
            let block = take(from, size);
            spoil(block, -under);
            give(from, block, size);
        };
        assert_eq!(ended(|| attack(&Bare::new(), 24)), End::Survives);
        for size in SIZES.into_iter().filter(|&size| size > 0) {
            let lead = size.next_multiple_of(page) - size;
            let expected = if lead >= under as usize { FRONT } else { End::Faults };
            assert_eq!(ended(|| attack(&HEAP, size)), expected, "{under} under {size}");
        }
    }
}

#[test]
fn an_underflow_that_leaves_the_page() {
    ends(
        |from, size| {
            let block = take(from, size);
            (1..=1 << 20).for_each(|under| spoil(block, -under));
        },
        |_| End::Faults,
    );
}

#[test]
fn a_string_without_its_end_is_read_no_further_than_its_block() {
    // SAFETY: none; that is the misuse.
    let length = |size, align| unsafe {
        let block = HEAP.alloc(Layout::from_size_align(size, align).unwrap());
        block.write_bytes(b'x', size);
        libc::strlen(block.cast())
    };
    for size in [1, 13, 17, 100, 4091] {
        assert_eq!(ended(|| assert_eq!(length(size, 16), size)), End::Survives);
        // Behind a block that ends where its page does there is nothing to read.
        assert_eq!(ended(|| assert_eq!(length(size, 1), size)), End::Faults);
    }
}

#[test]
fn a_read_after_the_free() {
    ends(
        |from, size| {
            let block = take(from, size);
            give(from, block, size);
            // SAFETY: none; that is the misuse.
            unsafe { block.read_volatile() };
        },
        |_| End::Faults,
    );
}

#[test]
fn a_write_after_the_free() {
    for at in [0, 8, usize::MAX] {
        for size in SIZES {
            let attack = |from: &dyn GlobalAlloc, size: usize, others: usize| {
                let block = take(from, size);
                give(from, block, size);
                (0..others).for_each(|_| _ = take(from, size));
                spoil(block, at.min(size.saturating_sub(1)) as isize);
            };
            assert_eq!(ended(|| attack(&Bare::new(), 24, 1)), End::Survives);
            assert_eq!(ended(|| attack(&HEAP, size, 0)), End::Faults, "{at} of {size}");
            assert_eq!(ended(|| attack(&HEAP, size, 3)), End::Faults, "{at} of {size}, later");
        }
    }
}

#[test]
fn a_write_after_another_thread_freed() {
    if super::child::is_emulated() {
        return;
    }
    for size in SIZES {
        let end = ended(|| {
            let block = take(&HEAP, size);
            let address = block.expose_provenance();
            thread::spawn(move || give(&HEAP, ptr::with_exposed_provenance_mut(address), size))
                .join()
                .unwrap();
            spoil(block, 0);
        });
        assert_eq!(end, End::Faults, "size {size}");
    }
}

#[test]
fn new_blocks_are_zero_after_dirty_ones() {
    let end = ended(|| {
        for size in [8, 24, 1024, 4096, 16 << 10] {
            let dirty: Vec<_> = (0..4096).map(|_| take(&HEAP, size)).collect();
            // SAFETY: live blocks, written and read within their size, freed once each.
            unsafe {
                dirty.iter().for_each(|block| block.write_bytes(0xdd, size));
                dirty.into_iter().for_each(|block| give(&HEAP, block, size));
                for _ in 0..500 {
                    let block = take(&HEAP, size);
                    assert!((0..size).all(|byte| block.add(byte).read() == 0));
                }
            }
        }
    });
    assert_eq!(end, End::Survives);
}

#[test]
fn a_block_without_a_byte_cannot_be_touched_and_can_be_freed() {
    // SAFETY: none; that is the misuse, in both.
    let read = |from: &dyn GlobalAlloc| unsafe { _ = take(from, 0).read_volatile() };
    // SAFETY: as above.
    let write = |from: &dyn GlobalAlloc| unsafe { take(from, 0).write_volatile(1) };
    for attack in [read, write] {
        assert_eq!(ended(|| attack(&Bare::new())), End::Survives);
        assert_eq!(ended(|| attack(&HEAP)), End::Faults);
    }
    let end = ended(|| {
        let blocks: Vec<_> = (0..100).map(|_| take(&HEAP, 0)).collect();
        for (index, block) in blocks.iter().enumerate() {
            assert!(!blocks[..index].contains(block));
        }
        blocks.into_iter().for_each(|block| give(&HEAP, block, 0));
    });
    assert_eq!(end, End::Survives);
}

#[test]
fn a_block_cannot_be_executed() {
    for size in SIZES {
        let end = ended(|| {
            let block = take(&HEAP, size);
            // SAFETY: none; that is the misuse.
            unsafe {
                block.write_bytes(0xc3, size);
                core::mem::transmute::<*mut u8, extern "C" fn()>(block)();
            }
        });
        assert_eq!(end, End::Faults, "size {size}");
    }
}

/// Returns whether a byte can be read, without reading it here.
fn readable(address: *const u8, pipe: [i32; 2]) -> bool {
    // SAFETY: the system copies the byte or reports that it cannot.
    unsafe {
        let mut byte = 0_u8;
        libc::write(pipe[1], address.cast(), 1) == 1 && libc::read(pipe[0], (&raw mut byte).cast(), 1) == 1
    }
}

#[test]
fn nothing_but_the_block_can_be_read_a_mebibyte_around_it() {
    let end = ended(|| {
        let mut pipe = [0; 2];
        // SAFETY: there is room for two numbers.
        assert_eq!(unsafe { libc::pipe(pipe.as_mut_ptr()) }, 0);
        // A class of slots of its own: what other tests of this process left behind is not here.
        let size = 37 << 12;
        let block = take(&HEAP, size);
        let inside = |distance: isize| (0..size as isize).contains(&distance);
        for distance in (-(1_isize << 20)..1 << 20).step_by(4096) {
            // The metadata of some range may be the next mapping, but never this near.
            let near = distance.abs() < 160 << 10;
            if near || inside(distance) {
                assert_eq!(readable(block.wrapping_offset(distance), pipe), inside(distance), "{distance}");
            }
        }
    });
    assert_eq!(end, End::Survives);
}

#[test]
fn an_impossible_request_is_refused() {
    for align in [1, 16, 4096] {
        for size in [isize::MAX as usize, isize::MAX as usize - 4200, 1 << 62, 1 << 50] {
            let layout = Layout::from_size_align(size & !(align - 1), align).unwrap();
            // SAFETY: the size is not zero.
            assert!(unsafe { HEAP.alloc(layout) }.is_null(), "{layout:?}");
        }
    }
    let aligned = Layout::from_size_align(1, 1 << 62).unwrap();
    // SAFETY: as above.
    assert!(unsafe { HEAP.alloc(aligned) }.is_null());
    let block = take(&HEAP, 24);
    // SAFETY: a live block, which a refusal leaves as it was.
    unsafe {
        block.write(7);
        assert!(HEAP.realloc(block, layout(24), isize::MAX as usize - 7).is_null());
        assert_eq!(block.read(), 7);
    }
    give(&HEAP, block, 24);
}
