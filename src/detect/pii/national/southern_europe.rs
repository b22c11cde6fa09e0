//! Spain, Italy, Portugal, Greece.

use super::{
    super::{
        checksum::{is_short_date, luhn, number},
        kind::{DIGITS, Evidence, Kind, PROOF, when},
        numbers::Number,
    },
    complement_11, digit, two,
};

pub(super) const KINDS: &[Kind] = &[
    Kind {
        signal: "pii.es_dni",
        lengths: &[9],
        words: "dni|nie|nif|documento nacional|documento de identidad|número de identidad",
        check: es_dni,
    },
    Kind {
        signal: "pii.it_codice_fiscale",
        lengths: &[16],
        words: "codice fiscale|c.f.|fiscal code",
        check: it_codice_fiscale,
    },
    Kind {
        signal: "pii.pt_nif",
        lengths: &[9],
        words: "nif|contribuinte|identificação fiscal|número fiscal",
        check: pt_nif,
    },
    Kind { signal: "pii.gr_amka", lengths: &[11], words: "amka|αμκα|ΑΜΚΑ", check: gr_amka },
];

/// Eight digits and the letter for them modulo 23; foreigners' numbers have X, Y or Z for a first 0, 1 or 2 (Real
/// Decreto 1553/2005; Ministerio del Interior).
fn es_dni(spanish: &Number<'_>) -> Option<Evidence> {
    const WRITTEN: Evidence = Evidence { alone: 0.7, with_words: 1.0 };
    let mut body: [u8; 8] = spanish.chars[..8].try_into().ok()?;
    if let foreign @ b'X'..=b'Z' = body[0] {
        body[0] = b'0' + foreign - b'X';
    }
    let letter = b"TRWAGMYFPDXBNJZSQVHLCKE"[(number(&body)? % 23) as usize];
    let form = spanish.is_bare() || matches!(spanish.groups, [8, 1] | [1, 7, 1] | [2, 3, 3, 1]);
    when(spanish.chars[8] == letter && form, if spanish.lower { DIGITS } else { WRITTEN })
}

/// Letters of the name, birth year, month letter, day (with 40 for women), place and a check letter; digits may be
/// replaced by letters where two people would have the same code (Decreto ministeriale of 23 December 1976).
fn it_codice_fiscale(number: &Number<'_>) -> Option<Evidence> {
    const MONTHS: &[u8] = b"ABCDEHLMPRST";
    const REPLACED: &[u8] = b"LMNPQRSTUV";
    // What the signs 0–9 and A–Z count at odd places.
    const ODD: [u32; 36] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12,
        14, 16, 10, 22, 25, 24, 23,
    ];
    let chars = number.chars;
    let value = |char: u8| if char.is_ascii_digit() { char - b'0' } else { char - b'A' };
    let as_digit = |at: usize| match chars[at] {
        digit @ b'0'..=b'9' => Some(u64::from(digit - b'0')),
        letter => REPLACED.iter().position(|replaced| *replaced == letter).map(|digit| digit as u64),
    };
    let letters = [0, 1, 2, 3, 4, 5, 8, 11, 15].iter().all(|at| chars[*at].is_ascii_uppercase());
    let month = MONTHS.iter().position(|month| *month == chars[8])? as u64 + 1;
    let day = (as_digit(9)? * 10 + as_digit(10)?) % 40;
    let year = as_digit(6)? * 10 + as_digit(7)?;
    let place = [12, 13, 14].iter().all(|at| as_digit(*at).is_some());
    let form =
        number.is_bare() || number.is_written(&[3, 3, 5, 5], b' ') || number.is_written(&[6, 5, 5], b' ');
    if !letters || !place || !form || !is_short_date(year, month, day) {
        return None;
    }
    let sum: u32 = chars[..15]
        .iter()
        .enumerate()
        .map(|(place, char)| match (place % 2, char.is_ascii_digit()) {
            (1, _) => u32::from(value(*char)),
            (_, true) => ODD[usize::from(value(*char))],
            (_, false) => ODD[usize::from(value(*char)) + 10],
        })
        .sum();
    when(b'A' + (sum % 26) as u8 == chars[15], PROOF)
}

/// Weights 9 to 2 modulo 11, where 10 counts as 0; people's numbers start with 1, 2, 3 or 45 (Autoridade
/// Tributária, Decreto-Lei 14/2013).
fn pt_nif(number: &Number<'_>) -> Option<Evidence> {
    let check = complement_11(number.chars, &[9, 8, 7, 6, 5, 4, 3, 2])? % 10;
    let person = matches!(number.chars, [b'1'..=b'3', ..] | [b'4', b'5', ..]);
    when(number.is_bare_or(&[3, 3, 3]) && person && check == digit(number.chars, 8), DIGITS)
}

/// Date of birth, serial and a Luhn digit (Law 3655/2008).
fn gr_amka(number: &Number<'_>) -> Option<Evidence> {
    if !number.is_digits() {
        return None;
    }
    let date = is_short_date(two(number.chars, 4), two(number.chars, 2), two(number.chars, 0));
    when(number.is_bare() && date && luhn(number.chars), DIGITS)
}
