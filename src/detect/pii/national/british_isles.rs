//! United Kingdom and Ireland.

use super::{
    super::{
        checksum::{digits, weighted},
        kind::{DIGITS, Evidence, Kind, SHAPE, when},
        numbers::Number,
    },
    complement_11, digit, is_uniform,
};

pub(super) const KINDS: &[Kind] = &[
    Kind {
        signal: "pii.gb_nhs",
        lengths: &[10],
        words: "nhs|national health service|health service number",
        check: gb_nhs,
    },
    Kind {
        signal: "pii.gb_nino",
        lengths: &[9],
        words: "nino|national insurance|NI number|NI no",
        check: gb_nino,
    },
    Kind { signal: "pii.ie_pps", lengths: &[8, 9], words: "pps|ppsn|personal public service", check: ie_pps },
];

/// Modulo 11 with weights 10 to 2 (NHS Data Model and Dictionary, NHS NUMBER).
fn gb_nhs(number: &Number<'_>) -> Option<Evidence> {
    let check = complement_11(number.chars, &[10, 9, 8, 7, 6, 5, 4, 3, 2])?;
    let form = number.is_bare_or(&[3, 3, 4]);
    when(form && check == digit(number.chars, 9) && !is_uniform(number.chars), DIGITS)
}

/// Two letters that HMRC gives out, six digits, a suffix from A to D (HMRC, NIM39110).
fn gb_nino(number: &Number<'_>) -> Option<Evidence> {
    const WRITTEN: Evidence = Evidence { alone: 0.6, with_words: 0.9 };
    let &[first, second, ref middle @ .., suffix] = number.chars else { return None };
    let prefix = first.is_ascii_uppercase()
        && second.is_ascii_uppercase()
        && !b"DFIQUV".contains(&first)
        && !b"DFIQUVO".contains(&second)
        && !["BG", "GB", "NK", "KN", "TN", "NT", "ZZ"]
            .iter()
            .any(|taken| taken.as_bytes() == [first, second]);
    let form = number.is_bare_or(&[2, 2, 2, 2, 1]) || number.is_written(&[2, 6, 1], b' ');
    let passes = prefix && digits(middle).is_some() && (b'A'..=b'D').contains(&suffix) && form;
    when(passes, if number.lower { SHAPE } else { WRITTEN })
}

/// Seven digits and a check letter modulo 23, newer ones with a second letter of weight 9 (Department of Social
/// Protection, PPS number structure).
fn ie_pps(number: &Number<'_>) -> Option<Evidence> {
    let (body, letters) = number.chars.split_at(7);
    let second = match letters {
        [_] | [_, b'W'] => 0,
        [_, letter @ b'A'..=b'I'] => u32::from(letter - b'A') + 1,
        _ => return None,
    };
    let remainder = (weighted(body, &[8, 7, 6, 5, 4, 3, 2])? + second * 9) % 23;
    let expected = if remainder == 0 { b'W' } else { b'A' + remainder as u8 - 1 };
    when(number.is_bare() && letters[0] == expected, DIGITS)
}
