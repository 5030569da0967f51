use super::*;

#[test]
fn masks_hold_every_node_and_refuse_what_is_beyond() {
    let mut mask = NodeMask::new();
    assert!(mask.is_empty());
    for node in [0, 31, 32, 63, 64, 1023] {
        assert!(mask.insert(node));
        assert!(mask.contains(node));
    }
    assert!(!mask.insert(1024) && !mask.insert(u32::MAX));
    assert!(!mask.contains(1) && !mask.contains(1024));
    assert!(mask.iter().eq([0, 31, 32, 63, 64, 1023]));
    assert_eq!(mask.len(), 6);
    assert_eq!(NodeMask::single(1024), None);
    assert!(NodeMask::single(63).is_some_and(|mask| mask.iter().eq([63])));
}

#[cfg(all(raw_calls, system = "linux"))]
mod linux {
    use super::*;
    use crate::{MapOptions, Native, Os};

    /// Runs `test` on a fresh page; the kernel may have been built without nodes.
    fn with_page(test: impl FnOnce(NonNull<u8>, usize)) {
        let len = Native.page_size();
        let page = Native.map(len, MapOptions::new()).unwrap();
        match numa_policy(page) {
            Ok((mode, nodes)) => {
                assert_eq!((mode, nodes.is_empty()), (None, true), "a fresh mapping has the default policy");
                test(page, len);
            }
            Err(error) => assert!(error.is_unsupported(), "{error}"),
        }
        // SAFETY: the whole mapping, whose last use is behind us.
        unsafe { Native.unmap(page, len).unwrap() };
    }

    #[test]
    fn a_bound_policy_reads_back() {
        with_page(|page, len| {
            let node = numa_node().unwrap();
            let mask = NodeMask::single(node).unwrap();
            for mode in [NumaMode::Bind, NumaMode::Preferred, NumaMode::Interleave] {
                // SAFETY: a live mapping.
                unsafe { numa_bind(page, len, mode, &mask).unwrap() };
                assert_eq!(numa_policy(page), Ok((Some(mode), mask)));
            }
        });
    }

    #[test]
    fn pages_that_exist_keep_their_content_and_are_no_obstacle() {
        with_page(|page, len| {
            // SAFETY: a live, writable page.
            unsafe { page.write_bytes(7, len) };
            let mask = NodeMask::single(numa_node().unwrap()).unwrap();
            for mode in [NumaMode::Bind, NumaMode::Preferred, NumaMode::Interleave] {
                // SAFETY: a live mapping.
                unsafe { numa_bind(page, len, mode, &mask).unwrap() };
                // SAFETY: the page was written whole.
                assert!(unsafe { page.cast::<[u8; 512]>().read() } == [7; 512]);
            }
        });
    }

    #[test]
    fn nodes_that_are_not_online_and_empty_masks_are_refused() {
        with_page(|page, len| {
            // The last node of a mask counts: were it cut off, the mask would be empty or the error another
            // one.
            for mask in [NodeMask::single(1023).unwrap(), NodeMask::single(64).unwrap(), NodeMask::new()] {
                // SAFETY: a live mapping.
                let error = unsafe { numa_bind(page, len, NumaMode::Bind, &mask) }.unwrap_err();
                assert_eq!(error.call(), "mbind");
                assert!(error.is_invalid_argument(), "{error}");
            }
        });
    }
}
