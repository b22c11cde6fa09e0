//! How many threads the networks use.

/// The environment variable from which candle and rayon take their number of threads.
///
/// candle knows no other way to set it. Unset, it takes every core of the machine, also those that a container
/// may not use, and looks them up in the system for every product: on the second core of a small machine that
/// costs a tenth of the speed, on a large one far more. So a program sets it before it starts (a process can't
/// change its own environment safely): see [`setting`].
pub const VARIABLE: &str = "RAYON_NUM_THREADS";

/// What [`VARIABLE`] should be: `wanted`, or else as many threads as this process may run at once.
pub fn setting(wanted: Option<usize>) -> String {
    wanted.unwrap_or_else(possible).max(1).to_string()
}

/// How many threads each network of the guard has where no setting says. The second halves what texts that wait together
/// wait; more would take the cores that a gateway serves with.
pub fn of_guard() -> usize {
    possible().min(2)
}

/// As many as this process may run at once.
pub fn possible() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
