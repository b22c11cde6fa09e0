//! China, Hong Kong, Taiwan, Japan, Korea.

use super::{
    super::{
        checksum::{digits, is_date, mod_11_2, number, weighted},
        kind::{DIGITS, Evidence, FORM, Kind, PROOF, SHAPE, when},
        numbers::Number,
    },
    complement_11, digit, is_uniform, two,
};

pub(super) const KINDS: &[Kind] = &[
    Kind {
        signal: "pii.cn_resident_id",
        lengths: &[18],
        words: "身份证|身份證|居民身份|公民身份|resident id",
        check: cn_resident_id,
    },
    Kind {
        signal: "pii.hk_id",
        lengths: &[8, 9],
        words: "hkid|hong kong id|香港身份證|身份證|身份证",
        check: hk_id,
    },
    Kind {
        signal: "pii.tw_id",
        lengths: &[10],
        words: "身分證|身份證|統一編號|taiwan id|taiwanese id",
        check: tw_id,
    },
    Kind {
        signal: "pii.jp_my_number",
        lengths: &[12],
        words: "マイナンバー|個人番号|my number|individual number",
        check: jp_my_number,
    },
    Kind {
        signal: "pii.kr_rrn",
        lengths: &[13],
        words: "주민등록번호|주민번호|외국인등록번호|resident registration|rrn",
        check: kr_rrn,
    },
];

/// Region, date of birth, serial, and an ISO/IEC 7064 MOD 11-2 check sign (GB 11643-1999).
fn cn_resident_id(id: &Number<'_>) -> Option<Evidence> {
    if !id.is_bare() || !mod_11_2(id.chars) {
        return None;
    }
    let province = matches!(
        two(id.chars, 0),
        11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83
    );
    let year = number(&id.chars[6..10])?;
    let date = (1850..2100).contains(&year) && is_date(year, two(id.chars, 10), two(id.chars, 12));
    when(province && date, PROOF)
}

/// One or two letters, six digits and a check digit modulo 11 with `A` for ten, often in parentheses; a missing
/// first letter counts 36, letters count from 10 (Immigration Department; Registration of Persons Regulations).
fn hk_id(number: &Number<'_>) -> Option<Evidence> {
    const PARENTHESES: Evidence = Evidence { alone: 0.8, with_words: 1.0 };
    let letters = number.chars.len() - 7;
    let body = &number.chars[letters..];
    if !number.chars[..letters].iter().all(u8::is_ascii_uppercase) || digits(&body[..6]).is_none() {
        return None;
    }
    let value = |letter: u8| u32::from(letter - b'A') + 10;
    let prefix = match number.chars[..letters] {
        [one] => 36 * 9 + value(one) * 8,
        [first, second] => value(first) * 9 + value(second) * 8,
        _ => return None,
    };
    let check = match body[6] {
        b'A' => 10,
        digit @ b'0'..=b'9' => u32::from(digit - b'0'),
        _ => return None,
    };
    let sum = prefix + weighted(&body[..6], &[7, 6, 5, 4, 3, 2])? + check;
    let written = matches!(number.groups, [7 | 8, 1]) && number.joints == b"(";
    when(sum % 11 == 0 && (written || number.is_bare()), if written { PARENTHESES } else { DIGITS })
}

/// A letter for the county, 1 or 2 (8 or 9 for residents from abroad), serial and check digit: the letter's two
/// digits weigh 1 and 9, the others 8 to 1 and 1, modulo 10 (Household Registration Act).
fn tw_id(number: &Number<'_>) -> Option<Evidence> {
    const COUNTIES: &[u8] = b"ABCDEFGHJKLMNPQRSTUVXYWZIO";
    let (letter, body) = number.chars.split_first()?;
    let county = COUNTIES.iter().position(|county| county == letter)? as u32 + 10;
    let sum = county / 10 + county % 10 * 9 + weighted(body, &[8, 7, 6, 5, 4, 3, 2, 1, 1])?;
    when(number.is_bare() && matches!(body[0], b'1' | b'2' | b'8' | b'9') && sum.is_multiple_of(10), DIGITS)
}

/// Eleven digits and a check digit modulo 11 with weights 6 5 4 3 2 7 6 5 4 3 2, where remainders 0 and 1 give 0
/// (Ministry of Internal Affairs, ordinance 85 of 2014, article 5).
fn jp_my_number(number: &Number<'_>) -> Option<Evidence> {
    let check = complement_11(number.chars, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2])? % 10;
    when(
        number.is_bare_or(&[4, 4, 4]) && check == digit(number.chars, 11) && !is_uniform(number.chars),
        DIGITS,
    )
}

/// Date of birth, sex and century, serial and a check digit modulo 11 (Enforcement Rule of the Resident
/// Registration Act). Since October 2020 the digits after the first of the second part are random.
fn kr_rrn(number: &Number<'_>) -> Option<Evidence> {
    let chars = number.chars;
    let sum = weighted(chars, &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5])?;
    let century = match chars[6] {
        b'9' | b'0' => 1800,
        b'1' | b'2' | b'5' | b'6' => 1900,
        _ => 2000,
    };
    let year = century + two(chars, 0);
    let hyphen = number.is_written(&[6, 7], b'-');
    if !is_date(year, two(chars, 2), two(chars, 4)) || !(hyphen || number.is_bare()) {
        return None;
    }
    match (digit(chars, 12) == (11 - sum % 11) % 10, hyphen) {
        (true, true) => Some(FORM),
        (true, false) => Some(DIGITS),
        (false, _) => when(year >= 2020 && digits(chars).is_some(), SHAPE),
    }
}
