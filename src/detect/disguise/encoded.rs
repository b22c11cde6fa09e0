//! Pieces of a text that are encoded as a whole: base64, base32, hexadecimal (RFC 4648), Morse.

use std::{collections::BTreeSet, ops::Range, sync::LazyLock};

use data_encoding::{Encoding, Specification};
use regex::Regex;

use super::reading::{Reading, readable};

/// The fewest characters of base64 or base32 that are tried.
const SHORTEST: usize = 16;

/// A run of at least this many characters at the end of a line goes on in the next line (MIME breaks at 76, PEM
/// at 64).
const FULL_LINE: usize = 40;

/// An alphabet without padding that does not mind bits left over at the end, as lax decoders do.
fn lax(symbols: &str) -> Encoding {
    let mut specification = Specification::new();
    specification.symbols.push_str(symbols);
    specification.check_trailing_bits = false;
    specification.encoding().expect("a fixed alphabet")
}

static BASE64: LazyLock<Encoding> =
    LazyLock::new(|| lax("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"));
static BASE32: LazyLock<Encoding> = LazyLock::new(|| lax("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"));

/// Readings of every run that decodes to something readable.
pub(super) fn runs(text: &str) -> Vec<Reading> {
    let mut readings = Vec::new();
    for run in runs_of_code(text) {
        let symbols: Vec<u8> = text[run.clone()].bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        if symbols.len() < SHORTEST {
            continue;
        }
        let decoded = None
            .or_else(|| hex(&symbols).map(|text| ("hex", text)))
            .or_else(|| base32(&symbols).map(|text| ("base32", text)))
            .or_else(|| base64(&symbols).map(|text| ("base64", text)));
        if let Some((by, decoded)) = decoded {
            readings.push(Reading::of_piece(by, decoded, run));
        }
    }
    readings
}

/// Runs of letters, digits, `+`, `/`, `-`, `_`, over the ends of full lines, with the padding behind them.
fn runs_of_code(text: &str) -> Vec<Range<usize>> {
    let is_code = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'_' | b'-');
    let bytes = text.as_bytes();
    let mut runs = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !is_code(bytes[at]) {
            at += 1;
            continue;
        }
        let start = at;
        let mut line = at;
        loop {
            while at < bytes.len() && is_code(bytes[at]) {
                at += 1;
            }
            let gap = bytes[at..].iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
            if at - line < FULL_LINE || gap == 0 || !bytes.get(at + gap).is_some_and(|b| is_code(*b)) {
                break;
            }
            at += gap;
            line = at;
        }
        if at - start >= SHORTEST {
            let padding = bytes[at..].iter().take_while(|b| **b == b'=').count();
            at += padding;
            runs.push(start..at);
        }
    }
    runs
}

fn hex(symbols: &[u8]) -> Option<String> {
    let symbols = symbols.strip_prefix(b"0x").unwrap_or(symbols);
    if !symbols.iter().all(u8::is_ascii_hexdigit) || symbols.len() % 2 == 1 {
        return None;
    }
    readable(data_encoding::HEXLOWER_PERMISSIVE.decode(symbols).ok()?)
}

fn base32(symbols: &[u8]) -> Option<String> {
    let symbols: Vec<u8> = symbols.iter().filter(|b| **b != b'=').map(u8::to_ascii_uppercase).collect();
    decode(&BASE32, &symbols, 8, &[1, 3, 6])
}

fn base64(symbols: &[u8]) -> Option<String> {
    // Words, paths and names in code have no such mixture.
    let has = |class: fn(&u8) -> bool| symbols.iter().any(class);
    if !has(u8::is_ascii_lowercase) || !has(u8::is_ascii_uppercase) {
        return None;
    }
    let standard = |b: &u8| match b {
        b'-' => b'+',
        b'_' => b'/',
        other => *other,
    };
    let symbols: Vec<u8> = symbols.iter().filter(|b| **b != b'=').map(standard).collect();
    // A character put in front shifts everything behind it.
    (0..4).find_map(|skip| decode(&BASE64, symbols.get(skip..)?, 4, &[1]))
}

/// Decodes a run. `impossible` are the remainders of its length by `block` that no data has.
fn decode(encoding: &Encoding, symbols: &[u8], block: usize, impossible: &[usize]) -> Option<String> {
    let cut = impossible.contains(&(symbols.len() % block));
    let whole =
        symbols.get(..symbols.len() - usize::from(cut)).filter(|symbols| symbols.len() >= SHORTEST - 4)?;
    readable(encoding.decode(whole).ok()?)
}

static PAIRS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?:0x)?[0-9a-f]{2}(?:[\s,:;]{1,2}(?:0x)?[0-9a-f]{2}){5,}\b")
        .expect("a fixed expression")
});

/// Readings of bytes that are written one by one, such as `68 65 6c 6c 6f`.
pub(super) fn pairs(text: &str) -> Vec<Reading> {
    let read = |found: regex::Match<'_>| {
        let tokens =
            found.as_str().split([' ', ',', ':', ';', '\n', '\t', '\r']).filter(|token| !token.is_empty());
        let byte = |token: &str| u8::from_str_radix(&token[token.len() - 2..], 16).ok();
        let bytes: Option<Vec<u8>> = tokens.map(byte).collect();
        Some(Reading::of_piece("hex", readable(bytes?)?, found.range()))
    };
    PAIRS.find_iter(text).filter_map(read).collect()
}

static MORSE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[.\-•·–—−_]{1,6}(?:[ /|\n]{1,4}[.\-•·–—−_]{1,6}){3,}").expect("a fixed expression")
});

/// International Morse code (ITU-R M.1677-1), letters and digits.
const MORSE_CODE: [(&str, char); 36] = [
    (".-", 'a'),
    ("-...", 'b'),
    ("-.-.", 'c'),
    ("-..", 'd'),
    (".", 'e'),
    ("..-.", 'f'),
    ("--.", 'g'),
    ("....", 'h'),
    ("..", 'i'),
    (".---", 'j'),
    ("-.-", 'k'),
    (".-..", 'l'),
    ("--", 'm'),
    ("-.", 'n'),
    ("---", 'o'),
    (".--.", 'p'),
    ("--.-", 'q'),
    (".-.", 'r'),
    ("...", 's'),
    ("-", 't'),
    ("..-", 'u'),
    ("...-", 'v'),
    (".--", 'w'),
    ("-..-", 'x'),
    ("-.--", 'y'),
    ("--..", 'z'),
    ("-----", '0'),
    (".----", '1'),
    ("..---", '2'),
    ("...--", '3'),
    ("....-", '4'),
    (".....", '5'),
    ("-....", '6'),
    ("--...", '7'),
    ("---..", '8'),
    ("----.", '9'),
];

/// Readings of Morse code.
pub(super) fn morse(text: &str) -> Vec<Reading> {
    let read = |found: regex::Match<'_>| {
        let plain: String = found
            .as_str()
            .chars()
            .map(|c| match c {
                '•' | '·' => '.',
                '–' | '—' | '−' | '_' => '-',
                other => other,
            })
            .collect();
        // Rules and ellipses have only one of them.
        if !plain.contains('.') || !plain.contains('-') {
            return None;
        }
        let mut decoded = String::new();
        let mut words = plain.split(['/', '|', '\n']).flat_map(|word| word.split("  ")).peekable();
        while let Some(word) = words.next() {
            for code in word.split_whitespace() {
                let letter = MORSE_CODE.iter().find(|(morse, _)| *morse == code).map(|(_, letter)| *letter);
                // Longer codes than those of letters and digits are marks.
                decoded.push(letter.or((code.len() > 5).then_some('.'))?);
            }
            if words.peek().is_some() && !decoded.ends_with(' ') {
                decoded.push(' ');
            }
        }
        Some(Reading::of_piece("morse", decoded.trim().to_owned(), found.range()))
    };
    MORSE
        .find_iter(text)
        .filter_map(read)
        .filter(|reading| reading.text.as_deref().is_some_and(says_something))
        .collect()
}

/// Rules and dots in a row decode to few letters (`- - - ...` is `ttts`).
fn says_something(text: &str) -> bool {
    let letters: BTreeSet<char> = text.chars().filter(|c| c.is_alphanumeric()).collect();
    text.len() >= 4 && letters.len() >= 3
}
