use forge_alloc_core::AllocError;
use forge_os::OsError;

use super::{last_os_failure, mmap_clear_last_os_error, mmap_last_os_error, record};

#[test]
fn the_slot_keeps_the_latest_failure_until_it_is_cleared() {
    mmap_clear_last_os_error();
    assert_eq!(last_os_failure(), None);
    assert!(mmap_last_os_error().is_none());
    assert_eq!(record(OsError::new("first", 1)), AllocError);
    let _ = record(OsError::new("second", 12));
    assert_eq!(last_os_failure(), Some(OsError::new("second", 12)));
    assert_eq!(mmap_last_os_error().unwrap().raw_os_error(), Some(12));
    assert_eq!(last_os_failure(), Some(OsError::new("second", 12)), "reading leaves it");
    mmap_clear_last_os_error();
    assert_eq!(last_os_failure(), None);
}

#[test]
fn every_thread_has_its_own_slot() {
    let _ = record(OsError::new("here", 5));
    let elsewhere = std::thread::spawn(|| {
        let before = last_os_failure();
        let _ = record(OsError::new("there", 6));
        before
    });
    assert_eq!(elsewhere.join().unwrap(), None);
    assert_eq!(last_os_failure(), Some(OsError::new("here", 5)));
}

#[cfg(not(miri))]
#[test]
fn a_system_error_of_the_program_is_recorded() {
    mmap_clear_last_os_error();
    assert!(std::fs::metadata("/there/is/no/such/file").is_err());
    let code = std::io::Error::last_os_error().raw_os_error();
    super::mmap_record_os_error();
    assert_eq!(mmap_last_os_error().unwrap().raw_os_error(), code);
}
