//! Tasks: what a kernel names by small numbers.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use forge_alloc::kernel::{BitmapIdAllocator, IdAllocator};

use crate::line;

/// The largest number of tasks at once, not counting the idle task.
const TASKS: usize = 512;

/// Makes tasks, ends some, and checks that their numbers are used again, the lowest first.
pub fn run() {
    let mut ids = BitmapIdAllocator::<forge_alloc::LowestFirst, [u64; 64]>::new();
    assert!(ids.add_range(0, TASKS + 1).is_ok());
    // The idle task has a number of its own.
    assert!(ids.alloc_fixed_id(0).is_ok() && ids.alloc_fixed_id(0).is_err());
    let mut tasks: BTreeMap<usize, String> = BTreeMap::new();
    while let Ok(id) = ids.alloc_id(1, 1) {
        tasks.insert(id, format!("task {id}"));
    }
    assert_eq!((tasks.len(), ids.available()), (TASKS, 0));
    for id in (1..=TASKS).filter(|id| id % 3 == 0) {
        assert_eq!(tasks.remove(&id).as_deref(), Some(format!("task {id}").as_str()));
        ids.dealloc_id(id, 1);
    }
    assert_eq!(ids.alloc_id(1, 1), Ok(3), "the lowest number that is free");
    // A group of four threads has neighbouring numbers, which start at a multiple of four.
    for id in [8, 10, 11] {
        tasks.remove(&id);
        ids.dealloc_id(id, 1);
    }
    assert_eq!(ids.alloc_id(4, 4), Ok(8));
    line!("tasks: {} of {} numbers in use", ids.used(), ids.size());
}
