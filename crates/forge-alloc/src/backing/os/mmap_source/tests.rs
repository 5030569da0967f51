#![allow(unsafe_code)]

use forge_alloc_core::RegionSource;
use forge_os::OsError;
use forge_os::sim::{SimCall, SimOs};

use super::MmapSource;
use crate::backing::testing::{Numbers, layout, request};
use crate::last_os_failure;

#[test]
fn each_region_is_a_mapping_of_its_own() {
    for page_size in [4 << 10, 64 << 10] {
        let os = SimOs::new(page_size);
        let source = MmapSource::on(os);
        let mut numbers = Numbers(5);
        let regions: Vec<_> = (0..20)
            .map(|_| {
                let wanted = layout(1 + numbers.below(200_000), 1 << numbers.below(19));
                let region = request(&source, wanted).unwrap();
                assert!(region.len() >= wanted.size().get() && region.len() % page_size == 0);
                assert_eq!(region.base().addr().get() % wanted.align().get(), 0);
                (region, wanted)
            })
            .collect();
        assert_eq!(os.live_mappings(), 20);
        for (region, wanted) in regions {
            // SAFETY: the region came from this source for this layout and is not used again; its bytes are ours.
            unsafe {
                assert_eq!(region.base().read(), 0);
                region.base().write_bytes(1, region.len());
                source.release(region, wanted);
            }
        }
        assert_eq!((os.live_mappings(), os.mapped_bytes()), (0, 0));
    }
}

#[test]
fn refusals_are_recorded_and_change_nothing() {
    let os = SimOs::new(4096);
    let source = MmapSource::on(os);
    let quarter = 1 << (usize::BITS - 2);
    for (size, align) in [(isize::MAX as usize, 1), (quarter, quarter), (isize::MAX as usize - 4095, 4096)] {
        if let Ok(region) = request(&source, layout(size, align)) {
            panic!("{size} {align}: {region:?}");
        }
        assert!(last_os_failure().is_some_and(|failure| failure.call() == "mmap"));
    }
    os.fail_nth(Some(SimCall::Map), 1, 12);
    assert!(request(&source, layout(1, 1)).is_err());
    assert_eq!(last_os_failure(), Some(OsError::new("mmap", 12)));
    assert_eq!(os.live_mappings(), 0);
}

#[test]
fn a_refused_release_is_recorded() {
    let os = SimOs::new(4096);
    let source = MmapSource::on(os);
    let region = request(&source, layout(1, 1)).unwrap();
    os.fail_nth(Some(SimCall::Unmap), 1, 22);
    // SAFETY: the region came from this source for this layout and is not used again.
    unsafe { source.release(region, layout(1, 1)) };
    assert_eq!(last_os_failure(), Some(OsError::new("munmap", 22)));
}

#[test]
fn the_native_source_has_no_size_and_serves_aligned_regions() {
    assert_eq!(size_of::<MmapSource>(), 0);
    let source = MmapSource::new();
    let align = if cfg!(miri) { 4096 } else { 1 << 22 };
    let region = request(&source, layout(5000, align)).unwrap();
    assert_eq!(region.base().addr().get() % align, 0);
    // SAFETY: the region came from this source for this layout and is not used again; its bytes are ours.
    unsafe {
        region.base().write_bytes(1, region.len());
        source.release(region, layout(5000, align));
    }
}
