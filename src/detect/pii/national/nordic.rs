//! Sweden, Norway, Denmark, Finland.

use super::{
    super::{
        checksum::{is_date, is_short_date, luhn, number, weighted},
        kind::{DIGITS, Evidence, FORM, Kind, PROOF, SHAPE, when},
        numbers::Number,
    },
    digit, two,
};

pub(super) const KINDS: &[Kind] = &[
    Kind {
        signal: "pii.se_personnummer",
        lengths: &[10, 12],
        words: "personnummer|samordningsnummer|personal identity number|personnr|swedish id",
        check: se_personnummer,
    },
    Kind {
        signal: "pii.no_fodselsnummer",
        lengths: &[11],
        words: "fødselsnummer|fodselsnummer|personnummer|d-nummer|fnr|norwegian id",
        check: no_fodselsnummer,
    },
    Kind {
        signal: "pii.dk_cpr",
        lengths: &[10],
        words: "cpr|cpr-nummer|personnummer|civil registration",
        check: dk_cpr,
    },
    Kind {
        signal: "pii.fi_hetu",
        lengths: &[10, 11],
        words: "hetu|henkilötunnus|henkilötunnuksen|personbeteckning",
        check: fi_hetu,
    },
];

/// Date of birth (60 added to the day in coordination numbers), serial, Luhn digit over the last ten
/// (Folkbokföringslagen 1991:481 § 18; Skatteverket SKV 704).
fn se_personnummer(number: &Number<'_>) -> Option<Evidence> {
    if !number.is_digits() {
        return None;
    }
    let (century, chars) = number.chars.split_at(number.chars.len() - 10);
    let known = matches!(century, b"" | b"18" | b"19" | b"20");
    let date = is_short_date(two(chars, 0), two(chars, 2), two(chars, 4) % 60);
    let written = matches!(number.groups, [6 | 8, 4]) && matches!(number.joints, b"-" | b"+");
    let evidence = if written { FORM } else { DIGITS };
    when(known && date && luhn(chars) && (written || number.is_bare()), evidence)
}

/// Date of birth (40 added to the day in D numbers), serial, two check digits modulo 11 (Folkeregisterforskriften
/// § 2-2-1).
fn no_fodselsnummer(number: &Number<'_>) -> Option<Evidence> {
    let chars = number.chars;
    let first = weighted(chars, &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1])?;
    let second = weighted(chars, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1])?;
    let date = is_short_date(two(chars, 4), two(chars, 2) % 40, two(chars, 0) % 40);
    let spaced = number.is_written(&[6, 5], b' ');
    let passes = first % 11 == 0 && second % 11 == 0 && date;
    when(passes && (spaced || number.is_bare()), if spaced { FORM } else { DIGITS })
}

/// Date of birth and serial. The check digit has not been kept since 2007 (CPR-kontoret), so only the form speaks.
fn dk_cpr(number: &Number<'_>) -> Option<Evidence> {
    if !number.is_digits() {
        return None;
    }
    let date = is_short_date(two(number.chars, 4), two(number.chars, 2), two(number.chars, 0));
    when(date && number.is_bare_or(&[6, 4]), SHAPE)
}

/// Date of birth, a sign for the century, serial, and a check sign modulo 31 (Valtioneuvoston asetus 128/2010,
/// with the signs added in 2023).
fn fi_hetu(finnish: &Number<'_>) -> Option<Evidence> {
    const SIGNS: &[u8] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
    // The sign `-` is a joint; the letters stand inside the token.
    let century = match (finnish.groups, finnish.joints) {
        ([6, 4], b"-" | b"+") => b'-',
        ([11], []) => finnish.chars[6],
        _ => return None,
    };
    let serial_at = finnish.chars.len() - 4;
    let (date, serial) = (&finnish.chars[..6], &finnish.chars[serial_at..]);
    let base = match century {
        b'A'..=b'F' => 2000,
        b'-' | b'U'..=b'Y' => 1900,
        _ => return None,
    };
    let whole = number(&[date, &serial[..3]].concat())?;
    let day = is_date(base + two(date, 4), two(date, 2), two(date, 0));
    let passes = SIGNS[(whole % 31) as usize] == serial[3] && digit(serial, 0) < 10;
    when(passes && day, PROOF)
}
