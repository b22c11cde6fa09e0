//! United States, Canada, Mexico, Brazil, Argentina, Chile.

use super::{
    super::{
        checksum::{digits, is_short_date, luhn, number, weighted},
        kind::{DIGITS, Evidence, FORM, Kind, PROOF, SHAPE, when},
        numbers::Number,
    },
    complement_11, digit, is_uniform, two,
};

pub(super) const KINDS: &[Kind] = &[
    Kind {
        signal: "pii.us_ssn",
        lengths: &[9],
        words: "ssn|social security|social sec|soc sec|seguro social",
        check: us_ssn,
    },
    Kind {
        signal: "pii.us_itin",
        lengths: &[9],
        words: "itin|taxpayer identification|taxpayer id|individual taxpayer|tax id",
        check: us_itin,
    },
    Kind {
        signal: "pii.ca_sin",
        lengths: &[9],
        words: "SIN|social insurance|assurance sociale|NAS",
        check: ca_sin,
    },
    Kind { signal: "pii.mx_curp", lengths: &[18], words: "curp", check: mx_curp },
    Kind { signal: "pii.br_cpf", lengths: &[11], words: "cpf|cadastro de pessoas", check: br_cpf },
    Kind {
        signal: "pii.ar_cuil",
        lengths: &[11],
        words: "cuil|cuit|identificación laboral|identificación tributaria",
        check: ar_cuil,
    },
    Kind { signal: "pii.cl_rut", lengths: &[8, 9], words: "rut|RUN|rol único", check: cl_rut },
];

/// Area, group and serial must not be zero; the areas 666 and 900 to 999 are never given out (20 CFR 422.103 and
/// SSA's randomization notice of 2011). There is no check digit.
fn us_ssn(number: &Number<'_>) -> Option<Evidence> {
    const WRITTEN: Evidence = Evidence { alone: 0.7, with_words: 0.9 };
    if !number.is_digits() {
        return None;
    }
    let (area, rest) = number.chars.split_at(3);
    let (group, serial) = rest.split_at(2);
    let ranges = !matches!(area, b"000" | b"666" | [b'9', ..]) && group != b"00" && serial != b"0000";
    let hyphens = number.is_written(&[3, 2, 4], b'-');
    let form = hyphens || number.is_bare() || number.is_written(&[3, 2, 4], b' ');
    when(ranges && form && !is_uniform(number.chars), if hyphens { WRITTEN } else { SHAPE })
}

/// An ITIN starts with 9 and has 50–65, 70–88, 90–92 or 94–99 in the middle (IRS Publication 4757).
fn us_itin(number: &Number<'_>) -> Option<Evidence> {
    const WRITTEN: Evidence = Evidence { alone: 0.6, with_words: 0.9 };
    if !number.is_digits() {
        return None;
    }
    let middle = matches!(two(number.chars, 3), 50..=65 | 70..=88 | 90..=92 | 94..=99);
    let hyphens = number.is_written(&[3, 2, 4], b'-');
    let form = hyphens || number.is_bare() || number.is_written(&[3, 2, 4], b' ');
    when(number.chars[0] == b'9' && middle && form, if hyphens { WRITTEN } else { SHAPE })
}

/// Nine digits with a Luhn digit; 8 is not given out as the first, and 0 only in specimens.
fn ca_sin(number: &Number<'_>) -> Option<Evidence> {
    let form = number.is_bare_or(&[3, 3, 3]);
    when(form && luhn(number.chars) && number.chars[0] != b'8', DIGITS)
}

/// Letters of the name, date of birth, sex, state, consonants, homonym mark and check digit (Instructivo
/// normativo para la asignación de la CURP, DOF 18 June 2018).
fn mx_curp(number: &Number<'_>) -> Option<Evidence> {
    const ALPHABET: &str = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ";
    let chars = number.chars;
    let letters = |at: std::ops::Range<usize>| chars[at].iter().all(u8::is_ascii_uppercase);
    let shaped = number.is_bare()
        && letters(0..4)
        && digits(&chars[4..10]).is_some()
        && matches!(chars[10], b'H' | b'M' | b'X')
        && letters(11..16)
        && chars[17].is_ascii_digit();
    if !shaped || !is_short_date(two(chars, 4), two(chars, 6), two(chars, 8)) {
        return None;
    }
    let sum: usize = chars[..17]
        .iter()
        .zip((2..=18).rev())
        .filter_map(|(char, weight)| Some(ALPHABET.chars().position(|c| c == char::from(*char))? * weight))
        .sum();
    when((10 - sum % 10) % 10 == digit(chars, 17) as usize, PROOF)
}

/// Two check digits modulo 11 (Receita Federal, Instrução Normativa RFB 1548/2015 and its predecessors).
fn br_cpf(number: &Number<'_>) -> Option<Evidence> {
    let chars = number.chars;
    let first = weighted(chars, &[10, 9, 8, 7, 6, 5, 4, 3, 2])? * 10 % 11 % 10;
    let second = weighted(chars, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2])? * 10 % 11 % 10;
    if (first, second) != (digit(chars, 9), digit(chars, 10)) || is_uniform(chars) {
        return None;
    }
    if number.has_form(&[3, 3, 3, 2], b"..-") {
        return Some(PROOF);
    }
    when(number.is_bare_or(&[3, 3, 3, 2]) || number.has_form(&[9, 2], b"-"), DIGITS)
}

/// A prefix for the kind of person, the identity number and a check digit modulo 11 (AFIP / ANSES).
fn ar_cuil(number: &Number<'_>) -> Option<Evidence> {
    let chars = number.chars;
    let check = complement_11(chars, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2])?;
    let person = matches!(two(chars, 0), 20 | 23 | 24 | 25 | 26 | 27);
    let hyphens = number.is_written(&[2, 8, 1], b'-');
    let form = number.is_bare_or(&[2, 8, 1]);
    when(check == digit(chars, 10) && person && form, if hyphens { FORM } else { DIGITS })
}

/// Weights 2 to 7 from the right, modulo 11, with `K` for ten (Registro Civil).
fn cl_rut(chile: &Number<'_>) -> Option<Evidence> {
    let (check, body) = chile.chars.split_last()?;
    let sum: u32 =
        digits(body)?.rev().zip([2, 3, 4, 5, 6, 7, 2, 3]).map(|(digit, weight)| digit * weight).sum();
    let expected = match 11 - sum % 11 {
        11 => b'0',
        10 => b'K',
        digit => b'0' + digit as u8,
    };
    let dotted = matches!(chile.groups, [1 | 2, 3, 3, 1]) && chile.joints == b"..-";
    let form = dotted || matches!(chile.groups, [7 | 8, 1]) && chile.joints == b"-" || chile.is_bare();
    let in_use = number(body).is_some_and(|body| body >= 1_000_000);
    when(*check == expected && form && in_use, if dotted { FORM } else { DIGITS })
}
