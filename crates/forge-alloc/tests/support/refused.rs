//! A system call that the kernel refuses, for one thread: what a container's profile or an old kernel does to a program.
#![allow(unsafe_code)]

use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W};

/// Runs `test` on a thread for which the call `number` fails with `code`; only where an argument has a value, if its index
/// and the value are given. Returns `None`, and says so, where the kernel has no such filters.
pub(crate) fn refused<T: Send>(
    number: libc::c_long,
    argument: Option<(u32, u32)>,
    code: libc::c_int,
    test: impl FnOnce() -> T + Send,
) -> Option<T> {
    /// Where the number of the call and the low half of its first argument lie in what a filter sees, in bytes.
    const NUMBER: u32 = 0;
    const FIRST: u32 = 16 + if cfg!(target_endian = "big") { 4 } else { 0 };
    let load = |at| step(BPF_LD | BPF_W | BPF_ABS, 0, at);
    let skip_unless = |value, steps| step(BPF_JMP | BPF_JEQ | BPF_K, steps, value);
    let answer = |answer| step(BPF_RET | BPF_K, 0, answer);
    let mut filter = vec![load(NUMBER), skip_unless(number as u32, if argument.is_some() { 3 } else { 1 })];
    if let Some((index, value)) = argument {
        filter.extend([load(FIRST + 8 * index), skip_unless(value, 1)]);
    }
    filter.extend([answer(libc::SECCOMP_RET_ERRNO | code as u32), answer(libc::SECCOMP_RET_ALLOW)]);
    std::thread::scope(|scope| {
        scope.spawn(|| restrict_this_thread(&mut filter).then(test)).join().expect("the test passes")
    })
}

/// Applies a filter to the calls of this thread until it ends; returns whether the kernel can.
fn restrict_this_thread(filter: &mut [libc::sock_filter]) -> bool {
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: both calls restrict this thread alone, and the program is a filter of the length that it says.
    let restricted = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
    };
    if !restricted {
        eprintln!("skipped: this kernel filters no system calls");
    }
    restricted
}

/// Returns one step of a filter, which skips `skipped` steps if its comparison fails.
fn step(code: u32, skipped: u8, value: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: skipped, k: value }
}
