//! The `demur` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    demur::cli::main()
}
