//! Check digits. All functions take ASCII; other bytes than the named ones make them say no.

/// The digits of `text` as numbers, or `None` when it holds anything else.
pub(super) fn digits(
    text: &[u8],
) -> Option<impl DoubleEndedIterator<Item = u32> + ExactSizeIterator + Clone> {
    text.iter().all(u8::is_ascii_digit).then(|| text.iter().map(|byte| u32::from(byte - b'0')))
}

/// The number that `text` spells in decimal; `None` when it holds anything but 1 to 19 digits.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    (1..=19).contains(&text.len()).then_some(())?;
    Some(digits(text)?.fold(0, |sum, digit| sum * 10 + u64::from(digit)))
}

/// The sum of digits times weights, over the shorter of the two; `None` when there are other bytes than digits.
pub(super) fn weighted(text: &[u8], weights: &[u32]) -> Option<u32> {
    Some(digits(text)?.zip(weights).map(|(digit, weight)| digit * weight).sum())
}

/// Luhn's check (ISO/IEC 7812-1, annex B): every second digit from the right doubled, digits summed, modulo 10.
pub(super) fn luhn(text: &[u8]) -> bool {
    let Some(digits) = digits(text) else { return false };
    let sum: u32 = digits
        .rev()
        .enumerate()
        .map(|(place, digit)| if place % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 })
        .sum();
    !text.is_empty() && sum.is_multiple_of(10)
}

/// The multiplication table of the dihedral group D5.
const D5: [[u8; 10]; 10] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
    [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
    [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
    [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
    [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
    [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
    [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
    [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
    [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
];

/// Verhoeff's permutation for each place from the right.
const PERMUTED: [[u8; 10]; 8] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
    [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
    [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
    [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
    [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
    [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
    [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
];

/// Verhoeff's check (J. Verhoeff, Error Detecting Decimal Codes, Mathematical Centre Tract 29, 1969).
pub(super) fn verhoeff(text: &[u8]) -> bool {
    let Some(digits) = digits(text) else { return false };
    let check = digits.rev().enumerate().fold(0u8, |check, (place, digit)| {
        D5[usize::from(check)][usize::from(PERMUTED[place % 8][digit as usize])]
    });
    !text.is_empty() && check == 0
}

/// ISO/IEC 7064, MOD 11,10: the hybrid system whose last digit is the check digit.
pub(super) fn mod_11_10(text: &[u8]) -> bool {
    let Some(mut digits) = digits(text) else { return false };
    let Some(check) = digits.next_back() else { return false };
    let product = digits.fold(10, |product, digit| {
        let sum = (digit + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == check
}

/// ISO/IEC 7064, MOD 11-2: the pure system whose last sign is a digit or `X` for ten.
pub(super) fn mod_11_2(text: &[u8]) -> bool {
    let Some((check, body)) = text.split_last() else { return false };
    let Some(digits) = digits(body) else { return false };
    let check = match check {
        b'0'..=b'9' => u32::from(check - b'0'),
        b'X' => 10,
        _ => return false,
    };
    let sum = digits.fold(0, |sum, digit| (sum + digit) * 2 % 11);
    (sum + check) % 11 == 1
}

/// The check digit of GS1 numbers such as EAN-13: weights 1 and 3 in turn, the last digit weighing 1.
pub(super) fn ean(text: &[u8]) -> bool {
    let Some(digits) = digits(text) else { return false };
    let sum: u32 = digits.rev().enumerate().map(|(place, digit)| digit * [1, 3][place % 2]).sum();
    !text.is_empty() && sum.is_multiple_of(10)
}

/// Whether the three numbers name a day of the (proleptic Gregorian) calendar.
pub(super) fn is_date(year: u64, month: u64, day: u64) -> bool {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u64::from(leap),
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// Whether year, month and day of a two-digit year name a day in some century.
pub(super) fn is_short_date(year: u64, month: u64, day: u64) -> bool {
    is_date(1900 + year, month, day) || is_date(2000 + year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn published_examples_pass() {
        assert!(luhn(b"79927398713"));
        assert!(verhoeff(b"2363"));
        assert!(mod_11_10(b"02476291358"));
        assert!(mod_11_2(b"11010519491231002X"));
        assert!(ean(b"4006381333931"));
        assert!(is_date(2024, 2, 29) && !is_date(1900, 2, 29) && !is_date(2023, 13, 1));
    }

    #[test]
    fn other_bytes_and_nothing_fail() {
        for text in [&b""[..], b"12a4", b"-1"] {
            assert!(!luhn(text) && !verhoeff(text) && !mod_11_10(text) && !mod_11_2(text) && !ean(text));
        }
        assert_eq!((number(b""), number(b"12345678901234567890"), number(b"42")), (None, None, Some(42)));
    }

    /// Digits with a check digit that makes `check` pass, and the same with one digit changed.
    fn single_change(
        body: &str,
        place: usize,
        by: u8,
        alphabet: &[u8],
        check: fn(&[u8]) -> bool,
    ) -> (usize, bool) {
        let complete: Vec<Vec<u8>> = alphabet
            .iter()
            .map(|last| [body.as_bytes(), &[*last]].concat())
            .filter(|text| check(text))
            .collect();
        let Some(mut text) = complete.first().cloned() else { return (0, false) };
        let place = place % body.len();
        text[place] = b'0' + (text[place] - b'0' + by) % 10;
        (complete.len(), check(&text))
    }

    proptest! {
        #[test]
        fn one_check_digit_fits_and_any_single_change_is_seen(
            body in "[0-9]{5,20}", place in 0usize..20, by in 1u8..10,
        ) {
            let digits = b"0123456789";
            prop_assert_eq!(single_change(&body, place, by, digits, luhn), (1, false));
            prop_assert_eq!(single_change(&body, place, by, digits, verhoeff), (1, false));
            prop_assert_eq!(single_change(&body, place, by, digits, mod_11_10), (1, false));
            prop_assert_eq!(single_change(&body, place, by, b"0123456789X", mod_11_2), (1, false));
            prop_assert_eq!(single_change(&body, place, by, digits, ean), (1, false));
        }
    }
}
