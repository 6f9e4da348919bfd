//! The one binary.

use std::process::ExitCode;

/// Small allocations by the thousand on many threads: chosen by the redirect profile.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    smartlinks::main()
}
