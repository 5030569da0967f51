//! Attacks on guarded memory, each in a child process that the kernel ends at the access, and what the kernel says about
//! the mappings. Beside each attack, what the same one does to a slab without guards.
#![cfg(all(unix, feature = "std", not(miri)))]
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "support/kernel.rs"]
#[allow(dead_code, reason = "the other half is for the tests of backings")]
mod kernel;
#[allow(dead_code, reason = "the other half is for the tests that need a process of their own")]
mod support;

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use forge_alloc::{
    Allocator, BumpArena, CryptoSlab, Deallocator, FixedRange, GuardPage, GuardedSlab, HardenedSlab,
    LockedMmapBacked, MmapBacked, NonZeroLayout, OffSlab, OsBacked, Slab, StaticBacked, Tracked,
    ZeroizeOnFree, page_size,
};

/// How an attack ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Unnoticed,
    Faulted,
    Other(i32),
}

/// Runs `attack` in a child process, which allocates nothing, and returns how it ended.
fn attack(attack: impl FnOnce()) -> End {
    // SAFETY: the child only touches memory and calls `_exit`, which is allowed after a fork of a threaded process.
    let status = unsafe {
        let child = libc::fork();
        if child == 0 {
            attack();
            libc::_exit(0);
        }
        assert!(child > 0, "fork: {}", std::io::Error::last_os_error());
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
        status
    };
    if libc::WIFSIGNALED(status) && [libc::SIGSEGV, libc::SIGBUS].contains(&libc::WTERMSIG(status)) {
        return End::Faulted;
    }
    if status == 0 { End::Unnoticed } else { End::Other(status) }
}

/// Writes one byte so many bytes from `ptr` in a child process.
fn write_at(ptr: NonNull<u8>, offset: isize) -> End {
    // SAFETY: none; the child is there to die of it.
    attack(|| unsafe { ptr.as_ptr().wrapping_offset(offset).write_volatile(0x41) })
}

/// Reads one byte so many bytes from `ptr` in a child process.
fn read_at(ptr: NonNull<u8>, offset: isize) -> End {
    // SAFETY: none; the child is there to die of it.
    attack(|| unsafe {
        ptr.as_ptr().wrapping_offset(offset).read_volatile();
    })
}

fn layout<T>() -> NonZeroLayout {
    NonZeroLayout::for_type::<T>().unwrap()
}

/// Returns every slot of a slab of values of type `T`.
fn all<T>(slab: &impl Allocator) -> Vec<NonNull<u8>> {
    std::iter::from_fn(|| slab.allocate(layout::<T>()).ok()).map(NonNull::cast).collect()
}

type Value = [u8; 48];

#[test]
fn one_byte_past_the_last_slot_of_a_hardened_slab_faults() {
    for count in [1, 85, 1000] {
        let slab = HardenedSlab::<Value>::with_slots(count).unwrap();
        let last = *all::<Value>(&slab).last().unwrap();
        assert_eq!(
            (write_at(last, 47), write_at(last, 48), read_at(last, 48)),
            (End::Unnoticed, End::Faulted, End::Faulted)
        );
    }
    let slab = HardenedSlab::<Value, _>::with_slots_under(10, Tracked(OffSlab)).unwrap();
    assert_eq!(write_at(*all::<Value>(&slab).last().unwrap(), 48), End::Faulted);

    let plain = Slab::<Value, _>::new(1000, MmapBacked::new(256 << 10).unwrap()).unwrap();
    assert_eq!(write_at(*all::<Value>(&plain).last().unwrap(), 48), End::Unnoticed);
    assert_eq!(write_at(*all::<u64>(&plain).first().unwrap_or(&plain.base()), 200 << 10), End::Unnoticed);
}

#[test]
fn a_run_below_the_region_of_a_hardened_slab_faults_at_the_guard() {
    let slab = HardenedSlab::<Value>::with_slots(1000).unwrap();
    let (first, base) = (all::<Value>(&slab)[0], slab.backing().base());
    let down_to_base = base.addr().get().wrapping_sub(first.addr().get()) as isize;
    assert!(-down_to_base < page_size() as isize, "less than a page lies between the slots and the guard");
    assert_eq!(write_at(first, down_to_base), End::Unnoticed);
    assert_eq!(write_at(first, down_to_base - 1), End::Faulted);
    let run = attack(|| {
        // SAFETY: none; the child is there to die of it.
        (0..64 << 10).for_each(|offset| unsafe { first.as_ptr().wrapping_sub(offset).write_volatile(0x41) });
    });
    assert_eq!(run, End::Faulted);

    // Without guards the run reaches whatever lies below, here another block of the same mapping.
    let arena = BumpArena::new(MmapBacked::new(256 << 10).unwrap()).unwrap();
    let other = arena.allocate(layout::<[u64; 512]>()).unwrap().cast::<u64>();
    let plain = Slab::<Value, _>::new(1000, arena).unwrap();
    let first = all::<Value>(&plain)[0];
    // SAFETY: the block in front is live, and nobody looks at it but this test.
    unsafe {
        other.add(511).write(7);
        first.as_ptr().wrapping_sub(1).write_volatile(0x41);
        assert_ne!(other.add(511).read(), 7, "the other block was overwritten, and nobody noticed");
    }
}

#[test]
fn one_byte_past_any_slot_of_a_guarded_slab_faults() {
    let slab = GuardedSlab::<Value>::new(64).unwrap();
    for slot in all::<Value>(&slab) {
        assert_eq!(
            (write_at(slot, 47), write_at(slot, 48), read_at(slot, 48)),
            (End::Unnoticed, End::Faulted, End::Faulted)
        );
        assert_eq!(write_at(slot, page_size() as isize - 1 + 48), End::Faulted, "over the whole guard");
        let down = -(page_size() as isize - 48) - 1;
        assert_eq!(write_at(slot, down), End::Faulted, "below the data page is a guard as well");
    }
    let slab = GuardedSlab::<[u8; 5000]>::new(3).unwrap();
    assert!(all::<[u8; 5000]>(&slab).into_iter().all(|slot| write_at(slot, 5000) == End::Faulted));

    let plain = Slab::<Value, _>::new(64, MmapBacked::new(64 << 10).unwrap()).unwrap();
    for slot in all::<Value>(&plain) {
        assert_eq!(write_at(slot, 48), End::Unnoticed);
    }
}

#[test]
fn every_byte_of_both_guards_faults_and_every_byte_between_does_not() {
    let page = page_size();
    let region = GuardPage::new(MmapBacked::new(5 * page).unwrap(), page).unwrap();
    let base = region.inner().base_ptr();
    for offset in [0, 1, page / 2, page - 1, 4 * page, 4 * page + 1, 5 * page - 1] {
        assert_eq!(write_at(base, offset as isize), End::Faulted, "{offset}");
        assert_eq!(read_at(base, offset as isize), End::Faulted, "{offset}");
    }
    for offset in [page, 2 * page, 4 * page - 1] {
        assert_eq!(write_at(base, offset as isize), End::Unnoticed, "{offset}");
    }
    let plain = MmapBacked::new(5 * page).unwrap();
    assert_eq!(write_at(plain.base(), 0), End::Unnoticed);
}

#[test]
fn the_ends_of_a_locked_region_fault_in_a_child_too() {
    let page = page_size();
    let Ok(backing) = LockedMmapBacked::map_with_edges(2 * page, page) else {
        eprintln!("skipped: no page may be locked here");
        return;
    };
    let region = GuardPage::new(backing, page).unwrap();
    let base = region.base();
    assert_eq!([write_at(base, -1), write_at(base, 2 * page as isize)], [End::Faulted, End::Faulted]);
    assert_eq!([write_at(base, 0), write_at(base, 2 * page as isize - 1)], [End::Unnoticed, End::Unnoticed]);
}

#[test]
fn metadata_lies_between_guards_of_its_own() {
    let page = page_size();
    let slab = HardenedSlab::<Value>::with_slots(1000).unwrap();
    let split = slab.backing().inner();
    let (meta, end) = (split.meta_base(), split.meta_size() as isize);
    assert_eq!([write_at(meta, -1), write_at(meta, end)], [End::Faulted, End::Faulted]);
    assert_eq!(
        [write_at(meta, -(page as isize)), write_at(meta, end + page as isize - 1)],
        [End::Faulted, End::Faulted]
    );
}

/// Frees every second slot, overwrites every byte of all of them, and returns what is handed out then.
fn overwrite_all_and_take<T, B: Allocator + FixedRange>(slab: &Slab<T, B>) -> Vec<NonNull<u8>> {
    let slots = all::<T>(slab);
    for slot in slots.iter().step_by(2) {
        // SAFETY: the slot is live, and freed once.
        unsafe { slab.deallocate(*slot, layout::<T>()) };
    }
    let first = slots.iter().min().unwrap();
    // SAFETY: the bytes are the slots'; half of them are free, and writing to those is the attack.
    unsafe { first.write_bytes(0x41, slots.len() * slab.block_stride()) };
    all::<T>(slab)
}

#[test]
fn what_is_written_to_slots_never_reaches_the_list() {
    let slab = HardenedSlab::<Value>::with_slots(1000).unwrap();
    let slots = overwrite_all_and_take(&slab);
    assert_eq!(slots.iter().collect::<HashSet<_>>().len(), 500);
    assert!(slots.iter().all(|slot| slab.contains(*slot)));
    assert_eq!((slab.len(), slab.lost(), slab.corruption_events()), (1000, 0, 0));

    // Links in the slots are overwritten by the same attack, and 500 slots with them.
    let plain = Slab::<Value, _>::new(1000, MmapBacked::new(256 << 10).unwrap()).unwrap();
    let taken = catch_unwind(AssertUnwindSafe(|| overwrite_all_and_take(&plain)));
    assert_eq!(taken.is_err(), cfg!(debug_assertions));
    assert!(plain.corruption_events() > 0 && plain.lost() > 0);
}

#[test]
fn no_bytes_of_the_list_are_near_the_slots() {
    let slab = HardenedSlab::<Value>::with_slots(1000).unwrap();
    let (region, split) = (slab.backing().inner().data(), slab.backing().inner());
    assert!(!region.contains(split.meta_base()) && !slab.contains(split.meta_base()));
    assert!(split.meta().allocate(layout::<u64>()).is_err(), "nobody else is handed its bytes");
}

#[test]
fn a_second_free_of_a_plain_slot_hands_it_to_two_owners() {
    let plain = Slab::<u64, _>::new(8, MmapBacked::new(4096).unwrap()).unwrap();
    let slot = plain.allocate(layout::<u64>()).unwrap().cast::<u8>();
    let other = plain.allocate(layout::<u64>()).unwrap().cast::<u8>();
    // SAFETY: none for the second free of `slot`: the attack.
    unsafe {
        plain.deallocate(slot, layout::<u64>());
        plain.deallocate(other, layout::<u64>());
        plain.deallocate(slot, layout::<u64>());
    }
    // The first owner's value is taken for the link that it overwrites.
    let taken = [(); 3].map(|()| {
        let slot = plain.allocate(layout::<u64>()).unwrap().cast::<u8>();
        // SAFETY: the slot was handed out.
        unsafe { slot.cast::<u64>().write(0) };
        slot
    });
    assert_eq!(taken[0], taken[2], "one slot, two owners");
}

/// Returns whether the kernel has guards that split no mapping.
fn has_guards() -> bool {
    const MADV_GUARD_INSTALL: libc::c_int = 102;
    let backing = MmapBacked::new(page_size()).unwrap();
    // SAFETY: a live mapping of one page, which nobody uses.
    let has = unsafe { libc::madvise(backing.base().as_ptr().cast(), page_size(), MADV_GUARD_INSTALL) } == 0;
    if !has {
        eprintln!("skipped: this kernel has no MADV_GUARD_INSTALL (Linux 6.13)");
    }
    has && !support::agrees_to_anything()
}

#[test]
fn guards_are_part_of_the_mapping_that_they_guard() {
    let page = page_size();
    let region = GuardPage::new(MmapBacked::new(64 * page).unwrap(), page).unwrap();
    let base = region.inner().base_ptr();
    let Some(mapping) = kernel::mapping_of(base) else { return };
    if has_guards() {
        let end = base.addr().get() + 64 * page;
        assert!(mapping.contains(&base.addr().get()) && mapping.contains(&(end - 1)), "{mapping:x?}");
        let Some(before) = kernel::mappings() else { return };
        let all: Vec<_> =
            (0..200).map(|_| GuardPage::new(MmapBacked::new(8 * page).unwrap(), page).unwrap()).collect();
        let added = kernel::mappings().unwrap().saturating_sub(before);
        assert!(added <= all.len() + 16, "400 guards and {added} mappings");
    }
}

#[test]
fn ten_thousand_guarded_slots_are_a_few_mappings() {
    let count = if has_guards() { slots_to_guard() } else { 1000 };
    let Some(before) = kernel::mappings() else { return };
    let slab = GuardedSlab::<Value>::new(count).unwrap();
    let slots = all::<Value>(&slab);
    assert_eq!(slots.len(), count);
    let added = kernel::mappings().unwrap().saturating_sub(before);
    eprintln!("{count} guarded slots: {added} more mappings");
    assert!(added <= 64 || !has_guards(), "{added} mappings for {count} guards");
    for slot in [slots[0], slots[count / 2], slots[count - 1]] {
        assert_eq!([write_at(slot, 47), write_at(slot, 48)], [End::Unnoticed, End::Faulted]);
    }
}

/// Returns how many slots the test of many guards takes; more by the variable `FORGE_GUARDED_SLOTS`.
fn slots_to_guard() -> usize {
    std::env::var("FORGE_GUARDED_SLOTS").ok().and_then(|count| count.parse().ok()).unwrap_or(10_000)
}

/// Returns a slab for secrets, or `None` where no memory may be locked.
fn crypto(count: usize) -> Option<CryptoSlab<Value>> {
    match CryptoSlab::with_slots(count) {
        Ok(slab) => Some(slab),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

#[test]
fn a_locked_slab_is_locked_where_its_slots_are_and_nowhere_else() {
    let page = page_size();
    let Some(slab) = crypto(4 * page / 48) else { return };
    let (base, region) = (slab.inner().backing().base(), slab.inner().backing().inner());
    let Some(data) = kernel::smaps(base) else { return };
    let flags = kernel::vm_flags(base).unwrap();
    assert!(kernel::has(&flags, "lo") && !kernel::has(&flags, "ex"), "{flags:?}");
    if !support::agrees_to_anything() {
        assert!(kernel::has(&flags, "dd") && kernel::has(&flags, "wf"), "{flags:?}");
    }
    assert_eq!(kernel::mapping_of(base), Some(base.addr().get()..base.addr().get() + 4 * page));
    assert_eq!(kernel::kib(&data, "Locked:"), 4 * page / 1024, "all data pages, and nothing but data pages");
    let guards = [region.base_ptr(), base.map_addr(|address| address.checked_add(4 * page).unwrap())];
    for elsewhere in [guards[0], guards[1], region.meta_base()] {
        let flags = kernel::vm_flags(elsewhere).unwrap();
        assert!(!kernel::has(&flags, "lo"), "{flags:?}");
    }
}

/// Returns how often the pattern of `secret` is in the memory of this process from `start` on, as the kernel reads it.
fn copies(start: usize, len: usize, secret: Secret) -> Option<usize> {
    let mut memory = File::open("/proc/self/mem").ok()?;
    memory.seek(SeekFrom::Start(start as u64)).ok()?;
    let mut bytes = vec![0; len];
    memory.read_exact(&mut bytes).ok()?;
    let at = |window: &[u8]| window.iter().enumerate().all(|(index, byte)| *byte == secret.byte(index));
    Some(bytes.windows(32).filter(|window| at(window)).count())
}

/// A key of 32 bytes that lies nowhere in memory: each byte is computed.
#[derive(Clone, Copy)]
struct Secret(u8);

impl Secret {
    fn byte(self, index: usize) -> u8 {
        (index as u8).wrapping_mul(31) ^ self.0
    }

    /// Writes the key to a block in place.
    fn write(self, block: NonNull<u8>) {
        // SAFETY: blocks of these tests have room for a key.
        (0..32).for_each(|index| unsafe { block.add(index).write_volatile(self.byte(index)) });
    }
}

#[test]
fn a_secret_is_nowhere_in_the_region_once_its_block_ends() {
    let Some(slab) = crypto(100) else { return };
    let (base, size) = (slab.inner().backing().base().addr().get(), slab.inner().backing().size());
    let secret = Secret(0x5A);
    let count = || copies(base, size, secret);
    let Some(0) = count() else {
        eprintln!("skipped: this system does not let a process read its memory by /proc/self/mem");
        return;
    };
    let small = NonZeroLayout::from_size_align(8, 1).unwrap();
    // SAFETY: each block is live until it is freed, and each call names its layout.
    unsafe {
        let block = slab.allocate(layout::<Value>()).unwrap().cast::<u8>();
        secret.write(block);
        assert_eq!(count(), Some(1), "the search finds what is there");
        slab.deallocate(block, layout::<Value>());
        assert_eq!(count(), Some(0), "a free wipes");
        assert_eq!(slab.allocate(layout::<Value>()).unwrap().cast(), block);
        assert!((0..48).all(|index| block.add(index).read() == 0), "all of it: no link lies in a slot");
        secret.write(block);
        slab.shrink(block, layout::<Value>(), small).unwrap();
        assert!((8..48).all(|index| block.add(index).read() == 0), "a shrink wipes the tail");
        slab.deallocate(block, small);
    }
    assert_eq!(count(), Some(0));

    // Without the wrapper the key stays.
    let plain = Slab::<Value, _>::new(100, MmapBacked::new(1 << 16).unwrap()).unwrap();
    let block = plain.allocate(layout::<[u8; 48]>()).unwrap().cast::<u8>();
    secret.write(block);
    // SAFETY: the block is live, and freed once.
    unsafe { plain.deallocate(block, layout::<Value>()) };
    let left = (4..32).all(|index| {
        // SAFETY: the slot is memory of the slab.
        unsafe { block.add(index).read() == secret.byte(index) }
    });
    assert!(left, "a plain slab overwrites the first word at most");
}

#[test]
fn a_slab_that_is_dropped_leaves_no_secret_in_what_it_held() {
    // A buffer of the test's own, which is there after the slab.
    let mut bytes = vec![core::mem::MaybeUninit::new(0_u8); 8192];
    let start = bytes.as_ptr().addr();
    let secret = Secret(0xC3);
    for wiped in [false, true] {
        let slab =
            Slab::<Value, _>::new(100, BumpArena::new(StaticBacked::uninit(&mut bytes)).unwrap()).unwrap();
        let block = slab.allocate(layout::<Value>()).unwrap().cast::<u8>();
        secret.write(block);
        if wiped {
            drop(ZeroizeOnFree::new(slab));
        } else {
            drop(slab);
        }
        let Some(found) = copies(start, 8192, secret) else { return };
        assert_eq!(found, usize::from(!wiped));
    }
}

#[test]
fn a_forked_child_reads_zeroes_where_the_parent_has_keys() {
    let Some(slab) = crypto(100) else { return };
    if !slab.inner().backing().inner().data().is_wiped_on_fork() || support::agrees_to_anything() {
        eprintln!("skipped: this system cannot wipe memory in children");
        return;
    }
    let block = slab.allocate(layout::<Value>()).unwrap().cast::<u8>();
    Secret(0x77).write(block);
    let plain = Slab::<Value, _>::new(100, MmapBacked::new(1 << 16).unwrap()).unwrap();
    let other = plain.allocate(layout::<Value>()).unwrap().cast::<u8>();
    Secret(0x77).write(other);
    let ends_if_zero = |block: NonNull<u8>| {
        attack(|| {
            for index in 0..48 {
                // SAFETY: the block is 48 bytes long, live, and read by this process only.
                if unsafe { block.add(index).read_volatile() } != 0 {
                    // SAFETY: the child ends here.
                    unsafe { libc::_exit(1) };
                }
            }
        })
    };
    assert_eq!(ends_if_zero(block), End::Unnoticed);
    assert_ne!(ends_if_zero(other), End::Unnoticed, "a plain slab is inherited");
    // SAFETY: the block is live.
    assert_eq!(unsafe { block.add(1).read() }, Secret(0x77).byte(1), "the parent keeps its own");
}
