//! The workloads under the allocator of the C library.

#[global_allocator]
static GLOBAL: std::alloc::System = std::alloc::System;

fn main() -> std::process::ExitCode {
    forge_processes::run()
}
