use core::ptr;

use super::*;

#[test]
fn every_new_is_aligned_and_every_delete_takes_every_block() {
    // SAFETY: each block is freed once.
    unsafe {
        let blocks = [
            (new_one(0), 16),
            (new_array(100), 16),
            (new_aligned(100, 64), 64),
            (new_array_aligned(1, 4096), 4096),
            (new_nothrow(24, ptr::null()), 16),
            (new_array_nothrow(2 << 20, ptr::null()), 16),
            (new_aligned_nothrow(8, 8, ptr::null()), 16),
            (new_array_aligned_nothrow(8, 1 << 20, ptr::null()), 1 << 20),
        ];
        for (block, align) in blocks {
            assert_eq!((block.is_null(), block.addr() % align), (false, 0));
        }
        let deletes: [unsafe extern "C-unwind" fn(*mut c_void); 2] = [delete_one, delete_array];
        for ((block, _), delete) in blocks.into_iter().zip(deletes.into_iter().cycle()) {
            delete(block);
        }
        delete_sized(new_one(5), 5);
        delete_array_sized(new_one(5), 5);
        delete_aligned(new_one(5), 8);
        delete_array_aligned(new_one(5), 8);
        delete_sized_aligned(new_one(5), 5, 8);
        delete_array_sized_aligned(new_one(5), 5, 8);
        delete_nothrow(new_one(5), ptr::null());
        delete_array_nothrow(new_one(5), ptr::null());
        delete_aligned_nothrow(new_one(5), 8, ptr::null());
        delete_array_aligned_nothrow(ptr::null_mut(), 8, ptr::null());
        assert!(new_nothrow(usize::MAX, ptr::null()).is_null());
        assert!(new_aligned_nothrow(1, 24, ptr::null()).is_null(), "no power of two");
    }
}
