# The index card of everyday tasks. Every recipe is one command that can be typed without `just`.

# List the recipes.
default:
    @just --list

# Run every test: what the README promises.
test:
    cargo test --workspace

# Compare allocators on real programs' traces: `just lab TRACE --with bump,system`.
lab *arguments:
    cargo run --release -p forge-lab -- compare {{arguments}}

# The same, with the allocators of other projects; some of them need a C compiler.
lab-contestants *arguments:
    cargo run --release -p forge-lab --features contestants -- compare {{arguments}}

# Benchmarks by wall clock, beside their peers.
bench *arguments:
    cargo bench -p forge-benches --features criterion {{arguments}}

# Everything that a change has to pass, in under half an hour.
ci:
    .ci/run

# Formatting, clippy and documentation without warnings.
lint:
    cargo xtask lint

# Rules of the sources that the compiler does not hold: layers, unsafe, headers, words, links.
tidy:
    cargo xtask tidy

# Undefined behaviour, by interpretation: `just miri --tree-borrows --target i686-unknown-linux-gnu`.
miri *options:
    cargo xtask miri {{options}}

# instruction counts of the hot paths against their baseline
counts:
    cargo xtask counts

# Every interleaving of the lock-free code.
loom:
    cargo xtask loom

# The tests under sanitizers: `just sanitize address`.
sanitize *kinds:
    cargo xtask sanitize {{kinds}}

# The tests on other word sizes, byte orders and C libraries: `just cross s390x-unknown-linux-gnu`.
cross *targets:
    cargo xtask cross {{targets}}

# Builds without an operating system.
no-std:
    cargo xtask no-std

# Every feature alone, none, and all together.
features:
    cargo xtask features

# Licences, refused crates and sources of the dependencies.
deny:
    cargo xtask deny

# The documentation of the workspace, in the browser.
docs:
    cargo doc --workspace --no-deps --open
