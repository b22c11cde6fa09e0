//! Payment cards: issuer range, length and Luhn digit (ISO/IEC 7812-1).

use std::ops::RangeInclusive;

use super::{
    checksum::{luhn, number},
    kind::{DIGITS, Evidence, Kind, PROOF},
    numbers::Number,
};

pub(super) const CARD: Kind = Kind {
    signal: "pii.credit_card",
    lengths: &[13, 14, 15, 16, 17, 18, 19],
    words: "card|visa|mastercard|amex|american express|discover|cvv|cvc|karte|kreditkarte|carte|\
        tarjeta|carta di credito|cartão|kaart|karta|kart|بطاقة|कार्ड|信用卡|银行卡|カード|카드",
    check,
};

/// An issuer's range of leading digits, and the lengths its numbers have.
struct Issuer {
    prefixes: RangeInclusive<u64>,
    lengths: &'static [usize],
}

const fn issuer(first: u64, last: u64, lengths: &'static [usize]) -> Issuer {
    Issuer { prefixes: first..=last, lengths }
}

/// Issuer identification numbers as the schemes publish them (Visa, Mastercard, American Express, Discover,
/// Diners Club, JCB, UnionPay, Maestro, Mir, RuPay, Dankort, Verve, Elo); both ends of a range have as many digits.
const ISSUERS: &[Issuer] = &[
    issuer(4, 4, &[13, 16, 19]),
    issuer(51, 55, &[16]),
    issuer(2221, 2720, &[16]),
    issuer(34, 34, &[15]),
    issuer(37, 37, &[15]),
    issuer(6011, 6011, &[16, 17, 18, 19]),
    issuer(644, 649, &[16, 17, 18, 19]),
    issuer(65, 65, &[16, 17, 18, 19]),
    issuer(300, 305, &[14, 15, 16, 17, 18, 19]),
    issuer(3095, 3095, &[14, 15, 16, 17, 18, 19]),
    issuer(36, 36, &[14, 15, 16, 17, 18, 19]),
    issuer(38, 39, &[14, 15, 16, 17, 18, 19]),
    issuer(3528, 3589, &[16, 17, 18, 19]),
    issuer(62, 62, &[16, 17, 18, 19]),
    issuer(8100, 8171, &[16, 17, 18, 19]),
    issuer(2200, 2204, &[16, 17, 18, 19]),
    issuer(60, 60, &[16]),
    issuer(81, 82, &[16]),
    issuer(508, 508, &[16]),
    issuer(5018, 5020, &[13, 14, 15, 16, 17, 18, 19]),
    issuer(5038, 5038, &[13, 14, 15, 16, 17, 18, 19]),
    issuer(5893, 5893, &[13, 14, 15, 16, 17, 18, 19]),
    issuer(6304, 6304, &[13, 14, 15, 16, 17, 18, 19]),
    issuer(6759, 6763, &[13, 14, 15, 16, 17, 18, 19]),
    issuer(506_099, 506_198, &[16, 18, 19]),
    issuer(5067, 5067, &[16]),
];

fn check(number: &Number<'_>) -> Option<Evidence> {
    if !is_issued(number.chars) || !luhn(number.chars) {
        return None;
    }
    let grouped = is_grouped(number);
    match (number.is_bare(), grouped, number.chars.len()) {
        (true, _, 15 | 16) | (false, true, _) => Some(PROOF),
        // Thirteen and fourteen digits are also times in milliseconds and product codes; seventeen and more are
        // also row identifiers.
        (true, ..) => Some(DIGITS),
        (false, false, _) => None,
    }
}

fn is_issued(chars: &[u8]) -> bool {
    ISSUERS.iter().any(|issuer| {
        let digits = issuer.prefixes.start().ilog10() as usize + 1;
        issuer.lengths.contains(&chars.len())
            && chars.get(..digits).and_then(number).is_some_and(|prefix| issuer.prefixes.contains(&prefix))
    })
}

/// Whether the digits are grouped as on a card: fours with a shorter last group, or as American Express and
/// Diners Club emboss them.
fn is_grouped(number: &Number<'_>) -> bool {
    let uniform =
        number.joints.iter().all(|joint| *joint == number.joints[0] && matches!(joint, b' ' | b'-' | b'.'));
    let fours =
        number.groups.split_last().is_some_and(|(last, rest)| rest.iter().all(|len| *len == 4) && *last <= 4);
    uniform && (fours || matches!(number.groups, [4, 6, 4 | 5]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test numbers that the schemes and payment providers publish.
    #[test]
    fn every_scheme_is_known() {
        for card in [
            "4111111111111111",
            "5555555555554444",
            "2223003122003222",
            "378282246310005",
            "6011111111111117",
            "30569309025904",
            "3530111333300000",
            "6200000000000005",
            "6759649826438453",
            "2200000000000004",
        ] {
            assert!(is_issued(card.as_bytes()) && luhn(card.as_bytes()), "{card}");
        }
    }

    #[test]
    fn other_industries_numbers_are_not_cards() {
        for number in ["9780306406157", "1234567812345670", "7992739871300000", "0000000000000000"] {
            assert!(!is_issued(number.as_bytes()), "{number}");
        }
    }
}
