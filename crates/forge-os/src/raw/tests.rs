#![allow(unsafe_code)]

use core::num::NonZeroUsize;

use super::{mmap, munmap, syscall6};

#[test]
fn fresh_pages_are_zero_writable_and_can_be_returned() {
    let len = 16 * crate::page_size();
    let memory = mmap(len).unwrap();
    assert_eq!(memory.addr().get() % crate::page_size(), 0);
    // SAFETY: a fresh mapping of `len` bytes, ours alone.
    unsafe {
        for offset in 0..len {
            assert_eq!(memory.add(offset).read(), 0);
        }
        memory.write_bytes(0xAB, len);
        assert_eq!(memory.add(len - 1).read(), 0xAB);
        munmap(memory, len).unwrap();
    }
}

#[test]
fn errors_are_decoded_and_name_the_call() {
    let error = mmap(0).unwrap_err();
    assert_eq!((error.call(), error.code()), ("mmap", 22));
    let error = mmap(1 << 62).unwrap_err();
    assert_eq!((error.call(), error.code()), ("mmap", 12));

    let page = mmap(crate::page_size()).unwrap();
    let inside = page.map_addr(|address| NonZeroUsize::MIN.saturating_add(address.get()));
    // SAFETY: a misaligned address is refused without any effect; then the whole mapping goes back.
    unsafe {
        let error = munmap(inside, crate::page_size()).unwrap_err();
        assert_eq!((error.call(), error.code()), ("munmap", 22));
        munmap(page, crate::page_size()).unwrap();
    }
}

#[cfg(system = "linux")]
#[test]
fn an_unknown_call_is_reported() {
    // SAFETY: the kernel has no call of this number and refuses without any effect.
    assert_eq!(unsafe { syscall6(5000, [0; 6]) }, Err(38));
}

#[cfg(all(system = "linux", target_arch = "x86_64"))]
#[test]
fn values_in_registers_survive_a_call() {
    use core::hint::black_box;

    const GETPID: usize = 39;
    let values: [u64; 14] = core::array::from_fn(|index| black_box(0x0101_0101 * (index as u64 + 1)));
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n] = values;
    for _ in 0..1000 {
        // SAFETY: the call takes nothing and changes nothing.
        let process = unsafe { syscall6(GETPID, [1, 2, 3, 4, 5, 6]) };
        assert_eq!(process, Ok(std::process::id() as usize));
        let now = [a, b, c, d, e, f, g, h, i, j, k, l, m, n];
        assert_eq!(black_box(now), values);
    }
}
