//! The workloads under ferroc.

#[global_allocator]
static GLOBAL: ferroc::Ferroc = ferroc::Ferroc;

fn main() -> std::process::ExitCode {
    forge_processes::run()
}
