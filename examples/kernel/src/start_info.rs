//! What the emulator tells the kernel: the PVH start information, of which the memory map is used.
//!
//! ```text
//!   start information  | magic | version | .. | map address | map entries |
//!   map entry          | first address | bytes | kind | - |      kind 1 is memory
//! ```
#![allow(unsafe_code)]

/// The magic number of the start information.
const MAGIC: u32 = 0x336e_c578;
/// The kind of an entry that is memory.
const MEMORY: u32 = 1;

#[repr(C)]
struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    module_count: u32,
    modules: u64,
    command_line: u64,
    root_pointer: u64,
    map: u64,
    map_entries: u32,
    reserved: u32,
}

/// A span of the memory map.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Entry {
    /// The first address.
    pub start: u64,
    /// The length in bytes.
    pub size: u64,
    kind: u32,
    reserved: u32,
}

impl Entry {
    /// Returns whether the span is memory.
    pub fn is_memory(&self) -> bool {
        self.kind == MEMORY
    }
}

/// Returns the memory map at the address of the start information, or nothing if there is none.
///
/// # Safety
///
/// The emulator has put its start information there, and nobody has overwritten it.
pub unsafe fn memory_map(address: usize) -> &'static [Entry] {
    let info: *const StartInfo = core::ptr::with_exposed_provenance(address);
    // SAFETY: the caller's promise: the information and the map are where the protocol says, and are never written again.
    unsafe {
        // The map exists from version 1 on.
        if (*info).magic != MAGIC || (*info).version < 1 || (*info).map == 0 {
            return &[];
        }
        let map = core::ptr::with_exposed_provenance((*info).map as usize);
        core::slice::from_raw_parts(map, (*info).map_entries as usize)
    }
}
