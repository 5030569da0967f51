//! The workloads under the least that a process allocator can do.

#[global_allocator]
static GLOBAL: forge_processes::floor::Floor = forge_processes::floor::Floor;

fn main() -> std::process::ExitCode {
    forge_processes::run()
}
