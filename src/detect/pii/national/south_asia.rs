//! India, Singapore, Malaysia, Thailand, Indonesia.

use super::{
    super::{
        checksum::{digits, is_short_date, verhoeff, weighted},
        kind::{DIGITS, Evidence, Kind, PROOF, SHAPE, when},
        numbers::Number,
    },
    digit, two,
};

pub(super) const KINDS: &[Kind] = &[
    Kind {
        signal: "pii.in_aadhaar", lengths: &[12], words: "aadhaar|aadhar|uidai|आधार", check: in_aadhaar
    },
    Kind {
        signal: "pii.in_pan",
        lengths: &[10],
        words: "PAN|pan card|pan number|pan no|permanent account number|पैन",
        check: in_pan,
    },
    Kind { signal: "pii.sg_nric", lengths: &[9], words: "nric|FIN|singapore id", check: sg_nric },
    Kind { signal: "pii.my_nric", lengths: &[12], words: "nric|mykad|kad pengenalan", check: my_nric },
    Kind {
        signal: "pii.th_id",
        lengths: &[13],
        words: "บัตรประชาชน|เลขประจำตัวประชาชน|thai id|thai national id",
        check: th_id,
    },
    Kind { signal: "pii.id_nik", lengths: &[16], words: "nik|ktp|induk kependudukan", check: id_nik },
];

/// Twelve digits that start with 2 to 9, with a Verhoeff digit (UIDAI, A UID Numbering Scheme, 2010).
fn in_aadhaar(number: &Number<'_>) -> Option<Evidence> {
    const GROUPED: Evidence = Evidence { alone: 0.6, with_words: 1.0 };
    let passes = verhoeff(number.chars) && number.chars[0] >= b'2' && number.is_bare_or(&[4, 4, 4]);
    when(passes, if number.is_bare() || number.linked { DIGITS } else { GROUPED })
}

/// Five letters of which the fourth tells the holder's kind, four digits, a letter (Income Tax Department).
fn in_pan(number: &Number<'_>) -> Option<Evidence> {
    let [name @ .., _] = number.chars else { return None };
    let (letters, serial) = name.split_at(5);
    let shaped = letters.iter().all(u8::is_ascii_uppercase)
        && b"ABCFGHJLPT".contains(&letters[3])
        && digits(serial).is_some()
        && number.chars[9].is_ascii_uppercase();
    when(number.is_bare() && shaped, SHAPE)
}

/// A letter for the century and kind, seven digits, and a check letter modulo 11 (National Registration Act).
fn sg_nric(number: &Number<'_>) -> Option<Evidence> {
    const WRITTEN: Evidence = Evidence { alone: 0.7, with_words: 1.0 };
    let chars = number.chars;
    let sum = weighted(&chars[1..8], &[2, 7, 6, 5, 4, 3, 2])?;
    let (offset, letters) = match chars[0] {
        b'S' => (0, b"JZIHGFEDCBA"),
        b'T' => (4, b"JZIHGFEDCBA"),
        b'F' => (0, b"XWUTRQPNMLK"),
        b'G' => (4, b"XWUTRQPNMLK"),
        b'M' => (3, b"XWUTRQPNJLK"),
        _ => return None,
    };
    let expected = letters[((sum + offset) % 11) as usize];
    when(number.is_bare() && chars[8] == expected, if number.lower { DIGITS } else { WRITTEN })
}

/// Date of birth, place of birth, serial (National Registration Regulations 1990). There is no check digit.
fn my_nric(number: &Number<'_>) -> Option<Evidence> {
    if !number.is_digits() {
        return None;
    }
    let date = is_short_date(two(number.chars, 0), two(number.chars, 2), two(number.chars, 4));
    let place =
        matches!(two(number.chars, 6), 1..=16 | 21..=59 | 60..=68 | 71..=72 | 74..=79 | 82..=93 | 98 | 99);
    when(date && place && number.is_bare_or(&[6, 2, 4]), SHAPE)
}

/// Thirteen digits, the last modulo 11 with weights 13 to 2 (Department of Provincial Administration).
fn th_id(number: &Number<'_>) -> Option<Evidence> {
    let check = (11 - weighted(number.chars, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2])? % 11) % 10;
    let groups = [1, 4, 5, 2, 1];
    let passes = check == digit(number.chars, 12) && (b'1'..=b'8').contains(&number.chars[0]);
    let written = number.is_written(&groups, b'-');
    when(passes && number.is_bare_or(&groups), if written { PROOF } else { DIGITS })
}

/// District, date of birth (40 added to a woman's day), serial (Government Regulation 37 of 2007). There is no
/// check digit.
fn id_nik(number: &Number<'_>) -> Option<Evidence> {
    if !number.is_digits() {
        return None;
    }
    let date = is_short_date(two(number.chars, 10), two(number.chars, 8), two(number.chars, 6) % 40);
    let province =
        matches!(two(number.chars, 0), 11..=21 | 31..=36 | 51..=53 | 61..=65 | 71..=76 | 81 | 82 | 91..=97);
    when(number.is_bare() && date && province, SHAPE)
}
