//! Germany, Austria, Switzerland, France, Belgium, the Netherlands.

use super::{
    super::{
        checksum::{ean, is_short_date, mod_11_10, number, weighted},
        kind::{DIGITS, Evidence, FORM, Kind, PROOF, when},
        numbers::Number,
    },
    digit, is_uniform, two,
};

pub(super) const KINDS: &[Kind] = &[
    Kind {
        signal: "pii.de_tax_id",
        lengths: &[11],
        words: "steuer-id|steuerid|steueridentifikation|steuernummer|steuerliche|idnr|tax id",
        check: de_tax_id,
    },
    Kind {
        signal: "pii.at_svnr",
        lengths: &[10],
        words: "sozialversicherung|svnr|sv-nummer|versicherungsnummer|e-card",
        check: at_svnr,
    },
    Kind { signal: "pii.ch_ahv", lengths: &[13], words: "ahv|avs", check: ch_ahv },
    Kind {
        signal: "pii.fr_nir",
        lengths: &[15],
        words: "sécurité sociale|securite sociale|sécu|NIR|carte vitale|insee",
        check: fr_nir,
    },
    Kind {
        signal: "pii.be_national_number",
        lengths: &[11],
        words: "rijksregister|insz|registre national|niss|national register|numéro national",
        check: be_national_number,
    },
    Kind {
        signal: "pii.nl_bsn",
        lengths: &[9],
        words: "bsn|burgerservicenummer|sofinummer|sofi-nummer|citizen service number",
        check: nl_bsn,
    },
];

/// Eleven digits, ISO/IEC 7064 MOD 11,10; of the first ten digits exactly one stands twice or three times, the
/// others once at most (§ 139b Abgabenordnung; Bundeszentralamt für Steuern, Aufbau der Identifikationsnummer).
fn de_tax_id(number: &Number<'_>) -> Option<Evidence> {
    let chars = number.chars;
    if !mod_11_10(chars) || chars[0] == b'0' {
        return None;
    }
    let count = |digit: u8| chars[..10].iter().filter(|char| **char == digit).count();
    let repeated: Vec<usize> = (b'0'..=b'9').map(count).filter(|count| *count > 1).collect();
    let written = number.is_written(&[2, 3, 3, 3], b' ');
    when(
        matches!(repeated[..], [2 | 3]) && (written || number.is_bare()),
        if written { FORM } else { DIGITS },
    )
}

/// Serial, check digit and date of birth; weights 3 7 9 · 5 8 4 2 1 6 modulo 11 (Dachverband der
/// Sozialversicherungsträger).
fn at_svnr(number: &Number<'_>) -> Option<Evidence> {
    let chars = number.chars;
    let sum = weighted(chars, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6])?;
    // Months 13 to 15 serve days on which the serials have run out.
    let month = two(chars, 6);
    let date =
        is_short_date(two(chars, 8), if (13..=15).contains(&month) { 12 } else { month }, two(chars, 4));
    when(number.is_bare_or(&[4, 6]) && chars[0] != b'0' && sum % 11 == digit(chars, 3) && date, DIGITS)
}

/// Thirteen digits that start with the country code 756 and end in an EAN-13 check digit (Zentrale
/// Ausgleichsstelle). GS1 has not given out 756 for products.
fn ch_ahv(number: &Number<'_>) -> Option<Evidence> {
    let form =
        number.is_bare() || number.is_written(&[3, 4, 4, 2], b'.') || number.is_written(&[3, 4, 4, 2], b' ');
    when(form && number.chars.starts_with(b"756") && ean(number.chars), PROOF)
}

/// Sex, year, month, department, commune, serial, and 97 minus the rest modulo 97 (INSEE); Corsica's 2A and 2B
/// count as 19 and 18.
fn fr_nir(nir: &Number<'_>) -> Option<Evidence> {
    const BARE: Evidence = Evidence { alone: 0.7, with_words: 1.0 };
    let mut body: [u8; 13] = nir.chars[..13].try_into().ok()?;
    match &body[5..7] {
        b"2A" => body[5..7].copy_from_slice(b"19"),
        b"2B" => body[5..7].copy_from_slice(b"18"),
        _ => {}
    }
    let (body, key) = (number(&body)?, number(&nir.chars[13..])?);
    let month = two(nir.chars, 3);
    let known =
        matches!(nir.chars[0], b'1'..=b'4' | b'7' | b'8') && matches!(month, 1..=12 | 20 | 30..=42 | 50..=99);
    let spaced = [&[1, 2, 2, 2, 3, 3, 2][..], &[13, 2]].iter().any(|groups| nir.is_written(groups, b' '));
    when(known && key == 97 - body % 97 && (spaced || nir.is_bare()), if spaced { PROOF } else { BARE })
}

/// Date of birth, serial, and 97 minus the first nine digits modulo 97, with a 2 before them for births since 2000
/// (Arrêté royal of 3 April 1984). Months may be raised by 20 or 40 (bis numbers).
fn be_national_number(belgian: &Number<'_>) -> Option<Evidence> {
    let chars = belgian.chars;
    let (body, check) = (number(&chars[..9])?, number(&chars[9..])?);
    let key = [body, body + 2_000_000_000].iter().any(|body| 97 - body % 97 == check);
    let (month, day) = (two(chars, 2) % 20, two(chars, 4));
    let date = is_short_date(two(chars, 0), month, day) || month == 0 || day == 0;
    let written = belgian.has_form(&[2, 2, 2, 3, 2], b"..-.") || belgian.has_form(&[6, 3, 2], b"-.");
    when(key && date && (written || belgian.is_bare_or(&[6, 3, 2])), if written { PROOF } else { DIGITS })
}

/// The "elfproef": weights 9 to 2 and minus one for the last digit, divisible by 11 (Besluit burgerservicenummer).
fn nl_bsn(number: &Number<'_>) -> Option<Evidence> {
    let sum = weighted(number.chars, &[9, 8, 7, 6, 5, 4, 3, 2])?;
    let form = number.is_bare_or(&[3, 3, 3]) || number.is_written(&[4, 2, 3], b'.');
    when(form && sum % 11 == digit(number.chars, 8) && !is_uniform(number.chars), DIGITS)
}
