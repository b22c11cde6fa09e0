//! Wallet addresses with checksums: Base58Check, Bech32 and Bech32m, and Ethereum's mixed case.

use bech32::primitives::decode::SegwitHrpstring;
use sha3::{Digest, Keccak256};

use super::{super::overlap::Candidate, Scan};

/// Version bytes of Base58Check addresses (Bitcoin wiki, List of address prefixes; Litecoin, Dogecoin and Tron
/// chain parameters): pay to key hash and to script hash of Bitcoin, Litecoin, Dogecoin, and Tron's.
const VERSIONS: [u8; 7] = [0x00, 0x05, 0x30, 0x32, 0x1e, 0x16, 0x41];

/// Adds every wallet address.
pub(super) fn scan(scan: &mut Scan<'_>) {
    for token in &scan.tokens {
        if !(26..=90).contains(&token.span.len()) || !token.digit {
            continue;
        }
        let word = &scan.text[token.span.clone()];
        if let Some(score) = score(word) {
            scan.found.push(Candidate { signal: "pii.crypto_wallet", score, span: token.span.clone() });
        }
    }
}

/// How sure it is that a word is a wallet address; `None` when it is none.
fn score(word: &str) -> Option<f32> {
    match word.as_bytes() {
        [b'0', b'x' | b'X', rest @ ..] if rest.len() == 40 => ethereum(rest),
        [b'b' | b'B', b'c' | b'C', b'1', ..] | [b'l' | b'L', b't' | b'T', b'c' | b'C', b'1', ..] => {
            segwit(word).then_some(1.0)
        }
        [b'1' | b'3' | b'L' | b'M' | b'D' | b'9' | b'A' | b'T', ..] if word.len() <= 35 => {
            base58check(word).then_some(1.0)
        }
        _ => None,
    }
}

/// Base58 with a version byte, twenty bytes and four bytes of double SHA-256.
fn base58check(word: &str) -> bool {
    bs58::decode(word)
        .with_check(None)
        .into_vec()
        .is_ok_and(|bytes| bytes.len() == 21 && VERSIONS.contains(&bytes[0]))
}

/// Bech32 for witness version 0 (BIP-173), Bech32m for later ones (BIP-350).
fn segwit(word: &str) -> bool {
    SegwitHrpstring::new(word)
        .is_ok_and(|address| matches!(address.hrp().to_lowercase().as_str(), "bc" | "ltc"))
}

/// Forty hexadecimal digits whose case spells a checksum (EIP-55); in one case they carry none.
fn ethereum(digits: &[u8]) -> Option<f32> {
    if !digits.iter().all(u8::is_ascii_hexdigit) || digits.iter().all(|digit| *digit == digits[0]) {
        return None;
    }
    let lower = digits.to_ascii_lowercase();
    if digits == lower || digits == digits.to_ascii_uppercase() {
        return Some(0.9);
    }
    let hash = Keccak256::digest(&lower);
    let nibble = |at: usize| hash[at / 2] >> (4 * (1 - at % 2)) & 0xF;
    let fits = digits
        .iter()
        .enumerate()
        .all(|(at, digit)| digit.is_ascii_digit() || digit.is_ascii_uppercase() == (nibble(at) >= 8));
    fits.then_some(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bitcoin's genesis block, BIP-173, BIP-350 and EIP-55 print these.
    #[test]
    fn published_addresses_pass() {
        for word in [
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            "3P14159f73E4gFr7JterCCQh9QjiTjiZrG",
            "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        ] {
            assert_eq!(score(word), Some(1.0), "{word}");
        }
        assert_eq!(score("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"), Some(0.9));
    }

    #[test]
    fn one_changed_sign_fails() {
        for word in [
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
            "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0x0000000000000000000000000000000000000000",
            "1111111111111111111111111111111111",
        ] {
            assert_eq!(score(word), None, "{word}");
        }
    }
}
