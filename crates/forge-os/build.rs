//! Names the target once, so that the sources can say `cfg(system = "unix")` instead of repeating lists.
//!
//! | cfg | meaning |
//! |---|---|
//! | `system = "linux"` | Linux and Android: `src/platform/linux.rs` |
//! | `system = "unix"` | another Unix with `madvise` and `getentropy`: `src/platform/unix.rs` |
//! | `system = "windows"` | `src/platform/windows.rs` |
//! | `system = "none"` | bare metal and everything unknown: `src/platform/unsupported.rs` |
//! | `hosted` | any but `none` |
//! | `raw_calls` | `src/raw` has a file for the target, and Miri is not running it |
//! | `posix` | a Unix whose C library is linked |

use std::env::var;

/// The systems other than Linux whose C library is used.
const UNIX: [&str; 7] = ["macos", "freebsd", "dragonfly", "netbsd", "openbsd", "solaris", "illumos"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(system, values(\"linux\", \"unix\", \"windows\", \"none\"))");
    println!("cargo::rustc-check-cfg=cfg(hosted)");
    println!("cargo::rustc-check-cfg=cfg(raw_calls)");
    println!("cargo::rustc-check-cfg=cfg(posix)");

    let target = |key: &str| var(key).unwrap_or_default();
    let os = target("CARGO_CFG_TARGET_OS");
    let architecture = target("CARGO_CFG_TARGET_ARCH");
    let system = match os.as_str() {
        "linux" | "android" => "linux",
        "windows" => "windows",
        other if UNIX.contains(&other) || target("CARGO_CFG_TARGET_VENDOR") == "apple" => "unix",
        _ => "none",
    };
    println!("cargo::rustc-cfg=system=\"{system}\"");
    if system != "none" {
        println!("cargo::rustc-cfg=hosted");
    }
    if system == "unix" || system == "linux" && var("CARGO_FEATURE_LIBC").is_ok() {
        println!("cargo::rustc-cfg=posix");
    }
    let processor = matches!(architecture.as_str(), "x86_64" | "aarch64")
        && target("CARGO_CFG_TARGET_POINTER_WIDTH") == "64";
    let kernel = system == "linux" || os == "macos";
    if processor && kernel && var("CARGO_CFG_MIRI").is_err() {
        println!("cargo::rustc-cfg=raw_calls");
    }
}
