//! What a test binary says when it ends: that its allocator was the installed one, and in which state it is.
//!
//! A process that exits adds one line to the file that `FORGE_INSTALLED_RECORD` names: its program, the bytes that the
//! allocator has obtained, and whether it is intact, with tabs between them. A process that is killed, as in a death test,
//! adds none.
#![allow(unsafe_code)]

use std::fs::OpenOptions;
use std::io::Write;

/// Called by the C library after `main`, and on `exit`.
// SAFETY: the section holds pointers to functions of this kind, and nothing else.
#[used]
#[unsafe(link_section = ".fini_array")]
static AT_EXIT: extern "C" fn() = record;

extern "C" fn record() {
    let Some(path) = std::env::var_os("FORGE_INSTALLED_RECORD") else { return };
    let Ok(program) = std::env::current_exe() else { return };
    let (obtained, intact) = super::evidence();
    let line = format!("{}\t{obtained}\t{intact}\n", program.display());
    // A line that cannot be written is missed by the gate.
    if let Ok(mut file) = OpenOptions::new().append(true).create(true).open(path) {
        let _ = file.write_all(line.as_bytes());
    }
}
