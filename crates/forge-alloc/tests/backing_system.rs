//! What the operating system itself reports about the mappings of the backings: flags, residency, policy, guards.
#![cfg(all(unix, feature = "std", not(miri)))]
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "support/kernel.rs"]
#[allow(dead_code, reason = "the other half is for the tests of guards")]
mod kernel;
mod support;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::ptr::NonNull;

use forge_alloc::{
    FixedRange, HugePageBacked, LockedMmapBacked, MmapBacked, MmapFlags, OsBacked, current_numa_node,
    last_os_failure, page_size,
};
use kernel::{has, kib, smaps, vm_flags};

/// Returns how many of `len` bytes at `ptr`, a multiple of the page size, are in physical memory.
///
/// The lines of `smaps` would not do: the kernel may merge neighbouring mappings into one entry.
fn resident(ptr: NonNull<u8>, len: usize) -> usize {
    let mut pages = vec![0_u8; len.div_ceil(page_size())];
    // SAFETY: the range is mapped, and there is one byte for each of its pages.
    let result = unsafe { libc::mincore(ptr.as_ptr().cast(), len, pages.as_mut_ptr().cast()) };
    assert_eq!(result, 0, "mincore: {}", std::io::Error::last_os_error());
    pages.iter().filter(|&&page| page & 1 != 0).count() * page_size()
}

fn flags(set: impl FnOnce(&mut MmapFlags)) -> MmapFlags {
    let mut flags = MmapFlags::NONE;
    set(&mut flags);
    flags
}

#[test]
fn locked_memory_is_locked_not_dumped_and_wiped_on_fork() {
    let backing = LockedMmapBacked::map(page_size()).expect("one page may be locked");
    let Some(flags) = vm_flags(backing.base()) else { return };
    assert!(has(&flags, "lo"), "{flags:?}");
    if support::agrees_to_anything() {
        return;
    }
    assert_eq!(has(&flags, "dd"), backing.is_kept_from_dumps(), "{flags:?}");
    assert_eq!(has(&flags, "wf"), backing.is_wiped_on_fork(), "{flags:?}");
    let base = backing.base();
    drop(backing);
    let still_locked = fs::read_to_string("/proc/self/status").is_ok_and(|text| {
        let locked = text.lines().find_map(|line| line.strip_prefix("VmLck:"));
        locked.is_some_and(|line| !line.trim().starts_with("0 "))
    });
    assert!(!still_locked, "the lock at {base:?} ended with its owner");
}

#[test]
fn huge_pages_are_asked_for_on_an_aligned_mapping() {
    let pretended = support::agrees_to_anything();
    match MmapBacked::map(8 << 20, flags(|flags| flags.huge_pages = true)) {
        Ok(backing) => {
            assert_eq!(backing.base().addr().get() % (2 << 20), 0);
            let Some(flags) = vm_flags(backing.base()) else { return };
            assert!(pretended || has(&flags, "hg"), "{flags:?}");
        }
        Err(error) => assert!(error.is_unsupported(), "{error}"),
    }
}

#[test]
fn plain_memory_is_not_advised_locked_or_resident() {
    let backing = MmapBacked::new(8 << 20).unwrap();
    assert_eq!(resident(backing.base(), 8 << 20), 0);
    let Some(flags) = vm_flags(backing.base()) else { return };
    assert!(has(&flags, "rd") && has(&flags, "wr") && !has(&flags, "ex"));
    for absent in ["lo", "dd", "wf", "hg", "nr"] {
        assert!(!has(&flags, absent), "{absent} in {flags:?}");
    }
}

#[test]
fn lazy_memory_is_not_counted_against_the_overcommit_limit() {
    let backing = MmapBacked::new_lazy(1 << 30).unwrap();
    let Some(flags) = vm_flags(backing.base()) else { return };
    assert!(has(&flags, "nr"), "{flags:?}");
    assert_eq!(backing.commit(0, 1 << 30), Ok(()));
}

#[test]
fn populated_memory_is_resident_at_once_whatever_else_is_asked_for() {
    if support::agrees_to_anything() {
        return;
    }
    let plain = flags(|flags| flags.populate = true);
    let placed = flags(|flags| (flags.populate, flags.numa_node) = (true, current_numa_node()));
    let huge = flags(|flags| (flags.populate, flags.huge_pages) = (true, true));
    for wanted in [plain, placed, huge] {
        let backing = match MmapBacked::map(4 << 20, wanted) {
            Ok(backing) => backing,
            Err(error) => {
                assert!(error.is_unsupported(), "{error}");
                continue;
            }
        };
        assert_eq!(resident(backing.base(), 4 << 20), 4 << 20, "{wanted:?}");
    }
}

#[test]
fn resident_memory_falls_when_pages_are_released() {
    let backing = MmapBacked::new(8 << 20).unwrap();
    // SAFETY: the bytes are exclusively ours.
    unsafe { backing.base().write_bytes(1, 8 << 20) };
    assert_eq!(resident(backing.base(), 8 << 20), 8 << 20);
    // SAFETY: no block is live.
    unsafe { backing.try_release_pages(backing.base(), 6 << 20).unwrap() };
    assert_eq!(resident(backing.base(), 8 << 20), 2 << 20);
    // SAFETY: the bytes are exclusively ours and zero or untouched.
    unsafe {
        assert_eq!(backing.base().read(), 0);
        assert_eq!(backing.base().add(7 << 20).read(), 1);
    }
}

#[test]
fn a_node_binds_the_mapping_and_an_absent_node_is_an_error_that_leaks_nothing() {
    let Some(node) = current_numa_node() else {
        eprintln!("skipped: this system has no NUMA nodes");
        return;
    };
    let backing = match MmapBacked::map(1 << 20, flags(|flags| flags.numa_node = Some(node))) {
        Ok(backing) => backing,
        Err(error) => {
            assert!(error.call() == "mbind", "{error}");
            eprintln!("skipped: {error}");
            return;
        }
    };
    let (mode, nodes) = forge_os::numa_policy(backing.base()).unwrap();
    assert_eq!(mode, Some(forge_os::NumaMode::Bind));
    assert!(nodes.iter().eq([node]));
    for absent in [1023, 1024, u32::MAX] {
        let Err(error) = MmapBacked::map(1 << 20, flags(|flags| flags.numa_node = Some(absent))) else {
            panic!("node {absent} exists?");
        };
        assert!(error.call() == "mbind" && error.is_invalid_argument(), "{error}");
    }
}

/// Runs this test program again as `child`, for the one test `name`, and returns how it ended.
fn run_again(name: &str, child: &str) -> std::process::Output {
    support::only(name).arg("--nocapture").env("FORGE_BACKING_CHILD", child).output().unwrap()
}

#[test]
fn the_guard_and_protected_pages_trap() {
    let Ok(child) = std::env::var("FORGE_BACKING_CHILD") else {
        for child in ["guard", "protected", "neither"] {
            let output = run_again("the_guard_and_protected_pages_trap", child);
            let trapped = matches!(output.status.signal(), Some(libc::SIGSEGV | libc::SIGBUS));
            assert_eq!(trapped, child != "neither", "{child}: {output:?}");
            assert!(trapped || output.status.success(), "{child}: {output:?}");
        }
        return;
    };
    let page = page_size();
    let backing = MmapBacked::map(2 * page, flags(|flags| flags.guard_at_end = true)).unwrap();
    // SAFETY: in the child, the first write is inside the range, and the others are meant to trap.
    unsafe {
        backing.base().add(2 * page - 1).write_volatile(1);
        match child.as_str() {
            "guard" => backing.base().add(2 * page).write_volatile(1),
            "protected" => {
                backing.try_protect(backing.base(), page, forge_alloc::ProtectFlags::READ).unwrap();
                backing.base().write_volatile(1);
            }
            _ => {}
        }
    }
}

#[test]
fn reserved_huge_pages_are_used_where_the_machine_has_them() {
    match HugePageBacked::new(3 << 20) {
        Ok(backing) => {
            assert_eq!(backing.capacity(), 4 << 20);
            // SAFETY: the bytes are exclusively ours.
            unsafe { backing.base().write_bytes(1, 4 << 20) };
            let Some(lines) = smaps(backing.base()) else { return };
            assert_eq!(kib(&lines, "KernelPageSize:"), 2 << 10);
        }
        Err(_) => {
            let failure = last_os_failure().unwrap();
            let wanted = std::env::var_os("FORGE_ALLOC_HUGE_PAGES_AVAILABLE").is_some();
            assert!(!wanted, "huge pages were promised, but {failure}");
            eprintln!("skipped: {failure}");
        }
    }
}
