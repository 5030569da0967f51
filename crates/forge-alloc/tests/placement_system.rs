//! What the operating system itself reports about placed mappings: advice and huge pages, policies and nodes.
//!
//! Each test says why it is skipped where the machine cannot show what it is about.
#![cfg(all(target_os = "linux", feature = "std", not(miri)))]
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "support/kernel.rs"]
#[allow(dead_code, reason = "the other half is for the tests of guards")]
mod kernel;
#[path = "support/refused.rs"]
mod refused;
#[allow(dead_code, reason = "no test here needs a process of its own")]
mod support;

use std::fs;
use std::ptr::NonNull;

use forge_alloc::{
    Allocator, FixedRange, HugePageAligned, LockedMmapBacked, MmapBacked, MmapFlags, NodeSet, NonZeroLayout,
    NumaLocal, NumaPolicy, OsBacked, OsError, current_numa_node, last_os_failure, page_size,
};
use forge_os::{NodeMask, NumaMode, numa_policy};
use kernel::{has, kib, smaps, vm_flags};
use refused::refused;

/// A huge page of the tests, in bytes.
const HUGE: usize = 2 << 20;

/// Returns a mapping with room for more than two huge pages, wrapped, or says why there is none.
fn huge() -> Option<HugePageAligned<MmapBacked>> {
    if support::agrees_to_anything() {
        return None;
    }
    match HugePageAligned::request(MmapBacked::new(4 * HUGE).unwrap(), HUGE) {
        Ok(huge) => Some(huge),
        Err(refused) => {
            assert_eq!(refused, OsError::unsupported("madvise(MADV_HUGEPAGE)"));
            eprintln!("skipped: {refused}");
            None
        }
    }
}

/// Returns whether the administrator's setting is among `settings`, and says so if not.
fn setting_is(settings: &[&str]) -> bool {
    let current = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
    let is = settings.iter().any(|setting| current.contains(&format!("[{setting}]")));
    if !is {
        eprintln!("skipped: transparent huge pages are set to {current}");
    }
    is
}

#[test]
fn huge_pages_are_asked_for_by_mapping() {
    let outside = MmapBacked::new(4 * HUGE).unwrap();
    let Some(huge) = huge() else { return };
    // SAFETY: the last byte is inside the mapping.
    let last = unsafe { huge.base_ptr().add(huge.region_size() - 1) };
    for end in [huge.base_ptr(), last] {
        let Some(flags) = vm_flags(end) else { return };
        assert!(has(&flags, "hg"), "{flags:?}");
    }
    for elsewhere in [outside.base_ptr(), NonNull::from(&outside).cast()] {
        let Some(flags) = vm_flags(elsewhere) else { return };
        assert!(!has(&flags, "hg"), "the process is left alone: {flags:?}");
    }
}

#[test]
fn a_touched_block_lies_on_huge_pages() {
    let Some(huge) = huge() else { return };
    if !setting_is(&["always", "madvise"]) {
        return;
    }
    let layout = NonZeroLayout::from_size_align(HUGE, 8).unwrap();
    let block = huge.allocate(layout).unwrap().cast::<u8>();
    assert_eq!(block.addr().get() % HUGE, 0);
    // SAFETY: the block is live, and this long.
    unsafe { block.write_bytes(1, HUGE) };
    let Some(lines) = smaps(block) else { return };
    if kib(&lines, "AnonHugePages:") < HUGE >> 10 {
        // No fault of the request, and rare: the kernel makes room for who asks.
        eprintln!("skipped: the machine has no huge page left");
    }
}

#[test]
fn a_plain_mapping_gets_no_huge_page_where_it_has_to_be_asked_for() {
    if !setting_is(&["madvise"]) {
        return;
    }
    let plain = MmapBacked::new(4 * HUGE).unwrap();
    // SAFETY: the range is writable, and nothing else uses it.
    unsafe { plain.base_ptr().write_bytes(1, plain.region_size()) };
    let Some(lines) = smaps(plain.base_ptr()) else { return };
    assert_eq!(kib(&lines, "AnonHugePages:"), 0);
}

#[test]
fn a_release_gives_whole_huge_pages_back() {
    let Some(huge) = huge() else { return };
    let base = huge.base_ptr();
    // SAFETY: the range is writable, and nothing else uses it.
    unsafe { base.write_bytes(1, huge.region_size()) };
    // SAFETY: no block is live.
    unsafe { huge.release_pages(base.add(page_size()), huge.region_size() - page_size()) };
    let start = (base.addr().get() + page_size()).next_multiple_of(HUGE) - base.addr().get();
    let end = start + (huge.region_size() - start) / HUGE * HUGE;
    assert!(end - start >= 2 * HUGE);
    for offset in (0..huge.region_size()).step_by(page_size()) {
        // SAFETY: the byte is inside the mapping.
        let byte = unsafe { base.add(offset).read() };
        assert_eq!(byte == 0, (start..end).contains(&offset), "a part of a huge page stays");
    }
}

fn mmap() -> MmapBacked {
    MmapBacked::new(64 * page_size()).unwrap()
}

fn mask(nodes: NodeSet) -> NodeMask {
    let mut mask = NodeMask::new();
    assert!(nodes.iter().all(|node| mask.insert(node)));
    mask
}

/// Returns the node of this thread, or says why mappings cannot be placed on it.
fn node() -> Option<u32> {
    let node = current_numa_node().unwrap_or(0);
    match NumaLocal::bind(mmap(), NumaPolicy::Preferred(node)) {
        Ok(_) => Some(node),
        Err(refused) => {
            assert!(["mbind", "get_mempolicy"].contains(&refused.call()), "{refused}");
            eprintln!("skipped: {refused}");
            None
        }
    }
}

/// Returns the kernel's line about the placement of the mapping that contains `ptr`, or says that there is none.
fn numa_map(ptr: NonNull<u8>) -> Option<String> {
    let Ok(maps) = fs::read_to_string("/proc/self/numa_maps") else {
        eprintln!("skipped: this system has no /proc/self/numa_maps");
        return None;
    };
    let starts_before = |line: &&str| {
        let start = line.split(' ').next().and_then(|start| usize::from_str_radix(start, 16).ok());
        start.is_some_and(|start| start <= ptr.addr().get())
    };
    Some(maps.lines().take_while(starts_before).last().expect("the mapping is listed").to_owned())
}

#[test]
fn the_kernel_reports_each_policy_and_where_the_pages_are() {
    let Some(node) = node() else { return };
    let nodes = NodeSet::single(node).unwrap();
    for (policy, mode, word) in [
        (NumaPolicy::Bind(nodes), NumaMode::Bind, "bind"),
        (NumaPolicy::Preferred(node), NumaMode::Preferred, "prefer"),
        (NumaPolicy::Interleaved(nodes), NumaMode::Interleave, "interleave"),
    ] {
        let local = NumaLocal::new(mmap(), policy.clone()).unwrap();
        assert_eq!(local.policy(), &policy);
        assert_eq!(numa_policy(local.base()), Ok((Some(mode), mask(nodes))));
        // SAFETY: the range is writable, and nothing else uses it.
        unsafe { local.base().write_bytes(1, local.size()) };
        let Some(line) = numa_map(local.base()) else { return };
        assert!(line.contains(&format!(" {word}")), "{line}");
        assert!(line.contains(&format!(":{node} ")), "{line}");
        assert!(line.contains(&format!(" N{node}=")), "{line}");
    }
}

#[test]
fn a_node_that_the_kernel_drops_silently_is_an_error() {
    let Some(node) = node() else { return };
    let absent = NodeSet::single(node).and_then(|nodes| nodes.with(1023)).unwrap();
    for policy in [NumaPolicy::Bind(absent), NumaPolicy::Interleaved(absent), NumaPolicy::Preferred(1023)] {
        assert!(NumaLocal::new(mmap(), policy).is_err());
        let refused = last_os_failure().unwrap();
        assert_eq!(refused, OsError::invalid_argument("mbind"));
        assert!(refused.to_string().contains("/sys/devices/system/node/online"), "{refused}");
    }
}

#[test]
fn pages_that_exist_are_no_obstacle() {
    let Some(node) = node() else { return };
    let mut flags = MmapFlags::NONE;
    flags.populate = true;
    let populated = MmapBacked::map(64 * page_size(), flags).unwrap();
    assert!(NumaLocal::bind(populated, NumaPolicy::Bind(NodeSet::single(node).unwrap())).is_ok());
    match LockedMmapBacked::map(page_size()) {
        Ok(locked) => assert!(NumaLocal::bind(locked, NumaPolicy::Preferred(node)).is_ok()),
        Err(refused) => eprintln!("skipped: {refused}"),
    }
}

#[test]
fn the_policy_is_of_the_mapping_and_no_other() {
    let Some(node) = node() else { return };
    let outside = mmap();
    let local = NumaLocal::bind(mmap(), NumaPolicy::Preferred(node)).unwrap();
    for elsewhere in [outside.base(), NonNull::from(&local).cast()] {
        assert_eq!(numa_policy(elsewhere), Ok((None, NodeMask::new())));
    }
}

#[test]
fn both_wrappers_hold_on_one_mapping() {
    let (Some(_), Some(node)) = (huge(), node()) else { return };
    let local = NumaLocal::bind(MmapBacked::new(4 * HUGE).unwrap(), NumaPolicy::Preferred(node)).unwrap();
    let both = HugePageAligned::request(local, HUGE).unwrap();
    assert!(both.is_native());
    assert_eq!(numa_policy(both.base_ptr()).map(|(mode, _)| mode), Ok(Some(NumaMode::Preferred)));
    assert!(vm_flags(both.base_ptr()).is_none_or(|flags| has(&flags, "hg")));
}

#[test]
fn a_container_that_forbids_policies_gets_an_error_that_says_so() {
    let Some(node) = node() else { return };
    let place = || NumaLocal::new(mmap(), NumaPolicy::Preferred(node)).err().and_then(|_| last_os_failure());
    for (number, call) in [(libc::SYS_mbind, "mbind"), (libc::SYS_get_mempolicy, "get_mempolicy")] {
        for code in [libc::EPERM, libc::ENOSYS] {
            let Some(reason) = refused(number, None, code, place) else { return };
            assert_eq!(reason.map(|reason| (reason.call(), reason.code())), Some((call, code)));
        }
    }
    let Some(reason) = refused(libc::SYS_mbind, None, libc::EPERM, place) else { return };
    assert!(reason.is_some_and(|reason| reason.to_string().contains("a container profile blocks mbind")));
}

#[test]
fn a_system_that_refuses_the_advice_gets_an_error_that_says_so() {
    if huge().is_none() {
        return;
    }
    let advice = Some((2, libc::MADV_HUGEPAGE as u32));
    let reason = refused(libc::SYS_madvise, advice, libc::EINVAL, || {
        assert!(HugePageAligned::new(MmapBacked::new(4 * HUGE).unwrap()).is_none());
        last_os_failure()
    });
    let Some(reason) = reason else { return };
    assert_eq!(reason, Some(OsError::invalid_argument("madvise(MADV_HUGEPAGE)")));
}

#[test]
fn misplaced_pages_are_moved_or_the_error_says_that_they_cannot_be() {
    /// `MPOL_MF_STRICT` and the index of the argument that it is: report misplaced pages.
    const REPORT: (u32, u32) = (5, 1);
    let Some(node) = node() else { return };
    let nodes = NodeSet::single(node).unwrap();
    let place = |argument, policy: NumaPolicy| {
        refused(libc::SYS_mbind, argument, libc::EIO, || NumaLocal::bind(mmap(), policy).err())
    };
    for policy in [NumaPolicy::Bind(nodes), NumaPolicy::Interleaved(nodes), NumaPolicy::Preferred(node)] {
        let Some(moved) = place(Some(REPORT), policy.clone()) else { return };
        assert_eq!(moved, None, "moving them was allowed");
        let Some(stuck) = place(None, policy) else { return };
        assert_eq!(stuck.map(|reason| (reason.call(), reason.code())), Some(("mbind", libc::EIO)));
    }
}
