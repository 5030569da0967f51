//! A program whose global allocator is the teaching allocator: threads, forks, collections, and what is left at the end.
#![allow(unsafe_code)]

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};

use forge_malloc::basic::UnixAllocator;

#[global_allocator]
static ALLOCATOR: UnixAllocator = UnixAllocator::new();

#[test]
fn collections_and_strings_work_and_the_free_blocks_stay_valid() {
    let mut words: HashMap<String, Vec<usize>> = HashMap::new();
    for number in 0..20_000_usize {
        words.entry(format!("word {}", number % 1000)).or_default().push(number);
    }
    assert_eq!(words.values().map(Vec::len).sum::<usize>(), 20_000);
    let sorted: BTreeMap<_, _> = words.into_iter().collect();
    assert_eq!(sorted["word 7"].len(), 20);
    drop(sorted);
    let (validity, stats) = ALLOCATOR.stats();
    assert!(validity.is_valid(), "{validity:?}");
    assert!(stats.length > 0 && stats.size > 0);
}

#[test]
fn an_impossible_request_is_an_error_and_the_next_one_is_served() {
    let mut bytes = Vec::<u8>::new();
    assert!(bytes.try_reserve_exact(isize::MAX as usize).is_err());
    bytes.push(1);
    assert_eq!(bytes, [1]);
}

#[test]
fn values_lie_at_multiples_of_their_alignment() {
    #[repr(align(256))]
    struct Aligned([u8; 300]);
    let values: Vec<_> = (0..64).map(|byte| Box::new(Aligned([byte; 300]))).collect();
    for (byte, value) in (0..).zip(&values) {
        assert_eq!(std::ptr::from_ref(&**value).addr() % 256, 0);
        assert!(value.0.iter().all(|found| *found == byte));
    }
}

/// Each child allocates between the fork and the program that it becomes, while threads of its parent allocate.
#[test]
#[cfg(all(unix, not(miri)))]
fn children_of_a_process_with_threads_can_allocate_at_once() {
    use std::os::unix::process::CommandExt;
    use std::process::Command;
    use std::time::Duration;

    static DONE: AtomicBool = AtomicBool::new(false);

    std::thread::spawn(|| {
        std::thread::sleep(Duration::from_secs(120));
        if !DONE.load(Ordering::Relaxed) {
            eprintln!("a child hangs");
            std::process::abort();
        }
    });
    std::thread::scope(|scope| {
        for size in [24, 700] {
            scope.spawn(move || {
                while !DONE.load(Ordering::Relaxed) {
                    drop(std::hint::black_box(vec![1_u8; size]));
                }
            });
        }
        for _ in 0..200 {
            let mut child = Command::new("true");
            // SAFETY: the closure allocates and frees, which is what this allocator promises to a child.
            unsafe {
                child.pre_exec(|| {
                    drop(std::hint::black_box(vec![2_u8; 100]));
                    drop(std::hint::black_box(String::from("child")));
                    Ok(())
                });
            }
            assert!(child.status().unwrap().success());
        }
        DONE.store(true, Ordering::Relaxed);
    });
}
