//! National identity, tax and social insurance numbers, by part of the world.

mod africa_middle_east;
mod americas;
mod british_isles;
mod central_europe;
mod east_asia;
mod eastern_europe;
mod nordic;
mod oceania;
mod south_asia;
mod southern_europe;

use super::{checksum::weighted, kind::Kind};

/// Every national number that is known here.
pub(super) fn kinds() -> impl Iterator<Item = &'static Kind> {
    [
        africa_middle_east::KINDS,
        americas::KINDS,
        british_isles::KINDS,
        central_europe::KINDS,
        east_asia::KINDS,
        eastern_europe::KINDS,
        nordic::KINDS,
        oceania::KINDS,
        south_asia::KINDS,
        southern_europe::KINDS,
    ]
    .into_iter()
    .flatten()
}

/// The number in two decimal digits at a place that holds digits.
fn two(chars: &[u8], at: usize) -> u64 {
    u64::from(chars[at] - b'0') * 10 + u64::from(chars[at + 1] - b'0')
}

/// The value of the digit at a place that holds one.
fn digit(chars: &[u8], at: usize) -> u32 {
    u32::from(chars[at] - b'0')
}

/// Whether all characters are the same, as in placeholders that satisfy many checks.
fn is_uniform(chars: &[u8]) -> bool {
    chars.iter().all(|char| *char == chars[0])
}

/// The digit `11 - sum mod 11` that many countries use, with 11 as 0; 10 stands for "no such number".
fn complement_11(chars: &[u8], weights: &[u32]) -> Option<u32> {
    Some((11 - weighted(chars, weights)? % 11) % 11)
}
