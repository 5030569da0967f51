//! Records the compiler that builds the benchmarks: instruction counts are comparable only between equal compilers.

use std::process::Command;

fn main() {
    let compiler = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let version = Command::new(compiler).arg("--version").output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string());
    println!("cargo:rustc-env=FORGE_BENCHES_RUSTC={}", version.unwrap_or_else(|_| "unknown".into()));
    println!("cargo:rerun-if-changed=build.rs");
}
