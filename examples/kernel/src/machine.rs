//! The devices of the emulated machine: the serial port, and the port that ends the emulator with a status.
#![allow(unsafe_code)]

use core::arch::asm;
use core::fmt;

/// The first serial port.
const SERIAL: u16 = 0x3F8;
/// Its line status register.
const LINE_STATUS: u16 = SERIAL + 5;
/// The bit that says that the port takes another byte.
const TRANSMITTER_EMPTY: u8 = 0x20;
/// The port of QEMU's `isa-debug-exit`: a write of `v` ends the emulator with the status `2 v + 1`.
const DEBUG_EXIT: u16 = 0xF4;

/// How the kernel ends.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub enum Status {
    /// All went well: the emulator's status is 33.
    Success = 16,
    /// Something did not: the emulator's status is 35.
    Failure = 17,
}

/// The serial port, which is all that there is to see of the kernel.
pub struct Serial;

impl fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(put);
        Ok(())
    }
}

/// Sends one byte.
fn put(byte: u8) {
    // SAFETY: the ports are those of the serial device; reading its status and sending a byte touches no memory.
    unsafe {
        while input(LINE_STATUS) & TRANSMITTER_EMPTY == 0 {
            core::hint::spin_loop();
        }
        output(SERIAL, byte);
    }
}

/// Ends the emulator.
pub fn exit(status: Status) -> ! {
    // SAFETY: the port ends the emulator; a machine without it goes on to the halt.
    unsafe {
        asm!("out dx, eax", in("dx") DEBUG_EXIT, in("eax") status as u32, options(nomem, nostack, preserves_flags));
        loop {
            asm!("hlt", options(nomem, nostack, preserves_flags));
        }
    }
}

/// # Safety
///
/// Reading the port has no effect that matters.
unsafe fn input(port: u16) -> u8 {
    let value: u8;
    // SAFETY: the caller's promise.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack, preserves_flags)) };
    value
}

/// # Safety
///
/// Writing the value to the port touches no memory of the kernel.
unsafe fn output(port: u16, value: u8) {
    // SAFETY: the caller's promise.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack, preserves_flags)) };
}

/// Prints a line on the serial port.
#[macro_export]
macro_rules! line {
    ($($argument:tt)*) => {{
        use core::fmt::Write as _;
        // The serial port has no errors.
        let _ = writeln!($crate::machine::Serial, $($argument)*);
    }};
}
