//! Texts that were turned as a whole: ROT13, and letters in reverse order. Both are told by common words that no
//! one writes by accident when they are turned.

use super::reading::{Pieces, Reading};

/// Common English words that are rare names or nothing in any language when they are turned either way.
const COMMON: [&str; 32] = [
    "the",
    "how",
    "make",
    "what",
    "with",
    "that",
    "this",
    "from",
    "have",
    "give",
    "write",
    "tell",
    "would",
    "should",
    "could",
    "about",
    "please",
    "your",
    "which",
    "where",
    "instructions",
    "build",
    "people",
    "someone",
    "bomb",
    "kill",
    "weapon",
    "steal",
    "hack",
    "password",
    "previous",
    "ignore",
];

/// So many of them make a turned text, or so much of their weight.
pub(super) const ENOUGH: usize = 2;

/// For the first and the last letter of a word the lengths that a turned word of those letters may have, a bit each:
/// most words are told apart by that.
const LENGTHS: [[u16; 26]; 26] = {
    let mut lengths = [[0; 26]; 26];
    let mut i = 0;
    while i < COMMON.len() {
        let word = COMMON[i].as_bytes();
        let (first, last) = ((word[0] - b'a') as usize, (word[word.len() - 1] - b'a') as usize);
        lengths[last][first] |= 1 << word.len();
        lengths[(first + 13) % 26][(last + 13) % 26] |= 1 << word.len();
        i += 1;
    }
    lengths
};

/// How a word is turned.
#[derive(Clone, Copy, PartialEq)]
enum Turn {
    Rot13,
    Reversed,
}

/// What a word says for a turned text: nothing, unless it is one of the turned ones.
#[inline]
pub(super) fn turned_weight(word: &[u8]) -> usize {
    turned_word(word).map_or(0, |(_, weight)| weight)
}

/// How a word is turned, and its weight, when it is one of the turned ones.
#[inline]
fn turned_word(word: &[u8]) -> Option<(Turn, usize)> {
    let place = |byte: &u8| usize::from((byte | 0x20).wrapping_sub(b'a'));
    let [first, .., last] = word else { return None };
    let lengths = LENGTHS.get(place(first))?.get(place(last))?;
    if word.len() >= 16 || lengths >> word.len() & 1 == 0 {
        return None;
    }
    COMMON.iter().find_map(|common| Some((turn(common.as_bytes(), word)?, weight(common))))
}

/// What a common word says: "the" is turned in no other text, and many short texts hold no second word.
fn weight(common: &str) -> usize {
    if common == "the" { ENOUGH } else { 1 }
}

fn turn(common: &[u8], word: &[u8]) -> Option<Turn> {
    let plain = |byte: &u8| byte.to_ascii_lowercase();
    let moved = |byte: &u8| rot13_of(char::from(plain(byte))) as u8;
    if common.len() != word.len() {
        None
    } else if common.iter().copied().eq(word.iter().map(moved)) {
        Some(Turn::Rot13)
    } else {
        common.iter().copied().eq(word.iter().rev().map(plain)).then_some(Turn::Reversed)
    }
}

/// Readings of a text that is turned.
pub(super) fn turned(text: &str) -> Vec<Reading> {
    let (mut rot13, mut reversed) = (0, 0);
    let (mut first, mut last) = (text.len(), 0);
    let mut at = 0;
    for word in text.as_bytes().split(|byte| !byte.is_ascii_alphabetic()) {
        if let Some((turn, weight)) = turned_word(word) {
            *(if turn == Turn::Rot13 { &mut rot13 } else { &mut reversed }) += weight;
            first = first.min(at);
            last = last.max(at + word.len());
        }
        at += word.len() + 1;
    }
    let mut readings = Vec::new();
    if rot13 >= ENOUGH {
        let mut pieces = Pieces::default();
        text.char_indices().for_each(|(at, c)| pieces.push(rot13_of(c), at..at + c.len_utf8()));
        readings.push(reading("rot13", pieces, first..last));
    }
    if reversed >= ENOUGH {
        readings.push(reading("reversed", all_reversed(text), first..last));
        readings.push(reading("reversed", words_reversed(text), first..last));
    }
    readings
}

fn reading(by: &'static str, pieces: Pieces, span: std::ops::Range<usize>) -> Reading {
    let (text, map) = pieces.finish();
    Reading { by, text: Some(text), map, found: vec![(by, 1.0, span)] }
}

fn all_reversed(text: &str) -> Pieces {
    let mut pieces = Pieces::default();
    text.char_indices().rev().for_each(|(at, c)| pieces.push(c, at..at + c.len_utf8()));
    pieces
}

fn words_reversed(text: &str) -> Pieces {
    let mut pieces = Pieces::default();
    let mut at = 0;
    for word in text.split_inclusive(|c: char| !c.is_alphanumeric()) {
        let letters = word.trim_end_matches(|c: char| !c.is_alphanumeric());
        letters.char_indices().rev().for_each(|(i, c)| pieces.push(c, at + i..at + i + c.len_utf8()));
        pieces.push_plain(&word[letters.len()..], at + letters.len());
        at += word.len();
    }
    pieces
}

/// The letter thirteen places on in the alphabet of 26.
fn rot13_of(c: char) -> char {
    let turn = |base: u8| char::from((c as u8 - base + 13) % 26 + base);
    match c {
        'a'..='z' => turn(b'a'),
        'A'..='Z' => turn(b'A'),
        other => other,
    }
}
