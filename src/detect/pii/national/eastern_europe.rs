//! Poland, the Czech and Slovak Republics, Romania, Bulgaria, Russia.

use super::{
    super::{
        checksum::{is_date, is_short_date, number, weighted},
        kind::{DIGITS, Evidence, FORM, Kind, PROOF, when},
        numbers::Number,
    },
    digit, is_uniform, two,
};

pub(super) const KINDS: &[Kind] = &[
    Kind { signal: "pii.pl_pesel", lengths: &[11], words: "pesel", check: pl_pesel },
    Kind {
        signal: "pii.cz_rodne_cislo",
        lengths: &[10],
        words: "rodné číslo|rodne cislo|rodného čísla|birth number|r.č.|RČ",
        check: cz_rodne_cislo,
    },
    Kind {
        signal: "pii.ro_cnp",
        lengths: &[13],
        words: "cnp|cod numeric personal|codul numeric personal",
        check: ro_cnp,
    },
    Kind { signal: "pii.bg_egn", lengths: &[10], words: "egn|егн|ЕГН", check: bg_egn },
    Kind { signal: "pii.ru_snils", lengths: &[11], words: "snils|снилс|СНИЛС", check: ru_snils },
    Kind { signal: "pii.ru_inn", lengths: &[12], words: "INN|инн|ИНН", check: ru_inn },
];

/// Date of birth with the century in the month, serial, and weights 1 3 7 9 modulo 10 (Ustawa o ewidencji
/// ludności of 24 September 2010).
fn pl_pesel(number: &Number<'_>) -> Option<Evidence> {
    let chars = number.chars;
    let sum = weighted(chars, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1])?;
    let century = [1900, 2000, 2100, 2200, 1800][(two(chars, 2) / 20) as usize];
    let date = is_date(century + two(chars, 0), two(chars, 2) % 20, two(chars, 4));
    when(number.is_bare() && date && sum.is_multiple_of(10), DIGITS)
}

/// Date of birth (50 added to a woman's month, 20 more when the serials ran out), serial, divisible by 11; ten
/// digits since 1954 (Act 133/2000).
fn cz_rodne_cislo(czech: &Number<'_>) -> Option<Evidence> {
    let chars = czech.chars;
    let whole = number(chars)?;
    let month = two(chars, 2) % 50;
    let month = if month > 20 { month - 20 } else { month };
    let date = is_short_date(two(chars, 0), month, two(chars, 4));
    let slash = czech.is_written(&[6, 4], b'/');
    when(date && whole % 11 == 0 && (slash || czech.is_bare()), if slash { FORM } else { DIGITS })
}

/// Sex and century, date of birth, county, serial, and weights 279146358279 modulo 11 with 10 as 1 (Law 105/1996).
fn ro_cnp(number: &Number<'_>) -> Option<Evidence> {
    let chars = number.chars;
    let sum = weighted(chars, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9])? % 11;
    let check = if sum == 10 { 1 } else { sum };
    let date = is_short_date(two(chars, 1), two(chars, 3), two(chars, 5));
    let county = matches!(two(chars, 7), 1..=52 | 70);
    when(number.is_bare() && chars[0] != b'0' && date && county && check == digit(chars, 12), DIGITS)
}

/// Date of birth (20 or 40 added to the month for other centuries), serial, weights modulo 11 with 10 as 0
/// (Ordinance RD-02-20-9 of 2012).
fn bg_egn(number: &Number<'_>) -> Option<Evidence> {
    let chars = number.chars;
    let check = weighted(chars, &[2, 4, 8, 5, 10, 9, 7, 3, 6])? % 11 % 10;
    let date = two(chars, 2) < 60 && is_short_date(two(chars, 0), two(chars, 2) % 20, two(chars, 4));
    when(number.is_bare() && date && check == digit(chars, 9), DIGITS)
}

/// Nine digits and their sum with weights 9 to 1, modulo 101, with 100 as 00 (Pension Fund of Russia).
fn ru_snils(snils: &Number<'_>) -> Option<Evidence> {
    let chars = snils.chars;
    let check = weighted(&chars[..9], &[9, 8, 7, 6, 5, 4, 3, 2, 1])? % 101 % 100;
    if !snils.is_digits() {
        return None;
    }
    let written = snils.has_form(&[3, 3, 3, 2], b"-- ") || snils.has_form(&[3, 3, 3, 2], b"---");
    let passes = u64::from(check) == two(chars, 9) && !is_uniform(&chars[..9]);
    when(passes && (written || snils.is_bare_or(&[3, 3, 3, 2])), if written { PROOF } else { DIGITS })
}

/// Twelve digits for a person, the last two of them check digits modulo 11 (Federal Tax Service, order
/// ММВ-7-6/435@ of 2012).
fn ru_inn(number: &Number<'_>) -> Option<Evidence> {
    let chars = number.chars;
    let first = weighted(chars, &[7, 2, 4, 10, 3, 5, 9, 4, 6, 8])? % 11 % 10;
    let second = weighted(chars, &[3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8])? % 11 % 10;
    let passes = (first, second) == (digit(chars, 10), digit(chars, 11));
    when(number.is_bare() && passes && !is_uniform(chars), DIGITS)
}
