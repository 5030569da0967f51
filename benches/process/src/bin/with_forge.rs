//! The workloads under the process allocator of this workspace.

#[global_allocator]
static GLOBAL: forge_malloc::fast::ForgeMalloc = forge_malloc::fast::ForgeMalloc::new();

fn main() -> std::process::ExitCode {
    forge_processes::run()
}
