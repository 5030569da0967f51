use core::cell::Cell;

use crate::HeapSource;
use crate::cache::SlabCache;
use crate::cache::locks::NoLock;

struct Inner {
    flag: bool,
    letter: char,
}

struct Outer {
    inner: Inner,
    cells: [Cell<u32>; 3],
    nothing: Option<core::ptr::NonNull<u8>>,
}

crate::zeroable!(Inner { flag, letter });
crate::zeroable!(Outer { inner, cells, nothing });

#[test]
fn a_struct_of_zeroable_fields_is_made_of_zeros() {
    let cache = SlabCache::<Outer, NoLock, 1024, _>::new_in(HeapSource::new()).unwrap();
    drop(cache.alloc_value(Outer {
        inner: Inner { flag: true, letter: 'x' },
        cells: [Cell::new(1), Cell::new(2), Cell::new(3)],
        nothing: Some(core::ptr::NonNull::dangling()),
    }));
    let zeros = cache.alloc().unwrap();
    assert_eq!((zeros.inner.flag, zeros.inner.letter), (false, '\0'));
    assert!(zeros.cells.iter().all(|cell| cell.get() == 0) && zeros.nothing.is_none());
}
