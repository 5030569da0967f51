#![allow(unsafe_code)]

use std::string::ToString;

use super::*;

#[test]
fn display_names_the_call_the_cause_and_the_number() {
    let text = OsError::invalid_argument("munmap").to_string();
    assert_eq!(text, std::format!("munmap: invalid argument (os error {})", code::INVALID_ARGUMENT));
}

#[test]
fn the_usual_causes_come_with_a_remedy() {
    for (call, code, remedy) in [
        ("mlock", code::OUT_OF_MEMORY, "ulimit -l"),
        ("mlock", code::NOT_PERMITTED, "RLIMIT_MEMLOCK"),
        ("mmap(MAP_HUGETLB)", code::OUT_OF_MEMORY, "/proc/sys/vm/nr_hugepages"),
        ("mmap", code::OUT_OF_MEMORY, "ulimit -v"),
        ("mprotect", code::OUT_OF_MEMORY, "max_map_count"),
        ("memfd_secret", code::UNSUPPORTED, "secretmem.enable"),
        ("mbind", code::INVALID_ARGUMENT, "/sys/devices/system/node/online"),
        ("mbind", code::UNSUPPORTED, "CONFIG_NUMA"),
        ("madvise(MADV_HUGEPAGE)", code::UNSUPPORTED, "CONFIG_TRANSPARENT_HUGEPAGE"),
    ] {
        let text = OsError::new(call, code).to_string();
        assert!(text.contains(remedy), "{text}");
    }
}

#[test]
fn the_classes_of_errors_are_distinct() {
    let errors = [OsError::unsupported("a"), OsError::out_of_memory("a"), OsError::invalid_argument("a")];
    for (index, error) in errors.iter().enumerate() {
        let classes = [error.is_unsupported(), error.is_out_of_memory(), error.is_invalid_argument()];
        assert_eq!(classes.iter().position(|&class| class), Some(index));
        assert_eq!(classes.iter().filter(|&&class| class).count(), 1);
    }
}

#[cfg(feature = "std")]
#[test]
fn io_errors_keep_the_number() {
    let error = std::io::Error::from(OsError::new("mmap", code::OUT_OF_MEMORY));
    assert_eq!(error.raw_os_error(), Some(code::OUT_OF_MEMORY));
    assert_eq!(error.kind(), std::io::ErrorKind::OutOfMemory);
}

#[cfg(all(unix, feature = "libc"))]
#[test]
fn last_reads_the_number_of_the_failed_call() {
    // SAFETY: an invalid descriptor is refused without any effect.
    let result = unsafe { libc::close(-1) };
    assert_eq!(result, -1);
    assert_eq!(OsError::last("close"), OsError::new("close", libc::EBADF));
}
