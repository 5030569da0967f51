use core::slice;

use super::*;

fn errno() -> c_int {
    OsError::last("test").code()
}

/// Returns what `work` returns and the `errno` that it leaves, which starts as 77.
fn with_errno<R>(work: impl FnOnce() -> R) -> (R, c_int) {
    posix::set_errno(77);
    let result = work();
    (result, errno())
}

/// Sizes from nothing to a mapping of its own.
const SIZES: [usize; 9] = [0, 1, 15, 16, 1000, 4096, 40_000, 1 << 20, 3 << 20];

#[test]
fn every_size_gets_a_block_of_its_own_and_leaves_errno_alone() {
    for size in SIZES {
        let ((first, second), code) = with_errno(|| (malloc(size), malloc(size)));
        assert!(!first.is_null() && first != second && code == 77);
        for block in [first, second] {
            assert_eq!(block.addr() % MIN_ALIGN, 0);
            assert!(malloc_usable_size(block) >= size);
            // SAFETY: each block is freed once.
            let ((), code) = with_errno(|| unsafe { free(block) });
            assert_eq!(code, 77);
        }
    }
}

#[test]
fn impossible_sizes_give_null_and_the_error() {
    let half = isize::MAX as usize;
    for size in [usize::MAX, usize::MAX - 4096, half + 1, half, half - 8] {
        assert_eq!(with_errno(|| malloc(size)), (ptr::null_mut(), NO_MEMORY));
        assert_eq!(with_errno(|| calloc(size, 1)), (ptr::null_mut(), NO_MEMORY));
        assert_eq!(with_errno(|| calloc(size, 16)), (ptr::null_mut(), NO_MEMORY));
        assert_eq!(with_errno(|| valloc(size)), (ptr::null_mut(), NO_MEMORY));
        assert_eq!(with_errno(|| pvalloc(size)), (ptr::null_mut(), NO_MEMORY));
        assert_eq!(with_errno(|| memalign(64, size)), (ptr::null_mut(), NO_MEMORY));
        let mut place = ptr::dangling_mut();
        // SAFETY: the place is written at most.
        assert_eq!(with_errno(|| unsafe { posix_memalign(&raw mut place, 64, size) }), (NO_MEMORY, 77));
        assert_eq!(place, ptr::dangling_mut());
    }
}

#[test]
fn a_failed_realloc_leaves_the_block() {
    let block = malloc(100);
    // SAFETY: the block lives until it is freed to a size of 0.
    unsafe {
        block.write_bytes(7, 100);
        assert_eq!(with_errno(|| realloc(block, usize::MAX)), (ptr::null_mut(), NO_MEMORY));
        assert_eq!(with_errno(|| reallocarray(block, usize::MAX / 2, 3)), (ptr::null_mut(), NO_MEMORY));
        assert_eq!(slice::from_raw_parts(block.cast::<u8>(), 100), [7; 100]);
        assert_eq!(with_errno(|| realloc(block, 0)), (ptr::null_mut(), 77));
    }
}

#[test]
fn zeroed_blocks_are_zero_also_where_memory_was_used_before() {
    for size in SIZES {
        for _ in 0..3 {
            let block = calloc(size, 1).cast::<u8>();
            // SAFETY: the block has these bytes, and is freed once.
            unsafe {
                assert!(slice::from_raw_parts(block, size).iter().all(|&byte| byte == 0));
                block.write_bytes(0xFF, size);
                free(block.cast());
            }
        }
    }
}

#[test]
fn alignments_that_are_no_power_of_two_are_refused() {
    for align in [0, 3, 12, 100, usize::MAX, (1 << 20) + 1] {
        assert_eq!(with_errno(|| memalign(align, 12)), (ptr::null_mut(), INVALID));
        assert_eq!(with_errno(|| aligned_alloc(align, 12)), (ptr::null_mut(), INVALID));
    }
    for align in [0, 1, 2, 3, 4, 12, 24, usize::MAX] {
        let mut place = ptr::dangling_mut();
        // SAFETY: the place is written at most.
        assert_eq!(with_errno(|| unsafe { posix_memalign(&raw mut place, align, 8) }), (INVALID, 77));
        assert_eq!(place, ptr::dangling_mut());
    }
}

#[test]
fn every_alignment_is_kept() {
    for shift in 0..if cfg!(miri) { 13 } else { 27 } {
        let align = 1 << shift;
        for size in [0, 1, 100, 5000, 200_000] {
            for block in [memalign(align, size), aligned_alloc(align, size)] {
                assert!(!block.is_null() && block.addr() % align == 0, "{size} at {align}");
                // SAFETY: the block has these bytes, and is freed once.
                unsafe {
                    block.write_bytes(1, size);
                    free_aligned_sized(block, align, size);
                }
            }
        }
    }
    let blocks = [valloc(1), pvalloc(0), pvalloc(1), pvalloc(page_size() + 1)];
    let least = [1, page_size(), page_size(), 2 * page_size()];
    for (block, least) in blocks.into_iter().zip(least) {
        assert_eq!(block.addr() % page_size(), 0);
        assert!(malloc_usable_size(block) >= least);
        // SAFETY: each block is freed once.
        unsafe { cfree(block) };
    }
}

#[test]
fn all_that_is_usable_is_kept_by_realloc() {
    for size in SIZES {
        let block = malloc(size);
        let usable = malloc_usable_size(block);
        // SAFETY: all usable bytes may be written; each block is freed once.
        unsafe {
            block.write_bytes(7, usable);
            let moved = realloc(block, 2 * usable + 1).cast::<u8>();
            assert!(slice::from_raw_parts(moved, usable).iter().all(|&byte| byte == 7));
            // The fast profile does not look at the size.
            free_sized(moved.cast(), if cfg!(feature = "hardened") { 2 * usable + 1 } else { 1 });
        }
    }
}

#[test]
fn null_is_nothing() {
    // SAFETY: null is allowed.
    unsafe {
        free(ptr::null_mut());
        cfree(ptr::null_mut());
        free_sized(ptr::null_mut(), 5);
        free_aligned_sized(ptr::null_mut(), 64, 5);
        let block = realloc(ptr::null_mut(), 0);
        assert!(!block.is_null(), "realloc of null is malloc");
        free(block);
    }
    assert_eq!(malloc_usable_size(ptr::null_mut()), 0);
}

#[test]
fn hints_are_taken_and_promises_are_not() {
    assert_eq!([1, -1, -2, -3, -4, -7, -8].map(|parameter| mallopt(parameter, 1)), [1; 7]);
    assert_eq!([-5, -6, 0, 99].map(|parameter| mallopt(parameter, 1)), [0; 4]);
}

#[test]
fn the_numbers_are_those_of_the_heap() {
    let block = malloc(5 << 20);
    let (wide, narrow) = (mallinfo2(), mallinfo());
    assert!(wide.uordblks >= 5 << 20 && wide.arena >= wide.uordblks && wide.usmblks >= 5 << 20);
    assert!(narrow.uordblks >= 5 << 20);
    // SAFETY: the block is freed once.
    unsafe { free(block) };
    assert!((0..20).any(|_| malloc_trim(0) == 1) || mallinfo2().keepcost < 5 << 20);
}
