use std::thread;

use super::*;

#[test]
fn a_thread_has_one_cache_from_its_first_request_to_its_end_and_none_after() {
    thread::spawn(|| {
        assert!(cache_of_thread().is_null());
        let first = with_cache(ptr::from_ref);
        assert!(!ptr::eq(first, &raw const BARE.0));
        assert_eq!(first, with_cache(ptr::from_ref));
        let others = thread::spawn(|| with_cache(|cache| ptr::from_ref(cache).addr()));
        assert_ne!(others.join().unwrap(), first.addr());
        give_cache_back();
        assert_eq!(with_cache(ptr::from_ref), &raw const BARE.0);
        give_cache_back();
        assert_eq!(with_cache(ptr::from_ref), &raw const BARE.0);
    })
    .join()
    .unwrap();
}

#[test]
fn a_thread_without_a_cache_of_its_own_is_served() {
    thread::spawn(|| {
        give_cache_back();
        let layout = core::alloc::Layout::new::<[u64; 100]>();
        // SAFETY: the requests go to the heap, and the block is freed once.
        with_cache(|cache| unsafe {
            let block = cache.allocate(&HEAP, layout);
            block.write_bytes(7, layout.size());
            cache.free(&HEAP, block);
        });
    })
    .join()
    .unwrap();
}
