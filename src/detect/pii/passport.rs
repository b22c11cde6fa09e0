//! Passports: numbers that the words around them name, and machine-readable lines (ICAO Doc 9303).

use super::{
    super::overlap::Candidate,
    Scan,
    kind::{Evidence, Kind, SHAPE, when},
    numbers::Number,
};

pub(super) const PASSPORT: Kind = Kind {
    signal: "pii.passport",
    lengths: &[7, 8, 9],
    words: "passport|reisepass|passnummer|passeport|pasaporte|passaporto|passaporte|paspoort|paszport|\
        pasaport|جواز|पासपोर्ट|护照|護照|パスポート|旅券|여권|паспорт|Паспорт",
    check,
};

/// Up to three letters and then digits, or digits alone: at most nine signs (Doc 9303 part 4, the document number).
/// Some countries mix letters in, as Germany does; then half of the signs must be digits.
fn check(number: &Number<'_>) -> Option<Evidence> {
    let digits = number.chars.iter().filter(|char| char.is_ascii_digit()).count();
    let short_words = matches!(number.groups, [1..=3, 6..=8]) && number.joints == b" ";
    when(!number.lower && digits * 2 >= number.chars.len() && (number.is_bare() || short_words), SHAPE)
}

/// The length of both lines of a passport (format TD3), and of each of the three lines of a card (TD1).
const TD3: usize = 44;

/// Adds the second lines of machine-readable zones: number, nationality, birth, sex, expiry, personal number, with
/// five check digits (Doc 9303 part 4, section 4.2.2.2).
pub(super) fn scan(scan: &mut Scan<'_>) {
    let is_sign = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'<';
    let mut from = 0;
    let bytes = scan.text.as_bytes();
    while let Some(filler) = scan.text[from..].find('<').map(|at| from + at) {
        let start = from + bytes[from..filler].iter().rposition(|byte| !is_sign(byte)).map_or(0, |at| at + 1);
        let end =
            filler + bytes[filler..].iter().position(|byte| !is_sign(byte)).unwrap_or(bytes.len() - filler);
        from = end.max(filler + 1);
        if end - start == TD3 && is_line(&bytes[start..end]) {
            scan.found.push(Candidate { signal: "pii.passport", score: 1.0, span: start..end });
        }
    }
}

fn is_line(line: &[u8]) -> bool {
    let composite = [&line[..10], &line[13..20], &line[21..43]].concat();
    let optional =
        checks(&line[28..42], line[42]) || line[42] == b'<' && line[28..42].iter().all(|byte| *byte == b'<');
    checks(&line[..9], line[9])
        && checks(&line[13..19], line[19])
        && checks(&line[21..27], line[27])
        && optional
        && checks(&composite, line[43])
}

/// Weights 7 3 1 in turn, digits as they are, letters from 10, `<` as 0, modulo 10 (Doc 9303 part 3, section 4.9).
fn checks(field: &[u8], check: u8) -> bool {
    let value = |byte: u8| match byte {
        b'0'..=b'9' => u32::from(byte - b'0'),
        b'A'..=b'Z' => u32::from(byte - b'A') + 10,
        _ => 0,
    };
    let sum: u32 =
        field.iter().zip([7, 3, 1].into_iter().cycle()).map(|(byte, weight)| value(*byte) * weight).sum();
    check.is_ascii_digit() && sum % 10 == value(check)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The specimen of Doc 9303 part 4, appendix B.
    #[test]
    fn the_specimen_passes_and_a_changed_digit_fails() {
        let line = b"L898902C36UTO7408122F1204159ZE184226B<<<<<10";
        assert!(is_line(line));
        for at in [3, 15, 22, 30, 43] {
            let mut changed = *line;
            changed[at] = if changed[at] == b'5' { b'6' } else { b'5' };
            assert!(!is_line(&changed), "{at}");
        }
    }
}
