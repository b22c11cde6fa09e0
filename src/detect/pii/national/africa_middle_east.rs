//! Turkey, Israel, Saudi Arabia, the United Arab Emirates, South Africa.

use super::{
    super::{
        checksum::{is_short_date, luhn, number, weighted},
        kind::{DIGITS, Evidence, FORM, Kind, PROOF, when},
        numbers::Number,
    },
    digit, is_uniform, two,
};

pub(super) const KINDS: &[Kind] = &[
    Kind {
        signal: "pii.tr_kimlik",
        lengths: &[11],
        words: "kimlik|tckn|t.c. kimlik|TC no|turkish id",
        check: tr_kimlik,
    },
    Kind {
        signal: "pii.il_id",
        lengths: &[9],
        words: "teudat zehut|תעודת זהות|ת.ז|ת\"ז|מספר זהות|israeli id",
        check: il_id,
    },
    Kind {
        signal: "pii.sa_id",
        lengths: &[10],
        words: "iqama|saudi id|saudi national|هوية|الهوية|إقامة|الإقامة|national id",
        check: sa_id,
    },
    Kind {
        signal: "pii.ae_emirates_id",
        lengths: &[15],
        words: "emirates id|الهوية|هوية|uae id",
        check: ae_emirates_id,
    },
    Kind {
        signal: "pii.za_id",
        lengths: &[13],
        words: "south african id|SA ID|rsa id|id number|identity number|ID no|id-nommer",
        check: za_id,
    },
];

/// Eleven digits, the tenth from sums of the odd and even places, the last the sum of the others modulo 10
/// (Nüfus ve Vatandaşlık İşleri, MERNİS).
fn tr_kimlik(number: &Number<'_>) -> Option<Evidence> {
    let chars = number.chars;
    let odd = weighted(chars, &[1, 0, 1, 0, 1, 0, 1, 0, 1])?;
    let even = weighted(chars, &[0, 1, 0, 1, 0, 1, 0, 1])?;
    let tenth = (odd * 7 + even * 9) % 10;
    let eleventh = (odd + even + tenth) % 10;
    let passes = (tenth, eleventh) == (digit(chars, 9), digit(chars, 10)) && chars[0] != b'0';
    when(number.is_bare() && passes, DIGITS)
}

/// Nine digits with weights 1 and 2, digit sums, modulo 10: Luhn's check.
fn il_id(number: &Number<'_>) -> Option<Evidence> {
    when(
        (number.is_bare() || number.is_written(&[8, 1], b'-'))
            && luhn(number.chars)
            && !is_uniform(number.chars),
        DIGITS,
    )
}

/// Ten digits, 1 for citizens and 2 for residents, with a Luhn digit.
fn sa_id(number: &Number<'_>) -> Option<Evidence> {
    when(number.is_bare() && matches!(number.chars[0], b'1' | b'2') && luhn(number.chars), DIGITS)
}

/// The country code 784, year of birth, serial and a Luhn digit (Federal Authority for Identity).
fn ae_emirates_id(id: &Number<'_>) -> Option<Evidence> {
    let year = number(&id.chars[3..7])?;
    let passes = id.chars.starts_with(b"784") && (1900..2100).contains(&year) && luhn(id.chars);
    let written = id.is_written(&[3, 4, 7, 1], b'-');
    when(passes && (written || id.is_bare_or(&[3, 4, 7, 1])), if written { PROOF } else { FORM })
}

/// Date of birth, serial, citizenship 0 to 2, and a Luhn digit (Identification Act 68 of 1997).
fn za_id(number: &Number<'_>) -> Option<Evidence> {
    let chars = number.chars;
    if !number.is_digits() {
        return None;
    }
    let date = is_short_date(two(chars, 0), two(chars, 2), two(chars, 4));
    when(number.is_bare_or(&[6, 4, 3]) && date && chars[10] <= b'2' && luhn(chars), DIGITS)
}
