//! The workloads under the process allocator of this workspace, profile hardened.

#[global_allocator]
static GLOBAL: forge_malloc::fast::HardenedMalloc = forge_malloc::fast::HardenedMalloc::new();

fn main() -> std::process::ExitCode {
    forge_processes::run()
}
