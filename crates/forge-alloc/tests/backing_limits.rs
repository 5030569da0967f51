//! The backings under the limits of the system, each in a process of its own: an error that names the call, nothing
//! leaked, and service as before once there is room again.
#![cfg(all(unix, feature = "std", not(miri)))]
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use forge_alloc::{
    CryptoSlab, FixedRange, LockedMmapBacked, MmapBacked, MmapFlags, MmapSource, NonZeroLayout, RegionSource,
    last_os_failure, page_size,
};

/// The variable that tells this program that it is the limited process.
const CHILD: &str = "FORGE_BACKING_LIMITED";

/// Runs `limited` in a process of its own, which runs only the test `name`.
fn in_a_process_of_its_own(name: &str, limited: fn()) {
    if std::env::var_os(CHILD).is_some() {
        return limited();
    }
    let output = support::only(name).arg("--nocapture").env(CHILD, "1").output().unwrap();
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(text.contains("1 passed"), "{text}");
    if let Some(reason) = errors.lines().find(|line| line.starts_with("skipped")) {
        eprintln!("{reason}");
    }
}

/// Sets the soft limit of `resource` and returns the one before, or `None` where the system only says that it did.
fn limit(resource: Resource, bytes: libc::rlim_t) -> Option<libc::rlim_t> {
    let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live struct of the type that the call fills.
    assert_eq!(unsafe { libc::getrlimit(resource, &raw mut limits) }, 0);
    let before = limits.rlim_cur;
    limits.rlim_cur = bytes.min(limits.rlim_max);
    // SAFETY: the pointer is to a live struct of the type that the call reads.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const limits) }, 0);
    let wanted = limits.rlim_cur;
    // SAFETY: as for the first call.
    assert_eq!(unsafe { libc::getrlimit(resource, &raw mut limits) }, 0);
    (limits.rlim_cur == wanted).then_some(before)
}

#[cfg(any(target_env = "gnu", target_env = "uclibc"))]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(any(target_env = "gnu", target_env = "uclibc")))]
type Resource = libc::c_int;

/// Gives up the privilege that exempts a process from the limit on locked memory.
fn become_unprivileged() -> bool {
    // SAFETY: the calls take and return integers; this process has one purpose and needs no privilege afterwards.
    unsafe { libc::geteuid() != 0 || (libc::setgid(65534) == 0 && libc::setuid(65534) == 0) }
}

/// Returns how many mappings the process has, or `None` where the system does not tell.
fn mappings() -> Option<usize> {
    std::fs::read_to_string("/proc/self/maps").ok().map(|text| text.lines().count())
}

#[test]
fn a_full_address_space_is_an_error_of_mmap() {
    in_a_process_of_its_own("a_full_address_space_is_an_error_of_mmap", || {
        const BIG: usize = 1 << 30;
        let Some(before) = limit(libc::RLIMIT_AS, 512 << 20) else {
            eprintln!("skipped: this system agrees to RLIMIT_AS and does not set it");
            return;
        };
        let mapped = mappings();
        for _ in 0..10 {
            let Err(error) = MmapBacked::map(BIG, MmapFlags::NONE) else { panic!("beyond the limit") };
            assert!(error.call() == "mmap" && error.is_out_of_memory(), "{error}");
            assert!(error.to_string().contains("RLIMIT_AS"), "{error}");
            assert!(MmapBacked::new(BIG).is_err());
            assert_eq!(last_os_failure(), Some(error));
            assert!(MmapBacked::new_lazy(BIG).is_err(), "reserved addresses count too");
            assert!(LockedMmapBacked::new(BIG).is_err());
            let layout = NonZeroLayout::from_size_align(BIG, 1).unwrap();
            // SAFETY: the request is refused, so there is no region.
            assert!(unsafe { MmapSource::new().request(layout) }.is_err());
            let layout = NonZeroLayout::from_size_align(1, BIG).unwrap();
            // SAFETY: the request is refused, so there is no region.
            assert!(unsafe { MmapSource::new().request(layout) }.is_err(), "the alignment needs the room");
        }
        assert!(MmapBacked::new(1 << 20).is_ok(), "what fits is still served");
        assert_eq!(mappings(), mapped, "nothing leaked");
        assert!(limit(libc::RLIMIT_AS, before).is_some());
        assert!(MmapBacked::new(BIG).is_ok(), "service resumes");
    });
}

#[test]
fn a_reached_limit_on_locked_memory_is_an_error_of_mlock() {
    in_a_process_of_its_own("a_reached_limit_on_locked_memory_is_an_error_of_mlock", || {
        let page = page_size();
        assert!(limit(libc::RLIMIT_MEMLOCK, 4 * page as libc::rlim_t).is_some());
        if !become_unprivileged() {
            eprintln!("skipped: the process is exempt from RLIMIT_MEMLOCK and may not give that up");
            return;
        }
        let fits = LockedMmapBacked::map(2 * page).expect("within the limit");
        let mapped = mappings();
        for _ in 0..10 {
            let Err(error) = LockedMmapBacked::map(3 * page) else { panic!("beyond the limit") };
            assert_eq!(error.call(), "mlock");
            assert!(error.to_string().contains("RLIMIT_MEMLOCK"), "{error}");
            assert!(LockedMmapBacked::new(3 * page).is_err());
            assert_eq!(last_os_failure(), Some(error));
        }
        assert_eq!(mappings(), mapped, "nothing leaked");
        assert_eq!(fits.size(), 2 * page);
        drop(fits);
        assert!(LockedMmapBacked::map(4 * page).is_ok(), "the lock ended with its owner");

        assert!(limit(libc::RLIMIT_MEMLOCK, 0).is_some());
        let Err(error) = LockedMmapBacked::map(1) else { panic!("nothing may be locked") };
        assert_eq!(error.call(), "mlock");
    });
}

#[test]
fn a_slab_for_secrets_takes_of_the_limit_what_its_slots_are_and_fails_closed_beyond() {
    in_a_process_of_its_own(
        "a_slab_for_secrets_takes_of_the_limit_what_its_slots_are_and_fails_closed_beyond",
        || {
            let page = page_size();
            assert!(limit(libc::RLIMIT_MEMLOCK, 4 * page as libc::rlim_t).is_some());
            if !become_unprivileged() {
                eprintln!("skipped: the process is exempt from RLIMIT_MEMLOCK and may not give that up");
                return;
            }
            let slots = 4 * page / 64;
            let fits = CryptoSlab::<[u8; 64]>::with_slots(slots).expect("guards and metadata are not locked");
            assert_eq!(*fits.insert([7_u8; 64]).unwrap(), [7; 64]);
            let mapped = mappings();
            for count in [1, slots, slots + 1] {
                let Err(error) = CryptoSlab::<[u8; 64]>::with_slots(count) else {
                    panic!("beyond the limit")
                };
                assert_eq!(error.call(), "mlock");
                assert!(error.to_string().contains("raise RLIMIT_MEMLOCK (`ulimit -l`)"), "{error}");
            }
            assert_eq!(mappings(), mapped, "nothing leaked");
            drop(fits);
            assert!(CryptoSlab::<[u8; 64]>::with_slots(slots + 1).is_err());
            assert!(CryptoSlab::<[u8; 64]>::with_slots(slots).is_ok());
        },
    );
}

#[test]
fn a_forked_child_finds_zeroes_where_the_parent_has_secrets() {
    let Ok(backing) = LockedMmapBacked::map(1) else {
        eprintln!("skipped: no page may be locked here");
        return;
    };
    if !backing.is_wiped_on_fork() {
        eprintln!("skipped: this system cannot wipe memory in children");
        return;
    }
    if support::agrees_to_anything() {
        return;
    }
    // SAFETY: the bytes are exclusively ours.
    unsafe { backing.base().write(0x5E) };
    // SAFETY: the child calls nothing but `_exit`, which is allowed after a fork of a threaded process.
    let status = unsafe {
        let child = libc::fork();
        if child == 0 {
            libc::_exit(i32::from(backing.base().read_volatile()));
        }
        assert!(child > 0, "fork: {}", std::io::Error::last_os_error());
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
        status
    };
    assert!(libc::WIFEXITED(status));
    assert_eq!(libc::WEXITSTATUS(status), 0, "the child reads zero");
    // SAFETY: the byte was written above.
    assert_eq!(unsafe { backing.base().read() }, 0x5E, "the parent keeps its own");
}
