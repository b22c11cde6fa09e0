//! The `demur` program.

use std::process::ExitCode;

/// A request makes some hundred small allocations on one thread and frees them on another: glibc's allocator takes a
/// tenth of the gateway's own time for them, this one a third of that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    demur::cli::main()
}
