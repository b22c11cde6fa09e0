//! The `demur` program.

fn main() {}
