use super::*;
use crate::{NodeMask, page_size};

/// A mapping that a test owns and that is returned at its end.
struct Mapped {
    start: NonNull<u8>,
    len: usize,
}

impl Mapped {
    fn new(pages: usize, options: MapOptions) -> Self {
        let len = pages * page_size();
        Self { start: Native.map(len, options).unwrap(), len }
    }

    fn byte(&self, offset: usize) -> *mut u8 {
        assert!(offset < self.len);
        // SAFETY: inside the mapping.
        unsafe { self.start.as_ptr().add(offset) }
    }

    fn read(&self, offset: usize) -> u8 {
        // SAFETY: inside the mapping; tests read only where the rights allow it, or in a child that may
        // fault.
        unsafe { self.byte(offset).read_volatile() }
    }

    fn write(&self, offset: usize, value: u8) {
        // SAFETY: as for `read`; the test owns the mapping.
        unsafe { self.byte(offset).write_volatile(value) };
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the whole mapping, at the end of its owner.
        unsafe { Native.unmap(self.start, self.len).unwrap() };
    }
}

#[test]
fn the_clock_runs_forward() {
    let start = Native.milliseconds();
    std::thread::sleep(std::time::Duration::from_millis(30));
    assert!((start + 10..start + 60_000).contains(&Native.milliseconds()));
}

#[test]
fn native_has_no_size_and_a_sane_page_size() {
    assert_eq!(size_of::<Native>(), 0);
    const { assert!(HAS_OS) };
    assert!(Native.page_size() >= 4096);
}

#[test]
fn fresh_memory_is_zero_and_writable() {
    let memory = Mapped::new(3, MapOptions::new());
    for offset in [0, 1, page_size(), memory.len - 1] {
        assert_eq!(memory.read(offset), 0);
        memory.write(offset, 0x5A);
        assert_eq!(memory.read(offset), 0x5A);
    }
}

#[test]
fn alignment_is_met_from_a_byte_to_a_gibibyte() {
    for shift in 0..=30 {
        if cfg!(miri) && shift > 12 {
            break;
        }
        let alignment = 1 << shift;
        let options = MapOptions::new().with_alignment(alignment).with_no_reserve();
        let memory = Mapped::new(2, options);
        assert_eq!(memory.start.addr().get() % alignment, 0);
        memory.write(0, 1);
        memory.write(memory.len - 1, 1);
    }
}

#[test]
fn impossible_requests_are_errors_that_name_the_call() {
    for len in [0, 1, page_size() + 1] {
        let error = Native.map(len, MapOptions::new()).unwrap_err();
        assert_eq!((error.call(), error.is_invalid_argument()), ("mmap", true));
    }
    let largest = isize::MAX as usize & !(page_size() - 1);
    for len in [largest, usize::MAX & !(page_size() - 1)] {
        if cfg!(miri) && len == largest {
            continue; // Miri tries to obtain it.
        }
        let first = Native.map(len, MapOptions::new());
        // The second asks in vain in every case: there is no room for two halves and the program.
        let error = Native.map(len, MapOptions::new()).unwrap_err();
        assert_eq!((error.call(), error.is_out_of_memory()), ("mmap", true));
        match first {
            Ok(memory) => {
                assert_eq!(
                    (usize::BITS, len),
                    (32, largest),
                    "only 32 bits of addresses leave room for half"
                );
                // SAFETY: the whole mapping, which nobody uses.
                unsafe { Native.unmap(memory, len).unwrap() };
            }
            Err(error) => assert_eq!((error.call(), error.is_out_of_memory()), ("mmap", true)),
        }
    }
}

#[test]
fn populated_memory_is_still_zero() {
    let memory = Mapped::new(4, MapOptions::new().with_populate());
    assert_eq!(memory.read(0), 0);
    assert_eq!(memory.read(memory.len - 1), 0);
}

#[test]
fn a_mask_of_no_nodes_is_refused_before_the_system_is_asked() {
    let memory = Mapped::new(1, MapOptions::new());
    // SAFETY: a live mapping.
    let result =
        unsafe { crate::numa_bind(memory.start, memory.len, crate::NumaMode::Bind, &NodeMask::new()) };
    assert!(result.unwrap_err().is_invalid_argument());
}

#[cfg(all(target_os = "linux", not(miri)))]
mod linux;
