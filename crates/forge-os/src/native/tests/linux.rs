use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, fs};

use super::*;
use crate::Released;

/// The lines of `/proc/self/smaps` about the mapping that contains an address.
struct Smaps(Vec<String>);

impl Smaps {
    fn of(address: NonNull<u8>) -> Self {
        let address = address.addr().get();
        let text = fs::read_to_string("/proc/self/smaps").unwrap();
        let mut found = Vec::new();
        for line in text.lines() {
            match parse_range(line) {
                Some((start, end)) if (start..end).contains(&address) => found = [line.to_string()].into(),
                Some(_) if !found.is_empty() => break,
                None if !found.is_empty() => found.push(line.to_string()),
                _ => {}
            }
        }
        assert!(!found.is_empty(), "nothing is mapped at {address:#x}");
        Self(found)
    }

    fn rights(&self) -> &str {
        self.0[0].split_whitespace().nth(1).unwrap()
    }

    fn kibibytes(&self, field: &str) -> usize {
        let line = self.0.iter().find(|line| line.starts_with(&format!("{field}:"))).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn has_flag(&self, flag: &str) -> bool {
        let line = self.0.iter().find(|line| line.starts_with("VmFlags:")).unwrap();
        line.split_whitespace().any(|word| word == flag)
    }
}

fn parse_range(line: &str) -> Option<(usize, usize)> {
    let (start, end) = line.split_whitespace().next()?.split_once('-')?;
    Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
}

/// A mapping with inaccessible neighbours, so that the kernel does not merge it with another.
fn apart(pages: usize) -> (Mapped, NonNull<u8>, usize) {
    let memory = Mapped::new(pages + 2, MapOptions::new().with_protection(Protection::NONE));
    // SAFETY: one page into a mapping of `pages + 2`.
    let middle = unsafe { memory.start.add(page_size()) };
    let len = pages * page_size();
    // SAFETY: the middle of a live mapping that nobody uses yet.
    unsafe { Native.protect(middle, len, Protection::READ_WRITE).unwrap() };
    (memory, middle, len)
}

fn advise(ptr: NonNull<u8>, len: usize, advice: Advice) {
    // SAFETY: tests advise their own mappings, whose content they do not rely on.
    unsafe { Native.advise(ptr, len, advice) }.unwrap_or_else(|error| panic!("{error}"));
}

/// Returns whether this system agrees to advice that does not exist, and says that the test that asks is skipped.
///
/// The system-call translation of a user-mode emulator says yes to all advice that it does not know; then nothing follows
/// from the yes to the advice that a test is about. The mappings of the emulated program have other rights, too.
fn agrees_to_anything() -> bool {
    #[cfg(feature = "libc")]
    {
        const NO_ADVICE: libc::c_int = 0x7FFF_0000;
        let memory = Mapped::new(1, MapOptions::new());
        // SAFETY: a live mapping whose content nobody uses.
        if unsafe { libc::madvise(memory.start.as_ptr().cast(), memory.len, NO_ADVICE) } == 0 {
            std::eprintln!("skipped: this system says yes to advice that does not exist, as emulators do");
            return true;
        }
    }
    false
}

/// Runs `child` in a forked process, where it may use only what is safe after a fork, and returns how that
/// process ended: the exit code, or the negative number of the signal.
#[cfg(feature = "libc")]
fn in_child(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child calls only `child`, which allocates nothing and takes no lock, and leaves without
    // destructors.
    unsafe {
        let process = libc::fork();
        assert!(process >= 0);
        if process == 0 {
            libc::_exit(child());
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(process, &raw mut status, 0), process);
        if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -libc::WTERMSIG(status) }
    }
}

#[test]
fn protect_sets_each_combination_of_rights() {
    // An emulator reads what the program executes, so that its mappings are readable and not executable.
    let combinations = if agrees_to_anything() { 0..4 } else { 0..8 };
    let (_memory, middle, len) = apart(1);
    for bits in combinations {
        let mut protection = Protection::NONE;
        let mut expected = String::new();
        for (bit, right, letter) in
            [(1, Protection::READ, 'r'), (2, Protection::WRITE, 'w'), (4, Protection::EXECUTE, 'x')]
        {
            if bits & bit != 0 {
                protection = protection | right;
            }
            expected.push(if bits & bit != 0 { letter } else { '-' });
        }
        // SAFETY: the middle of a live mapping that nobody accesses.
        unsafe { Native.protect(middle, len, protection).unwrap() };
        let smaps = Smaps::of(middle);
        assert_eq!(smaps.rights(), format!("{expected}p"));
    }
}

#[cfg(feature = "libc")]
#[test]
fn a_forbidden_access_faults() {
    let memory = Mapped::new(1, MapOptions::new().with_protection(Protection::READ));
    assert_eq!(in_child(|| i32::from(memory.read(0))), 0);
    let write = in_child(|| {
        memory.write(0, 1);
        0
    });
    assert_eq!(write, -libc::SIGSEGV);
}

#[test]
fn misaligned_ranges_are_refused_by_name() {
    let memory = Mapped::new(2, MapOptions::new());
    // SAFETY: inside the mapping; the calls are refused without any effect.
    unsafe {
        let inside = memory.start.add(8);
        let len = page_size();
        let errors = [
            Native.protect(inside, len, Protection::READ).unwrap_err(),
            Native.advise(inside, len, Advice::DontNeed).unwrap_err(),
            Native.advise(inside, len, Advice::GuardInstall).unwrap_err(),
            Native.unmap(inside, len).unwrap_err(),
            Native.remap(inside, len, 2 * len, true).unwrap_err(),
        ];
        let calls = errors.map(|error| {
            assert!(error.is_invalid_argument(), "{error}");
            error.call()
        });
        let expected =
            ["mprotect", "madvise(MADV_DONTNEED)", "madvise(MADV_GUARD_INSTALL)", "munmap", "mremap"];
        assert_eq!(calls, expected);
    }
}

#[test]
fn pages_given_back_read_as_zero() {
    for advice in [Advice::DontNeed, Advice::DontNeedLocked] {
        if advice == Advice::DontNeedLocked && agrees_to_anything() {
            return;
        }
        let memory = Mapped::new(4, MapOptions::new());
        for page in 0..4 {
            memory.write(page * page_size(), 0xEE);
        }
        // SAFETY: one page into the mapping.
        let middle = unsafe { memory.start.add(page_size()) };
        advise(middle, 2 * page_size(), advice);
        let seen: Vec<_> = (0..4).map(|page| memory.read(page * page_size())).collect();
        assert_eq!(seen, [0xEE, 0, 0, 0xEE]);
    }
}

#[test]
fn freed_pages_hold_their_old_content_or_zero() {
    let memory = Mapped::new(8, MapOptions::new());
    for page in 0..8 {
        memory.write(page * page_size(), 0xEE);
    }
    advise(memory.start, memory.len, Advice::Free);
    for page in 0..8 {
        assert!(matches!(memory.read(page * page_size()), 0 | 0xEE));
    }
}

#[test]
fn pages_are_resident_once_they_were_touched() {
    let (memory, page) = (Mapped::new(4, MapOptions::new()), page_size());
    // Huge pages would bring the neighbours along.
    advise(memory.start, 4 * page, Advice::NoHugePage);
    memory.write(2 * page, 1);
    let mut resident = [9; 4];
    // SAFETY: the whole mapping.
    match unsafe { Native.resident(memory.start, 4 * page, &mut resident) } {
        Ok(()) => assert_eq!(resident, [0, 0, 1, 0]),
        Err(error) => assert!(error.is_unsupported(), "{error:?}"),
    }
    // SAFETY: as above.
    assert!(unsafe { Native.resident(memory.start, 4 * page, &mut [0; 3]) }.is_err());
}

#[test]
fn release_pages_lowers_the_resident_size() {
    let (_memory, middle, len) = apart(64);
    // SAFETY: the readable and writable middle of a live mapping.
    unsafe { middle.write_bytes(1, len) };
    assert!(Smaps::of(middle).kibibytes("Rss") >= len / 1024);
    // SAFETY: as above; the content is not used again.
    assert_eq!(unsafe { Native.release_pages(middle, len) }, Ok(Released::Zeroed));
    assert_eq!(Smaps::of(middle).kibibytes("Rss"), 0);
}

#[test]
fn populate_backs_every_page_at_once() {
    if agrees_to_anything() {
        return;
    }
    let (_memory, middle, len) = apart(16);
    assert_eq!(Smaps::of(middle).kibibytes("Rss"), 0);
    advise(middle, len, Advice::PopulateWrite);
    assert_eq!(Smaps::of(middle).kibibytes("Rss"), len / 1024);

    let populated = Mapped::new(16, MapOptions::new().with_populate());
    let mut present = [0_u8; 16];
    // SAFETY: the range is a mapping, and the result has a byte for each of its 16 pages.
    #[cfg(feature = "libc")]
    unsafe {
        assert_eq!(libc::mincore(populated.start.as_ptr().cast(), populated.len, present.as_mut_ptr()), 0);
    }
    #[cfg(not(feature = "libc"))]
    present.fill(1);
    assert!(present.iter().all(|page| page & 1 == 1), "{present:?} of {:?}", populated.start);
}

#[test]
fn advice_shows_in_the_flags_of_the_mapping() {
    if agrees_to_anything() {
        return;
    }
    for (set, clear, flag) in [
        (Advice::DontDump, Advice::DoDump, "dd"),
        (Advice::DontFork, Advice::DoFork, "dc"),
        (Advice::WipeOnFork, Advice::KeepOnFork, "wf"),
        (Advice::HugePage, Advice::NoHugePage, "hg"),
        (Advice::Sequential, Advice::Random, "sr"),
        (Advice::Random, Advice::Sequential, "rr"),
    ] {
        let (_memory, middle, len) = apart(1);
        assert!(!Smaps::of(middle).has_flag(flag));
        advise(middle, len, set);
        assert!(Smaps::of(middle).has_flag(flag), "{}", set.call());
        advise(middle, len, clear);
        assert!(!Smaps::of(middle).has_flag(flag), "{}", clear.call());
    }
}

#[test]
fn every_advice_is_accepted_or_fails_under_its_own_name() {
    for advice in Advice::ALL {
        let (_memory, middle, len) = apart(2);
        // SAFETY: a live mapping whose content nobody uses.
        match unsafe { Native.advise(middle, len, advice) } {
            Ok(()) => {}
            Err(error) => assert_eq!(error.call(), advice.call()),
        }
    }
}

#[cfg(feature = "libc")]
#[test]
fn a_child_sees_wiped_and_absent_ranges() {
    if agrees_to_anything() {
        return;
    }
    let memory = Mapped::new(2, MapOptions::new());
    memory.write(0, 0xEE);
    memory.write(page_size(), 0xEE);
    assert_eq!(in_child(|| i32::from(memory.read(0))), 0xEE);
    advise(memory.start, page_size(), Advice::WipeOnFork);
    // SAFETY: one page into the mapping.
    advise(unsafe { memory.start.add(page_size()) }, page_size(), Advice::DontFork);
    assert_eq!(in_child(|| i32::from(memory.read(0))), 0);
    assert_eq!(in_child(|| i32::from(memory.read(page_size()))), -libc::SIGSEGV);
    assert_eq!(memory.read(0), 0xEE);
}

#[cfg(all(feature = "libc", raw_calls))]
#[test]
fn guards_fault_and_can_be_removed() {
    if agrees_to_anything() {
        return;
    }
    let memory = Mapped::new(2, MapOptions::new());
    memory.write(0, 0xEE);
    // SAFETY: the first page of a live mapping, not accessed in this process while it is a guard.
    match unsafe { Native.advise(memory.start, page_size(), Advice::GuardInstall) } {
        Ok(()) => {
            assert_eq!(in_child(|| i32::from(memory.read(0))), -libc::SIGSEGV);
            advise(memory.start, page_size(), Advice::GuardRemove);
            assert_eq!(memory.read(0), 0);
        }
        Err(error) => assert!(error.is_invalid_argument(), "a kernel before 6.13: {error}"),
    }
}

#[test]
fn locking_is_visible_and_ends() {
    let (_memory, middle, len) = apart(1);
    // SAFETY: the middle of a live mapping.
    unsafe { Native.lock(middle, len).unwrap() };
    let smaps = Smaps::of(middle);
    assert!(smaps.has_flag("lo"));
    assert_eq!(smaps.kibibytes("Rss"), len / 1024);
    // SAFETY: as above; locked pages are refused without any effect.
    let error = unsafe { Native.advise(middle, len, Advice::DontNeed) }.unwrap_err();
    assert_eq!(error.call(), "madvise(MADV_DONTNEED)");
    // SAFETY: as above.
    unsafe { Native.unlock(middle, len).unwrap() };
    assert!(!Smaps::of(middle).has_flag("lo"));
}

#[test]
fn locking_what_cannot_be_backed_fails_by_name() {
    let memory = Mapped::new(1, MapOptions::new().with_protection(Protection::NONE));
    // SAFETY: a live mapping; the kernel cannot back pages without rights.
    let error = unsafe { Native.lock(memory.start, memory.len) }.unwrap_err();
    assert_eq!((error.call(), error.is_out_of_memory()), ("mlock", true));
}

/// The type by which the C library names a limit.
#[cfg(all(feature = "libc", target_env = "gnu"))]
type Resource = libc::__rlimit_resource_t;
#[cfg(all(feature = "libc", not(target_env = "gnu")))]
type Resource = libc::c_int;

/// Lowers a limit of the calling process; false where the system only says that it did.
#[cfg(feature = "libc")]
fn limit(resource: Resource, bytes: libc::rlim_t) -> bool {
    let mut limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: the structure is readable, and then writable. Used in children only.
    let made = unsafe {
        libc::setrlimit(resource, &raw const limit) == 0 && libc::getrlimit(resource, &raw mut limit) == 0
    };
    made && limit.rlim_cur == bytes
}

#[cfg(feature = "libc")]
#[test]
fn limits_are_errors_that_name_the_call() {
    const PRETENDED: i32 = 2;
    let memory = Mapped::new(64, MapOptions::new());
    let address_space = in_child(|| {
        if !limit(libc::RLIMIT_AS, 1 << 20) {
            return PRETENDED;
        }
        match Native.map(16 << 20, MapOptions::new()) {
            Err(error) if error.call() == "mmap" && error.is_out_of_memory() => 0,
            _ => 1,
        }
    });
    if address_space == PRETENDED {
        std::eprintln!("skipped: this system agrees to RLIMIT_AS and does not set it");
    } else {
        assert_eq!(address_space, 0);
    }
    let locked = in_child(|| {
        if !limit(libc::RLIMIT_MEMLOCK, 4096) {
            return PRETENDED;
        }
        // The superuser has no limit, so the child stops being one.
        // SAFETY: no precondition; a plain system call in a process with one thread.
        unsafe { libc::syscall(libc::SYS_setuid, 65534) };
        // SAFETY: a live mapping.
        match unsafe { Native.lock(memory.start, memory.len) } {
            Err(error) if error.call() == "mlock" && error.code() == libc::ENOMEM => 0,
            _ => 1,
        }
    });
    assert_eq!(locked, 0);
}

#[test]
fn remap_keeps_content_and_grows_with_zero() {
    let mut memory = Mapped::new(2, MapOptions::new());
    memory.write(0, 1);
    memory.write(memory.len - 1, 2);
    let new_len = 64 * page_size();
    // SAFETY: the whole mapping, which continues at the result.
    memory.start = unsafe { Native.remap(memory.start, memory.len, new_len, true).unwrap() };
    let old_len = core::mem::replace(&mut memory.len, new_len);
    assert_eq!([0, old_len - 1, old_len, new_len - 1].map(|offset| memory.read(offset)), [1, 2, 0, 0]);

    // SAFETY: as above; shrinking keeps the address.
    let shrunk = unsafe { Native.remap(memory.start, new_len, page_size(), false).unwrap() };
    assert_eq!(shrunk, memory.start);
    memory.len = page_size();
    assert_eq!(memory.read(0), 1);
    // SAFETY: refused without any effect.
    let error = unsafe { Native.remap(memory.start, memory.len, 0, true) }.unwrap_err();
    assert_eq!((error.call(), error.is_invalid_argument()), ("mremap", true));
}

#[test]
fn reserved_memory_is_usable_after_commit_and_zero_after_decommit() {
    let memory = Mapped::new(4, MapOptions::new().with_reserve());
    assert!(Smaps::of(memory.start).has_flag("nr"), "not counted against the overcommit limit");
    // SAFETY: the whole reserved mapping, nobody else uses it.
    unsafe { Native.commit(memory.start, memory.len).unwrap() };
    memory.write(0, 9);
    // SAFETY: as above; the content is given up.
    unsafe { Native.decommit(memory.start, memory.len).unwrap() };
    // SAFETY: as above.
    unsafe { Native.commit(memory.start, memory.len).unwrap() };
    assert_eq!(memory.read(0), 0);
}

#[test]
fn huge_page_sizes_are_those_of_the_directory() {
    let mut listed: Vec<usize> = fs::read_dir("/sys/kernel/mm/hugepages")
        .map(|entries| {
            entries
                .filter_map(|entry| {
                    let name = entry.ok()?.file_name().into_string().ok()?;
                    let kibibytes = name.strip_prefix("hugepages-")?.strip_suffix("kB")?;
                    Some(kibibytes.parse::<usize>().ok()? << 10)
                })
                .collect()
        })
        .unwrap_or_default();
    listed.sort_unstable();
    assert_eq!(Native.huge_page_sizes().as_slice(), listed);
    if let Some(size) = Native.transparent_huge_page_size() {
        assert!(size.is_power_of_two() && size > page_size());
    }
}

#[test]
fn huge_mappings_are_aligned_or_fail_by_name() {
    for &size in Native.huge_page_sizes().iter() {
        match Native.map(size, MapOptions::new().with_huge_pages(size)) {
            Ok(memory) => {
                assert_eq!(memory.addr().get() % size, 0);
                // SAFETY: the whole mapping.
                unsafe { Native.unmap(memory, size).unwrap() };
            }
            // An emulator places the mapping itself, and not at a multiple of the huge page.
            Err(error) if error.is_invalid_argument() && agrees_to_anything() => {
                assert_eq!(error.call(), "mmap(MAP_HUGETLB)");
            }
            Err(error) => assert_eq!((error.call(), error.is_out_of_memory()), ("mmap(MAP_HUGETLB)", true)),
        }
    }
    // A power of two that no processor has as a page size.
    let error = Native.map(128 << 10, MapOptions::new().with_huge_pages(128 << 10)).unwrap_err();
    assert_eq!(error.call(), "mmap(MAP_HUGETLB)");
}
