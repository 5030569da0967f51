//! Standard collections over `StdCompat`, for every mirror of the std allocator trait that is enabled.
#![cfg(any(
    feature = "allocator-api2-02",
    feature = "allocator-api2-03",
    feature = "allocator-api2-04",
    feature = "nightly"
))]
#![cfg_attr(feature = "nightly", feature(allocator_api))]
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::cell::{Cell, RefCell};
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use forge_alloc_core::{
    AllocError, Allocator, Deallocator, NonZeroLayout, StableAddress, StdCompat, align_up,
};

/// A bump allocator that counts its live blocks and insists that each is freed with the layout that it has.
///
/// It returns more than was asked, so that a caller who takes the slack for its own is caught by the layout check.
#[derive(Debug)]
struct Pool {
    /// A leaked box, freed on drop, so that no box asserts that it alone reaches the bytes.
    memory: NonNull<[MaybeUninit<u128>]>,
    used: Cell<usize>,
    live: RefCell<Vec<(NonNull<u8>, NonZeroLayout)>>,
}

impl Pool {
    fn new() -> Self {
        let memory = Box::leak(Box::new_uninit_slice(1 << 14));
        Self { memory: NonNull::from(memory), used: Cell::new(0), live: RefCell::default() }
    }

    fn live(&self) -> usize {
        self.live.borrow().len()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // SAFETY: the pointer is a leaked box of this type, and no block is used any more.
        drop(unsafe { Box::from_raw(self.memory.as_ptr()) });
    }
}

// SAFETY: a block is only noted as freed; its memory is not handed out again.
unsafe impl Deallocator for Pool {
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        let mut live = self.live.borrow_mut();
        let index = live.iter().position(|block| *block == (ptr, layout));
        let Some(index) = index else {
            panic!("a block is freed that is not live, or with a layout that is not its own")
        };
        live.swap_remove(index);
    }
}

// SAFETY: the cursor hands every byte of the buffer out once.
unsafe impl Allocator for Pool {
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        let base = self.memory.cast::<u8>();
        let address = base.addr().get();
        let start = align_up(address + self.used.get(), layout.align().get()) - address;
        let len = layout.size().get().checked_add(16).ok_or(AllocError)?;
        let end = start.checked_add(len).ok_or(AllocError)?;
        if end > self.memory.len() * size_of::<u128>() {
            return Err(AllocError);
        }
        self.used.set(end);
        // SAFETY: `start` lies in the buffer.
        let ptr = unsafe { base.add(start) };
        self.live.borrow_mut().push((ptr, layout));
        Ok(NonNull::slice_from_raw_parts(ptr, len))
    }
}

// SAFETY: the blocks lie in a heap buffer, which is reached through a raw pointer only; the type is not `Clone`.
unsafe impl StableAddress for Pool {}

/// Runs one body of tests per mirror; `$mirror` has the `alloc`, `boxed` and `vec` modules.
macro_rules! over {
    ($name:ident, $($path:tt)+) => {
        mod $name {
            use super::*;
            use $($path)+::alloc::Allocator as _;
            use $($path)+::{boxed::Box, vec::Vec};

            #[test]
            fn a_growing_vec_keeps_its_elements_and_frees_its_blocks() {
                let pool = Pool::new();
                let mut list = Vec::new_in(StdCompat::new(&pool));
                list.extend(0..1000u32);
                list.truncate(100);
                list.shrink_to_fit();
                assert!(list.iter().copied().eq(0..100));
                list.clear();
                list.shrink_to_fit();
                assert_eq!(pool.live(), 0);
                list.push(7);
                assert_eq!(pool.live(), 1);
                drop(list);
                assert_eq!(pool.live(), 0);
            }

            #[test]
            fn text_grows_byte_by_byte() {
                let pool = Pool::new();
                let mut text: Vec<u8, _> = Vec::new_in(StdCompat::new(&pool));
                for word in ["one ", "two ", "three"] {
                    text.extend_from_slice(word.as_bytes());
                }
                assert_eq!(core::str::from_utf8(&text), Ok("one two three"));
                drop(text);
                assert_eq!(pool.live(), 0);
            }

            #[test]
            fn a_moved_collection_takes_its_allocator_with_it() {
                let mut list = Vec::new_in(StdCompat::new(Pool::new()));
                list.push(std::string::String::from("first"));
                let mut moved = std::boxed::Box::new(list);
                moved.push(std::string::String::from("second"));
                assert_eq!(moved.as_slice(), ["first", "second"]);
                assert_eq!(moved.allocator().inner().live(), 1);
            }

            #[test]
            fn boxes_of_all_sizes_and_alignments_come_and_go() {
                #[repr(align(256))]
                struct Wide(u8);
                let pool = Pool::new();
                let bridge = StdCompat::new(&pool);
                let wide = Box::new_in(Wide(3), bridge);
                let unit = Box::new_in((), bridge);
                let nested = Box::new_in(Box::new_in([1u64; 20], bridge), bridge);
                assert_eq!((&raw const *wide).addr() % 256, 0);
                assert_eq!((wide.0, *unit, nested[19], pool.live()), (3, (), 1, 3));
                drop((wide, unit, nested));
                assert_eq!(pool.live(), 0);
            }

            #[test]
            fn a_list_of_nothing_needs_no_memory() {
                let pool = Pool::new();
                let mut list = Vec::new_in(StdCompat::new(&pool));
                list.resize(50, ());
                assert_eq!((list.len(), pool.live()), (50, 0));
            }

            #[test]
            fn a_resize_may_change_the_alignment() {
                let pool = Pool::new();
                let bridge = StdCompat::new(&pool);
                let [small, wide] = [(5, 1), (70, 512)].map(|(s, a)| Layout::from_size_align(s, a).unwrap());
                // SAFETY: every block is passed on with the layout that it has.
                unsafe {
                    let block = bridge.allocate(small).unwrap();
                    block.cast::<u8>().write_bytes(9, 5);
                    let block = bridge.grow_zeroed(block.cast(), small, wide).unwrap();
                    assert_eq!((block.len(), block.cast::<u8>().addr().get() % 512), (70, 0));
                    assert_eq!(block.as_ref()[..8], [9, 9, 9, 9, 9, 0, 0, 0]);
                    let block = bridge.shrink(block.cast(), wide, small).unwrap();
                    assert_eq!(*block.as_ref(), [9; 5]);
                    bridge.deallocate(block.cast(), small);
                }
                assert_eq!(pool.live(), 0);
            }

            #[test]
            fn exhaustion_is_an_error_and_errors_convert() {
                let pool = Pool::new();
                let mut list: Vec<u8, _> = Vec::new_in(StdCompat::new(&pool));
                assert!(list.try_reserve(1 << 20).is_err());
                assert!(list.try_reserve(isize::MAX as usize).is_err());
                let theirs = $($path)+::alloc::AllocError::from(AllocError);
                assert_eq!(AllocError::from(theirs), AllocError);
            }
        }
    };
}

#[cfg(feature = "allocator-api2-02")]
over!(allocator_api2_of_0_2, allocator_api2_02);
#[cfg(feature = "allocator-api2-03")]
over!(allocator_api2_of_0_3, allocator_api2_03);
#[cfg(feature = "allocator-api2-04")]
over!(allocator_api2_of_0_4, allocator_api2_04);
#[cfg(feature = "nightly")]
over!(standard_library, std);

#[cfg(feature = "allocator-api2-02")]
mod tables {
    use hashbrown::{DefaultHashBuilder, HashMap, HashSet};

    use super::{Pool, StdCompat};

    #[test]
    fn a_table_frees_with_the_size_that_the_allocator_knows() {
        let pool = Pool::new();
        let mut set = HashSet::<u16, DefaultHashBuilder, _>::new_in(StdCompat::new(&pool));
        for value in 0..500 {
            assert!(set.insert(value));
        }
        set.retain(|value| value % 3 == 0);
        set.shrink_to_fit();
        assert_eq!((set.len(), pool.live()), (167, 1));
        assert!(set.contains(&498) && !set.contains(&499));
        drop(set);
        assert_eq!(pool.live(), 0);
    }

    #[test]
    fn a_cloned_map_shares_the_allocator_behind_the_reference() {
        let pool = Pool::new();
        let mut map = HashMap::<String, usize, DefaultHashBuilder, _>::new_in(StdCompat::new(&pool));
        for value in 0..50 {
            map.insert(value.to_string(), value);
        }
        let copy = map.clone();
        map.clear();
        drop(map);
        assert_eq!((copy.get("49"), pool.live()), (Some(&49), 1));
        drop(copy);
        assert_eq!(pool.live(), 0);
    }

    #[test]
    fn an_owned_allocator_moves_with_its_map() {
        let mut map = HashMap::<u8, u8, DefaultHashBuilder, _>::new_in(StdCompat::new(Pool::new()));
        map.insert(1, 2);
        let mut moved = Box::new(map);
        moved.extend((2..100).map(|key| (key, key + 1)));
        assert!((1..100).all(|key| moved.get(&key) == Some(&(key + 1))));
    }
}
