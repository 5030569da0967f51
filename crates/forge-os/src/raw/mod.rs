//! Mapping memory with nothing but the processor's instruction for it: what every layer above ends in.
//!
//! One file per processor and kernel, meant to be read: the calling convention, what the kernel destroys, and
//! how it reports errors; and one file, `mapping`, for what the kernel is asked for. [`Native`](crate::Native) goes through rustix or the C
//! library; this module serves readers, allocators that must not depend on anything, and the few Linux calls
//! that rustix lacks.
//!
//! Four functions: `syscall6`, any system call with up to six arguments; `mmap`, fresh zeroed pages; `mmap_with`, a
//! mapping of the caller's choice; `munmap`, their return. They exist on 64-bit x86 and ARM under Linux, Android and macOS, and are absent
//! elsewhere and under Miri.
//!
//! | | x86-64 Linux | AArch64 Linux | x86-64 macOS | AArch64 macOS |
//! |---|---|---|---|---|
//! | instruction | `syscall` | `svc #0` | `syscall` | `svc #0x80` |
//! | number in | rax | x8 | rax, plus `0x2000000` | x16 |
//! | arguments in | rdi rsi rdx r10 r8 r9 | x0 .. x5 | rdi rsi rdx r10 r8 r9 | x0 .. x5 |
//! | result in | rax | x0 | rax (and rdx) | x0 (and x1) |
//! | failure | result in `-4095..0` is `-errno` | the same | carry flag, result is `errno` | the same |
//! | destroyed | rcx, r11 | nothing else | all that a C call may destroy | the same |
//! | `mmap`, `munmap` | 9, 11 | 222, 215 | 197, 73 | 197, 73 |
//! | numbers are stable | yes | yes | no | no |
//!
//! # Examples
//!
//! ```
//! # #[cfg(all(target_os = "linux", target_arch = "x86_64", target_pointer_width = "64", not(miri)))]
//! # fn main() -> Result<(), forge_os::OsError> {
//! use forge_os::raw;
//!
//! let page = raw::mmap(4096)?;
//! // SAFETY: one mapped page, used by nobody else, and given back whole.
//! unsafe {
//!     page.write(42);
//!     assert_eq!(page.read(), 42);
//!     raw::munmap(page, 4096)
//! }
//! # }
//! # #[cfg(not(all(target_os = "linux", target_arch = "x86_64", target_pointer_width = "64", not(miri))))]
//! # fn main() {}
//! ```

#[cfg(all(raw_calls, system = "linux", target_arch = "x86_64"))]
#[path = "x86_64_linux.rs"]
mod target;

#[cfg(all(raw_calls, system = "linux", target_arch = "aarch64"))]
#[path = "aarch64_linux.rs"]
mod target;

#[cfg(all(raw_calls, target_os = "macos", target_arch = "x86_64"))]
#[path = "x86_64_macos.rs"]
mod target;

#[cfg(all(raw_calls, target_os = "macos", target_arch = "aarch64"))]
#[path = "aarch64_macos.rs"]
mod target;

#[cfg(raw_calls)]
mod mapping;

#[cfg(raw_calls)]
pub use mapping::{mmap, mmap_with, munmap};
#[cfg(raw_calls)]
pub use target::syscall6;

#[cfg(test)]
#[cfg(raw_calls)]
mod tests;
