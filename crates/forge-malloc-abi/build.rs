//! Chooses how a thread finds its cache, and tells the linker what a preloaded object needs.
//!
//! | cfg | meaning |
//! |---|---|
//! | `exported` | the functions have the names of C, except in unit tests; the fuzz target has the same sources and not this |
//! | `initial_exec` | the loader gives every thread a word at a fixed distance from its thread pointer: `src/word/initial_exec.rs` |
//! | `no_unwinder` | exceptions meet only frames that have nothing to clean up, as they are in optimised code: `src/no_unwinding.rs` |
//!
//! # Design
//!
//! *Never unloaded.* Threads that end and forks call into the object, so `dlclose` must leave it mapped.
//!
//! *Bound to itself.* An object that is opened late comes after the C library in the order of the loader, and its own calls of
//! `realloc` must not end there.
//!
//! *Initialised first*, before the constructors of every other object, so that the functions around a fork are registered before those of
//! anyone else. The system runs what prepares a fork in reverse order: everyone who may still allocate has done so
//! when the locks of the heap are taken.

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(exported, initial_exec, no_unwinder)");
    println!("cargo::rustc-cfg=exported");
    let target = |key: &str| var(key).unwrap_or_default();
    // The tests of whole programs run where they are built.
    println!("cargo::rustc-env=FORGE_TARGET={}", target("TARGET"));
    println!("cargo::rustc-env=FORGE_HOST={}", target("HOST"));
    let elf = target("CARGO_CFG_TARGET_OS") == "linux";
    let processor = matches!(target("CARGO_CFG_TARGET_ARCH").as_str(), "x86_64" | "aarch64")
        && target("CARGO_CFG_TARGET_POINTER_WIDTH") == "64";
    if elf && processor && var("CARGO_CFG_MIRI").is_err() {
        println!("cargo::rustc-cfg=initial_exec");
        if target("OPT_LEVEL") != "0" {
            println!("cargo::rustc-cfg=no_unwinder");
        }
    }
    if elf {
        for flag in ["-z,nodelete", "-z,initfirst", "-Bsymbolic-functions", "-soname,libforge_malloc.so"] {
            println!("cargo::rustc-cdylib-link-arg=-Wl,{flag}");
        }
    }
}
