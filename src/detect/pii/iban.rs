//! International bank account numbers (ISO 13616): the `iban_validate` crate checks country, structure of the
//! SWIFT registry and the mod-97 digits.

use super::{
    kind::{Evidence, Kind, PROOF, when},
    numbers::Number,
};

pub(super) const IBAN: Kind = Kind {
    signal: "pii.iban",
    lengths: &[15, 16, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34],
    words: "",
    check,
};

fn check(number: &Number<'_>) -> Option<Evidence> {
    let [country, check, ..] = number.chars.as_chunks::<2>().0 else { return None };
    let possible = country.iter().all(u8::is_ascii_uppercase) && check.iter().all(u8::is_ascii_digit);
    if !possible || !is_grouped(number) {
        return None;
    }
    let text = std::str::from_utf8(number.chars).expect("tokens are ASCII");
    when(text.parse::<iban::Iban>().is_ok(), PROOF)
}

/// Whether it is bare or in groups of four with a shorter last one; some write the country and check digits apart.
fn is_grouped(number: &Number<'_>) -> bool {
    let uniform =
        number.joints.iter().all(|joint| *joint == number.joints[0] && matches!(joint, b' ' | b'-' | b'.'));
    let Some((last, rest)) = number.groups.split_last() else { return false };
    let fours = rest.iter().all(|len| *len == 4) && *last <= 4;
    uniform && (number.is_bare() || fours || number.groups[0] == 4 && number.groups.len() <= 6)
}
