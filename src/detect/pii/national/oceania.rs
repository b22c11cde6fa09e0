//! Australia and New Zealand.

use super::{
    super::{
        checksum::{number, weighted},
        kind::{DIGITS, Evidence, Kind, when},
        numbers::Number,
    },
    complement_11, digit, is_uniform,
};

pub(super) const KINDS: &[Kind] = &[
    Kind { signal: "pii.au_tfn", lengths: &[9], words: "tfn|tax file", check: au_tfn },
    Kind { signal: "pii.au_medicare", lengths: &[10], words: "medicare", check: au_medicare },
    Kind { signal: "pii.nz_ird", lengths: &[8, 9], words: "ird|inland revenue", check: nz_ird },
];

/// Nine digits, weights 1 4 3 7 5 8 6 9 10, divisible by 11 (Australian Taxation Office).
fn au_tfn(number: &Number<'_>) -> Option<Evidence> {
    let sum = weighted(number.chars, &[1, 4, 3, 7, 5, 8, 6, 9, 10])?;
    when(number.is_bare_or(&[3, 3, 3]) && sum % 11 == 0 && !is_uniform(number.chars), DIGITS)
}

/// Eight digits that start with 2 to 6, a check digit with weights 1 3 7 9 modulo 10, and the issue (Services
/// Australia, Medicare card number).
fn au_medicare(number: &Number<'_>) -> Option<Evidence> {
    let sum = weighted(number.chars, &[1, 3, 7, 9, 1, 3, 7, 9])?;
    let passes = (b'2'..=b'6').contains(&number.chars[0]) && sum % 10 == digit(number.chars, 8);
    when(number.is_bare_or(&[4, 5, 1]) && passes && number.chars[9] != b'0', DIGITS)
}

/// Eight or nine digits, modulo 11 with a second set of weights where the first gives 10 (Inland Revenue, Resident
/// withholding tax specification, IRD number validation).
fn nz_ird(ird: &Number<'_>) -> Option<Evidence> {
    let whole = number(ird.chars)?;
    let padded = format!("{whole:09}");
    let padded = padded.as_bytes();
    let first = complement_11(&padded[..8], &[3, 2, 7, 6, 5, 4, 3, 2])?;
    let check = if first == 10 { complement_11(&padded[..8], &[7, 4, 3, 2, 5, 2, 7, 6])? } else { first };
    let form =
        ird.is_bare_or(&[3, 3, 3]) || ird.is_written(&[2, 3, 3], b'-') || ird.is_written(&[2, 3, 3], b' ');
    when(form && (10_000_000..150_000_000).contains(&whole) && check == digit(padded, 8), DIGITS)
}
